"""What is measured of the stages, and of BFGS beside them."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.geometry import camera
from training.descent import __main__ as command
from training.descent import figures, measures, search, study

SMALL = {
    "image_size": 48,
    "encoder": "small",
    "encoder_width": 4,
    "map_side": 12,
    "map_channels": 4,
    "widths": (4,),
    "stages": 1,
    "prior": "none",
    "part_side": 12,
    "part_points": 60,
}


@pytest.fixture(scope="module")
def model(body):
    """An untrained HUND whose stages move."""
    model = method.create("hund", body, **SMALL)
    rng = np.random.default_rng(4)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.02, variable.shape))
    return model


@pytest.fixture(scope="module")
def people(model, tiny_records):
    return measures.read_people(model, tiny_records / "synthetic_v1", "test", 5)


@pytest.fixture(scope="module")
def measure(model):
    return measures.Measure(model, with_parts=False)


def labelled_state(model, people) -> np.ndarray:
    """States (N, n) of the labelled rotations."""
    states = [
        model.layout.encode(rotmats) for rotmats in people.labels["rotmats"]
    ]
    return np.float32(states)


def test_people_are_spread_over_the_split(people):
    count = len(people.labels["keypoints"])
    assert count == 5 and people.inputs["image"].shape == (5, 48, 48, 3)
    two = people.take([0, 4])
    np.testing.assert_array_equal(
        two.inputs["intrinsics"][1], people.inputs["intrinsics"][4]
    )


def test_a_labelled_pose_has_no_error_of_its_angles(model, measure, people):
    stages = measure.descend(people)
    states = labelled_state(model, people)
    errors = measure.errors(states, stages, people)
    np.testing.assert_allclose(errors.angle_deg, 0, atol=0.1)
    # Shapes differ: a rest shape in the true pose is centimetres off.
    assert (errors.mpjpe_mm < 80).all()
    assert (errors.pa_mpjpe_mm <= errors.mpjpe_mm).all()
    rolled = measure.errors(np.roll(states, 1, axis=0), stages, people)
    assert (rolled.angle_deg > 5).all() and (rolled.mpjpe_mm > 100).all()


def test_distances_and_loss_are_the_models(model, measure, people):
    stages = measure.descend(people)
    errors = measure.errors(stages.states[-1], stages, people)
    estimate = model.decode(stages.states[-1])
    _, points = model.project(estimate, stages.intrinsics)
    offsets = points - stages.detection.keypoints
    expected = 112 * np.linalg.norm(offsets, axis=-1).mean(axis=-1)
    np.testing.assert_allclose(errors.detected_px, expected, rtol=1e-4)
    rows = list(joints.select(model.joint_names, of=joints.KEYPOINTS))
    true = people.labels["keypoints"][:, rows]
    distances = 112 * np.linalg.norm(points - true[..., :2], axis=-1)
    visible = true[..., 2] > 0
    expected = [d[v].mean() for d, v in zip(distances, visible, strict=True)]
    np.testing.assert_allclose(errors.true_px, expected, rtol=1e-4)
    loss = model.alignment(
        stages.states[-1], stages.detection, stages.intrinsics, False
    )
    np.testing.assert_allclose(errors.loss, loss, rtol=1e-5)


def test_what_nobody_labelled_is_left_out(model, measure, people):
    stages = measure.descend(people)
    labels = dict(people.labels)
    for name in ("has_pose", "has_parts", "has_joints3d"):
        labels[name] = np.float32([0, 1, 1, 1, 1])
    labels["keypoints"] = labels["keypoints"].copy()
    labels["keypoints"][0, :, 2] = 0
    errors = measure.errors(
        stages.states[0], stages, people._replace(labels=labels)
    )
    for name in ("true_px", "iou", "mpjpe_mm", "pa_mpjpe_mm", "angle_deg"):
        values = getattr(errors, name)
        assert np.isnan(values[0]) and np.isfinite(values[1:]).all(), name
        assert measures.mean_of(values) == pytest.approx(values[1:].mean())
    assert np.isnan(measures.mean_of(np.full(3, np.nan)))


def test_bfgs_descends_a_quadratic():
    centre = np.array([1.0, -2.0, 3.0])

    def bowl(state):
        offset = (state - centre) * [1, 10, 100]
        return offset @ offset, 2 * offset * [1, 10, 100]

    trace = search.bfgs(bowl, np.zeros(3), iterations=50)
    np.testing.assert_allclose(trace.state, centre, atol=1e-2)
    assert (np.diff(trace.losses) <= 0).all() and trace.losses[-1] < 1e-2
    assert (np.diff(trace.seconds) >= 0).all()
    short = search.bfgs(bowl, np.zeros(3), iterations=2)
    assert len(short.losses) < len(trace.losses)


def test_time_to_a_loss_is_that_of_the_first_evaluation_below():
    trace = search.Trace(
        np.zeros(1), np.array([0.1, 0.2, 0.5]), np.array([3.0, 1.0, 0.5])
    )
    assert search.seconds_to(trace, 1.0) == 0.2
    assert search.seconds_to(trace, 0.4) == np.inf
    times, losses = figures.mean_trace([trace, trace])
    assert losses[0] == 3.0 and losses[-1] == 0.5
    assert times[0] == pytest.approx(0.1) and times[-1] == pytest.approx(0.5)


def test_the_command(
    model, measure, model_folder, tiny_records, tmp_path, capsys, monkeypatch
):
    """Without BFGS; with the graphs of the tests above."""
    monkeypatch.setattr(study.methods, "load", lambda *_, **__: model)
    monkeypatch.setattr(measures, "Measure", lambda *_: measure)
    out = tmp_path / "out"
    options = command.Options(
        weights=model_folder,
        records=tiny_records / "synthetic_v1",
        out=out,
        people=5,
        pictures=1,
        searched=0,
    )
    assert command.main(options) == 0
    text = capsys.readouterr().out
    assert "5 people of" in text and "stage 1" in text
    result = json.loads((out / study.FILE).read_text())
    assert len(result["stages"]) == 2 and not result["loss_has_parts"]
    assert result["mean_pose"]["loss"] != result["stages"][0]["loss"]
    for name in ("stages", "curves"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 1
    # Picture, two stages and the side view, and a caption.
    shape = cv2.imread(str(out / "stages.png")).shape
    assert shape[1] == 4 * figures.SIDE + 3 * 4
    assert shape[0] > figures.SIDE
    assert command.main(dataclasses.replace(options, people=0)) == 1
    assert "--people 0, expected 1" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_with_bfgs(model, tiny_records, tmp_path, capsys):
    method.save(model, tmp_path / "run")
    out = tmp_path / "out"
    options = command.Options(
        weights=tmp_path / "run",
        records=tiny_records / "synthetic_v1",
        out=out,
        people=2,
        pictures=1,
        searched=1,
        iterations=5,
    )
    assert command.main(options) == 0
    assert "HUND, stage 1" in capsys.readouterr().out
    result = json.loads((out / study.FILE).read_text())
    starts = result["search"]["starts"]
    names = ["mean pose", "stage 0", "stage 1"]
    assert [start["start"] for start in starts] == names
    for start in starts:
        assert start["after"]["loss"] < start["before"]["loss"]
        assert start["evaluations"] > 3
    assert starts[-1]["reached_hund"] == 1
    assert starts[1]["ms_before"] == 0 < starts[-1]["ms_before"]
    assert cv2.imread(str(out / "search.png")).std() > 1


def test_other_methods_are_refused(
    model_folder, tiny_records, tmp_path, capsys
):
    records = tiny_records / "synthetic_v1"
    options = command.Options(model_folder, records, tmp_path / "out")
    assert command.main(options) == 1
    assert "expected 'hund'" in capsys.readouterr().err


def test_tables_have_equal_columns():
    lines = study.table([("a", "bb"), ("ccc", "d")]).splitlines()
    assert lines == ["a    bb", "ccc   d"]
    assert study._cells(dict.fromkeys(measures.Errors._fields, None)) == (
        "-",
    ) * len(measures.Errors._fields)


def test_drawn_bodies_stand_where_their_keypoints_are(model, people):
    """The view of a panel projects as the method does."""
    intrinsics = people.inputs["intrinsics"][:1]
    view = figures._view(intrinsics[0])
    points = tf.constant([[[0.1, -0.2, 4.0], [0.3, 0.5, 5.0]]])
    projected = camera.project_in_crop(points, tf.constant(intrinsics))[0]
    expected = (projected.numpy() + 1) / 2 * figures.SIDE - 0.5
    np.testing.assert_allclose(
        view.project(points[0].numpy()), expected, atol=1e-3
    )
