"""Bodies of people whose landmarks BlazePose has found in a photo.

The lifter answers at once. The fit starts from its answer and moves it to the
landmarks in the image, with SMPLify's priors, and with the lifted joints as 3D
keypoints of free origin and size.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import (
    inference,
    joints,
    keypoint_fitting,
    landmark_files,
    method,
)
from tf_hmr.body.data import BodyData
from tf_hmr.geometry import (
    camera,
    crop,
    crop_views,
    rotations,
    translation,
)
from tf_hmr.smplify import priors, schedules

LIFTER = landmark_files.LIFTER

MIN_KEYPOINTS = keypoint_fitting.MIN_KEYPOINTS
"""A person with fewer visible landmarks has no body."""

MIN_CONFIDENCE = 0.3
"""A landmark counts as seen if its probabilities of being visible and of being
inside the photo, multiplied, exceed this."""


MAX_FIT_ERROR_PX = 10.0
"""A fit that lies farther from the landmarks than this, on average and at 224
pixels, has not met them: they contradict each other, and the lifter's body is
nearer to the truth."""

GOOD_LIFT_PX = 3.8
"""A lifter's body that lies this near to the landmarks, likewise measured, is
not fitted: there is no more to gain than the landmarks' own errors."""

MIN_GAIN = 1.1
"""A fit that is not nearer to the landmarks than the lifter's body by this
factor is not nearer to the truth either: docs/methods.md has the figures, and
the people on whom both numbers were chosen."""


class Task(NamedTuple):
    """A person to find a body for.

    Attributes:
        landmarks: (33, 7) in joints.BLAZEPOSE33 order as method_inputs.INPUTS
            says, but x and y in pixels of the photo.
        size: width and height of the photo.
        focal_px: focal length of its camera; None for
            inference.FOCAL_OVER_SIDE times its longer side.
    """

    landmarks: np.ndarray
    size: tuple[int, int]
    focal_px: float | None = None


def visible_count(landmarks: np.ndarray) -> int:
    """Number of landmarks (33, 7) that are seen and are keypoints of a body."""
    return int((keypoints(landmarks)[:, 2] > 0).sum())


