"""Boxes of people, from the files that detectors and datasets write.

Three kinds of json are read:

- OpenPose, one file per photo: people[].pose_keypoints_2d (or the older
  pose_keypoints), flat x, y, confidence (CMU-Perceptual-Computing-Lab/
  openpose: doc/02_output.md). The box is that of the keypoints, enlarged to
  enclose the body. A folder holds one STEM_keypoints.json per photo.
- COCO: annotations[].bbox with images[].file_name.
- A plain list: [[x, y, w, h], ...] for one photo, or
  [{"file_name": ..., "bbox": [x, y, w, h]}, ...] for many; or COCO's or
  AlphaPose's list of results, with image_id and bbox, box or keypoints.

Entries that cannot be read are left out with a warning for each cause.
"""

import dataclasses
import functools
import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from tf_hmr.formats import (
    coco_annotations,
    json_files,
    keypoint_labels,
    left_out,
    openpose_files,
    photo_files,
)
from tf_hmr.geometry import crop

MAX_PEOPLE = 20
"""Of more people in a photo only the largest are recovered."""

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

_PIXEL = 1.5
"""A box of pixels ends beyond it; one of shares of the picture does not."""

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
    """Boxes by the photo's file name or id, where the file names photos."""
    unnamed: list[Box] | None = None
    """Boxes of a file for one photo that it does not name."""
    people: list[np.ndarray] | None = None
    """(n, 3) x, y, confidence of the people of an OpenPose file, in place of
    boxes, in the unit of the file."""
    keypoint_scale: int = keypoint_labels.PIXELS
    """That unit, a value of OpenPose's --keypoint_scale."""

    def of(self, photo: Path, size: tuple[int, int] | None = None) -> list[Box]:
        """Returns the boxes of a photo, in the file's order; may be empty.

        Args:
            photo: path of the photo.
            size: its width and height in pixels.

        Raises:
            FileNotFoundError: a folder holds no json for this photo.
            ValueError: the file does not name this photo, or several names
                match it, or it is no file of boxes, or its keypoints are
                shares of a picture whose size is not given.
        """
        if self.path.is_dir():
            return self._read_for(photo).of(photo, size)
        if self.people is not None:
            return list(self._boxes_of_people(size))
        if self.by_name is None:
            return list(self.unnamed)
        names = self._index.matching(str(photo.absolute()))
        if len(names) != 1:
            mismatch = (
                f"names {names}" if names else f"does not name {photo.name}"
            )
            raise ValueError(
                f"{self.path} {mismatch}; expected one entry whose file name "
                "is the end of the photo's path."
            )
        return list(self.by_name[names[0]])

    @functools.cached_property
    def _index(self) -> photo_files.NameIndex:
        return photo_files.NameIndex(self.by_name)

    def _read_for(self, photo: Path) -> "BoxFile":
        """The file of a folder that is for this photo."""
        names = (f"{photo.stem}_keypoints.json", f"{photo.stem}.json")
        paths = [self.path / name for name in names]
        for path in filter(Path.is_file, paths):
            box_file = read(path)
            if box_file.keypoint_scale == keypoint_labels.PIXELS:
                return box_file
            # Those of other photos may tell -1 to 1 from 0 to 1.
            scale = openpose_files.scale_of_folder(self.path)
            return dataclasses.replace(box_file, keypoint_scale=scale)
        raise FileNotFoundError(
            f"{self.path} holds neither {names[0]} nor {names[1]}."
        )

    def _boxes_of_people(self, size: tuple[int, int] | None) -> Iterable[Box]:
        if self.keypoint_scale != keypoint_labels.PIXELS:
            unit = keypoint_labels.unit_text(self.keypoint_scale)
            if size is None:
                raise ValueError(
                    f"{self.path}: {unit}; expected pixels, as the size of "
                    "the photo is not known."
                )
            _log.warning("%s: %s; they are scaled.", self.path, unit)
        for number, labels in enumerate(self.people):
            points = keypoint_labels.to_pixels(
                labels, self.keypoint_scale, size
            )
            box = _box_of_keypoints(points, f"{self.path}: person {number}")
            if box:
                yield box


def read(path: str | Path, photos: int = 1) -> BoxFile:
    """Reads a file of boxes, or a folder of OpenPose files.

    Args:
        path: the json file, or the folder.
        photos: how many photos the boxes are for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not json, or none of the kinds above, or no entry can be
            read, or boxes without file names for several photos.
    """
    path = Path(path)
    if path.is_dir():
        return BoxFile(path)
    try:
        content = json_files.read(path)
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
    if box_file.by_name is None and photos > 1:
        raise ValueError(
            f"{path} holds the people of one photo, but {photos} photos were "
            "given. Expected COCO json, a list with file names, or a folder "
            "of OpenPose files named STEM_keypoints.json."
        )
    return box_file


