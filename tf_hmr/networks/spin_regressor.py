"""The regressor of SPIN: HMR's without activations, for 6D rotations.

Kolotouros et al., Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop, ICCV 2019 (nkolot/SPIN: models/hmr.py).
"""

import keras
import numpy as np
import tensorflow as tf

from tf_hmr.networks import dropout

CAMERA = 3
BETAS = 10
"""Shape numbers of SPIN's checkpoints."""
# SPIN's weights expect a crop a fifth larger than the person's box
# (datasets/preprocess: scaleFactor; demo.py), and a focal length of 5000 px in
# 224 px (constants.py), here in sides of the crop.
CROP_SCALE = 1.2
FOCAL = 5000 / 224


class Regressor(keras.layers.Layer):
    """Refines (camera, rotations, betas) from features and feedback.

    There is only dropout between its layers; the start is not trained.
    """

    def __init__(
        self,
        hidden: int,
        rate: float,
        iterations: int,
        start: np.ndarray,
        num_betas: int = BETAS,
    ):
        """Makes the layers.

        Args:
            hidden: units of the two hidden layers.
            rate: dropout rate after each of them.
            iterations: passes with feedback.
            start: (3 + N + P,) camera, rotations and betas to start from.
            num_betas: number of betas (P).
        """
        # Float32 outside its hidden layers: the feedback sums small steps.
        super().__init__(name="regressor", dtype="float32")
        self.iterations, self.num_betas = iterations, num_betas
        self.start = np.asarray(start, np.float32)
        scaling = keras.initializers.VarianceScaling
        # PyTorch's default for a linear layer, but its biases start at 0, so
        # that the first estimate is `start`.
        linear = scaling(1 / 3, "fan_in", "uniform")
        dense = keras.layers.Dense
        self.fc1 = dense(hidden, kernel_initializer=linear, name="fc1")
        self.drop1 = dropout.Dropout(rate)
        self.fc2 = dense(hidden, kernel_initializer=linear, name="fc2")
        self.drop2 = dropout.Dropout(rate)

        def decoder(numbers, name):
            # Xavier's with a gain of 0.01.
            xavier = scaling(1e-4, "fan_avg", "uniform")
            return dense(
                numbers, kernel_initializer=xavier, dtype="float32", name=name
            )

        camera, pose, betas = self._sizes()
        self.deccam = decoder(camera, "deccam")
        self.decpose = decoder(pose, "decpose")
        self.decshape = decoder(betas, "decshape")

    def build(self, shape):
        hidden = self.fc1.units
        self.fc1.build((None, shape[-1] + len(self.start)))
        self.fc2.build((None, hidden))
        for decoder in (self.deccam, self.decpose, self.decshape):
            decoder.build((None, hidden))
        camera, pose, betas = self._parts(self.start)
        self.init_cam = self._initial_weight(camera, "init_cam")
        self.init_pose = self._initial_weight(pose, "init_pose")
        self.init_shape = self._initial_weight(betas, "init_shape")

    def _initial_weight(self, value: np.ndarray, name: str) -> keras.Variable:
        # An initializer, because an assign inside a symbolic build is lost.
        return self.add_weight(
            shape=(1, value.size),
            initializer=lambda shape, dtype=None: tf.constant(
                value[None], dtype
            ),
            trainable=False,
            name=name,
        )

    def initialize_from_mean(self, theta: np.ndarray) -> None:
        """Sets the initial estimate; `theta` as the constructor's `start`."""
        variables = (self.init_cam, self.init_pose, self.init_shape)
        for variable, value in zip(variables, self._parts(theta), strict=True):
            variable.assign(value[None])

    def initial_estimate(self) -> tf.Tensor:
        """The initial estimate, (1, N)."""
        parts = (self.init_cam, self.init_pose, self.init_shape)
        return tf.concat([tf.convert_to_tensor(v) for v in parts], axis=-1)

    def call(self, features, training=False):
        """(B, F) -> list of (B, N), one for each iteration."""
        theta = self.initial_estimate() + tf.zeros_like(features[:, 0:1])
        camera, pose, betas = tf.split(theta, self._sizes(), axis=-1)
        thetas = []
        for _ in range(self.iterations):
            # The order of SPIN's checkpoints.
            x = self.fc1(tf.concat([features, pose, betas, camera], axis=-1))
            x = self.fc2(self.drop1(x, training=training))
            x = self.drop2(x, training=training)
            pose = pose + self.decpose(x)
            betas = betas + self.decshape(x)
            camera = camera + self.deccam(x)
            thetas.append(tf.concat([camera, pose, betas], axis=-1))
        return thetas

    def _sizes(self) -> list[int]:
        """Sizes of camera, rotations and betas."""
        pose = len(self.start) - CAMERA - self.num_betas
        return [CAMERA, pose, self.num_betas]

    def _parts(self, theta: np.ndarray) -> list[np.ndarray]:
        """Splits theta into camera, rotations and betas."""
        ends = np.cumsum(self._sizes())[:-1]
        return np.split(np.asarray(theta, np.float32), ends)
