"""Protocols of pictures on small records, from the reader to the figure."""

import dataclasses

import numpy as np
import pytest

from tests.support.closeness import assert_close
from tests.support.datasets import lsp_files, people
from tf_hmr import joints
from training import config
from training.data.pipeline import batches as pipeline
from training.data.prepare import lsp
from training.evaluation import evaluator, occlusion, protocols, selection
from training.evaluation.protocol import Predictions

SIZE = 64


def batches(folder, split, count=8):
    dataset = pipeline.eval_dataset(
        config.Source(str(folder), split=split), count, SIZE
    )
    for batch in dataset:
        yield {key: value.numpy() for key, value in batch.items()}


def weak_camera(points, pixels, box):
    """(s, tx, ty) that sees points (n, 3) nearest to pixels of the picture."""
    ndc = 2 * (pixels + 0.5 - box[:2]) / box[2] - 1
    centred = points[:, :2] - points[:, :2].mean(axis=0)
    scale = (centred * ndc).sum() / (centred**2).sum()
    return np.array([scale, *(ndc / scale - points[:, :2]).mean(axis=0)])


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, size=(200, 160)) for n in (5, 6)]


@pytest.fixture(scope="module")
def lsp_records(scenes, tmp_path_factory):
    root = tmp_path_factory.mktemp("lsp")
    lsp_files.write_lsp(root / "lsp", scenes, first=1001)
    lsp_files.write_parts(root / "upi", scenes, first=1001)
    lsp.run(
        lsp.Options(
            root / "lsp",
            root / "out",
            split="test",
            rules="spin",
            parts=root / "upi",
            workers=1,
        )
    )
    return root / "out"


def true_people(scenes, batch, move=0.0):
    """What a method that knows the people would answer."""
    vertices = np.stack([s.people[0].vertices for s in scenes])
    vertices = vertices - vertices.mean(axis=1, keepdims=True)
    cameras = []
    for scene, points, box in zip(
        scenes, vertices, batch["stored_box"], strict=True
    ):
        pixels = scene.view.project(scene.people[0].vertices)
        cameras.append(weak_camera(points, pixels + [move, 0], box))
    return Predictions(vertices=vertices, camera=np.array(cameras))


def test_lsp_segmentation_of_the_true_people(scenes, lsp_records, body):
    """They are seen in perspective, so no answer is right at every pixel."""
    protocol = protocols.get("lsp_segmentation")
    context = evaluator.make_context(body, body.joint_names)
    true_scores, moved_scores = (
        evaluator.Scores(protocol, context) for _ in range(2)
    )
    (batch,) = batches(lsp_records, "test")
    assert batch["part_set"].tolist() == [b"part6"] * 2
    assert not batch["has_parts"].any(), "training does not see six parts"
    true_scores.add(batch, true_people(scenes, batch))
    summary = true_scores.summary()
    assert set(protocol.headline) <= set(summary)
    assert summary["fg_accuracy"] > 97.5 and summary["fg_f1"] > 0.95
    assert summary["parts_accuracy"] > 95 and summary["parts_f1"] > 0.9
    moved_scores.add(batch, true_people(scenes, batch, move=12))
    assert moved_scores.summary()["fg_accuracy"] < summary["fg_accuracy"] - 2
    assert moved_scores.summary()["parts_f1"] < summary["parts_f1"] - 0.15
    assert true_scores.ranking()[0].tolist() == [0, 1]
    assert true_scores.details()["segmented"] == 2


def test_lsp_is_seen_in_the_boxes_that_a_method_was_trained_with():
    """The rest of the two rules is the same."""
    spin = protocols.get("lsp_segmentation")
    hmr = protocols.get("lsp_segmentation_hmr")
    assert (spin.box_rules, hmr.box_rules) == ("spin", "hmr")
    different = {"name", "prepare", "box_rules", "description"}
    for field in dataclasses.fields(spin):
        same = getattr(spin, field.name) == getattr(hmr, field.name)
        assert same or field.name in different, field.name


