"""Inputs of the methods: named tensors, one row per person.

A method names the inputs that it reads (`Method.input_names`); its caller fills
a dictionary of exactly these: the training pipeline from records,
`inference.recover` and edge/run.py from a photo and a box. An exported file's
card describes each input with the text below.
"""

import dataclasses

import numpy as np

from tf_hmr import joints


@dataclasses.dataclass(frozen=True)
class Input:
    """Shape and meaning of one input, for one person."""

    shape: tuple[int | str, ...]
    """Shape without the batch; "S" is the side of the crop in pixels."""
    meaning: str
    """Axes, units and frame, as the card of an export shows it."""


INPUTS: dict[str, Input] = {
    "image": Input(
        ("S", "S", 3), "RGB 0..255, rows from the top, the square crop"
    ),
    "box": Input(
        (4,),
        "x, y, width, height of the crop in pixels of the upright photo, from "
        "its top left edge; square, may reach outside",
    ),
    "image_size": Input((2,), "width, height of the upright photo in pixels"),
    "intrinsics": Input(
        (4,),
        "fx, fy, cx, cy of the crop's camera: keypoints = f xy / z + c, "
        "[-1, 1] from edge to edge, x right, y down, z forward",
    ),
    "landmarks": Input(
        (len(joints.BLAZEPOSE33), 7),
        "points of BlazePose (joints.BLAZEPOSE33), which MediaPipe's "
        "pose_landmark_full.tflite answers (python -m tf_hmr.landmark_files): "
        "x, y in [-1, 1] of the crop; x, y, z in metres about the hips, x "
        "right, y down, z forward; probabilities of being visible and of being "
        "inside the photo; all 0 where not known",
    ),
    "global_rotation": Input(
        (3, 3),
        "labelled rotation of the whole body, x right, y down, z forward; no "
        "photo has one: for experiments on labelled people",
    ),
    "depth": Input(
        (1,),
        "labelled distance of the body along the camera's axis, metres; no "
        "photo has one: for experiments on labelled people",
    ),
}
"""All inputs by name; float32, except the image of an exported file."""


def shape(name: str, image_size: int) -> tuple[int, ...]:
    """The shape of an input of one person.

    Args:
        name: a name of INPUTS.
        image_size: side of the method's crop in pixels.

    Raises:
        ValueError: there is no such input; the message lists them.
    """
    if name not in INPUTS:
        raise ValueError(
            f"There is no input {name!r}. A method may read: {[*INPUTS]}."
        )
    return tuple(
        image_size if size == "S" else size for size in INPUTS[name].shape
    )


def example(
    names: tuple[str, ...], image_size: int, count: int = 1
) -> dict[str, np.ndarray]:
    """Inputs of `count` people: black crops that are the whole photo.

    For callers that only need tensors of the right shapes, for example to make
    variables. No value is a zero that a method may divide by.

    Args:
        names: names of INPUTS.
        image_size: side S of the crops in pixels.
        count: rows B.

    Returns:
        (B, ...) float32 by name.

    Raises:
        ValueError: there is no such input.
    """
    side = float(image_size)
    values = {
        "box": [0.0, 0.0, side, side],
        "image_size": [side, side],
        # A focal length of the photo's longer side, in units of half a side.
        "intrinsics": [2.0, 2.0, 0.0, 0.0],
        "global_rotation": np.eye(3),
        "depth": [3.0],
    }
    return {
        name: np.broadcast_to(
            np.asarray(values.get(name, 0.0), np.float32),
            (count, *shape(name, image_size)),
        ).copy()
        for name in names
    }
