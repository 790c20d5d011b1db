"""SMPL's body function: pose and shape to vertices, skeleton and keypoints.

The formulation is SMPL's (Loper et al. 2015, eq. 2-10). Its arrangement is
chosen for speed; the result is the same:

* shape and pose blends are one matrix product over the concatenated features;
* rest joints come from a folded regressor, not from all vertices;
* rotations and translations are blended separately (12 numbers, not 16);
* coordinates are kept as planes (B, 3, V) until the end;
* weights stay dense: a sparse gather is slower;
* keypoints need no mesh: they are sums of a few rigidly moved points
  (points.py).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body import points as body_points
from tf_hmr.body.data import BodyData
from tf_hmr.body.skin_samples import SkinSamples


class BodyMesh(NamedTuple):
    """Posed bodies, in the frame of their global rotation.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, K, 3) keypoints in the body's `joint_names`, metres.
        skeleton: (B, J, 3) joints of the kinematic tree, in the order of
            `data.joint_names`, metres.
    """

    vertices: tf.Tensor
    joints: tf.Tensor
    skeleton: tf.Tensor


class _Points(NamedTuple):
    """N points that follow the bones, arranged for `_blend_transforms`."""

    template: tf.Tensor  # (3, N)
    blends: tf.Tensor  # (P + 9 (J - 1), 3 N): all x, all y, all z
    rotation_weights: tf.Tensor  # (J, N)
    translation_weights: tf.Tensor  # (J, N)


class _Tree(NamedTuple):
    """The joints of a kinematic tree, level by level."""

    order: np.ndarray  # (J,) the joints, the root first
    sizes: list[int]  # joints of each level
    parents: list[np.ndarray]  # of each level but the first, in that above


class Body:
    """A differentiable body without trainable variables."""

    def __init__(
        self,
        data: BodyData,
        joint_names: Sequence[str] = joints.COCOPLUS19,
        jit: bool = True,
    ):
        """Prepares the arrays of a body.

        Args:
            data: the body.
            joint_names: keypoints to return, any of joints.KEYPOINTS and
                joints.LANDMARKS18.
            jit: compile with XLA, once per batch size (seconds). False gives
                a plain graph for export.

        Raises:
            ValueError, FileNotFoundError: as BodyData.regressor.
        """
        self.data = data
        self.joint_names = tuple(joint_names)
        self.num_betas = data.num_betas
        self.jit = jit
        self._tree = _tree(data.parents)
        # Constants must be eager even when a graph is being traced.
        with tf.init_scope():
            joints_and_bones = [
                np.concatenate([rest, _bones(rest, data.parents)], axis=-2)
                for rest in body_points.rest_joints(data)
            ]
            template, blends = joints_and_bones
            self._rest_template = _constant(template.reshape(-1))
            self._rest_blends = _constant(blends.reshape(self.num_betas, -1))
            self._surface = _points(body_points.surface_points(data))
            points, gather = body_points.of_keypoints(data, self.joint_names)
            self._keypoints, self._gather = _points(points), _constant(gather)
        self._compiler = _compiled if jit else _plain
        self._mesh_function = self._compiler(self._pose_points, self._mesh)
        self._keypoints_function = self._compiler(
            self._posed_keypoints, lambda *outputs: outputs
        )

    def __call__(self, rotmats: tf.Tensor, betas: tf.Tensor) -> BodyMesh:
        """Poses the body.

        Args:
            rotmats: (B, J, 3, 3) rotations relative to the parent, in the
                order of `data.joint_names`; the first is global and turns
                about the root, the pelvis, which stays at its rest position.
            betas: (B, num_betas) shape.

        Returns:
            BodyMesh, float32.

        Raises:
            ValueError: a shape is not as above.
        """
        return BodyMesh(
            *self._mesh_function(*cast_arguments(self.data, rotmats, betas))
        )

    def keypoints(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes `joints` and `skeleton` of a call, without its vertices.

        For training without losses on vertices: cheaper than a call, with the
        same arguments and errors.
        """
        return self._keypoints_function(
            *cast_arguments(self.data, rotmats, betas)
        )

    def bones(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Rigid motion of each bone; arguments and errors as of a call.

        Returns:
            Rotations R (B, J, 3, 3) and origins o (B, J, 3, 1), metres: a
            point x of a bone of the resting body moves to R x + o.
        """
        return self._pose(*cast_arguments(self.data, rotmats, betas))[1:3]

    def skin_sampler(
        self, samples: SkinSamples
    ) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """Makes a function that poses samples of the skin without the mesh.

        Args:
            samples: N vertices of this body.

        Returns:
            A function of the arguments of a call, with its errors, to points
            (B, N, 3), metres, the same as of a call; and their normals
            (B, N, 3), about one long: blended rotations shrink them a little.
        """
        with tf.init_scope():
            points = _points(
                body_points.surface_points(self.data, samples.vertices)
            )
            normals = _constant(samples.normals.T)

        def blend(rotmats, betas):
            return _blend_transforms(points, *self._pose(rotmats, betas)[:3])

        def move(*transforms):
            posed = _transform(points, *transforms)
            turned = tf.reduce_sum(transforms[1] * normals, axis=2)
            return tuple(tf.transpose(x, [0, 2, 1]) for x in (posed, turned))

        function = self._compiler(blend, move)
        return lambda rotmats, betas: function(
            *cast_arguments(self.data, rotmats, betas)
        )

    def _pose_points(self, rotmats, betas):
        """Computes all matrix products of a call, for `_mesh`."""
        pose = self._pose(rotmats, betas)
        surface = _blend_transforms(self._surface, *pose[:3])
        return *surface, self._regress_keypoints(*pose[:3]), pose[3]

    def _mesh(self, *values):
        *surface, keypoints, skeleton = values
        vertices = _transform(self._surface, *surface)
        return tf.transpose(vertices, [0, 2, 1]), keypoints, skeleton

    def _posed_keypoints(self, rotmats, betas):
        pose = self._pose(rotmats, betas)
        return self._regress_keypoints(*pose[:3]), pose[3]

    def _regress_keypoints(self, features, rotations, origins) -> tf.Tensor:
        points = self._keypoints
        positions = _transform(
            points, *_blend_transforms(points, features, rotations, origins)
        )
        return tf.transpose(tf.matmul(positions, self._gather), [0, 2, 1])

    def _pose(self, rotmats, betas):
        """Computes blend features, world rotations, bone origins, skeleton."""
        rest = self._rest_template + tf.matmul(betas, self._rest_blends)
        bones = self.data.num_joints
        rest, offsets = tf.split(tf.reshape(rest, [-1, 2 * bones, 3, 1]), 2, 1)
        rotations, skeleton = _forward_kinematics(self._tree, rotmats, offsets)
        # A point x of a bone goes to R (x - rest) + joint = R x + origin.
        origins = skeleton - tf.matmul(rotations, rest)
        pose_features = rotmats[:, 1:] - tf.eye(3)
        features = tf.concat(
            [betas, tf.reshape(pose_features, [-1, 9 * (bones - 1)])], axis=1
        )
        skeleton = tf.reshape(skeleton, [-1, bones, 3])
        return features, rotations, origins, skeleton


def cast_arguments(
    data: BodyData, rotmats: tf.Tensor, betas: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Casts a body's arguments to float32 and checks their shapes.

    Raises:
        ValueError: they are not (B, num_joints, 3, 3) and (B, num_betas).
    """
    rotmats = tf.cast(rotmats, tf.float32)
    betas = tf.cast(betas, tf.float32)
    bones = data.num_joints
    if not rotmats.shape.is_compatible_with([None, bones, 3, 3]):
        raise ValueError(
            f"rotmats have shape {rotmats.shape}, expected "
            f"(B, {bones}, 3, 3). For rotation vectors (B, {bones}, 3) use "
            "geometry.rotvec_to_rotmat."
        )
    if not betas.shape.is_compatible_with([None, data.num_betas]):
        raise ValueError(
            f"betas have shape {betas.shape}, expected "
            f"(B, {data.num_betas}) for the body {data.name!r}. "
            "Give BodyData.load the num_betas you want."
        )
    return rotmats, betas


def _plain(heavy: Callable, light: Callable) -> Callable:
    """light(*heavy(rotmats, betas)) as a plain graph."""

    def inline(rotmats, betas):
        return light(*heavy(rotmats, betas))

    # One graph serves all batch sizes after the first.
    graph = tf.function(inline, autograph=False, reduce_retracing=True)

    def call(rotmats, betas):
        # A function inside of a graph would have graphs of its gradient too.
        return (inline if tf.inside_function() else graph)(rotmats, betas)

    return call


def _compiled(heavy: Callable, light: Callable) -> Callable:
    """light(*heavy(rotmats, betas)) and its gradient, compiled with XLA.

    By default TensorFlow keeps every intermediate value of the compiled
    forward pass for the backward pass. This keeps only the values that `heavy`
    returns. The gradients of its matrix products do not need their results, so
    XLA removes nearly all of the second run of `heavy` below.
    """

    # autograph would parse the code again for each body and change nothing.
    @tf.function(jit_compile=True, autograph=False)
    def forward(rotmats, betas):
        values = heavy(rotmats, betas)
        return light(*values), values

    @tf.function(jit_compile=True, autograph=False)
    def backward(inputs, values, upstream):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = light(*values)
        upstream = tape.gradient(outputs, values, upstream)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = heavy(*inputs)
        return tape.gradient(values, inputs, upstream)

    @tf.custom_gradient
    def call(rotmats, betas):
        # A persistent tape that sees this call makes gradients of `forward` of
        # its own, up to the third, and computes all that they would need.
        outputs, values = forward(*map(tf.stop_gradient, (rotmats, betas)))

        def gradient(*upstream):
            return backward((rotmats, betas), values, upstream)

        return outputs, gradient

    return call


def _forward_kinematics(
    tree: _Tree, rotmats: tf.Tensor, offsets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """World rotations (B, J, 3, 3) and joint positions (B, J, 3, 1).

    One product for each level of the tree.

    Args:
        tree: of the joints.
        rotmats: (B, J, 3, 3) relative to the parent.
        offsets: (B, J, 3, 1) from the parent to the joint at rest.
    """
    rotmats, offsets = (
        tf.split(_select(values, tree.order), tree.sizes, axis=1)
        for values in (rotmats, offsets)
    )
    rotations, positions = [rotmats[0]], [offsets[0]]
    for level, parents in enumerate(tree.parents, 1):
        rotation = _select(rotations[-1], parents)
        position = _select(positions[-1], parents)
        positions.append(position + tf.matmul(rotation, offsets[level]))
        rotations.append(tf.matmul(rotation, rotmats[level]))
    joint_order = np.argsort(tree.order)
    return (
        _select(tf.concat(rotations, axis=1), joint_order),
        _select(tf.concat(positions, axis=1), joint_order),
    )


def _select(values: tf.Tensor, indices: Sequence[int]) -> tf.Tensor:
    """Selects along axis 1, by slices: one for each run of indices.

    The gradient of a gather is a scatter, which XLA compiles and runs slowly
    on CPUs.
    """
    starts = [0, *(np.flatnonzero(np.diff(indices) != 1) + 1)]
    runs = np.split(np.asarray(indices), starts[1:])
    if len(runs) == 1 and len(indices) == values.shape[1]:
        return values
    slices = [values[:, run[0] : run[-1] + 1] for run in runs]
    return tf.concat(slices, axis=1) if len(slices) > 1 else slices[0]


def _blend_transforms(points: _Points, features, rotations, origins):
    """Blend shapes and blended bone motions of N points.

    Returns:
        Blend shape offsets (B, 1, 3, N), rotations (B, 3, 3, N) and
        translations (B, 3, N).
    """
    bones, count = points.rotation_weights.shape
    offsets = tf.matmul(features, points.blends)
    rotations = tf.reshape(tf.transpose(rotations, [0, 2, 3, 1]), [-1, bones])
    rotations = tf.matmul(rotations, points.rotation_weights)
    translations = tf.reshape(tf.transpose(origins, [0, 2, 3, 1]), [-1, bones])
    translations = tf.matmul(translations, points.translation_weights)
    return (
        tf.reshape(offsets, [-1, 1, 3, count]),
        tf.reshape(rotations, [-1, 3, 3, count]),
        tf.reshape(translations, [-1, 3, count]),
    )


def _transform(points: _Points, offsets, rotations, translations) -> tf.Tensor:
    """Applies the results of `_blend_transforms` to N points: (B, 3, N)."""
    at_rest = points.template + offsets
    return tf.reduce_sum(rotations * at_rest, axis=2) + translations


def _points(points: body_points.Points) -> _Points:
    weights = _constant(points.weights)
    return _Points(
        template=_constant(points.template),
        blends=_constant(points.blends),
        rotation_weights=weights,
        translation_weights=(
            weights
            if points.translation_counts is None
            else weights * points.translation_counts
        ),
    )


def _tree(parents: Sequence[int]) -> _Tree:
    """Arranges the joints by their depth in the tree."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    levels = [
        np.flatnonzero(np.equal(depths, d)) for d in range(max(depths) + 1)
    ]
    return _Tree(
        order=np.concatenate(levels),
        sizes=[len(level) for level in levels],
        parents=[
            np.searchsorted(above, np.take(parents, level))
            for above, level in itertools.pairwise(levels)
        ],
    )


def _bones(rest: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """From each joint's parent to the joint: (..., J, 3); a root's, from 0."""
    with_origin = np.concatenate([rest, np.zeros_like(rest[..., :1, :])], -2)
    return rest - with_origin[..., list(parents), :]


def _constant(array: np.ndarray) -> tf.Tensor:
    return tf.constant(np.ascontiguousarray(array), tf.float32)
