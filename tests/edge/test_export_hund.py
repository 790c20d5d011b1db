"""HUND through the export: clean operators, Keras' outputs, its camera."""

import numpy as np
import pytest

from edge import lint
from edge.conversion import compare
from edge.conversion import tflite as convert
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.geometry import camera

COUNT = 3
SMALL = {
    "image_size": 64,
    "encoder": "small",
    "encoder_width": 8,
    "map_side": 16,
    "map_channels": 8,
    "widths": (8, 8),
    "stages": 2,
    "feedback": "residuals",
    "feedback_parts": False,
    "part_side": 8,
    "part_points": 64,
    "flow_couplings": 2,
    "flow_hidden": 8,
}


def create(body, **values):
    """With scattered weights, so that pictures and stages differ."""
    model = method.create("hund", body, **(SMALL | values))
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            noise = rng.normal(0, 0.05, variable.shape)
            variable.assign_add(noise.astype(np.float32))
    return model


@pytest.fixture(scope="module")
def model(body):
    return create(body)


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    focal = rng.uniform(2, 6, (COUNT, 1))
    centre = rng.uniform(-0.5, 0.5, (COUNT, 2))
    return {
        "image": rng.integers(0, 256, (COUNT, 64, 64, 3)).astype(np.uint8),
        "intrinsics": np.float32(np.hstack([focal, focal, centre])),
    }


@pytest.mark.slow  # A minute to convert both.
@pytest.mark.parametrize("with_intrinsics", [True, False])
def test_the_file_is_clean_and_gives_keras_outputs(
    model, inputs, with_intrinsics
):
    """With the crop's camera as an input, or as it is assumed without."""
    names = ("image", "intrinsics") if with_intrinsics else ("image",)
    model.input_names = names
    inputs = {name: inputs[name] for name in names}
    content = convert.to_tflite(convert.edge_form(model))
    assert list(lint.faults(content)) == []
    outputs = compare.run_tflite(content, inputs)
    expected = compare.run_keras(model, inputs)
    offsets = outputs["vertices"] - expected["vertices"]
    assert np.linalg.norm(offsets, axis=2).max() < compare.LARGEST_FLOAT32_M
    assert_close("tflite_metres", outputs["joints"], expected["joints"])
    # The pictures do differ.
    assert np.ptp(expected["joints"], axis=0).max() > 1e-3


def test_an_export_leaves_the_camera_out_and_says_so(model, inputs):
    model.input_names = ("image", "intrinsics")
    (note,) = model.notes
    assert "input intrinsics" in note
    intrinsics = np.tile(np.float32(camera.ASSUMED_CROP_INTRINSICS), (COUNT, 1))
    image = inputs["image"].astype(np.float32)
    calibrated = model({"image": image, "intrinsics": intrinsics})
    model.input_names = convert.required_inputs(model)
    assert model.input_names == ("image",)
    assert "2.5 sides" in model.notes[0]
    assumed = model({"image": image})
    for name in ("rotmats", "camera", "keypoints"):
        assert_close("exact", getattr(assumed, name), getattr(calibrated, name))


def test_a_model_that_is_fed_with_parts_is_refused(body):
    """Before a minute of conversion, and with the cure."""
    fed = create(body, feedback_parts=True)
    with pytest.raises(ValueError, match=r"feedback_parts.*no-feedback-parts"):
        convert.edge_form(fed)
