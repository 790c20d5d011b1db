"""Published SMPL parameters fitted to Human3.6M.

MoSh, as HMR and SPIN trained on it: `S1/Directions 1_cam0_aligned.pkl` with
`new_poses` (N, 72), ten per second, and `betas` (10,). Its people are upside
down, in these files (open-mmlab/mmhuman3d:
mmhuman3d/data/data_converters/h36m.py) as in HMR's TFRecords (akanazawa/hmr:
issue 50): `turn_upright` multiplies their global rotation by half a turn about
x from the right. No longer offered for download.

NeuralAnnot: `Human36M_subject1_SMPL_NeuralAnnot.json`, from action, subaction
and frame to pose, shape and trans in the world, with the cameras in
`Human36M_subject1_camera.json`, R and others by number 1 to 4
(mks0601/I2L-MeshNet_RELEASE: data/Human36M/Human36M.py). The dataset's
metadata.xml maps sequences to actions (anibali/h36m-fetch: metadata.py).
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr.formats import json_files, unpickle
from training.data.formats import requirements

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
_MAX_ABS = 1e6
MOSH_STEP = 5  # video frames per pose of MoSh

_HALF_TURN = Rotation.from_rotvec([np.pi, 0, 0])
_TRIALS = 32  # rows of metadata.xml that name sequences


class Fit(NamedTuple):
    """Bodies of n frames.

    pose (n, 72), the first rotation in the camera's frame; betas (n, 10);
    available (n,) bool, whether the frame has a body.
    """

    pose: np.ndarray
    betas: np.ndarray
    available: np.ndarray


def mosh(
    folder: Path, subject: str, name: str, camera: str, numbers: Sequence[int]
) -> Fit | None:
    """MoSh's bodies of frames of a video; None if the file is missing.

    Args:
        folder: folder that holds S1, S5, ...
        subject: for example S1.
        name: name of the sequence, for example "Directions 1".
        camera: id of the camera.
        numbers: frame numbers.

    Raises:
        ValueError: the file is damaged.
    """
    file = f"{name}_cam{CAMERAS.index(camera)}_aligned.pkl"
    path = folder / subject / file
    if not path.exists():
        return None
    content = unpickle.load(path)
    pose = np.asarray(content.get("new_poses", content.get("poses", ())))
    betas = np.ravel(content.get("betas", ()))
    if pose.ndim != 2 or pose.shape[1] != 72 or len(betas) < 10:
        raise ValueError(
            f"{path} holds new_poses {pose.shape} and betas {betas.shape}, "
            "expected (N, 72) and (10,). Is it a file of MoSh's neutral SMPL?"
        )
    # Larger values, in damaged files, overflow when they are squared.
    if not (np.abs(pose.astype(np.float64)) < _MAX_ABS).all():
        raise ValueError(
            f"{path} holds poses that are no angles. It may be damaged; copy "
            "it again."
        )
    rows = np.asarray(numbers) // MOSH_STEP
    available = rows < len(pose)  # it may be a little shorter than the video
    frame_pose = pose[np.minimum(rows, len(pose) - 1)].astype(np.float64)
    frame_pose = turn_upright(frame_pose)
    return Fit(frame_pose, np.tile(betas[:10], (len(rows), 1)), available)


def turn_upright(pose: np.ndarray) -> np.ndarray:
    """Poses of MoSh's files with the global rotation that they mean.

    Args:
        pose: (N, 72) rotation vectors; the bodies are upside down.

    Returns:
        (N, 72) float64: the global rotation times half a turn about x from
        the right, the other joints as they are.
    """
    upright = np.array(pose, np.float64)
    global_rotation = Rotation.from_rotvec(upright[:, :3]) * _HALF_TURN
    upright[:, :3] = global_rotation.as_rotvec()
    return upright


class NeuralAnnot:
    """NeuralAnnot's bodies of one subject."""

    def __init__(self, folder: Path, metadata: Path, subject: str):
        """Reads the subject's files.

        Args:
            folder: folder of the json files.
            metadata: path of the dataset's metadata.xml.
            subject: for example S1.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged.
        """
        source = "the authors of NeuralAnnot (github.com/mks0601/NeuralAnnot)"
        prefix = f"Human36M_subject{subject.removeprefix('S')}"
        fits = folder / f"{prefix}_SMPL_NeuralAnnot.json"
        self._fits = _json(fits, "the fitted SMPL parameters", source)
        cameras = folder / f"{prefix}_camera.json"
        self._cameras = _json(cameras, "the cameras of the annotations", source)
        self._actions = _actions(metadata, subject)
        self._path = fits

    def __call__(self, name: str, camera: str, numbers: Sequence[int]) -> Fit:
        """Bodies of frames of a video; for the arguments see mosh().

        Raises:
            ValueError: the entries have an unexpected form.
        """
        try:
            number = str(CAMERAS.index(camera) + 1)
            matrix = np.reshape(self._cameras[number]["R"], (3, 3))
            if not (np.abs(matrix) < _MAX_ABS).all():
                raise ValueError("R is no rotation")
            camera_rotation = Rotation.from_matrix(matrix)
            action, subaction = self._actions.get(name, ("", ""))
            frames = self._fits.get(action, {}).get(subaction, {})
            available = np.array([str(n) in frames for n in numbers])
            pose = np.zeros((len(available), 72))
            betas = np.zeros((len(available), 10))
            for row in np.flatnonzero(available):
                fit = frames[str(numbers[row])]
                pose[row] = np.reshape(fit["pose"], 72)
                betas[row] = np.reshape(fit["shape"], 10)
            if not (np.abs(pose) < _MAX_ABS).all():
                raise ValueError("a pose is no angles")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{self._path} or the cameras beside it have an unexpected "
                f"form ({error!r}): expected pose (72), shape (10) by action, "
                "subaction and frame, and R (3, 3) of cameras 1 to 4."
            ) from error
        global_rotation = camera_rotation * Rotation.from_rotvec(pose[:, :3])
        pose[:, :3] = global_rotation.as_rotvec()
        return Fit(pose, betas, available)


def _actions(path: Path, subject: str) -> dict[str, tuple[str, str]]:
    """(action, subaction) of each sequence of a subject, by name."""
    if not path.exists():
        raise requirements.missing_file(
            path, "the names of all sequences, of the code", "the authors"
        )
    try:
        rows = [
            [cell.text for cell in row]
            for row in ET.parse(path).getroot().find("mapping")
        ]
        column = rows[0].index(subject)
        actions = {row[column]: (row[0], row[1]) for row in rows[1:_TRIALS]}
    except (ET.ParseError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{path} could not be read ({error!r}), expected the metadata of "
            "Human3.6M: a table `mapping` with a column per subject."
        ) from error
    return actions


def _json(path: Path, contents: str, source: str) -> dict:
    if not path.exists():
        raise requirements.missing_file(path, contents, source)
    try:
        return dict(json_files.read(path))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}), expected {contents}. Fetch it again."
        ) from error
