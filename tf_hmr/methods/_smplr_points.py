"""SMPLR's 41 points of a body, and where they are in the cube of a crop.

The cube of the maps is as wide as the crop, and as deep. Its unit is its side,
from its middle: x and y are half of the crop's [-1, 1]; z is about the pelvis,
in the same unit. So a weak perspective camera (s, t) places a point (x, y, z),
metres about the pelvis, at s / 2 times (x + tx, y + ty, z).
"""

import itertools

import numpy as np
import tensorflow as tf

from tf_hmr import joints
from tf_hmr.body import pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.methods import _smpl_losses

SCALES = (0.72, 2.08)
"""Scales that a crop's camera may have. Rendered people in boxes stay within
1.08 -/+ 0.54 = three standard deviations."""
MIN_KEYPOINTS = 4
"""Visible keypoints that a camera is fitted to."""
# A person of less than a tenth of the crop's side teaches nothing.
_MIN_SCALE = 0.1
# Points that move with the pelvis, for a weighted mean that stands for it.
_NEAR_PELVIS = (
    "left_hip",
    "right_hip",
    "spine1",
    "belly",
    "left_hip_side",
    "right_hip_side",
)
# Bones of which people have much the same lengths; long ones, by their ends.
_LONG_BONES = tuple(
    f"{side}_{name}"
    for side, name in itertools.product(
        ("left", "right"), ("knee", "ankle", "elbow", "wrist", "shoulder")
    )
) + ("neck",)


def names(landmarks: bool) -> tuple[str, ...]:
    """Points that the networks find: joints.SMPLR41, or its joints alone."""
    return joints.SMPLR41 if landmarks else joints.SMPL24[1:]


