"""Kept fits: turned and mirrored with their picture, found again, on disk."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.support import pipeline_batches, record_samples
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import augment
from training.data.records import parsing
from training.engine import cluster, fit_store

STRONG = config.Augment(rotation_deg=40.0, rotation_probability=1.0, flip=0.5)


def random_fits(rng, count) -> method.Fits:
    rotmats = rotations.rotvec_to_rotmat(
        tf.constant(rng.normal(0, 0.8, (count, 24, 3)), tf.float32)
    )
    betas = tf.constant(rng.normal(size=(count, 10)), tf.float32)
    return method.Fits(rotmats, betas, tf.ones(count))


def batch_of(keys, seed=0):
    augmentation = augment.draw(STRONG, [3, seed], len(keys))
    return {
        "example_key": tf.constant(keys, tf.int64),
        "flip": augmentation.flip,
        "rotation_rad": augmentation.rotation_rad,
    }


def test_a_fit_comes_back_as_each_crop_shows_it(rng):
    """Written from one crop and read for it: the same; all crops agree."""
    store, keys = fit_store.FitStore(), [5, 6, 7, 8, 9, 10]
    fits = random_fits(rng, len(keys))
    first = batch_of(keys)
    assert {0.0, 1.0} == set(first["flip"].numpy())
    assert np.abs(first["rotation_rad"]).min() > 0
    store.write(first["example_key"], fit_store.rows(first, fits), fits.kept)
    fits_read = store.read(first)
    assert_close("rotation", fits_read.rotmats, fits.rotmats)
    assert_close("exact", fits_read.betas, fits.betas)
    other_batch = batch_of(keys, seed=1)
    assert np.abs(other_batch["flip"] - first["flip"]).max() == 1
    rows = fit_store.rows(other_batch, store.read(other_batch))
    stored, is_stored = store.look_up(np.array(keys))
    assert is_stored.all()
    assert_close("rotation", rows, stored)


def test_what_is_kept_is_what_the_record_holds(tmp_path):
    """The pipeline's own rotation and flip, of its own labels."""
    folder = record_samples.folder(tmp_path / "samples", 6)
    data = config.Data(
        (config.Source(str(folder)),), 6, STRONG, prior="", seed=2
    )
    batch = pipeline_batches.batches(data, 1)[0]
    assert {0.0, 1.0} == set(batch["flip"])
    fits = method.Fits(batch["rotmats"], batch["betas"], batch["has_pose"])
    rows = fit_store.rows(batch, fits)
    for number, name in enumerate(batch["example_id"]):
        example = record_samples.example(int(name.decode()[2:]))
        pose = example.pose.reshape(24, 3)
        stored_rotmats = rotations.rotvec_to_rotmat(
            tf.reshape(rows[number, :72], (24, 3))
        )
        assert_close(
            "trace",
            stored_rotmats,
            rotations.rotvec_to_rotmat(np.float32(pose)),
        )
        key = parsing.example_key(["samples"], [name])[0]
        assert batch["example_key"][number] == key.numpy()


def test_only_better_ones_are_written_and_the_last_of_several(rng):
    store = fit_store.FitStore()
    old, new = rng.normal(size=(2, 4, 82)).astype(np.float32)
    keys = np.array([1, 2, 3, 2])
    store.update(keys[:3], old[:3])
    store.write(tf.constant(keys), new, [0.0, 1.0, 0.0, 1.0])
    stored_rows, is_stored = store.look_up(np.array([1, 2, 3, 4]))
    assert is_stored.tolist() == [1, 1, 1, 0]
    assert_close("exact", stored_rows, [old[0], new[3], old[2], np.zeros(82)])


def test_a_file_holds_all_and_foreign_ones_are_named(rng, tmp_path):
    store = fit_store.FitStore()
    keys, rows = rng.integers(0, 2**62, 300), rng.normal(size=(300, 82))
    for start in range(0, 300, 7):
        part = slice(start, start + 7)
        store.update(keys[part], rows[part].astype(np.float32))
    for step in (4, 8, 12):
        store.save(tmp_path, step)
    fit_store.keep_only(tmp_path, [8, 12])
    assert sorted(p.name for p in (tmp_path / fit_store.FOLDER).iterdir()) == [
        "fits-12.npz",
        "fits-8.npz",
    ]
    begun = fit_store.FitStore([str(fit_store.path_of(tmp_path, 8))])
    begun.update(np.array([3]), np.ones((1, 82), np.float32))
    begun.load(tmp_path, 12)
    assert len(begun) == 300
    assert_close("stored_float32", begun.look_up(keys)[0], np.float32(rows))
    with pytest.raises(ValueError, match="fits-4.npz is missing"):
        begun.load(tmp_path, 4)
    path = fit_store.path_of(tmp_path, 12)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="fits-12.npz could not be read"):
        begun.load(tmp_path, 12)
    np.savez(path, keys=keys, fits=rows[:, :72])
    with pytest.raises(ValueError, match=r"\(300, 72\).*expected keys"):
        fit_store.FitStore([str(path)])


def test_workers_that_begin_with_other_fits_are_told(rng):
    keys, rows = np.arange(3), np.float32(rng.normal(size=(3, 82)))
    digests = [fit_store.FitStore().digest()]
    for changed in (0.0, 0.0, 1e-6):
        rows[2, 81] += changed
        store = fit_store.FitStore()
        store.update(keys, rows)
        digests.append(store.digest())
    fit_store.check_same(digests[1:3], [])
    for different_digests in (digests[:2], digests[2:]):
        with pytest.raises(cluster.ClusterError, match="copy the same files"):
            fit_store.check_same(different_digests, ["one.npz"])


def test_spins_static_fits_are_of_the_rows_of_its_npz(rng, tmp_path):
    rows = rng.normal(size=(3, 82)).astype(np.float32)
    np.save(tmp_path / "coco_fits.npy", rows)
    store = fit_store.FitStore(
        [f"coco_2014_train={tmp_path / 'coco_fits.npy'}"]
    )
    key = parsing.example_key(["spin-npz"], ["coco_2014_train-000002"]).numpy()
    assert_close("exact", store.look_up(key)[0][0], rows[2])
    rows[1, 4] = math.nan
    np.save(tmp_path / "coco_fits.npy", rows)
    with pytest.raises(ValueError, match="all finite"):
        fit_store.FitStore([f"coco_2014_train={tmp_path / 'coco_fits.npy'}"])


def test_parts_of_a_batch_are_refused(body):
    """The counts of made labels are known only after all predictions."""
    from tf_hmr.methods import spin
    from training.engine import step

    settings = spin.Config(
        image_size=32, encoder="small", hidden=8, fits="kept"
    )
    model = method.build(settings, body)
    stage = config.Stage("one", 2, config.Optim(accumulate=2))
    strategy = tf.distribute.get_strategy()
    with pytest.raises(ValueError, match="makes targets"):
        step.Step(strategy, model, stage)
    settings_without_fits = dataclasses.replace(settings, fits="none")
    step.Step(strategy, method.build(settings_without_fits, body), stage)
