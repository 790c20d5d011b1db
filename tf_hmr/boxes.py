"""Boxes of people, from the files that detectors and datasets write.

Three kinds of json are read:

- OpenPose, one file per photo: people[].pose_keypoints_2d (or the older
  pose_keypoints), flat x, y, confidence (CMU-Perceptual-Computing-Lab/
  openpose: doc/02_output.md). The box is that of the keypoints, enlarged to
  enclose the body. A folder holds one STEM_keypoints.json per photo.
- COCO: annotations[].bbox with images[].file_name.
- A plain list: [[x, y, w, h], ...] for one photo, or
  [{"file_name": ..., "bbox": [x, y, w, h]}, ...] for many.
"""

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from tf_hmr.formats import json_files
from tf_hmr.geometry import crop

MIN_CONFIDENCE = 0.2
"""Keypoints below it are ignored (akanazawa/hmr: src/util/openpose.py)."""

MIN_KEYPOINTS = 4
"""A person with fewer confident keypoints gets no box, and a warning."""

ROOM_WITH_FEET = 1.08
ROOM_TO_ANKLES = 1.17
"""Longer side of a whole person's box over that of its keypoints.

Training boxes enclose the mesh: the top of the head, hands and soles lie
beyond the keypoints. Means over the first 128 people of synthetic_v1, for the
joints of BODY_25, which has toes and heels (1.08, deviation 0.02), and of
OpenPose's older COCO order, which ends at the ankles (1.17, 0.045).
"""

_POINTS_WITH_FEET = 25  # BODY_25; orders with hands and face begin with it.

_KINDS = (
    "OpenPose json (people[].pose_keypoints_2d), COCO json "
    "(annotations[].bbox and images[].file_name), or a list of [x, y, w, h] "
    'or of {"file_name": ..., "bbox": [x, y, w, h]}'
)
_log = logging.getLogger(__name__)

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class BoxFile:
    """The boxes of one file or folder; `of` gives those of one photo."""

    path: Path
    by_name: dict[str, list[Box]] | None = None
    """Boxes by the photo's file name, where the file names photos."""
    unnamed: list[Box] | None = None
    """Boxes of a file for one photo that it does not name."""

    def of(self, photo: Path) -> list[Box]:
        """Returns the boxes of a photo, in the file's order; may be empty.

        Raises:
            FileNotFoundError: a folder holds no json for this photo.
            ValueError: the file does not name this photo, or several names
                match it, or it is no file of boxes.
        """
        if self.path.is_dir():
            return read(self._openpose_file(photo)).of(photo)
        if self.by_name is None:
            return list(self.unnamed)
        names = _matching(photo, self.by_name)
        if len(names) != 1:
            mismatch = (
                f"names {names}" if names else f"does not name {photo.name}"
            )
            raise ValueError(
                f"{self.path} {mismatch}; expected one entry whose file name "
                "is the end of the photo's path."
            )
        return list(self.by_name[names[0]])

    def _openpose_file(self, photo: Path) -> Path:
        names = (f"{photo.stem}_keypoints.json", f"{photo.stem}.json")
        for name in names:
            if (self.path / name).is_file():
                return self.path / name
        raise FileNotFoundError(
            f"{self.path} holds neither {names[0]} nor {names[1]}."
        )


def read(path: str | Path, photos: int = 1) -> BoxFile:
    """Reads a file of boxes, or a folder of OpenPose files.

    Args:
        path: the json file, or the folder.
        photos: how many photos the boxes are for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not json, or none of the kinds above, or boxes without
            file names for several photos.
    """
    path = Path(path)
    if path.is_dir():
        return BoxFile(path)
    try:
        content = json_files.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file of boxes.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not json: {error}.") from None
    try:
        box_file = _parse(path, content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(
            f"{path} holds no boxes that can be read ({error!r}). "
            f"Expected {_KINDS}."
        ) from None
    if box_file.unnamed is not None and photos > 1:
        raise ValueError(
            f"{path} holds the people of one photo, but {photos} photos were "
            "given. Expected COCO json, a list with file names, or a folder "
            "of OpenPose files named STEM_keypoints.json."
        )
    return box_file


def _parse(path: Path, content) -> BoxFile:
    if isinstance(content, list):
        if all(isinstance(entry, dict) for entry in content) and content:
            named_boxes = [
                (entry["file_name"], entry["bbox"]) for entry in content
            ]
            return BoxFile(path, by_name=_group_by_name(path, {}, named_boxes))
        return BoxFile(path, unnamed=[_box(path, box) for box in content])
    if "people" in content:
        return BoxFile(path, unnamed=list(_openpose(path, content["people"])))
    if "annotations" in content:
        return BoxFile(path, by_name=_coco(path, content))
    raise ValueError(
        f"{path} has neither 'people' nor 'annotations'. Expected {_KINDS}."
    )


def _openpose(path: Path, people: list[dict]) -> Iterable[Box]:
    for number, person in enumerate(people):
        flat = person.get("pose_keypoints_2d") or person.get("pose_keypoints")
        points = np.asarray(flat or (), np.float64)
        if points.size % 3:
            raise ValueError(
                f"{path}: person {number} has {points.size} numbers of "
                "keypoints, expected x, y, confidence for each."
            )
        points = points.reshape(-1, 3)
        visible = points[:, 2] > MIN_CONFIDENCE
        num_keypoints = len(np.unique(points[visible, :2], axis=0))
        if num_keypoints < MIN_KEYPOINTS:
            _log.warning(
                "%s: person %d is left out, only %d keypoints are above "
                "confidence %g (at least %d are needed).",
                path,
                number,
                num_keypoints,
                MIN_CONFIDENCE,
                MIN_KEYPOINTS,
            )
            continue
        with_feet = len(points) >= _POINTS_WITH_FEET
        room = ROOM_WITH_FEET if with_feet else ROOM_TO_ANKLES
        yield crop.box_of_keypoints(points[:, :2], visible, room)


def _coco(path: Path, content: dict) -> dict[str, list[Box]]:
    """Boxes of people, without crowds; photos without people have none."""
    people = {
        category["id"]
        for category in content.get("categories", ())
        if category["name"] == "person"
    }
    names = {entry["id"]: entry["file_name"] for entry in content["images"]}
    pairs = [
        (names[entry["image_id"]], entry["bbox"])
        for entry in content["annotations"]
        if not entry.get("iscrowd")
        and (not people or entry["category_id"] in people)
    ]
    return _group_by_name(path, {name: [] for name in names.values()}, pairs)


def _group_by_name(path: Path, boxes: dict[str, list[Box]], pairs) -> dict:
    for name, box in pairs:
        boxes.setdefault(name, []).append(_box(path, box))
    return boxes


def _box(path: Path, numbers) -> Box:
    try:
        x, y, w, h = (float(number) for number in numbers)
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: {numbers!r} is not a box [x, y, w, h]. Expected {_KINDS}."
        ) from None
    return (x, y, w, h)


def _matching(photo: Path, names: Iterable[str]) -> list[str]:
    """Names that end the photo's path; else those of the same file name."""
    parts = photo.absolute().parts
    path_parts = {n: PurePosixPath(n.replace("\\", "/")).parts for n in names}
    matches = [n for n, p in path_parts.items() if p and parts[-len(p) :] == p]
    if matches:
        length = max(len(path_parts[name]) for name in matches)
        return [name for name in matches if len(path_parts[name]) == length]
    return [n for n, p in path_parts.items() if p and p[-1] == photo.name]
