"""Two workers of one run on this machine: one curve, whatever befalls them."""

import signal

import pytest

from tests.support import keeper_method, processes, toy_method, worker_processes
from tests.support.closeness import assert_close
from training.engine import exit_status, fit_store, workdir


@pytest.mark.processes
def test_stopped_and_killed_workers_make_one_devices_curve(tmp_path):
    """SIGTERM to one of two, kill -9 of one of two: the losses are the same."""
    one = worker_processes.start(tmp_path / "one")
    uninterrupted = worker_processes.pair(tmp_path / "whole")
    hurt = tmp_path / "hurt"
    workers = worker_processes.pair(hurt)

    processes.wait_for_lines(hurt, 8, workers[0])
    workers[1].send_signal(signal.SIGTERM)
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.STOPPED] * 2, errors
    (step,) = workdir.saved_steps(hurt)
    assert 8 <= step < 20 and f"Stopped at step {step}" in errors[0]
    assert len(toy_method.losses(hurt)) == step

    workers = worker_processes.pair(hurt)
    processes.wait_for_lines(hurt, 50, workers[0])
    workers[1].kill()
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.PEER_LOST, -signal.SIGKILL], errors
    assert f"at step {step} of 80" in errors[0]
    fit_lines = [
        line for line in errors[0].splitlines() if "training.fit:" in line
    ]
    assert len(fit_lines) == 1 and "start all workers again" in fit_lines[0]

    # The newest checkpoint's fits are damaged, too: both take the one before.
    fit_store.path_of(hurt, workdir.saved_steps(hurt)[-1]).write_bytes(b"")
    for workers in (worker_processes.pair(hurt), uninterrupted, [one]):
        statuses, errors = worker_processes.ends(workers)
        assert not any(statuses), errors
    lines = toy_method.losses(tmp_path / "whole")
    assert toy_method.losses(hurt) == lines
    assert not list(hurt.rglob("*temp*"))
    losses_of_one = toy_method.losses(tmp_path / "one")
    assert len(lines) == len(losses_of_one) == 80
    for a, b in zip(losses_of_one, lines, strict=True):
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("fed_back", [b[k] for k in names], [a[k] for k in names])

    # The second worker of each run holds what the chief has written.
    end = fit_store.path_of(hurt, 80).read_bytes()
    for name, step in (("whole", 80), ("hurt-0", 0), ("hurt-1", 0)):
        assert fit_store.path_of(tmp_path / name, step).read_bytes() == end
    load_fits = keeper_method.kept
    for key, fit in load_fits(tmp_path / "one", 80).items():
        assert_close("fed_back", load_fits(hurt, 80)[key], fit)
