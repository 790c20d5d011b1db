"""Photos and videos of one's own, labelled by fits to landmarks.

Everybody is found and fitted as `python -m tf_hmr` does; fits near their
landmarks become labels. Nobody has measured these people: a network that learns
from them learns what the fits say. So the mean pose of the labels is measured
against those that are held out: what a network makes of them means something
only below that.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from tf_hmr import inference, joints, landmark_fitting, metrics, recovery
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import image_files, listing, video_reading
from training import config
from training.data.pipeline import statistics
from training.data.readers import frames, writing
from training.data.records import schema, shards

NAME = "people"

MAX_ERROR_PX = 8.0
"""Fits farther from their landmarks, in the mean at 224 pixels, are no
labels."""

VIDEO_STEP_S = 1.0
"""Seconds between the frames of a video that are taken."""

_PHOTOS_PER_TASK = 8
_FRAMES_PER_TASK = 16
_HELD_OUT = "val"
_LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


@dataclasses.dataclass
class Options(writing.Options):
    """Labels people in photos and videos of one's own by fits.

    --root holds them, at any depth; from videos a frame a second is taken.
    """

    split: Literal["train"] = "train"
    """Of those that are not held out."""
    held_out: float = 0.0
    """Share of the photos and videos that become split 'val' instead: whole
    files, chosen by their names."""
    max_error_px: float = MAX_ERROR_PX
    """Fits farther from their landmarks, at 224 px, are left out."""
    shard_size: int = 20
    """People per file: some experiments take two files or more."""
    workers: int | None = 1
    """Number of reading processes; each has TensorFlow of its own."""


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
    sighting: recovery.Sighting


def run(options: Options) -> None:
    """Writes the records, and says what their mean pose is worth.

    Raises:
        FileNotFoundError, ValueError: --root holds no photos or videos, a
            network is missing, or a share or an error is no such number.
    """
    if not 0 <= options.held_out < 1:
        raise ValueError(
            f"--held-out {options.held_out}: expected a share from 0 to 1."
        )
    if not options.max_error_px > 0:
        raise ValueError(
            f"--max-error-px {options.max_error_px}: expected pixels above 0."
        )
    paths = _paths(options.root)
    held_out = {
        path
        for path in paths
        if _number(path.relative_to(options.root)) < options.held_out
    }
    parts = {options.split: [path for path in paths if path not in held_out]}
    if options.held_out:
        parts[_HELD_OUT] = sorted(held_out)
    for split, part in parts.items():
        if not part:
            raise ValueError(
                f"--held-out {options.held_out} of {len(paths)} files leaves "
                f"none for {split!r}."
            )
    _seek()  # Says here what is missing, and not in each process.
    for split, part in parts.items():
        part_options = dataclasses.replace(options, split=split)
        writing.write(NAME, part_options, _tasks(options, part), read)
    if options.held_out:
        print(summary(options.out))


def _paths(root: Path) -> list[Path]:
    """All photos and videos below a folder.

    Raises:
        FileNotFoundError: there is none.
    """
    suffixes = image_files.SUFFIXES + video_reading.SUFFIXES
    paths = [
        path
        for path in listing.files(root, "**/*")
        if path.suffix.lower() in suffixes and path.is_file()
    ]
    if not paths:
        raise FileNotFoundError(
            f"{root}: no photo or video below it; expected files ending in "
            f"{', '.join(suffixes)}."
        )
    return paths


def _number(path: Path) -> float:
    """A number from 0 to 1 that a file's name settles, whatever is beside."""
    digest = hashlib.sha256(path.as_posix().encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _tasks(options: Options, paths: list[Path]) -> list[Task]:
    videos = [p for p in paths if p.suffix.lower() in video_reading.SUFFIXES]
    photos = [path for path in paths if path not in set(videos)]
    groups = [
        photos[start : start + _PHOTOS_PER_TASK]
        for start in range(0, len(photos), _PHOTOS_PER_TASK)
    ]
    groups += [[video] for video in videos]
    return [Task(options.root, g, options.max_error_px) for g in groups]


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
        image = inference.read_photo(path)
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
    sighting = _seek()(image)
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
    results = _recover()(
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


def summary(folder: Path, held_out: str = _HELD_OUT) -> str:
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
def _seek() -> recovery.Seeker:
    return recovery.Seeker()


@functools.cache
def _recover() -> recovery.Recoverer:
    return recovery.Recoverer()
