"""Anchors of single-shot detectors, and the best of answers that overlap.

Such a network answers for each anchor, a box at a fixed place of its picture,
how likely there is something and where, relative to the anchor (Liu et al.
2016, SSD). The anchors here are those of MediaPipe's graphs: google-ai-edge/
mediapipe: mediapipe/modules/pose_detection/pose_detection_cpu.pbtxt and
mediapipe/modules/face_detection/face_detection_full_range.pbtxt, and of the
TensorFlow Object Detection API (ssd_anchor_generator).
"""

import numpy as np


def grid(side: int, count: int = 1) -> np.ndarray:
    """Middles (side * side * count, 2) of the cells of a map, in 0..1.

    Args:
        side: cells along x and along y.
        count: how often each cell's middle is repeated.
    """
    middles = (np.arange(side) + 0.5) / side
    xy = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    return np.repeat(xy, count, axis=0)


def of_scales(
    sides: tuple[int, ...], least: float = 0.2, most: float = 0.95
) -> np.ndarray:
    """Anchors of boxes of several sizes and shapes, as of the Detection API.

    Args:
        sides: cells along a side of each map, the finest first.
        least: size of the first map's anchors, in shares of the picture.
        most: size of the last map's.

    Returns:
        (A, 4) x and y of the middle, width, height, in 0..1.
    """
    scales = np.append(np.linspace(least, most, len(sides)), 1.0)
    maps = []
    for level, side in enumerate(sides):
        scale = scales[level]
        shapes = [(scale, ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)]
        shapes.append((np.sqrt(scale * scales[level + 1]), 1.0))
        if level == 0:  # The finest map has fewer, and a small one first.
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        sizes = [
            (s * np.sqrt(ratio), s / np.sqrt(ratio)) for s, ratio in shapes
        ]
        cells = grid(side, len(shapes))
        maps.append(np.hstack([cells, np.tile(sizes, (side * side, 1))]))
    return np.concatenate(maps)


def intersection_over_union(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) of one box (4,) and boxes (N, 4), all x1, y1, x2, y2."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - common
    return common / np.maximum(union, 1e-9)


def suppress(
    boxes: np.ndarray, scores: np.ndarray, most_overlap: float
) -> list[np.ndarray]:
    """Groups boxes by what overlaps: non-maximum suppression.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,).
        most_overlap: intersection over union above which two boxes are of one
            group.

    Returns:
        Indices of each group, its best box first; the best group first.
    """
    order = np.argsort(-scores, kind="stable")
    groups = []
    while len(order):
        overlap = intersection_over_union(boxes[order[0]], boxes[order])
        # A box of no area overlaps nothing, not even itself.
        overlap[0] = np.inf
        groups.append(order[overlap > most_overlap])
        order = order[overlap <= most_overlap]
    return groups
