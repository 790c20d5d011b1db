"""Encoders start from files of Keras 2, Keras 3 and TF-slim, or say why not.

The files are written here, in the layout that Keras' own loader reads.
"""

import pathlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import hmr_tf1, spin_files, torch_writer
from tests.support.closeness import assert_close
from tf_hmr.networks import (
    encoder_weights,
    encoders,
    imagenet,
    resnet,
    resnet_v15,
)

SIDE = 64


def random_weights(model, seed=3) -> dict[str, dict[str, np.ndarray]]:
    """Other weights for a model, by layer and name; variances positive."""
    rng = np.random.default_rng(seed)

    def value(variable):
        shape = tuple(variable.shape)
        if variable.name == "kernel":
            normal = rng.standard_normal(shape, np.float32)
            return normal * np.float32(np.prod(shape[:-1]) ** -0.5)
        return rng.random(shape, np.float32) + np.float32(0.5)

    return {
        layer.name: {v.name: value(v) for v in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def write_keras2(path, layers) -> str:
    """As Keras 2 wrote its published files: groups of `layer/name:0`."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, values in layers.items():
            group = file.require_group(layer)
            names = [f"{layer}/{name}:0" for name in values]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, values.values(), strict=True):
                group[name] = value
    return str(path)


def check_loaded(model, layers) -> None:
    count = 0
    for layer in model.layers:
        for variable in layer.weights:
            expected = layers[layer.name][variable.name]
            assert_close("exact", variable, expected)
            count += 1
    assert count == sum(map(len, layers.values()))


@pytest.fixture
def small():
    return encoders.build("small", SIDE, 4)


def test_none_changes_nothing(small):
    before = small.get_weights()
    encoder_weights.load(small, "none")
    for old, new in zip(before, small.get_weights(), strict=True):
        assert_close("exact", new, old)


def test_imagenet_file_of_resnet50(monkeypatch, tmp_path, rng):
    """A file that Keras' own application takes gives its features here."""
    encoder = encoders.build("resnet50", SIDE)
    layers = random_weights(encoder)
    path = write_keras2(tmp_path / "notop.h5", layers)
    keras_model = keras.applications.ResNet50V2(
        include_top=False, weights=path, input_shape=(SIDE, SIDE, 3)
    )
    # Now with the classifier, and in another order: names decide.
    layers["predictions"] = {"kernel": np.ones((2048, 10), np.float32)}
    other_order = {name: layers[name] for name in sorted(layers)}
    path = write_keras2(tmp_path / "top.h5", other_order)
    monkeypatch.setattr(
        imagenet, "fetch", lambda name: {"resnet50": pathlib.Path(path)}[name]
    )
    encoder_weights.load(encoder, "imagenet")
    del layers["predictions"]
    check_loaded(encoder, layers)
    images = tf.constant(rng.uniform(-1, 1, (1, SIDE, SIDE, 3)), tf.float32)
    expected = keras_model(images)
    assert tf.math.reduce_std(expected) > 0
    assert_close("relative_float32", encoder(images), expected)


def test_layers_that_were_renamed(tmp_path):
    """MobileNetV3: by order, as the published file has older names."""
    encoder = encoders.with_finer_map(encoders.build("mobilenet_v3", SIDE))
    layers = random_weights(encoder)
    older = {
        name.replace("_bn", "/BatchNorm").replace("conv_", "conv/"): {
            "depthwise_kernel"
            if kind == "kernel" and name.endswith("depthwise")
            else kind: value
            for kind, value in values.items()
        }
        for name, values in layers.items()
    }
    assert len(older) == len(layers) and set(older) != set(layers)
    encoder_weights.load(encoder, write_keras2(tmp_path / "old.h5", older))
    check_loaded(encoder, layers)


def test_whole_model_of_keras_2(small, tmp_path):
    """Keras' own writer; weights are found below model_weights."""
    source = encoders.build("small", SIDE, 4)
    layers = random_weights(source)
    for layer in source.layers:
        for variable in layer.weights:
            variable.assign(layers[layer.name][variable.name])
    source.save(tmp_path / "whole.h5")
    finer = encoders.with_finer_map(small)
    encoder_weights.load(finer, str(tmp_path / "whole.h5"))
    check_loaded(small, layers)


@pytest.mark.parametrize("file", ["a.weights.h5", "renamed.h5"])
def test_weights_of_keras_3(small, tmp_path, file):
    source = encoders.build("small", SIDE, 4)
    source.set_weights([value + 1 for value in source.get_weights()])
    source.save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").rename(tmp_path / file)
    encoder_weights.load(encoders.with_finer_map(small), str(tmp_path / file))
    for new, expected in zip(
        small.get_weights(), source.get_weights(), strict=True
    ):
        assert_close("exact", new, expected)


def test_checkpoint_of_slim(tmp_path):
    """As resnet_v2_50.ckpt: with a classifier and a step counter."""
    encoder = encoders.build("resnet50_slim", SIDE)
    arrays = {
        name: hmr_tf1.draw(name, tuple(variable.shape))
        for name, variable in resnet.slim_names(encoder).items()
    }
    extra = {
        f"{resnet.SLIM_SCOPE}/logits/weights": np.ones((1, 1, 2048, 9)),
        "global_step": np.int64(1),
        "mean_rgb": np.ones(3),
    }
    hmr_tf1.write(tmp_path / "resnet_v2_50.ckpt", arrays | extra)
    encoder_weights.load(encoder, str(tmp_path / "resnet_v2_50.ckpt"))
    for name, variable in resnet.slim_names(encoder).items():
        assert_close("exact", variable, arrays[name])
    block = "resnet_v2_50/block4/unit_3/bottleneck_v2"
    assert_close(
        "exact",
        encoder.get_layer("conv5_block3_2_bn").moving_variance,
        arrays[f"{block}/conv2/BatchNorm/moving_variance"],
    )


def test_file_of_torchvision(small, tmp_path):
    """As resnet50-19c8e357.pth: with its classifier and without counters."""
    encoder = encoders.build("resnet50_v15", SIDE)
    names = resnet_v15.torch_names(encoder)
    arrays = {
        name: spin_files.draw(name, shape)
        for name, shape in spin_files.shapes().items()
        if name in names
    }
    extra = {
        "fc.weight": np.ones((9, 2048), np.float32),
        "fc.bias": np.ones(9, np.float32),
        "bn1.num_batches_tracked": np.int64(0),
    }
    path = tmp_path / "resnet50-19c8e357.pth"
    torch_writer.write_pickles(path, torch_writer.tensors(arrays | extra))
    encoder_weights.load(encoder, str(path))
    for name, variable in names.items():
        array = arrays[name]
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        assert_close("exact", variable, array)
    with pytest.raises(ValueError, match="--method.encoder resnet50_v15"):
        encoder_weights.load(small, str(path))
    torch_writer.write_pickles(path, torch_writer.tensors(extra))
    with pytest.raises(ValueError, match=r"none of the 265 .*conv1.weight\)"):
        encoder_weights.load(encoder, str(path))
    prefixed = {f"module.{name}": v for name, v in (arrays | extra).items()}
    content = {"state_dict": torch_writer.tensors(prefixed), "epoch": 90}
    torch_writer.write_zip(path, content)
    variable = names["conv1.weight"]
    variable.assign(0 * variable)
    encoder_weights.load(encoder, str(path))
    kernel = arrays["conv1.weight"].transpose(2, 3, 1, 0)
    assert_close("exact", variable, kernel)


def test_each_difference_is_named_and_nothing_changed(small, tmp_path):
    layers = random_weights(small)
    layers["stage1_unit1_1_conv"]["kernel"] = np.zeros((3, 3, 4, 9))
    del layers["stage1_unit1_1_bn"]["beta"]
    layers["attention"] = {"kernel": np.zeros((1, 1))}
    before = small.get_weights()
    path = write_keras2(tmp_path / "other.h5", layers)
    with pytest.raises(ValueError, match="does not fit.*'small'") as error:
        encoder_weights.load(small, path)
    text = str(error.value)
    assert "stage1_unit1_1_bn/beta is missing" in text
    assert "shape (3, 3, 4, 9), expected (3, 3, 4, 8)" in text
    assert "attention/kernel is left over" in text
    assert text.count(";") == 2
    for old, new in zip(before, small.get_weights(), strict=True):
        assert_close("exact", new, old)


def test_keras_3_differences_are_named(small, tmp_path):
    encoders.build("small", SIDE, 8).save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(
        ValueError, match=r"vars/0 has shape \(8,\), expected \(4"
    ):
        encoder_weights.load(small, str(tmp_path / "x.weights.h5"))


def test_files_of_the_other_dialect(small, tmp_path):
    slim = keras.Model(small.input, small.output, name="resnet50_slim")
    path = write_keras2(tmp_path / "keras.h5", random_weights(small))
    with pytest.raises(ValueError, match="pools.*--method.encoder resnet50,"):
        encoder_weights.load(slim, path)
    with pytest.raises(ValueError, match="no ImageNet weights.*resnet_v2_50"):
        encoder_weights.load(slim, "imagenet")
    hmr_tf1.write(tmp_path / "a.ckpt", {"resnet_v2_50/conv1": np.zeros(1)})
    with pytest.raises(ValueError, match="--method.encoder resnet50_slim"):
        encoder_weights.load(small, str(tmp_path / "a.ckpt"))


@pytest.mark.parametrize("length", [0, 20, 0.5, 0.98])
@pytest.mark.parametrize("kind", ["keras2", "keras3"])
def test_cut_files_are_named(small, tmp_path, kind, length):
    path = tmp_path / "cut.weights.h5"
    if kind == "keras2":
        write_keras2(path, random_weights(small))
    else:
        small.save_weights(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(length * len(data)) if length < 1 else length])
    with pytest.raises(ValueError, match="cut.weights.h5.*cut short"):
        encoder_weights.load(small, str(path))


def test_missing_file_lists_what_can_be_given(small):
    with pytest.raises(FileNotFoundError, match="'none'.*'imagenet'.*ckpt"):
        encoder_weights.load(small, "nowhere.h5")
