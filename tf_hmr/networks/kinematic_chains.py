"""HKMR's regressor: six kinematic chains, a shape and a camera network.

Georgakis et al., Hierarchical Kinematic Human Mesh Recovery, ECCV 2020,
section 3.2. Only the ReLU of the embeddings is not linear. So two products that
the paper's text repeats are computed once: the image features in every
embedding, and the successive heads of a pass along a chain
(`Chain.residual_map`). Values, parameters and gradients are the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints

ROOT = ("pelvis", "spine1", "spine2", "spine3")
# From the torso outwards; arms start at the collar (Figure 3).
CHILDREN = {
    "head": ("neck", "head"),
    "right_arm": (
        "right_collar",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "right_hand",
    ),
    "left_arm": (
        "left_collar",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "left_hand",
    ),
    "right_leg": ("right_hip", "right_knee", "right_ankle", "right_foot"),
    "left_leg": ("left_hip", "left_knee", "left_ankle", "left_foot"),
}
CHAINS = {"root": ROOT, **CHILDREN}
ORDER = tuple(name for chain in CHAINS.values() for name in chain)
"""Joints in the order of the concatenated chains: Theta of section 3.2."""

BETAS = 10
"""Shape numbers of the paper, as of HMR."""


class Options(NamedTuple):
    """Options of the regressor: section 3, ablations of Tables 2 and 3."""

    outer_steps: int
    """Times that all chains, then shape and camera, are estimated (T)."""
    inner_passes: int
    """Passes along a chain in each outer step, forward and backward in turn."""
    hierarchy: bool
    """Whether a joint's residual depends on the residuals of all joints before
    it in the pass, not only on the last one."""
    forward_only: bool
    """Every pass goes forward."""
    embedding: int
    """Size of a chain's embedding psi (d)."""
    hidden: int
    """Hidden units of the shape and the camera network."""


class State(NamedTuple):
    """Estimates of one outer step."""

    pose: tf.Tensor
    """(B, 3 J) rotation vectors in the order of ORDER."""
    betas: tf.Tensor
    """(B, P)."""
    camera: tf.Tensor
    """(B, 3) scale s and shift rho: keypoints = s xy + rho."""


def to_smpl_order(values):
    """Reorders (B, J, C) from ORDER to joints.SMPL24."""
    return tf.gather(values, joints.select(joints.SMPL24, of=ORDER), axis=1)


def to_chain_order(values):
    """Reorders (J, C) from joints.SMPL24 to ORDER."""
    return np.asarray(values)[list(joints.select(ORDER, of=joints.SMPL24))]


class Embedding(keras.layers.Layer):
    """One fully connected layer with ReLU on features and a state."""

    def __init__(self, units: int, name: str):
        super().__init__(name=name, dtype="float32")
        self.units = units

    def build(self, *sizes: int) -> None:
        """Makes kernels for this many features and numbers of the state."""
        self.sizes = sizes
        self.kernel = self.add_weight(
            shape=(sum(sizes), self.units), name="kernel"
        )
        self.bias = self.add_weight(
            shape=(self.units,), initializer="zeros", name="bias"
        )
        self.built = True

    def of_features(self, features):
        """Computes the part of the product that does not depend on the state.

        Args:
            features: (B, F).

        Returns:
            (B, units) with the bias, and the kernels (n, units) of the state's
            parts.
        """
        kernel, *state_kernels = tf.split(self.kernel, self.sizes)
        return features @ kernel + self.bias, state_kernels


