"""UP-3D: photographs of LSP, LSP Extended and MPII with SMPL fits.

`train.txt`, `val.txt`, `trainval.txt` and `test.txt` list /00000_image.png
and so on; beside it 00000_joints.npy (2 or 3, 14) in the order of LSP,
00000_body.pkl of the fit: pose (72), betas (10), trans (3) and a camera rt, t
(3), f; 00000_fit_crop_info.txt: height and width of the fitted picture, and
y0, y1, x0, x1 of it in the photo; 00000_render_light.png, white but for the
body (classner/up: 3dfit/bodyfit.py, direct3d/tools/create_dataset.py;
nkolot/GraphCMR: datasets/preprocess/up_3d.py).
"""

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.formats import array_files, unpickle
from tf_hmr.geometry import crop
from training.data.formats import requirements
from training.data.readers import frames, writing

NAME = "up3d"
TOPOLOGY = "smpl"
WHOM = "http://up.is.tuebingen.mpg.de (UP-3D)"

_PEOPLE_PER_TASK = 16
_LIST_END = "_image.png"
# Without one of these a person is left out.
_PARTS = ("joints.npy", "body.pkl", "fit_crop_info.txt")
_WHITE = 255


@dataclasses.dataclass
class Options(writing.Options):
    """Reads UP-3D's people with the pose and shape of their SMPL fits.

    --root is the folder up-3d as it unpacks. The box is around the rendered
    fit, as GraphCMR has it, or around the joints where that is missing.
    """

    split: Literal["train", "val", "trainval", "test"] = "train"
    """One of the publisher's lists."""


class Task(NamedTuple):
    """Some of the people: the starts of their file names."""

    root: Path
    names: list[str]


def run(options: Options) -> None:
    """Makes the records."""
    path = options.root / f"{options.split}.txt"
    if not path.exists():
        raise requirements.missing_file(
            path, "the list of a split, of up-3d.zip", WHOM
        )
    lines = path.read_text(errors="replace").split()
    names = [line.removeprefix("/").removesuffix(_LIST_END) for line in lines]
    if not all(name.isdigit() for name in names):
        raise ValueError(
            f"{path} does not list pictures as /00000{_LIST_END}. Unpack "
            "up-3d.zip anew."
        )
    tasks = [
        Task(options.root, names[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(names), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """The people of a task."""
    for name in task.names:
        start = task.root / name
        missing = [end for end in _PARTS if not _part(start, end).is_file()]
        if missing:
            yield writing.Skipped(name, f"there is no ..._{missing[0]}")
            continue
        try:
            labels = _labels(start)
        except _Damaged as error:
            yield writing.Skipped(name, str(error))
        else:
            yield frames.example(
                start.with_name(f"{name}{_LIST_END}"),
                dataset=NAME,
                example_id=name,
                topology=TOPOLOGY,
                **labels,
            )


def _part(start: Path, end: str) -> Path:
    return start.with_name(f"{start.name}_{end}")


def _labels(start: Path) -> dict:
    path = functools.partial(_part, start)
    with _reading("joints"):
        xy, known = _joints(path("joints.npy"))
        found = {
            "keypoints": frames.by_name(joints.LSP14, xy, known),
            "box": _box(path("render_light.png"), xy),
        }
    with _reading("body"):
        body = unpickle.load(path("body.pkl"))
        found |= _fit(body)
        focal = float(body["f"])
    with _reading("fit's place in the photo"):
        found["intrinsics"] = _intrinsics(path("fit_crop_info.txt"), focal)
    return found


class _Damaged(Exception):
    """Says what is."""


@contextlib.contextmanager
def _reading(what: str):
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _Damaged(f"the {what} cannot be read") from error


def _fit(body: dict) -> dict:
    pose = np.array(body["pose"], np.float64).reshape(24, 3)
    turn = np.array(body["rt"], np.float64).reshape(3)
    whole = Rotation.from_rotvec(turn) * Rotation.from_rotvec(pose[0])
    pose[0] = whole.as_rotvec()
    betas = np.array(body["betas"], np.float64).reshape(-1)[:10].reshape(10)
    found = {"pose": pose, "betas": betas}
    # A turned camera moves the body about its pelvis, which is not stored.
    if not turn.any():
        moves = (np.array(body[part], np.float64) for part in ("trans", "t"))
        found["translation"] = sum(move.reshape(3) for move in moves)
    return found


def _joints(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(14, 2) pixels and (14,) flags; positive places where it has none."""
    found = array_files.read_npy(path, "joints (2 or 3, 14)", "")
    if found.shape not in ((2, 14), (3, 14)) or not np.isfinite(found).all():
        raise ValueError("joints are not (2 or 3, 14) numbers")
    known = found[2] > 0 if len(found) == 3 else (found > 0).all(axis=0)
    return found[:2].T, known


def _intrinsics(path: Path, focal: float) -> list[float]:
    """fx, fy, cx, cy of the photo; the fit's optical axis is its middle."""
    numbers = np.array(path.read_text(errors="replace").split(), np.float64)
    height, width, top, bottom, left, right = numbers
    scale = np.array([right - left, bottom - top]) / (width, height)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("the fit's place in the photo is empty")
    middle = np.array([width, height]) / 2
    centre = (middle + 0.5) * scale - 0.5 + (left, top)
    return [*(focal * scale), *centre]


def _box(path: Path, xy: np.ndarray) -> crop.Box:
    if path.exists():
        stored = np.frombuffer(path.read_bytes(), np.uint8)
        picture = (
            cv2.imdecode(stored, cv2.IMREAD_COLOR) if len(stored) else None
        )
        if picture is not None:
            body = (picture.min(axis=2) < _WHITE).astype(np.uint8)
            if body.any():
                return tuple(map(float, cv2.boundingRect(body)))
    return crop.box_of_keypoints(xy, np.ones(len(xy)))
