"""What the checks make of numbers: differences, curves, batches, reports."""

import dataclasses
import json

import numpy as np
import pytest

from training import gpu_check
from training.gpu_checks import (
    checks,
    comparison,
    input_rates,
    machines,
    processes,
    rates,
    results,
    resume,
)

VALUES = {"keypoints": 2.0, "loss": 3.0, "gradient_norm": 5.0}
GRADIENTS = {"kernel": np.ones((3, 4)), "bias": np.full(4, 1e-5)}


def compared(values=VALUES, gradients=GRADIENTS, tolerance="float32"):
    return comparison.compare(
        "label", tolerance, (values, gradients), (VALUES, GRADIENTS)
    )


def test_equal_steps_pass():
    row = compared()
    assert (row.values, row.gradients, row.passed) == (0, 0, True)


def test_the_value_that_is_off_is_named():
    row = compared({**VALUES, "keypoints": 2.2})
    assert row.values == pytest.approx(0.1)
    assert row.worst == "keypoints" and not row.passed


def test_a_gradient_is_off_by_a_share_of_its_norm():
    row = compared(gradients={**GRADIENTS, "kernel": 2 * np.ones((3, 4))})
    assert row.gradients == pytest.approx(1.0)
    assert row.worst == "kernel" and not row.passed


def test_a_variable_that_all_but_stands_still_does_not_decide():
    row = compared(gradients={**GRADIENTS, "bias": np.full(4, 1.01e-5)})
    assert row.passed


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_fails_and_is_named(broken):
    kernel = np.ones((3, 4))
    kernel[1, 2] = broken
    row = compared(gradients={**GRADIENTS, "kernel": kernel})
    assert row.worst == "kernel" and not row.passed
    assert not compared({**VALUES, "loss": broken}).passed


def test_a_planted_error_must_be_noticed():
    noticed = dataclasses.replace(
        compared({**VALUES, "loss": 9.0}), expected_different=True
    )
    blind = dataclasses.replace(compared(), expected_different=True)
    assert noticed.passed and not blind.passed


def test_only_equal_names_are_compared():
    with pytest.raises(ValueError, match="only one side has bias"):
        compared(gradients={"kernel": GRADIENTS["kernel"]})


def curve(*losses):
    return [{"step": n + 1, "loss": loss} for n, loss in enumerate(losses)]


def test_the_same_curve_needs_no_setting():
    result = resume.verdict(curve(3, 2), curve(3, 2), curve(3, 2))
    assert result.passed and not result.setting


def test_a_checkpoint_that_lacks_state_is_the_cause():
    result = resume.verdict(curve(3, 2, 1), curve(3, 2, 1), curve(3, 2, 4))
    assert not result.passed and "at step 3" in result.text
    short = resume.verdict(curve(3, 2), curve(3, 2), curve(3))
    assert not short.passed and "at step 2" in short.text


def test_a_device_that_does_not_repeat_itself_has_a_setting():
    curves = curve(3, 2), curve(3, 2.1), curve(3, 2.2)
    assert resume.verdict(*curves) is None
    result = resume.verdict_with_setting(*[curve(3, 2)] * 3)
    assert result.passed and result.setting == "TF_DETERMINISTIC_OPS=1"
    assert "add in an order that changes" in result.text
    result = resume.verdict_with_setting(*curves)
    assert not result.passed and "even with TF_DET" in result.text


RATE = rates.StepRate("small", "float32", 96, 32, 32, 200.0, 0.5, 900.0)


def device_of(images):
    """A measurement on a device that holds so many images, and its calls."""
    calls = []

    def measure(batch):
        calls.append(batch)
        if batch > images:
            raise processes.NoMemoryError("no memory")
        return dataclasses.replace(RATE, batch=batch)

    return measure, calls


