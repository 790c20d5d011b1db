"""Predictions files, by which the same code measures other systems.

An .npz of plain arrays, a row per example, in any order:

    example_id    (N,)          text, as the records call the person
    joints3d      (N, J, 3)     metres, x right, y down, z forward
    joint_names   (J,)          text, names of tf_hmr.joints
    rotmats       (N, 24, 3, 3) SMPL24, parent-relative, the first one global
    betas         (N, 10)
    vertices      (N, V, 3)     metres, in the frame of joints3d
    translation   (N, 3)        metres, from that frame to the camera's
    camera        (N, 3)        s, tx, ty in a square crop [-1, 1], and
    crop          (N, 4)        x, y, w, h of that crop, pixels of the record
    keypoints     (N, J, 2)     pixels of the record's image, of joint_names

All but the first are optional; a protocol's measures say what they need.
Where rotmats and betas are given without vertices, the body computes them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tf_hmr import joints
from tf_hmr.body.model import Body
from tf_hmr.formats import array_files, atomic
from training.data.formats import texts
from training.evaluation.protocol import Predictions

# The schema of the file does not depend on the body it is measured with.
_ROTMATS, _BETAS = len(joints.SMPL24), 10
_SHAPES = {
    "joints3d": ("J", 3),
    "rotmats": (_ROTMATS, 3, 3),
    "betas": (_BETAS,),
    "vertices": ("V", 3),
    "translation": (3,),
    "camera": (3,),
    "crop": (4,),
    "keypoints": ("J", 2),
}
_HELP = "See `python -m training.evaluate --help`."


class StoredPredictions:
    """The rows of a predictions file by example_id.

    Args:
        path: the .npz.

    Attributes:
        joint_names: of joints3d and keypoints; () where the file has neither.

    Raises:
        OSError: the file is missing.
        ValueError: it is damaged, an array has the wrong shape, a number is
            not finite, or an example_id is duplicated.
    """

    def __init__(self, path: Path):
        self._path = path
        expected = f"example_id and some of {sorted(_SHAPES)}"
        stored = array_files.read_npz(path, expected, _HELP)
        if "example_id" not in stored:
            raise ValueError(f"{path} has no example_id. {_HELP}")
        ids = list(map(texts.text, stored["example_id"].ravel()))
        self._rows = {example_id: row for row, example_id in enumerate(ids)}
        if len(self._rows) != len(ids):
            duplicate = next(x for i, x in enumerate(ids) if self._rows[x] != i)
            raise ValueError(f"{path} has the example_id {duplicate!r} twice.")
        self.joint_names = tuple(map(texts.text, stored.get("joint_names", ())))
        self._arrays = {
            name: stored[name] for name in _SHAPES if name in stored
        }
        for name, array in self._arrays.items():
            self._check(name, array, ids)

    def _check(self, name: str, array: np.ndarray, ids: list[str]) -> None:
        counts = {"J": len(self.joint_names), "V": array.shape[1:2]}
        shape = (len(ids), *(counts.get(n, n) for n in _SHAPES[name]))
        shape = tuple(n[0] if isinstance(n, tuple) else n for n in shape)
        if array.shape != shape or array.dtype.kind != "f":
            raise ValueError(
                f"{name} of {self._path} is {array.dtype} of the shape "
                f"{array.shape}, expected numbers {shape}: one row for each "
                f"example_id, joints as joint_names has them. {_HELP}"
            )
        finite = np.isfinite(array).reshape(len(ids), -1).all(axis=1)
        if not finite.all():
            bad = [ids[row] for row in np.flatnonzero(~finite)]
            raise ValueError(
                f"{name} of {self._path} is not finite for {len(bad)} "
                f"examples, the first {bad[0]!r}. Leave out who is not "
                "predicted: missing people are counted."
            )

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, example_id: str) -> bool:
        return example_id in self._rows

    def for_batch(
        self, batch: Mapping[str, np.ndarray], body: Body
    ) -> Predictions:
        """The predictions for a batch; all its people must be in the file."""
        rows = [
            self._rows[example_id.decode()]
            for example_id in batch["example_id"]
        ]
        fields = {name: array[rows] for name, array in self._arrays.items()}
        box = batch["stored_box"].astype(np.float64)
        crops = fields.pop("crop", box)
        if "camera" in fields:
            fields["camera"] = _in_crop(fields["camera"], crops, box)
        if "keypoints" in fields:
            edges = fields["keypoints"] + 0.5 - box[:, np.newaxis, :2]
            fields["keypoints"] = 2 * edges / box[:, np.newaxis, 2:] - 1
        if "joints3d" in fields:
            fields["joints"] = fields.pop("joints3d")
        if "vertices" not in fields and {"rotmats", "betas"} <= fields.keys():
            posed = body(fields["rotmats"], fields["betas"])
            fields["vertices"] = posed.vertices.numpy()
        return Predictions(**fields)

    def stream(
        self, dataset, body: Body
    ) -> Iterator[tuple[dict[str, np.ndarray], Predictions]]:
        """Batches of a dataset and the predictions for them."""
        for tensors in dataset:
            batch = {key: value.numpy() for key, value in tensors.items()}
            yield batch, self.for_batch(batch, body)


def _in_crop(camera, crops, boxes) -> np.ndarray:
    """Weak-perspective cameras of `crops`, converted to those of `boxes`."""
    scale = camera[:, :1] * crops[:, 2:3] / boxes[:, 2:3]
    middle = crops[:, :2] + crops[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2
    return np.concatenate(
        [scale, camera[:, 1:] + 2 * middle / (boxes[:, 2:] * scale)], axis=1
    )


class Recorder:
    """Collects predictions and writes them to a predictions file."""

    def __init__(self, joint_names: tuple[str, ...]):
        """Records joints in this order."""
        self._names = joint_names
        self._parts: list[dict[str, np.ndarray]] = []

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch; vertices only where pose or shape is missing."""
        box = batch["stored_box"][:, np.newaxis].astype(np.float64)
        part = {
            "example_id": np.array([x.decode() for x in batch["example_id"]]),
            "crop": batch["stored_box"],
            "joints3d": predictions.joints,
            "rotmats": predictions.rotmats,
            "betas": predictions.betas,
            "camera": predictions.camera,
            "translation": predictions.translation,
        }
        if predictions.keypoints is not None:
            edges = (predictions.keypoints + 1) / 2 * box[..., 2:] + box[
                ..., :2
            ]
            part["keypoints"] = edges - 0.5
        if predictions.rotmats is None or predictions.betas is None:
            part["vertices"] = predictions.vertices
        self._parts.append({k: v for k, v in part.items() if v is not None})

    def write(self, path: Path) -> None:
        """Writes the .npz atomically."""
        arrays = {
            name: np.concatenate([part[name] for part in self._parts])
            for name in self._parts[0]
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, joint_names=list(self._names), **arrays)
