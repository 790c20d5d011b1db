"""The record schema: one labelled person per tf.train.Example, in TFRecords.

A records folder holds `SPLIT-00000.tfrecord`, ..., the end and the checksum
of their records in `SPLIT-00000.index.npy`, ..., a `report.json` that says
what is in it, and, where unpaired poses exist, a `prior.npz`. Arrays are
float32; the K joints are those of joints.KEYPOINTS; pixel centres are integers.

TensorFlow is imported inside the functions that need it: processes that only
make examples (render workers) import this module, and TensorFlow costs them
seconds and hundreds of megabytes each.
"""

import dataclasses
import json
import logging
import os
import pathlib
import zlib
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import crop, joints

SCHEMA = 1  # raised when a stored field changes its meaning
SHARD_SIZE = 1000
# A TFRecord puts a length of 8 bytes and that length's checksum of 4 before
# the bytes, and their checksum of 4 behind (tsl/lib/io/record_writer.h).
FRAMING = 16
_K = len(joints.KEYPOINTS)
_ARRAYS = {
    "box": (4,),
    "keypoints": (_K, 3),
    "joints3d": (_K, 4),
    "pose": (72,),
    "betas": (10,),
    "translation": (3,),
    "intrinsics": (4,),
}
_TEXTS = ("gender", "dataset", "example_id", "topology")
_IMAGES = ("image", "parts")
_SIZES = ("height", "width")
_FLAGS = {
    "has_keypoints": "keypoints",
    "has_joints3d": "joints3d",
    "has_pose": "pose",
    "has_betas": "betas",
    "has_parts": "parts",
}
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Example:
    """One person in one image; a label that is not known stays None.

    Attributes:
        image: the bytes of a JPEG.
        height, width: its size in pixels.
        box: (4,) x, y, w, h of the person in pixels, edges (camera.py).
        keypoints: (K, 3) x, y in pixels and visibility 0 or 1.
        joints3d: (K, 4) metres in the camera frame, and valid 0 or 1. Any
            origin: who compares them aligns the roots first.
        pose: (72,) rotation vectors, parent-relative, the first one global in
            the camera frame; SMPL24 order.
        betas: (10,) shape coefficients of the body named by `topology`.
        gender: "neutral", "female" or "male".
        parts: PNG bytes of a label image as large as `image`: 0 background,
            otherwise one plus the part14 label; empty when not known.
        translation: (3,) of the body in the camera frame, metres.
        intrinsics: (4,) fx, fy, cx, cy in pixels.
        dataset, example_id: where it comes from; the pair is unique.
        topology: tag of the body that pose, betas and parts belong to.
    """

    image: bytes
    height: int
    width: int
    box: np.ndarray
    keypoints: np.ndarray | None = None
    joints3d: np.ndarray | None = None
    pose: np.ndarray | None = None
    betas: np.ndarray | None = None
    gender: str = "neutral"
    parts: bytes = b""
    translation: np.ndarray | None = None
    intrinsics: np.ndarray | None = None
    dataset: str = ""
    example_id: str = ""
    topology: str = ""

    def __post_init__(self) -> None:
        for name, shape in _ARRAYS.items():
            value = getattr(self, name)
            if value is not None:
                value = np.asarray(value, np.float32)
                if name in ("pose", "betas"):
                    value = value.reshape(-1)
                setattr(self, name, value)
                if value.shape != shape:
                    raise ValueError(
                        f"Example {self.example_id!r}: {name} has the shape "
                        f"{value.shape}, expected {shape}."
                    )

    def has(self, label: str) -> bool:
        """Whether `label` (keypoints, joints3d, pose, betas, parts) is set."""
        value = getattr(self, label)
        return value is not None and len(value) > 0


def check(example: Example) -> None:
    """Refuses an example that would poison training.

    Raises:
        ValueError: naming the example and what is wrong with it.
    """
    wrong = None
    for name in _ARRAYS:
        value = getattr(example, name)
        if value is not None and not np.isfinite(value).all():
            wrong = f"{name} is not finite (store 0 with a flag of 0)"
    for name in ("keypoints", "joints3d"):
        value = getattr(example, name)
        if value is not None and not np.isin(value[:, -1], (0, 1)).all():
            wrong = f"the flags in {name} are not 0 or 1"
    if example.image[:2] != b"\xff\xd8":
        wrong = "image does not hold the bytes of a JPEG"
    elif example.parts and example.parts[:4] != b"\x89PNG":
        wrong = "parts does not hold the bytes of a PNG"
    elif not example.example_id or not example.dataset:
        wrong = "dataset and example_id must name it"
    elif not example.topology and (
        example.has("pose") or example.has("betas") or example.has("parts")
    ):
        wrong = "pose, betas and parts need the body's topology tag"
    try:
        crop.check_box(example.box, (example.width, example.height))
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ValueError(
            f"Example {example.dataset!r} {example.example_id!r} is not "
            f"written: {wrong}."
        )


