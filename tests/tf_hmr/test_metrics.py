"""Metrics: reference vectors of the field's code, and their invariances."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import slow_metrics
from tests.support.closeness import assert_close
from tf_hmr import joints, metrics


@pytest.fixture
def reference() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true (5, 14, 3) joints of the reference vectors."""
    return slow_metrics.reference()


@pytest.fixture
def poses(rng) -> np.ndarray:
    return rng.normal(size=(40, 14, 3)) * 0.4


def similarity(rng, points: np.ndarray) -> np.ndarray:
    """Each pose turned, scaled and moved in its own way."""
    quats = rng.normal(size=(len(points), 4))
    turn = Rotation.from_quat(quats).as_matrix()
    scale = rng.uniform(0.1, 9.0, (len(points), 1, 1))
    return scale * points @ turn + rng.normal(size=(len(points), 1, 3))


def test_reference_vectors_of_joint_errors(reference):
    pred, true = reference
    hips = [metrics.align_root(points, joints.LSP14) for points in reference]
    errors = metrics.per_joint_error_mm(*hips)
    figures = {
        "MPJPE (mid-hip)": (metrics.mpjpe_mm(*hips).mean(), 92.62367331628883),
        "MPJPE": (metrics.mpjpe_mm(pred, true).mean(), 76.372121966008),
        "PVE": (metrics.pve_mm(pred, true).mean(), 76.372121966008),
        "PA": (metrics.pa_mpjpe_mm(pred, true).mean(), 70.26048695673408),
        "PA of the mirrored": (
            metrics.pa_mpjpe_mm(pred * [-1, 1, 1], true).mean(),
            344.84757854758186,
        ),
        "PCK": (metrics.pck3d(errors), 92.85714285714286),
        "AUC": (metrics.auc3d(errors), 40.04608294930876),
        "PCK of worse": (metrics.pck3d(1.8 * errors), 47.14285714285714),
        "AUC of worse": (metrics.auc3d(1.8 * errors), 13.640552995391703),
    }
    got, expected = np.array(list(figures.values())).T
    assert_close("reference_vector", got, expected)


def test_errors_are_per_example(reference):
    pred, true = reference
    for function in (metrics.mpjpe_mm, metrics.pa_mpjpe_mm, metrics.pve_mm):
        together = function(pred, true)
        assert together.shape == (5,)
        singles = [
            function(p[None], t[None])[0]
            for p, t in zip(pred, true, strict=True)
        ]
        assert_close("float64", together, singles)


def test_align_root_subtracts_the_named_root(poses):
    pelvis = poses.mean(axis=1, keepdims=True)
    with_pelvis = np.concatenate([poses, pelvis], axis=1)
    names = (*joints.LSP14, "pelvis")
    by_pelvis = metrics.align_root(with_pelvis, names, root=("pelvis",))
    assert_close("float64", by_pelvis, with_pelvis - pelvis)
    by_hips = metrics.align_root(with_pelvis, names)
    hips = [names.index("left_hip"), names.index("right_hip")]
    assert_close("float64", by_hips[:, hips].mean(axis=1), np.zeros((40, 3)))
    with pytest.raises(ValueError, match="left_hip"):
        metrics.align_root(poses[:, :2], ("nose", "neck"))


def test_procrustes_undoes_any_similarity(rng, poses):
    transformed = similarity(rng, poses)
    assert_close("float64", metrics.procrustes(transformed, poses), poses)
    assert_close(
        "float64", metrics.pa_mpjpe_mm(transformed, poses), np.zeros(40)
    )


def test_pa_mpjpe_ignores_a_similarity_of_the_prediction(rng, poses):
    pred = poses + rng.normal(size=poses.shape) * 0.1
    assert_close(
        "float64",
        metrics.pa_mpjpe_mm(similarity(rng, pred), poses),
        metrics.pa_mpjpe_mm(pred, poses),
    )


