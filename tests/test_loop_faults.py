"""A run that is asked to stop, and one whose disk is full."""

import dataclasses
import os
import resource
import signal

import pytest

from tests import test_loop, test_loop_processes
from training import checkpoints, exit_status, loop, workdir


@pytest.mark.parametrize(("log_every", "per_call"), [(1, 1), (5, 4)])
def test_sigterm_saves_and_the_same_lines_come_out(
    tmp_path, body, log_every, per_call
):
    """Also where the stop falls between two lines of a mean."""
    experiment = dataclasses.replace(
        test_loop.EXPERIMENT,
        log_every=log_every,
        steps_per_call=per_call,
        eval_every=3,
        save_every=100,
    )
    signals = [signal.SIGTERM]

    def evaluate(model):
        if signals and "hurt" in folder.name:
            os.kill(os.getpid(), signals.pop())
        return loop.Evaluation(1.0, {"mpjpe_mm": 1.0})

    folder = tmp_path / "whole"
    test_loop.run(folder, body, experiment, evaluate=evaluate)
    whole = test_loop.losses(folder)
    folder = tmp_path / "hurt"
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(loop.StoppedError, match="at step 4 of 12"):
        test_loop.run(folder, body, experiment, evaluate=evaluate)
    assert signal.getsignal(signal.SIGTERM) == before
    assert workdir.saved_steps(folder) == [4]
    test_loop.run(folder, body, experiment, evaluate=evaluate)
    assert test_loop.losses(folder) == whole
    steps = [line["step"] for line in whole if line["kind"] != "evaluation"]
    assert steps == {1: [*range(1, 13)], 5: [3, 5, 6, 9, 10, 12]}[log_every]


def full(size: int) -> None:
    """From now on no file of this process grows beyond `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def full_for_the_journal(folder: str) -> None:
    """A process whose TensorBoard file reaches the limit between saves."""
    full(60_000)
    test_loop_processes.train_here(folder, "cpu", "long")


def full_for_a_checkpoint(folder: str) -> None:
    """A process whose second checkpoint does not fit."""
    save = checkpoints.Checkpoints.save

    def second(self, step):
        if step == 100:
            full(2_000)
        save(self, step)

    checkpoints.Checkpoints.save = second
    test_loop_processes.train_here(folder, "cpu", "long")


def test_a_full_disk_is_named_and_the_last_checkpoint_whole(tmp_path):
    """With space again the same command continues, as if it had been there."""
    faults = (full_for_the_journal, full_for_a_checkpoint)
    running = [
        test_loop_processes.start(tmp_path / fault.__name__, function=fault)
        for fault in faults
    ]
    test_loop_processes.train_here(tmp_path / "whole", "cpu", "long")
    lines = test_loop.losses(tmp_path / "whole")
    assert len(lines) == 200
    for fault, process, file in zip(
        faults, running, ("tensorboard", "ckpt-100"), strict=True
    ):
        folder = tmp_path / fault.__name__
        _, said = process.communicate(timeout=240)
        assert process.returncode == exit_status.FAILED, said
        (told,) = [s for s in said.splitlines() if "training.fit:" in s]
        assert str(folder) in told and file in told and "Make space" in told
        assert "checkpoint of step 50 is whole" in told
        assert workdir.saved_steps(folder) == [50]
        test_loop_processes.train_here(folder, "cpu", "long")
        assert test_loop.losses(folder) == lines
