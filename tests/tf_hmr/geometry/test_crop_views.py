"""Cameras of crops in the picture's frame, on synthetic cameras."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.geometry import camera, crop, crop_views
from training.evaluation import joint_pairs, protocols
from training.evaluation.protocol import EvaluationContext, Predictions

INTRINSICS = np.array([1500.0, 1480.0, 1000.0, 1040.0])


def project(points, intrinsics=INTRINSICS):
    return camera.project_perspective(points, intrinsics[:2], intrinsics[2:])


@pytest.fixture
def pose(rng):
    """(12, 14, 3) joints about their root, of the size of people."""
    points = rng.normal(0, 0.35, (12, 14, 3))
    return points - points[:, 2:4].mean(axis=1, keepdims=True)


@pytest.fixture
def positions(rng):
    """(12, 3) metres, most of them far from the optical axis."""
    directions = rng.uniform(-0.6, 0.6, (12, 2))
    depth = rng.uniform(3, 7, (12, 1))
    return np.concatenate([directions * depth, depth], axis=1)


def boxes_at(positions, side=300.0):
    """Square crops whose middle is where the roots are seen."""
    corner = project(positions) + 0.5 - side / 2
    return np.concatenate([corner, np.full((len(positions), 2), side)], axis=1)


def test_the_axis_goes_to_the_ray_without_roll(positions):
    turns = crop_views.rotation_to_crop_ray(
        boxes_at(positions), np.tile(INTRINSICS, (len(positions), 1))
    )
    rays = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    assert_close("float64", turns @ [0, 0, 1], rays)
    for turn, ray in zip(turns, rays, strict=True):
        axis = np.cross([0, 0, 1], ray)
        angle = np.arcsin(np.linalg.norm(axis))
        shortest = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)
        assert_close("float64", turn, shortest.as_matrix())


def crop_residual(pose, keypoints):
    """Pixels by which the best weak perspective camera misses what is seen."""
    xy = pose[:, :2]
    design = np.zeros((2 * len(xy), 3))
    design[::2, 0], design[1::2, 0] = xy.T
    design[::2, 1], design[1::2, 2] = 1, 1
    target = keypoints.ravel()
    fitted = np.linalg.lstsq(design, target, rcond=None)[0]
    return np.abs(design @ fitted - target).mean()


def test_the_sign_of_the_correction(pose, positions):
    """What a crop shows is the pose turned back from its ray.

    A weak perspective camera that looks straight at the person explains the
    picture best with the pose turned by the inverse of `towards`; so `towards`
    turns what was predicted from the crop into the camera's frame.
    """
    boxes = boxes_at(positions)
    turns = crop_views.rotation_to_crop_ray(
        boxes, np.tile(INTRINSICS, (len(positions), 1))
    )
    better = 0
    for points, position, turn in zip(pose, positions, turns, strict=True):
        # Far away, so that perspective within the person is small.
        keypoints = project(points + 20 * position)
        turned_back = crop_residual(points @ turn, keypoints)
        unturned = crop_residual(points, keypoints)
        corrected = crop_residual(points @ turn.T, keypoints)
        better += turned_back < 0.3 * min(unturned, corrected)
    assert better == len(pose)


@pytest.fixture
def seen_from_crops(pose, positions):
    """A batch of MPI-INF-3DHP's kind and the right answer of a crop."""
    protocol = protocols.get("mpi_inf_3dhp")
    names = (*protocol.joints, "pelvis")
    names = tuple(dict.fromkeys(names))
    boxes = boxes_at(positions)
    intrinsics = np.tile(INTRINSICS, (len(positions), 1))
    points = np.concatenate([pose, pose[:, :2], pose[:, 5:6]], axis=1)
    points = points[:, : len(names)]
    joints3d = np.zeros((len(pose), len(joints.KEYPOINTS), 4))
    index = list(joints.select(names, of=joints.KEYPOINTS))
    joints3d[:, index, :3] = points + positions[:, np.newaxis]
    joints3d[:, index, 3] = 1
    batch = {"joints3d": joints3d, "stored_box": boxes}
    batch["stored_intrinsics"] = intrinsics
    looks = [Rotation.align_vectors(p[None], [[0, 0, 1]])[0] for p in positions]
    rotated = np.stack(
        [p @ look.as_matrix() for p, look in zip(points, looks, strict=True)]
    )
    return protocol, names, batch, rotated


def test_a_crops_right_answer_has_no_error(seen_from_crops):
    protocol, names, batch, answer = seen_from_crops
    context = EvaluationContext(None, names, None)
    sides = joint_pairs.JointPairs(protocol, context)(
        batch, Predictions(joints=answer)
    )
    assert_close("float64", sides.pred, sides.true)


@pytest.mark.parametrize("focal", [500.0, 3000.0])
def test_a_weak_camera_is_placed_as_the_whole_pictures(focal, rng):
    """The same as camera.full_image_camera where the axis is the middle."""
    size = (640, 480)
    box = crop.square_box((100, 50, 120, 200), 1.2)
    weak = np.array([[0.9, 0.02, -0.1]])
    centre = camera.image_centre(size)
    intrinsics = np.array([[focal, focal, *centre]])
    got = crop_views.translation(weak, np.array([box]), intrinsics)[0]
    expected = camera.full_image_camera(weak[0], box, size, focal)
    assert_close("body_metres", got, expected)
    # And it lands where the weak camera puts it.
    points = rng.normal(0, 1e-3, (5, 3))
    projected = project(points + got, intrinsics[0])
    ndc = camera.project_weak_perspective(points, weak[0])
    pixels = np.array(box[:2]) + (ndc + 1) / 2 * box[2] - 0.5
    assert np.abs(projected - pixels).max() < 0.05


def test_a_record_without_a_camera_is_refused():
    box = np.array([[0, 0, 9, 9.0]])
    with pytest.raises(ValueError, match="no intrinsics"):
        crop_views.rotation_to_crop_ray(box, np.zeros((1, 4)))
