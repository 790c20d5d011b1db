"""The three Leeds Sports Pose datasets: their flags, boxes and files."""

import numpy as np
import pytest

from tests.support.datasets import lsp_files, people
from tf_hmr import joints
from training.data.pipeline import pixels
from training.data.prepare import hr_lspet, lsp, lsp_ext
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

WRIST = joints.KEYPOINTS.index("left_wrist")
LSP_ROWS = list(joints.select(joints.LSP14, joints.KEYPOINTS))
VISIBLE_ROWS = [index for index in LSP_ROWS if index != WRIST]


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, size=(200, 160)) for n in (5, 6, 7)]


def read_all(module, options, monkeypatch):
    """What the tasks of a reader give, without writing it."""
    people = []

    def write(name, options, tasks, read):
        assert name == module.NAME
        people.extend(person for task in tasks for person in read(task))

    monkeypatch.setattr(writing, "write", write)
    module.run(options)
    return people


def split(people):
    examples = [
        person for person in people if isinstance(person, schema.Example)
    ]
    causes = {
        person.cause for person in people if isinstance(person, writing.Skipped)
    }
    return examples, causes


def middle_of(points):
    return (points.min(axis=0) + points.max(axis=0)) / 2


def test_lsp_train_is_the_first_half(scenes, tmp_path, monkeypatch):
    root = lsp_files.write_lsp(tmp_path, scenes)
    options = lsp.Options(root, tmp_path / "out")
    examples, causes = split(read_all(lsp, options, monkeypatch))
    assert [example.example_id for example in examples] == [
        "im0001",
        "im0002",
        "im0003",
    ]
    assert causes == {"the picture's file is missing"}
    for example, scene in zip(examples, scenes, strict=True):
        truth = lsp_files.points(scene)
        np.testing.assert_allclose(
            example.keypoints[VISIBLE_ROWS, :2],
            np.delete(truth, LSP_ROWS.index(WRIST), axis=0),
            atol=0.01,
        )
        assert example.keypoints[:, 2].sum() == 13
        assert example.keypoints[WRIST, 2] == 0, "1 means hidden in LSP"
        assert example.box[2:].tolist() == [150, 150]
        visible = np.delete(truth, LSP_ROWS.index(WRIST), axis=0)
        middle = example.box[:2] + example.box[2:] / 2 - 0.5
        np.testing.assert_allclose(middle, middle_of(visible), atol=0.01)


def test_lsp_test_is_the_second_half(scenes, tmp_path, monkeypatch):
    root = lsp_files.write_lsp(tmp_path, scenes, first=1000)
    options = lsp.Options(root, tmp_path / "out", split="test", rules="spin")
    examples, _ = split(read_all(lsp, options, monkeypatch))
    assert [example.example_id for example in examples] == ["im1001", "im1002"]
    for example, scene in zip(examples, scenes[1:], strict=True):
        truth = lsp_files.points(scene)
        assert example.keypoints[:, 2].sum() == 14, "SPIN takes hidden ones"
        low, high = example.box[:2] - 0.5, example.box[:2] + example.box[2:]
        np.testing.assert_allclose(low, truth.min(axis=0) - 0, atol=0.01)
        np.testing.assert_allclose(high - 0.5, truth.max(axis=0), atol=0.01)


def test_lsp_ext_knows_which_joints_are_labelled(scenes, tmp_path, monkeypatch):
    root = lsp_files.write_lsp_ext(tmp_path, scenes)
    options = lsp_ext.Options(root, tmp_path / "out")
    examples, causes = split(read_all(lsp_ext, options, monkeypatch))
    assert not causes
    for example, scene in zip(examples, scenes, strict=True):
        labelled = np.delete(
            lsp_files.points(scene), LSP_ROWS.index(WRIST), axis=0
        )
        np.testing.assert_allclose(
            example.keypoints[VISIBLE_ROWS, :2], labelled, atol=0.01
        )
        assert not example.keypoints[WRIST].any()
        middle = example.box[:2] + example.box[2:] / 2 - 0.5
        np.testing.assert_allclose(middle, middle_of(labelled), atol=0.01)


def test_hr_lspet_pairs_pictures_and_labels_by_order(
    scenes, tmp_path, monkeypatch
):
    root = lsp_files.write_hr_lspet(tmp_path, scenes)
    options = hr_lspet.Options(root, tmp_path / "out")
    examples, causes = split(read_all(hr_lspet, options, monkeypatch))
    assert not causes
    assert [example.example_id for example in examples] == [
        "im00001",
        "im00003",
        "im00005",
    ]
    for example, scene in zip(examples, scenes, strict=True):
        truth = lsp_files.points(scene)
        np.testing.assert_allclose(
            example.keypoints[LSP_ROWS, :2], truth, atol=0.01
        )
        image = pixels.decode_jpeg(
            example.image, (example.width, example.height)
        )
        assert np.abs(image.astype(int) - scene.image).mean() < 4
    (root / "im00003.png").unlink()
    with pytest.raises(
        ValueError, match=r"2 pictures im\*.png and labels of 3"
    ):
        hr_lspet.run(options)


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        (np.full((3, 14, 2000), np.nan), "a joint is not finite"),
        (np.ones((3, 14, 2000)), "no visible joints"),
    ],
)
def test_people_without_joints_are_left_out(
    scenes, tmp_path, monkeypatch, labels, cause
):
    root = lsp_files.write_lsp(tmp_path, scenes)
    lsp_files.write_joints(root, labels)
    options = lsp.Options(root, tmp_path / "out")
    examples, causes = split(read_all(lsp, options, monkeypatch))
    assert not examples
    assert causes == {cause}


@pytest.mark.parametrize("module", [lsp, lsp_ext, hr_lspet])
def test_damaged_labels_are_named(module, scenes, tmp_path):
    options = module.Options(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"joints.mat.*Request it from"):
        module.run(options)
    path = tmp_path / "joints.mat"
    intact_path = lsp_files.write_lsp(tmp_path / "whole", scenes) / "joints.mat"
    for size in (0, 60, 300, 20000):
        path.write_bytes(intact_path.read_bytes()[:size])
        with pytest.raises(ValueError, match=r"joints.mat .*Fetch it again"):
            module.run(options)
    for wrong in (np.zeros((2, 14, 5)), np.zeros((3, 14)), "text"):
        lsp_files.write_joints(tmp_path, wrong)
        with pytest.raises(ValueError, match=r"joints.mat holds .*shape"):
            module.run(options)


def test_records_and_sheet(scenes, tmp_path):
    root = lsp_files.write_hr_lspet(tmp_path / "raw", scenes)
    out = tmp_path / "out"
    hr_lspet.run(hr_lspet.Options(root, out, workers=1))
    assert len(shards.Records(out, "train")) == 3
    assert records_folder.read_report(out)["dataset"] == "hr-lspet"
    assert (out / "train.png").stat().st_size > 1000
