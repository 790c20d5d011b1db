"""SURREAL: rendered films of SMPL bodies that move as people did.

`cmu/train/run0/01_01/01_01_c0001.mp4` of 320 x 240 and beside it `_info.mat`
(version 5): pose (72, T), shape (10, T), joints2D (2, 24, T) whole pixels,
joints3D (3, 24, T) metres in Blender's world, camLoc (3, 1), zrot (T, 1),
gender (T, 1) 0 female or 1 male; and `_segm.mat`: segm_1, ..., segm_T, SMPL's
joints plus one. With one frame the last axis is missing (gulvarol/surreal:
README.md; datageneration/misc/3Dto2D, whose projection is exact on its
example; datageneration/misc/smpl_relations/smpl_relations.py).

The camera's matrix has the determinant -1: a picture shows the mirror image
of the pose, and what the files call left is on the right. Here names and
poses are mirrored, so that labels fit the picture.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from tf_hmr.geometry import crop
from training.data.formats import mat as mat_files
from training.data.formats import requirements
from training.data.readers import frames, writing

NAME = "surreal"
WHOM = "https://www.di.ens.fr/willow/research/surreal (an account, by mail)"
MOVED_M = 0.05  # mean over the joints (the SMPLR paper, 4.3)
INTRINSICS = (600.0, 600.0, 160.0, 120.0)
# World to camera, x right, y down, z forward; T = -R camLoc.
TO_CAMERA = np.array([[0.0, 0, -1], [0, 1, 0], [-1, 0, 0]])

_SIZE = (320, 240)
_MIRROR = np.diag([-1.0, 1, 1])
_SIDES = list(joints.mirror(joints.SMPL24))
# KEYPOINTS that are SMPL's own joints, as body.keypoint_regressors has them.
_LIMBS = ("ankle", "knee", "wrist", "elbow", "shoulder")
_NAMES = tuple(
    name if name.split("_")[-1] in _LIMBS else "" for name in joints.SMPL24
)
_GENDERS = ("female", "male")
_ROOM = 1.2  # of a box of joints, where no mask is


@dataclasses.dataclass
class Options(writing.Options):
    """Reads SURREAL's films: SMPL pose and shape, 10 joints, parts.

    --root holds cmu/train, cmu/val and cmu/test. Clips without _segm.mat have
    no parts, and a box of their joints.
    """

    split: Literal["train", "val", "test"] = "train"
    rules: Literal["smplr", "bodynet"] = "smplr"
    """smplr: frames whose joints moved by 5 cm in the mean since the last one
    kept. bodynet: the middle frame of each clip."""
    run: Literal[0, 1, 2] | None = None
    """Which of the three renderings; all by default."""


class Task(NamedTuple):
    """A clip."""

    film: Path
    head: str
    rules: str


class _Clip(NamedTuple):
    """The person of the picture, whose mirror image the files describe.

    pose (T, 24, 3); betas (T, 10); places (T, 24, 3) metres in the camera's
    frame; genders (T,) 0 or 1; empty (T,) where joints are all zero.
    """

    pose: np.ndarray
    betas: np.ndarray
    places: np.ndarray
    genders: np.ndarray
    empty: np.ndarray


def run(options: Options) -> None:
    """Makes the records."""
    folder = options.root / "cmu" / options.split
    if not folder.is_dir():
        raise requirements.missing_file(folder, "the films of the split", WHOM)
    runs = "run?" if options.run is None else f"run{options.run}"
    tasks = [
        Task(
            path.with_name(f"{_stem(path)}.mp4"),
            f"{path.parts[-3]}_{_stem(path)}",
            options.rules,
        )
        for path in sorted(folder.glob(f"{runs}/*/*_info.mat"))
    ]
    writing.write(NAME, options, tasks, read)


def _stem(path: Path) -> str:
    return path.name.removesuffix("_info.mat")


def read(task: Task) -> Iterator[writing.Found]:
    """The people of a clip."""
    try:
        clip = _clip(task.film.with_name(f"{task.film.stem}_info.mat"))
    except (ValueError, OSError):
        yield writing.Skipped(task.head, "_info.mat of the clip is damaged")
        return
    rows = kept(task.rules, clip.places, clip.empty)
    if task.rules == "smplr":
        for row in np.flatnonzero(clip.empty):
            name = f"{task.head}_{row + 1:04d}"
            yield writing.Skipped(name, "all joints are zero")
    sources = frames.of_video(task.film, rows)
    for row, source, segments in zip(
        rows, sources, _segments(task.film, rows), strict=True
    ):
        name = f"{task.head}_{row + 1:04d}"
        if clip.empty[row]:
            yield writing.Skipped(name, "all joints are zero")
            continue
        places = clip.places[row]
        points = places[:, :2] / places[:, 2:] * 600 + INTRINSICS[2:]
        yield frames.example(
            source,
            None if segments is None else _PARTS[segments],
            box=_box(segments, points),
            keypoints=frames.by_name(_NAMES, points),
            joints3d=frames.by_name(_NAMES, places),
            pose=clip.pose[row],
            betas=clip.betas[row],
            gender=_GENDERS[clip.genders[row]],
            intrinsics=INTRINSICS,
            dataset=NAME,
            example_id=name,
            topology="smpl",
        )


def kept(rules: str, places: np.ndarray, empty: np.ndarray) -> list[int]:
    """Frames that are kept of T.

    Args:
        rules: "smplr" or "bodynet".
        places: (T, 24, 3) metres.
        empty: (T,) where there are no joints.
    """
    if rules == "bodynet":
        # gulvarol/bodynet: fitting/fit_surreal.py
        return [-(-len(places) // 2) - 1]
    found: list[int] = []
    for row in np.flatnonzero(~empty).tolist():
        if found:
            moved = np.linalg.norm(places[row] - places[found[-1]], axis=1)
            if moved.mean() < MOVED_M:
                continue
        found.append(row)
    return found


def _clip(path: Path) -> _Clip:
    """Reads a clip's labels and mirrors them.

    Raises:
        ValueError: the file is damaged.
    """
    pose, shape, world, place, turn, gender = (
        np.asarray(mat_files.read(path, name, "a clip's labels", WHOM))
        for name in ("pose", "shape", "joints3D", "camLoc", "zrot", "gender")
    )
    world = world.reshape(3, 24, -1).astype(np.float64)
    count = world.shape[-1]
    seen = np.einsum("ab,bjt->tja", TO_CAMERA, world)
    seen -= TO_CAMERA @ place.astype(np.float64).reshape(3)
    rotvecs = pose.astype(np.float64).reshape(72, count).T.reshape(-1, 24, 3)
    genders = gender.reshape(count).astype(int)
    if not np.isin(genders, (0, 1)).all():
        raise ValueError(f"{path}: gender is neither 0 nor 1")
    return _Clip(
        _mirrored(rotvecs, turn.astype(np.float64).reshape(count)),
        shape.reshape(10, count).T,
        seen[:, _SIDES],
        genders,
        ~world.any(axis=(0, 1)),
    )


def _mirrored(rotvecs: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Poses of the mirror image, its global rotation in the camera's frame.

    A body's points are R90 Rz(zrot) R(pose) x in the world, and the mirror
    image's, M x, are seen by TO_CAMERA R90 Rz R M, a rotation again.
    """
    found = rotvecs[:, _SIDES] * (1, -1, -1)
    world = Rotation.from_euler("x", np.pi / 2)
    body = Rotation.from_euler("z", turns[:, None])
    whole = world * body * Rotation.from_rotvec(rotvecs[:, 0])
    seen = TO_CAMERA @ whole.as_matrix() @ _MIRROR
    found[:, 0] = Rotation.from_matrix(seen).as_rotvec()
    return found


