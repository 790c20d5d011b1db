"""Whole runs of HUND: killed in each stage, and on two devices."""

import time

import pytest

from tests.support import processes
from tests.support.closeness import assert_close
from tests.support.whole_runs import PATIENCE_S, end, losses, train_here
from training import fit

STEPS = 4
TINY = (
    "hund_quick",
    "--method.image-size=64",
    "--method.encoder-width=8",
    "--method.map-side=16",
    "--method.map-channels=8",
    "--method.widths",
    *("8", "8"),
    "--method.parts=1.0",
    "--method.part-side=8",
    "--method.part-points=64",
    "--method.skin-points=64",
    "--method.flow-hidden=8",
    "--data.batch-size=4",
    "--data.prior-per-image=4",
    "--precision=float32",
    "--log-every=1",
    "--save-every=2",
    "--eval-every=0",
    "--steps-per-call=1",
    f"--before.0.steps={STEPS}",
    f"--steps={STEPS}",
)


def test_a_run_without_what_teaches_it_ends_before_its_first_step(
    tiny_records, tmp_path, capsys, fit_without_xla
):
    """One line: the field, and the cure."""
    for words, message in (
        (["--data.no-parts"], "data.parts=True"),
        (["--before.0.part=", "--method.parts=0"], "pose_prior would stay"),
    ):
        folder = tmp_path / "run"
        flags = [f"--workdir={folder}", f"--records={tiny_records}"]
        assert fit.main([*TINY, *flags, *words]) == 1, words
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert message in line
        assert not (folder / "metrics.jsonl").exists()


@pytest.mark.slow  # Four starts.
def test_killed_in_every_stage_the_losses_are_the_same(tiny_records, tmp_path):
    words = (str(tiny_records), "cpu", *TINY)
    end(processes.start(tmp_path / "whole", *words, function=train_here))
    folder, killed = tmp_path / "killed", []
    for name in ("pose_prior", "train"):
        process = processes.start(folder, *words, function=train_here)
        while process.poll() is None and not any(
            line["kind"] == name for line in losses(folder).values()
        ):
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
            killed.append(name)
        process.communicate(timeout=PATIENCE_S)
    end(processes.start(folder, *words, function=train_here))
    assert killed == ["pose_prior", "train"]
    assert list(losses(tmp_path / "whole")) == list(range(1, 2 * STEPS + 1))
    assert losses(folder) == losses(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("meta", ["last", "sum", "min", "max", "oi"])
def test_two_devices_train_as_one(tiny_records, tmp_path, meta):
    """The prior draws noise at random: it has no stage here."""
    runs = []
    for devices in ("cpu:1", "cpu:2"):
        folder = tmp_path / devices.replace(":", "")
        words = (str(tiny_records), devices, *TINY, "--before.0.steps=0")
        words += ("descent", f"--method.meta-loss={meta}")
        end(processes.start(folder, *words, function=train_here))
        runs.append(losses(folder))
    for one, two in zip(*(lines.values() for lines in runs), strict=True):
        names = sorted(one.keys() - {"kind"})
        assert_close(
            "same_run", [two[k] for k in names], [one[k] for k in names]
        )
