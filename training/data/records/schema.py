"""The record schema: one labelled person per tf.train.Example, in TFRecords.

Arrays are float32; the K joints are those of joints.KEYPOINTS; pixel centres
are integers.

TensorFlow is imported inside the functions that need it: processes that only
make examples (render workers) import this module, and TensorFlow costs them
seconds and hundreds of megabytes each.
"""

import dataclasses
import logging
from typing import Any

import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from tf_hmr.formats import openpose_files
from tf_hmr.geometry import crop

SCHEMA = 1  # raised when a stored field changes its meaning
NUM_JOINTS, NUM_BETAS = len(joints.SMPL24), 10
"""Of a stored pose and shape: SMPL's, whatever body a method has."""
_K = len(joints.KEYPOINTS)
ARRAYS = {
    "box": (4,),
    "keypoints": (_K, 3),
    "joints3d": (_K, 4),
    "pose": (3 * NUM_JOINTS,),
    "betas": (NUM_BETAS,),
    "translation": (3,),
    "intrinsics": (4,),
}
OPTIONAL = {
    "original_size": (2,),
    "cut": (4,),
    "landmarks": (len(joints.BLAZEPOSE33), 7),
    "openpose": (len(openpose_files.BODY25), 3),
}
"""Arrays that are stored only when set; where missing they are read as 0."""
ALL_ARRAYS = ARRAYS | OPTIONAL
GENDERS = ("neutral", "female", "male")
TEXTS = ("gender", "dataset", "example_id", "topology")
LATER_TEXTS = ("part_set", "facts")  # Stored when set; "" in old records.
IMAGES = ("image", "parts")
SIZES = ("height", "width")
LABELS = ("keypoints", "joints3d", "pose", "betas", "parts")
FLAGS = tuple(f"has_{label}" for label in LABELS)
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
            origin: align the roots before comparing.
        pose: (72,) rotation vectors, parent-relative, the first one global in
            the camera frame; SMPL24 order.
        betas: (10,) shape coefficients of the body named by `topology`.
        gender: "neutral", "female" or "male".
        parts: PNG bytes of a label image as large as `image`: 0 background,
            otherwise one plus the label of `part_set`; empty when not known.
        translation: (3,) of the body in the camera frame, metres.
        intrinsics: (4,) fx, fy, cx, cy in pixels.
        original_size: (2,) width and height in pixels of the larger image
            that `image` was cut out of; None where it was not cut.
        cut: (4,) x, y, w, h of `image` in pixels of the larger one, edges.
        landmarks: (33, 7) points of BlazePose as method_inputs.INPUTS says,
            but x and y in pixels of `image`.
        openpose: (25, 3) OpenPose's detections in the order of
            openpose_files.BODY25: x, y in pixels and confidence, 0 where not
            detected. Evidence for SMPLify's fits alone, and no label.
        dataset, example_id: its origin; the pair is unique.
        topology: tag of the body that pose, betas and parts belong to.
        part_set: key of body_parts.PARTS if people drew the parts: then those
            are codes of part_codes. Empty for part14 of a rendered body.
        facts: json of entries that only this dataset's protocol reads.
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
    original_size: np.ndarray | None = None
    cut: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    openpose: np.ndarray | None = None
    dataset: str = ""
    example_id: str = ""
    topology: str = ""
    part_set: str = ""
    facts: str = ""

    def __post_init__(self) -> None:
        for name, shape in ALL_ARRAYS.items():
            if getattr(self, name) is None:
                continue
            value = np.asarray(getattr(self, name), np.float32)
            if name == "pose":  # (24, 3) is welcome too
                value = value.reshape(-1)
            if value.shape != shape:
                raise ValueError(
                    f"Example {self.example_id!r}: {name} has the shape "
                    f"{value.shape}, expected {shape}."
                )
            setattr(self, name, value)

    def has(self, label: str) -> bool:
        """Whether `label` (keypoints, joints3d, pose, betas, parts) is set."""
        value = getattr(self, label)
        return value is not None and len(value) > 0


