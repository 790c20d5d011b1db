"""Predictions in a file: another system's, measured by the same code.

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
    keypoints     (N, J, 2)     pixels of the record's picture, of joint_names

Any of them may be missing but the first; a protocol says what it needs.
Where rotmats and betas are given and vertices are not, the body makes them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tf_hmr import joints
from tf_hmr.body.model import Body
from tf_hmr.formats import array_files
from training.evaluation.protocol import Predictions

# The file's schema, whatever body it is measured with.
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
_CURE = "See `python -m training.evaluate --help`."


class StoredPredictions:
    """The rows of a predictions file by example_id.

    Args:
        path: the .npz.

    Attributes:
        joint_names: of joints3d and keypoints; () without them.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged, an array has another shape, a number is
            not finite, or an example_id comes twice.
    """

    def __init__(self, path: Path):
        self._path = path
        expected = f"example_id and some of {sorted(_SHAPES)}"
        stored = array_files.read_npz(path, expected, _CURE)
        if "example_id" not in stored:
            raise ValueError(f"{path} has no example_id. {_CURE}")
        ids = [str(each) for each in stored["example_id"].ravel()]
        self._rows = {each: row for row, each in enumerate(ids)}
        if len(self._rows) != len(ids):
            twice = next(x for i, x in enumerate(ids) if self._rows[x] != i)
            raise ValueError(f"{path} has the example_id {twice!r} twice.")
        self.joint_names = tuple(map(str, stored.get("joint_names", ())))
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
                f"example_id, joints as joint_names has them. {_CURE}"
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

    def of(self, batch: Mapping[str, np.ndarray], body: Body) -> Predictions:
        """The predictions for the people of a batch, who must all be there."""
        rows = [self._rows[each.decode()] for each in batch["example_id"]]
        found = {name: array[rows] for name, array in self._arrays.items()}
        box = batch["stored_box"].astype(np.float64)
        crops = found.pop("crop", box)
        if "camera" in found:
            found["camera"] = _in_crop(found["camera"], crops, box)
        if "keypoints" in found:
            edges = found["keypoints"] + 0.5 - box[:, np.newaxis, :2]
            found["keypoints"] = 2 * edges / box[:, np.newaxis, 2:] - 1
        if "joints3d" in found:
            found["joints"] = found.pop("joints3d")
        if "vertices" not in found and {"rotmats", "betas"} <= found.keys():
            posed = body(found["rotmats"], found["betas"])
            found["vertices"] = posed.vertices.numpy()
        return Predictions(**found)

    def stream(
        self, dataset, body: Body
    ) -> Iterator[tuple[dict[str, np.ndarray], Predictions]]:
        """Batches of a dataset and the predictions for them."""
        for tensors in dataset:
            batch = {key: value.numpy() for key, value in tensors.items()}
            yield batch, self.of(batch, body)


def _in_crop(camera, crops, boxes) -> np.ndarray:
    """Weak cameras of `crops` as those of `boxes`."""
    scale = camera[:, :1] * crops[:, 2:3] / boxes[:, 2:3]
    middle = crops[:, :2] + crops[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2
    return np.concatenate(
        [scale, camera[:, 1:] + 2 * middle / (boxes[:, 2:] * scale)], axis=1
    )


class Recorder:
    """Collects predictions and writes them: tens of numbers a joint."""

    def __init__(self, joint_names: tuple[str, ...]):
        """Of joints in this order."""
        self._names = joint_names
        self._parts: list[dict[str, np.ndarray]] = []

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Notes a batch; vertices only where pose and shape are not given."""
        box = batch["stored_box"][:, np.newaxis].astype(np.float64)
        part = {
            "example_id": np.array([x.decode() for x in batch["example_id"]]),
            "crop": batch["stored_box"],
            "joints3d": found.joints,
            "rotmats": found.rotmats,
            "betas": found.betas,
            "camera": found.camera,
            "translation": found.translation,
        }
        if found.keypoints is not None:
            edges = (found.keypoints + 1) / 2 * box[..., 2:] + box[..., :2]
            part["keypoints"] = edges - 0.5
        if found.rotmats is None or found.betas is None:
            part["vertices"] = found.vertices
        self._parts.append({k: v for k, v in part.items() if v is not None})

    def write(self, path: Path) -> None:
        """Writes the .npz, whole or not at all."""
        arrays = {
            name: np.concatenate([part[name] for part in self._parts])
            for name in self._parts[0]
        }
        aside = path.with_name(f"part.{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.savez_compressed(file, joint_names=list(self._names), **arrays)
        aside.replace(path)
