"""SMPLify: bodies fitted to 2D keypoints by gradient steps, many at once.

Bogo et al. 2016 with the loop of nkolot/SPIN: smplify/smplify.py, losses.py:
first the body's orientation and translation are fitted to the torso's
keypoints, then pose and shape to all keypoints under priors (priors.py).
Pixels are those of a crop of side 224, for which the weights of the terms were
chosen.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import openpose_files
from tf_hmr.geometry import camera, rotations
from tf_hmr.smplify import keypoints_3d as free_keypoints
from tf_hmr.smplify import over_time, priors, schedules, self_penetration

SPIN = schedules.SPIN
ORIGINAL = schedules.ORIGINAL

# Adam's constants, those of Kingma and Ba 2015.
_DECAY, _DECAY_SQ, _EPSILON = 0.9, 0.999, 1e-8
# Joints nearer than this are projected as if they were this far away.
_NEAR_M = 0.05


class Parameters(NamedTuple):
    """Bodies in front of a camera.

    Attributes:
        pose: (B, 3 J) rotation vectors in the order of the body's
            joint_names, the first one from its rest to the camera frame.
        betas: (B, P).
        translation: (B, 3) metres.
    """

    pose: tf.Tensor
    betas: tf.Tensor
    translation: tf.Tensor


class Fit(NamedTuple):
    """Fitted bodies.

    Attributes:
        pose: (B, 3 J), as in Parameters.
        betas: (B, P).
        translation: (B, 3).
        joint_losses: (B, K) robust squared pixels of the keypoints that the
            body has, times the squared confidence; 0 for ignored ones. With
            detections (B, K + 25): theirs come last.
        energy: (B,) final energy under the last stage's weights.
    """

    pose: tf.Tensor
    betas: tf.Tensor
    translation: tf.Tensor
    joint_losses: tf.Tensor
    energy: tf.Tensor

    @property
    def score(self) -> tf.Tensor:
        """(B,) mean joint loss, by which SPIN compares fits."""
        return tf.reduce_mean(self.joint_losses, axis=1)


class _View(NamedTuple):
    """Camera, and the keypoints to fit: K that the body has.

    M is K, or K + 25 with OpenPose's detections, which come last.
    """

    focal: tf.Tensor  # (B or 1, 1, 1)
    centre: tf.Tensor  # (B or 1, 1, 2)
    pixels: tf.Tensor  # (B, M, 2)
    weights: tf.Tensor  # (B, M) confidence, 0 for ignored ones
    torso_weights: tf.Tensor  # (B, K), 0 for all others
    depth: tf.Tensor  # (B,) at the start
    depth_unit: tf.Tensor  # (B,) metres
    metres: tf.Tensor | None  # (B, K, 3) of any origin and size
    metres_weights: tf.Tensor | None  # (B, K), 0 where not known
    frames: over_time.Frames | None  # what the rows are, in a video


class Fitter:
    """Fits one body model by one schedule."""

    def __init__(
        self,
        data: BodyData,
        prior: priors.Mixture,
        schedule: schedules.Schedule = schedules.SPIN,
        jit: bool = True,
    ):
        """Prepares body and prior; not inside a tf.function.

        Args:
            data: the body; keypoints without a regressor are ignored.
            prior: over its poses.
            schedule: stages and weights.
            jit: compile with XLA, once per batch size (seconds).

        Raises:
            ValueError: the prior belongs to another body or other joints, the
                schedule names an unknown joint or part, or the body lacks a
                torso keypoint.
        """
        prior.check_body(data)
        self.schedule = schedule
        self.joint_names = tuple(
            name for name in joints.KEYPOINTS if name in data.keypoint_regressor
        )
        not_ignored = 1 - _mask(schedule.ignored, joints.KEYPOINTS)
        self._keypoint_mask = not_ignored[
            list(joints.select(self.joint_names, of=joints.KEYPOINTS))
        ]
        self._torso = _mask(schedule.torso, self.joint_names)
        self._detected = _detected_points(self.joint_names)
        ignored = [name in schedule.ignored for name in openpose_files.BODY25]
        self._detection_mask = self._detected.sum(1) * ~np.array(ignored)
        self._data = data
        self._table = schedules.body_table(
            schedule, data.num_joints, data.num_betas
        )
        self._body = Body(data, self.joint_names, jit=False)
        self._prior = priors.PosePrior(prior)
        if self._table["self_penetration"].any():
            self._penetration = self_penetration.SelfPenetration(self._body)
        self._fit = tf.function(
            self._run_stages, jit_compile=jit, autograph=False
        )
        self._measure = tf.function(
            self._measure_losses, jit_compile=jit, autograph=False
        )

    def __call__(
        self,
        start: Parameters,
        keypoints: tf.Tensor,
        focal_px: tf.Tensor | float,
        centre: tf.Tensor | Sequence[float],
        detections: tf.Tensor | None = None,
        keypoints_3d: tf.Tensor | None = None,
        frames: over_time.Frames | None = None,
    ) -> Fit:
        """Fits bodies to keypoints. No gradient flows through a fit.

        Args:
            start: initial bodies. They must face the right way, because the
                fit does not correct an orientation that is half a turn off.
            keypoints: (B, 29, 3) in joints.KEYPOINTS order: x, y in pixels
                and confidence; x and y are ignored where it is 0.
            focal_px: () or (B,) pixels.
            centre: (2,) or (B, 2) principal point, pixels.
            detections: (B, 25, 3) OpenPose's joints in the order of
                openpose_files.BODY25, as keypoints; the body is fitted to
                them, too, but not the camera, as in SPIN.
            keypoints_3d: (B, 29, 4) in joints.KEYPOINTS order: x, y, z in
                metres, of any origin and size for each body, in the camera's
                axes; and weight. They count as the schedule's stages say.
            frames: the rows are one person in the frames of a video, who has
                one shape, the mean of the rows' betas.

        Raises:
            ValueError: a shape is not as above.
        """
        x, view = self._prepare(
            start, keypoints, focal_px, centre, detections, keypoints_3d, frames
        )
        x, losses, energy = map(tf.stop_gradient, self._fit(x, view))
        return Fit(*self._parts(x), losses, energy)

    def joint_losses(
        self,
        parameters: Parameters,
        keypoints: tf.Tensor,
        focal_px: tf.Tensor | float,
        centre: tf.Tensor | Sequence[float],
        detections: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Measures `joint_losses` (B, K) without a fit; arguments as call's.

        Their mean over the joints is the score of a stored fit.
        """
        x, view = self._prepare(
            parameters, keypoints, focal_px, centre, detections
        )
        return tf.stop_gradient(self._measure(x, view))

    def _prepare(
        self,
        parameters,
        keypoints,
        focal_px,
        centre,
        detections=None,
        keypoints_3d=None,
        frames=None,
    ):
        """Packs all parameters into one vector (B, n), and makes the view."""
        parts = [tf.cast(part, tf.float32) for part in parameters]
        for name, part, width in zip(
            parameters._fields, parts, self._widths(), strict=True
        ):
            if not part.shape.is_compatible_with([None, width]):
                raise ValueError(
                    f"{name} has shape {part.shape}, expected (B, {width})."
                )
        pixels, confidence = self._body_keypoints(keypoints)
        torso = tf.ones_like(confidence) * self._torso
        if self.schedule.fix_camera_stage:
            torso *= tf.cast(confidence > 0, tf.float32)
        weights = confidence * self._keypoint_mask
        if detections is not None:
            more_pixels, more_weights = _cleaned(
                detections, openpose_files.BODY25, "openpose_files.BODY25"
            )
            more_weights *= self._detection_mask
            pixels = tf.concat([pixels, more_pixels], axis=1)
            weights = tf.concat([weights, more_weights], axis=1)
        depth = parts[2][:, 2]
        metres, metres_weights = self._body_keypoints_3d(keypoints_3d)
        view = _View(
            focal=tf.reshape(tf.cast(focal_px, tf.float32), [-1, 1, 1]),
            centre=tf.reshape(tf.cast(centre, tf.float32), [-1, 1, 2]),
            pixels=pixels,
            weights=weights,
            torso_weights=torso,
            depth=depth,
            depth_unit=(
                depth if self.schedule.relative_depth else tf.ones_like(depth)
            ),
            metres=metres,
            metres_weights=metres_weights,
            frames=frames,
        )
        return tf.concat(parts, axis=1), view

    def _body_keypoints(self, keypoints):
        """Pixels (B, K, 2) and confidence (B, K) of the body's keypoints."""
        pixels, confidence = _cleaned(
            keypoints, joints.KEYPOINTS, "joints.KEYPOINTS"
        )
        index = list(joints.select(self.joint_names, of=joints.KEYPOINTS))
        return (
            tf.gather(pixels, index, axis=1),
            tf.gather(confidence, index, axis=1),
        )

    def _body_keypoints_3d(self, keypoints_3d):
        """Metres (B, K, 3) and weights (B, K) of the body's keypoints."""
        if keypoints_3d is None:
            return None, None
        index = list(joints.select(self.joint_names, of=joints.KEYPOINTS))
        return free_keypoints.cleaned(keypoints_3d, index)

    def _widths(self) -> list[int]:
        """Sizes of pose, betas and translation."""
        return [3 * self._data.num_joints, self._data.num_betas, 3]

    def _parts(self, x):
        """Splits the vector into pose, betas and translation."""
        return tf.split(x, self._widths(), axis=1)

    def _run_stages(self, x, view):
        x = self._fit_camera(x, view)
        x = self._fit_body(x, view)
        losses = self._measure_losses(x, view)
        last = {name: rows[-1] for name, rows in self._table.items()}
        return x, losses, self._energy(x, view, last)

    def _fit_camera(self, x, view):
        """Fits orientation and translation; the rigid body is posed once."""
        pose, betas, translation = self._parts(x)
        unrotated_pose = tf.concat(
            [tf.zeros_like(pose[:, :3]), pose[:, 3:]], axis=1
        )
        unrotated_keypoints, pelvis = self._body.keypoints(
            _rotmats(unrotated_pose), betas
        )
        pelvis = pelvis[:, :1]
        schedule = self.schedule
        pixels = view.pixels[:, : len(self.joint_names)]

        def energy(y, _):
            rotmats = rotations.rotvec_to_rotmat(y[:, :3])
            rotated = tf.matmul(
                unrotated_keypoints - pelvis, rotmats, transpose_b=True
            )
            rotated += pelvis + y[:, None, 3:]
            error = tf.square(_project(rotated, view) - pixels)
            error = tf.reduce_sum(error, axis=2) * view.torso_weights
            depth_penalty = schedule.camera_depth**2 * _depth_penalty(y, view)
            return tf.reduce_sum(error, axis=1) + depth_penalty

        y = tf.concat([pose[:, :3], translation], axis=1)
        table = schedules.camera_table(schedule)
        y = _adam(y, energy, table, view.depth_unit, view.frames)
        return tf.concat([y[:, :3], pose[:, 3:], betas, y[:, 3:]], axis=1)

    def _fit_body(self, x, view):
        def energy(x, weights):
            return self._energy(x, view, weights)

        return _adam(x, energy, self._table, view.depth_unit, view.frames)

    def _energy(self, x, view, weights):
        """(B,) the body's energy under one step's squared weights."""
        pose, betas, translation = self._parts(x)
        if view.frames is not None:
            betas = over_time.shared(betas, view.frames)
        body_pose, rotmats = pose[:, 3:], _rotmats(pose)
        names = self._data.joint_names
        backward = priors.backward_bending(body_pose, names)
        keypoints, skeleton = self._body.keypoints(rotmats, betas)
        losses = self._losses(keypoints, skeleton, translation, view)
        terms = {
            "pose_prior": lambda: self._prior(body_pose),
            "angle_prior": lambda: tf.reduce_sum(backward, axis=1),
            "shape_prior": lambda: priors.shape_energy(betas),
            "lean": lambda: priors.lean_energy(skeleton, names),
            "depth": lambda: _depth_penalty(x, view),
            "self_penetration": lambda: self._penetration(rotmats, betas),
        }
        if view.metres is not None:
            terms["keypoints_3d"] = lambda: free_keypoints.energy(
                keypoints,
                view.metres,
                view.metres_weights,
                self.schedule.sigma_3d,
            )
        if view.frames is not None:
            terms["acceleration"] = lambda: over_time.acceleration_energy(
                keypoints + translation[:, None], view.frames.seconds
            )
        energy = tf.reduce_sum(losses, axis=1)
        for name, term in terms.items():
            # A term without weight in all stages is not computed.
            if self._table[name].any():
                energy += weights[name] * term()
        return energy

    def _measure_losses(self, x, view):
        pose, betas, translation = self._parts(x)
        keypoints, skeleton = self._body.keypoints(_rotmats(pose), betas)
        return self._losses(keypoints, skeleton, translation, view)

    def _losses(self, points, skeleton, translation, view):
        if view.weights.shape[1] > len(self.joint_names):
            # A product, because the gradient of a gather is slow (model.py).
            known = tf.concat([points, skeleton[:, :1]], axis=1)
            detected = tf.einsum("dk,bkc->bdc", self._detected, known)
            points = tf.concat([points, detected], axis=1)
        residual = _project(points + translation[:, None], view) - view.pixels
        robust = priors.gmof(residual, self.schedule.sigma)
        return tf.square(view.weights) * tf.reduce_sum(robust, axis=2)


