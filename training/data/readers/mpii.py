"""People of MPII, from the publisher's Matlab file or from json.

The Matlab file is one struct RELEASE; the field of a missing annotation is
empty or missing; a single element is not an array; is_visible is "1", "0", 1,
0 or empty (akanazawa/hmr: src/datasets/mpii_to_tfrecords.py). The
json files of microsoft/human-pose-estimation.pytorch (lib/dataset/mpii.py)
hold a list of people. Both count pixels from 1; here they start at 0.
"""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_hmr.formats import json_files, left_out
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
ENTRY = "image, joints (16, 2), joints_vis (16), center and scale"
HEAD_SHARE = 0.6
"""Head length of PCKh over the diagonal of the head's box, as in
microsoft/human-pose-estimation.pytorch: lib/dataset/mpii.py (SC_BIAS)."""

_log = logging.getLogger(__name__)
_MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
)


class Person(NamedTuple):
    """One annotated person.

    Attributes:
        image: file name of the image.
        number: number of the person in the image, from 1.
        joints: (16, 3) x, y pixels and 1 where annotated; None without any.
        centre: (2,) pixels; None if not annotated.
        scale: height of the person over 200 px; 0 if not annotated.
        single: whether nobody else is near; None if the file does not say.
        hidden: (16,) bool, joints annotated though they are not visible; None
            if the file does not say.
        head_px: head length of PCKh; 0 if not annotated.
        cause: why the entry cannot be read; empty if it can. Then image and
            number alone are known.
    """

    image: str
    number: int
    joints: np.ndarray | None
    centre: np.ndarray | None
    scale: float
    single: bool | None
    hidden: np.ndarray | None = None
    head_px: float = 0.0
    cause: str = ""


Position = tuple[str, int, int]


def read_mat(path: Path, contents: str, source: str) -> list[Person]:
    """Reads the people of the training images, in the order of the file.

    Those whose fields cannot be read have a cause, and are named in a warning.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is damaged or has another layout.
    """
    release = mat_files.read(path, "RELEASE", contents, source)
    people, problems = [], left_out.LeftOut()
    try:
        for entry, train, single in zip(
            _as_list(release.annolist),
            _as_list(release.img_train),
            _as_list(release.single_person),
            strict=True,
        ):
            if not int(train):
                continue
            single_numbers = {int(number) for number in _as_list(single)}
            name = str(entry.image.name)
            rects = _as_list(getattr(entry, "annorect", []))
            for number, rect in enumerate(rects, start=1):
                try:
                    person = _person(
                        name, number, rect, number in single_numbers
                    )
                except _MALFORMED as error:
                    person = _unreadable(name, number, "odd fields")
                    problems.add(
                        f"{name} person {number} ({error!r})", person.cause
                    )
                people.append(person)
    except _MALFORMED as error:
        raise ValueError(
            f"{path} has not the layout of MPII's version 1.2 ({error!r}), "
            f"expected {contents}. Fetch it again from {source}."
        ) from error
    problems.log(_log, path)
    return people


def read_json(path: Path) -> list[Person]:
    """Reads the people of a json file, in its order.

    Entries that are no person have a cause, and are named in a warning.

    Raises:
        ValueError: it is damaged or has another layout.
    """
    people, numbers = [], {}
    problems = left_out.LeftOut()
    try:
        entries = list(json_files.read(path))
    except _MALFORMED as error:
        raise _no_list(path, error) from error
    for row, entry in enumerate(entries):
        image = str(entry.get("image", "")) if isinstance(entry, dict) else ""
        numbers[image] = numbers.get(image, 0) + 1
        try:
            person = _listed_person(entry, numbers[image])
        except _MALFORMED as error:
            person = _unreadable(
                image, numbers[image], f"odd entry, expected {ENTRY}"
            )
            problems.add(f"entry {row} ({error!r})", person.cause)
        people.append(person)
    if people and len(problems) == len(people):
        raise _no_list(path, problems.lines()[0])
    problems.log(_log, path)
    return people


def _no_list(path: Path, detail: object) -> ValueError:
    return ValueError(
        f"{path} is not a list of MPII's people ({detail!r}): expected "
        f"{ENTRY} of each. It may be damaged; fetch it again."
    )


def _unreadable(image: str, number: int, cause: str) -> Person:
    return Person(image, number, None, None, 0.0, None, cause=cause)


def _listed_person(entry: Any, number: int) -> Person:
    points = np.array(entry["joints"], np.float64).reshape(16, 2) - 1
    flags = np.array(entry["joints_vis"], np.float64).reshape(16) > 0
    centre = np.array(entry["center"], np.float64).reshape(2) - 1
    joints = np.column_stack([points, flags]) if flags.any() else None
    scale = float(entry["scale"])
    if entry["center"][0] == -1:
        centre, scale = None, 0.0
    elif not np.isfinite(centre).all():
        raise ValueError("its center is not finite")
    return Person(str(entry["image"]), number, joints, centre, scale, None)


def select_listed(
    people: list[Person], listed_people: list[Person]
) -> list[Person]:
    """The people who are also in another list, in that list's order.

    People are matched by image and centre, because the lists number them
    differently.

    Args:
        people: people of the Matlab file.
        listed_people: people of a json file.
    """
    by_position = {position(person): person for person in people}
    by_position.pop(None, None)
    keys = map(position, listed_people)
    return [by_position[key] for key in keys if key in by_position]


def position(person: Person) -> Position | None:
    """Image and centre, which lists agree on; None without a centre."""
    if person.centre is None:
        return None
    x, y = np.rint(person.centre).astype(int).tolist()
    return person.image, x, y


def _person(name: str, number: int, rect: Any, single: bool) -> Person:
    joints, hidden = np.zeros((16, 3)), np.zeros(16, bool)
    points = _as_list(getattr(getattr(rect, "annopoints", None), "point", []))
    for point in points:
        # Annotated joints count, hidden or not, as in HMR's converter.
        joints[int(point.id)] = float(point.x) - 1, float(point.y) - 1, 1
        flag = np.ravel(getattr(point, "is_visible", []))
        hidden[int(point.id)] = len(flag) == 1 and float(flag[0]) == 0
    position, scale = getattr(rect, "objpos", None), getattr(rect, "scale", 0.0)
    centre = None
    if hasattr(position, "x"):
        centre = np.array([position.x, position.y], np.float64) - 1
    scale = float(scale) if np.size(scale) == 1 else 0.0
    annotated_joints = joints if points else None
    corners = [getattr(rect, end, np.nan) for end in ("x1", "y1", "x2", "y2")]
    head_px = 0.0
    if all(np.size(corner) == 1 for corner in corners):
        x1, y1, x2, y2 = map(float, corners)
        head_px = HEAD_SHARE * np.nan_to_num(np.hypot(x2 - x1, y2 - y1))
    return Person(
        name,
        number,
        annotated_joints,
        centre,
        scale,
        single,
        hidden,
        float(head_px),
    )


def _as_list(value: Any) -> list:
    """A Matlab array as a list; scipy returns a single element as itself."""
    return list(np.asarray(value, object).ravel())
