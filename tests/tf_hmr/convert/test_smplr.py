"""SMPLR's four checkpoints go in, the original's numbers come out.

Most tests use networks of a few channels, whose variables have the same names.
"""

import dataclasses
import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import hmr_tf1, smplr_files
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.convert import __main__, smplr_names
from tf_hmr.convert import smplr as convert_smplr
from tf_hmr.formats import foreign_weights
from tf_hmr.methods import _smplr_maps
from tf_hmr.networks import denoiser, reversed_smpl, volumetric_hourglass
from training import fit

SMALL = dataclasses.replace(
    convert_smplr.CONFIG,
    image_size=32,
    stacks=2,
    width=8,
    bins=2,
    levels=1,
    stem=(4, 6, 6),
    hidden=16,
)
# x, y, z of the camera's frame from the weights' depth, right, up.
TO_CAMERA = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], np.float32)


@pytest.fixture(scope="module")
def shapes():
    """Shapes of the variables of each graph."""
    hourglass = volumetric_hourglass.VolumetricHourglass(
        stacks=SMALL.stacks,
        width=SMALL.width,
        bins=SMALL.bins,
        levels=SMALL.levels,
        stem=SMALL.stem,
    )
    hourglass(keras.Input((SMALL.image_size, SMALL.image_size, 3)))
    points = tf.zeros((1, 41, 3))
    networks = [
        denoiser.Denoiser(hidden=SMALL.hidden),
        reversed_smpl.ShapeRegressor(hidden=SMALL.hidden),
        reversed_smpl.PoseRegressor(hidden=SMALL.hidden),
    ]
    for network, example in zip(
        networks, (points, points[..., 0], points), strict=True
    ):
        network(example)
    parts = {
        "shn": smplr_names.of_hourglass(hourglass),
        "dae": smplr_names.of_denoiser(networks[0]),
        "shape": smplr_names.of_shape(networks[1]),
        "pose": smplr_names.of_pose(networks[2]),
    }
    return {
        graph: foreign_weights.expected_shapes(part)
        for graph, part in parts.items()
    }


def write(folder, shapes, changes=None) -> list[str]:
    """Four checkpoints with drawn variables; the words that give them."""
    words = []
    for graph, variables in shapes.items():
        arrays = {
            name: smplr_files.draw(name, shape)
            for name, shape in variables.items()
        }
        arrays |= (changes or {}).get(graph, {})
        arrays |= hmr_tf1.training_state(list(variables)[:3])
        prefix = folder / graph / "model.ckpt"
        prefix.parent.mkdir(parents=True)
        hmr_tf1.write(prefix, arrays)
        words += [f"--{graph}", str(prefix)]
    return words


@pytest.fixture(scope="module")
def folder(shapes, tmp_path_factory):
    """The model folder that the command makes of small checkpoints."""
    directory = tmp_path_factory.mktemp("smplr")
    words = ["smplr", *write(directory, shapes), "--body", "open"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_smplr, "CONFIG", SMALL)
        assert __main__.main([*words, "--out", str(directory / "out")]) == 0
    return directory / "out"


@pytest.fixture(scope="module")
def model(folder):
    return method.load(folder, jit=False)


def test_every_variable_comes_back(model, shapes):
    count = 0
    for graph, part in convert_smplr.sources(model).items():
        for source in part:
            name = source.names[0]
            expected = smplr_files.draw(name, shapes[graph][name])
            assert_close("exact", source.variable, expected)
            count += 1
    assert count == sum(map(len, shapes.values()))


def test_the_networks_see_the_codes_coordinates(model, rng):
    """Points, directions and the global rotation change frames."""
    regressor = model.regressor
    code = rng.normal(0, 0.3, (4, 41, 3)).astype(np.float32)
    points = code @ TO_CAMERA.T
    denoised = regressor.denoised(points)
    expected = regressor.denoiser(code).numpy() @ TO_CAMERA.T
    assert_close("body_metres", denoised, expected)
    matrices = regressor.matrices(points).numpy()
    directions = np.concatenate([np.zeros((4, 1, 3)), code], axis=1)
    parents = list(smplr_files.golden()["kintree"][1:, 0])
    directions = code - directions[:, parents]
    lengths = np.linalg.norm(directions, axis=-1)
    raw = regressor.pose(np.float32(directions / lengths[..., None])).numpy()
    assert_close("body_metres", matrices[:, 1:], raw[:, 1:])
    assert_close("body_metres", matrices[:, 0], TO_CAMERA @ raw[:, 0])
    features = np.float32(lengths - smplr_files.BONE_TEMPLATE)
    expected = regressor.shape(features)
    assert_close("body_metres", regressor.shape_numbers(points), expected)


def test_the_maps_have_the_codes_axes(model):
    """Their columns are depth, their rows go right, and their bins up."""
    columns, rows, bins = 8, 8, 2
    logits = np.zeros((1, rows, columns, bins, 45), np.float32)
    logits[0, 6, 1, 1] = 50
    logits = tf.constant(logits.reshape(1, rows, columns, bins * 45))
    features = tf.zeros((1, rows, columns, SMALL.width))
    maps = model.encoder.maps(_smplr_maps.Volumes([logits], features), {})
    towards, right, up = 1 / 8 - 0.5, 6 / 8 - 0.5, 1 / 2 - 0.5
    expected = np.broadcast_to([right, -up, -towards], (1, 41, 3))
    assert_close("relative_place", maps.places, expected)


