"""From records and a model, or a file of predictions, to results."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.support import full_disk, planted
from tests.support.closeness import assert_close
from training import evaluate
from training.evaluation import (
    predictions_file,
    predictors,
    protocols,
    selection,
)
from training.tasks import evaluate as task

IDS = (
    "S9_Eating_1.60457274_000001",
    "S9_Eating.60457274_000001",  # the second trial
    "S11_Phoning_3.60457274_000006",
    "S9_Walking_1.60457274_000011",
    "S9_Walking_1.60457274_000012",  # another frame
    "S9_SittingDown.60457274_000006",
)
HMR = (IDS[0], IDS[2], IDS[3], IDS[5])
RULE = protocols.get("h36m_p2_hmr")


@pytest.fixture(scope="module")
def folder(body, tmp_path_factory):
    """A --records folder with some people of Human3.6M."""
    folder = tmp_path_factory.mktemp("evaluate")
    planted.write(folder / "h36m", protocols.get("h36m_p1_hmr"), body, IDS)
    return folder


@pytest.fixture(scope="module")
def run(folder, model, model_folder):
    """Results of a model, and the predictions that it wrote."""
    flags = evaluate.Evaluate(
        weights=model_folder,
        records=folder,
        out=folder / "model",
        save_predictions=folder / "predictions.npz",
        experiment="small",
        batch_size=4,
    )
    people = selection.find(folder, RULE)
    source = predictors.Model(model, model_folder)
    path = task.by_protocol(flags, RULE, source, people)
    return path, flags.save_predictions


def from_file(path, folder, protocol=RULE.name) -> dict:
    out = folder / "file"
    words = [f"--predictions={path}", f"--records={folder}", f"--out={out}"]
    words += ["--batch-size=4", "--protocol", protocol]
    assert evaluate.main(words) == 0
    return json.loads((out / f"{RULE.name}.json").read_text())


def test_a_models_results(run):
    path, _ = run
    results = json.loads(path.read_text())
    assert results["measured"] == results["expected"] == 4
    assert results["complete"] is True
    assert results["experiment"] == "small" and results["method"] == "hmr"
    assert results["parameters"] > 1000
    assert results["synthetic"] is False
    assert results["environment"]["commit"]
    assert {"Eating", "Phoning", "Walking", "SittingDown"} == (
        results["per_action"].keys()
    )
    for name in (results["picture"], f"{RULE.name}_worst.png"):
        assert cv2.imread(str(path.with_name(name))) is not None


def test_several_devices_share_each_batch(model, rng):
    """In order, whether the last batch divides among them or not."""
    size = model.image_size
    images = rng.uniform(0, 255, (5, size, size, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices({"image": images}).batch(4)
    shared = predictors.Model(model, None, [model])
    shared_batches = list(shared.stream(dataset))
    assert [len(actual.betas) for _, actual in shared_batches] == [4, 1]
    together = np.concatenate([actual.vertices for _, actual in shared_batches])
    vertices_of_one = model.infer({"image": images[:4]}).vertices.numpy()
    assert_close("body_metres", together[:4], vertices_of_one)
    last = np.pad(images[4:], [[0, 3], [0, 0], [0, 0], [0, 0]])
    assert_close(
        "body_metres",
        together[4:],
        model.infer({"image": last}).vertices.numpy()[:1],
    )


def test_predictions_in_a_file_score_as_the_model_did(
    run, folder, capsys, monkeypatch
):
    """'all' takes the protocols whose records are there."""
    path, predictions = run
    few = ["3dpw_spin", RULE.name, "synthetic_v1"]
    monkeypatch.setattr(task.protocols, "names", lambda: few)
    expected = json.loads(path.read_text())
    results = from_file(predictions, folder, "all")
    printed = capsys.readouterr().out
    assert "SittingDown" in printed and "right_ankle" in printed
    assert results["predictions"] == str(predictions)
    for key, value in expected["metrics"].items():
        assert_close("float32_mm", results["metrics"][key], value)
    assert results["complete"] is True


@pytest.fixture(scope="module")
def old_results(run, folder):
    """The results of predictions in a file, and their content by name."""
    from_file(run[1], folder)
    return {
        path: path.read_bytes() for path in sorted((folder / "file").iterdir())
    }


@pytest.mark.parametrize("size", [1000, 10_000])
def test_a_full_disk_leaves_the_old_results(
    run, folder, old_results, size, capsys
):
    """Less than the json needs, and less than the figure needs."""
    words = [f"--predictions={run[1]}", f"--records={folder}", "--every=2"]
    words += [f"--out={folder / 'file'}", f"--protocol={RULE.name}"]
    with full_disk.files_of_at_most(size):
        assert evaluate.main(words) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("training.evaluate: ") and "too large" in line
    assert str(folder / "file" / RULE.name) in line
    new_results = {
        path: path.read_bytes() for path in (folder / "file").iterdir()
    }
    assert new_results == old_results


def test_what_is_otherwise_than_the_protocol_is_told(run, folder, capsys):
    """A person without a prediction; records of other boxes."""
    _, predictions = run
    with np.load(predictions) as stored:
        part = {
            k: v if k == "joint_names" else v[:3] for k, v in stored.items()
        }
    np.savez(folder / "part.npz", **part)
    options = folder / "h36m" / "p1.options.json"
    options.write_text(json.dumps({"dataset": "h36m", "rules": "spin"}))
    try:
        results = from_file(folder / "part.npz", folder)
    finally:
        options.unlink()
    assert results["missing"] == {"count": 1, "first": [HMR[3]]}
    assert results["measured"] == 3 and results["expected"] == 4
    assert results["complete"] is False
    printed = capsys.readouterr().out
    assert f"1 people have no prediction: {HMR[3]}" in printed
    assert "THE PROTOCOL: the records were made with --rules spin" in printed


def test_results_say_body_and_who_made_the_training_records(run, tmp_path):
    """As the run's start saw them, or as their folders are now."""
    results = json.loads(run[0].read_text())
    assert results["topology"] == "open-v1"
    assert results["training_records"] == []
    coco = tmp_path / "data/coco"
    coco.mkdir(parents=True)
    options = {"dataset": "coco", "root": "raw/coco", "rules": "spin"}
    (coco / "train.options.json").write_text(json.dumps(options))
    source = {
        "records": str(coco),
        "share": 1.0,
        "labels": "all",
        "shards": [0, 1],
        "split": "train",
    }
    notes = {"sources": [source, source | {"labels": "2d"}]}
    path = tmp_path / "environment.json"
    path.write_text(json.dumps(notes))
    flags = evaluate.Evaluate(weights=tmp_path)
    made_by = {"records": str(coco), "split": "train", "dataset": "coco"}
    current_records = [made_by | {"rules": "spin"}]
    assert task._training_records(flags) == current_records
    noted_records = [made_by | {"rules": "hmr"}]
    path.write_text(json.dumps(notes | {"training_records": noted_records}))
    assert task._training_records(flags) == noted_records
    (coco / "train.options.json").write_text("{")
    path.write_text(json.dumps(notes))
    with pytest.raises(ValueError, match=r"train\.options\.json is damaged"):
        task._training_records(flags)
    (coco / "train.options.json").unlink()
    (unknown,) = task._training_records(flags)
    assert unknown == {"records": str(coco), "split": "train"}