class BodyPoints:
    """The points of posed bodies, without their meshes."""

    def __init__(
        self,
        data: BodyData,
        joint_names: tuple[str, ...],
        jit: bool,
        landmarks: bool = True,
    ):
        """Folds the points.

        Args:
            data: the body; its topology has surface landmarks.
            joint_names: keypoints of the method.
            jit: as of Body.
            landmarks: whether landmarks of the skin follow the joints.

        Raises:
            ValueError: its joints are not SMPL's, or its topology is unknown.
        """
        joints.check_smpl24(data.joint_names, "SMPLR")
        self.joint_names, self.names = joint_names, names(landmarks)
        on_skin = joints.LANDMARKS18 if landmarks else ()
        of = (*joint_names, *on_skin)
        self._body = pairs.make(data, lambda one: Body(one, of, jit))
        self.has_pair = data.male is not None

    def shape(self, betas: tf.Tensor, gender: tf.Tensor) -> tf.Tensor:
        """The numbers of the body's shape.

        Args:
            betas: (B, P).
            gender: (B,) or (B, 1), negative for women, positive for men.

        Returns:
            (B, P), or of two bodies (B, P + 1) with the gender.
        """
        if not self.has_pair:
            return betas
        gender = tf.cast(tf.reshape(gender, (-1, 1)), tf.float32)
        return tf.concat([betas, gender], axis=1)

    def known(self, gender: tf.Tensor) -> tf.Tensor:
        """(B,) 1 where a labelled gender (B,) says which body the betas are of.

        One body has no need of it.
        """
        if not self.has_pair:
            return tf.ones_like(gender)
        return tf.abs(tf.sign(gender))

    def __call__(
        self, rotmats: tf.Tensor, betas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Points of `names`, 41 or 23, and the method's keypoints.

        Args:
            rotmats: (B, 24, 3, 3); also matrices that are no rotations.
            betas: (B, P), or of `shape`.

        Returns:
            (B, 41, 3) and (B, J, 3), both about the pelvis, metres.
        """
        keypoints, skeleton = self._body.keypoints(rotmats, betas)
        count = len(self.joint_names)
        points = tf.concat([skeleton[:, 1:], keypoints[:, count:]], axis=1)
        pelvis = skeleton[:, 0:1]
        return points - pelvis, keypoints[:, :count] - pelvis


class Root:
    """The pelvis as a weighted mean of points that move with it.

    The hourglass of the paper has no map for the pelvis: its cube is centred
    there, which needs a known crop. The mean is within a centimetre of it.
    """

    # Weights of a fit over many shapes are kept small, so that it does not
    # amplify the noise of a point.
    _SHAPES, _RIDGE, _SUM_IS_ONE = 500, 2.0, 1e3

    def __init__(self, data: BodyData, landmarks: bool = True):
        """Fits the weights to random shapes of a body.

        Args:
            data: the body.
            landmarks: whether landmarks are among the points.
        """
        rng = np.random.default_rng(0)
        betas = rng.normal(size=(self._SHAPES, data.num_betas))
        shapes = []
        for one in filter(None, (data, data.male)):
            rest, blends = rest_points(one)
            shapes.append(rest + np.einsum("np,pkc->nkc", betas, blends))
        shapes = np.concatenate(shapes)
        of = names(landmarks)
        near = [name for name in _NEAR_PELVIS if name in of]
        near_rows = list(joints.select(near, of=of))
        # The pelvis is row 0.
        neighbours = shapes[:, 1:][:, near_rows].transpose(0, 2, 1)
        rows = np.concatenate(
            [
                neighbours.reshape(-1, len(near_rows)),
                np.full((1, len(near_rows)), self._SUM_IS_ONE),
                self._RIDGE * np.eye(len(near_rows)),
            ]
        )
        values = np.concatenate(
            [shapes[:, 0].ravel(), [self._SUM_IS_ONE], np.zeros(len(near_rows))]
        )
        weights = np.zeros((1, len(of), 1), np.float32)
        weights[0, near_rows, 0] = np.linalg.lstsq(rows, values, rcond=None)[0]
        self.weights = weights / weights.sum()

    def __call__(self, points: tf.Tensor) -> tf.Tensor:
        """(B, 41, 3) -> (B, 1, 3), in the points' unit."""
        return tf.reduce_sum(points * self.weights, axis=1, keepdims=True)


def rest_points(data: BodyData) -> tuple[np.ndarray, np.ndarray]:
    """Pelvis and joints.SMPLR41 at rest, in float64.

    Returns:
        (42, 3) of the mean shape, metres, and (P, 42, 3) per beta.
    """
    rows = np.concatenate(
        [data.J_regressor, data.regressor(joints.LANDMARKS18)]
    ).astype(np.float64)
    return rows @ data.v_template, np.einsum(
        "kv,vcp->pkc", rows, data.shapedirs
    )


def bone_weights(template: np.ndarray) -> np.ndarray:
    """Weights (P,) of bone lengths whose sum is a scale.

    The sum of length times weight is the least squares estimate of the ratio
    of the long bones to the template's.
    """
    long_bones = list(joints.select(_LONG_BONES, of=joints.SMPLR41))
    weights = np.zeros(len(template), np.float32)
    weights[long_bones] = template[long_bones]
    return weights / (weights @ template)


def weak_camera(
    points: tf.Tensor, keypoints: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Weak perspective camera of labelled bodies, by least squares.

    Args:
        points: (B, J, 3) keypoints of the bodies about the pelvis, metres.
        keypoints: (B, J, 3) where they are in the crop, [-1, 1], and
            visibility.

    Returns:
        Scale (B, 1, 1) and move (B, 1, 2) of a point: keypoint = scale point
        + move; and flags (B,), 0 where too few keypoints are visible or the
        person is too small to learn from.
    """
    visible = keypoints[..., 2:]
    count = tf.reduce_sum(visible, axis=1, keepdims=True)
    image_points = tf.where(visible > 0, keypoints[..., :2], 0.0)

    def mean(values):
        total = tf.reduce_sum(visible * values, axis=1, keepdims=True)
        return tf.math.divide_no_nan(total, count)

    middle, image_middle = mean(points[..., :2]), mean(image_points)
    body_offsets, image_offsets = (
        points[..., :2] - middle,
        image_points - image_middle,
    )
    covariance = tf.reduce_sum(
        visible * body_offsets * image_offsets, (1, 2), keepdims=True
    )
    variance = tf.reduce_sum(
        visible * body_offsets * body_offsets, (1, 2), keepdims=True
    )
    scale = tf.math.divide_no_nan(covariance, variance)
    is_fit = (count >= MIN_KEYPOINTS) & (scale > _MIN_SCALE)
    is_fit = tf.cast(is_fit[:, 0, 0], tf.float32)
    return scale, image_middle - scale * middle, is_fit


def labelled_keypoints(batch, names: tuple[str, ...]) -> tf.Tensor:
    """(B, J, 3) keypoints of a batch by name."""
    return _smpl_losses.select(batch["keypoints"], names)