def encode(example: Example) -> bytes:
    """The example as a serialized tf.train.Example.

    Raises:
        ValueError: the example does not pass check().
    """
    check(example)
    return _serialize(example)


def blank() -> bytes:
    """A record without image or labels, for the place of a damaged one."""
    return _serialize(Example(b"", 0, 0, np.zeros(4)))


def _serialize(example: Example) -> bytes:
    import tensorflow as tf

    record = tf.train.Example()
    feature = record.features.feature
    for name, shape in _ARRAYS.items():
        value = getattr(example, name)
        value = np.zeros(shape, np.float32) if value is None else value
        feature[name].float_list.value.extend(value.ravel().tolist())
    for name in _TEXTS:
        text = getattr(example, name).encode()
        feature[name].bytes_list.value.append(text)
    for name in _IMAGES:
        feature[name].bytes_list.value.append(getattr(example, name))
    for name in _SIZES:
        feature[name].int64_list.value.append(getattr(example, name))
    for flag, label in _FLAGS.items():
        feature[flag].int64_list.value.append(int(example.has(label)))
    return record.SerializeToString()


def decode(serialized: bytes) -> Example:
    """The numpy inverse of encode(); for tests and tools, not for speed."""
    import tensorflow as tf

    feature = tf.train.Example.FromString(serialized).features.feature
    values: dict[str, Any] = {}
    for name, shape in _ARRAYS.items():
        value = np.array(feature[name].float_list.value, np.float32)
        values[name] = value.reshape(shape)
    for name in _TEXTS:
        values[name] = feature[name].bytes_list.value[0].decode()
    for name in _IMAGES:
        values[name] = feature[name].bytes_list.value[0]
    for name in _SIZES:
        values[name] = feature[name].int64_list.value[0]
    for flag, label in _FLAGS.items():
        if label in _ARRAYS and not feature[flag].int64_list.value[0]:
            values[label] = None
    if not values["intrinsics"].any():
        values["intrinsics"] = None
    return Example(**values)


def parse(serialized: Any) -> dict[str, Any]:
    """Parses a vector (B,) of serialized records, in a TensorFlow graph.

    Returns:
        Tensors by field name: arrays (B, ...) float32, strings (B,), sizes
        (B,) int64, and has_keypoints, has_joints3d, has_pose, has_betas,
        has_parts (B,) float32.
    """
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature(shape, tf.float32)
        for name, shape in _ARRAYS.items()
    }
    for name in _TEXTS + _IMAGES:
        spec[name] = tf.io.FixedLenFeature((), tf.string)
    for name in (*_SIZES, *_FLAGS):
        spec[name] = tf.io.FixedLenFeature((), tf.int64)
    fields = tf.io.parse_example(serialized, spec)
    for flag in _FLAGS:
        fields[flag] = tf.cast(fields[flag], tf.float32)
    return fields


