"""Records: what is stored comes back, and damage is found and named."""

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf

from tests.support import record_samples
from tests.support.closeness import assert_close
from tf_hmr import joints
from training.data.records import (
    mocap,
    parsing,
    records_folder,
    schema,
    shard_index,
    shards,
)

LABELS = ("keypoints", "joints3d", "pose", "betas", "translation")


def read_ids(folder, split="train", part=(0, 1)):
    stored = shards.Records(folder, split, part)
    serialized = [stored.read(number) for number in range(len(stored))]
    return [schema.decode(record).example_id for record in serialized]


def test_an_example_comes_back_unchanged():
    example = record_samples.example(3)
    decoded = schema.decode(schema.encode(example))
    for field in dataclasses.fields(example):
        expected = getattr(example, field.name)
        actual = getattr(decoded, field.name)
        if isinstance(expected, np.ndarray):
            assert_close("stored_float32", actual, expected)
        else:
            assert actual == expected, field.name


def test_labels_that_are_not_known_stay_unknown():
    absent = dict.fromkeys(("keypoints", "joints3d", "pose", "betas"))
    example = record_samples.example(0, parts=b"", intrinsics=None, **absent)
    serialized = schema.encode(example)
    decoded = schema.decode(serialized)
    assert decoded.keypoints is None and decoded.joints3d is None
    assert decoded.pose is None and decoded.betas is None
    assert decoded.intrinsics is None and not decoded.has("parts")
    parsed = parsing.parse([serialized])
    flags = {name: float(parsed[name][0]) for name in parsed if "has_" in name}
    assert flags == dict.fromkeys(flags, 0.0) and len(flags) == 5


def test_parse_reads_a_batch_as_decode_reads_each():
    serialized = [
        schema.encode(record_samples.example(number)) for number in range(3)
    ]
    batch = parsing.parse(serialized)
    for row, record in enumerate(serialized):
        example = schema.decode(record)
        for name in LABELS:
            expected = getattr(example, name)
            assert_close("stored_float32", batch[name][row], expected)
        assert batch["image"][row].numpy() == example.image
        assert batch["height"][row] == example.height
        assert float(batch["has_pose"][row]) == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"betas": np.full(10, np.nan)}, "betas is not finite"),
        ({"keypoints": np.full((len(joints.KEYPOINTS), 3), 0.5)}, "0 or 1"),
        ({"image": b"GIF89a"}, "JPEG"),
        ({"parts": b"GIF89a"}, "PNG"),
        ({"box": (500, 10, 20, 20)}, "outside the image"),
        ({"box": (5, 10, 0, 20)}, "empty"),
        ({"topology": ""}, "topology"),
        ({"dataset": ""}, "must name it"),
        ({"gender": "f"}, "gender is 'f', expected one of"),
    ],
)
def test_a_bad_example_is_refused_by_name(changes, message):
    example = record_samples.example(4, **changes)
    with pytest.raises(ValueError, match=f"id4.*{message}"):
        schema.encode(example)


def test_a_wrong_shape_is_refused_at_once():
    with pytest.raises(ValueError, match=r"id5.*betas.*\(9,\).*\(10,\)"):
        record_samples.example(5, betas=np.zeros(9))


def test_a_folder_says_what_it_holds(tmp_path):
    record_samples.folder(tmp_path / "samples", 12)
    report = records_folder.read_report(tmp_path / "samples")
    assert report["dataset"] == "samples"
    assert report["topology"] == record_samples.TOPOLOGY
    assert report["joint_names"] == list(joints.KEYPOINTS)
    split = report["splits"]["train"]
    assert (split["count"], split["shards"]) == (12, [5, 5, 2])
    assert (split["seed"], split["command"]) == (7, "record_samples")
    assert read_ids(tmp_path / "samples") == [f"id{n}" for n in range(12)]
    parts = [read_ids(tmp_path / "samples", part=(k, 2)) for k in (0, 1)]
    assert [len(part) for part in parts] == [7, 5]
    assert not set(parts[0]) & set(parts[1])


def test_shards_are_ordinary_tfrecord_files(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 7)
    paths = sorted(str(path) for path in folder.glob("*.tfrecord"))
    by_tensorflow = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    stored = shards.Records(folder, "train")
    assert by_tensorflow == [stored.read(n) for n in range(len(stored))]


def test_splits_share_a_folder_and_a_body(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 3)
    record_samples.folder(folder, 2, split="test")
    assert set(records_folder.read_report(folder)["splits"]) == {
        "train",
        "test",
    }
    with pytest.raises(FileExistsError, match="finished split 'test'"):
        records_folder.Writer(folder, "test")
    writer = records_folder.Writer(folder, "val")
    with pytest.raises(ValueError, match=r"'open-v1'.*'smpl'"):
        writer.write(record_samples.example(0, topology="smpl"))


KILLED = """
import os, sys
from tests.support import record_samples
from training.data.records import records_folder
writer = records_folder.Writer(sys.argv[1], "train", shard_size=3)
for number in range(5):
    writer.write(record_samples.example(number))
os._exit(9)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a writer leaves that is killed in its second shard."""
    folder = tmp_path_factory.mktemp("killed") / "samples"
    run = [sys.executable, "-c", KILLED, str(folder)]
    assert subprocess.run(run, check=False).returncode == 9
    return folder


