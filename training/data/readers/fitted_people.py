"""People of photos and videos with labels from fits: the work of
training.data.prepare.people.

TensorFlow is imported here, and not where options are read.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tf_hmr import (
    inference,
    joints,
    landmark_fitting,
    metrics,
    recovery,
    sightings,
)
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import image_files, video_reading
from training import config
from training.data.pipeline import statistics
from training.data.readers import frames, writing
from training.data.records import schema, shards

NAME = "people"
HELD_OUT = "val"

VIDEO_STEP_S = 1.0
"""Seconds between the frames of a video that are taken."""

_FRAMES_PER_TASK = 16
_LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


class Task(NamedTuple):
    """Some photos, or a video."""

    root: Path
    paths: list[Path]
    max_error_px: float


class _Picture(NamedTuple):
    """A photo or a frame of a video."""

    name: str
    source: Path | np.ndarray  # as of frames.example
    size: tuple[int, int]
    sighting: sightings.Sighting


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Finds and fits the people of a task."""
    pictures: list[_Picture] = []
    for path in task.paths:
        name = path.relative_to(task.root).as_posix()
        is_video = path.suffix.lower() in video_reading.SUFFIXES
        looked = _frames(path, name) if is_video else _photo(path, name)
        for picture in looked:
            if isinstance(picture, writing.Skipped):
                yield picture
                continue
            pictures.append(picture)
            if len(pictures) == _FRAMES_PER_TASK:
                yield from _people(pictures, task.max_error_px)
                pictures = []
    yield from _people(pictures, task.max_error_px)


def _photo(path: Path, name: str) -> Iterator[_Picture | writing.Skipped]:
    try:
        image = image_files.read_photo(path)
    except (OSError, ValueError):
        yield writing.Skipped(name, "the photo cannot be read")
        return
    yield from _look(name, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), image)


def _frames(path: Path, name: str) -> Iterator[_Picture | writing.Skipped]:
    due_s = 0.0
    try:
        for number, (seconds, image) in enumerate(video_reading.Reader(path)):
            if seconds < due_s:
                continue
            due_s = seconds + VIDEO_STEP_S - 1e-6
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            yield from _look(f"{name}:{number}", bgr, image)
    except (OSError, ValueError):
        yield writing.Skipped(name, "the video ends before its end, or at once")


def _look(name, source, image) -> Iterator[_Picture | writing.Skipped]:
    sighting = seeker()(image)
    if not sighting.people:
        yield writing.Skipped(name, "nobody was found")
        return
    yield _Picture(name, source, inference.image_size(image), sighting)


def _people(
    pictures: list[_Picture], max_error_px: float
) -> Iterator[writing.ReadPerson]:
    """Fits the people of pictures together."""
    if not pictures:
        return
    results = recoverer()(
        [picture.sighting for picture in pictures],
        [picture.size for picture in pictures],
    )
    for picture, result in zip(pictures, results, strict=True):
        for number, answer in picture.sighting.people.items():
            example_id = f"{picture.name}:{number}"
            fit = result.people.get(number)
            if fit is None:
                yield writing.Skipped(example_id, "no body for the landmarks")
            elif fit.error > max_error_px:
                cause = (
                    f"the fit is over {max_error_px:g} px from the landmarks"
                )
                yield writing.Skipped(example_id, cause)
            else:
                yield _example(picture.source, example_id, fit.person, answer)


def _example(source, example_id, person: inference.Person, answer):
    keypoints = landmark_fitting.keypoints(answer.points)
    keypoints[:, 2] = keypoints[:, 2] > 0
    pixels = person.camera_vertices[:, :2] / person.camera_vertices[:, 2:]
    pixels = pixels * person.focal_px + person.principal_point
    # The mesh's box, from edge to edge, as of rendered people.
    low, high = pixels.min(axis=0) + 0.5, pixels.max(axis=0) + 0.5
    focal = (person.focal_px, person.focal_px)
    return frames.example(
        source,
        box=np.concatenate([low, high - low]),
        keypoints=keypoints,
        joints3d=frames.by_name(person.joint_names, person.joints),
        pose=person.pose,
        betas=person.betas,
        translation=person.translation,
        intrinsics=(*focal, *person.principal_point),
        landmarks=answer.points,
        dataset=NAME,
        example_id=example_id,
        topology=person.topology,
    )


def summary(folder: Path, held_out: str = HELD_OUT) -> str:
    """One line: how near the mean pose of 'train' is to the held-out labels.

    Args:
        folder: of the records.
        held_out: the split that it is measured on.
    """
    rotmats, betas = statistics.mean_pose((config.Source(str(folder)),))
    data = BodyData.load("open")
    rows = list(joints.select(_LIMBS, joints.KEYPOINTS))
    points, _ = Body(data, _LIMBS, jit=False).keypoints(
        rotmats[None].astype(np.float32), betas[None].astype(np.float32)
    )
    stored = shards.Records(folder, held_out)
    true = np.stack(
        [
            schema.decode(stored.read(row)).joints3d[rows, :3]
            for row in range(len(stored))
        ]
    )
    mean = np.broadcast_to(points.numpy(), true.shape)
    error_mm = metrics.pa_mpjpe_mm(mean, true).mean()
    return (
        f"The mean pose of 'train' alone is {error_mm:.1f} mm (PA-MPJPE, 12 "
        f"limb joints) from the {len(stored)} people of {held_out!r}: a "
        "network has learnt something of limbs only below it."
    )


# Each process loads them once.
@functools.cache
def seeker() -> sightings.Seeker:
    """What finds everybody."""
    return sightings.Seeker()


@functools.cache
def recoverer() -> recovery.Recoverer:
    """What fits them."""
    return recovery.Recoverer()