class Chain(keras.layers.Layer):
    """Residuals of the rotation vectors of one chain, pass by pass (Q_c)."""

    def __init__(self, name: str, options: Options, num_betas: int = BETAS):
        super().__init__(name=name, dtype="float32")
        self.joints = CHAINS[name]
        self.options, self.num_betas = options, num_betas
        self.embedding = Embedding(options.embedding, "embedding")
        self.passes = {"forward": self._heads("forward")}
        if not options.forward_only:
            self.passes["backward"] = self._heads("backward")

    def _heads(self, direction: str) -> list[keras.layers.Dense]:
        """Heads f_i (eq. 1) or b_i (eq. 2), in the order of the pass."""
        order = self.joints if direction == "forward" else self.joints[::-1]
        return [_small_dense(3, f"{direction}_{name}") for name in order]

    def build(self, features: int) -> None:
        """Makes the variables for this many features."""
        root_size = 0 if self.joints == ROOT else 3 * len(ROOT)
        context_size = self.num_betas + root_size
        self.embedding.build(features, 3 * len(self.joints), context_size)
        for heads in self.passes.values():
            for number, head in enumerate(heads):
                # The first head gets a 0 instead of a residual.
                residuals = 3 * max(len(self._preceding(number)), 1)
                head.build((None, self.embedding.units + residuals))
        self.built = True

    def _preceding(self, number: int) -> list[int]:
        """Heads whose residuals the head `number` gets, last first."""
        last = 0 if self.options.hierarchy else max(number - 1, 0)
        return list(range(number - 1, last - 1, -1))

    def residual_map(self, direction: str):
        """Folds all heads of a pass into one linear map of psi.

        Returns:
            kernel (d, 3 K) and bias (3 K,), joints in the order of the chain.
        """
        size, maps = self.embedding.units, []
        for number, head in enumerate(self.passes[direction]):
            kernel, bias = head.kernel[:size], head.bias
            # One more row for the bias.
            head_map = tf.concat([kernel, bias[None]], axis=0)
            preceding = [maps[index] for index in self._preceding(number)]
            if preceding:
                head_map += tf.concat(preceding, axis=1) @ head.kernel[size:]
            maps.append(head_map)
        if direction == "backward":
            maps = maps[::-1]
        stacked = tf.concat(maps, axis=1)
        return stacked[:size], stacked[size]

    def prepare(self, features) -> "Prepared":
        """(B, F) -> quantities that all passes share."""
        residual_maps = {
            direction: self.residual_map(direction) for direction in self.passes
        }
        count = self.options.inner_passes
        directions = ["forward", "backward"] * count
        if self.options.forward_only:
            directions = ["forward"] * count
        maps = [residual_maps[direction] for direction in directions[:count]]
        fixed, (pose_kernel, context_kernel) = self.embedding.of_features(
            features
        )
        return Prepared(fixed, pose_kernel, context_kernel, maps)

    def refine(self, prepared: "Prepared", pose, *context, root=None):
        """Runs the inner passes.

        Args:
            prepared: returned by `prepare`.
            pose: (B, 3 K) rotation vectors of the chain.
            context: betas (B, P); for a child chain also the root's pose
                (B, 12).
            root: (B, 3) rotation vector that the first joint keeps in every
                pass; None estimates it.

        Returns:
            (B, 3 K).
        """
        pose = _with_first(pose, root)
        context = tf.concat(context, axis=-1) @ prepared.context
        fixed = prepared.fixed + context
        for kernel, bias in prepared.maps:
            psi = tf.nn.relu(fixed + pose @ prepared.pose)
            pose = _with_first(pose + (psi @ kernel + bias), root)
        return pose


class Prepared(NamedTuple):
    """Quantities that all passes of a chain share, for one batch."""

    fixed: tf.Tensor
    """(B, d) the embedding's product with the features, plus its bias."""
    pose: tf.Tensor
    """(3 K, d) the embedding's kernel for the chain's pose."""
    context: tf.Tensor
    """(n, d) the embedding's kernel for shape and root."""
    maps: list
    """The `residual_map` of each pass."""


class Estimator(keras.layers.Layer):
    """Shape or camera network with one hidden layer."""

    def __init__(
        self, units: int, hidden: int, name: str, num_betas: int, bias="zeros"
    ):
        super().__init__(name=name, dtype="float32")
        self.num_betas = num_betas
        self.embedding = Embedding(hidden, "hidden")
        self.out = _small_dense(units, "out", bias)

    def build(self, features: int) -> None:
        """Makes the variables for this many features."""
        self.embedding.build(features, 3 * len(ORDER) + self.num_betas)
        self.out.build((None, self.embedding.units))
        self.built = True

    def prepare(self, features):
        """(B, F) -> quantities that all outer steps share."""
        fixed, (kernel,) = self.embedding.of_features(features)
        return fixed, kernel

    def estimate(self, prepared, pose, betas):
        """Result of `prepare`, (B, 3 J), (B, P) -> (B, units)."""
        fixed, kernel = prepared
        state = tf.concat([pose, betas], axis=-1)
        return self.out(tf.nn.relu(fixed + state @ kernel))