def test_the_prediction_is_finite_and_the_folder_the_codes(model, folder, rng):
    images = tf.constant(rng.uniform(0, 255, (2, 32, 32, 3)), tf.float32)
    prediction = model.infer({"image": images})
    for value in prediction[:6]:
        assert np.isfinite(value).all()
    content = json.loads((folder / method.CONFIG_FILE).read_text())
    assert content["method"] == "smplr"
    assert content["config"]["convention"] == "code"


def test_the_default_is_the_trained_methods(shapes):
    """All 992 variables of the paper's method."""
    trained = fit.load_experiment("smplr").method
    converted = dataclasses.replace(convert_smplr.CONFIG, convention="paper")
    sizes = ("image_size", "stacks", "width", "bins", "levels", "stem")
    for name in (*sizes, "hidden", "denoise"):
        assert getattr(trained, name) == getattr(converted, name)


def test_the_report_names_what_was_read_and_dropped(
    shapes, tmp_path, monkeypatch, caplog, model
):
    monkeypatch.setattr(method, "build", lambda config, body: model)
    words = write(tmp_path, shapes, {"pose": {"other/biases": np.ones(2)}})
    words = ["smplr", *words, "--body", "open", "--out", str(tmp_path / "out")]
    with caplog.at_level(logging.INFO, "tf_hmr"):
        assert __main__.main(words) == 0
    counts = ", ".join(
        f"{len(names)} of the {graph}" for graph, names in shapes.items()
    )
    assert counts in caplog.text and "other/biases" in caplog.text
    # Two slots of each of three variables, four powers, one step; four times.
    assert "44 variables of training" in caplog.text
    assert "female and male bodies" in caplog.text


@pytest.mark.parametrize("graph", ["shn", "dae", "shape", "pose"])
def test_a_foreign_checkpoint_is_refused_in_one_line(
    graph, shapes, tmp_path, monkeypatch, caplog, model
):
    monkeypatch.setattr(method, "build", lambda config, body: model)
    before = model.regressor.pose.out.bias.numpy()
    words = write(
        tmp_path, shapes, {"pose": {"pose/enc/x2/biases": before + 1}}
    )
    foreign = tmp_path / "foreign.ckpt"
    hmr_tf1.write(foreign, {"dense/kernel": np.zeros(3, np.float32)})
    words[words.index(f"--{graph}") + 1] = str(foreign)
    words = ["smplr", *words, "--body", "open", "--out", str(tmp_path / "out")]
    assert __main__.main(words) == 1
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    message = record.getMessage()
    assert "\n" not in message and "dense/kernel" in message
    assert f"no whole checkpoint of SMPLR's {graph}" in message
    assert f"--{graph}" in message and not (tmp_path / "out").exists()
    # Nothing was taken of the others.
    assert_close("exact", model.regressor.pose.out.bias, before)


def test_missing_and_misshaped_variables_are_named(
    shapes, tmp_path, monkeypatch, model
):
    monkeypatch.setattr(method, "build", lambda config, body: model)
    wrong = {"weights_2": np.zeros((1, 1, 3, 5), np.float32)}
    missing = dict(shapes, dae=dict(list(shapes["dae"].items())[:-1]))
    write(tmp_path / "a", missing)
    write(tmp_path / "b", shapes, {"shn": wrong})
    prefixes = convert_smplr.Checkpoints(
        *(tmp_path / "a" / graph / "model.ckpt" for graph in shapes)
    )
    with pytest.raises(ValueError, match="dae/dec/x_0/biases is missing"):
        convert_smplr.convert(prefixes, "open")
    prefixes = prefixes._replace(shn=tmp_path / "b" / "shn" / "model.ckpt")
    with pytest.raises(ValueError, match=r"weights_2 has shape \(1, 1, 3, 5\)"):
        convert_smplr.convert(prefixes, "open")


@pytest.mark.slow
def test_the_papers_sizes_give_the_originals_numbers(tmp_path):
    """The whole command on 992 variables, and the chain without pictures."""
    all_shapes = {graph: smplr_files.shapes(graph) for graph in ("shn", "dae")}
    all_shapes |= {
        graph: smplr_files.shapes(graph) for graph in ("shape", "pose")
    }
    assert sum(map(len, all_shapes.values())) == 992
    words = write(tmp_path, all_shapes)
    words = ["smplr", *words, "--body", "open", "--out", str(tmp_path / "out")]
    assert __main__.main(words) == 0
    model, golden = (
        method.load(tmp_path / "out", jit=False),
        smplr_files.golden(),
    )
    points = golden["in_joints"].reshape(4, 41, 3) @ TO_CAMERA.T
    estimate = model.regressor(points)
    shape = tf.concat([estimate.betas, estimate.gender], axis=1)
    assert_close("tf1_features", shape, golden["all_shape"])
    matrices = estimate.matrices.numpy()
    matrices[:, 0] = TO_CAMERA.T @ matrices[:, 0]
    assert_close("tf1_features", matrices.reshape(4, 216), golden["all_pose"])
