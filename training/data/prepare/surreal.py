"""SURREAL: rendered videos of SMPL bodies with captured motion.

`cmu/train/run0/01_01/01_01_c0001.mp4` of 320 x 240 and beside it `_info.mat`
(version 5): pose (72, T), shape (10, T), joints2D (2, 24, T) whole pixels,
joints3D (3, 24, T) metres in Blender's world, camLoc (3, 1), zrot (T, 1),
gender (T, 1) 0 female or 1 male; and `_segm.mat`: segm_1, ..., segm_T, SMPL's
joints plus one. With one frame the last axis is missing (gulvarol/surreal:
README.md; datageneration/misc/3Dto2D, whose projection is exact on its
example; datageneration/misc/smpl_relations/smpl_relations.py).

The camera's matrix has the determinant -1: an image shows the mirror image
of the pose, and the files' left side is on the right. This reader mirrors
names and poses, so that labels fit the image.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, progress
from tf_hmr.body import parts as body_parts
from tf_hmr.formats import listing
from tf_hmr.geometry import crop
from training.data.formats import mat as mat_files
from training.data.formats import requirements
from training.data.readers import distinct_poses, frames, genders, writing

NAME = "surreal"
SOURCE = "https://www.di.ens.fr/willow/research/surreal (an account, by mail)"
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
_ROOM = 1.2  # of a box of joints, without a mask


@dataclasses.dataclass
class Options(writing.Options):
    """Reads SURREAL's videos: SMPL pose and shape, 10 joints, parts.

    --root holds cmu/train, cmu/val and cmu/test. Clips without _segm.mat have
    no parts, and a box around their joints.
    """

    split: Literal["train", "val", "test"] = "train"
    rules: Literal["smplr", "bodynet"] = "smplr"
    """smplr: frames whose joints moved by 5 cm on average since the last
    selected one. bodynet: the middle frame of each clip."""
    run: Literal[0, 1, 2] | None = None
    """One of the three renderings; by default all."""
    distinct_mm: float = 0.0
    """Keeps only frames in which one joint at least is as far from that of
    every frame kept before, about the pelvis: 150 gives SMPLR's subset of
    Table 1, which has 89,000 of the training split. All labels are read once
    before. 0: off."""


class Task(NamedTuple):
    """One clip."""

    video: Path
    prefix: str
    rules: str
    rows: tuple[int, ...] | None = None
    """Frames to read; None: those of the rules."""


class _Clip(NamedTuple):
    """The person in the image, whose mirror image the files describe.

    pose (T, 24, 3); betas (T, 10); joints3d (T, 24, 3) metres in the camera's
    frame; genders, T of them; empty (T,) whether all joints are zero.
    """

    pose: np.ndarray
    betas: np.ndarray
    joints3d: np.ndarray
    genders: list[str]
    empty: np.ndarray


def run(options: Options) -> None:
    """Writes the records."""
    folder = options.root / "cmu" / options.split
    if not folder.is_dir():
        raise requirements.missing_file(
            folder, "the films of the split", SOURCE
        )
    runs = "run?" if options.run is None else f"run{options.run}"
    tasks = [
        Task(
            path.with_name(f"{_stem(path)}.mp4"),
            f"{path.parts[-3]}_{_stem(path)}",
            options.rules,
        )
        for path in listing.files(folder, f"{runs}/*/*_info.mat")
    ]
    if options.distinct_mm < 0 or not np.isfinite(options.distinct_mm):
        raise ValueError(
            f"--distinct-mm {options.distinct_mm}: expected 0 or more."
        )
    if options.distinct_mm:
        tasks = _distinct(tasks, options.distinct_mm / 1000)
    writing.write(NAME, options, tasks, read)


def _distinct(tasks: list[Task], least_m: float) -> list[Task]:
    """Tasks with those of their frames whose poses all differ."""
    poses = distinct_poses.DistinctPoses(least_m)
    chosen = []
    with progress.bar(
        title="poses that differ", total=len(tasks), unit="clips"
    ) as bar:
        for task in tasks:
            try:
                clip = _clip(_labels_of(task))
            except (ValueError, OSError):
                chosen.append(task)  # It is counted as damaged when read.
            else:
                rows = select_frames(task.rules, clip.joints3d, clip.empty)
                kept = tuple(r for r in rows if poses.admit(clip.joints3d[r]))
                chosen.append(task._replace(rows=kept))
            bar.update(1)
    print(f"{len(poses)} poses differ by {1000 * least_m:g} mm")
    return chosen


def _labels_of(task: Task) -> Path:
    return task.video.with_name(f"{task.video.stem}_info.mat")


def _stem(path: Path) -> str:
    return path.name.removesuffix("_info.mat")


def read(task: Task) -> Iterator[writing.ReadPerson]:
    """Reads the people of a clip."""
    try:
        clip = _clip(_labels_of(task))
    except (ValueError, OSError):
        yield writing.Skipped(task.prefix, "_info.mat of the clip is damaged")
        return
    rows = task.rows
    if rows is None:
        rows = select_frames(task.rules, clip.joints3d, clip.empty)
    if task.rules == "smplr":
        for row in np.flatnonzero(clip.empty):
            name = f"{task.prefix}_{row + 1:04d}"
            yield writing.Skipped(name, "all joints are zero")
    sources = frames.read_video(task.video, rows)
    for row, source, segments in zip(
        rows, sources, _segments(task.video, rows), strict=True
    ):
        name = f"{task.prefix}_{row + 1:04d}"
        if clip.empty[row]:
            yield writing.Skipped(name, "all joints are zero")
            continue
        joints3d = clip.joints3d[row]
        points = joints3d[:, :2] / joints3d[:, 2:] * 600 + INTRINSICS[2:]
        yield frames.example(
            source,
            None if segments is None else _PARTS[segments],
            box=_box(segments, points),
            keypoints=frames.by_name(_NAMES, points),
            joints3d=frames.by_name(_NAMES, joints3d),
            pose=clip.pose[row],
            betas=clip.betas[row],
            gender=clip.genders[row],
            intrinsics=INTRINSICS,
            dataset=NAME,
            example_id=name,
            topology="smpl",
        )


def select_frames(
    rules: str, joints3d: np.ndarray, empty: np.ndarray
) -> list[int]:
    """Selects frames of a clip.

    Args:
        rules: "smplr" or "bodynet".
        joints3d: (T, 24, 3) metres.
        empty: (T,) whether a frame has no joints.
    """
    if rules == "bodynet":
        # gulvarol/bodynet: fitting/fit_surreal.py
        return [-(-len(joints3d) // 2) - 1]
    selected: list[int] = []
    for row in np.flatnonzero(~empty).tolist():
        if selected:
            distances = np.linalg.norm(
                joints3d[row] - joints3d[selected[-1]], axis=1
            )
            if distances.mean() < MOVED_M:
                continue
        selected.append(row)
    return selected


def _clip(path: Path) -> _Clip:
    """Reads a clip's labels and mirrors them.

    Raises:
        ValueError: the file is damaged.
    """
    pose, betas, world, camera_location, z_rotations, gender = (
        _numbers(path, name)
        for name in ("pose", "shape", "joints3D", "camLoc", "zrot", "gender")
    )
    world = world.reshape(3, 24, -1).astype(np.float64)
    count = world.shape[-1]
    joints3d = np.einsum("ab,bjt->tja", TO_CAMERA, world)
    joints3d -= TO_CAMERA @ camera_location.astype(np.float64).reshape(3)
    rotvecs = pose.astype(np.float64).reshape(72, count).T.reshape(-1, 24, 3)
    return _Clip(
        _mirrored(rotvecs, z_rotations.astype(np.float64).reshape(count)),
        betas.reshape(10, count).T,
        joints3d[:, _SIDES],
        [genders.read(code, _GENDERS) for code in gender.reshape(count)],
        ~world.any(axis=(0, 1)),
    )


def _numbers(path: Path, name: str) -> np.ndarray:
    values = np.asarray(mat_files.read(path, name, "a clip's labels", SOURCE))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name} are no numbers.")
    return values


def _mirrored(rotvecs: np.ndarray, z_rotations: np.ndarray) -> np.ndarray:
    """Poses of the mirror image, the global rotation in the camera's frame.

    A body's points are R90 Rz(zrot) R(pose) x in the world. The points M x of
    the mirror image are transformed by TO_CAMERA R90 Rz R M, a rotation again.
    """
    poses = rotvecs[:, _SIDES] * (1, -1, -1)
    upright = Rotation.from_euler("x", np.pi / 2)
    heading = Rotation.from_euler("z", z_rotations[:, None])
    world_rotation = upright * heading * Rotation.from_rotvec(rotvecs[:, 0])
    camera_rotation = TO_CAMERA @ world_rotation.as_matrix() @ _MIRROR
    poses[:, 0] = Rotation.from_matrix(camera_rotation).as_rotvec()
    return poses


def _segments(video: Path, rows: list[int]) -> Iterator[np.ndarray | None]:
    """Yields (240, 320) labels of each frame, None without labels."""
    path = video.with_name(f"{video.stem}_segm.mat")
    for row in rows:
        try:
            segments = mat_files.read(
                path, f"segm_{row + 1}", "segments", SOURCE
            )
        except (ValueError, OSError):
            segments = None
        is_valid = (
            isinstance(segments, np.ndarray)
            and segments.shape == _SIZE[::-1]
            and segments.dtype.kind in "iu"
            and segments.max(initial=0) < len(_PARTS)
        )
        yield segments.astype(np.uint8) if is_valid else None


def _box(segments: np.ndarray | None, points: np.ndarray) -> crop.Box:
    if segments is not None and segments.any():
        return cv2.boundingRect((segments > 0).astype(np.uint8))
    if not np.isfinite(points).all():
        return (0, 0, 0, 0)
    return crop.box_of_keypoints(points, np.ones(len(points)), _ROOM)


def _part_table() -> np.ndarray:
    """(25,) uint8 that maps SURREAL's segments to one plus mirrored part14."""
    parts = body_parts.PARTS["part14"]
    table = np.zeros(25, np.uint8)
    for label, members in enumerate(parts.values(), start=1):
        for name in members:
            table[joints.SMPL24.index(joints.mirror_name(name)) + 1] = label
    return table


_PARTS = _part_table()
