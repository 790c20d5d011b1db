"""LiteRT's GPU accelerator takes each file whole, and computes it.

On Mesa's software Vulkan (`make test-delegate`) or a GPU of this machine. In a
process of its own, without TensorFlow, because the accelerator may end it.
"""

import sys

import numpy as np
import pytest
import tensorflow as tf

from edge.conversion import card, compare
from edge.conversion import tflite as convert
from edge.conversion.precisions import PRECISIONS
from edge.targets import vulkan
from tests.support import device_runs
from tests.support.closeness import assert_close

pytestmark = pytest.mark.delegate

FLOAT16_MM = 1.5
"""Mean vertex error in the accelerator's own float16: 0.7 and 0.8 mm here."""


@pytest.fixture(scope="module")
def gpu(tflite, tmp_path_factory):
    """Outputs of a file for crops on a GPU; skips where there is none."""
    environment = vulkan.environment()
    if environment is None:
        pytest.skip("no Vulkan on this machine: make test-delegate")

    folder = tmp_path_factory.mktemp("gpu")

    def run(path, inputs, *options):
        return device_runs.answers(
            [sys.executable],
            *(path, inputs, folder, "--gpu", *options),
            **environment,
        )

    try:
        run(tflite, np.zeros((1, 64, 64, 3), np.uint8))
    except AssertionError as error:
        if "No adapters found" in str(error) and not environment:
            pytest.skip("Vulkan finds no GPU here: make test-delegate")
        raise
    return run


def test_float32_gives_what_the_cpu_gives(gpu, exported, tmp_path):
    path, inputs = exported.files["float32"], exported.people.inputs
    outputs = gpu(path, inputs, "--float32")
    expected = device_runs.run_in_process(path, inputs, tmp_path)
    for name in ("vertices", "joints"):
        assert_close("float32_mm", 1000 * outputs[name], 1000 * expected[name])
    for name in ("rotmats", "betas", "camera", "keypoints"):
        assert_close("gpu_float32", outputs[name], expected[name])


@pytest.mark.parametrize("precision", device_runs.PRECISIONS)
def test_each_precision_stays_in_its_budget(gpu, exported, precision):
    path, inputs = exported.files[precision], exported.people.inputs
    measured = exported.measured(gpu(path, inputs, "--float32"))
    print(f"{path.name}, float32 enforced: {measured}")
    assert compare.excess(measured, precision) == ""


@pytest.mark.extra
@pytest.mark.parametrize("precision", device_runs.PRECISIONS)
def test_float16_arithmetic_costs_little(gpu, exported, precision):
    path, inputs = exported.files[precision], exported.people.inputs
    measured = exported.measured(gpu(path, inputs))
    print(f"{path.name}, float16 arithmetic: {measured}")
    limit = FLOAT16_MM
    if precision in PRECISIONS:
        limit = max(limit, PRECISIONS[precision].mean_mm)
    assert measured.vertices_mean_mm < limit
    assert measured.mpjpe_percent < compare.MPJPE_PERCENT


@pytest.mark.extra
def test_a_file_that_needs_the_cpu_is_refused(
    gpu, small, tmp_path, monkeypatch
):
    served = convert.served

    def gathered(model):
        def serve(image):
            outputs = served(model)(image)
            indices = [[[0, number] for number in range(3)]]
            outputs["camera"] = tf.gather_nd(outputs["camera"], indices)
            return outputs

        return serve

    monkeypatch.setattr(convert, "served", gathered)
    path = tmp_path / "gathered.tflite"
    path.write_bytes(convert.to_tflite(convert.edge_form(small.model)))
    card.write(path, card.read(small.files["float32"]))
    with pytest.raises(AssertionError, match="ops are not accelerated"):
        gpu(path, small.people.inputs)


@pytest.mark.extra
def test_the_device_s_file_runs_on_the_gpu(gpu, small, tmp_path):
    path = small.files["float32"]
    image = device_runs.photo(small.people, tmp_path)
    gpu_record, expected = (
        device_runs.line(
            [sys.executable],
            *(path, image, tmp_path / name, *options),
            **vulkan.environment(),
        )
        for name, options in {
            "gpu": ("--delegate", "auto", "--gpu-float32"),
            "cpu": (),
        }.items()
    )
    assert "CPU, as the GPU" not in gpu_record["stderr"]
    assert "Selected adapter" in gpu_record["stderr"]
    for name in ("joints_m", "translation_m"):
        assert_close("tflite_metres", gpu_record[name], expected[name])


def test_without_a_driver_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(vulkan, "FOLDER", tmp_path)
    monkeypatch.setattr(vulkan.ctypes.util, "find_library", lambda _: None)
    assert vulkan.environment() is None
    monkeypatch.setattr(vulkan.ctypes.util, "find_library", lambda _: "a")
    assert vulkan.environment() == {}
    (tmp_path / "driver.json").touch()
    variables = vulkan.environment()
    assert variables["VK_DRIVER_FILES"] == str(tmp_path / "driver.json")
