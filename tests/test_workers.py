"""Two workers of one run on this machine: one curve, whatever befalls them."""

import signal

from tests import test_fits_in_loop, test_loop, test_loop_processes
from tests.closeness import assert_close
from training import exit_status, fits, launch, workdir


def start(folder, **environment):
    """A process that trains the made-up method that keeps fits."""
    function = test_fits_in_loop.train_here
    return test_loop_processes.start(
        folder, "cpu", "paced", function=function, **environment
    )


def pair(folder):
    """Two workers that train into one folder."""
    hosts = launch.free_hosts(2)
    return [
        start(folder, TF_CONFIG=launch.tf_config(hosts, index))
        for index in range(2)
    ]


def ends(workers, timeout=240):
    """Exit statuses and what was said; none is left running."""
    try:
        said = [worker.communicate(timeout=timeout)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [worker.returncode for worker in workers], said


def test_stopped_and_killed_workers_make_one_devices_curve(tmp_path):
    """SIGTERM to one of two, kill -9 of one of two: the losses are the same."""
    one = start(tmp_path / "one")
    whole = pair(tmp_path / "whole")
    hurt = tmp_path / "hurt"
    workers = pair(hurt)

    test_loop_processes.wait_for_lines(hurt, 20, workers[0])
    workers[1].send_signal(signal.SIGTERM)
    statuses, said = ends(workers)
    assert statuses == [exit_status.STOPPED] * 2, said
    (step,) = workdir.saved_steps(hurt)
    assert 20 <= step < 50 and f"Stopped at step {step}" in said[0]
    assert len(test_loop.losses(hurt)) == step

    workers = pair(hurt)
    test_loop_processes.wait_for_lines(hurt, 120, workers[0])
    workers[1].kill()
    statuses, said = ends(workers)
    assert statuses == [exit_status.PEER_LOST, -signal.SIGKILL], said
    assert f"at step {step} of 200" in said[0]
    told = [line for line in said[0].splitlines() if "training.fit:" in line]
    assert len(told) == 1 and "start all workers again" in told[0]

    # The newest checkpoint's fits are damaged, too: both take the one before.
    fits.path_of(hurt, workdir.saved_steps(hurt)[-1]).write_bytes(b"")
    for workers in (pair(hurt), whole, [one]):
        statuses, said = ends(workers)
        assert not any(statuses), said
    lines = test_loop.losses(tmp_path / "whole")
    assert test_loop.losses(hurt) == lines
    assert not list(hurt.rglob("*temp*"))
    alone = test_loop.losses(tmp_path / "one")
    assert len(lines) == len(alone) == 200
    for a, b in zip(alone, lines, strict=True):
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("fed_back", [b[k] for k in names], [a[k] for k in names])

    # The second worker of each run holds what the chief has written.
    end = fits.path_of(hurt, 200).read_bytes()
    for name, step in (("whole", 200), ("hurt-0", 0), ("hurt-1", 0)):
        assert fits.path_of(tmp_path / name, step).read_bytes() == end
    kept = test_fits_in_loop.kept
    for key, fit in kept(tmp_path / "one", 200).items():
        assert_close("fed_back", kept(hurt, 200)[key], fit)
