"""SMPLR's two networks that never see an image (Madadi et al. 2020, 3.3).

SMPL in reverse: Psi reads shape and gender from the lengths of bones, Omega
reads rotations from their directions (tf_hmr/geometry/bones.py). Layers and
constants: meysam-madadi/SMPLR: Models/smplr.py.
"""

import keras
import tensorflow as tf

from tf_hmr.networks import denoiser


class _Regressor(keras.layers.Layer):
    """Five blocks, two branches of different depth, one layer over both."""

    def __init__(self, outputs: int, hidden: int, name: str, bias=None):
        super().__init__(name=name, dtype="float32")
        units = (hidden, hidden, *[hidden // 2] * 3)
        self.trunk = [
            denoiser.Block(count, f"trunk{number}")
            for number, count in enumerate(units, start=1)
        ]
        self.deep1 = denoiser.Block(hidden // 4, "deep1")
        self.deep2 = denoiser.Block(hidden // 4, "deep2")
        self.deep_out = denoiser.dense(outputs, "deep_out")
        self.shallow = denoiser.Block(hidden // 4, "shallow")
        self.shallow_out = denoiser.dense(outputs, "shallow_out")
        self.out = denoiser.dense(outputs, "out", bias=bias)

    def build(self, shape=None):
        """Marks the layer as built; its layers make variables when called."""
        self.built = True

    def numbers(self, x, training):
        """(B, N) -> (B, outputs)."""
        for block in self.trunk:
            x = block(x, training=training)
        deep = self.deep2(self.deep1(x, training=training), training=training)
        shallow = self.shallow(x, training=training)
        branches = [self.deep_out(deep), self.shallow_out(shallow)]
        return self.out(tf.concat(branches, axis=1))


class _Identities(keras.initializers.Initializer):
    """Numbers whose hyperbolic tangents are about identity matrices."""

    def __call__(self, shape, dtype=None):
        """(9 J,) -> 2 on the diagonals of J matrices, 0 elsewhere."""
        matrix = 2.0 * tf.eye(3, dtype=dtype or "float32")
        return tf.tile(tf.reshape(matrix, [9]), [shape[0] // 9])


class ShapeRegressor(_Regressor):
    """Psi: bone lengths less those of the mean body -> betas and gender."""

    def __init__(
        self, num_betas: int = 10, hidden: int = 1024, name: str = "shape"
    ):
        """Number of betas (P), and units of the widest layers."""
        super().__init__(num_betas + 1, hidden, name)

    def call(self, lengths, training=False):
        """(B, 41) metres -> (B, P + 1); the last is negative for a woman."""
        return self.numbers(lengths, training)


class PoseRegressor(_Regressor):
    """Omega: directions of bones -> rotation matrices, not orthogonal yet."""

    def __init__(
        self, num_joints: int = 24, hidden: int = 1024, name: str = "pose"
    ):
        """Number of joints (J), and units of the widest layers."""
        # Matrices near 0 have no nearest rotation that rounding leaves alone.
        super().__init__(9 * num_joints, hidden, name, _Identities())
        self.num_joints = num_joints

    def call(self, directions, training=False):
        """(B, 41, 3) -> (B, J, 3, 3), entries of -1 to 1, row by row."""
        batch = -1 if directions.shape[0] is None else directions.shape[0]
        count = directions.shape[1] * directions.shape[2]
        numbers = self.numbers(tf.reshape(directions, (batch, count)), training)
        return tf.reshape(tf.tanh(numbers), (batch, self.num_joints, 3, 3))
