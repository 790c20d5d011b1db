"""Energies of poses and shapes that need no image.

The mixture of Gaussians over poses, the bending of elbows and knees and the
size of betas are SMPLify's (Bogo et al. 2016, eq. 4-6), with the formulas of
vchoutas/smplify-x: smplifyx/prior.py, which nkolot/SPIN uses too.
"""

import dataclasses
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body.data import BodyData
from tf_hmr.formats import array_files, atomic, unpickle

NUM_POSE = 3 * (len(joints.SMPL24) - 1)
"""Numbers of a pose in a mixture's file: the rotation vectors of joints.SMPL24
without the root's."""

OPEN_BODY_MIXTURE = "assets/pose_gmm/pose_gmm.npz"
"""The mixture over the open body's poses that ships with the package."""

# Axis and sign of the rotation that bends a limb backward. The open body's
# limbs have SMPL's axes.
_BACKWARD = (
    ("left_elbow", "y", 1),
    ("right_elbow", "y", -1),
    ("left_knee", "x", -1),
    ("right_knee", "x", -1),
)
_KEYS = ("means", "covars", "weights")
_EXPECTED = (
    f"a mixture of Gaussians over poses: means (M, {NUM_POSE}), covars "
    f"(M, {NUM_POSE}, {NUM_POSE}) and weights (M,)"
)
_CURE = (
    "SMPLify's gmm_08.pkl comes with its download (smplify.is.tue.mpg.de); "
    "`python -m training.prepare pose-gmm` makes one from poses."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """M Gaussians over poses.

    Attributes:
        means: (M, 69) rotation vectors of joints.SMPL24 but the root,
            radians.
        covars: (M, 69, 69), symmetric and positive.
        weights: (M,) positive, of sum 1.
        topology: tag of the body whose rest pose the poses are relative to.
    """

    means: np.ndarray
    covars: np.ndarray
    weights: np.ndarray
    topology: str

    def __post_init__(self):
        self._check()

    def mean_pose(self) -> np.ndarray:
        """(69,) mean of the mixture, where SMPLify starts."""
        return (self.weights @ self.means).astype(np.float32)

    def check_body(self, data: BodyData) -> None:
        """Refuses a body to whose poses the mixture does not apply.

        Raises:
            ValueError: the body has another topology, or other joints than
                SMPL24.
        """
        data.check_same_topology(self.topology, "The pose prior")
        joints.check_smpl24(data.joint_names, "The pose prior")

    def save(self, path: str | Path) -> None:
        """Writes an .npz that `load` reads back."""
        arrays = {name: getattr(self, name) for name in _KEYS}
        with atomic.replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays, topology=self.topology)

    def _check(self) -> None:
        count = len(self.means) if np.ndim(self.means) else 0
        shapes = [np.shape(getattr(self, name)) for name in _KEYS]
        if not count or shapes != [
            (count, NUM_POSE),
            (count, NUM_POSE, NUM_POSE),
            (count,),
        ]:
            raise ValueError(f"Expected {_EXPECTED}, got shapes {shapes}.")
        if not all(np.isfinite(getattr(self, name)).all() for name in _KEYS):
            raise ValueError(f"Expected {_EXPECTED}, all finite numbers.")
        if np.min(self.weights) <= 0:
            raise ValueError("Expected weights of Gaussians above 0.")
        try:
            np.linalg.cholesky(np.asarray(self.covars, np.float64))
        except np.linalg.LinAlgError:
            raise ValueError(
                "Expected covariances of which each is positive definite."
            ) from None


def load(path: str | Path | None = None) -> Mixture:
    """Reads a mixture over poses.

    Args:
        path: gmm_08.pkl as SMPLify publishes it, or an .npz of `save`; None
            for the open body's own, which ships with the package.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no mixture over 69 numbers; or a pickle that
            asks to run code.
    """
    if path is None:
        path = resources.files("tf_hmr") / OPEN_BODY_MIXTURE
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. {_CURE}")
    if path.suffix == ".npz":
        raw = array_files.read_npz(path, _EXPECTED, _CURE)
    else:
        raw = unpickle.load(path)
    missing = [name for name in _KEYS if name not in raw]
    if missing:
        raise ValueError(
            f"{path} lacks {missing}, expected {_EXPECTED}. {_CURE}"
        )
    topology = str(raw.get("topology", "smpl"))
    stored = [raw[name] for name in _KEYS]
    try:
        arrays = [np.asarray(array, np.float64) for array in stored]
        return Mixture(*arrays, topology)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error} {_CURE}") from error


