"""Small records whose pixels show their labels: a dot at every keypoint.

Dots of left joints are red, of right joints green, of others blue; the part
label image has a disc of LEFT_PART, RIGHT_PART or MIDDLE_PART in the same
places. So a test can see in the pixels where a keypoint went and which side
it is on.
"""

import pathlib
from unittest import mock

import cv2
import numpy as np

from tf_hmr import joints
from tf_hmr.body import parts as body_parts
from training.data.records import mocap, records_folder, schema

WIDTH, HEIGHT = 168, 140
BOX = (14.0, 10.0, 140.0, 120.0)
SPACING = 24.0
RADIUS = 4
TOPOLOGY = "open-v1"
_PARTS = tuple(body_parts.PARTS["part14"])
LEFT_PART = _PARTS.index("left_forearm") + 1
RIGHT_PART = _PARTS.index("right_forearm") + 1
MIDDLE_PART = _PARTS.index("torso") + 1


def side(name: str) -> int:
    """0, 1, 2 for left, right, middle: also the channel of its dot."""
    return {"left": 0, "right": 1}.get(name.split("_")[0], 2)


SIDES = np.array([side(name) for name in joints.KEYPOINTS])


def keypoints(random: np.random.Generator) -> np.ndarray:
    """(K, 3): every keypoint near another node of a grid, all visible."""
    columns, rows = 6, 5
    nodes = random.permutation(columns * rows)[: len(joints.KEYPOINTS)]
    xy = np.stack([nodes % columns, nodes // columns], axis=1) * SPACING
    xy = xy + (24, 22) + random.uniform(-2, 2, xy.shape)
    return np.concatenate([xy, np.ones((len(xy), 1))], axis=1)


def draw(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image with its dots, RGB, and the part label image."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    part_of_side = (LEFT_PART, RIGHT_PART, MIDDLE_PART)
    for (x, y, visible), side in zip(points, SIDES, strict=True):
        if not visible:
            continue
        centre = (round(x * 256), round(y * 256))
        colour = [0, 0, 0]
        colour[side] = 255
        radius = RADIUS * 256
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA, 8)
        cv2.circle(labels, centre, radius, part_of_side[side], -1, 8, 8)
    return image, labels


def jpeg(image: np.ndarray) -> bytes:
    """RGB to JPEG without loss of colour resolution."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        98,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, options)[1].tobytes()


def png(labels: np.ndarray) -> bytes:
    """Labels to PNG."""
    return cv2.imencode(".png", labels)[1].tobytes()


def example(number: int, **changes) -> schema.Example:
    """A fully labelled example; the same for the same number."""
    random = np.random.default_rng((7, number))
    points = keypoints(random)
    image, labels = draw(points)
    fields = {
        "image": jpeg(image),
        "height": HEIGHT,
        "width": WIDTH,
        "box": BOX,
        "keypoints": points,
        "joints3d": np.concatenate(
            [random.normal(0, 0.4, (len(points), 3)), points[:, 2:]], axis=1
        ),
        "pose": random.normal(0, 0.4, (24, 3)),
        "betas": random.normal(0, 1, 10),
        "gender": "female",
        "parts": png(labels),
        "translation": random.normal(0, 1, 3),
        "intrinsics": (500.0, 501.0, 84.0, 70.0),
        "dataset": "samples",
        "example_id": f"id{number}",
        "topology": TOPOLOGY,
    }
    return schema.Example(**(fields | changes))


def folder(
    path: pathlib.Path, count: int, split: str = "train", shard_size: int = 5
) -> pathlib.Path:
    """A finished records folder of `count` examples, with 30 unpaired poses."""
    writer = records_folder.Writer(path, split, shard_size)
    for number in range(count):
        writer.write(example(number))
    writer.finish(seed=7, command="record_samples")
    random = np.random.default_rng(8)
    poses = random.normal(0, 0.4, (30, 72)), random.normal(0, 1, (30, 10))
    mocap.write(path, mocap.Prior(*poses, TOPOLOGY))
    return path


def spoilt(
    path: pathlib.Path,
    count: int,
    changes: dict[int, dict],
    shard_size: int = 4,
) -> pathlib.Path:
    """A folder of which some examples are changed, past the writer's check."""
    writer = records_folder.Writer(path, "train", shard_size)
    with mock.patch.object(schema, "check", return_value=None):
        for number in range(count):
            writer.write(example(number, **changes.get(number, {})))
    writer.finish()
    poses = np.zeros((3, 72)), np.zeros((3, 10))
    mocap.write(path, mocap.Prior(*poses, TOPOLOGY))
    return path


def dot_errors(
    image: np.ndarray,
    points: np.ndarray,
    radius_px: float,
    mirrored: bool = False,
) -> np.ndarray:
    """How far the dots of a crop are from the keypoints, in pixels.

    Args:
        image: (S, S, 3) 0..255.
        points: (K, 3) ndc and visibility, in the order joints.KEYPOINTS.
        radius_px: of a dot in the crop.
        mirrored: in a mirrored picture the joint now called left is the one
            that was painted as a right one.

    Returns:
        (n,) for the visible keypoints well within the crop; inf where there
        is no dot of the side's colour.
    """
    size = len(image)
    reach = round(1.6 * radius_px)
    errors = []
    sides = np.array([1, 0, 2])[SIDES] if mirrored else SIDES
    for (u, v, visible), side in zip(points, sides, strict=True):
        x, y = (u + 1) * size / 2 - 0.5, (v + 1) * size / 2 - 0.5
        left, top = round(x) - reach, round(y) - reach
        right, bottom = left + 2 * reach + 1, top + 2 * reach + 1
        inside = min(left, top) >= 0 and max(right, bottom) <= size
        if not visible or not inside:
            continue
        window = np.asarray(image[top:bottom, left:right], np.float64)
        dot_mass = window[..., side]
        if dot_mass.sum() < 0.8 * window.sum() or dot_mass.max() < 128:
            errors.append(np.inf)
            continue
        rows, columns = np.mgrid[top:bottom, left:right]
        centre = np.array([(columns * dot_mass).sum(), (rows * dot_mass).sum()])
        errors.append(np.hypot(*(centre / dot_mass.sum() - (x, y))))
    return np.array(errors)