def test_procrustes_has_no_reflection(poses):
    """Also for flat poses, whose smallest singular value is 0."""
    mirrored = poses * [-1, 1, 1]
    assert (metrics.pa_mpjpe_mm(mirrored, poses) > 50).all()
    flat = poses * [1, 1, 0]
    turned_over = flat * [-1, 1, 1]
    assert_close("float64", metrics.procrustes(turned_over, flat), flat)


def test_procrustes_is_the_best_similarity(rng, poses):
    pred = poses + rng.normal(size=poses.shape) * 0.2
    best = metrics.procrustes(pred, poses)
    squared = np.square(best - poses).sum(axis=(1, 2))
    for size in (1e-3, 0.1):
        turn = Rotation.from_rotvec(size * rng.normal(size=(40, 3)))
        perturbed = best @ turn.as_matrix() * rng.normal(1, size, (40, 1, 1))
        perturbed += size * rng.normal(size=(40, 1, 3))
        assert (np.square(perturbed - poses).sum(axis=(1, 2)) > squared).all()


def test_procrustes_of_a_single_point_is_the_targets_mean(poses):
    point = np.broadcast_to(poses[:, :1], poses.shape)
    mean = np.broadcast_to(poses.mean(axis=1, keepdims=True), poses.shape)
    assert_close("float64", metrics.procrustes(point, poses), mean)


def test_procrustes_names_the_pose_with_nan(poses):
    bad = poses.copy()
    bad[7, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"source has 1 .* first at \(7,\)"):
        metrics.procrustes(bad, poses)
    with pytest.raises(ValueError, match="target has 1"):
        metrics.procrustes(poses, bad)


def test_shapes_that_would_broadcast_are_refused(poses):
    for function in (metrics.mpjpe_mm, metrics.pa_mpjpe_mm):
        with pytest.raises(ValueError, match="one shape"):
            function(poses, poses[:1])


def test_pck3d_and_auc3d_count_strictly_below():
    assert metrics.pck3d(np.array([149.9, 150.0])) == 50
    assert_close("float64", metrics.auc3d(np.zeros(9)), 100 * 30 / 31)
    assert_close("float64", metrics.auc3d(np.full(3, 145.0)), 100 / 31)
    errors = np.random.default_rng(0).uniform(0, 200, 500)
    curve = [metrics.pck3d(errors, t) for t in metrics.AUC_THRESHOLDS_MM]
    assert_close("float64", metrics.auc3d(errors), np.mean(curve))


@pytest.mark.parametrize("errors", [[], [1.0, np.nan]])
def test_pck3d_of_nothing_or_nan_is_refused(errors):
    for function in (metrics.pck3d, metrics.auc3d):
        with pytest.raises(ValueError, match="at least one error and no NaN"):
            function(np.array(errors))


def test_pck2d_is_the_mean_over_keypoints_of_visible_ones():
    true = np.zeros((2, 3, 2))
    pred = true + np.array([[[2.0], [0], [9]], [[2.1], [9], [9]]]) * [1, 0]
    visible = np.array([[1, 1, 0], [1, 0, 0]])
    true[visible == 0] = np.nan
    # 0.2 of 10 px: keypoint 0 is right in one of two, 1 in its only one.
    got = metrics.pck2d(pred, true, visible, np.array([10.0, 10.0]))
    assert_close("float64", got, 75.0)
    scaled = metrics.pck2d(pred, true, visible, np.array([10.0, 11.0]))
    assert_close("float64", scaled, 100.0)


def test_pck2d_normalisers(rng):
    keypoints = rng.normal(size=(2, 14, 2))
    names = list(joints.LSP14)
    keypoints[:, names.index("left_shoulder")] = [[3, 4], [0, 0]]
    keypoints[:, names.index("right_hip")] = [[0, 0], [0, 2]]
    assert_close("float64", metrics.torso_diameter(keypoints, names), [5, 2])
    boxes = np.array([[0, 0, 30, 40], [5, 5, 9, 2]])
    assert_close("float64", metrics.box_side(boxes), [40, 9])


