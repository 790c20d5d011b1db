"""Recovers posed 3D bodies from photos.

Examples:

    python -m tf_hmr photo.jpg --weights runs/demo --out out
    python -m tf_hmr photo.jpg --box 310 40 220 520 --weights runs/demo
    python -m tf_hmr photos/ --boxes openpose/ --weights runs/demo --out out
    python -m tf_hmr a.jpg b.jpg --boxes coco.json --weights runs/demo

Each person of PHOTO gets PHOTO_0.png (crop, overlay and side view in one),
PHOTO_0_overlay.png, PHOTO_0_side.png, PHOTO_0.glb, PHOTO_0.obj, PHOTO_0.npz
and PHOTO_0.json, and so on with PHOTO_1. The json explains its numbers.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib
import sys
from collections.abc import Iterator

import cv2
import tqdm
import tyro
from tqdm.contrib import logging as tqdm_logging

from tf_hmr import boxes as box_files
from tf_hmr import inference, method, person_files
from tf_hmr.formats import image_files, listing
from tf_hmr.geometry import crop

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class Args:
    """Options of the command line."""

    photos: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """Photos, or folders of photos (not searched deeper)."""
    weights: pathlib.Path
    """Model folder, or the workdir of `python -m training.fit`."""
    out: pathlib.Path = pathlib.Path("out")
    """Folder for the results; made if missing."""
    box: tuple[float, float, float, float] | None = None
    """Person's box x y w h in pixels of the upright photo, for every photo."""
    boxes: pathlib.Path | None = None
    """Boxes of many people: OpenPose or COCO json, a list of [x, y, w, h], or
    a folder of OpenPose files STEM_keypoints.json."""
    body: str = "open"
    """Body that the weights were trained on: 'open', or a path to its file."""
    focal_px: float | None = None
    """Focal length of the camera in pixels, if known."""
    batch_size: int = 8
    """Most people in one call of the model."""


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
    model = box_file = None
    photos = list_photos(args.photos, failures)
    with failures.caught():
        if not args.photos:
            raise ValueError("Give at least one photo or folder of photos.")
        if args.box and args.boxes:
            raise ValueError("Give --box or --boxes, not both.")
        if args.boxes:
            box_file = box_files.read(args.boxes, len(photos))
        args.out.mkdir(parents=True, exist_ok=True)
        if photos:
            model = method.load(args.weights, args.body, jit=False)
    if model is None:
        return 1
    names = unique_names(photos)
    progress = tqdm.tqdm(photos, unit="photo", disable=len(photos) < 2)
    with tqdm_logging.logging_redirect_tqdm():
        for photo in progress:
            with failures.caught():
                _run_photo(model, photo, names[photo], box_file, args, failures)
    return 1 if failures.count else 0


def _run_photo(model, photo, name, box_file, args, failures) -> None:
    """Recovers and writes the people of one photo."""
    image = inference.read_photo(photo)
    boxes = [args.box] if args.box else None
    if box_file:
        boxes = box_file.of(photo, image.shape[1::-1])
    facts = {
        "photo": photo.name,
        "method": model.name,
        "weights": str(args.weights),
        "body": model.body.data.name,
        "licence": model.body.data.licence,
    }
    people = {}
    with failures.caught(f"{photo}: "):
        people = _recover(model, photo, image, boxes, args, failures)
    for number, person in people.items():
        with failures.caught(f"{photo}: person {number}: "):
            stem = args.out / f"{name}_{number}"
            person_files.write(stem, image, person, {**facts, "person": number})


def _recover(model, photo, image, boxes, args, failures) -> dict:
    """The people of one photo by their numbers; a bad box is left out."""
    if boxes is None:
        # Passed as a path, so that a warning about its shape can name it.
        people = inference.recover(model, photo, focal_px=args.focal_px)
        return dict(enumerate(people))
    if not boxes:
        _log.warning("%s: the boxes name no person in it.", photo)
    valid_boxes = {}
    for number, box in enumerate(boxes):
        with failures.caught(f"{photo}: person {number}: "):
            crop.check_box(box, (image.shape[1], image.shape[0]))
            valid_boxes[number] = box
    people = inference.recover(
        model, image, list(valid_boxes.values()), args.batch_size, args.focal_px
    )
    return dict(zip(valid_boxes, people, strict=True))


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

    Photos of one stem (in other folders, or of another kind) get -2, -3...
    Names differ even where a file system ignores case.
    """
    names = {}
    stems = {photo.stem.lower() for photo in photos}
    used_names = set()
    for photo in photos:
        name, number = photo.stem, 1
        while name.lower() in used_names or (
            number > 1 and name.lower() in stems
        ):
            number += 1
            name = f"{photo.stem}-{number}"
        used_names.add(name.lower())
        names[photo] = name
    return names


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(main(tyro.cli(Args, prog="python -m tf_hmr", description=__doc__)))
