"""The command that measures SMPLR's parts, where the answer is known."""

import json

import cv2
import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr import method
from training import smplr_figures, smplr_parts
from training.tasks import smplr_parts as task

pytestmark = pytest.mark.usefixtures("fit_without_xla")


@pytest.fixture(scope="module")
def folder(body, tmp_path_factory):
    """A model folder of an untrained SMPLR."""
    model = method.create(
        "smplr",
        body,
        image_size=64,
        stacks=1,
        width=16,
        bins=8,
        levels=2,
        stem=(8, 8, 8),
        hidden=32,
    )
    path = tmp_path_factory.mktemp("smplr")
    method.save(model, path)
    return path


@pytest.fixture(scope="module")
def model(fit_without_xla, folder):
    return method.load(folder, jit=False)


@pytest.fixture(scope="module")
def people(model, tiny_records):
    return task.read_people(model, tiny_records / "synthetic_v1", "test")


def test_the_truth_in_every_place_leaves_no_error(model, people):
    """And each truth alone is nearer than none."""
    exact = people._replace(places=people.true_places, scale=people.true_scale)
    errors = task.on_pictures(model, exact)
    # The mean that stands for the pelvis is a centimetre off.
    assert errors["points_mm"] < 15 < 150 < errors["mean_points_mm"]
    assert_close("exact", errors["scale_off_percent"], 0)
    assert_close("exact", errors["in_crop_percent"], 0)
    off = people._replace(
        places=people.true_places, scale=1.1 * people.true_scale
    )
    errors = task.on_pictures(model, off)
    assert errors["scale_off_percent"] == pytest.approx(10, abs=1e-3)
    assert errors["points_scale_known_mm"] < 15 < errors["points_mm"]


def test_replacing_pose_and_root_and_shape_gives_the_body(model, people):
    rows = (("pose", "root", "shape"), ("pose", "root"), ())
    errors = []
    for parts in rows:
        predicted_joints = task._keypoints(model, people, parts)
        true = people.true_joints - people.true_joints[:, :1]
        errors.append(
            np.abs(predicted_joints - predicted_joints[:, :1] - true).max()
        )
    assert errors[0] < 1e-5 < errors[1] < errors[2]


def test_noise_goes_through_the_networks_as_it_is_drawn(model, people):
    clean = task.sample(model, people, 0.0, seed=0)
    noisy = task.sample(model, people, 1.0, seed=0)
    values = task.sampled_values(model, people, noisy)
    assert 15 < values["noisy_mm"] < 35
    # Untrained, the denoiser is the identity.
    assert values["denoised_mm"] == values["noisy_mm"]
    assert_close("exact", clean.noisy, clean.denoised)
    assert 0 <= values["gender_percent"] <= 100
    # A turn and a move cannot be worse than none, on its own points.
    offsets = [
        np.square(points - noisy.noisy).sum()
        for points in (noisy.aligned, noisy.body)
    ]
    assert offsets[0] < offsets[1]


def test_maps_are_seen_from_three_sides():
    """A peak at column 3, row 5, bin 2 is there in each view."""
    logits = np.zeros((8, 8, 4, 45), np.float32)
    logits[5, 3, 2, :41] = 20
    front, side, above = smplr_figures.marginals(
        logits.reshape(8, 8, 4 * 45), bins=4
    )
    for view, expected_peak in (
        (front, (5, 3)),
        (side, (5, 2)),
        (above, (2, 3)),
    ):
        assert view.shape[2] == 41
        peaks = [
            np.unravel_index(view[..., n].argmax(), view.shape[:2])
            for n in range(41)
        ]
        assert set(peaks) == {expected_peak}


def test_limbs_are_told_by_name():
    assert smplr_figures.limb_of("right_fingertip") == "right_arm"
    assert smplr_figures.limb_of("left_toe") == "left_leg"
    assert smplr_figures.limb_of("nose_tip") == ""


def test_the_command_writes_numbers_and_figures(folder, tiny_records, tmp_path):
    options = smplr_parts.Options(
        folder, tiny_records / "synthetic_v1", tmp_path, noise=(1.0,)
    )
    assert smplr_parts.main(options) == 0
    numbers = json.loads((tmp_path / "parts.json").read_text())
    assert set(numbers["replaced"]) == set(task.REPLACED)
    assert numbers["people"] == 12
    for name in ("maps.png", "points-noise-1.png", "bodies.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 1


def test_another_method_is_refused(
    model_folder, tiny_records, tmp_path, capsys
):
    options = smplr_parts.Options(
        model_folder, tiny_records / "synthetic_v1", tmp_path
    )
    assert smplr_parts.main(options) == 1
    assert "'hmr', expected 'smplr'" in capsys.readouterr().err
