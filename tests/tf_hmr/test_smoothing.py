"""Bodies are smoothed as the device's one file smooths them."""

import numpy as np

from edge import run as device
from tests.support.closeness import assert_close
from tf_hmr import inference, smoothing
from tf_hmr.geometry import camera, rotations


def person(rng, by=0.0):
    """A body of four vertices and two joints, shaken."""
    points = rng.normal(size=(6, 3)) * 0 + np.arange(18).reshape(6, 3) / 20
    points = np.float32(points + by * rng.normal(size=(6, 3)))
    rotvecs = np.float32(0.3 + by * rng.normal(size=(2, 3)))
    translation = np.float32([0.1, 0.2, 4.0] + by * rng.normal(size=3))
    size = (640, 360)
    principal = camera.image_centre(size)
    return inference.Person(
        box=(0.0, 0.0, 9.0, 9.0),
        crop_box=(0.0, 0.0, 9.0, 9.0),
        image_size=size,
        camera=np.float32([1, 0, 0]),
        translation=translation,
        focal_px=700.0,
        principal_point=principal,
        rotmats=rotations.rotvec_to_rotmat(rotvecs).numpy(),
        pose=rotvecs,
        betas=np.float32(rng.normal(size=10)),
        joints=points[:2],
        keypoints_px=camera.project_perspective(
            points[:2] + translation, 700.0, principal
        ),
        vertices=points[2:],
        joint_names=("nose", "left_hip"),
        faces=np.array([[0, 1, 2]]),
        topology="test",
    )


def test_a_still_person_stays(rng):
    smoother, still = smoothing.PersonSmoother(), person(rng)
    for frame in range(5):
        smooth = smoother(still, frame / 25)
    for name in ("vertices", "translation", "pose", "betas", "keypoints_px"):
        assert_close(
            "long_focal_pixels", getattr(smooth, name), getattr(still, name)
        )


def test_shaking_is_smoothed_as_on_the_device(rng):
    smoother = smoothing.PersonSmoother()
    filters = {n: device.OneEuro(*two) for n, two in smoothing.CUTOFFS.items()}
    assert tuple(smoothing.CUTOFFS.values()) == device.FILTERS
    raw, smooth, expected = [], [], []
    for frame in range(40):
        body = person(rng, 0.05)
        raw.append(body.vertices)
        smooth.append(smoother(body, frame / 25).vertices)
        points = np.concatenate([body.joints, body.vertices])
        elapsed = 1 / 25 if frame else 1.0
        expected.append(filters["points"](points, elapsed)[2:])
    assert_close("relative_float32", smooth, np.float32(expected))

    def acceleration(points):
        return np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).mean()

    assert acceleration(smooth) < 0.5 * acceleration(raw)


def test_one_shape_is_the_mean_so_far(rng):
    smoother, people = smoothing.PersonSmoother(), [person(rng) for _ in "abc"]
    shapes = [smoother(p, t).betas for t, p in enumerate(people)]
    mean = np.mean([p.betas for p in people], axis=0)
    assert_close("rotation", shapes[-1], mean)