def _parse(path: Path, content) -> BoxFile:
    if isinstance(content, list):
        if any(isinstance(entry, dict) for entry in content):
            return BoxFile(path, by_name=_named_boxes(path, {}, content))
        problems, boxes = left_out.LeftOut(), []
        for number, numbers in enumerate(content):
            try:
                boxes.append(_box(numbers))
            except ValueError as error:
                problems.add(f"box {number}", str(error))
        _say_left_out(path, boxes, problems)
        return BoxFile(path, unnamed=boxes)
    if "people" in content:
        return _openpose(path, content["people"])
    if "annotations" in content:
        return BoxFile(path, by_name=_coco(path, content))
    raise ValueError(
        f"{path} has neither 'people' nor 'annotations'. Expected {_KINDS}."
    )


def _openpose(path: Path, people: list) -> BoxFile:
    if not isinstance(people, list):
        raise TypeError("people are not a list")
    problems, people_labels = left_out.LeftOut(), []
    for number, person in enumerate(people):
        try:
            people_labels.append(openpose_files.labels_of(person))
        except ValueError as error:
            problems.add(f"person {number}", str(error))
    _say_left_out(path, people_labels, problems)
    scale = keypoint_labels.scale_of(people_labels)
    return BoxFile(path, people=people_labels, keypoint_scale=scale)


def _box_of_keypoints(labels: np.ndarray, name: str) -> Box | None:
    """The box of a person; None, with a warning, for too few keypoints."""
    visible = labels[:, 2] > MIN_CONFIDENCE
    num_keypoints = len(np.unique(labels[visible, :2], axis=0))
    if num_keypoints < MIN_KEYPOINTS:
        _log.warning(
            "%s is left out, only %d keypoints are above confidence %g (at "
            "least %d are needed).",
            name,
            num_keypoints,
            MIN_CONFIDENCE,
            MIN_KEYPOINTS,
        )
        return None
    with_feet = len(labels) >= _POINTS_WITH_FEET
    room = ROOM_WITH_FEET if with_feet else ROOM_TO_ANKLES
    return crop.box_of_keypoints(labels[:, :2], visible, room)


def _coco(path: Path, content: dict) -> dict[str, list[Box]]:
    """Boxes of people, without crowds; photos without people have none."""
    images = coco_annotations.Images(content["images"])
    people = coco_annotations.person_categories(content.get("categories"))
    annotations = content["annotations"]
    if not isinstance(annotations, list):
        raise TypeError("annotations are not a list")
    boxes = {image.name: [] for image in images.all()}
    return _named_boxes(path, boxes, annotations, images, people)


def _named_boxes(
    path: Path,
    boxes: dict[str, list[Box]],
    entries: list,
    images: coco_annotations.Images | None = None,
    people: Collection[str] = (),
) -> dict[str, list[Box]]:
    """Adds the box of each entry to those of its photo.

    Args:
        path: of the file, for messages.
        boxes: by the names of photos; they are changed.
        entries: objects with a box and a photo.
        images: the photos by id; None where entries have file names or ids.
        people: ids of categories of people; empty where all are people.
    """
    problems = left_out.LeftOut()
    for number, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise ValueError("it is not an object")
            category = coco_annotations.id_text(entry.get("category_id"))
            is_other = people and category and category not in people
            if entry.get("iscrowd") or is_other:
                continue
            name = _photo_name(entry, images)
            box = _box_of_entry(entry, f"{path}: entry {number}")
        except ValueError as error:
            problems.add(f"entry {number}", str(error))
            continue
        boxes.setdefault(name, [])
        boxes[name] += [box] if box else []
    _say_left_out(path, any(boxes.values()), problems)
    return boxes


def _photo_name(entry: dict, images: coco_annotations.Images | None) -> str:
    if images:
        return images.find(entry.get("image_id")).name
    name = coco_annotations.id_text(entry.get("file_name"))
    name = name or coco_annotations.id_text(entry.get("image_id"))
    if not name:
        raise ValueError("it names no photo")
    return name


def _box_of_entry(entry: dict, name: str) -> Box | None:
    """The box of an entry, else that of its keypoints (AlphaPose: "box")."""
    for key in ("bbox", "box"):
        if entry.get(key):
            return _box(entry[key])
    if not entry.get("keypoints"):
        raise ValueError("it has no box")
    labels = keypoint_labels.parse(entry["keypoints"])
    scale = keypoint_labels.scale_of([labels])
    if scale != keypoint_labels.PIXELS:
        raise ValueError(keypoint_labels.unit_text(scale))
    return _box_of_keypoints(labels, name)


def _box(numbers) -> Box:
    try:
        x, y, w, h = (float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("it is not a box [x, y, w, h]") from None
    if max(abs(x), abs(y), w, h) <= _PIXEL and min(w, h) > 0:
        raise ValueError(
            "the box ends within a pixel (is it in shares of the picture? "
            "expected pixels)"
        )
    return (x, y, w, h)


def _say_left_out(path: Path, readable, problems: left_out.LeftOut) -> None:
    """Logs who is left out.

    Raises:
        ValueError: everybody is.
    """
    if problems and not readable:
        raise ValueError(
            f"{path} holds no boxes that can be read: "
            f"{'; '.join(problems.lines())}. Expected {_KINDS}."
        )
    problems.log(_log, path)
