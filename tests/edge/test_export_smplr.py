"""SMPLR through the export of every method: clean operators, Keras' outputs."""

import numpy as np
import pytest

from edge import lint, operators
from edge.conversion import card, compare, quantize
from edge.conversion import tflite as convert
from tests.support.closeness import assert_close
from tf_hmr import method

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
    found = compare.run_tflite(content, images)
    expected = compare.run_keras(model, images)
    # Else equal outputs of all pictures would do.
    assert np.ptp(expected["vertices"], axis=0).max() > 1e-3
    for name in ("vertices", "joints"):
        assert_close("tflite_metres", found[name], expected[name])


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
