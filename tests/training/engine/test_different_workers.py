"""Workers of one run that were not started alike: refused by name."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.support import worker_processes
from tests.support.paths import ROOT
from tests.support.tiny_run import TINY
from training import launch
from training.engine import exit_status, workdir


def started(folder, records, roots=(ROOT, ROOT), words=((), ())):
    """Two workers, each with its own code and with words of its own."""
    hosts = launch.free_hosts(2)
    common = ["quick", *TINY, "--steps=6", "--devices=cpu"]
    common += [f"--records={records}", f"--workdir={folder}"]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "training.fit", *common, *words[index]],
            cwd=root,
            env=os.environ
            | {
                "TF_CONFIG": launch.tf_config(hosts, index),
                "PYTHONPATH": str(root),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, root in enumerate(roots)
    ]


def messages(workers) -> list[str]:
    """What each refusing worker said, in one line; none has trained."""
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.FAILED] * 2, errors
    assert not any("Traceback" in text for text in errors)
    return [text.partition("training.fit: ")[2] for text in errors]


@pytest.mark.slow
def test_another_version_of_the_code(tiny_records, tmp_path):
    clone = tmp_path / "other"
    for package in ("tf_hmr", "training"):
        shutil.copytree(ROOT / package, clone / package)
    with (clone / "training" / "recipes" / "quick_recipe.py").open("a") as file:
        file.write("# Another version.\n")
    run = tmp_path / "run"
    workers = started(run, tiny_records, (ROOT, clone))
    for number, message in enumerate(messages(workers)):
        assert message.startswith("The workers of this run differ in the code")
        assert f"This is worker {number}, commit" in message
        assert len(message.splitlines()) == 1
    assert not workdir.begun(run)


@pytest.mark.slow
def test_another_configuration(tiny_records, tmp_path):
    run = tmp_path / "run"
    words = ((), ("--seed=5",))
    first, second = messages(started(run, tiny_records, words=words))
    assert "differ in the configuration" in first
    assert "seed: 0 in the folder, 5 asked for" in second
    assert not workdir.begun(run)


@pytest.mark.slow
def test_a_stop_before_the_first_step_is_remembered(tiny_records, tmp_path):
    """While the workers build what they train, after they have met."""
    run = tmp_path / "run"
    words = (["--steps=2000"],) * 2
    workers = started(run, tiny_records, words=words)
    while not (run / workdir.ENVIRONMENT_FILE).exists():
        assert workers[0].poll() is None
        time.sleep(0.05)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.STOPPED] * 2, errors
    assert 0 < workdir.saved_steps(run)[-1] < 10
