import concurrent.futures
import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.closeness import assert_close
from tests.support.paths import ROOT
from tf_hmr.geometry import crop
from training import benchmarks, commands
from training.benchmarks import synthetic as benchmark
from training.data import prepare as datasets
from training.data.prepare import synthetic as prepare
from training.data.readers import label_sheet
from training.data.readers import workers as processes
from training.data.records import mocap, records_folder, schema, shards
from training.data.synthetic import appearance
from training.data.synthetic import people as synthetic


def options(out, **changes):
    values = {"count": 40, "val": 3, "size": 32, "workers": 1, "shard_size": 16}
    return prepare.Options(out=out, **(values | changes))


def stored(folder, split):
    records = shards.Records(folder, split)
    return [schema.decode(records.read(i)) for i in range(len(records))]


@pytest.fixture(scope="module")
def records_path(tmp_path_factory) -> Path:
    """Forty people for training and three to choose by."""
    folder = tmp_path_factory.mktemp("synthetic")
    prepare.run(options(folder))
    return folder


def test_records_are_the_people_of_the_seed(records_path):
    people = synthetic.People(0, settings=synthetic.Settings(size=32))
    examples = stored(records_path, "train")
    assert len(examples) == 40
    for index in (0, 15, 16, 39):
        expected = people.example(index)
        assert examples[index].image == expected.image
        assert examples[index].parts == expected.parts
        assert examples[index].example_id == expected.example_id
        assert (examples[index].keypoints == expected.keypoints).all()


def test_report_says_what_is_there(records_path):
    report = records_folder.read_report(records_path)
    assert report["dataset"] == "synthetic"
    assert report["topology"] == "open-v1"
    assert report["splits"]["train"]["shards"] == [16, 16, 8]
    assert report["splits"]["val"]["count"] == 3
    assert report["splits"]["train"]["command"] == (
        f"python -m training.prepare synthetic --out {records_path} --count 40 "
        "--val 3 --size 32 --workers 1 --shard-size 16"
    )
    assert {len(stored(records_path, split)) for split in ("train", "val")} == {
        40,
        3,
    }


def test_prior_holds_as_many_unpaired_people(records_path):
    unpaired = mocap.read(records_path)
    assert unpaired.pose.shape == (40, 72)
    assert unpaired.topology == "open-v1"
    assert (unpaired.pose[:, :3] == 0).all()
    train_poses = np.stack(
        [example.pose for example in stored(records_path, "train")]
    )
    gaps = np.abs(train_poses[:, None, 3:] - unpaired.pose[None, :, 3:])
    assert gaps.max(axis=-1).min() > 0.1


def test_sheet_shows_the_people_with_their_labels(records_path):
    sheet = cv2.imread(str(records_path / "train.png"))
    assert sheet.shape[0] > 6 * 150
    assert sheet.std() > 20
    example = stored(records_path, "train")[0]
    labelled = label_sheet.draw_labels(example, 64)
    plain = cv2.imdecode(np.frombuffer(example.image, np.uint8), 1)
    plain = crop.crop_image(plain[..., ::-1], (0, 0, 32, 32), 64)
    left, right = labelled[:, :64], labelled[:, -64:]
    parts = cv2.imdecode(np.frombuffer(example.parts, np.uint8), 0)
    parts = parts.repeat(2, axis=0).repeat(2, axis=1)
    assert (right[parts == 0] == plain[parts == 0]).all()
    assert (right[parts > 0] != plain[parts > 0]).any(axis=1).mean() > 0.9
    assert (left != plain).any(), "keypoints and box"


def test_number_of_processes_changes_nothing(records_path, tmp_path):
    prepare.run(options(tmp_path, workers=2))
    for name in ("train-00000", "train-00002", "val-00000"):
        file = f"{name}.tfrecord"
        assert (tmp_path / file).read_bytes() == (
            records_path / file
        ).read_bytes()


def test_a_stopped_run_keeps_its_finished_shards(
    records_path, tmp_path, monkeypatch
):
    write, written = records_folder.Writer.write, []

    def stop_after_some(self, example):
        if len(written) == 3 + 25:
            raise KeyboardInterrupt
        written.append(example.example_id)
        write(self, example)

    monkeypatch.setattr(records_folder.Writer, "write", stop_after_some)
    with pytest.raises(KeyboardInterrupt):
        prepare.run(options(tmp_path))
    written_ns = (tmp_path / "train-00000.tfrecord").stat().st_mtime_ns
    assert "train" not in records_folder.read_report(tmp_path)["splits"]

    written.clear()
    monkeypatch.setattr(
        records_folder.Writer,
        "write",
        lambda self, example: (
            written.append(example.example_id),
            write(self, example),
        ),
    )
    prepare.run(options(tmp_path))
    assert written[0].endswith("0000016"), "goes on after the first shard"
    assert len(written) == 24
    assert (tmp_path / "train-00000.tfrecord").stat().st_mtime_ns == written_ns
    for number in range(3):
        file = f"train-{number:05d}.tfrecord"
        assert (tmp_path / file).read_bytes() == (
            records_path / file
        ).read_bytes()


def test_results_come_in_order_and_not_too_early():
    begun = []

    def task(number):
        begun.append(number)
        time.sleep(0.01 * (number % 3))
        return number

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = processes.in_order(pool, task, range(20), ahead=5)
        assert next(results) == 0
        time.sleep(0.1)
        assert len(begun) == 5, "the consumer is slow: no more are begun"
        assert list(results) == list(range(1, 20))


