"""What all readers share: order, counts, resume, the sheet."""

import dataclasses
import json
import logging
import os
import shutil
import signal

import cv2
import pytest

from tests.support import record_samples
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

TASKS = [range(start, start + 4) for start in range(0, 20, 4)]


def read(task):
    """People of a made-up dataset; some are not good enough."""
    for number in task:
        name = f"id{number}"
        if number % 7 == 3:
            yield writing.Skipped(name, "fewer than 6 keypoints")
        elif number == 8:
            yield record_samples.example(number, image=b"\xff\xd8 no more")
        elif number == 9:
            yield record_samples.example(number, box=[900, 0, 10, 10])
        elif number == 11:
            yield record_samples.example(number, pose=None, betas=None)
        else:
            yield record_samples.example(number)


def stopping(task):
    """The same, but the machine goes down in the fourth task."""
    if task.start == 12:
        raise RuntimeError("down")
    yield from read(task)


def killed(task):
    """The same, but the system kills the process in the fourth task."""
    if task.start == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    yield from read(task)


def options(out, **changes):
    values = {"root": out, "out": out, "workers": 1, "shard_size": 3}
    return writing.Options(**(values | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    root = folder / "raw"
    return folder, writing.write(
        "made-up", options(folder, root=root), TASKS, read
    )


def test_people_are_stored_in_order_and_the_rest_counted(finished):
    folder, report = finished
    stored = shards.Records(folder, "train")
    ids = [schema.decode(stored.read(i)).example_id for i in range(len(stored))]
    left_out = {3, 8, 9, 10, 17}
    assert ids == [f"id{n}" for n in range(20) if n not in left_out]
    assert report["count"] == 15
    assert report["skipped"]["fewer than 6 keypoints"] == 3
    assert report["skipped"]["JPEG is cut short"] == 1
    (outside,) = (cause for cause in report["skipped"] if "box" in cause)
    assert report["skipped"][outside] == 1
    assert report["labels"]["keypoints"] == 15
    assert report["labels"]["pose"] == 14
    assert "training.prepare made-up" in report["command"]
    assert json.loads((folder / "report.json").read_text())["splits"]["train"]
    sheet = cv2.imread(str(folder / "train.png"))
    assert sheet.std() > 20


def test_a_stopped_run_goes_on_where_its_files_end(finished, tmp_path):
    folder, report = finished
    same = options(tmp_path, root=folder / "raw")
    with pytest.raises(RuntimeError, match="down"):
        writing.write("made-up", same, TASKS, stopping)
    first = tmp_path / "train-00000.tfrecord"
    written_ns = first.stat().st_mtime_ns
    report_again = writing.write("made-up", same, TASKS, read)
    assert first.stat().st_mtime_ns == written_ns
    for part in ("count", "shards", "skipped", "labels"):
        assert report_again[part] == report[part], part
    for path in sorted(folder.glob("train-*.tfrecord")):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_lost_file_of_a_stopped_run_is_made_again(finished, tmp_path):
    folder, report = finished
    same = options(tmp_path, root=folder / "raw")
    with pytest.raises(RuntimeError, match="down"):
        writing.write("made-up", same, TASKS, stopping)
    (tmp_path / "train-00001.tfrecord").unlink()
    report_again = writing.write("made-up", same, TASKS, read)
    for part in ("count", "shards", "skipped"):
        assert report_again[part] == report[part], part


@pytest.mark.usefixtures("fresh_processes")
def test_a_killed_process_is_told_and_the_run_goes_on(finished, tmp_path):
    folder, report = finished
    same = options(tmp_path, root=folder / "raw")
    with pytest.raises(ValueError, match=r"was killed.*fewer --workers"):
        writing.write("made-up", same, TASKS, killed)
    report_again = writing.write("made-up", same, TASKS, read)
    assert report_again["shards"] == report["shards"]


def test_a_second_process_does_not_write_the_same_folder(tmp_path):
    """Neither a split nor, in the same folder, another one."""
    with records_folder.locked(tmp_path):
        for split in ("train", "val"):
            with pytest.raises(ValueError, match=r"writes records.*--out"):
                writing.write(
                    "made-up", options(tmp_path, split=split), TASKS, read
                )
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}


@pytest.fixture(scope="module")
def stopped(finished, tmp_path_factory):
    """A folder with the first whole files, and the options of its run."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(RuntimeError, match="down"):
        writing.write(
            "made-up",
            options(folder, root=finished[0] / "raw"),
            TASKS,
            stopping,
        )
    return folder


def move(stopped, folder):
    """A copy of a stopped run, as if it had been started there."""
    shutil.copytree(stopped, folder, dirs_exist_ok=True)
    path = folder / "train.options.json"
    content = json.loads(path.read_text()) | {"out": str(folder)}
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        {"task": 99},
        {"task": -1},
        {"shards": "2"},
        {"skipped": {"cause": "many"}},
        {"another": 1},
        None,
    ],
)
def test_damaged_progress_starts_over(
    finished, stopped, tmp_path, caplog, change
):
    folder, report = finished
    move(stopped, tmp_path)
    path = tmp_path / "train.progress.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps([] if change is None else content | change))
    same = options(tmp_path, root=folder / "raw")
    with caplog.at_level(logging.WARNING):
        report_again = writing.write("made-up", same, TASKS, read)
    assert f"{path} is damaged" in caplog.text
    for part in ("count", "shards", "skipped", "labels"):
        assert report_again[part] == report[part], part


def test_progress_beyond_a_task_s_people_is_refused(
    finished, stopped, tmp_path
):
    move(stopped, tmp_path)
    path = tmp_path / "train.progress.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"used": 9}))
    same = options(tmp_path, root=finished[0] / "raw")
    with pytest.raises(ValueError, match=rf"{path} says that 9.*has 4"):
        writing.write("made-up", same, TASKS, read)


@pytest.mark.parametrize("text", ["[]", "3", "null", "", "{", "[" * 10_000])
def test_damaged_options_are_named(stopped, tmp_path, text):
    move(stopped, tmp_path)
    path = tmp_path / "train.options.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{path} is damaged.*Delete"):
        writing.write("made-up", options(tmp_path), TASKS, read)


@pytest.mark.parametrize("name", ["workers", "shard_size"])
def test_numbers_below_one_are_refused(tmp_path, name):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} -1"):
        writing.write("made-up", options(out, **{name: -1}), TASKS, read)
    assert not out.exists()


def test_finished_people_are_left_alone(finished, capsys):
    folder, _ = finished
    before = (folder / "report.json").stat().st_mtime_ns
    writing.write("made-up", options(folder, root=folder / "raw"), TASKS, read)
    assert (folder / "report.json").stat().st_mtime_ns == before
    assert "already" in capsys.readouterr().out


def test_other_options_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="down"):
        writing.write("made-up", options(tmp_path), TASKS, stopping)
    other_options = dataclasses.replace(options(tmp_path), shard_size=4)
    with pytest.raises(ValueError, match="shard_size was 3, is 4"):
        writing.write("made-up", other_options, TASKS, read)


def test_a_folder_without_people_is_an_error_that_another_root_mends(tmp_path):
    wrong = options(tmp_path, root=tmp_path / "wrong")
    with pytest.raises(ValueError, match=r"no person.*Check --root"):
        writing.write("made-up", wrong, [], read)
    assert writing.write("made-up", options(tmp_path), TASKS, read)["count"]
