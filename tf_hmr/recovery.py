"""Recovers everybody in a photo: nobody tells where they are.

Google's networks find the people and their landmarks (tf_hmr/detection). A body
follows from the landmarks, by the lifter, by a fit that starts from it, or by a
network of one's own that sees the box around them.
"""

import functools
import logging
import pathlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import boxes as box_files
from tf_hmr import (
    inference,
    keypoint_fitting,
    landmark_files,
    landmark_fitting,
    method,
    sightings,
)
from tf_hmr.body.data import BodyData
from tf_hmr.detection import landmarks
from tf_hmr.formats import image_files
from tf_hmr.geometry import camera, crop

MAX_ERROR_PX = 25.0
"""A body whose keypoints lie farther from the landmarks on average, at 224
pixels, is left out: it is not that person's."""

BATCH_SIZE = 8
"""People that are fitted together."""

FOCAL_OVER_SIDE = 1.2
"""Focal length over the photo's longer side, if it is not known: a phone's.
With it people stand as far apart in depth as people do. Fits of 64 people of
synthetic_v1 are as good with it as with inference.FOCAL_OVER_SIDE."""

METHODS = ("fit", "lift")

_log = logging.getLogger("tf_hmr")


class Recovered(NamedTuple):
    """The bodies of a photo's people.

    Attributes:
        people: by the number of the person in the Sighting.
        omissions: one line for each person without a body, with the reason.
    """

    people: dict[int, keypoint_fitting.FittedPerson]
    omissions: list[str]


class Recoverer:
    """Gives bodies to people of whom the landmarks are known."""

    def __init__(
        self,
        how: Literal["fit", "lift"] = "fit",
        body: str | pathlib.Path | BodyData = "open",
    ):
        """Loads the lifter and prepares the fit.

        Args:
            how: "fit" moves the lifter's bodies until they meet the landmarks,
                "lift" takes them as they are, which is faster.
            body: of the lifter's topology.

        Raises:
            ValueError: an unknown way, or another body.
        """
        if how not in METHODS:
            raise ValueError(
                f"There is no method {how!r}; expected one of "
                f"{', '.join(METHODS)}."
            )
        self.how = how
        lifter = landmark_fitting.load_lifter(body)
        self.data = lifter.body.data
        if how == "lift":
            self._bodies = landmark_fitting.PeopleLifter(lifter)
        else:
            self._bodies = landmark_fitting.PeopleFitter(
                lifter, batch_size=BATCH_SIZE
            )

    def __call__(
        self,
        sightings: Sequence[sightings.Sighting],
        sizes: Sequence[tuple[int, int]],
        focal_px: float | None = None,
    ) -> list[Recovered]:
        """Recovers the people of one or more photos together.

        Args:
            sightings: of each photo.
            sizes: width and height of each photo.
            focal_px: focal length of their camera; None: FOCAL_OVER_SIDE.

        Returns:
            For each photo its people; those whose body is not finite or far
            from the landmarks are omissions.
        """
        results = [Recovered({}, []) for _ in sightings]
        tasks, owners = [], []
        for row, (sighting, size) in enumerate(
            zip(sightings, sizes, strict=True)
        ):
            for number, answer in sighting.people.items():
                count = landmark_fitting.visible_count(answer.points)
                if count < landmark_fitting.MIN_KEYPOINTS:
                    results[row].omissions.append(
                        f"person {number}: only {count} joints are seen, at "
                        f"least {landmark_fitting.MIN_KEYPOINTS} are needed."
                    )
                    continue
                owners.append((row, number))
                tasks.append(
                    landmark_fitting.Task(
                        answer.points,
                        size,
                        focal_px or FOCAL_OVER_SIDE * max(size),
                    )
                )
        for (row, number), fitted in zip(
            owners, self._bodies(tasks), strict=True
        ):
            reason = problem(fitted)
            if reason:
                results[row].omissions.append(f"person {number}: {reason}")
            else:
                results[row].people[number] = fitted
        return results


def problem(fitted: keypoint_fitting.FittedPerson) -> str:
    """Why a body is none; empty if it is one."""
    try:
        fitted.person.check()
    except ValueError:
        return "no body was found for the landmarks that is finite."
    if not fitted.error <= MAX_ERROR_PX:
        return (
            f"the body lies {fitted.error:.0f} px from the landmarks (at most "
            f"{MAX_ERROR_PX:g} at 224 px); they may be of two people."
        )
    return ""


def box_of(answer: landmarks.Landmarks) -> crop.Box:
    """A person's box as networks were trained with: around the whole body.

    Args:
        answer: landmarks inside the photo count.
    """
    return crop.box_of_keypoints(
        answer.pixels, _inside(answer), box_files.ROOM_WITH_FEET
    )


def _inside(answer: landmarks.Landmarks) -> np.ndarray:
    inside = answer.inside > 0.5
    return inside if inside.sum() > 1 else np.ones_like(inside)


def recover(
    model: method.Method | str | pathlib.Path | np.ndarray,
    photo: str | pathlib.Path | np.ndarray | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    batch_size: int = 8,
    focal_px: float | None = None,
    landmarks: list[np.ndarray] | None = None,
    *,
    how: Literal["fit", "lift"] = "fit",
    max_people: int = sightings.MAX_PEOPLE,
) -> list[inference.Person]:
    """Recovers the people of one photo: `recover(photo)`.

    With a model of one's own, `recover(model, photo)`, it is
    inference.recover, and the further arguments are those of it.

    Args:
        model: the photo, as a path or (H, W, 3) uint8 RGB; or a method.
        photo: the photo if the first argument is a method.
        boxes: (x, y, w, h) of each person; None: everybody is found.
        batch_size: as of inference.recover.
        focal_px: focal length of the photo's camera, if known.
        landmarks: as of inference.recover.
        how: as of Recoverer, without a model.
        max_people: of more people the largest are recovered, without a model.

    Returns:
        The people, the largest first, or in the order of the boxes. Who is
        left out is told in the log.

    Raises:
        FileNotFoundError, ValueError: the photo cannot be read, a network is
            missing, or an argument is wrong; the message says which.
    """
    if isinstance(model, method.Method):
        if photo is None:
            raise ValueError("Give a photo after the model.")
        return inference.recover(
            model, photo, boxes, batch_size, focal_px, landmarks
        )
    if photo is not None:
        raise ValueError(
            f"The first of two arguments is a model, received {model!r}. "
            "Expected recover(photo), or recover(model, photo)."
        )
    camera.check_focal(focal_px)
    is_array = isinstance(model, np.ndarray)
    image = model if is_array else image_files.read_photo(model)
    size = inference.image_size(image)
    seek = _seeker(max_people, landmark_files.folder())
    if boxes is None:
        sighting = seek(image)
    else:
        for box in boxes:
            crop.check_box(box, size)
        sighting = seek.look(image, dict(enumerate(boxes)))
    (recovered,) = _recoverer(how)([sighting], [size], focal_px)
    name = "The photo" if is_array else model
    for line in sighting.omissions + recovered.omissions:
        _log.warning("%s: %s", name, line)
    return [fitted.person for fitted in recovered.people.values()]


# Loaded once: a loop over photos waits for its first one only.
@functools.lru_cache(maxsize=1)
def _seeker(max_people: int, folder: pathlib.Path) -> sightings.Seeker:
    return sightings.Seeker(max_people)


@functools.lru_cache(maxsize=len(METHODS))
def _recoverer(how: str) -> Recoverer:
    return Recoverer(how)