def test_a_file_that_predicts_nobody_is_refused(folder, capsys):
    path = folder / "nobody.npz"
    np.savez(path, example_id=["S1"], betas=np.zeros((1, 10)))
    words = [f"--predictions={path}", f"--records={folder}"]
    assert evaluate.main([*words, "--protocol", RULE.name]) == 1
    assert f"called as '{HMR[0]}'" in capsys.readouterr().err


def test_missing_records_name_the_command(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="training.prepare h36m --spl"):
        selection.find(tmp_path, RULE)
    with pytest.raises(FileNotFoundError, match="needs a split.*'test'.*p1"):
        selection.find(folder / "h36m", protocols.get("3dpw_spin"))


def test_records_of_nobody_of_the_protocol_are_refused(body, tmp_path):
    planted.write(tmp_path / "h36m", RULE, body, [IDS[1]])
    with pytest.raises(ValueError, match="None of the 1 records"):
        selection.find(tmp_path, RULE)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"betas": np.zeros((2, 10))}, "no example_id"),
        ({"example_id": ["a", "a"]}, "'a' twice"),
        ({"betas": np.zeros((2, 9))}, r"betas.*\(2, 9\).*\(2, 10\)"),
        ({"betas": np.full((2, 10), np.nan)}, "2 examples, the first 'a'"),
        ({"joints3d": np.zeros((2, 3, 3))}, r"expected numbers \(2, 0, 3\)"),
        ({"vertices": np.zeros((2, 5, 2))}, r"expected numbers \(2, 5, 3\)"),
        ({"camera": np.zeros((2, 3), int)}, "camera.*int64"),
    ],
)
def test_damaged_predictions_are_refused(arrays, message, tmp_path):
    if "no example_id" not in message:
        arrays = {"example_id": ["a", "b"]} | arrays
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        predictions_file.StoredPredictions(tmp_path / "p.npz")