class Regressor(keras.layers.Layer):
    """Refines pose, shape and camera from features, T times."""

    def __init__(
        self,
        options: Options,
        camera: Sequence[float],
        num_betas: int = BETAS,
        joint_names: Sequence[str] = joints.SMPL24,
    ):
        """Makes the chains, the shape and the camera network.

        Args:
            options: sizes and ablations.
            camera: initial scale and shift of the camera network.
            num_betas: betas of the body (P).
            joint_names: names of the body's joints, root first.

        Raises:
            ValueError: a joint belongs to no chain, or a chain's is missing.
        """
        joints.check_smpl24(joint_names, "HKMR's kinematic chains")
        # Float32 throughout: it sums small steps.
        super().__init__(name="regressor", dtype="float32")
        self.options, self.num_betas = options, num_betas
        self.chains = {name: Chain(name, options, num_betas) for name in CHAINS}
        self.shape_network = Estimator(
            num_betas, options.hidden, "shape", num_betas
        )
        self.camera_network = Estimator(
            len(camera),
            options.hidden,
            "camera",
            num_betas,
            lambda shape, dtype=None: tf.constant(camera, dtype),
        )

    def build(self, shape):
        for part in self._parts().values():
            part.build(shape[-1])
        numbers = 3 * len(ORDER) + self.num_betas
        self.mean = self.add_weight(
            shape=(1, numbers), trainable=False, name="mean"
        )

    def _parts(self):
        return self.chains | {
            "shape": self.shape_network,
            "camera": self.camera_network,
        }

    def start(self, pose: np.ndarray, betas: np.ndarray) -> None:
        """Sets the start: rotation vectors (J, 3), as joints.SMPL24; betas."""
        pose = to_chain_order(pose).ravel()
        self.mean.assign(np.concatenate([pose, betas])[None])

    def call(self, features, root=None) -> list[State]:
        """Refines pose, shape and camera.

        Args:
            features: (B, F).
            root: (B, 3) rotation vector of the whole body, kept by the root's
                chain; None estimates it.

        Returns:
            The estimates of each outer step.
        """
        prepared = {
            name: part.prepare(features) for name, part in self._parts().items()
        }
        mean = self.mean + tf.zeros_like(features[:, 0:1])
        sizes = [3 * len(chain) for chain in CHAINS.values()]
        *poses, betas = tf.split(mean, [*sizes, self.num_betas], axis=-1)
        states = []
        for _ in range(self.options.outer_steps):
            refined = []
            for (name, chain), pose in zip(
                self.chains.items(), poses, strict=True
            ):
                # The root comes first; all other chains get its new pose.
                context = [betas, *refined[:1]]
                fixed = root if chain.joints == ROOT else None
                refined.append(
                    chain.refine(prepared[name], pose, *context, root=fixed)
                )
            poses, pose = refined, tf.concat(refined, axis=-1)
            betas = betas + self.shape_network.estimate(
                prepared["shape"], pose, betas
            )
            camera = self.camera_network.estimate(
                prepared["camera"], pose, betas
            )
            states.append(State(pose, betas, camera))
        return states


def _with_first(pose, root):
    """Replaces the first rotation vector of (B, 3 K), unless root is None."""
    return pose if root is None else tf.concat([root, pose[:, 3:]], axis=-1)


def _small_dense(units: int, name: str, bias="zeros") -> keras.layers.Dense:
    """Dense layer with small weights, as HMR's last: it starts at the mean."""
    return keras.layers.Dense(
        units,
        kernel_initializer=keras.initializers.VarianceScaling(
            0.01, "fan_avg", "uniform"
        ),
        bias_initializer=bias,
        dtype="float32",
        name=name,
    )