def check(example: Example) -> None:
    """Refuses an example that would poison training.

    Raises:
        ValueError: naming the example and what is wrong with it.
    """
    try:
        crop.check_box(example.box, (example.width, example.height))
        problem = _find_problem(example)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ValueError(
            f"Example {example.dataset!r} {example.example_id!r} is not "
            f"written: {problem}."
        )


def _find_problem(example: Example) -> str:
    for name in ALL_ARRAYS:
        value = getattr(example, name)
        if value is None:
            continue
        if not np.isfinite(value).all():
            return f"{name} is not finite (store 0 with a flag of 0)"
        if (
            name in ARRAYS
            and value.ndim > 1
            and not np.isin(value[:, -1], (0, 1)).all()
        ):
            return f"the flags in {name} are not 0 or 1"
    if example.image[:2] != b"\xff\xd8":
        return "image does not hold the bytes of a JPEG"
    if example.parts and example.parts[:4] != b"\x89PNG":
        return "parts does not hold the bytes of a PNG"
    if not example.example_id or not example.dataset:
        return "dataset and example_id must name it"
    if example.gender not in GENDERS:
        return f"gender is {example.gender!r}, expected one of {GENDERS}"
    if example.part_set not in ("", *body_parts.PARTS):
        return "part_set is no division of the body"
    topology_labels = (
        ("pose", "betas") if example.part_set else ("pose", "betas", "parts")
    )
    if any(map(example.has, topology_labels)) and not example.topology:
        return "pose, betas and parts need the topology tag of their body"
    return ""


def encode(example: Example) -> bytes:
    """Serializes the example as a tf.train.Example.

    Raises:
        ValueError: the example does not pass check().
    """
    check(example)
    return _serialize(example)


def blank() -> bytes:
    """A record without image or labels, in place of a damaged one."""
    return _serialize(Example(b"", 0, 0, np.zeros(4)))


def _serialize(example: Example) -> bytes:
    import tensorflow as tf

    record = tf.train.Example()
    feature = record.features.feature
    for name, shape in ARRAYS.items():
        value = getattr(example, name)
        value = np.zeros(shape, np.float32) if value is None else value
        feature[name].float_list.value.extend(value.ravel().tolist())
    for name in OPTIONAL:
        value = getattr(example, name)
        if value is not None:
            feature[name].float_list.value.extend(value.ravel().tolist())
    for name in TEXTS + IMAGES:
        value = getattr(example, name)
        value = value.encode() if name in TEXTS else value
        feature[name].bytes_list.value.append(value)
    for name in LATER_TEXTS:
        if getattr(example, name):
            feature[name].bytes_list.value.append(
                getattr(example, name).encode()
            )
    for name in SIZES:
        feature[name].int64_list.value.append(getattr(example, name))
    for flag, label in zip(FLAGS, LABELS, strict=True):
        feature[flag].int64_list.value.append(int(example.has(label)))
    # Protobuf's maps have no order of their own: equal people, equal bytes.
    return record.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> Example:
    """The numpy inverse of encode(); for tests and tools, not for speed."""
    import tensorflow as tf

    feature = tf.train.Example.FromString(serialized).features.feature
    values: dict[str, Any] = {}
    for name, shape in ARRAYS.items():
        value = np.array(feature[name].float_list.value, np.float32)
        values[name] = value.reshape(shape)
    for name, shape in OPTIONAL.items():
        if feature[name].float_list.value:
            value = np.array(feature[name].float_list.value, np.float32)
            values[name] = value.reshape(shape)
    for name in TEXTS + IMAGES:
        value = feature[name].bytes_list.value[0]
        values[name] = value.decode() if name in TEXTS else value
    for name in LATER_TEXTS:
        values[name] = b"".join(feature[name].bytes_list.value).decode()
    for name in SIZES:
        values[name] = feature[name].int64_list.value[0]
    for flag, label in zip(FLAGS, LABELS, strict=True):
        if label in ARRAYS and not feature[flag].int64_list.value[0]:
            values[label] = None
    if not values["intrinsics"].any():
        values["intrinsics"] = None
    return Example(**values)
