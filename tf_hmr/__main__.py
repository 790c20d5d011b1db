"""Recovers posed 3D bodies of everybody in photos.

Examples:

    python -m tf_hmr photo.jpg
    python -m tf_hmr photos/ holiday.jpg --out out --method lift
    python -m tf_hmr photo.jpg --weights runs/demo
    python -m tf_hmr photo.jpg --box 310 40 220 520 --weights runs/demo
    python -m tf_hmr photos/ --boxes openpose/ --weights runs/demo --out out

People are found by networks of Google's (`python -m tf_hmr.landmark_files` gets
them), and bodies fitted to their landmarks; with --weights a network of one's
own sees their boxes instead. PHOTO_people.png shows everybody over the photo,
PHOTO.glb holds them in its camera, and PHOTO.html turns them in a browser. Each
person gets PHOTO_0.png (crop, overlay and side view in one),
PHOTO_0_overlay.png, PHOTO_0_side.png, PHOTO_0.glb, PHOTO_0.obj, PHOTO_0.npz and
PHOTO_0.json, and so on with PHOTO_1. The json explains its numbers.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import cv2
import numpy as np
import tqdm
import tyro
from tqdm.contrib import logging as tqdm_logging

from tf_hmr import boxes as box_files
from tf_hmr import (
    group_files,
    inference,
    joints,
    landmark_fitting,
    method,
    person_files,
    recovery,
    rendering,
)
from tf_hmr.formats import image_files, listing
from tf_hmr.geometry import camera, crop

# Photos are read ahead until this many people are found, who are then fitted
# together; or until they have this many pixels.
_CHUNK_PEOPLE = 2 * recovery.BATCH_SIZE
_CHUNK_PX = 200_000_000

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class Args:
    """Options of the command line."""

    photos: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Photos, or folders of photos (not searched deeper)."""
    weights: pathlib.Path | None = None
    """Model folder, or the workdir of `python -m training.fit`: a network of
    one's own, instead of the landmarks' bodies."""
    out: pathlib.Path = pathlib.Path("out")
    """Folder for the results; made if missing."""
    method: Literal["fit", "lift"] = "fit"
    """Without --weights: 'fit' moves bodies until they meet the landmarks,
    'lift' takes the first guess, which is faster."""
    max_people: int = recovery.MAX_PEOPLE
    """Of more people in a photo the largest are recovered."""
    box: tuple[float, float, float, float] | None = None
    """Person's box x y w h in pixels of the upright photo, for every photo;
    nobody else is looked for."""
    boxes: pathlib.Path | None = None
    """Boxes of many people: OpenPose or COCO json, a list of [x, y, w, h], or
    a folder of OpenPose files STEM_keypoints.json."""
    body: str = "open"
    """Body that the weights were trained on: 'open', or a path to its file."""
    focal_px: float | None = None
    """Focal length of the camera in pixels, if known."""
    batch_size: int = 8
    """Most people in one call of the model of --weights."""


class _Photo(NamedTuple):
    """A photo and the people that were seen in it.

    Attributes:
        path: of the photo.
        image: (H, W, 3) uint8 RGB.
        boxes: x, y, w, h by the number of the person, as given; None: people
            were looked for.
        sighting: their landmarks; None: only the boxes count.
    """

    path: pathlib.Path
    image: np.ndarray
    boxes: dict[int, box_files.Box] | None
    sighting: recovery.Sighting | None


class _Failures:
    """Counts failures and logs one line for each, while the rest goes on."""

    def __init__(self):
        self.count = 0

    @contextlib.contextmanager
    def caught(self, prefix: str = "") -> Iterator[None]:
        """Turns an expected error of the block into one line on stderr."""
        try:
            yield
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            self.count += 1
            _log.error("%s%s", prefix, " ".join(str(error).split()))


def main(args: Args) -> int:
    """Runs the command; returns its exit status, 0 when nothing failed."""
    failures = _Failures()
    run = None
    photos = list_photos(args.photos, failures)
    with failures.caught():
        if not args.photos:
            raise ValueError("Give at least one photo or folder of photos.")
        if args.box and args.boxes:
            raise ValueError("Give --box or --boxes, not both.")
        camera.check_focal(args.focal_px)
        box_file = None
        if args.boxes:
            box_file = box_files.read(args.boxes, len(photos))
        args.out.mkdir(parents=True, exist_ok=True)
        if photos:
            run = _Run(args, box_file, unique_names(photos), failures)
    if run is None:
        return 1
    progress = tqdm.tqdm(photos, unit="photo", disable=len(photos) < 2)
    with tqdm_logging.logging_redirect_tqdm():
        for chunk in _chunks(run.seen_photos(progress)):
            run.write(chunk)
    return 1 if failures.count else 0


