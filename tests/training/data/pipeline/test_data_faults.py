"""Records that are broken, or go away while a run reads them."""

import logging
import shutil

import numpy as np
import pytest

from tests.support import pipeline_batches, record_samples, tiny_run
from tests.support.closeness import assert_close
from training import config, fit
from training.data.pipeline import batches
from training.data.records import shards
from training.engine import checkpoints, exit_status, run_log
from training.tasks import fit as task

pytestmark = pytest.mark.usefixtures("fit_without_xla")

NOT_A_NUMBER = {
    "box": np.full(4, np.nan),
    "keypoints": np.full((pipeline_batches.K, 3), np.nan),
    "joints3d": np.full((pipeline_batches.K, 4), np.inf),
    "pose": np.full(72, np.nan),
    "betas": np.array([0.0] * 9 + [np.nan]),
}
# What a record loses with the label.
MASKED_FIELDS = {
    "box": (),  # All: nothing can be cut out.
    "keypoints": ("keypoints",),
    "joints3d": ("joints3d", "has_joints3d"),
    "pose": ("rotmats", "global_rotation", "has_pose"),
    "betas": ("betas", "has_betas"),
}
CUT = record_samples.example(0).image[:900]

# The identity where they are missing.
ROTATIONS = ("rotmats", "global_rotation")
VIEWS = ("box", "image_size", "intrinsics", "depth")
# Who it is, and how its crop was drawn.
NO_LABELS = ("example_id", "example_key", "flip", "rotation_rad")


@pytest.mark.parametrize("how", ["host", "step"])
def test_what_is_not_a_number_is_missing(tmp_path, caplog, how):
    """A record of each label whose label is not a number."""
    bad_ids = {label: f"id{n}" for n, label in enumerate(NOT_A_NUMBER, 2)}
    wrong = dict(enumerate(({k: v} for k, v in NOT_A_NUMBER.items()), 2))
    folder = record_samples.spoilt(
        tmp_path / "samples", pipeline_batches.COUNT, wrong
    )
    # One more, or one of these counted twice, would be too many.
    share = (len(NOT_A_NUMBER) + 0.5) / pipeline_batches.COUNT
    data = pipeline_batches.two_sources(
        folder, warp=how, max_bad_share=share, sources=sources_of(folder)
    )
    intact = record_samples.folder(tmp_path / "intact", pipeline_batches.COUNT)
    clean = pipeline_batches.two_sources(
        folder, warp=how, sources=sources_of(intact), prior=str(folder)
    )
    with caplog.at_level(logging.WARNING):
        batches_of_bad = pipeline_batches.batches(data, 2)
    ids_read = set()
    for batch, expected in zip(
        batches_of_bad, pipeline_batches.batches(clean, 2), strict=True
    ):
        ids = batch["example_id"].astype(str)
        ids_read |= set(ids)
        for name, value in batch.items():
            if name in NO_LABELS:
                continue
            assert np.isfinite(value).all(), name
            is_masked = np.zeros(len(value), bool)
            for label, bad_id in bad_ids.items():
                if name in MASKED_FIELDS[label] or (
                    label == "box" and len(ids) == len(value)
                ):
                    is_masked |= ids == bad_id
            assert_close("exact", value[~is_masked], expected[name][~is_masked])
            # A camera of zeros would give a network what is not finite.
            if name not in (*ROTATIONS, *VIEWS):
                assert (value[is_masked] == 0).all(), name
    assert set(bad_ids.values()) <= ids_read
    for label, bad_id in bad_ids.items():
        (warning,) = (m for m in caplog.messages if f"samples/{bad_id}:" in m)
        assert f"{label} not finite" in warning


@pytest.mark.parametrize("how", ["host", "step"])
def test_without_its_parts_a_record_is_blank(tmp_path, how):
    wrong = {2: {"parts": record_samples.example(2).parts[:60]}}
    folder = record_samples.spoilt(tmp_path / "samples", 6, wrong)
    data = pipeline_batches.two_sources(
        folder,
        warp=how,
        parts=True,
        max_bad_share=0.2,
        sources=sources_of(folder),
    )
    source = config.Source(str(folder))
    evaluated = batches.eval_dataset(
        source, 6, pipeline_batches.SIZE, max_bad_share=0.2
    )
    for batch in (*pipeline_batches.batches(data, 1), *evaluated):
        bad = np.asarray(batch["example_id"]) == b"id2"
        assert bad.sum() == 1
        for name in ("image", "has_pose", "has_parts", "parts", "keypoints"):
            value = np.asarray(batch[name])
            assert not value[bad].any(), name
            assert value[~bad].any(), name