def test_silhouettes_are_those_that_records_hold(scenes, lsp_records, body):
    protocol = protocols.get("surreal_silhouette_smplr")
    (batch,) = batches(lsp_records, "test")
    context = evaluator.make_context(body, body.joint_names)
    true_scores, moved_scores = (
        evaluator.Scores(protocol, context) for _ in range(2)
    )
    true_scores.add(batch, true_people(scenes, batch))
    moved_scores.add(batch, true_people(scenes, batch, move=12))
    iou = true_scores.summary()["silhouette_iou"]
    assert 0.9 < iou < 1
    assert moved_scores.summary()["silhouette_iou"] < iou - 0.2


@pytest.mark.parametrize("pattern", ["bar", "circle", "rectangle"])
@pytest.mark.parametrize(
    ("plain", "name"),
    [
        ("h36m_p1_hmr", "h36m_p1_{}_hkmr"),
        ("h36m_p2_hmr", "h36m_p2_{}_hkmr"),
        ("h36m_p1_spin", "h36m_p1_spin_{}_hkmr"),
        ("h36m_p2_spin", "h36m_p2_spin_{}_hkmr"),
        ("synthetic_v1", "synthetic_v1_{}"),
    ],
)
def test_occluded_protocols_are_their_bases_behind_something(
    plain, name, pattern
):
    plain, protocol = protocols.get(plain), protocols.get(name.format(pattern))
    assert protocol.occlusion.pattern == pattern
    assert len(protocol.occlusion.variants) == 5 * 14
    for field in dataclasses.fields(protocol):
        if field.name not in (
            *("name", "measures", "headline"),
            *("description", "occlusion"),
        ):
            same = getattr(plain, field.name) == getattr(protocol, field.name)
            assert same, field.name
    assert protocol.description.root == plain.description.root
    assert (
        "by_degree" in protocol.description.ours
        and plain.name in protocol.description.source
    )


def test_an_occluded_protocol_is_the_loop_of_figure_6(tiny_records, model):
    """Evaluation by variants and the loop of the claims: the same figures."""
    protocol = protocols.get("synthetic_v1_circle")
    few = dataclasses.replace(
        protocol.occlusion, degrees=(1, 4), joints=("left_wrist", "head_top")
    )
    dataset = pipeline.eval_dataset(
        config.Source(str(tiny_records / "synthetic_v1"), split="test"),
        6,
        model.image_size,
        model.config.crop_scale,
    )
    scores = evaluator.Scores(
        protocol, evaluator.make_context(model.body, model.joint_names)
    )
    for batch, predictions in evaluator.predictions(
        model, dataset, occlusion=few
    ):
        scores.add(batch, predictions)
    details = scores.details()
    loop = occlusion.measure_all(
        model, dataset, protocol, ("circle",), few.degrees, few.joints
    )
    expected = {f"{d:g}": errors.mean_mm for (_, d), errors in loop.items()}
    assert list(details["by_degree"]) == ["1", "4"]
    for degree, error in expected.items():
        assert_close("float32_mm", details["by_degree"][degree], error)
    joints_mm = [errors.mpjpe_mm for errors in loop.values()]
    for row, name in enumerate(few.joints):
        assert_close(
            "float32_mm",
            details["by_covered_joint"][name],
            np.mean(joints_mm, axis=0)[row],
        )
    skipped = sum(errors.skipped.sum() for errors in loop.values())
    assert details["not_visible"] == skipped
    assert set(few.joints) <= set(joints.LSP14)


def test_a_part_of_the_people_is_named_as_such():
    rows, ids = np.arange(7) + 3, np.array([f"id{i}" for i in range(7)])
    people = selection.Selection(None, "test", rows, ids, {}, ("old",))
    assert selection.subsample(people, 1) is people
    third = selection.subsample(people, 3)
    assert third.rows.tolist() == [3, 6, 9]
    assert third.ids.tolist() == ["id0", "id3", "id6"]
    assert third.deviations == ("old", "of 7 examples one in 3 was measured")
    with pytest.raises(ValueError, match="got 0"):
        selection.subsample(people, 0)
