"""Bodies of one person in the frames of a video, fitted over time.

The landmarks of some frames, spread over the video, give the person's shape.
Then the frames are fitted in windows, each with frames after those that it
answers for, and with the last ones of the window before, which stay as they
are: so the motion runs on from window to window.
"""

from collections.abc import Sequence

import numpy as np

from tf_hmr import keypoint_fitting, landmark_fitting, method
from tf_hmr.smplify import over_time, priors, schedules

ROWS = 64
"""Frames of a person that are fitted together, at most."""

HELD = 2
"""Frames of the window before that hold a window: as many as a second
difference needs."""

AHEAD = 14
"""Frames of a window after those that it answers for."""

STEP = ROWS - HELD - AHEAD
"""Frames that a window answers for."""


class VideoFitter:
    """Fits people over time, from the lifter's bodies on."""

    def __init__(
        self,
        lifter: method.Method,
        acceleration: float = schedules.ACCELERATION,
    ):
        """Makes a fitter.

        Args:
            lifter: as of landmark_fitting.load_lifter; the fits have its body.
            acceleration: as of schedules.video.
        """
        self._lift = landmark_fitting.PeopleLifter(lifter)
        self._fit_shape, self._fit = (
            keypoint_fitting.PeopleFitter(
                lifter.body.data,
                priors.load(),
                schedule,
                jit=False,
                batch_size=ROWS,
            )
            for schedule in (schedules.SHAPE, schedules.video(acceleration))
        )

    def shape(self, tasks: Sequence[landmark_fitting.Task]) -> np.ndarray:
        """Estimates a person's betas.

        Args:
            tasks: the person in 1 to ROWS frames.

        Returns:
            (P,).
        """
        lifted = self._lift(tasks)
        betas = np.mean([fit.person.betas for fit in lifted], axis=0)
        fits = self._fit_shape(
            _fit_tasks(tasks, lifted, betas),
            frames=over_time.Frames(np.zeros(len(tasks)), np.ones(len(tasks))),
        )
        return fits[0].person.betas

    def window(
        self,
        tasks: Sequence[landmark_fitting.Task],
        seconds: Sequence[float],
        betas: np.ndarray,
        before: Sequence[keypoint_fitting.FittedPerson] = (),
    ) -> list[keypoint_fitting.FittedPerson]:
        """Fits a person in frames that follow each other.

        Args:
            tasks: the person in up to ROWS frames, those of `before` first.
            seconds: times of the frames, rising.
            betas: (P,) of the person.
            before: how the first ones were fitted; they only hold the others.

        Returns:
            One body for each task but those of `before`.
        """
        fresh = tasks[len(before) :]
        moves = np.repeat([0.0, 1.0], [len(before), len(fresh)])
        fit_tasks = _fit_tasks(fresh, self._lift(fresh), betas)
        held_tasks = _fit_tasks(tasks[: len(before)], before, betas, held=True)
        fits = self._fit(
            held_tasks + fit_tasks,
            # Small numbers, which float32 holds exactly enough.
            frames=over_time.Frames(np.subtract(seconds, seconds[0]), moves),
        )
        return fits[len(before) :]


def _fit_tasks(
    tasks: Sequence[landmark_fitting.Task],
    starts: Sequence[keypoint_fitting.FittedPerson],
    betas: np.ndarray,
    held: bool = False,
) -> list[keypoint_fitting.Task]:
    return [
        landmark_fitting.fit_task(
            task,
            start.person,
            betas,
            start.person.translation if held else None,
        )
        for task, start in zip(tasks, starts, strict=True)
    ]
