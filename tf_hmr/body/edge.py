"""Body function of exported models: batch 1, in operators of GPU delegates.

The same function as `body.model.Body` (SMPL: Loper et al. 2015, eq. 2-10) in
other steps. Delegates need few operators of at most four axes, constants on
the right of a product and no axis dropped; a CPU needs few serial steps:

* terms that depend on betas and pose alone are one product with constants: the
  shape and pose blends with the template as bias, and the rest joints beside
  the bones, which need no vertex;
* coordinates stay in planes, (1, 4, 3, N): three columns of rotations and one
  of positions, so that a column of 3 x 4 matrices is one contiguous slice;
* SMPL's kinematic tree takes four rounds, not 23 products: each joint holds its
  motion relative to an ancestor, and each round appends that ancestor's motion
  and so doubles the distance (pointer jumping; Wyllie 1979). The gather of
  ancestors is a product with a one-hot matrix;
* keypoints move as the few rigid points that Body folds them into.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body import model as bodies
from tf_hmr.body import points as body_points
from tf_hmr.body.data import BodyData

SCOPE = "body"
"""Name scope of all operators of the body."""

_COLUMNS = 4  # Columns of a motion: three of its rotation, one position.


class EdgeBody:
    """A body that is called like Body, with one example, for tracing only.

    Attributes:
        data: the body's numbers.
        joint_names: the keypoints of its output.
        num_betas: number of its betas.
    """

    def __init__(
        self,
        data: BodyData,
        joint_names: Sequence[str] = joints.COCOPLUS19,
    ):
        """Folds the arrays of a body; raises what Body raises."""
        self.data = data
        self.joint_names = tuple(joint_names)
        self.num_betas = data.num_betas
        self._rest_blends, self._rest_template = _rest(data)
        self._rounds = _rounds(data.parents)
        self._surface = _arrange(body_points.surface_points(data))
        points, self._gather = body_points.of_keypoints(data, self.joint_names)
        self._keypoints = _arrange(points)

    def __call__(self, rotmats: tf.Tensor, betas: tf.Tensor) -> bodies.BodyMesh:
        """Poses the body.

        Args:
            rotmats: (1, J, 3, 3), as for Body.
            betas: (1, num_betas) shape.

        Returns:
            BodyMesh of one example, float32.

        Raises:
            ValueError: a shape is not as above.
        """
        rotmats, betas = self._check(rotmats, betas)
        with tf.name_scope(SCOPE):
            features, motions, skeleton = self._pose(rotmats, betas)
            points = _transform(self._keypoints, features, motions)
            return bodies.BodyMesh(
                vertices=_rows(_transform(self._surface, features, motions)),
                joints=_rows(_product(points, self._gather)),
                skeleton=_rows(skeleton),
            )

    def keypoints(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes `joints` and `skeleton` of a call, without its vertices.

        Arguments and errors are as of a call. A method whose `call` needs only
        these is exported with a few points instead of a second mesh.
        """
        rotmats, betas = self._check(rotmats, betas)
        with tf.name_scope(SCOPE):
            features, motions, skeleton = self._pose(rotmats, betas)
            points = _transform(self._keypoints, features, motions)
            return _rows(_product(points, self._gather)), _rows(skeleton)

    def _check(self, rotmats, betas):
        rotmats, betas = bodies.cast_arguments(self.data, rotmats, betas)
        if rotmats.shape[0] != 1 or betas.shape[0] != 1:
            raise ValueError(
                f"rotmats {rotmats.shape} and betas {betas.shape} are not one "
                "example, which is all that an exported body takes. For "
                "batches use Body."
            )
        return rotmats, betas

    def _pose(self, rotmats, betas):
        """Computes blend features, motions of the bones from rest, and joints.

        Returns:
            Features (1, 1, 1, P + 9 (J - 1)); motions (1, 4, 3, J); and the
            positions (1, 1, 3, J) of the posed joints.
        """
        bones = self.data.num_joints
        # (1, column, row, joint)
        rotations = tf.transpose(rotmats, (0, 3, 2, 1))
        betas = tf.reshape(betas, (1, 1, 1, self.num_betas))
        rest = _product(betas, self._rest_blends, self._rest_template)
        rest = tf.reshape(rest, (1, 2, 3, bones))
        motions = self._forward_kinematics(rotations, rest[:, 1:2])
        skeleton = motions[:, 3:4]
        origins = skeleton - _rotate_points(motions, rest[:, 0:1])
        motions = tf.concat([motions[:, 0:3], origins], axis=1)
        pose = tf.reshape(rotations[..., 1:], (1, 1, 1, 9 * (bones - 1)))
        return tf.concat([betas, pose], axis=3), motions, skeleton

    def _forward_kinematics(self, rotations, bones) -> tf.Tensor:
        """World rotations and joint positions, (1, 4, 3, J).

        Args:
            rotations: (1, 3, 3, J) relative to the parent.
            bones: (1, 1, 3, J) from the parent's rest position.
        """
        motions = tf.concat([rotations, bones], axis=1)
        last_column = _last_column()
        for ancestors, identities in self._rounds:
            flat = tf.reshape(motions, (1, 1, 3 * _COLUMNS, len(ancestors)))
            ancestor_motions = tf.reshape(
                _product(flat, ancestors), motions.shape
            )
            ancestor_motions = ancestor_motions + identities
            rotated = [
                ancestor_motions[:, k : k + 1] * motions[:, :, k : k + 1]
                for k in range(3)
            ]
            position = ancestor_motions[:, 3:4] * last_column
            motions = rotated[0] + rotated[1] + rotated[2] + position
        return motions