def test_equal_people_are_equal_bytes():
    """Protobuf's maps have another order in every process."""
    serialized = schema.encode(record_samples.example(1))
    record = tf.train.Example.FromString(serialized)
    assert serialized == record.SerializeToString(deterministic=True)


def test_a_killed_writer_leaves_nothing_that_looks_whole(killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "samples")
    assert [p.name for p in folder.glob("*.tfrecord")] == [
        "train-00000.tfrecord"
    ]
    with pytest.raises(FileNotFoundError, match="was not finished"):
        shards.Records(folder, "train")
    record_samples.folder(folder, 2)
    assert read_ids(folder) == ["id0", "id1"]
    assert len(list(folder.glob("train-0*"))) == 2  # the shard, its index


def test_a_writer_continues_after_whole_shards(killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "samples")
    writer = records_folder.Writer(folder, "train", shard_size=3, keep=2)
    assert writer.counts == [3]
    report = writer.finish()
    assert report["dataset"] == "samples"
    assert report["topology"] == record_samples.TOPOLOGY
    assert read_ids(folder) == ["id0", "id1", "id2"]


def test_a_truncated_shard_is_named_and_read_to_its_last_whole_record(
    tmp_path, caplog
):
    folder = record_samples.folder(tmp_path / "samples", 8)
    path = folder / "train-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-10])
    with caplog.at_level(logging.WARNING):
        ids = read_ids(folder)
    assert ids == [f"id{number}" for number in range(7)]
    assert f"{path} is truncated: 2 whole records of 3" in caplog.text


def test_a_changed_byte_is_found_where_it_is(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 3)
    path = folder / "train-00000.tfrecord"
    ends = np.load(shard_index.path_of(path))[:, 0]
    data = bytearray(path.read_bytes())
    data[int(ends[0] + ends[1]) // 2] ^= 1
    path.write_bytes(data)
    stored = shards.Records(folder, "train")
    stored.read(0)
    stored.read(2)
    with pytest.raises(shards.DamagedRecord, match="00000.tfrecord record 1"):
        stored.read(1)


def test_missing_records_are_named_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=rf"'coco'.*{tmp_path}/coco.*training.prepare coco.*--out",
    ):
        shards.Records(tmp_path / "coco", "train")
    folder = record_samples.folder(tmp_path / "samples", 6)
    with pytest.raises(FileNotFoundError, match="no split 'test'.*'train'"):
        shards.Records(folder, "test")
    with pytest.raises(ValueError, match=r"\(2, 3\) selects no record"):
        shards.Records(folder, "train", (2, 3))
    (folder / "train-00001.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match="train-00001.*missing"):
        shards.Records(folder, "train")


def test_records_of_another_version_are_refused(tmp_path):
    folder = record_samples.folder(tmp_path / "samples", 1)
    report = records_folder.read_report(folder)
    report["joint_names"] = report["joint_names"][::-1]
    (folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(ValueError, match="another version: joint_names"):
        records_folder.read_report(folder)


def test_the_schema_is_imported_without_tensorflow():
    code = "import sys; import training.data.records.schema as r; r.Example; "
    code += "sys.exit('tensorflow' in sys.modules)"
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, check=False).returncode == 0


def test_unpaired_poses_come_back(tmp_path, rng):
    poses = mocap.Prior(
        rng.normal(size=(4, 72)).astype(np.float32),
        rng.normal(size=(4, 10)).astype(np.float32),
        "open-v1",
    )
    mocap.write(tmp_path, poses)
    read_poses = mocap.read(tmp_path)
    assert_close("stored_float32", read_poses.pose, poses.pose)
    assert_close("stored_float32", read_poses.betas, poses.betas)
    assert read_poses.topology == "open-v1" and read_poses.gender is None
    gender = np.float32([-1, 0, 1, 1])
    mocap.write(tmp_path, poses._replace(gender=gender))
    assert_close("stored_float32", mocap.read(tmp_path).gender, gender)
    with pytest.raises(ValueError, match=r"gender \(4,\)"):
        mocap.write(tmp_path, poses._replace(gender=2 * gender))
    stored = dict(np.load(mocap.path_of(tmp_path)))
    np.savez(mocap.path_of(tmp_path), **stored | {"gender": 2 * gender})
    with pytest.raises(ValueError, match=r"prior.npz has genders other than"):
        mocap.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="data.prior"):
        mocap.read(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"\(4, 72\) and \(3, 10\)"):
        mocap.write(tmp_path, poses._replace(betas=poses.betas[:3]))


def test_threads_open_each_shard_once(tmp_path, monkeypatch):
    folder = record_samples.folder(tmp_path / "samples", 4, shard_size=1)
    opened, threads, system_open = [], 16, os.open

    def open_slowly(path, *arguments, **options):
        if str(path).endswith(".tfrecord"):
            opened.append(path)
            time.sleep(0.02)  # long enough for the others to come, too
        return system_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_slowly)
    stored = shards.Records(folder, "train")
    together = threading.Barrier(threads)

    def read(_):
        together.wait()
        return [stored.read(number) for number in range(4)]

    with futures.ThreadPoolExecutor(threads) as pool:
        records_of_threads = list(pool.map(read, range(threads)))
    assert sorted(opened) == [shard.path for shard in stored.shards]
    assert all(
        records == records_of_threads[0] for records in records_of_threads
    )
    ids = [schema.decode(record).example_id for record in records_of_threads[0]]
    assert ids == [f"id{number}" for number in range(4)]
