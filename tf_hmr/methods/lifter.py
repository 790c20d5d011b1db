"""A lifter: a body from the landmarks of BlazePose, without pixels.

The network is that of Martinez et al., A Simple Yet Effective Baseline for 3D
Human Pose Estimation, ICCV 2017; it regresses the rotations and betas of SMPL
instead of joints, and reads BlazePose's estimate in metres beside the points
in the image. It learns from BlazePose's answers on rendered people, so it
sees BlazePose's errors, and no photo.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import config_values, joints, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from tf_hmr.methods import _smpl_losses, _theta
from tf_hmr.networks import dropout, residual_mlp

LANDMARKS = joints.BLAZEPOSE33
INSIDE = 0.5
"""A landmark is used if it is inside the photo with this probability: where
BlazePose puts others is a guess."""
_ROTATION = "6d"
# Mirroring negates x of vectors; of a rotation's first two columns it negates
# all but the first number of the first, and the first number of the second.
_MIRROR_6D = np.float32([1, -1, -1, -1, 1, 1])
# Landmarks that something hides together, or that others than BlazePose do not
# know: the last words of their names.
_ARM = ("elbow", "wrist", "pinky", "index", "thumb")
_LEG = ("hip", "knee", "ankle", "heel", "foot_index")
_LIMBS = (_ARM, _ARM[1:], _ARM[2:], _LEG[1:], _LEG[2:])


def _sided(parts, sides=("left", "right")) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for side in sides for part in parts)


_MISSING = (
    *(_sided(parts, (side,)) for parts in _LIMBS for side in ("left", "right")),
    *(_sided(_LEG[start:]) for start in range(3)),  # the photo ends there
    LANDMARKS[: LANDMARKS.index("left_shoulder")],
    _sided(_ARM[2:]),
    _sided(("eye_inner", "eye_outer", "mouth")),
    *((name,) for name in LANDMARKS),
)


@dataclasses.dataclass(frozen=True)
class Config(method.Config):
    """Defaults are those of the shipped weights, and of their training."""

    hidden: config_values.Count = 256
    """Units of each hidden layer."""
    blocks: config_values.Count = 2
    """Residual blocks of two layers each."""
    dropout: config_values.Dropout = 0.1
    """Dropout after each layer of a block."""
    noise: config_values.NonNegative = 0.02
    """In training: standard deviation of noise on landmarks, in metres, and
    over their spread in the image."""
    missing: config_values.Share = 0.04
    """In training: share of the examples that miss an arm, a leg, a single
    landmark, ...; each group of landmarks is drawn alone."""
    keypoints_2d: config_values.NonNegative = 1.0
    """Weight of the 2D keypoint loss."""
    joints_3d: config_values.NonNegative = 10.0
    """Weight of the 3D joint loss."""
    rotmats: config_values.NonNegative = 3.0
    """Weight of the rotation matrix loss."""
    betas: config_values.NonNegative = 0.5
    """Weight of the shape loss."""


class Model(method.Method):
    """A perceptron on normalised landmarks; the camera by least squares.

    Mirrored landmarks give exactly the mirrored body: both are evaluated, and
    their estimates averaged.
    """

    input_names = ("landmarks",)

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        joints.check_smpl24(body.data.joint_names, "The lifter")
        self.regressor = residual_mlp.ResidualMlp(
            config.hidden,
            config.blocks,
            config.dropout,
            self._encode(None, None),
        )
        self._seeds = keras.random.SeedGenerator()
        named = [
            name
            for name in self.joint_names
            if name in joints.BLAZEPOSE_OF_KEYPOINT
        ]
        self._projected = joints.select(named, of=self.joint_names)
        self._observed = joints.select(
            [joints.BLAZEPOSE_OF_KEYPOINT[name] for name in named],
            of=LANDMARKS,
        )
        self._groups = np.array(
            [np.isin(LANDMARKS, group) for group in _MISSING], np.float32
        )

    def _encode(self, rotmats, betas) -> np.ndarray:
        """Numbers (N,) of a body: the rotations' columns, and betas."""
        theta = _theta.encode(self.body, _ROTATION, rotmats, betas)
        return theta[_theta.CAMERA :]

    def initialize_from_mean(self, rotmats, betas):
        """Starts the regressor at a mean pose and shape."""
        self.regressor.initialize_from_mean(self._encode(rotmats, betas))

    def mean_body(self):
        """The regressor's start: rotations (J, 3, 3) and betas (P,)."""
        rotmats, betas = self._decode(self.regressor.initial)
        return rotmats[0], betas[0]

    def call(self, inputs, training=False):
        """inputs["landmarks"] (B, 33, 7) -> Prediction."""
        landmarks = inputs["landmarks"]
        weight = self._weights(landmarks, training)
        image, metres = self._normalised(landmarks, weight, training)
        flags = landmarks[..., 5:] * weight
        estimate = self._estimate(image, metres, flags, training)
        rotmats, betas = self._decode(estimate)
        if training:
            vertices = None
            points, _ = self.body.keypoints(rotmats, betas)
        else:
            vertices, points, _ = self.body(rotmats, betas)
        visible = landmarks[..., 5:6] * weight
        weak = fitted_camera(
            tf.gather(points, self._projected, axis=1),
            tf.gather(landmarks[..., :2], self._observed, axis=1),
            tf.gather(visible, self._observed, axis=1),
        )
        keypoints = camera.project_weak_perspective(points, weak)
        return method.Prediction(
            rotmats, betas, weak, points, keypoints, vertices
        )

    def _weights(self, landmarks, training):
        """(B, 33, 1) 1 for landmarks that are used, else 0."""
        weight = tf.cast(landmarks[..., 6:] > INSIDE, tf.float32)
        if training and self.config.missing:
            count = tf.shape(landmarks)[0]
            drawn = tf.random.stateless_uniform(
                [count, len(self._groups)], dropout.next_seed(self._seeds)
            )
            hidden = tf.cast(drawn < self.config.missing, tf.float32)
            hidden = tf.minimum(tf.matmul(hidden, self._groups), 1.0)
            weight *= (1.0 - hidden)[..., None]
        return weight

    def _normalised(self, landmarks, weight, training):
        """Points in the image, of any crop, and metres; 0 where not used.

        Returns:
            (B, 33, 2) about their middle, in units of their spread; (B, 33,
            3) about BlazePose's hips.
        """
        count = tf.maximum(tf.reduce_sum(weight, axis=1, keepdims=True), 1.0)
        image, metres = landmarks[..., :2], landmarks[..., 2:5]
        middle = tf.reduce_sum(image * weight, axis=1, keepdims=True) / count
        image = (image - middle) * weight
        spread = tf.reduce_sum(image * image, axis=[1, 2], keepdims=True)
        spread = tf.sqrt(spread / count + _TINY)
        image = image / spread
        if training and self.config.noise:
            seed = dropout.next_seed(self._seeds)
            noise = tf.random.stateless_normal(
                tf.shape(landmarks[..., :5]), seed, 0.0, self.config.noise
            )
            image, metres = image + noise[..., :2], metres + noise[..., 2:]
        return image * weight, metres * weight

    def _estimate(self, image, metres, flags, training):
        """(B, N) numbers of `_encode`, averaged with the mirror image's."""
        swap = list(joints.mirror(LANDMARKS))
        mirrored = [
            tf.gather(points, swap, axis=1) * np.float32(signs)
            for points, signs in (
                (image, [-1, 1]),
                (metres, [-1, 1, 1]),
                (flags, [1, 1]),
            )
        ]
        rows = [
            tf.concat([_flat(part) for part in parts], axis=1)
            for parts in ((image, metres, flags), mirrored)
        ]
        both = self.regressor(tf.concat(rows, axis=0), training=training)
        plain, reflected = tf.split(both, 2, axis=0)
        return 0.5 * (plain + self._mirror(reflected))

    def _mirror(self, estimate):
        """The numbers of the mirrored bodies."""
        names = self.body.data.joint_names
        end = len(_MIRROR_6D) * len(names)
        pose = tf.reshape(estimate[:, :end], (-1, len(names), len(_MIRROR_6D)))
        pose = tf.gather(pose, list(joints.mirror(names)), axis=1) * _MIRROR_6D
        return tf.concat([_flat(pose), estimate[:, end:]], axis=1)

    def _decode(self, estimate):
        """(B, N) -> rotmats (B, 24, 3, 3), betas (B, 10)."""
        # The camera is not among the numbers that this method regresses.
        theta = tf.pad(estimate, [[0, 0], [_theta.CAMERA, 0]])
        return _theta.decode(self.body, _ROTATION, theta)[1:]

    def terms(self, batch, prediction):
        """Absolute errors of joints, rotations, projections; betas squared."""
        config, names = self.config, self.joint_names
        aligned = _smpl_losses.root_aligned(
            prediction.joints, names, batch["joints3d"], "cocoplus"
        )
        return {
            "keypoints_2d": _smpl_losses.keypoints_2d(
                prediction.keypoints,
                _smpl_losses.select(batch["keypoints"], names),
                config.keypoints_2d,
            ),
            "joints_3d": _smpl_losses.joints_3d(
                aligned, "absolute", config.joints_3d
            ),
            "rotmats": _smpl_losses.rotmats(
                prediction, batch, "absolute", config.rotmats
            ),
            "betas": _smpl_losses.betas(prediction, batch, config.betas),
        }