def test_a_camera_of_another_crop_sees_the_same_pixels(body, rng, tmp_path):
    """What a file says in its crop is said again in the crop of the records."""
    boxes = {
        "file": np.array([[10, 20, 50, 50], [-5, 0, 80, 80.0]]),
        "own": np.array([[12, 30, 70, 70], [0, 0, 40, 40.0]]),
    }
    points = rng.normal(0, 0.4, (2, 5, 3))
    weak = np.array([[0.9, 0.1, -0.2], [1.1, 0, 0.3]])

    def pixels(camera, box):
        ndc = camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])
        return box[:, None, :2] + (ndc + 1) / 2 * box[:, None, 2:] - 0.5

    names = body.joint_names[:5]
    keypoints_px = pixels(weak, boxes["file"])
    np.savez(
        tmp_path / "p.npz",
        example_id=["b", "a"],
        joint_names=names,
        joints3d=points,
        camera=weak,
        crop=boxes["file"],
        keypoints=keypoints_px,
    )
    file = predictions_file.StoredPredictions(tmp_path / "p.npz")
    batch = {"example_id": np.array([b"b", b"a"]), "stored_box": boxes["own"]}
    actual = file.for_batch(batch, body)
    assert_close("float64", pixels(actual.camera, boxes["own"]), keypoints_px)
    edges = (actual.keypoints + 1) / 2 * boxes["own"][:, None, 2:]
    assert_close(
        "float64", edges + boxes["own"][:, None, :2] - 0.5, keypoints_px
    )
    recorder = predictions_file.Recorder(names)
    recorder.add(batch, actual)
    recorder.write(tmp_path / "again.npz")
    second_file = predictions_file.StoredPredictions(tmp_path / "again.npz")
    second_prediction = second_file.for_batch(
        batch | {"stored_box": boxes["file"]}, body
    )
    assert_close("float64", second_prediction.camera, weak)
    edges = (second_prediction.keypoints + 1) / 2 * boxes["file"][:, None, 2:]
    assert_close(
        "float64", edges + boxes["file"][:, None, :2] - 0.5, keypoints_px
    )


def test_the_split_is_the_first_of_the_protocol_not_of_the_folder(
    body, tmp_path
):
    """All people were prepared before those of the protocol alone."""
    protocol = protocols.get("h36m_p2_hmr")
    person = "S9_SittingDown.60457274_000001"
    for split, ids in (
        ("p1", [person, "S9_SittingDown.60457274_000006"]),
        ("p2_hmr", [person]),
    ):
        planted.write(
            tmp_path,
            dataclasses.replace(protocol, splits=(split,)),
            body,
            ids,
        )
    selected = selection.find(tmp_path, protocol)
    assert selected.split == "p2_hmr" and selected.ids.tolist() == [person]
