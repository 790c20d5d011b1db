"""Silhouettes and six parts annotated on LSP's images: UPi-S1h.

`im1001_segmentation.png`, 0 off the person, and
`im1001_part_segmentation.png`, 0 background, 1 to 6 a part, 255 not judged
(nkolot/SPIN: datasets/preprocess/lsp_dataset.py). The parts have the order in
which SPIN renders predictions to compare (nkolot/GraphCMR:
data/cube_parts.npy with vertex_texture.npy); classner/up uses another order in
its own code, so `check_sides` compares the parts with the joints.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from tf_hmr.formats import image_files
from training.data.pipeline import pixels
from training.data.records import part_codes

PART_SET = "part6"
SOURCE = "http://files.is.tuebingen.mpg.de/classner/up (UPi-S1h)"

_CODES = ("left_arm", "right_arm", "head", "left_leg", "right_leg", "torso")
_LIMBS = {
    f"{side}_{joint}": f"{side}_{part}"
    for side in ("left", "right")
    for joint, part in (
        ("wrist", "arm"),
        ("elbow", "arm"),
        ("knee", "leg"),
        ("ankle", "leg"),
    )
}
_PEOPLE_CHECKED = 50
_MIN_AGREEMENT = 0.5


def read(folder: Path, number: int) -> np.ndarray | None:
    """Reads the part labels of an image as records store them.

    Args:
        folder: folder upi-s1h/data/lsp.
        number: number of the image, from 1.

    Returns:
        (H, W) uint8, codes of part_codes; None if the image has no files.

    Raises:
        pixels.BadImage: a file is damaged, or the two differ in size.
    """
    names = ("segmentation", "part_segmentation")
    paths = [folder / f"im{number:04d}_{name}.png" for name in names]
    if not all(path.exists() for path in paths):
        return None
    mask, codes = (_decode(path) for path in paths)
    if mask.shape != codes.shape:
        raise pixels.BadImage("silhouette and parts differ in size")
    if not np.isin(codes, (*range(len(_CODES) + 1), 255)).all():
        raise pixels.BadImage("parts hold other labels than 0 to 6 and 255")
    part_names = tuple(body_parts.PARTS[PART_SET])
    table = np.zeros(256, np.uint8)
    for code, name in enumerate(_CODES, start=1):
        table[code] = part_names.index(name) + 1
    table[255] = part_codes.IGNORE
    return part_codes.merge(mask > 0, table[codes])


def check_sides(
    folder: Path, numbers: Iterable[int], labels: np.ndarray
) -> None:
    """Checks that the parts of left and right agree with the joints.

    Args:
        folder: folder upi-s1h/data/lsp.
        numbers: numbers of the images, from 1.
        labels: (N, 14, 3) from lsp_files.read_joints.

    Raises:
        FileNotFoundError: the folder holds no parts.
        ValueError: most limbs lie in parts of another name.
    """
    names = tuple(body_parts.PARTS[PART_SET])
    people = matching = compared = 0
    for number, person in zip(numbers, labels, strict=True):
        try:
            parts = read(folder, number)
        except pixels.BadImage:
            continue
        if parts is None:
            continue
        people += 1
        for limb, part in _LIMBS.items():
            x, y, hidden = person[joints.LSP14.index(limb)]
            labels = part_codes.parts(parts)
            label = 0 if hidden else _label_at(labels, x, y)
            # A torso in front of the limb tells nothing about sides.
            if 0 < label <= len(names) and names[label - 1] != "torso":
                compared += 1
                matching += names[label - 1] == part
        if people == _PEOPLE_CHECKED:
            break
    if not people:
        raise FileNotFoundError(
            f"{folder} holds no im1001_segmentation.png and "
            "im1001_part_segmentation.png or later ones: silhouettes and parts "
            f"of LSP's people. Request UPi-S1h from {SOURCE}, and pass its "
            "folder upi-s1h/data/lsp as --parts with --split test."
        )
    if matching < _MIN_AGREEMENT * compared:
        raise ValueError(
            f"{folder}: of {compared} wrists, elbows, knees and ankles of "
            f"{people} people only {matching} lie in the arm or leg of their "
            f"name. Expected the parts 1 to 6 to be {', '.join(_CODES)}."
        )


def _label_at(parts: np.ndarray, x: float, y: float) -> int:
    if not (np.isfinite((x, y)).all() and x > -0.5 and y > -0.5):
        return 0
    column, row = round(float(x)), round(float(y))
    inside = row < parts.shape[0] and column < parts.shape[1]
    return int(parts[row, column]) if inside else 0


def _decode(path: Path) -> np.ndarray:
    try:
        return image_files.decode(path.read_bytes(), cv2.IMREAD_GRAYSCALE)
    except image_files.BadImage:
        raise pixels.BadImage("the parts do not decode") from None
