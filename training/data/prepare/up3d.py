"""UP-3D: photographs of LSP, LSP Extended and MPII with SMPL fits.

`train.txt`, `val.txt`, `trainval.txt` and `test.txt` list /00000_image.png
and so on; beside each image 00000_joints.npy (2 or 3, 14) in the order of LSP,
00000_body.pkl of the fit: pose (72), betas (10), trans (3) and a camera rt, t
(3), f; 00000_fit_crop_info.txt: height and width of the fitted image, and
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
from tf_hmr.formats import array_files, image_files, unpickle
from tf_hmr.geometry import crop
from training.data.formats import requirements
from training.data.readers import frames, writing

NAME = "up3d"
TOPOLOGY = "smpl"
SOURCE = "http://up.is.tuebingen.mpg.de (UP-3D)"

_PEOPLE_PER_TASK = 16
_IMAGE_SUFFIX = "_image.png"
# A person without one of these is skipped.
_REQUIRED_FILES = ("joints.npy", "body.pkl", "fit_crop_info.txt")
_WHITE = 255


@dataclasses.dataclass
class Options(writing.Options):
    """Reads UP-3D's people with the pose and shape of their SMPL fits.

    --root is the unpacked folder up-3d. The box is around the rendered fit,
    as in GraphCMR, or around the joints if that is missing.
    """

    split: Literal["train", "val", "trainval", "test"] = "train"
    """Split: one of the publisher's lists."""


class Task(NamedTuple):
    """Some of the people: prefixes of their file names."""

    root: Path
    names: list[str]


def run(options: Options) -> None:
    """Writes the records."""
    path = options.root / f"{options.split}.txt"
    if not path.exists():
        raise requirements.missing_file(
            path, "the list of a split, of up-3d.zip", SOURCE
        )
    lines = path.read_text(errors="replace").split()
    names = [
        line.removeprefix("/").removesuffix(_IMAGE_SUFFIX) for line in lines
    ]
    if not all(name.isdigit() for name in names):
        raise ValueError(
            f"{path} does not list pictures as /00000{_IMAGE_SUFFIX}. Unpack "
            "up-3d.zip anew."
        )
    tasks = [
        Task(options.root, names[start : start + _PEOPLE_PER_TASK])
        for start in range(0, len(names), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for name in task.names:
        prefix = task.root / name
        missing = [
            ending
            for ending in _REQUIRED_FILES
            if not _file_of(prefix, ending).is_file()
        ]
        if missing:
            yield writing.Skipped(name, f"there is no ..._{missing[0]}")
            continue
        try:
            labels = _labels(prefix)
        except _DamagedFile as error:
            yield writing.Skipped(name, str(error))
        else:
            yield frames.example(
                prefix.with_name(f"{name}{_IMAGE_SUFFIX}"),
                dataset=NAME,
                example_id=name,
                topology=TOPOLOGY,
                **labels,
            )


def _file_of(prefix: Path, ending: str) -> Path:
    return prefix.with_name(f"{prefix.name}_{ending}")


def _labels(start: Path) -> dict:
    path = functools.partial(_file_of, start)
    with _explain_errors("joints"):
        xy, labelled = _joints(path("joints.npy"))
        labels = {
            "keypoints": frames.by_name(joints.LSP14, xy, labelled),
            "box": _box(path("render_light.png"), xy),
        }
    with _explain_errors("body"):
        body = unpickle.load(path("body.pkl"))
        labels |= _fit(body)
        focal = float(body["f"])
    with _explain_errors("fit's place in the photo"):
        labels["intrinsics"] = _intrinsics(path("fit_crop_info.txt"), focal)
    return labels


class _DamagedFile(Exception):
    """Names the unreadable file."""


@contextlib.contextmanager
def _explain_errors(contents: str):
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _DamagedFile(f"the {contents} cannot be read") from error


def _fit(body: dict) -> dict:
    pose = np.array(body["pose"], np.float64).reshape(24, 3)
    camera_rotvec = np.array(body["rt"], np.float64).reshape(3)
    camera_rotation = Rotation.from_rotvec(camera_rotvec)
    global_rotation = camera_rotation * Rotation.from_rotvec(pose[0])
    pose[0] = global_rotation.as_rotvec()
    betas = np.array(body["betas"], np.float64).reshape(-1)[:10].reshape(10)
    labels = {"pose": pose, "betas": betas}
    # A rotated camera moves the body about its pelvis, which is not stored.
    if not camera_rotvec.any():
        translations = (
            np.array(body[key], np.float64) for key in ("trans", "t")
        )
        labels["translation"] = sum(
            translation.reshape(3) for translation in translations
        )
    return labels


def _joints(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(14, 2) pixels and (14,) flags; without flags, positive x and y count."""
    array = array_files.read_npy(path, "joints (2 or 3, 14)", "")
    if array.shape not in ((2, 14), (3, 14)) or not np.isfinite(array).all():
        raise ValueError("joints are not (2 or 3, 14) numbers")
    labelled = array[2] > 0 if len(array) == 3 else (array > 0).all(axis=0)
    return array[:2].T, labelled


def _intrinsics(path: Path, focal: float) -> list[float]:
    """fx, fy, cx, cy of the photo; the principal point is the fit's middle."""
    numbers = np.array(path.read_text(errors="replace").split(), np.float64)
    height, width, top, bottom, left, right = numbers
    scale = np.array([right - left, bottom - top]) / (width, height)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("the fit's place in the photo is empty")
    middle = np.array([width, height]) / 2
    centre = (middle + 0.5) * scale - 0.5 + (left, top)
    return [*(focal * scale), *centre]


def _box(path: Path, xy: np.ndarray) -> crop.Box:
    with contextlib.suppress(FileNotFoundError, image_files.BadImage):
        image = image_files.decode(path.read_bytes())
        body = (image.min(axis=2) < _WHITE).astype(np.uint8)
        if body.any():
            return tuple(map(float, cv2.boundingRect(body)))
    return crop.box_of_keypoints(xy, np.ones(len(xy)))
