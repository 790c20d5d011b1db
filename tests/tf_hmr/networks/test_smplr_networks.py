"""The networks of SMPLR: the papers' sizes, and what the golden cannot see."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge import lint, operators
from tests.support import tflite_graphs
from tests.support.closeness import assert_close
from tf_hmr.networks import (
    denoiser,
    reversed_smpl,
    volumetric_hourglass,
)

SMALL = {
    "stacks": 2,
    "width": 8,
    "bins": 2,
    "maps": 5,
    "levels": 2,
    "stem": (4, 6, 6),
}
SIDE = 32


def size(layer) -> int:
    """Number of trainable numbers."""
    return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def small(**changes):
    return volumetric_hourglass.VolumetricHourglass(**SMALL | changes)


@pytest.fixture
def images(rng):
    return tf.constant(rng.normal(size=(3, SIDE, SIDE, 3)), tf.float32)


@pytest.fixture
def points(rng):
    return tf.constant(rng.normal(0, 0.3, (4, 41, 3)), tf.float32)


def test_networks_without_pictures_have_the_papers_sizes(points):
    network = denoiser.Denoiser()
    network(points)
    assert size(network) == 3_411_579
    network = reversed_smpl.ShapeRegressor()
    assert network(points[..., 0]).shape == (4, 11)
    assert size(network) == 2_485_779
    network = reversed_smpl.PoseRegressor()
    assert network(points).shape == (4, 24, 3, 3)
    assert size(network) == 2_768_392


def paper_size(stacks: int) -> int:
    network = volumetric_hourglass.VolumetricHourglass(stacks)
    network(keras.Input((256, 256, 3)))
    return size(network)


def test_hourglass_has_the_papers_size():
    """From one stack and what another one adds."""
    one, two = paper_size(1), paper_size(2)
    assert one + 4 * (two - one) == 16_475_456


@pytest.mark.slow
def test_whole_hourglass_has_the_papers_size():
    network = volumetric_hourglass.VolumetricHourglass()
    logits = network(keras.Input((256, 256, 3)))
    assert size(network) == 16_475_456
    statistics = [v for v in network.non_trainable_variables if "bn" in v.path]
    assert sum(int(np.prod(v.shape)) for v in statistics) == 70_784
    assert [x.shape for x in logits] == [(None, 64, 64, 16 * 45)] * 5


def test_a_small_hourglass_is_of_the_same_class(images):
    network = small()
    logits = network(images, training=True)
    assert [x.shape for x in logits] == [(3, 8, 8, 10)] * 2
    repeated, features = network.call_with_features(images)
    assert features.shape == (3, 8, 8, 8) and np.min(features) >= 0
    last = network.stacks[-1].out(features)
    assert_close("same_sum_metres", last, repeated[-1])
    paths = [v.path for v in network.variables if "seed" not in v.path]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("encoder/") for path in paths)


def test_a_stack_reads_the_one_before(images):
    """Through both ways back, and beside them."""
    network = small(rate=0.0)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(network(images)[-1] ** 2)
    first = network.stacks[0]
    gradients = tape.gradient(
        value, [first.ll.kernel, first.out_back.kernel, network.conv.kernel]
    )
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_rows_and_columns_are_repeated():
    x = tf.reshape(tf.range(6.0), (1, 2, 3, 1))
    expected = np.arange(6.0).reshape(1, 2, 3, 1).repeat(2, 1).repeat(2, 2)
    assert_close("exact", volumetric_hourglass._doubled(x), expected)


def test_a_side_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="36 x 36.*multiple of 16"):
        small()(tf.zeros((1, 36, 36, 3)))
    with pytest.raises(ValueError, match="even.*width 7"):
        small(width=7)


def test_hourglass_converts_clean(images):
    network = small(stacks=1, levels=1)
    network(images)
    content = tflite_graphs.converted(
        lambda x: network(volumetric_hourglass.standardize(x))[-1],
        [(1, SIDE, SIDE, 3)],
    )
    assert list(lint.faults(content)) == []
    kinds = {operator.kind for operator in operators.read(content)}
    assert "RESIZE_NEAREST_NEIGHBOR" in kinds
    actual = tflite_graphs.run(content, [images[:1].numpy()])
    expected = network(volumetric_hourglass.standardize(images[:1]))[-1]
    assert_close("tflite_metres", actual, expected)


def test_images_are_standardized_as_tensorflow_does(rng):
    images = rng.uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    images[1] = 200  # One colour, and nearly one.
    images[2] = 200 + 0.01 * rng.normal(size=(8, 8, 3))
    actual = volumetric_hourglass.standardize(images)
    expected = tf.image.per_image_standardization(images)
    assert_close("batch_norm", actual, expected)


def test_denoiser_starts_as_the_identity(points):
    network = denoiser.Denoiser(hidden=16, identity=True)
    assert_close("exact", network(points), points)
    assert_close("exact", network(points, training=True), points)
    network = denoiser.Denoiser(hidden=16)
    assert np.abs(network(points) - points).max() > 0.01


def test_the_denoisers_last_skip_starts_before_its_dropout(points):
    """Nothing of the input is lost on the way past the bottleneck."""
    network = denoiser.Denoiser(hidden=16, rate=0.5, identity=True)
    network(points)
    network.out.bias.assign(np.arange(123.0))
    output = network(points, training=True)
    rest = tf.reshape(output - points, (4, 123)) - np.arange(123.0)
    assert_close("body_metres", rest, np.zeros((4, 123)))


def test_the_denoisers_dropout_is_on_its_input_and_its_code(points, rng):
    """Twice half of the input, or of the code, is dropped in training."""
    network = denoiser.Denoiser(hidden=64, rate=0.5)
    network(points)
    inputs = []
    for block in (network.encoder1, network.decoder2):
        block.call = lambda x, training=False, block=block: (
            inputs.append(x.numpy())
            or denoiser.Block.call(block, x, training=training)
        )
    network(points, training=True)
    network(points)
    for dropped, plain in zip(inputs[:2], inputs[2:], strict=True):
        assert 0.3 < (dropped == 0).mean() < 0.7
        assert not (plain == 0).any()
    noisy = np.reshape(points, (4, 123))
    kept_rows = inputs[0] != 0
    assert_close("same_sum_metres", inputs[0][kept_rows], 2 * noisy[kept_rows])


def test_networks_without_pictures_convert_clean(points):
    """As one file; Psi has Omega's layers."""
    clean = denoiser.Denoiser(hidden=16)
    pose = reversed_smpl.PoseRegressor(hidden=16)
    pose(clean(points))
    content = tflite_graphs.converted(lambda x: pose(clean(x)), [(1, 41, 3)])
    assert list(lint.faults(content)) == []


def test_raw_matrices_are_bounded_and_row_major(points):
    network = reversed_smpl.PoseRegressor(num_joints=5, hidden=16)
    network(points)
    network.out.kernel.assign(0 * network.out.kernel)
    network.out.bias.assign(np.arange(45.0) / 45)
    expected = np.tanh(np.arange(45.0) / 45).reshape(5, 3, 3)
    assert_close("relative_float32", network(points)[2], expected)