class PosePrior:
    """The energy of poses under a mixture, in TensorFlow."""

    def __init__(self, mixture: Mixture):
        """Factors the covariances, in float64."""
        means = np.asarray(mixture.means, np.float64)
        covars = np.asarray(mixture.covars, np.float64)
        factors = np.linalg.cholesky(np.linalg.inv(covars))
        # sqrt(det) over the smallest one: the determinants themselves
        # underflow.
        half_logdet = 0.5 * np.linalg.slogdet(covars)[1]
        log_weights = (
            np.log(np.asarray(mixture.weights, np.float64))
            - NUM_POSE / 2 * np.log(2 * np.pi)
            - (half_logdet - half_logdet.min())
        )
        # |L' (x - mean)|^2 for all Gaussians is one matrix product.
        stacked = np.concatenate(list(factors), axis=1)
        offsets = np.einsum("mi,mij->mj", means, factors)
        # Constants must be eager even when a graph is being traced.
        with tf.init_scope():
            self._factors = tf.constant(stacked, tf.float32)
            self._offsets = tf.constant(offsets, tf.float32)
            self._log_weights = tf.constant(log_weights, tf.float32)

    def __call__(self, pose: tf.Tensor) -> tf.Tensor:
        """Energies (B,) under the Gaussian that explains each pose best.

        min over m of (x - mean)' P (x - mean) / 2 - log w, where w is the
        weight over (2 pi)^(69/2) and over the Gaussian's sqrt(det) relative
        to the smallest one.

        Args:
            pose: (B, 69) rotation vectors of joints.SMPL24 but the root.

        Returns:
            (B,).
        """
        return tf.reduce_min(self.component_energies(pose), axis=1)

    def component_energies(self, pose: tf.Tensor) -> tf.Tensor:
        """(B, M) energies of poses (B, 69) under each Gaussian."""
        white = tf.matmul(pose, self._factors)
        white = tf.reshape(white, [-1, *self._offsets.shape]) - self._offsets
        return 0.5 * tf.reduce_sum(white * white, axis=2) - self._log_weights


def backward_bending(
    pose: tf.Tensor, joint_names: Sequence[str] = joints.SMPL24
) -> tf.Tensor:
    """exp(angle)^2 of elbows and knees, large where they bend backward.

    Args:
        pose: (B, 3 (J - 1)) rotation vectors of all joints but the root.
        joint_names: (J,) names of the joints, root first.

    Returns:
        (B, 4): left and right elbow, left and right knee.
    """
    body_joints = joint_names[1:]
    signs = np.zeros((3 * len(body_joints), len(_BACKWARD)), np.float32)
    for column, (name, axis, sign) in enumerate(_BACKWARD):
        joint = body_joints.index(name)
        signs[3 * joint + "xyz".index(axis), column] = sign
    return tf.exp(2.0 * tf.matmul(pose, signs))


def lean_energy(
    skeleton: tf.Tensor, joint_names: Sequence[str] = joints.SMPL24
) -> tf.Tensor:
    """Energy of a trunk and legs that lean towards or away from the camera.

    Keypoints do not show depth: a body that leans looks like one with shorter
    trunk and legs. In photos from a level camera most people stand or sit
    upright, so upright bodies are preferred.

    Args:
        skeleton: (B, J, 3) joints in the camera frame.
        joint_names: (J,) their names.

    Returns:
        (B,) squared sines of the angles between the image plane and the lines
        from the ankles to the pelvis and from there to the neck, summed.
    """
    joint = dict(zip(joint_names, tf.unstack(skeleton, axis=1), strict=True))
    feet = (joint["left_ankle"] + joint["right_ankle"]) / 2
    energy = 0.0
    for line in (joint["pelvis"] - feet, joint["neck"] - joint["pelvis"]):
        length = tf.reduce_sum(line * line, axis=1)
        energy += tf.square(line[:, 2]) / length
    return energy


def shape_energy(betas: tf.Tensor) -> tf.Tensor:
    """Squared length (B,) of betas (B, P)."""
    return tf.reduce_sum(betas * betas, axis=1)


def gmof(residual: tf.Tensor, sigma: float) -> tf.Tensor:
    """Geman and McClure's robust error: r^2 for small r, sigma^2 for large.

    Args:
        residual: of any shape.
        sigma: where the error is half of its limit, in the residual's unit.
    """
    squared = residual * residual
    return sigma**2 * squared / (sigma**2 + squared)
