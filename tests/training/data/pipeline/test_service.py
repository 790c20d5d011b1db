"""Batches without Python callbacks, here and from a tf.data service."""

import contextlib
import dataclasses
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.support import pipeline_batches, record_samples
from tests.support.closeness import assert_close
from tests.support.paths import ROOT
from training import config, data_service
from training.benchmarks import data_service as benchmark
from training.data.pipeline import batches as pipeline
from training.data.pipeline import service, warp

SIZE = 64
COUNT = 11
PLAIN = config.Augment(scale=(1.0, 1.0), shift=0.0, flip=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record_samples.folder(
        tmp_path_factory.mktemp("records") / "samples", COUNT, shard_size=4
    )


@pytest.fixture(autouse=True)
def _shuffles() -> None:
    """The same order of records for each test, whatever ran before."""
    tf.random.set_seed(7)


def finished_batches(dataset, side, count):
    return [
        {k: v.numpy() for k, v in warp.finish(batch, side).items()}
        for batch in dataset.take(count)
    ]


@pytest.mark.parametrize("side", [150, 64])
def test_a_record_looks_as_in_the_local_pipeline(folder, side):
    source = config.Source(str(folder))
    data = config.Data(sources=(source,), batch_size=6, prior="", augment=PLAIN)
    local = {}
    for batch in pipeline.eval_dataset(source, COUNT, side):
        for row, name in enumerate(batch["example_id"].numpy()):
            local[name] = {k: v[row].numpy() for k, v in batch.items()}
    ids_read = set()
    for batch in finished_batches(service.dataset(data, side, 1.2), side, 4):
        for row, name in enumerate(batch["example_id"]):
            ids_read.add(name)
            for label in batch.keys() - {"image", "example_id"}:
                actual, expected = batch[label][row], local[name][label]
                assert_close("other_batch_shape", actual, expected)
            # Another decoder and other filters; the dots are where they were.
            difference = np.abs(batch["image"][row] - local[name]["image"])
            assert difference.mean() < 2.0
            radius = record_samples.RADIUS * side / 168.0
            errors = record_samples.dot_errors(
                batch["image"][row], batch["keypoints"][row], radius
            )
            assert len(errors) > 20 and errors.max() < 0.15
    assert len(ids_read) == COUNT


def test_sources_are_mixed_by_their_shares_and_augmented(folder):
    side = 150
    data = pipeline_batches.two_sources(folder, prior="")
    batches = finished_batches(service.dataset(data, side, 1.2), side, 3)
    for batch in batches:
        assert batch["has_pose"].tolist() == [1, 0, 1, 0, 1, 0]
        # Even shards of four records each show their 3D labels.
        shards = [int(name[2:]) // 4 % 2 for name in batch["example_id"]]
        assert shards == [0, 1, 0, 1, 0, 1]
        for image, points in zip(
            batch["image"], batch["keypoints"], strict=True
        ):
            # Mirrored dots have the colour of the other side.
            errors = min(
                (
                    record_samples.dot_errors(image, points, 3.6, mirrored)
                    for mirrored in (False, True)
                ),
                key=np.max,
            )
            assert len(errors) > 8 and errors.max() < 0.5
    same = batches[0]["keypoints"][0] == batches[1]["keypoints"][0]
    assert not same[..., :2].all()


def gains(batches):
    return [tuple(row) for batch in batches for row in batch["gain"].numpy()]


def test_other_records_are_augmented_otherwise(folder):
    """As workers of a service do, who count the same blocks."""
    data = pipeline_batches.two_sources(folder, prior="")
    drawn_gains = []
    for source in data.sources:
        part = dataclasses.replace(data, sources=(source,))
        drawn_gains += gains(service.dataset(part, SIZE, 1.2).take(2))
    assert len(set(drawn_gains)) == len(drawn_gains) == 4 * data.batch_size


BROKEN = {
    "box": ({"box": np.full(4, np.nan)}, "not finite"),
    "keypoints": (
        {"keypoints": np.full((pipeline_batches.K, 3), np.nan)},
        "not finite",
    ),
    "pose": ({"pose": np.full(72, np.inf)}, "not finite"),
    "size": ({"width": record_samples.WIDTH + 1}, "another size"),
    "image": ({"image": record_samples.example(2).image[:900]}, ""),
}


def test_broken_records_are_dropped(tmp_path):
    changes = dict(enumerate(changed for changed, _ in BROKEN.values()))
    bad = record_samples.spoilt(tmp_path / "samples", COUNT, changes)
    source = config.Source(str(bad))
    data = config.Data(sources=(source,), batch_size=5, prior="")
    batches = service.dataset(data, SIZE, 1.2).take(6)
    names = np.concatenate([batch["example_id"].numpy() for batch in batches])
    assert set(names) == {b"id%d" % n for n in range(len(BROKEN), COUNT)}


@pytest.mark.parametrize("broken_field", ["box", "keypoints", "size"])
def test_a_broken_record_is_told(tmp_path, broken_field, monkeypatch):
    changes, cause = BROKEN[broken_field]
    bad = record_samples.spoilt(tmp_path / "samples", COUNT, {2: changes})
    source = config.Source(str(bad))
    data = config.Data(sources=(source,), batch_size=5, prior="")
    # What ignore_errors writes to the log of a worker.
    monkeypatch.setattr(
        tf.data.Dataset, "ignore_errors", lambda self, **options: self
    )
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        for _ in service.dataset(data, SIZE, 1.2).take(6):
            pass
    assert cause in str(caught.value) and "samples/id2" in str(caught.value)


def test_where_all_are_broken_nobody_waits(tmp_path):
    cut = {"image": record_samples.example(2).image[:900]}
    bad = record_samples.spoilt(
        tmp_path / "bad", 5, dict.fromkeys(range(5), cut)
    )
    data = config.Data(sources=(config.Source(str(bad)),), prior="")
    with pytest.raises(ValueError, match=r"None of 5 .*bad.*cut.*doctor"):
        service.dataset(data, SIZE, 1.2)
    good = record_samples.spoilt(
        tmp_path / "good", 5, dict.fromkeys(range(4), cut)
    )
    data = config.Data(sources=(config.Source(str(good)),), prior="")
    service.dataset(data, SIZE, 1.2)


def test_shards_that_select_nothing_are_refused(folder):
    for selection in ((0, 0), (2, 2), (-1, 2), (3, 4)):
        source = config.Source(str(folder), shards=selection)
        data = config.Data(sources=(source,), prior="")
        with pytest.raises(ValueError, match="0 <= k < n"):
            service.dataset(data, SIZE, 1.2)


def test_a_service_gives_the_batches_of_a_training_run(folder, caplog):
    dispatcher, describe = data_service.start(data_service.Dispatcher(port=0))
    address = dispatcher.target.removeprefix("grpc://")
    workers = [
        data_service.start(data_service.Worker(address, "localhost"))[0]
        for _ in range(2)
    ]
    data = pipeline_batches.two_sources(folder, service=address)
    data = config.Data(**{**vars(data), "sources": data.sources[:1] * 2})
    batches = finished_batches(
        pipeline.train_dataset(data.sources, data, SIZE), SIZE, 3
    )
    local = finished_batches(
        pipeline.train_dataset(
            data.sources, config.Data(**{**vars(data), "service": ""}), SIZE
        ),
        SIZE,
        3,
    )
    for actual, expected in zip(batches, local, strict=True):
        assert actual.keys() == expected.keys()
        for name, value in expected.items():
            assert actual[name].shape == value.shape, name
            assert actual[name].dtype == value.dtype, name
        for name in ("prior_rotmats", "prior_betas"):
            assert_close("exact", actual[name], expected[name])
    assert describe() == "2 workers"
    drawn_gains = gains(service.dataset(data, SIZE, 1.2).take(8))
    assert len(set(drawn_gains)) == len(drawn_gains)
    assert "order cannot be repeated" in caplog.text
    for server in (*workers, dispatcher):
        server._stop()


def test_what_a_service_cannot_do_is_refused(folder):
    data = pipeline_batches.two_sources(folder, service="localhost:1")
    with pytest.raises(ValueError, match=r"localhost:1.*data_service"):
        pipeline.train_dataset(data.sources, data, SIZE)
    parts = pipeline_batches.two_sources(folder, service="x:1", parts=True)
    with pytest.raises(ValueError, match="part labels"):
        pipeline.train_dataset(parts.sources, parts, SIZE)
    context = tf.distribute.InputContext(2, 0, 2)
    with pytest.raises(ValueError, match="one training process"):
        pipeline.train_dataset(data.sources, data, SIZE, context)


def test_a_server_starts_tells_where_and_ends_at_a_signal():
    process = subprocess.Popen(
        [sys.executable, "-m", "training.data_service"]
        + ["dispatcher", "--port=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    assert "listens at localhost:" in first
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.endswith("Ended.\n")
    ended_address = first.split()[-1].rstrip(".")
    words = ["worker", f"--dispatcher={ended_address}"]
    handler = signal.getsignal(signal.SIGTERM)
    assert data_service.main(words) == 1
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.fixture
def taken_port():
    """A port on which a server of another program listens."""
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_one_line(taken_port, capsys):
    dispatcher, _ = data_service.start(data_service.Dispatcher(port=0))
    address = dispatcher.target.removeprefix("grpc://")
    own_port = int(address.rpartition(":")[2])
    capsys.readouterr()
    worker = ["worker", f"--dispatcher={address}"]
    # TensorFlow's dispatchers share a port, and take one beyond 2**16 modulo.
    for port in (taken_port, own_port, own_port + 2**16, -1):
        for role in (["dispatcher"], worker):
            assert data_service.main([*role, f"--port={port}"]) == 1
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert f"--port {port} " in line and "Choose another" in line
    dispatcher._stop()


def test_the_benchmark_does_not_wait_for_ever_for_a_server(
    tmp_path, monkeypatch
):
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 30\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(benchmark, "_STARTS_S", 0.2)
    with contextlib.ExitStack() as stack:
        with pytest.raises(ValueError, match="said nothing in 0 s"):
            benchmark.start_server(stack, "dispatcher")
