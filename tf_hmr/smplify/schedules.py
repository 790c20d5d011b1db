"""Schedules of SMPLify: its stages, their order and their weights."""

import dataclasses

import numpy as np

_WEIGHTS = (
    "pose_prior",
    "angle_prior",
    "shape_prior",
    "lean",
    "depth",
    "self_penetration",
    "keypoints_3d",
    "acceleration",
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage: steps of Adam on the whole body.

    Attributes:
        steps: number of steps.
        free: parameters that move: "orientation", "pose", "betas",
            "translation".
        learning_rate: rate of Adam, which starts again in each stage.
        pose_prior: weight of the mixture's energy.
        angle_prior: weight of elbows and knees that bend backward.
        shape_prior: weight of the betas.
        lean: weight of trunk and legs that leave the image plane.
        depth: weight of the depth's change since the start, per metre.
        self_penetration: weight of parts that reach into each other.
        keypoints_3d: weight of 3D keypoints of free origin and size, where a
            fit is given any.
        acceleration: weight of the joints' acceleration, where the rows of a
            fit are frames of a video.
    """

    steps: int = 100
    free: tuple[str, ...] = ("orientation", "pose", "betas")
    learning_rate: float = 1e-2
    pose_prior: float = 4.78
    angle_prior: float = 15.2
    shape_prior: float = 5.0
    lean: float = 0.0
    depth: float = 0.0
    self_penetration: float = 0.0
    keypoints_3d: float = 0.0
    acceleration: float = 0.0


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The stages in their order. Weights are squared before they are used.

    Attributes:
        stages: the body's stages, after the camera's.
        camera_steps: steps of orientation and translation on the torso alone.
        camera_rate: their learning rate.
        camera_depth: weight of the depth's change during that stage.
        sigma: pixels from which a keypoint counts as an outlier.
        ignored: keypoints that the body's stages and the losses leave out.
        torso: keypoints of the camera's stage.
        fix_camera_stage: leave torso keypoints without confidence out of the
            camera's stage. SPIN's code takes all four whatever their
            confidence, but all its people have a whole torso, for whom both
            are the same; False does so too, and pulls an unlabelled joint to
            the centre of the crop.
        relative_depth: steps of the depth and its penalty are relative to the
            depth at the start, not in metres: a long focal length puts bodies
            a hundred metres away.
        sigma_3d: metres from which a 3D keypoint counts as an outlier.
    """

    stages: tuple[Stage, ...] = (Stage(),)
    camera_steps: int = 100
    camera_rate: float = 1e-2
    camera_depth: float = 100.0
    sigma: float = 100.0
    ignored: tuple[str, ...] = ("right_hip", "left_hip")
    torso: tuple[str, ...] = (
        "right_hip",
        "left_hip",
        "right_shoulder",
        "left_shoulder",
    )
    fix_camera_stage: bool = True
    relative_depth: bool = False
    sigma_3d: float = 0.3


SPIN = Schedule()
"""100 and 100 steps, as nkolot/SPIN runs them inside its training loop."""

ORIGINAL = Schedule(
    stages=tuple(
        Stage(
            steps=300,
            pose_prior=pose,
            angle_prior=3.17 * pose,
            shape_prior=shape,
            self_penetration=penetration,
        )
        for pose, shape, penetration in (
            (404, 100, 0),
            (404, 50, 0),
            (57.4, 10, 1e3),
            (4.78, 5, 1e3),
        )
    ),
)
"""The four stages of Bogo et al. 2016 (fit_3d.py of its release).

Adam, in the code of SPIN's loop, replaces the paper's dogleg optimiser, which
needs the Jacobian of the residuals and fits one body at a time; 300 steps
replace 100. As in the paper only the camera's stage fits the translation, so
people who bend far towards the camera are fitted less well than by KEYPOINTS.
"""


KEYPOINTS = Schedule(
    stages=tuple(
        Stage(
            free=("orientation", "pose", "betas", "translation"),
            pose_prior=pose,
            angle_prior=3.17 * pose,
            shape_prior=shape,
            lean=lean,
        )
        for pose, shape, lean in (
            (404, 100, 80),
            (57.4, 20, 60),
            (20, 20, 40),
            (4.78, 10, 20),
            (4.78, 5, 20),
        )
    ),
    relative_depth=True,
)
"""For bodies with keypoints alone: priors that fade to the last weights of
Bogo et al. 2016, with the translation free.

`lean` constrains depth, which keypoints do not: without it, bodies fitted to
annotated keypoints lean towards the camera. Its weight is large at first, when
the direction of the lean is decided, and small at the end, when the keypoints
decide its angle.
"""

LANDMARKS = Schedule(
    stages=tuple(
        Stage(
            steps=60,
            free=("orientation", "pose", "betas", "translation"),
            learning_rate=rate,
            pose_prior=pose,
            shape_prior=shape,
            keypoints_3d=keypoints_3d,
        )
        for pose, shape, keypoints_3d, rate in (
            (10, 10, 200, 2e-2),
            (4.78, 5, 120, 2e-2),
            (2, 2.5, 100, 1e-2),
        )
    ),
    camera_steps=60,
    sigma=20.0,
    relative_depth=True,
)
"""For bodies that start from the lifter, whose joints are the 3D keypoints.

The start says which way limbs and trunk lean, so the strong priors of
KEYPOINTS' first stages, and its `lean`, are not needed: 240 steps of one start
replace 600 of each of four. It is near enough for an early `sigma`: a landmark
that lies on another limb does not pull the body there.
"""

SHAPE = LANDMARKS
"""For some frames of a person, from anywhere in a video, who has one shape."""

ACCELERATION = 0.5
"""Weight of the acceleration in `video`: joints of two rendered walkers
accelerate by 0.15 of what they do in fits of each frame, for 0.8 px more of
reprojection (docs/photos.md)."""


def video(acceleration: float = ACCELERATION) -> Schedule:
    """For the frames of a person whose shape is known.

    Args:
        acceleration: weight of the joints' acceleration; 0 fits each frame
            alone.
    """
    stages = tuple(
        dataclasses.replace(
            stage,
            free=("orientation", "pose", "translation"),
            acceleration=acceleration,
        )
        for stage in LANDMARKS.stages
    )
    return dataclasses.replace(LANDMARKS, stages=stages)


def camera_table(schedule: Schedule) -> dict[str, np.ndarray]:
    """Rows for the steps of the camera's stage: rate, count and free."""
    steps = schedule.camera_steps
    return {
        "rate": np.full(steps, schedule.camera_rate, np.float32),
        "count": np.arange(1, steps + 1, dtype=np.float32),
        "free": np.ones((steps, 6), np.float32),
    }


def body_table(
    schedule: Schedule, num_joints: int, num_betas: int
) -> dict[str, np.ndarray]:
    """Rows for the steps of the body's stages.

    Args:
        schedule: stages and weights.
        num_joints: joints of the body, with the root (J).
        num_betas: betas of the body (P).

    Returns:
        The stage's weights, squared; its rate; the step's count from 1 in its
        stage; and flags (3 J + P + 3,) of what is free.

    Raises:
        ValueError: a stage frees an unknown parameter.
    """
    rows = []
    for stage in schedule.stages:
        for count in range(1, stage.steps + 1):
            row = {name: getattr(stage, name) ** 2 for name in _WEIGHTS}
            row |= {"rate": stage.learning_rate, "count": count}
            rows.append(row | {"free": _free(stage, num_joints, num_betas)})
    return {
        name: np.array([row[name] for row in rows], np.float32)
        for name in rows[0]
    }


def _free(stage: Stage, num_joints: int, num_betas: int) -> np.ndarray:
    widths = {
        "orientation": 3,
        "pose": 3 * (num_joints - 1),
        "betas": num_betas,
        "translation": 3,
    }
    unknown = sorted(set(stage.free) - set(widths))
    if unknown:
        raise ValueError(
            f"A stage frees {unknown}; there are {list(widths)} to free."
        )
    flags = [
        np.full(width, name in stage.free) for name, width in widths.items()
    ]
    return np.concatenate(flags)
