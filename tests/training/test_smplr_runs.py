"""Whole runs of SMPLR's stages: killed in each, and on two devices."""

import time

import pytest

from tests.support import processes
from tests.support.closeness import assert_close
from tests.support.whole_runs import PATIENCE_S, end, losses, train_here

STAGES = ("shape", "pose", "pose_smpl", "denoiser", "encoder", "train")
STEPS = 4
TINY = (
    "smplr_quick",
    "--method.width=8",
    "--method.stem",
    *("8", "8", "8"),
    "--method.bins=4",
    "--method.levels=2",
    "--method.hidden=16",
    "--data.batch-size=4",
    "--data.prior-per-image=4",
    "--precision=float32",
    "--log-every=1",
    "--save-every=2",
    "--eval-every=0",
    "--steps-per-call=1",
    f"--steps={STEPS}",
)


@pytest.mark.slow  # Seven starts.
def test_killed_in_every_stage_the_losses_are_the_same(tiny_records, tmp_path):
    flags = [f"--before.{n}.steps={STEPS}" for n in range(len(STAGES) - 1)]
    words = (str(tiny_records), "cpu", *TINY, *flags)
    uninterrupted = processes.start(
        tmp_path / "whole", *words, function=train_here
    )
    end(uninterrupted)
    folder, killed = tmp_path / "killed", []
    for name in STAGES:
        process = processes.start(folder, *words, function=train_here)
        deadline = time.monotonic() + PATIENCE_S
        # Until a step of the stage is in the log, and so on the way.
        while process.poll() is None and not any(
            line["kind"] == name for line in losses(folder).values()
        ):
            assert time.monotonic() < deadline, f"{name} did not start"
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
            killed.append(name)
        process.communicate(timeout=PATIENCE_S)
    end(processes.start(folder, *words, function=train_here))
    assert killed == list(STAGES)
    expected = losses(tmp_path / "whole")
    assert list(expected) == list(range(1, STEPS * len(STAGES) + 1))
    assert losses(folder) == expected


@pytest.mark.slow
def test_two_devices_train_with_pictures_as_one(tiny_records, tmp_path):
    """The hourglass alone and end to end; other stages draw at random."""
    flags = [f"--before.{n}.steps=0" for n in range(len(STAGES) - 2)]
    flags += [f"--before.4.steps={STEPS}", "--method.dropout=0", "descent"]
    runs = []
    for devices in ("cpu:1", "cpu:2"):
        folder = tmp_path / devices.replace(":", "")
        words = (str(tiny_records), devices, *TINY, *flags)
        end(processes.start(folder, *words, function=train_here))
        runs.append(losses(folder))
    assert [line["kind"] for line in runs[0].values()] == (
        ["encoder"] * STEPS + ["train"] * STEPS
    )
    for one, two in zip(*(lines.values() for lines in runs), strict=True):
        names = sorted(one.keys() - {"kind"})
        assert_close(
            "same_run", [two[k] for k in names], [one[k] for k in names]
        )
