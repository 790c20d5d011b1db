"""SPIN itself on two workers, with SMPLify and fits to begin with."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.support import processes, toy_method, worker_processes
from tests.support.paths import ROOT
from training import launch
from training.engine import exit_status, fit_store

STEPS = 8
WORDS = (
    *("spin_quick", "--devices=cpu", "--precision=float32"),
    *("--method.image-size=64", "--method.encoder-width=8"),
    *("--method.hidden=32", "--method.fit-steps=3", "--data.batch-size=8"),
    *(f"--steps={STEPS}", "--log-every=1", "--eval-every=0", "--save-every=3"),
    "--data.fits=first.npz",
)


def pair(folder, records, begun):
    """Two workers, each in a folder of its own with its own first.npz."""
    hosts = launch.free_hosts(2)
    words = [*WORDS, f"--workdir={folder}", f"--records={records}"]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "training.fit", *words],
            cwd=worker_folder,
            env=os.environ
            | {
                "TF_CONFIG": launch.tf_config(hosts, index),
                "PYTHONPATH": str(ROOT),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, worker_folder in enumerate(begun)
    ]


@pytest.fixture
def begun(tmp_path, rng):
    """The workers' folders, with the same fits of nobody."""
    worker_folders = [tmp_path / "here", tmp_path / "there"]
    store = fit_store.FitStore()
    store.update(np.arange(3), np.float32(rng.normal(size=(3, 82))))
    for worker_folder in worker_folders:
        store.save(worker_folder, 0)
        shutil.copy(
            fit_store.path_of(worker_folder, 0), worker_folder / "first.npz"
        )
    return worker_folders


@pytest.mark.slow
def test_killed_and_continued_is_as_uninterrupted(
    tiny_records, tmp_path, begun
):
    uninterrupted, hurt = tmp_path / "whole", tmp_path / "hurt"
    workers = pair(hurt, tiny_records, begun)
    processes.wait_for_lines(hurt, 5, workers[0])
    workers[1].kill()
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.PEER_LOST, -signal.SIGKILL], errors
    for folder in (hurt, uninterrupted):
        statuses, errors = worker_processes.ends(
            pair(folder, tiny_records, begun)
        )
        assert not any(statuses), errors
    lines = toy_method.losses(uninterrupted)
    assert toy_method.losses(hurt) == lines
    assert sum(line.get("fits_better", 0) for line in lines) > 0
    ends = [
        fit_store.path_of(folder, STEPS) for folder in (hurt, uninterrupted)
    ]
    assert ends[0].read_bytes() == ends[1].read_bytes()


@pytest.mark.slow
def test_workers_with_other_fits_do_not_begin(tiny_records, tmp_path, begun):
    store = fit_store.FitStore([str(begun[1] / "first.npz")])
    store.update(np.arange(1), np.ones((1, 82), np.float32))
    store.save(tmp_path, 0)
    shutil.copy(fit_store.path_of(tmp_path, 0), begun[1] / "first.npz")
    workers = pair(tmp_path / "run", tiny_records, begun)
    statuses, errors = worker_processes.ends(workers)
    assert statuses == [exit_status.FAILED] * 2, errors
    assert all("copy the same files to all" in error for error in errors)
    assert not toy_method.losses(tmp_path / "run")
