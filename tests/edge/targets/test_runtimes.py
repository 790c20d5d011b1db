"""The exported files on an old runtime and on another processor."""

import sys

import numpy as np
import pytest

from edge.conversion import compare
from edge.conversion import tflite as convert
from edge.targets import runtimes
from tests.support import device_runs
from tests.support.closeness import assert_close

pytestmark = pytest.mark.extra


@pytest.fixture(
    params=[
        pytest.param("old_command", marks=pytest.mark.tflite_runtime),
        pytest.param("arm_command", marks=pytest.mark.aarch64),
    ]
)
def command(request) -> list[str]:
    """Starts the Python of a target."""
    return getattr(runtimes, request.param)()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_float_files_give_what_they_give_here(
    command, exported, precision, tmp_path
):
    path, inputs = exported.files[precision], exported.people.first(4).inputs
    outputs = device_runs.answers(command, path, inputs, tmp_path)
    expected = device_runs.run_in_process(path, inputs, tmp_path)
    for name in convert.OUTPUTS:
        assert_close("tflite_metres", outputs[name], expected[name])


@pytest.mark.tflite_runtime
@pytest.mark.parametrize("precision", device_runs.PRECISIONS)
def test_each_precision_stays_in_its_budget_on_the_old_runtime(
    exported, precision, tmp_path
):
    # It rounds the activations of int8 operators in another way.
    path, inputs = exported.files[precision], exported.people.inputs
    outputs = device_runs.answers(
        runtimes.old_command(), path, inputs, tmp_path
    )
    measured = exported.measured(outputs)
    print(f"{path.name}: {measured}")
    assert compare.excess(measured, precision) == ""


@pytest.mark.aarch64
@pytest.mark.parametrize("precision", ["w8", "int8"])
def test_int8_files_stay_near_on_the_other_processor(
    exported, precision, tmp_path
):
    path, inputs = exported.files[precision], exported.people.first(4).inputs
    outputs = device_runs.answers(
        runtimes.arm_command(), path, inputs, tmp_path
    )
    expected = device_runs.run_in_process(path, inputs, tmp_path)
    people = exported.people.first(4)._replace(joints3d=None)
    names = exported.model.joint_names
    measured = compare.compare(outputs, expected, people, names)
    print(f"{path.name}: {measured}")
    assert compare.excess(measured, precision) == ""


def test_the_crop_is_ours_within_gray_levels(command, small, tmp_path):
    # OpenCV 4 rounds positions to 1/32 pixel, OpenCV 5 does not.
    device_runs.photo(small.people, tmp_path)
    box = [float(word) for word in device_runs.BOX[1:]]
    code = (
        "import cv2, numpy; from edge import run; numpy.save('{0}.npy', "
        f"run.crop_image(cv2.imread('person.png'), run.square_box({box}), 64))"
    )
    crops = []
    for name, python in {"there": command, "here": [sys.executable]}.items():
        words = [*python, "-c", code.format(tmp_path / name)]
        words[-1] = words[-1].replace("person.png", f"{tmp_path}/person.png")
        device_runs.start(words)
        crops.append(np.load(tmp_path / f"{name}.npy"))
    assert crops[1].std() > 20
    assert_close("warp_gray_level", *crops)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_device_s_file_reads_a_photo(command, small, precision, tmp_path):
    path = small.files[precision]
    image = device_runs.photo(small.people, tmp_path)
    record = device_runs.line(command, path, image, tmp_path / "there")
    expected = device_runs.line([sys.executable], path, image, tmp_path)
    rows = {"float32": "tflite_metres", "int8": "other_int8_metres"}
    for name in ("joints_m", "betas"):
        assert_close(rows[precision], record[name], expected[name])
    overlay = tmp_path / "there" / "person_overlay.png"
    assert overlay.stat().st_size > 1000