def _segments(film: Path, rows: list[int]) -> Iterator[np.ndarray | None]:
    """(240, 320) labels of frames, None where there are none."""
    path = film.with_name(f"{film.stem}_segm.mat")
    for row in rows:
        try:
            found = mat_files.read(path, f"segm_{row + 1}", "segments", WHOM)
        except (ValueError, OSError):
            found = None
        good = (
            isinstance(found, np.ndarray)
            and found.shape == _SIZE[::-1]
            and found.dtype.kind in "iu"
            and found.max(initial=0) < len(_PARTS)
        )
        yield found.astype(np.uint8) if good else None


def _box(segments: np.ndarray | None, points: np.ndarray) -> crop.Box:
    if segments is not None and segments.any():
        return cv2.boundingRect((segments > 0).astype(np.uint8))
    if not np.isfinite(points).all():
        return (0, 0, 0, 0)
    return crop.box_of_keypoints(points, np.ones(len(points)), _ROOM)


def _part_table() -> np.ndarray:
    """(25,) uint8 from SURREAL's segments to one plus the mirrored part14."""
    parts = body_parts.PARTS["part14"]
    table = np.zeros(25, np.uint8)
    for label, members in enumerate(parts.values(), start=1):
        for name in members:
            table[joints.SMPL24.index(joints.mirror_name(name)) + 1] = label
    return table


_PARTS = _part_table()