_TINY = 1e-9
_LEAST_SCALE = 0.5
"""Of the camera, over the spread of the points in the image: a pose that is
far from the landmarks must not turn the camera's scale negative."""


def fitted_camera(points, image, weight):
    """Weak perspective of joints that were seen in the image, least squares.

    Args:
        points: (B, K, 3) metres.
        image: (B, K, 2) in [-1, 1] of the crop.
        weight: (B, K, 1) of each.

    Returns:
        (B, 3) s, tx, ty, with s > 0; that of a body that fills the crop where
        fewer than two are seen.
    """
    total = tf.reduce_sum(weight, axis=1) + _TINY

    # Delegates take no slice that drops an axis.
    def about_middle(values):
        middle = tf.reduce_sum(weight * values, axis=1) / total
        return middle, values - tf.expand_dims(middle, 1)

    body_middle, body = about_middle(points[..., :2])
    image_middle, seen_points = about_middle(image)

    def weighted_sum(values):
        columns = tf.reduce_sum(weight * values, axis=1)
        return tf.reduce_sum(columns, axis=1, keepdims=True)

    spread = weighted_sum(body * body)
    scale = weighted_sum(body * seen_points) / (spread + _TINY)
    largest = tf.sqrt(
        (weighted_sum(seen_points * seen_points) + _TINY) / (spread + _TINY)
    )
    scale = tf.maximum(scale, _LEAST_SCALE * largest)
    # One point, or none, has no spread.
    scale = tf.where(spread > 1e-6, scale, _theta.START_CAMERA[0])
    return tf.concat([scale, image_middle / scale - body_middle], axis=1)


def _flat(values):
    """(B, n, m) -> (B, n m)."""
    return tf.reshape(values, (-1, values.shape[1] * values.shape[2]))
