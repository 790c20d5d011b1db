"""The metrics once more, one pose and one joint at a time.

Loops, and SciPy's rotation between vector sets: no code is shared with
tf_hmr.metrics.
"""

import numpy as np
from scipy.spatial.transform import Rotation


def reference() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true (5, 14, 3) joints of the reference vectors."""
    random = np.random.RandomState(0)
    true = random.randn(5, 14, 3) * 0.3
    return true + random.randn(5, 14, 3) * 0.05, true


def distance_mm(a, b) -> float:
    return 1000 * sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


def errors_mm(pred, true) -> np.ndarray:
    """(N, J)."""
    return np.array(
        [
            [distance_mm(*points) for points in zip(p, t, strict=True)]
            for p, t in zip(pred, true, strict=True)
        ]
    )


def aligned(pred, true) -> np.ndarray:
    """Each pose by its own similarity without reflection."""
    results = []
    for p, t in zip(pred, true, strict=True):
        p, middle = p - sum(p) / len(p), sum(t) / len(t)
        turn, _ = Rotation.align_vectors(t - middle, p)
        rotated = turn.apply(p)
        # The best scale for a given rotation, by its derivative.
        scale = (rotated * (t - middle)).sum() / (p * p).sum()
        results.append(scale * rotated + middle)
    return np.array(results)


def pck(errors, threshold_mm: float) -> float:
    """Percent strictly below."""
    flat = [error for row in errors for error in row]
    return 100 * sum(error < threshold_mm for error in flat) / len(flat)


def auc(errors) -> float:
    """Mean of the 31 PCKs at 0, 5, ... 150 mm."""
    thresholds = range(0, 155, 5)
    return sum(pck(errors, threshold) for threshold in thresholds) / len(
        thresholds
    )