def _rotmats(pose):
    """(B, 3 J) to (B, J, 3, 3)."""
    rotvecs = tf.reshape(pose, [-1, pose.shape[1] // 3, 3])
    return rotations.rotvec_to_rotmat(rotvecs)


def _cleaned(
    keypoints, names: Sequence[str], order: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels (B, n, 2) and confidence (B, n) of n named keypoints.

    Raises:
        ValueError: the keypoints have another shape; the message calls their
            order `order`.
    """
    keypoints = tf.cast(keypoints, tf.float32)
    if not keypoints.shape.is_compatible_with([None, len(names), 3]):
        raise ValueError(
            f"keypoints have shape {keypoints.shape}, expected "
            f"(B, {len(names)}, 3) in {order} order; "
            "joints that are not known have confidence 0."
        )
    pixels, confidence = keypoints[..., :2], keypoints[..., 2]
    return (
        tf.where(tf.math.is_finite(pixels), pixels, 0.0),
        tf.where(confidence > 0, confidence, 0.0),
    )


def _detected_points(joint_names: Sequence[str]) -> np.ndarray:
    """Rows (25, K + 1): OpenPose's joints of a body's keypoints and root.

    OpenPose's middle of the hips is the root, as in nkolot/SPIN: constants.py.
    A joint that the body lacks has zeros; so has OpenPose's neck, which SPIN
    ignores.
    """
    names = [*joint_names, "between_hips"]
    rows = np.zeros((len(openpose_files.BODY25), len(names)), np.float32)
    for row, name in enumerate(openpose_files.BODY25):
        if name in names:
            rows[row, names.index(name)] = 1
    return rows


def _project(points, view):
    depth = tf.maximum(points[..., 2:3], _NEAR_M)
    points = tf.concat([points[..., :2], depth], axis=-1)
    return camera.project_perspective(points, view.focal, view.centre)


def _depth_penalty(x, view):
    """(B,) squared change of the depth, the last number of each row."""
    return tf.square((x[:, -1] - view.depth) / view.depth_unit)


def _adam(
    x: tf.Tensor,
    energy: Callable,
    table: dict[str, np.ndarray],
    last_unit: tf.Tensor,
    frames: over_time.Frames | None = None,
) -> tf.Tensor:
    """Runs Adam, as in Kingma and Ba 2015 and PyTorch, on each row separately.

    Args:
        x: (B, n).
        energy: (B,) of x and of a step's row of the table, row by row.
        table: values of each step along the first axis: "rate", "count" from
            1 in its stage, "free" (n,) flags, and the weights of `energy`.
        last_unit: (B,) unit in which steps of the last column are measured.
        frames: says which rows stay as they are.
    """
    units = tf.concat([tf.ones_like(x[:, 1:]), last_unit[:, None]], axis=1)
    steps = {name: tf.constant(rows) for name, rows in table.items()}

    def step(i, x, mean, square):
        row = {name: rows[i] for name, rows in steps.items()}
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = energy(x, row)
        gradient = tape.gradient(total, x) * row["free"]
        if frames is not None:
            gradient *= frames.moves[:, None]
        # A new stage starts a new optimiser.
        continues = tf.cast(row["count"] > 1, tf.float32)
        mean = continues * _DECAY * mean + (1 - _DECAY) * gradient
        square = continues * _DECAY_SQ * square + (1 - _DECAY_SQ) * gradient**2
        count = row["count"]
        length = tf.sqrt(square / (1 - _DECAY_SQ**count)) + _EPSILON
        x -= row["rate"] * units * (mean / (1 - _DECAY**count)) / length
        return i + 1, x, mean, square

    count = len(table["rate"])
    start = (tf.constant(0), x, tf.zeros_like(x), tf.zeros_like(x))
    return tf.while_loop(
        lambda i, *_: i < count, step, start, maximum_iterations=count
    )[1]


def _mask(names: Sequence[str], of: Sequence[str]) -> np.ndarray:
    """(len(of),) 1 for each name of `of` that is in `names`, else 0."""
    flags = np.zeros(len(of), np.float32)
    flags[list(joints.select(names, of))] = 1
    return flags
