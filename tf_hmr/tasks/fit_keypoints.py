"""Fits bodies to 2D keypoints: the work of tf_hmr.fit_keypoints."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from tf_hmr import (
    joints,
    keypoint_fitting,
    person_files,
    progress,
    rendering,
)
from tf_hmr.body.data import BodyData
from tf_hmr.formats import (
    image_files,
    keypoint_files,
    keypoint_labels,
    photo_files,
)
from tf_hmr.smplify import priors, schedules

if TYPE_CHECKING:
    from tf_hmr.fit_keypoints import Args

_MIN_EXTENT = 1.5  # pixels that a person's keypoints must span
_MARGIN = 1.1  # Side of an image of unknown size over its keypoints' extent.
_GREY = 200
_MAX_GREY_PX = 2**28
_SCHEDULES = {
    "keypoints": schedules.KEYPOINTS,
    "original": schedules.ORIGINAL,
    "spin": schedules.SPIN,
}

_log = logging.getLogger("tf_hmr")


class _Photographed(NamedTuple):
    """A person with keypoints in pixels, on a photo if there is one."""

    person: keypoint_files.Person2D
    photo: pathlib.Path | None
    size: tuple[int, int]


def run(args: Args, people: list[keypoint_files.Person2D]) -> int:
    """Fits and writes people; returns the command's exit status."""
    try:
        data = BodyData.load(args.body)
        fitter = keypoint_fitting.PeopleFitter(
            data, _prior(args, data), _SCHEDULES[args.schedule]
        )
        people = _select_fittable(people, fitter.joint_names)
        photographed = _with_photos(args.images, people)
        failures = len(people) - len(photographed)
        if not photographed:
            return 1
        photographed = _select_in_pixels(photographed)
        args.out.mkdir(parents=True, exist_ok=True)
        fits = _fit(fitter, photographed, args.focal_px)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    facts = {
        "fitted_to": str(args.keypoints),
        "schedule": args.schedule,
        "body": data.name,
        "licence": data.licence,
    }
    errors = []
    for (person, photo, _), fit in zip(photographed, fits, strict=True):
        try:
            _write(args.out, person, photo, fit, facts)
            errors.append(fit.error)
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            failures += 1
            name = f"{person.photo}: person {person.number}"
            _log.error("%s: %s", name, " ".join(str(error).split()))
    if errors:
        print(
            f"{len(errors)} people in {args.out}; keypoints are met to "
            f"{np.mean(errors):.1f} px at {keypoint_fitting.SIDE} px "
            f"(worst {np.max(errors):.1f})"
        )
    if failures:
        print(f"{failures} people could not be fitted or written")
    return 1 if failures else 0


def _select_fittable(
    people: list[keypoint_files.Person2D], names: Sequence[str]
) -> list[keypoint_files.Person2D]:
    """Leaves out people with too few keypoints, with a warning for each.

    Args:
        people: the people.
        names: keypoints that the body has; others do not count.

    Raises:
        ValueError: nobody is left.
    """
    columns = list(joints.select(names, joints.KEYPOINTS))
    fittable = []
    for person in people:
        count = int((person.keypoints[columns, 2] > 0).sum())
        if count >= keypoint_fitting.MIN_KEYPOINTS:
            fittable.append(person)
            continue
        _log.warning(
            "%s: person %d is left out, with %d keypoints; at least %d are "
            "needed.",
            person.photo,
            person.number,
            count,
            keypoint_fitting.MIN_KEYPOINTS,
        )
    if not fittable:
        raise ValueError(
            "The keypoints name no person who can be fitted, expected people "
            f"with {keypoint_fitting.MIN_KEYPOINTS} keypoints or more. Is it "
            "the file that the detector wrote?"
        )
    return fittable


def _with_photos(
    images: pathlib.Path | None, people: list[keypoint_files.Person2D]
) -> list[_Photographed]:
    """Finds each person's photo and its size.

    A photo that is missing or does not decode is one error in the log; its
    people are left out.

    Raises:
        ValueError: keypoints are shares of a picture of unknown size.
    """
    photos: dict[str, tuple[pathlib.Path, tuple[int, int]] | None] = {}
    photographed = []
    for person in people:
        photo, size = None, person.size
        if images is not None:
            if person.file_name not in photos:
                photos[person.file_name] = _photo(images, person.file_name)
            if photos[person.file_name] is None:
                continue
            photo, size = photos[person.file_name]
        _check_unit(person, size)
        size = size or _extent(person.keypoints)
        in_pixels = keypoint_files.in_pixels(person, size)
        photographed.append(_Photographed(in_pixels, photo, size))
    scale = people[0].keypoint_scale  # One run has written all of them.
    if scale != keypoint_labels.PIXELS:
        unit = keypoint_labels.unit_text(scale)
        _log.warning("%s; they are scaled by the photos' sizes.", unit)
    return photographed


