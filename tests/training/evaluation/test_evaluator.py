"""Errors known by construction, and the means of a training set."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support import record_samples
from tests.support.closeness import assert_close
from tf_hmr import joints, method, rendering
from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import statistics
from training.data.records import schema, shards
from training.evaluation import evaluator, protocols
from training.evaluation.metrics import crop2d, true_root
from training.evaluation.protocol import Predictions

RULE = protocols.get("synthetic_v1")
SIZE = 64
CAMERA = np.array([0.9, 0.0, 0.1], np.float32)


@pytest.fixture(scope="module")
def truth(body):
    """A batch of two different bodies, as batches.eval_dataset gives it."""
    rng = np.random.default_rng(5)
    rotmats = np.tile(np.eye(3, dtype=np.float32), (2, 24, 1, 1))
    rotmats[:, 0] = np.diag([1, -1, -1])
    elbow = joints.SMPL24.index("left_elbow")
    rotmats[1, elbow] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    betas = rng.normal(0, 1, (2, 10)).astype(np.float32)
    posed = body(rotmats, betas)
    joints3d = np.zeros((2, len(joints.KEYPOINTS), 4), np.float32)
    index = joints.select(body.joint_names, of=joints.KEYPOINTS)
    # Anywhere: only what is relative to the root counts.
    joints3d[:, index, :3] = posed.joints.numpy() + [0.3, -2, 7]
    joints3d[:, index, 3] = 1
    keypoints = np.zeros((2, len(joints.KEYPOINTS), 3), np.float32)
    keypoints[:, index, :2] = CAMERA[0] * (
        posed.joints.numpy()[..., :2] + CAMERA[1:]
    )
    keypoints[:, index, 2] = 1
    labels, _ = body.data.parts("part14")
    view = rendering.View.of_crop(SIZE, crop2d.FOCAL_PX)
    parts = [
        rendering.part_labels(
            rendering.apply_weak_camera(v, CAMERA, SIZE, crop2d.FOCAL_PX),
            body.data.faces,
            labels,
            view,
        )
        for v in posed.vertices.numpy()
    ]
    one = np.ones(2, np.float32)
    batch = {
        "image": np.zeros((2, SIZE, SIZE, 3), np.float32),
        "rotmats": rotmats,
        "betas": betas,
        "joints3d": joints3d,
        "keypoints": keypoints,
        "has_pose": one,
        "has_betas": one,
        "has_parts": one,
        "parts": np.stack(parts),
    }
    return batch, posed


def measured(body, batch, found_joints, vertices):
    """Figures of the measures that need no image."""
    protocol = dataclasses.replace(RULE, measures=evaluator.BASELINE_MEASURES)
    scores = evaluator.Scores(
        protocol, evaluator.make_context(body, body.joint_names)
    )
    scores.add(batch, Predictions(joints=found_joints, vertices=vertices))
    return scores


def test_the_truth_has_no_error_wherever_it_stands(body, truth):
    batch, posed = truth
    translated = posed.joints.numpy() + [5, 5, 5]
    scores = measured(body, batch, translated, posed.vertices.numpy())
    metrics = scores.summary()
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm"):
        assert_close("float32_mm", metrics[name], 0.0)
    assert metrics["pck3d_150mm"] == 100
    index, errors = scores.ranking()
    assert index.tolist() == [0, 1]
    assert_close("float32_mm", errors, np.zeros(2))


def test_thirty_millimetres_read_thirty(body, truth):
    """Every joint but the hips 30 mm off: 12 of 14 joints count 30 mm."""
    batch, posed = truth
    off = posed.joints.numpy().copy()
    hips = joints.select(("left_hip", "right_hip"), of=body.joint_names)
    not_hips = [i for i in range(off.shape[1]) if i not in hips]
    off[:, not_hips, 1] += 0.030
    vertices = posed.vertices.numpy() + [0, 0, 0.030]
    metrics = measured(body, batch, off, vertices).summary()
    assert_close("float32_mm", metrics["mpjpe_mm"], 30 * 12 / 14)
    assert_close("float32_mm", metrics["pve_mm"], 30.0)


def with_true_root(body, batch, rotmats) -> dict:
    """Figures of a body in these rotations, by `true_root` alone."""
    posed = body(rotmats, batch["betas"])
    figures = true_root.Measure(
        RULE, evaluator.make_context(body, body.joint_names)
    )
    figures.add(
        batch, Predictions(rotmats=rotmats, joints=posed.joints.numpy())
    )
    return figures.summary()


def turned_bodies(rotmats) -> np.ndarray:
    """The same poses with another heading for each."""
    rotvecs = np.float32([[0.3, 2.0, -0.5], [-1.0, 0.2, 2.5]])
    turned_rotmats = rotmats.copy()
    turned_rotmats[:, 0] = (
        rotations.rotvec_to_rotmat(rotvecs).numpy() @ rotmats[:, 0]
    )
    return turned_rotmats


def test_the_true_root_takes_the_heading_out(body, truth):
    batch, _ = truth
    turned_rotmats = turned_bodies(batch["rotmats"])
    posed = body(turned_rotmats, batch["betas"])
    plain = measured(body, batch, posed.joints.numpy(), posed.vertices.numpy())
    assert plain.summary()["mpjpe_mm"] > 300
    assert "mpjpe_true_root_mm" not in plain.summary()
    figures = with_true_root(body, batch, turned_rotmats)
    assert_close("float32_mm", figures["mpjpe_true_root_mm"], 0.0)


def test_the_true_root_leaves_the_limbs(body, truth):
    """Turned by any heading, a bent elbow costs as much as unturned."""
    batch, _ = truth
    bent = batch["rotmats"].copy()
    elbow = body.data.joint_names.index("left_elbow")
    rotvec = np.float32([0.0, 1.2, 0.0])
    bent[:, elbow] = rotations.rotvec_to_rotmat(rotvec[None]).numpy()[0]
    posed = body(bent, batch["betas"])
    plain = measured(body, batch, posed.joints.numpy(), posed.vertices.numpy())
    expected = plain.summary()["mpjpe_mm"]
    assert expected > 5
    figures = with_true_root(body, batch, turned_bodies(bent))
    assert_close("float32_mm", figures["mpjpe_true_root_mm"], expected)


def test_the_true_root_counts_labelled_poses_alone(body, truth):
    batch, _ = truth
    rotmats = batch["rotmats"].copy()
    rotmats[0] = np.eye(3)
    one = batch | {"has_pose": np.array([0, 1], np.float32)}
    figures = with_true_root(body, one, rotmats)
    assert_close("float32_mm", figures["mpjpe_true_root_mm"], 0.0)
    none = batch | {"has_pose": np.zeros(2, np.float32)}
    assert with_true_root(body, none, rotmats) == {}


def test_the_mean_pose_knows_its_error_with_the_true_root(body, truth):
    """It is the MPJPE of the mean pose with the true global rotation."""
    batch, _ = truth
    mean = turned_bodies(batch["rotmats"])[0], batch["betas"][0]
    context = evaluator.make_context(body, body.joint_names)
    figures = {}
    for true_rotation in (True, False):
        baseline = evaluator.Baseline(body, mean, RULE, context, true_rotation)
        baseline.add(batch)
        figures[true_rotation] = baseline.summary()
    for summary in figures.values():
        assert_close(
            "float32_mm",
            summary["mpjpe_true_root_mm"],
            figures[True]["mpjpe_mm"],
        )


def test_only_labelled_examples_count(body, truth):
    batch, posed = truth
    batch = dict(batch, joints3d=batch["joints3d"].copy())
    wrist = joints.KEYPOINTS.index("left_wrist")
    batch["joints3d"][0, wrist, 3] = 0
    batch["has_pose"] = np.zeros(2, np.float32)
    predicted = posed.joints.numpy(), posed.vertices.numpy()
    scores = measured(body, batch, *predicted)
    assert scores.ranking()[0].tolist() == [1]
    assert "pve_mm" not in scores.summary()
    # Indices in the stream, of the next batch as well.
    scores.add(batch, Predictions(joints=predicted[0], vertices=predicted[1]))
    assert scores.ranking()[0].tolist() == [1, 3]
    batch["joints3d"][..., 3] = 0
    with pytest.raises(ValueError, match="synthetic_v1"):
        measured(body, dict(batch), *predicted).summary()


def test_an_unknown_measure_lists_what_there_is(body):
    protocol = dataclasses.replace(RULE, measures=("joints4d",))
    with pytest.raises(ValueError, match="crop2d.*joints3d"):
        evaluator.Scores(
            protocol, evaluator.make_context(body, body.joint_names)
        )


def prediction(posed, camera):
    camera = np.tile(camera, (2, 1)).astype(np.float32)
    points = posed.joints.numpy()
    keypoints = camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])
    return Predictions(
        camera=camera,
        joints=points,
        keypoints=keypoints,
        vertices=posed.vertices.numpy(),
    )


def crop_figures(body, batch, predicted):
    figures = crop2d.Measure(
        RULE, evaluator.make_context(body, body.joint_names)
    )
    figures.add(batch, predicted)
    return figures.summary()


def test_crop_figures_of_the_truth_are_perfect(body, truth):
    batch, posed = truth
    metrics = crop_figures(body, batch, prediction(posed, CAMERA))
    assert metrics["pck2d_torso02"] == 100
    for name in ("silhouette_iou", "part_accuracy", "part_f1"):
        assert metrics[name] == 1, name


def test_crop_figures_see_a_shift(body, truth):
    """A body moved by its own width overlaps little and misses keypoints."""
    batch, posed = truth
    metrics = crop_figures(body, batch, prediction(posed, CAMERA + [0, 0.5, 0]))
    assert metrics["pck2d_torso02"] < 10
    assert 0 < metrics["silhouette_iou"] < 0.5
    assert metrics["part_f1"] < 0.5


def test_baseline_with_the_true_rotation_only_lacks_the_pose(body, truth):
    batch, _ = truth
    mean = batch["rotmats"][0].copy(), batch["betas"][0]
    mean[0][0] = np.eye(3)
    context = evaluator.make_context(body, body.joint_names)
    errors = {}
    for true_rotation in (True, False):
        baseline = evaluator.Baseline(body, mean, RULE, context, true_rotation)
        assert set(baseline.measures) == set(evaluator.BASELINE_MEASURES)
        baseline.add(batch)
        errors[true_rotation] = baseline.measures["joints3d"].ranking()[1]
        assert baseline.summary()["mpjpe_mm"] == errors[true_rotation].mean()
    assert_close("float32_mm", errors[True][0], 0.0)
    # The second has another shape and a bent elbow.
    assert errors[True][1] > 10
    assert errors[False][0] > 300


def test_where_no_rotation_is_labelled_no_baseline_has_the_true_one(
    body, truth
):
    batch, _ = truth
    mean = batch["rotmats"][0], batch["betas"][0]
    context = evaluator.make_context(body, body.joint_names)
    one_lacks = batch | {"has_pose": np.array([1, 0], np.float32)}
    for true_rotation in (True, False):
        baseline = evaluator.Baseline(body, mean, RULE, context, true_rotation)
        for part in (batch, one_lacks, batch):
            baseline.add(part)
        assert ("mpjpe_mm" in baseline.summary()) != true_rotation


class Covers:
    """Blackens the half that a variant names."""

    variants = ("left", "right")

    def apply(self, batch, variant):
        images = batch["image"].copy()
        half = images.shape[2] // 2
        rows = {"left": slice(half), "right": slice(half, None)}
        images[:, :, rows[variant]] = 0
        return images


class Brightness:
    """A method that answers with the brightness of either half."""

    def inputs(self, batch):
        return {"image": batch["image"]}

    def infer(self, inputs):
        halves = tf.split(inputs["image"], 2, axis=2)
        camera = tf.stack([tf.reduce_mean(h, [1, 2, 3]) for h in halves], 1)
        return method.Prediction(None, None, camera, None, None, None)


def test_an_occlusion_shows_each_example_once_with_each_variant(rng):
    images = rng.uniform(1, 255, (3, 8, 8, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices({"image": images}).batch(2)
    outputs = list(
        evaluator.predictions(Brightness(), dataset, occlusion=Covers())
    )
    assert [len(batch["image"]) for batch, _ in outputs] == [2, 2, 1, 1]
    for number, (batch, predicted) in enumerate(outputs):
        assert len(predicted.camera) == len(batch["image"])
        covered = number % 2
        assert (predicted.camera[:, covered] == 0).all()
        assert (predicted.camera[:, 1 - covered] > 0).all()


def test_a_small_batch_is_padded_to_one_that_was_seen_before():
    """Also in another call, as that which draws a few of those measured."""
    sizes = []

    class Sizes(Brightness):
        def infer(self, inputs):
            sizes.append(len(inputs["image"]))
            return super().infer(inputs)

    images = np.arange(7, dtype=np.float32)[:, None, None, None]
    images = np.broadcast_to(images, (7, 8, 8, 3))
    method_of_sizes = Sizes()
    for count, multiple in ((7, 2), (2, 1)):
        dataset = tf.data.Dataset.from_tensor_slices({"image": images[-count:]})
        outputs = evaluator.predictions(
            method_of_sizes, dataset.batch(3), multiple=multiple
        )
        cameras = [predicted.camera[:, 0] for _, predicted in outputs]
        expected = np.arange(7 - count, 7)
        assert np.concatenate(cameras).tolist() == expected.tolist()
    assert sizes == [4, 4, 4, 4]


def test_mean_pose_sees_what_training_sees(tiny_records):
    """Only labels='all', only its shards; a rotation, by its definition."""
    from scipy.spatial.transform import Rotation

    source = config.Source(str(tiny_records / "synthetic"), shards=(0, 2))
    hidden = dataclasses.replace(source, labels="2d", shards=(1, 2))
    rotmats, betas = statistics.mean_pose((source, hidden))
    stored = shards.Records(source.records, "train", (0, 2))
    people = [schema.decode(stored.read(i)) for i in range(len(stored))]
    turns = Rotation.from_rotvec([p.pose[:3] for p in people])
    # SciPy's mean is the rotation nearest to the mean matrix, too.
    assert_close("body_metres", rotmats[0], turns.mean().as_matrix())
    assert_close("loss", betas, np.mean([p.betas for p in people], axis=0))
    assert statistics.mean_pose((hidden,)) is None


def test_mean_pose_reads_no_more_than_it_needs(tiny_records, monkeypatch):
    """Every n-th record of all sources together, each source's share kept."""
    folder = str(tiny_records / "synthetic")
    train, val = config.Source(folder), config.Source(folder, split="val")
    numbers, read = [], shards.Records.read

    def noted(self, number):
        numbers.append((len(self), number))
        return read(self, number)

    monkeypatch.setattr(shards.Records, "read", noted)
    monkeypatch.setattr(statistics, "MAX_RECORDS", 10)
    _, betas = statistics.mean_pose((train, val))
    rows = [(32, n) for n in range(0, 32, 4)] + [(8, 0), (8, 4)]
    assert numbers == rows
    people = [
        schema.decode(read(shards.Records(folder, split), n))
        for split, (_, n) in zip(["train"] * 8 + ["val"] * 2, rows, strict=True)
    ]
    assert_close("loss", betas, np.mean([p.betas for p in people], axis=0))


def test_the_mean_shape_is_that_of_the_people_who_have_one(tmp_path):
    changes = {n: {"betas": None} for n in (1, 2, 4)}
    folder = record_samples.spoilt(tmp_path / "samples", 6, changes)
    rotmats, betas = statistics.mean_pose((config.Source(str(folder)),))
    expected = [record_samples.example(n).betas for n in (0, 3, 5)]
    assert_close("loss", betas, np.mean(expected, axis=0))
    assert rotmats.shape == (24, 3, 3)