def test_finished_records_are_left_alone(records_path, capsys):
    before = (records_path / "train-00000.tfrecord").stat().st_mtime_ns
    prepare.run(options(records_path))
    assert (records_path / "train-00000.tfrecord").stat().st_mtime_ns == before
    assert "train: 40 people are there already" in capsys.readouterr().out


def test_a_finished_prior_is_left_alone(records_path, capsys):
    before = (records_path / "prior.npz").stat().st_mtime_ns
    prepare.run(options(records_path))
    assert (records_path / "prior.npz").stat().st_mtime_ns == before
    assert "prior: 40 unpaired people are there" in capsys.readouterr().out


@pytest.mark.parametrize("harm", ["gone", "damaged", "short", "unnoted"])
def test_a_prior_that_is_not_whole_is_made_again(records_path, tmp_path, harm):
    folder = Path(shutil.copytree(records_path, tmp_path / "copy"))
    path = folder / "prior.npz"
    intact_prior = mocap.read(records_path)
    if harm == "gone":
        path.unlink()
    elif harm == "damaged":
        path.write_bytes(path.read_bytes()[:500])
    elif harm == "short":
        mocap.write(
            folder,
            mocap.Prior(intact_prior[0][:9], intact_prior[1][:9], "open-v1"),
        )
    else:  # of another seed, or of a run that was stopped
        mocap.write(folder, intact_prior._replace(pose=intact_prior.pose + 1))
        (folder / "prior.options.json").unlink()
    prepare.run(options(folder))
    assert_close("exact", mocap.read(folder).pose, intact_prior.pose)


def test_people_of_another_version_do_not_join_a_folder(
    records_path, monkeypatch
):
    monkeypatch.setattr(appearance, "VERSION", 2)
    with pytest.raises(ValueError, match="appearance was 1, is 2"):
        prepare.run(options(records_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed was 0, is 4"),
        ({"size": 64}, "size was 32, is 64"),
        ({"count": 41}, "count was 40, is 41"),
    ],
)
def test_other_people_do_not_join_a_folder(records_path, change, words):
    before = sorted(records_path.iterdir())
    with pytest.raises(ValueError, match=words):
        prepare.run(options(records_path, **change))
    assert sorted(records_path.iterdir()) == before
    assert (
        json.loads((records_path / "train.options.json").read_text())["seed"]
        == 0
    )


def test_frozen_people_have_no_options(tmp_path):
    with pytest.raises(ValueError, match="frozen: leave out --size"):
        prepare.run(prepare.Options(tmp_path, protocol="synthetic_v1", size=64))


def test_a_number_is_needed(tmp_path):
    with pytest.raises(ValueError, match="--count 20000"):
        prepare.run(prepare.Options(tmp_path))


def test_protocol_writes_the_frozen_people(tmp_path, monkeypatch):
    few = dataclasses.replace(synthetic.SYNTHETIC_V1, count=3)
    monkeypatch.setattr(synthetic, "SYNTHETIC_V1", few)
    prepare.run(prepare.Options(tmp_path, protocol="synthetic_v1", workers=1))
    examples = stored(tmp_path, "test")
    assert [example.image for example in examples] == [
        example.image for example in synthetic.frozen(few).examples(0, 3)
    ]
    assert not (tmp_path / "prior.npz").exists(), "nothing of it is trained on"


def test_render_workers_do_not_load_tensorflow():
    code = (
        "import sys, training.prepare, training.data.prepare.synthetic\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    root = ROOT
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=False
    )
    assert process.returncode == 0


def test_command_prepares(tmp_path, capsys):
    words = ["synthetic", "--count", "2", "--val", "0", "--size", "32"]
    words += ["--workers", "1", "--out", str(tmp_path)]
    assert commands.main(datasets, "training.prepare", words) == 0
    assert len(stored(tmp_path, "train")) == 2
    words[words.index("32")] = "48"
    assert commands.main(datasets, "training.prepare", words) == 1
    assert "size was 32, is 48" in capsys.readouterr().err


def test_command_names_its_choices(capsys):
    assert commands.main(datasets, "training.prepare", ["coko"]) == 2
    error = capsys.readouterr().err
    assert "'coko'" in error
    assert "synthetic" in error
    assert commands.main(datasets, "training.prepare", []) == 2
    listing = capsys.readouterr().out
    assert "lsp-ext        Leeds Sports Pose Extended: 10,000 small" in listing
    assert commands.main(benchmarks, "training.benchmark", ["--help"]) == 0
    assert "synthetic" in capsys.readouterr().out


def test_names_are_typed_with_dashes(capsys):
    assert "data-service" in commands.names(benchmarks)
    words = ["data-service", "--help"]
    with pytest.raises(SystemExit) as stop:
        commands.main(benchmarks, "training.benchmark", words)
    assert stop.value.code == 0
    assert "--workers" in capsys.readouterr().out
    assert commands.main(benchmarks, "x", ["data_service"]) == 2


def test_benchmark_ends_with_its_figure(capsys):
    rate = benchmark.run(benchmark.Options(count=16, size=48))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"images per core-second {rate:.0f}"
    assert rate > 1