def sources_of(folder):
    return (config.Source(str(folder)),)


def command(workdir, folder, *words):
    tiny = [w for w in tiny_run.TINY if "every" not in w]
    return [
        *("quick", f"--workdir={workdir}", f"--records={folder}"),
        *("--save-every=2", "--log-every=1", "--precision=float32"),
        *(*tiny, *words),
    ]


def steps(workdir):
    lines = run_log.read_metrics(workdir / run_log.METRICS_FILE)
    return [line["step"] for line in lines if line["kind"] == "train"]


def test_too_many_bad_records_are_one_line_with_their_causes(tmp_path, capsys):
    wrong = {2: {"image": CUT}, 5: {"pose": NOT_A_NUMBER["pose"]}}
    folder = record_samples.spoilt(
        tmp_path / "samples", pipeline_batches.COUNT, wrong
    )
    data = pipeline_batches.two_sources(
        folder, sources=sources_of(folder), max_bad_share=0.1
    )
    status = task.run_and_report(lambda: pipeline_batches.batches(data, 3))
    assert status == exit_status.FAILED
    (error,) = capsys.readouterr().err.splitlines()
    assert "2 of 11 records are bad" in error and "0.1" in error
    for cause in ("'JPEG is cut short': 1", "'pose not finite': 1"):
        assert cause in error


def test_open_shards_are_read_on_when_their_folder_is_gone(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 8, shard_size=4)
    stored = shards.Records(folder, "train")
    before = stored.read(0)
    shutil.rmtree(folder)
    assert stored.read(0) == before and len(stored.read(3)) > 100
    path = folder / "train-00001.tfrecord"
    with pytest.raises(shards.RecordsGoneError, match=f"{path}.*No such file"):
        stored.read(4)


WRONG = {7: {"image": CUT}, 150: {"pose": NOT_A_NUMBER["pose"]}}


def test_records_that_go_away_are_told_and_read_on_when_they_are_back(
    tmp_path, caplog, capsys
):
    """One in a hundred is broken; after the second step no file is there."""
    folder = record_samples.spoilt(tmp_path / "samples", 200, WRONG, 1)
    data = pipeline_batches.two_sources(
        folder, sources=sources_of(folder), batch_size=8
    )
    moved_folder, read_batches = tmp_path / "away", []
    all_batches = pipeline_batches.batches(data, 25)

    def read():
        for batch in batches.train_dataset(data.sources, data, 64):
            read_batches.append(batch)
            if len(read_batches) == 2:
                folder.rename(moved_folder)
            assert len(read_batches) < 25, "read ahead to the end of the pass"

    assert task.run_and_report(read) == exit_status.FAILED
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("training.fit: ") and ".tfrecord" in error
    assert str(folder) in error and "Bring its folder back" in error
    moved_folder.rename(folder)
    rest = pipeline_batches.batches(
        data, 25 - len(read_batches), start=len(read_batches)
    )
    for actual, expected in zip(
        rest, all_batches[len(read_batches) :], strict=True
    ):
        pipeline_batches.assert_same(actual, expected)
    messages = "\n".join(caplog.messages)  # A pass is 25 steps: all were seen.
    assert "samples/id7: JPEG is cut short" in messages
    assert "samples/id150: pose not finite" in messages


@pytest.mark.slow
def test_a_run_bears_bad_records_and_that_all_go_away(
    tmp_path, monkeypatch, caplog, capsys
):
    """One in a hundred is broken; after the second step no file is there."""
    folder = record_samples.spoilt(tmp_path / "samples", 200, WRONG, 1)
    run, moved_folder = tmp_path / "run", tmp_path / "away"
    save = checkpoints.Checkpoints.save

    def save_and_move(self, step, *arguments, **options):
        save(self, step, *arguments, **options)
        if not moved_folder.exists() and step == 2:
            folder.rename(moved_folder)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_move)
    words = command(run, folder, "--steps=25", "--data.batch-size=8")
    assert fit.main(words) == exit_status.FAILED
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("training.fit: ") and ".tfrecord" in error
    assert str(folder) in error and "Bring its folder back" in error
    assert 2 <= steps(run)[-1] < 25
    monkeypatch.setattr(checkpoints.Checkpoints, "save", save)
    moved_folder.rename(folder)
    assert fit.main(words) == exit_status.COMPLETE
    assert steps(run) == list(range(1, 26))
    messages = "\n".join(caplog.messages)  # A pass is 25 steps: all were seen.
    assert "samples/id7: JPEG is cut short" in messages
    assert "samples/id150: pose not finite" in messages