@pytest.mark.parametrize(
    ("images", "batch", "multiple", "largest"),
    [(256, 256, 1, 256), (200, 256, 8, 200), (23, 256, 2, 22), (3, 64, 2, 2)],
)
def test_the_largest_batch_that_fits_is_named(images, batch, multiple, largest):
    measure, calls = device_of(images)
    rate = rates.largest_batch(measure, batch, multiple)
    assert (rate.batch, rate.requested_batch) == (largest, batch)
    assert all(size % multiple == 0 for size in calls)
    assert len(calls) < 12


def test_a_device_too_small_for_any_batch_has_none():
    measure, _ = device_of(1)
    assert rates.largest_batch(measure, 64, 2) is None


def full_results(**fields):
    row = compared()
    inputs = [
        input_rates.InputRate("warp on the host", "", 2.0, 0.0, 400.0),
        input_rates.InputRate("served", "--data.service", 0.5, 2.5, 500.0),
    ]
    return results.Results(
        processor="2 x a processor",
        devices="cpu:2",
        machine={"driver": "none"},
        steps=[row, comparison.skipped("b", "bfloat16", "refused here")],
        replicas=[row],
        continuation=resume.Result(True, "", "the same"),
        matrix_rates={"float32": 0.2},
        step_rates=[
            RATE,
            dataclasses.replace(RATE, batch=16, images_per_s=800.0),
        ],
        inputs=inputs,
        **fields,
    )


def test_a_report_without_a_gpu_says_cpu(tmp_path):
    results.write(full_results(), tmp_path)
    text = (tmp_path / results.MARKDOWN).read_text()
    assert text.startswith("# Training on: CPU (passed)")
    assert "HMR's training step on: CPU" in text
    content = json.loads((tmp_path / results.JSON).read_text())
    assert content["device"] == "CPU" and content["passed"]
    # 200 images/s of 0.5 GFLOP are 0.1 TFLOP/s, of 0.2.
    shares = [r["share_of_matrix_rate"] for r in content["step_rates"]]
    assert shares == pytest.approx([0.5, 2.0])
    limits = [r["limit"] for r in content["step_rates"]]
    assert limits == ["step", "input"]
    assert content["steps"][1]["values"] is None


def test_cores_are_computed_from_processor_time():
    _, served = full_results().inputs
    assert served.cores(1000) == pytest.approx(3.0)
    assert served.cores_in_use == pytest.approx(1.5)


def test_a_batch_that_does_not_fit_is_told_in_the_table():
    text = results.markdown(full_results())
    assert "16 (the largest; 32 does not fit)" in text


@pytest.mark.parametrize(
    "fields", [{"errors": ["speed: no"]}, {"cure": "install a driver"}]
)
def test_what_could_not_be_checked_has_not_passed(fields):
    report = full_results(**fields)
    assert not report.passed and "FAILED" in results.markdown(report)


@pytest.mark.parametrize(
    ("replicas", "gpus", "batches", "check_batch"),
    [
        (1, (), (8,), 8),
        (3, (), (9,), 9),
        (3, ("a card",) * 3, (33, 66, 129, 258), 9),
        (8, ("a card",) * 8, (32, 64, 128, 256), 8),
    ],
)
def test_batches_that_nobody_chose_divide_among_the_devices(
    replicas, gpus, batches, check_batch
):
    machine = machines.Machine(gpus, replicas, "", {}, "", {}, {})
    args = checks._with_batches(gpu_check.Args(), machine)
    assert (args.batches, args.check_batch) == (batches, check_batch)
    explicit_args = gpu_check.Args(batches=(5,), check_batch=4)
    assert checks._with_batches(explicit_args, machine) == explicit_args


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--devices", "gpu:3"), "asks for GPUs"),
        (("--devices", "tpu"), "Unknown devices"),
        (("--devices", "cpu:2", "--batches", "9"), "--batches: a batch of 9"),
        (("--devices", "cpu:2", "--check-batch", "5"), "a multiple of 2"),
        (("--methods", "cliff"), "Unknown method"),
    ],
)
def test_bad_input_is_one_line(options, words, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert gpu_check.main([*options, *out]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("training.gpu_check: ") and words in error
    assert "\n" not in error