def _chunks(photos: Iterable[_Photo]) -> Iterator[list[_Photo]]:
    """Photos whose people are recovered together."""
    chunk, people, pixels = [], 0, 0
    for photo in photos:
        chunk.append(photo)
        people += len(photo.sighting.people) if photo.sighting else 1
        pixels += photo.image.shape[0] * photo.image.shape[1]
        if people >= _CHUNK_PEOPLE or pixels >= _CHUNK_PX:
            yield chunk
            chunk, people, pixels = [], 0, 0
    if chunk:
        yield chunk


class _Run:
    """What one call of the command has: networks, boxes and names."""

    def __init__(self, args: Args, box_file, names, failures: _Failures):
        """Loads what the options need.

        Raises:
            OSError, ValueError: something is missing or wrong.
        """
        self._args, self._box_file, self._names = args, box_file, names
        self._failures = failures
        self._model = self._seek = self._recover = None
        if args.weights:
            self._model = method.load(args.weights, args.body, jit=False)
        reads_landmarks = (
            self._model is None or "landmarks" in self._model.input_names
        )
        if reads_landmarks or not (args.box or box_file):
            self._seek = recovery.Seeker(args.max_people)
        if self._model is None:
            self._recover = recovery.Recoverer(args.method, args.body)

    def seen_photos(self, paths: Iterable[pathlib.Path]) -> Iterator[_Photo]:
        """Reads photos and looks for people; what fails is left out."""
        for path in paths:
            photo = None
            with self._failures.caught():
                image = inference.read_photo(path)
                boxes = self._boxes(path, image)
                with self._failures.caught(f"{path}: "):
                    photo = self._look(path, image, boxes)
            if photo is not None:
                yield photo

    def write(self, photos: list[_Photo]) -> None:
        """Recovers the people of photos and writes their files."""
        if self._recover is None:
            for photo in photos:
                with self._failures.caught(f"{photo.path}: "):
                    self._write(photo, self._predict(photo), {})
            return
        results = [None] * len(photos)
        with self._failures.caught():
            results = self._recover(
                [photo.sighting for photo in photos],
                [photo.image.shape[1::-1] for photo in photos],
                self._args.focal_px,
            )
        for photo, result in zip(photos, results, strict=True):
            if result is None:
                continue
            for line in result.omissions:
                _log.warning("%s: %s", photo.path, line)
            people = {n: fit.person for n, fit in result.people.items()}
            facts = {
                number: {
                    "reprojection_px_at_224": fit.error,
                    "landmarks": _landmark_entry(photo, number),
                }
                for number, fit in result.people.items()
            }
            self._write(photo, people, facts)

    def _boxes(self, path, image) -> dict[int, box_files.Box] | None:
        """The boxes of a photo; a bad one is left out. None: there are none."""
        boxes = [self._args.box] if self._args.box else None
        if self._box_file:
            boxes = self._box_file.of(path, image.shape[1::-1])
            if not boxes:
                _log.warning("%s: the boxes name no person in it.", path)
        if boxes is None:
            return None
        valid_boxes = {}
        for number, box in enumerate(boxes):
            with self._failures.caught(f"{path}: person {number}: "):
                crop.check_box(box, (image.shape[1], image.shape[0]))
                valid_boxes[number] = box
        return valid_boxes

    def _look(self, path, image, boxes) -> _Photo:
        """Landmarks of the people in boxes, or of everybody."""
        if self._seek is None:
            return _Photo(path, image, boxes, None)
        if boxes is None:
            sighting = self._seek(image)
            if not sighting.people:
                _log.warning("%s: nobody was found in it.", path)
        else:
            sighting = self._seek.look(image, boxes)
        for line in sighting.omissions:
            _log.warning("%s: %s", path, line)
        return _Photo(path, image, boxes, sighting)

    def _predict(self, photo: _Photo) -> dict[int, inference.Person]:
        """The people of a photo as the network of --weights sees them."""
        boxes, points = photo.boxes, None
        if photo.sighting:
            people = photo.sighting.people
            points = [answer.points for answer in people.values()]
            if boxes is None:
                boxes = {n: recovery.box_of(a) for n, a in people.items()}
            else:
                boxes = {number: boxes[number] for number in people}
        people = inference.recover(
            self._model,
            photo.image,
            list(boxes.values()),
            self._args.batch_size,
            self._args.focal_px,
            points,
        )
        return dict(zip(boxes, people, strict=True))

    def _write(self, photo: _Photo, people, facts: dict[int, dict]) -> None:
        """Writes the files of each person, and those of all together."""
        stem = self._args.out / self._names[photo.path]
        data = (self._model.body if self._model else self._recover).data
        photo_facts = {
            "photo": photo.path.name,
            "method": self._model.name if self._model else self._args.method,
            "weights": str(self._args.weights or landmark_fitting.LIFTER.name),
            "body": data.name,
            "licence": data.licence,
        }
        written_people = []
        for number, person in people.items():
            with self._failures.caught(f"{photo.path}: person {number}: "):
                person_files.write(
                    stem.with_name(f"{stem.name}_{number}"),
                    photo.image,
                    person,
                    {**photo_facts, "person": number, **facts.get(number, {})},
                    _landmark_figure(photo, number) if facts else None,
                )
                written_people.append(person)
        if written_people:
            with self._failures.caught(f"{photo.path}: "):
                group_files.write(stem, photo.image, written_people)
                count = len(written_people)
                people = "1 person" if count == 1 else f"{count} people"
                tqdm.tqdm.write(f"{people} of {photo.path}: {stem}_people.png")


