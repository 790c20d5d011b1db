"""Recovers posed 3D bodies of everybody in photos and videos.

Examples:

    python -m tf_hmr photo.jpg
    python -m tf_hmr photos/ holiday.jpg --out out --method lift
    python -m tf_hmr video.mp4
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

In a video everybody is followed: VIDEO_overlay.mp4 shows them with numbers, and
VIDEO.jsonl has a line per frame and person, of which `python -m tf_hmr.clip`
makes animated meshes and motion files.
"""

import contextlib
import dataclasses
import logging
import math
import os
import pathlib
import re
import sys
import threading
from collections.abc import Iterator
from typing import Literal

import cv2
import tyro

from tf_hmr import boxes as box_files
from tf_hmr import landmark_files
from tf_hmr.formats import (
    image_files,
    listing,
    model_files,
    video_reading,
)
from tf_hmr.geometry import camera

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class Args:
    """Options of the command line."""

    photos: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Photos and videos, or folders of them (not searched deeper)."""
    weights: pathlib.Path | None = None
    """Model folder, or the workdir of `python -m training.fit`: a network of
    one's own, instead of the landmarks' bodies."""
    out: pathlib.Path = pathlib.Path("out")
    """Folder for the results; made if missing."""
    method: Literal["fit", "lift"] = "fit"
    """Without --weights: 'fit' moves bodies until they meet the landmarks, in a
    video over time; 'lift' takes the first guess, which is faster."""
    max_people: int = box_files.MAX_PEOPLE
    """Of more people in a photo the largest are recovered, in a video the
    first."""
    smoothness: float = 0.5
    """In videos with 'fit': weight of the joints' acceleration; 0 fits each
    frame alone."""
    box: tuple[float, float, float, float] | None = None
    """Person's box x y w h in pixels of the upright photo, for every photo;
    nobody else is looked for."""
    boxes: pathlib.Path | None = None
    """Boxes of many people: OpenPose or COCO json, a list of [x, y, w, h], or
    a folder of OpenPose files STEM_keypoints.json."""
    body: str = "open"
    """Body that the weights were trained on: 'open', a path to its file, or
    FEMALE,MALE for SMPLR trained on two."""
    focal_px: float | None = None
    """Focal length of the camera in pixels, if known."""
    batch_size: int = 8
    """Most people in one call of the model of --weights."""


class Failures:
    """Counts failures and logs one line for each, while the rest goes on.

    Threads may share it.
    """

    def __init__(self):
        self.count = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def caught(self, prefix: str = "") -> Iterator[None]:
        """Turns an expected error of the block into one line on stderr."""
        try:
            yield
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            with self._lock:
                self.count += 1
            _log.error("%s%s", prefix, " ".join(str(error).split()))


def main(args: Args) -> int:
    """Runs the command; returns its exit status, 0 when nothing failed."""
    failures = Failures()
    # With boxes or a network of one's own, videos beside photos are passed by.
    by_landmarks = not (args.weights or args.box or args.boxes)
    files = list_photos(args.photos, failures, by_landmarks)
    videos = [path for path in files if is_video(path)]
    photos = [path for path in files if not is_video(path)]
    run = video_run = box_file = None
    with failures.caught():
        if not args.photos:
            raise ValueError("Give at least one photo or folder of photos.")
        check(args, videos)
        if args.boxes:
            box_file = box_files.read(args.boxes, len(photos))
        args.out.mkdir(parents=True, exist_ok=True)
        # Not at the top: they import TensorFlow.
        if photos:
            reader = _reader(args, box_file, failures, photos[0])
            from tf_hmr.tasks import photos as task

            run = task.Run(args, reader, unique_names(files), failures)
        if videos:
            from tf_hmr.tasks import videos as video_task

            video_run = video_task.Run(args, unique_names(files), failures)
    if run is None and video_run is None:
        return 1
    if run:
        run.recover(photos)
    if video_run:
        video_run.recover(videos)
    return 1 if failures.count else 0


def _reader(args: Args, box_file, failures: Failures, first: pathlib.Path):
    """The reader of the photos, which begins with the first.

    A network of one's own says, once it is loaded, whether people are looked
    for. Without one they are, while TensorFlow is imported.
    """
    from tf_hmr.tasks import photo_reading

    reader = photo_reading.Reader(args, box_file, failures)
    if not args.weights:
        reader.look_for_people()
        reader.begin(first)
    return reader


def is_video(path: pathlib.Path) -> bool:
    """Whether a file is a video by its ending."""
    return path.suffix.lower() in video_reading.SUFFIXES


def check(args: Args, videos: list[pathlib.Path]) -> None:
    """Refuses what can be seen before TensorFlow is imported.

    Raises:
        FileNotFoundError: the model, or the networks that find people, are not
            there; says how to get them.
        ValueError: two options that exclude each other, or no focal length.
    """
    if videos and (args.weights or args.box or args.boxes):
        raise ValueError(
            f"{videos[0]}: in a video everybody is found, and landmarks give "
            "their bodies: leave --weights, --box and --boxes away, or export "
            "the network and run `python -m edge.run`."
        )
    if args.box and args.boxes:
        raise ValueError("Give --box or --boxes, not both.")
    camera.check_focal(args.focal_px)
    if not 0 <= args.smoothness < math.inf:
        raise ValueError(
            f"--smoothness {args.smoothness}: expected a weight of 0 or more."
        )
    if args.weights:
        model_files.find_folder(args.weights)
    else:
        landmark_files.read(landmark_files.LANDMARKS)


def list_photos(
    paths: tuple[pathlib.Path, ...],
    failures: Failures,
    with_videos: bool = True,
) -> list[pathlib.Path]:
    """Lists the photos and videos of files and folders, each once, in order.

    A path that does not exist, a folder without any, and each photo in a folder
    that is of a kind that is not read, is one failure.
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
            for photo in _photos_of(path, with_videos):
                photos.setdefault(os.path.realpath(photo), photo)
    return list(photos.values())


def _photos_of(path: pathlib.Path, with_videos: bool) -> list[pathlib.Path]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such photo, video or folder.")
        return [path]
    suffixes = image_files.SUFFIXES
    if with_videos:
        suffixes += video_reading.SUFFIXES
    photos = [
        child
        for child in listing.files(path, "*")
        if child.suffix.lower() in suffixes
        # A link to nothing is named by its reader.
        and (child.is_file() or not child.exists())
    ]
    if not photos:
        raise ValueError(
            f"{path}: no photo or video in this folder; expected files ending "
            f"in {', '.join(suffixes)}."
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