class Writer:
    """Writes one split of a records folder, shard by shard.

    A shard gets its name only when it is whole (written aside, then renamed),
    and report.json is written last: a killed run leaves no half file that a
    reader could take for a whole one. Shards of an unfinished earlier run are
    removed; a finished split is never overwritten.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        shard_size: int = SHARD_SIZE,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.split = split
        self.shard_size = shard_size
        self.counts: list[int] = []
        self._file, self._dataset, self._topology = None, "", ""
        self._index: list[tuple[int, int]] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        self._report = {}
        if (self.folder / "report.json").exists():
            self._report = read_report(self.folder)
        if split in self._report.get("splits", {}):
            raise FileExistsError(
                f"{self.folder} already holds a finished split {split!r}. "
                "Delete the folder, or write to another one."
            )
        for left in self.folder.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].*"):
            _log.warning("removing %s of an unfinished run", left)
            left.unlink()

    def write(self, example: Example) -> None:
        """Encodes and appends one example.

        Raises:
            ValueError: the example is bad (see check), or belongs to another
                body than the ones before it.
        """
        serialized = encode(example)
        self._dataset = self._dataset or example.dataset
        expected = self._topology or self._report.get("topology", "")
        if expected and example.topology not in ("", expected):
            raise ValueError(
                f"{self.folder} holds labels of the body {expected!r}; example "
                f"{example.example_id!r} has {example.topology!r}. One folder "
                "holds one body."
            )
        self._topology = expected or example.topology
        if self._file is None:
            import tensorflow as tf

            self._file = tf.io.TFRecordWriter(f"{self._shard()}.tmp")
            self.counts.append(0)
        start = self._index[-1][0] if self._index else 0
        end = start + FRAMING + len(serialized)
        self._index.append((end, zlib.crc32(serialized)))
        self._file.write(serialized)
        self.counts[-1] += 1
        if self.counts[-1] == self.shard_size:
            self._close()

    def finish(self, seed: int | None = None, command: str = "") -> dict:
        """Closes the last shard, writes report.json and returns it."""
        self._close()
        if not self.counts:
            raise ValueError(f"No example was written to {self.folder}.")
        splits = dict(self._report.get("splits", {}))
        splits[self.split] = {
            "count": sum(self.counts),
            "shards": self.counts,
            "seed": seed,
            "command": command,
        }
        report = {
            "schema": SCHEMA,
            "dataset": self._dataset,
            "topology": self._topology,
            "joint_names": list(joints.KEYPOINTS),
            "splits": splits,
        }
        _replace(
            self.folder / "report.json",
            lambda path: path.write_text(json.dumps(report, indent=1) + "\n"),
        )
        return report

    def _shard(self) -> pathlib.Path:
        number = len(self.counts) - (self._file is not None)
        return self.folder / f"{self.split}-{number:05d}.tfrecord"

    def _close(self) -> None:
        if self._file is not None:
            path = self._shard()
            self._file.close()
            np.save(index_path(path), np.array(self._index, np.int64))
            os.replace(f"{path}.tmp", path)
            self._file, self._index = None, []


def index_path(shard: pathlib.Path) -> pathlib.Path:
    """The file of a shard's index: (n, 2) end of each record, its crc32."""
    return shard.with_suffix(".index.npy")


def _replace(path: pathlib.Path, write: Any) -> None:
    aside = path.with_name(f"{path.stem}.tmp{path.suffix}")
    write(aside)
    os.replace(aside, path)


def read_report(folder: str | os.PathLike) -> dict:
    """The report.json of a records folder.

    Raises:
        FileNotFoundError: no folder, or records that were never finished.
        ValueError: records of another version.
    """
    folder = pathlib.Path(folder)
    cure = f"Make them with: python -m training.prepare {folder.name} ..."
    if not folder.is_dir():
        raise FileNotFoundError(
            f"No records of the dataset {folder.name!r}: {folder} does not "
            f"exist. {cure} --out {folder}"
        )
    path = folder / "report.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{folder} has no report.json: its preparation was not finished, "
            f"or it is no records folder. {cure} --out {folder}"
        )
    report = json.loads(path.read_text())
    expected = {"schema": SCHEMA, "joint_names": list(joints.KEYPOINTS)}
    for key, value in expected.items():
        if report.get(key) != value:
            raise ValueError(
                f"{path} was written by another version: {key} is "
                f"{report.get(key)}, expected {value}. Delete the folder. "
                f"{cure} --out {folder}"
            )
    return report


class Prior(NamedTuple):
    """Unpaired real poses (N, 72), shapes (N, 10) and their body's tag."""

    pose: np.ndarray
    betas: np.ndarray
    topology: str


def write_prior(
    folder: str | os.PathLike,
    pose: np.ndarray,
    betas: np.ndarray,
    topology: str,
) -> None:
    """Writes prior.npz: poses as in Example, the global rotation unused.

    Raises:
        ValueError: wrong shapes, or values that are not finite.
    """
    pose = np.asarray(pose, np.float32).reshape(len(pose), -1)
    betas = np.asarray(betas, np.float32)
    if pose.shape[1:] != (72,) or betas.shape != (len(pose), 10):
        raise ValueError(
            f"Expected pose (N, 72) and betas (N, 10), received {pose.shape} "
            f"and {betas.shape}."
        )
    if not (np.isfinite(pose).all() and np.isfinite(betas).all()):
        raise ValueError("The prior's poses or betas are not finite.")
    _replace(
        pathlib.Path(folder) / "prior.npz",
        lambda path: np.savez(path, pose=pose, betas=betas, topology=topology),
    )


def read_prior(folder: str | os.PathLike) -> Prior:
    """Reads prior.npz of a records folder.

    Raises:
        FileNotFoundError: the folder has no prior.
    """
    path = pathlib.Path(folder) / "prior.npz"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: {folder} has no unpaired poses for the "
            "adversary. Choose another data.prior, or prepare this dataset "
            "again."
        )
    with np.load(path) as file:
        return Prior(file["pose"], file["betas"], str(file["topology"]))