def _product(x: tf.Tensor, matrix: np.ndarray, bias=None) -> tf.Tensor:
    """Multiplies (1, 1, R, C) by (C, D), as a convolution for delegates."""
    kernel = np.asarray(matrix, np.float32)[None, None]
    y = tf.nn.conv2d(x, kernel, strides=1, padding="VALID")
    return y if bias is None else tf.nn.bias_add(y, np.float32(bias))


def _rotate_points(motions, points) -> tf.Tensor:
    """Applies the rotations of (1, 4, 3, N) to points (1, 1, 3, N)."""
    terms = [motions[:, k : k + 1] * points[:, :, k : k + 1] for k in range(3)]
    return terms[0] + terms[1] + terms[2]


def _transform(points: body_points.Points, features, motions) -> tf.Tensor:
    """Positions (1, 1, 3, N) of moved points.

    Args:
        points: N of them.
        features: (1, 1, 1, P + 9 (J - 1)).
        motions: (1, 4, 3, J) rotations and origins of the bones.
    """
    bones, count = points.weights.shape
    at_rest = _product(features, points.blends, points.template)
    at_rest = tf.reshape(at_rest, (1, 1, 3, count))
    flat = tf.reshape(motions, (1, 1, 3 * _COLUMNS, bones))
    blended = _product(flat, points.weights)
    blended = tf.reshape(blended, (1, _COLUMNS, 3, count))
    translation = blended[:, 3:4]
    if points.translation_counts is not None:
        translation = translation * points.translation_counts
    return _rotate_points(blended, at_rest) + translation


def _rows(points: tf.Tensor) -> tf.Tensor:
    """(1, 1, 3, N) planes to (1, N, 3)."""
    count = points.shape[3]
    return tf.reshape(tf.transpose(points, (0, 1, 3, 2)), (1, count, 3))


def _last_column() -> np.ndarray:
    """(1, 4, 1, 1): zeros, and a one for the positions of a motion."""
    return np.eye(_COLUMNS, dtype=np.float32)[None, :, 3:, None]


def _arrange(points: body_points.Points) -> body_points.Points:
    """Orders the pose blends as the features of `_pose`.

    BodyData's features are the rows of R - I, joint by joint; here they are
    R's columns, entry by entry of all joints, and I moves to the template.
    """
    num_rotated = len(points.weights) - 1
    shape, pose = np.split(
        points.blends, [len(points.blends) - 9 * num_rotated]
    )
    pose = pose.reshape(num_rotated, 3, 3, -1)
    at_identity = np.einsum("jrrn->n", pose)
    pose_blends = pose.transpose(2, 1, 0, 3).reshape(9 * num_rotated, -1)
    return points._replace(
        blends=np.concatenate([shape, pose_blends]),
        template=points.template.reshape(-1) - at_identity,
    )


def _rest(data: BodyData) -> tuple[np.ndarray, np.ndarray]:
    """Blends (P, 6 J) and template (6 J,) of rest joints, then bones."""
    rest_joints, blends = body_points.rest_joints(data)
    to_bones = np.eye(data.num_joints)
    for joint, parent in enumerate(data.parents):
        if parent >= 0:
            to_bones[joint, parent] = -1
    joints_and_bones = np.stack([np.eye(data.num_joints), to_bones])
    template = np.einsum("bij,jc->bci", joints_and_bones, rest_joints)
    blends = np.einsum("bij,pjc->pbci", joints_and_bones, blends)
    return blends.reshape(data.num_betas, -1), template.reshape(-1)


def _rounds(parents: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Constants of each round of the kinematic chain.

    Returns:
        For ancestors 1, 2, 4, ... generations up: the one-hot (J, J) that
        gathers them, and (1, 4, 3, J) identities for joints without one.
    """
    rounds, ancestors, bones = [], list(parents), len(parents)
    while max(ancestors) >= 0:
        descendants = [joint for joint in range(bones) if ancestors[joint] >= 0]
        gather = np.zeros((bones, bones), np.float32)
        gather[[ancestors[joint] for joint in descendants], descendants] = 1
        missing = 1 - gather.sum(0)
        identity = np.eye(_COLUMNS, 3, dtype=np.float32)
        rounds.append((gather, identity[None, :, :, None] * missing))
        ancestors = [
            ancestors[ancestors[joint]] if joint in descendants else -1
            for joint in range(bones)
        ]
    return rounds