def _photo(
    images: pathlib.Path, name: str
) -> tuple[pathlib.Path, tuple[int, int]] | None:
    """The path of a photo, and its width and height; None after an error."""
    try:
        path = images if images.is_file() else photo_files.find(images, name)
        return path, image_files.read_photo(path).shape[1::-1]
    except (OSError, ValueError, MemoryError) as error:
        text = " ".join(str(error).split())
        _log.error("%s Its people are left out.", text)
        return None


def _check_unit(
    person: keypoint_files.Person2D, size: tuple[int, int] | None
) -> None:
    if person.keypoint_scale != keypoint_labels.PIXELS and size is None:
        unit = keypoint_labels.unit_text(person.keypoint_scale)
        raise ValueError(
            f"{person.photo}: {unit}; expected pixels, as the size of the "
            "photo is not known. Give --images, or run OpenPose without "
            "--keypoint_scale."
        )


def _select_in_pixels(photographed: list[_Photographed]) -> list[_Photographed]:
    """Leaves out people of a pixel's extent, with a warning for each.

    Raises:
        ValueError: nobody is left.
    """
    people = []
    for entry in photographed:
        labels = entry.person.keypoints
        points = labels[labels[:, 2] > 0, :2]
        if np.ptp(points, axis=0).max() > _MIN_EXTENT:
            people.append(entry)
            continue
        _log.warning(
            "%s: person %d is left out, whose keypoints lie within %g pixels "
            "of each other; are they shares of the picture (OpenPose's "
            "--keypoint_scale 3 or 4)? Expected pixels.",
            entry.person.photo,
            entry.person.number,
            _MIN_EXTENT,
        )
    if not people:
        raise ValueError("Nobody is left who can be fitted.")
    return people


def _prior(args: Args, data: BodyData) -> priors.Mixture:
    if args.prior is None and data.topology != priors.load().topology:
        raise ValueError(
            f"The body {data.name!r} has topology {data.topology!r}, of which "
            "no pose prior ships with the package. Give --prior gmm_08.pkl of "
            "SMPLify's download, or one of `python -m training.prepare "
            "pose-gmm`."
        )
    return priors.load(args.prior)


def _fit(
    fitter, photographed: list[_Photographed], focal_px: float | None
) -> list[keypoint_fitting.FittedPerson]:
    tasks = [
        keypoint_fitting.Task(person.keypoints, size, focal_px)
        for person, _, size in photographed
    ]
    with progress.bar(title="fits", total=len(tasks), unit="start") as bar:

        def show(count: int, total: int) -> None:
            bar.total = total
            bar.update(count)

        return fitter(tasks, show)


def _extent(keypoints: np.ndarray) -> tuple[int, int]:
    """Width and height of an image that holds the keypoints."""
    bottom_right = keypoints[keypoints[:, 2] > 0, :2].max(axis=0)
    width, height = np.ceil(_MARGIN * np.maximum(bottom_right, 1)).astype(int)
    return int(width), int(height)


def _write(
    folder, person, photo, fit: keypoint_fitting.FittedPerson, facts
) -> None:
    width, height = fit.person.image_size
    if photo is None and width * height > _MAX_GREY_PX:
        raise ValueError(
            f"a photo of {width} x {height} px is too large to draw. Are the "
            "keypoints pixels?"
        )
    if photo is None:
        image = np.full((height, width, 3), _GREY, np.uint8)
    else:
        image = image_files.read_photo(photo)
    stem = folder / f"{person.photo}_{person.number}"
    entries = {
        "photo": photo.name if photo else person.photo,
        "person": person.number,
        "reprojection_px_at_224": fit.error,
        "keypoints_given": {
            name: label
            for name, label in zip(
                joints.KEYPOINTS, person.keypoints.tolist(), strict=True
            )
            if label[2] > 0
        },
    }
    input_keypoints = np.where(
        person.keypoints[:, 2:] > 0, person.keypoints[:, :2], np.nan
    )
    input_figure = rendering.skeleton(image, input_keypoints, joints.KEYPOINTS)
    person_files.write(stem, image, fit.person, facts | entries, input_figure)
