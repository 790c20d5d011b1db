"""SMPLR through the export of every method: clean operators, Keras' outputs."""

import json

import numpy as np
import pytest

from edge import export, lint, operators
from edge import run as device
from edge.conversion import card, compare, quantize
from edge.conversion import tflite as convert
from edge.tasks import export as task
from tests.support import smplr_people, two_bodies
from tests.support.closeness import assert_close
from tf_hmr import __main__ as command
from tf_hmr import inference, method
from tf_hmr.body import pairs
from tf_hmr.body.model import Body
from training import config
from training.data.pipeline import batches
from training.data.records import records_folder
from training.data.synthetic import people
from training.evaluation import evaluator

# Half a minute to convert; the operators of soft-argmax and of the nearest
# rotation are checked with these, in `make test`.
pytestmark = pytest.mark.slow

COUNT = 3


@pytest.fixture(scope="module")
def model(body):
    """Small; its weights are scattered, so that pictures differ."""
    model = method.create(
        "smplr",
        body,
        image_size=64,
        stacks=2,
        width=16,
        bins=8,
        levels=2,
        stem=(8, 8, 8),
        hidden=32,
        scale="learned",
    )
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            noise = rng.normal(0, 0.05, variable.shape)
            variable.assign_add(noise.astype(np.float32))
    return model


@pytest.fixture(scope="module")
def content(model) -> bytes:
    return convert.to_tflite(convert.edge_form(model))


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    shape = (COUNT, 64, 64, 3)
    rng = np.random.default_rng(6)
    return {"image": rng.integers(0, 256, shape).astype(np.uint8)}


def test_a_delegate_takes_every_operator(content):
    assert list(lint.faults(content)) == []


def test_the_file_gives_keras_outputs(model, content, images):
    """Vertices within the export's tenth of a millimetre, and well below."""
    outputs = compare.run_tflite(content, images)
    expected = compare.run_keras(model, images)
    # Else equal outputs of all pictures would do.
    assert np.ptp(expected["vertices"], axis=0).max() > 1e-3
    for name in ("vertices", "joints"):
        assert_close("tflite_metres", outputs[name], expected[name])


@pytest.mark.parametrize("gender", [-1.0, 1.0])
def test_a_file_of_two_bodies_has_the_one_of_its_gender(
    body_data, images, gender
):
    data = two_bodies.pair(body_data)
    model = method.create(
        "smplr",
        pairs.make(data, lambda one: Body(one, jit=False)),
        scale="learned",
        **smplr_people.SMALL,
    )
    *_, bias = model.regressor.shape.trainable_variables
    bias.assign(np.append(bias.numpy()[:-1], 100 * gender))
    content = convert.to_tflite(convert.edge_form(model))
    assert list(lint.faults(content)) == []
    outputs = compare.run_tflite(content, images)
    expected = compare.run_keras(model, images)
    assert (gender * outputs["betas"][:, 10] > 0).all()
    assert_close("tflite_metres", outputs["vertices"], expected["vertices"])


def scope_of(operator) -> str:
    """Name of the method's layer that an operator belongs to; "" for none."""
    scopes = operator.name.split("/")
    return scopes[1].removesuffix("_1") if len(scopes) > 1 else ""


def test_int8_is_for_the_networks_alone(model, content):
    """Rotations, soft-argmax and the body are not rounded to 256 steps."""
    recipe, forms = quantize.Recipe(model, "int8"), {}
    for operator in operators.read(content):
        form = recipe.format_of(operator.kind, operator.name)
        scope = scope_of(operator)
        named = scope in ("encoder", "regressor", "body")
        forms.setdefault(scope if named else "others", set()).add(form)
    assert forms == {
        "encoder": {"static"},
        "regressor": {"dynamic", ""},
        "body": {"float16", ""},
        "others": {"float16", ""},
    }
    kinds = {
        operator.kind
        for operator in operators.read(content)
        if scope_of(operator) == "encoder"
    }
    assert "EXP" not in kinds and "RSQRT" not in kinds
    constants = [
        operator.name
        for operator in operators.read(content)
        if scope_of(operator) == "regressor"
        and operator.kind == "FULLY_CONNECTED"
    ]
    # Three networks; no product of the nearest rotation.
    assert len(constants) == 6 + 2 * 11


def test_the_card_says_what_becomes_of_the_gender(model):
    measured = compare.Measured(1, "none", 0, 0, 0, {})
    notes = card.make(model, "tflite", "float32", measured)["notes"]
    assert "gender is estimated and not used" in notes[0]


def test_one_person_is_the_same_in_every_program(model, tmp_path, capsys):
    """By `python -m tf_hmr`, by the device's file and by evaluate."""
    example = people.frozen().example(1)
    photo, weights = tmp_path / "person.jpg", tmp_path / "model"
    photo.write_bytes(example.image)
    method.save(model, weights)
    writer = records_folder.Writer(tmp_path / "records", "test")
    writer.write(example)
    writer.finish(None, "tests")
    out, box = tmp_path / "out", tuple(map(float, example.box))

    args = command.Args((photo,), weights=weights, box=box, out=out)
    assert command.main(args) == 0
    of_command = np.load(out / "person_0.npz")

    file = tmp_path / "smplr.tflite"
    task.export(export.Args(weights, file, crops=2, latency_only=True))
    words = [file, photo, "--box", *box, "--out", out]
    assert device.main([str(word) for word in words]) == 0
    (line,) = (out / "person.jsonl").read_text().splitlines()
    of_device = json.loads(line)

    source = config.Source(str(tmp_path / "records"), split="test")
    dataset = batches.eval_dataset(
        source, 1, model.image_size, model.config.crop_scale
    )
    ((_, of_evaluate),) = evaluator.predictions(model, dataset)

    joints = of_command["joints"]
    assert np.abs(of_device["joints_m"] - joints).max() < 1e-3
    assert np.abs(of_evaluate.joints[0] - joints).max() < 1e-3
    assert np.abs(of_evaluate.vertices[0] - of_command["vertices"]).max() < 1e-3
    difference = of_device["translation_m"] - of_command["translation"]
    # Metres away: a millimetre in the image plane, a per mille in depth.
    assert (
        np.abs(difference / [1, 1, of_command["translation"][2]]).max() < 1e-3
    )
    # Another person's body is not within a millimetre.
    example = people.frozen().example(2)
    photo.write_bytes(example.image)
    (other_person,) = inference.recover(model, photo, [example.box])
    assert np.abs(other_person.joints - joints).max() > 1e-3