def _landmark_entry(photo: _Photo, number: int) -> dict[str, list[float]]:
    """The json's entry: x, y in pixels, and visible, of each landmark."""
    answer = photo.sighting.people[number]
    rows = np.column_stack([answer.pixels, answer.visible]).tolist()
    return dict(zip(joints.BLAZEPOSE33, rows, strict=True))


def _landmark_figure(photo: _Photo, number: int) -> np.ndarray:
    """The photo with the landmarks that the body was fitted to."""
    points = landmark_fitting.keypoints(photo.sighting.people[number].points)
    pixels = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
    return rendering.skeleton(photo.image, pixels, joints.KEYPOINTS)


def list_photos(
    paths: tuple[pathlib.Path, ...], failures: _Failures
) -> list[pathlib.Path]:
    """Lists the photos of files and folders, each once, in order.

    A path that does not exist, a folder without photos, and each photo in a
    folder that is of a kind that is not read, is one failure.
    """
    photos = {}
    for path in paths:
        for other in _unread_photos_of(path):
            with failures.caught():
                raise ValueError(
                    f"{other}: a {other.suffix[1:].upper()} is not read: "
                    f"{image_files.CONVERT}."
                )
        with failures.caught():
            for photo in _photos_of(path):
                photos.setdefault(os.path.realpath(photo), photo)
    return list(photos.values())


def _photos_of(path: pathlib.Path) -> list[pathlib.Path]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such photo or folder.")
        return [path]
    photos = [
        child
        for child in listing.files(path, "*")
        if child.suffix.lower() in image_files.SUFFIXES
        # A link to nothing is named by its reader.
        and (child.is_file() or not child.exists())
    ]
    if not photos:
        raise ValueError(
            f"{path}: no photo in this folder; expected files ending in "
            f"{', '.join(image_files.SUFFIXES)}."
        )
    return photos


def _unread_photos_of(path: pathlib.Path) -> list[pathlib.Path]:
    """The photos of a folder that are of kinds that are not read."""
    if not path.is_dir():
        return []
    return [
        child
        for child in listing.files(path, "*")
        if child.suffix.lower() in image_files.OTHER_SUFFIXES
    ]


def unique_names(photos: list[pathlib.Path]) -> dict[pathlib.Path, str]:
    """Names the results of each photo: its stem, if that is free.

    Photos of one stem (in other folders, or of another kind) get -2, -3..., and
    so does a_0.jpg beside a.jpg, whose person 0 has the files a_0. Names differ
    even where a file system ignores case.
    """
    names = {}
    stems = {photo.stem.lower() for photo in photos}
    used_names = set()
    for photo in photos:
        name, number = photo.stem, 1
        while (
            name.lower() in used_names
            or _person_of(name.lower(), stems | used_names)
            or (number > 1 and name.lower() in stems)
        ):
            number += 1
            name = f"{photo.stem}-{number}"
        used_names.add(name.lower())
        names[photo] = name
    return names


def _person_of(name: str, names: set[str]) -> bool:
    """Whether a name is that of a person of a photo of `names`."""
    match = re.fullmatch(r"(.*)_\d+", name)
    return bool(match) and match[1] in names


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(main(tyro.cli(Args, prog="python -m tf_hmr", description=__doc__)))