def keypoints(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (33, 7) as keypoints (29, 3): x, y and confidence.

    Keypoints without a landmark, and those not seen, have confidence 0.
    """
    keypoint_rows, landmark_rows = _common_rows()
    confidence = np.prod(landmarks[landmark_rows, 5:], axis=1)
    points = np.zeros((len(joints.KEYPOINTS), 3), np.float32)
    points[keypoint_rows, :2] = landmarks[landmark_rows, :2]
    points[keypoint_rows, 2] = np.where(
        confidence > MIN_CONFIDENCE, confidence, 0
    )
    return points


def load_lifter(body: str | Path | BodyData = "open") -> method.Method:
    """Loads the lifter that the package ships.

    Args:
        body: of the topology that it was trained on.

    Raises:
        ValueError: the body has another topology.
    """
    return method.load(LIFTER, body, jit=False)


class PeopleLifter:
    """Finds bodies by the lifter alone."""

    def __init__(self, lifter: method.Method):
        """Takes a method that reads landmarks, as of `load_lifter`."""
        self._lifter = lifter
        self._names = lifter.joint_names

    def __call__(
        self, tasks: Sequence[Task]
    ) -> list[keypoint_fitting.FittedPerson]:
        """Lifts people together.

        Args:
            tasks: the people.

        Returns:
            One person for each task, in their order; `error` as of a fit.

        Raises:
            ValueError: a person has fewer than MIN_KEYPOINTS landmarks.
        """
        if not tasks:
            return []
        keypoints_2d = [keypoints(task.landmarks) for task in tasks]
        scale = self._lifter.config.crop_scale
        crop_boxes = [
            crop.square_box(_box(points), scale) for points in keypoints_2d
        ]
        rows = np.stack(
            [
                _in_crop(task.landmarks, crop_box)
                for task, crop_box in zip(tasks, crop_boxes, strict=True)
            ]
        )
        prediction = self._lifter({"landmarks": rows}, training=False)
        fit_tasks = [
            keypoint_fitting.Task(points, task.size, task.focal_px)
            for points, task in zip(keypoints_2d, tasks, strict=True)
        ]
        bodies = self._in_camera(prediction, fit_tasks, np.array(crop_boxes))
        return [
            keypoint_fitting.in_photo(
                task, crop_box, body, self._names, self._lifter.body.data
            )
            for task, crop_box, body in zip(
                fit_tasks, crop_boxes, bodies, strict=True
            )
        ]

    def _in_camera(
        self,
        prediction: method.Prediction,
        tasks: Sequence[keypoint_fitting.Task],
        crop_boxes: np.ndarray,
    ) -> list[keypoint_fitting.PosedBody]:
        """Bodies in the frame of the photo's camera.

        The lifter sees no perspective: its body is that of a camera which
        looks straight at the person. The body turns with the ray to the
        person, and is moved to where its joints meet the keypoints.
        """
        intrinsics = np.array([_intrinsics(task) for task in tasks])
        turn = crop_views.rotation_to_crop_ray(crop_boxes, intrinsics)
        rotmats = prediction.rotmats.numpy()
        rotmats[:, 0] = turn.astype(np.float32) @ rotmats[:, 0]
        mesh = self._lifter.body(rotmats, prediction.betas)
        starts = crop_views.translation(
            prediction.camera, crop_boxes, intrinsics
        )
        rows = list(joints.select(self._names, of=joints.KEYPOINTS))
        placed = [
            translation.refine(start, points, task.keypoints[rows], f_and_c)
            for start, points, task, f_and_c in zip(
                starts, mesh.joints.numpy(), tasks, intrinsics, strict=True
            )
        ]
        columns = (
            rotmats,
            rotations.rotmat_to_rotvec(rotmats),
            *(prediction.betas, mesh.joints, mesh.vertices, placed),
        )
        return [
            keypoint_fitting.PosedBody(*arrays)
            for arrays in zip(*map(np.asarray, columns), strict=True)
        ]


class PeopleFitter:
    """Finds bodies by the lifter and a fit from there on."""

    def __init__(
        self,
        lifter: method.Method,
        jit: bool = False,
        batch_size: int | None = None,
        schedule: schedules.Schedule = schedules.LANDMARKS,
    ):
        """Makes a fitter.

        Args:
            lifter: as of `load_lifter`; the fits have its body.
            jit: compile with XLA, once per batch size (a minute): for many
                people.
            batch_size: people in each call, padded; with jit, one size is
                compiled. None: as many as there are.
            schedule: of the fit.
        """
        self._lift = PeopleLifter(lifter)
        self._fitter = keypoint_fitting.PeopleFitter(
            lifter.body.data, priors.load(), schedule, jit, batch_size
        )

    def __call__(
        self,
        tasks: Sequence[Task],
        progress: Callable[[int, int], None] = lambda count, total: None,
    ) -> list[keypoint_fitting.FittedPerson]:
        """Fits people together.

        Args:
            tasks: the people.
            progress: called after each batch with the number of people in it
                and of all.

        Returns:
            One person for each task, in their order: the fit, or the lifter's
            body where that is likely to be nearer to the truth.

        Raises:
            ValueError: a person has fewer than MIN_KEYPOINTS landmarks.
        """
        if not tasks:
            return []
        lifted = self._lift(tasks)
        rows = [
            row for row, body in enumerate(lifted) if body.error > GOOD_LIFT_PX
        ]
        fit_tasks = [
            fit_task(tasks[row], lifted[row].person, lifted[row].person.betas)
            for row in rows
        ]
        fits = self._fitter(fit_tasks, progress) if rows else []
        people = list(lifted)
        for row, fit in zip(rows, fits, strict=True):
            if _is_nearer(fit.error, lifted[row].error):
                people[row] = fit
        return people


def _is_nearer(fit_error: float, start_error: float) -> bool:
    """Whether a fit is likely to be nearer to the truth than its start."""
    is_met = fit_error <= MAX_FIT_ERROR_PX
    return is_met and start_error >= MIN_GAIN * fit_error


def fit_task(
    task: Task,
    start: inference.Person,
    betas: np.ndarray,
    translation: np.ndarray | None = None,
) -> keypoint_fitting.Task:
    """What a fit starts from.

    Args:
        task: the person.
        start: a body, whose joints are the 3D keypoints.
        betas: (P,) to start from.
        translation: (3,) to start from; None: as the landmarks say.
    """
    known = () if translation is None else (translation,)
    return keypoint_fitting.Task(
        keypoints(task.landmarks),
        task.size,
        task.focal_px,
        start=(start.pose, betas, *known),
        keypoints_3d=_keypoints_3d(start),
    )


def _keypoints_3d(person: inference.Person) -> np.ndarray:
    """Joints of a lifted person as 3D keypoints (29, 4): metres and weight.

    They are nearer to the truth than the landmarks' own metres, from which the
    lifter has learnt to take BlazePose's errors away.
    """
    rows = list(joints.select(person.joint_names, of=joints.KEYPOINTS))
    points = np.zeros((len(joints.KEYPOINTS), 4), np.float32)
    points[rows, :3] = person.joints
    points[rows, 3] = 1
    return points


def _common_rows() -> tuple[list[int], list[int]]:
    """Rows of keypoints, and of the landmarks that stand for them."""
    names = joints.BLAZEPOSE_OF_KEYPOINT
    return (
        list(joints.select(list(names), of=joints.KEYPOINTS)),
        list(joints.select(list(names.values()), of=joints.BLAZEPOSE33)),
    )


def _intrinsics(task: keypoint_fitting.Task) -> tuple[float, ...]:
    """fx, fy, cx, cy of a photo's camera, pixels."""
    focal_px = keypoint_fitting.focal_length(task)
    return focal_px, focal_px, *camera.image_centre(task.size)


def _box(points: np.ndarray) -> crop.Box:
    """Box of the keypoints (29, 3) that are seen.

    Raises:
        ValueError: there are too few.
    """
    visible = points[:, 2] > 0
    if visible.sum() < MIN_KEYPOINTS:
        raise ValueError(
            f"A person has {visible.sum()} landmarks that are seen, expected "
            f"at least {MIN_KEYPOINTS}. Leave this person out."
        )
    return crop.box_of_keypoints(points[:, :2], visible)


def _in_crop(landmarks: np.ndarray, crop_box: crop.Box) -> np.ndarray:
    """(33, 7) with x and y in [-1, 1] of a crop."""
    rows = np.array(landmarks, np.float32)
    rows[:, :2] = crop.pixels_to_ndc(rows[:, :2], crop_box)
    return rows
