"""Fixtures for all tests, and settings of the processes that run them."""

import dataclasses
import gc
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.support import (
    phone_vectors,
    plain_body,
    shared_folders,
    small_model,
)
from tf_hmr import method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body

# TensorFloat-32 keeps 10 bits of a product: tolerances mean float32.
tf.config.experimental.enable_tensor_float_32_execution(False)


# To trace a graph makes many objects that stay: looking through them for
# garbage after each 700 is a tenth of the time of all tests.
gc.freeze()
gc.set_threshold(50_000, 20, 20)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for each test, whatever ran before."""
    return np.random.default_rng(20180618)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Layers and samplers that take no seed are repeatable too.

    All but TensorFlow's own seed, which draws no layer's weights: to set it
    drops the kernels of all compiled functions, and the graph of a body that
    many tests share would be optimised for each. Tests of what it draws set it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.random, "set_seed", lambda seed: None)
        tf.keras.utils.set_random_seed(7)


@pytest.fixture(scope="session")
def body_data() -> BodyData:
    """The open body; its arrays are read-only, so tests can share it."""
    return BodyData.load("open")


@pytest.fixture(scope="session")
def body(body_data: BodyData) -> Body:
    """The open body with HMR's keypoints, as a plain graph.

    Without XLA: a test pays for one call, not for a compilation.
    """
    return Body(body_data, jit=False)


@pytest.fixture(scope="session")
def model_folder(body: Body, tmp_path_factory) -> pathlib.Path:
    """A model folder of a small, untrained HMR that answers to its image."""

    return shared_folders.made(
        tmp_path_factory, "model", lambda path: small_model.save(body, path)
    )


@pytest.fixture(scope="session")
def model(model_folder: pathlib.Path) -> method.Method:
    """The method in `model_folder`, as a plain graph."""
    return method.load(model_folder, jit=False)


@pytest.fixture
def no_building(model: method.Method, monkeypatch) -> None:
    """Whoever builds a method gets the module's model, which took seconds."""
    monkeypatch.setattr(method, "build", lambda config, body: model)


@pytest.fixture(scope="session")
def tflite(model_folder: pathlib.Path, tmp_path_factory) -> pathlib.Path:
    """The model of `model_folder`, exported once, with its card and faces."""
    from edge import export
    from edge.tasks import export as task

    def make(folder: pathlib.Path) -> None:
        path = folder / "small.tflite"
        task.export(export.Args(model_folder, path, crops=3))

    folder = shared_folders.made(tmp_path_factory, "tflite", make)
    return folder / "small.tflite"


@pytest.fixture(scope="session")
def phone_vectors_of(tmp_path_factory) -> Callable[[str], pathlib.Path]:
    """A function from a part of the phones' vectors to its folder."""

    def folder(part: str) -> pathlib.Path:
        return shared_folders.made(
            tmp_path_factory, part, lambda path: phone_vectors.make(part, path)
        )

    return folder


@pytest.fixture(scope="session")
def tiny_records(tmp_path_factory) -> pathlib.Path:
    """A --records folder: 32 small people to train on, 8 to validate, 12
    to test, all by the real commands' code."""
    from training.data.prepare import synthetic
    from training.data.records import records_folder
    from training.data.synthetic import people

    def make(root: pathlib.Path) -> None:
        options = synthetic.Options(root / "synthetic", 32, val=8, size=64)
        synthetic.run(dataclasses.replace(options, workers=1))
        writer = records_folder.Writer(root / "synthetic_v1", "test", 12)
        for example in people.frozen().examples(0, 12):
            writer.write(example)
        writer.finish(people.SYNTHETIC_V1.seed, "tests")

    return shared_folders.made(tmp_path_factory, "records", make)


@pytest.fixture(scope="module")
def fit_without_xla():
    """`training.fit` and loaded models with bodies as plain graphs.

    XLA compiles a body for longer than a small run takes; benchmarks/
    test_step.py trains with it.
    """
    from training.tasks import fit

    with pytest.MonkeyPatch.context() as patch:
        for module in (fit, method):
            patch.setattr(module, "Body", plain_body.make)
        yield
