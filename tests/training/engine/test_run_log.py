"""Damaged lines of the journal: skipped and named, the others stay."""

import json
import os
import struct

import pytest
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow as crc

from training.engine import run_log

COUNT = 40


def line(step: int) -> bytes:
    values = {"step": step, "kind": "train", "loss": 1 / step}
    if step % 10 == 0:
        values |= {"kind": "evaluation", "score": 300.0 - step}
    return json.dumps(values).encode()


def lines() -> list[bytes]:
    return [line(step) for step in range(1, COUNT + 1)]


def write(path, content: list[bytes]) -> None:
    path.write_bytes(b"".join(text + b"\n" for text in content))


DAMAGED = {
    "cut": lines()[19][:40],
    "number": b"12",
    "null": b"null",
    "list": b"[1]",
    "object": b"{}",
    "empty": b"",
    "no kind": b'{"step": 20, "loss": 1.0}',
    "no step": b'{"kind": "train"}',
    "step of text": b'{"step": "20", "kind": "train"}',
    "step of truth": b'{"step": true, "kind": "train"}',
    "endless step": b'{"step": 1' + 400 * b"0" + b', "kind": "train"}',
    "score of text": b'{"step": 20, "kind": "evaluation", "score": "low"}',
    "deep": 100_000 * b"[",
    "not utf-8": b'{"step": 20, "kind": "tr\xff\xfein"}',
    "zeros": bytes(4096),
    "list of score": b'{"step": 20, "kind": "evaluation", "score": [1]}',
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("position", [0, 19, COUNT - 1])
def test_one_damaged_line_takes_no_other_with_it(
    tmp_path, caplog, name, position
):
    content = lines()
    content[position] = DAMAGED[name]
    path = tmp_path / run_log.METRICS_FILE
    write(path, content)
    intact_steps = [n + 1 for n in range(COUNT) if n != position]
    assert [r["step"] for r in run_log.read_metrics(path)] == intact_steps
    assert f"{path}: line {position + 1} cannot be read" in caplog.text
    assert run_log.cut_metrics(path, 30) == 1
    # Byte for byte as they were.
    kept_steps = [step for step in intact_steps if step <= 30]
    assert path.read_bytes().splitlines() == [line(n) for n in kept_steps]
    assert run_log.cut_metrics(path, 30) == 0


def test_a_lost_block_takes_only_its_own_lines(tmp_path, caplog):
    content = b"".join(text + b"\n" for text in lines())
    path = tmp_path / run_log.METRICS_FILE
    path.write_bytes(content[:700] + bytes(500) + content[1200:])
    before = content[:700].count(b"\n")
    after = content[1200:].count(b"\n") - 1  # The first is cut.
    rest = [record["step"] for record in run_log.read_metrics(path)]
    assert rest == [
        *range(1, before + 1),
        *range(COUNT - after + 1, COUNT + 1),
    ]
    assert f"line {before + 1} " in caplog.text


def test_whole_lines_are_read_whatever_ends_them(tmp_path, caplog):
    path = tmp_path / run_log.METRICS_FILE
    path.write_bytes(b"\r\n".join(lines()))
    assert len(run_log.read_metrics(path)) == COUNT
    strange = '{"step": 1, "kind": "tr\u2028ain", "loss": NaN}\n'
    path.write_text(strange, encoding="utf-8")
    (record,) = run_log.read_metrics(path)
    assert record["kind"] == "tr\u2028ain"
    assert run_log.read_metrics(tmp_path / "none") == []
    assert caplog.text == ""


def test_many_damaged_lines_are_one_message(tmp_path, caplog):
    path = tmp_path / run_log.METRICS_FILE
    write(path, [b"x"] * 1000 + lines())
    assert len(run_log.read_metrics(path, "evaluation")) == COUNT // 10
    assert len(caplog.records) == 1 and len(caplog.text) < 600
    assert "1000 damaged lines, 40 whole ones" in caplog.text


def test_an_event_of_an_impossible_length_takes_no_memory(tmp_path):
    """TensorFlow's reader takes memory for any length, or crashes."""
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for step in (1, 2):
            tf.summary.scalar("a", 1.0, step=step)
    (path,) = tmp_path.iterdir()
    intact_bytes = path.read_bytes()
    length = struct.pack("<Q", 2**60)
    checksum = struct.pack("<I", crc.masked_crc32c(length))
    path.write_bytes(intact_bytes + length + checksum + b"x" * 40)
    run_log.cut_events(tmp_path, 2)
    run_log.cut_events(tmp_path, 1)
    events = [
        event_pb2.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert [event.step for event in events] == [0, 1]


def test_the_journal_is_on_the_disk_after_a_flush(tmp_path, monkeypatch):
    synced = []
    book = run_log.RunLog(tmp_path, 0)
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}")),
    )
    book.scalars(1, "train", {"loss": 1.0})
    book.flush()
    book.close()
    assert synced == [str(tmp_path / run_log.METRICS_FILE)]


def test_the_mean_of_a_stopped_run_goes_on_with_its_seconds():
    """A run that is stopped between two lines writes the second one whole."""
    mean = run_log.Mean()
    mean.add({"loss": 3.0})
    mean.seconds = 1.5
    continued = run_log.Mean()
    continued.deserialize(mean.serialize())
    continued.add({"loss": 5.0})
    assert continued.means() == {"loss": 4.0}
    assert continued.seconds == 1.5
    continued.reset()
    assert continued.count == 0 and not continued.sums
    assert continued.seconds == 0
