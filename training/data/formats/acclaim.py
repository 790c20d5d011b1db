"""Reads Acclaim files of motion capture: .asf, a skeleton; .amc, its motion.

A bone has a direction at rest, axes (three angles about x, y, z, in this
order about fixed axes) and the rotations that it is free to make about them;
.amc lists these in the same order, frame by frame (gsimchoni/mocap:
inst/extdata; the CMU Graphics Lab's subjects are alike). x is the person's
left, y up.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

ROOT = "root"
_MAX_NUMBERS = 50_000_000  # in one motion: hours of it


class Bone(NamedTuple):
    """A bone at rest.

    Attributes:
        parent: name of the bone it begins at, "" for the root.
        direction: (3,) from its beginning to its end; 0 for the root.
        axes: orientation of the axes that it rotates about.
        freedoms: its channels in .amc: "rx", "ry", "rz"; for the root also
            "tx", "ty", "tz".
    """

    parent: str
    direction: np.ndarray
    axes: Rotation
    freedoms: tuple[str, ...]


class Skeleton(NamedTuple):
    """Bones by name, parents before children; angles in degrees or radians."""

    bones: dict[str, Bone]
    degrees: bool


def read_skeleton(path: Path) -> Skeleton:
    """Reads an .asf file.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return _skeleton(path.read_text(errors="replace"))
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{path} is no Acclaim skeleton ({error!r}); it may be damaged."
        ) from error


def _skeleton(text: str) -> Skeleton:
    sections = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            section = sections.setdefault(words[0], [])
        elif words and sections:
            section.append(words)
    units = {words[0]: words[1] for words in sections.get(":units", ())}
    degrees = units.get("angle", "deg") == "deg"
    entries, entry = {}, {}
    for words in sections[":bonedata"]:
        if words[0] == "begin":
            entry = {}
        elif words[0] == "end":
            entries[entry["name"][0]] = entry
        else:
            entry[words[0]] = words[1:]
    root = {words[0]: words[1:] for words in sections[":root"]}
    order = tuple(word.lower() for word in root["order"])
    bones = {ROOT: Bone("", np.zeros(3), Rotation.identity(), order)}
    for words in sections[":hierarchy"]:
        for name in words[1:]:
            bones[name] = _bone(words[0], entries[name], degrees)
    if any(bone.parent not in ("", *bones) for bone in bones.values()):
        raise ValueError("a bone begins at one that is not there")
    return Skeleton(bones, degrees)


def _bone(parent: str, entry: dict[str, list[str]], degrees: bool) -> Bone:
    direction = np.array([float(word) for word in entry["direction"]])
    angles = [float(word) for word in entry["axis"][:3]]
    length = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not 0 < length < math.inf:
        raise ValueError("a direction is not three numbers")
    freedoms = tuple(
        word for word in entry.get("dof", ()) if word.startswith("r")
    )
    if len(freedoms) != len(entry.get("dof", ())):
        raise ValueError("a bone is free to do more than turn")
    axes = Rotation.from_euler("xyz", angles, degrees=degrees)
    return Bone(parent, direction / length, axes, freedoms)


def read_motion(
    path: Path, skeleton: Skeleton, step: int
) -> dict[str, np.ndarray]:
    """Reads every `step`th frame of an .amc file.

    Returns:
        (T, freedoms) for each bone that the file names.

    Raises:
        ValueError: the file is damaged or of another skeleton.
    """
    rows: dict[str, list[list[float]]] = {}
    frame, sampled, number_count = -1, False, 0
    try:
        with path.open(errors="replace") as file:
            for line in file:
                words = line.split()
                if not words or words[0][0] in "#:":
                    continue
                if len(words) == 1 and words[0].isdigit():
                    frame += 1
                    sampled = frame % step == 0
                elif sampled:
                    numbers = [float(word) for word in words[1:]]
                    freedom_count = len(skeleton.bones[words[0]].freedoms)
                    if len(numbers) != freedom_count:
                        raise ValueError(f"{words[0]} has {len(numbers)}")
                    rows.setdefault(words[0], []).append(numbers)
                    number_count += freedom_count
                    if number_count > _MAX_NUMBERS:
                        raise ValueError("more frames than a file can have")
        motion = {name: np.array(values) for name, values in rows.items()}
        if ROOT not in motion or len({len(v) for v in motion.values()}) != 1:
            raise ValueError("the bones have different numbers of frames")
        if not all(np.isfinite(value).all() for value in motion.values()):
            raise ValueError("an angle is not finite")
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is no Acclaim motion of its skeleton ({error!r}); it may "
            "be damaged, or belong to another .asf."
        ) from error
    return motion


def orientations(
    skeleton: Skeleton, motion: dict[str, np.ndarray]
) -> dict[str, Rotation]:
    """Rotations of each bone from its rest, T in the world's frame."""
    count = len(motion[ROOT])
    rotations = {}
    for name, bone in skeleton.bones.items():
        rotation = Rotation.identity(count)
        rotary = [word for word in bone.freedoms if word.startswith("r")]
        if name in motion and rotary:
            columns = [bone.freedoms.index(word) for word in rotary]
            order = "".join(word[1] for word in rotary)
            angles = motion[name][:, columns]
            local_turn = Rotation.from_euler(order, angles, skeleton.degrees)
            rotation = bone.axes * local_turn * bone.axes.inv()
        rotations[name] = (
            rotations[bone.parent] * rotation if bone.parent else rotation
        )
    return rotations
