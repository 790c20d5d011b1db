"""A small, untrained network that reads all that a card may list."""

import numpy as np
import tensorflow as tf

from tf_hmr import method_inputs
from tf_hmr.body.model import Body
from tf_hmr.methods import hmr

INPUTS = ("image", "box", "image_size", "intrinsics")
CONFIG = hmr.Config(
    image_size=64,
    encoder="small",
    rotation="6d",
    hidden=32,
    adversary=False,
)


class Model(hmr.Model):
    """HMR whose keypoints move with the crop's place in the photo."""

    def __init__(self, config: hmr.Config, body: Body):
        super().__init__(config, body)
        self.input_names = INPUTS

    def call(self, inputs, training=False):
        """Inputs of INPUTS -> Prediction."""
        prediction = super().call(inputs, training)
        middle = inputs["box"][:, 0:2] + 0.5 * inputs["box"][:, 2:4]
        position = middle / inputs["image_size"] - 0.5
        shift = position + inputs["intrinsics"][:, 2:4]
        shift = shift / inputs["intrinsics"][:, 0:2]
        keypoints = prediction.keypoints + tf.reshape(shift, (-1, 1, 2))
        return prediction._replace(keypoints=keypoints)


def build(config: hmr.Config, body: Body) -> Model:
    """As method.build; its weights are scattered, so that photos differ."""
    model = Model(config, body)
    model(method_inputs.example(INPUTS, config.image_size))
    kernel = model.regressor.fc3.kernel
    kernel.assign(np.random.default_rng(3).normal(0, 0.1, kernel.shape))
    return model
