"""Loads pretrained weights into an encoder."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import numpy as np

from tf_hmr.formats import (
    foreign_weights,
    keras_files,
    tf1_checkpoint,
    torch_files,
)
from tf_hmr.networks import imagenet, resnet, resnet_v15

_CLASSIFIERS = ("predictions", "logits")
_KINDS = (
    "'none' (random weights), 'imagenet', a Keras weights file (.h5), the "
    "prefix of a TF-slim checkpoint (resnet_v2_50.ckpt) or, for resnet50_v15, "
    "torchvision's file (resnet50-19c8e357.pth)"
)


def load(encoder: keras.Model, weights: str) -> None:
    """Replaces the random weights of an encoder of `encoders`.

    Args:
        encoder: a model of `encoders.build`, also with a finer map.
        weights: "none" changes nothing; "imagenet" takes Keras' published
            file (downloaded once, into Keras' cache); else a path: a file of
            Keras (.h5 of Keras 2, .weights.h5 of Keras 3, which fits both
            dialects of ResNet-50 v2), the prefix of a TF-slim checkpoint, of
            which ResNet-50 v2 is taken, or a file of torchvision's ResNet-50
            (.pth), for "resnet50_v15".

    Raises:
        FileNotFoundError: no such file, or it could not be downloaded.
        ValueError: the weights belong to another network or are damaged; the
            message names some missing, left-over or misshaped ones, and says
            how many more there are.
    """
    if weights == "none":
        return
    path = Path(weights)
    if weights == "imagenet":
        path = imagenet.fetch(encoder.name)
    elif not (path.exists() or Path(f"{path}.index").exists()):
        raise FileNotFoundError(
            f"There are no encoder weights {weights!r}. Expected {_KINDS}."
        )
    if path.suffix == ".h5" or (path.is_file() and h5py.is_hdf5(path)):
        _load_keras(encoder, path)
    elif path.suffix in (".pth", ".pt"):
        _load_torch(encoder, path)
    else:
        _load_slim(encoder, path)


def _load_slim(encoder: keras.Model, path: Path) -> None:
    checkpoint = tf1_checkpoint.Checkpoint(path)
    if encoder.name != "resnet50_slim":
        raise ValueError(
            f"{path} is a checkpoint of TensorFlow 1, which holds TF-slim's "
            f"ResNet-50 v2, but the encoder is {encoder.name!r}. Choose "
            f"--method.encoder resnet50_slim, or "
            "`--encoder-weights none`."
        )
    scope = f"{resnet.SLIM_SCOPE}/"
    shapes = {
        name: shape
        for name, shape in checkpoint.shapes.items()
        if name.startswith(scope) and name.split("/")[1] not in _CLASSIFIERS
    }
    sources = [
        foreign_weights.single(variable, name)
        for name, variable in resnet.slim_names(encoder).items()
    ]
    expected = foreign_weights.expected_shapes(sources)
    _check(path, encoder, expected, shapes or checkpoint.shapes)
    foreign_weights.assign(sources, checkpoint.read)


def _load_torch(encoder: keras.Model, path: Path) -> None:
    if encoder.name != resnet_v15.NAME:
        raise ValueError(
            f"{path} is a file of PyTorch, whose ResNet-50 has the layers of "
            f"resnet50_v15, but the encoder is {encoder.name!r}. Choose "
            f"--method.encoder {resnet_v15.NAME}, or `--encoder-weights none`."
        )
    sources = [
        foreign_weights.single(
            variable, name, torch_files.shape_there(tuple(variable.shape))
        )
        for name, variable in resnet_v15.torch_names(encoder).items()
    ]
    expected = foreign_weights.expected_shapes(sources)
    stored = torch_files.state_dict(path, expected)
    tensors = {
        name: tensor
        for name, tensor in stored.tensors.items()
        if name.split(".")[0] != "fc"
        and not name.endswith(".num_batches_tracked")
    }
    tensor_shapes = {name: tensor.shape for name, tensor in tensors.items()}
    _check(path, encoder, expected, tensor_shapes, stored.note())
    foreign_weights.assign(sources, torch_files.weights_of(path, tensors))


def _load_keras(encoder: keras.Model, path: Path) -> None:
    stored = keras_files.read_layers(path)
    if stored is None:
        _load_keras3(encoder, path)
        return
    if encoder.name == "resnet50_slim":
        raise ValueError(
            f"{path} was written by Keras 2, whose ResNet-50 v2 pools "
            "otherwise than slim's: the same weights give other features. "
            "Choose --method.encoder resnet50, or the path of a TF-slim "
            "checkpoint (resnet_v2_50.ckpt)."
        )
    for name in _CLASSIFIERS:
        stored.pop(name, None)
    arrays = {
        f"{layer}/{name}": value
        for layer, values in stored.items()
        for name, value in values.items()
    }
    sources = _layer_sources(encoder, stored)
    expected = foreign_weights.expected_shapes(sources)
    _check(path, encoder, expected, _shapes(arrays))
    foreign_weights.assign(sources, arrays.__getitem__)


def _layer_sources(
    encoder: keras.Model, stored: Mapping[str, Mapping[str, np.ndarray]]
) -> list[foreign_weights.Source]:
    """Pairs layers by name; by their order where names but not shapes differ.

    MobileNetV3's layers were renamed since its weights were published; Keras
    itself goes by the order alone.
    """
    layers = [layer for layer in encoder.layers if layer.weights]
    names = [layer.name for layer in layers]
    encoder_shapes = [
        {v.name: tuple(v.shape) for v in layer.weights} for layer in layers
    ]
    stored_shapes = [
        {name: value.shape for name, value in values.items()}
        for values in stored.values()
    ]
    if set(names) != set(stored) and encoder_shapes == stored_shapes:
        names = list(stored)
    return [
        foreign_weights.single(variable, f"{name}/{variable.name}")
        for layer, name in zip(layers, names, strict=True)
        for variable in layer.weights
    ]


def _load_keras3(encoder: keras.Model, path: Path) -> None:
    """Loads a file that names arrays by the order of layers, by Keras' loader.

    A file saved from the encoder shows which arrays that loader expects.
    """
    with tempfile.TemporaryDirectory() as folder:
        encoder_file = Path(folder) / "own.weights.h5"
        encoder.save_weights(encoder_file)
        expected = _shapes(keras_files.read_datasets(encoder_file))
        stored_shapes = _shapes(keras_files.read_datasets(path))
        _check(path, encoder, expected, stored_shapes)
        # Keras requires this ending; the file may have another.
        shutil.copyfile(path, encoder_file)
        encoder.load_weights(encoder_file)


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in arrays.items()}


def _check(
    path: Path, encoder: keras.Model, expected, stored_shapes, note: str = ""
) -> None:
    problems = foreign_weights.problems(expected, stored_shapes)
    if problems:
        raise ValueError(
            f"{path} does not fit the encoder {encoder.name!r}: "
            f"{foreign_weights.summary(problems)}{note}. Give weights of that "
            f"encoder: {_KINDS}."
        )
