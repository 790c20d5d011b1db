"""People of MPII, from the publisher's Matlab file or from json.

The Matlab file is one struct RELEASE; where an annotation is missing, its
field is empty, or is not there; one element is no array; is_visible is "1",
"0", 1, 0 or empty (akanazawa/hmr: src/datasets/mpii_to_tfrecords.py). The
json files of microsoft/human-pose-estimation.pytorch (lib/dataset/mpii.py)
hold a list of people. Both count pixels from 1; here they start at 0.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr.formats import json_files
from training.data.formats import mat as mat_files

MPII16 = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
HEAD_SHARE = 0.6
"""Of the diagonal of the head's box: the length of a head in PCKh, as
microsoft/human-pose-estimation.pytorch: lib/dataset/mpii.py (SC_BIAS)."""

_MALFORMED = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError),
    OverflowError,
)


class Person(NamedTuple):
    """One annotated person.

    Attributes:
        image: name of the picture.
        number: from 1 in its picture.
        joints: (16, 3) x, y pixels and 1 where annotated, or None where no
            joint is.
        centre: (2,) pixels, or None where it is not annotated.
        scale: height of the person over 200 px; 0 where not annotated.
        single: whether nobody else is near; None where the file is silent.
        hidden: (16,) bool, joints annotated though they are not visible; None
            where the file is silent.
        head_px: length of the head, as PCKh has it; 0 where not annotated.
    """

    image: str
    number: int
    joints: np.ndarray | None
    centre: np.ndarray | None
    scale: float
    single: bool | None
    hidden: np.ndarray | None = None
    head_px: float = 0.0


def read_mat(path: Path, what: str, whom: str) -> list[Person]:
    """The people of the pictures to train on, in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or of another layout.
    """
    release = mat_files.read(path, "RELEASE", what, whom)
    try:
        people = []
        for picture, train, single in zip(
            _list(release.annolist),
            _list(release.img_train),
            _list(release.single_person),
            strict=True,
        ):
            if not int(train):
                continue
            alone = {int(number) for number in _list(single)}
            name = str(picture.image.name)
            rects = _list(getattr(picture, "annorect", []))
            people += [
                _person(name, number, rect, number in alone)
                for number, rect in enumerate(rects, start=1)
            ]
    except _MALFORMED as error:
        raise ValueError(
            f"{path} has not the layout of MPII's version 1.2 ({error!r}), "
            f"expected {what}. Fetch it again from {whom}."
        ) from error
    return people


def read_json(path: Path) -> list[Person]:
    """The people of a json file, in its order.

    Raises:
        ValueError: it is damaged or of another layout.
    """
    try:
        found, numbers = [], {}
        for each in json_files.loads(path.read_bytes()):
            image = str(each["image"])
            numbers[image] = numbers.get(image, 0) + 1
            points = np.array(each["joints"], np.float64).reshape(16, 2) - 1
            flags = np.array(each["joints_vis"], np.float64).reshape(16) > 0
            centre = np.array(each["center"], np.float64).reshape(2) - 1
            joints = np.column_stack([points, flags]) if flags.any() else None
            scale = float(each["scale"])
            if each["center"][0] == -1:
                centre, scale = None, 0.0
            found.append(
                Person(image, numbers[image], joints, centre, scale, None)
            )
    except _MALFORMED as error:
        raise ValueError(
            f"{path} is not a list of MPII's people ({error!r}): expected "
            "image, joints (16, 2), joints_vis (16), center and scale of "
            "each. It may be damaged; fetch it again."
        ) from error
    return found


def listed(people: list[Person], wanted: list[Person]) -> list[Person]:
    """Those of `people` who are also in another list, in its order.

    They are known by their picture and the place where they stand, for the
    lists number them otherwise.

    Args:
        people: of the Matlab file.
        wanted: of a json file.
    """
    standing = {
        (each.image, *np.rint(each.centre).astype(int).tolist()): each
        for each in people
        if each.centre is not None
    }
    keys = [
        (each.image, *np.rint(each.centre).astype(int).tolist())
        for each in wanted
        if each.centre is not None
    ]
    return [standing[key] for key in keys if key in standing]


def _person(name: str, number: int, rect: Any, single: bool) -> Person:
    joints, hidden = np.zeros((16, 3)), np.zeros(16, bool)
    points = _list(getattr(getattr(rect, "annopoints", None), "point", []))
    for point in points:
        # Annotated is what counts, hidden or not, as in HMR's converter.
        joints[int(point.id)] = float(point.x) - 1, float(point.y) - 1, 1
        flag = np.ravel(getattr(point, "is_visible", []))
        hidden[int(point.id)] = len(flag) == 1 and float(flag[0]) == 0
    place, scale = getattr(rect, "objpos", None), getattr(rect, "scale", 0.0)
    centre = None
    if hasattr(place, "x"):
        centre = np.array([place.x, place.y], np.float64) - 1
    scale = float(scale) if np.size(scale) == 1 else 0.0
    known = joints if points else None
    corners = [getattr(rect, end, np.nan) for end in ("x1", "y1", "x2", "y2")]
    head_px = 0.0
    if all(np.size(corner) == 1 for corner in corners):
        x1, y1, x2, y2 = map(float, corners)
        head_px = HEAD_SHARE * np.nan_to_num(np.hypot(x2 - x1, y2 - y1))
    return Person(
        name, number, known, centre, scale, single, hidden, float(head_px)
    )


def _list(value: Any) -> list:
    """What Matlab calls an array; scipy gives one element as itself."""
    return list(np.asarray(value, object).ravel())
