"""Records whose images are cut: the training batches are the same people."""

import numpy as np
import pytest

from tests.support.closeness import assert_close
from training import config
from training.data.pipeline import batches
from training.data.prepare import cached_crops
from training.data.records import mocap, records_folder, shards


def batch_of(folder):
    source = config.Source(str(folder))
    data = config.Data(
        sources=(source,),
        batch_size=8,
        prior=str(folder),
        augment=config.Augment(rotation_deg=20.0),
    )
    return next(iter(batches.train_dataset((source,), data, 48)))


def test_batches_of_cached_crops_are_those_of_the_records(
    tiny_records, tmp_path, capsys
):
    records, out = tiny_records / "synthetic", tmp_path / "crops"
    cached_crops.run(cached_crops.Options(records, out, size=60))
    assert "32 records" in capsys.readouterr().out
    stored, crops = (
        shards.Records(records, "train"),
        shards.Records(out, "train"),
    )
    assert len(stored) == len(crops)
    report = records_folder.read_report(out)
    assert report["splits"]["train"]["cached_crops_px"] == 60
    assert (
        mocap.path_of(out).read_bytes() == mocap.path_of(records).read_bytes()
    )
    before, after = batch_of(records), batch_of(out)
    assert before["example_id"].numpy().tolist() == (
        after["example_id"].numpy().tolist()
    )
    for name in ("rotmats", "betas", "joints3d"):
        assert_close("exact", after[name], before[name])
    # Of a crop that is 2 wide.
    assert_close("cached_crop_ndc", after["keypoints"], before["keypoints"])
    off = np.abs(
        after["image"].numpy().astype(float) - before["image"].numpy()
    ).mean()
    assert off < 6  # gray levels; another person is off by 40 and more


def test_bad_options_are_refused(tiny_records, tmp_path):
    records = tiny_records / "synthetic"
    with pytest.raises(ValueError, match="--size is 0"):
        cached_crops.run(cached_crops.Options(records, tmp_path, size=0))
    with pytest.raises(ValueError, match="choose another"):
        cached_crops.run(cached_crops.Options(records, records))
    with pytest.raises(FileNotFoundError):
        cached_crops.run(cached_crops.Options(tmp_path / "no", tmp_path / "x"))
