"""Fits through the real loop, of a made-up method that is quickly trained."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import test_loop, test_loop_processes
from tests.closeness import assert_close
from tf_hmr import geometry
from tf_hmr import method as methods
from training import cluster, fits, loop

EXAMPLES = 7  # Fewer than a batch has rows: one is in both halves of it.


class Keeper(test_loop.Model):
    """Learns y plus what it has kept, and keeps what it has predicted."""

    keeps_fits = True

    def targets(self, batch, prediction, kept):
        found = prediction.rotmats  # (B, 2)
        turned = tf.tile(found[:, None, :1], (1, 24, 3))
        rotmats = kept.rotmats @ geometry.rotvec_to_rotmat(0.1 * turned)
        betas = 0.5 * kept.betas + tf.pad(found, [[0, 0], [0, 8]])
        better = tf.cast(batch["x"][:, 0] > -0.5, tf.float32)
        seen = kept.betas[:, :2] + kept.rotmats[:, 3, :2, 0]
        return batch | {
            "y": batch["y"] + seen * kept.kept[:, None],
            "fits": methods.Fits(rotmats, betas, better),
            "fits_known": kept.kept,
        }


def make_dataset(spoil=None, pause_s=0.0, made=test_loop.make_dataset):
    plain = made(spoil, pause_s)

    def add(batch):
        name = batch["example_id"]
        drawn = tf.strings.to_hash_bucket_fast(name, 1000)
        return batch | {
            "example_key": drawn % EXAMPLES,
            "flip": tf.cast(drawn % 2, tf.float32),
            "rotation_rad": tf.cast(drawn, tf.float32) / 1000,
        }

    return lambda start, context: plain(start, context).map(add)


@pytest.fixture
def keeper(monkeypatch):
    monkeypatch.setattr(test_loop, "Model", Keeper)
    monkeypatch.setattr(test_loop, "make_dataset", make_dataset)


def train_here(folder: str, where: str, length: str) -> None:
    """What each process of several workers runs."""
    test_loop.Model, test_loop.make_dataset = Keeper, make_dataset
    stores, store = [], fits.Store
    fits.Store = lambda *start: stores.append(store(*start)) or stores[-1]
    test_loop_processes.train_here(folder, where, length)
    own = f"{folder}-{cluster.read().index}"
    stores[0].save(Path(own), 0)


def kept(folder: Path, step: int = 12) -> dict[int, np.ndarray]:
    with np.load(fits.path_of(folder, step)) as file:
        return dict(zip(file["keys"].tolist(), file["fits"], strict=True))


def test_stopped_and_continued_keeps_the_fits_of_its_step(
    tmp_path, body, keeper, caplog
):
    """A checkpoint without its fits is none: the one before it continues."""
    test_loop.run(tmp_path / "whole", body)
    lines = test_loop.losses(tmp_path / "whole")
    assert lines[0]["fits_known"] == 0 and lines[-1]["fits_known"] > 0.8
    assert 0.2 < lines[5]["fits_better"] < 0.9
    stages = test_loop.STAGES
    part = dataclasses.replace(
        test_loop.EXPERIMENT,
        stages=(stages[0], dataclasses.replace(stages[1], steps=3)),
    )
    test_loop.run(tmp_path / "parts", body, part)
    fits.path_of(tmp_path / "parts", 9).unlink()
    test_loop.run(tmp_path / "parts", body)
    assert "fits-9.npz is missing" in caplog.text
    assert test_loop.losses(tmp_path / "parts") == lines
    one, other = kept(tmp_path / "whole"), kept(tmp_path / "parts")
    assert one.keys() == other.keys() == set(range(EXAMPLES))
    for key, fit in one.items():
        assert_close("exact", other[key], fit)


def test_each_step_reads_what_the_last_one_wrote(
    tmp_path, body, keeper, monkeypatch
):
    """Several steps in a call, though writing takes long."""
    update = fits.Store.update

    def slowly(self, keys, rows):
        time.sleep(0.05)
        update(self, keys, rows)

    test_loop.run(tmp_path / "one", body)
    monkeypatch.setattr(fits.Store, "update", slowly)
    many = dataclasses.replace(test_loop.EXPERIMENT, steps_per_call=4)
    many = dataclasses.replace(many, log_every=0)
    test_loop.run(tmp_path / "many", body, many)
    one, other = kept(tmp_path / "one"), kept(tmp_path / "many")
    for key, fit in one.items():
        assert_close("exact", other[key], fit)


def test_a_broken_step_keeps_nothing(tmp_path, body, keeper):
    with pytest.raises(loop.NonFiniteError, match="step 6"):
        test_loop.run(tmp_path, body, spoil=5)
    assert fits.path_of(tmp_path, 4).exists()
    assert len(list((tmp_path / fits.FOLDER).iterdir())) == 1