def test_pck2d_refuses_what_it_cannot_normalise():
    points, visible = np.zeros((2, 3, 2)), np.ones((2, 3))
    with pytest.raises(ValueError, match="box_side"):
        metrics.pck2d(points, points, visible, np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="box_side"):
        metrics.pck2d(points, points, visible, np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="visible"):
        metrics.pck2d(points, points, 0 * visible, np.ones(2))


TRUE_PARTS = np.array(
    [[0, 0, 1, 1], [0, 2, 2, 255], [3, 3, 4, 4], [5, 6, 6, 0]], np.uint8
)
PRED_PARTS = np.array(
    [[0, 1, 1, 1], [0, 2, 3, 1], [3, 3, 4, 0], [5, 6, 5, 0]], np.uint8
)


def test_reference_vector_of_parts():
    parts = metrics.SegmentationCounts(7)
    parts.add(PRED_PARTS, TRUE_PARTS)
    assert_close("reference_vector", parts.accuracy, 0.6875)
    per_class = [0.75, 0.8, 2 / 3, 0.8, 2 / 3, 2 / 3, 2 / 3]
    assert_close("reference_vector", parts.f1, per_class)
    assert_close("reference_vector", parts.mean_f1, 0.7166666666666667)


def test_reference_vector_of_masks():
    mask = metrics.SegmentationCounts(2)
    mask.add(PRED_PARTS > 0, TRUE_PARTS > 0)
    assert_close("reference_vector", mask.accuracy, 0.875)
    assert_close("reference_vector", mask.mean_f1, 0.8333333333333333)


def test_ignored_pixels_are_background_for_accuracy_and_absent_for_f1():
    counts = metrics.SegmentationCounts(2)
    counts.add(np.array([1, 0, 0, 1]), np.array([1, 1, 255, 255]))
    assert counts.accuracy == 0.5
    assert_close("float64", counts.f1, [0, 2 / 3])


def test_counts_are_pooled_not_averaged():
    pooled, once = metrics.SegmentationCounts(7), metrics.SegmentationCounts(7)
    once.add(PRED_PARTS, TRUE_PARTS)
    for row in (slice(0, 1), slice(1, 4)):
        pooled.add(PRED_PARTS[row], TRUE_PARTS[row])
    assert_close("exact", pooled.f1, once.f1)
    assert pooled.accuracy == once.accuracy


def test_a_class_that_never_occurs_has_no_f1():
    counts = metrics.SegmentationCounts(3)
    counts.add(np.array([0, 1, 1]), np.array([0, 1, 0]))
    assert np.isnan(counts.f1[2])
    assert_close("float64", counts.mean_f1, 2 / 3)


def test_foreign_labels_and_shapes_are_refused():
    counts = metrics.SegmentationCounts(2)
    with pytest.raises(ValueError, match=r"predicted labels 0..1, got \[7\]"):
        counts.add(np.array([0, 7]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"predicted labels 0..1, got \[7\]"):
        counts.add(np.array([0, 7]), np.array([0, 255]))
    with pytest.raises(ValueError, match=r"true labels 0..1, got \[255\]"):
        counts.add(np.array([0, 1]), np.array([0, 255]), ignore=None)
    with pytest.raises(ValueError, match="one shape"):
        counts.add(np.zeros((2, 2), int), np.zeros((2, 1), int))
    assert counts.counts.sum() == 0


def test_silhouette_iou_is_per_image():
    true = np.zeros((3, 4, 4), bool)
    pred = true.copy()
    true[0, :2], pred[0, 1:3] = True, True
    true[1, :, 0], pred[1, :, 0] = True, True
    assert_close("float64", metrics.silhouette_iou(pred, true), [1 / 3, 1, 1])
    with pytest.raises(ValueError, match="one shape"):
        metrics.silhouette_iou(pred, true[:1])
