"""Misfits of points to target points, up to what labels leave open.

Every function returns a misfit (N,): the root of the share of the spread of
`targets` that is not explained, 0 for perfect agreement and 1 for none.
"""

import numpy as np

_TINY = 1e-12
# Share of the root's distance: nearer points would be beside the camera.
_NEAREST = 0.2


def scaled(
    points: np.ndarray, targets: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Misfit after the best positive scale and translation, no rotation.

    With the x and y of 3D points against 2D ones this is weak perspective.

    Args:
        points: (N, J, D).
        targets: (N, J, D).
        valid: (N, J) 1 where the pair counts, else 0.
    """
    points, targets = _centred(points, valid), _centred(targets, valid)
    product = (points * targets).sum(axis=(1, 2))
    sizes = (points**2).sum(axis=(1, 2)) * (targets**2).sum(axis=(1, 2))
    cosine = np.maximum(product, 0) / np.sqrt(np.maximum(sizes, _TINY))
    return np.sqrt(np.maximum(1 - cosine**2, 0))


def perspective(
    points: np.ndarray,
    targets: np.ndarray,
    valid: np.ndarray,
    centre: np.ndarray,
) -> np.ndarray:
    """Misfit after the best scale, translation and nearness of a pinhole.

    Solves targets (1 + k z) = s (x, y) + t, which is linear, for s, t and k.

    Args:
        points: (N, J, 3) in the camera's frame, any origin.
        targets: (N, J, 2) pixels.
        valid: (N, J) 1 where the pair counts, else 0.
        centre: (N, 2) principal points, pixels.
    """
    points = _centred(points, valid)
    targets = targets - centre[:, None]
    size = np.abs(targets * valid[..., None]).max(axis=(1, 2), keepdims=True)
    targets = targets / np.maximum(size, _TINY)
    rows = np.zeros((*targets.shape, 4))
    rows[..., 0] = points[..., :2]
    rows[..., 0, 1] = rows[..., 1, 2] = 1
    rows[..., 3] = -targets * points[..., 2:]
    rows = (rows * valid[..., None, None]).reshape(len(targets), -1, 4)
    right_side = (targets * valid[..., None]).reshape(len(targets), -1, 1)
    transposed = rows.transpose(0, 2, 1)
    scale, x, y, nearness = np.linalg.solve(
        transposed @ rows + 1e-9 * np.eye(4), transposed @ right_side
    ).transpose(1, 0, 2)
    depth = 1 + nearness * points[..., 2]
    shift = np.stack([x, y], axis=-1)
    projected = scale[..., None] * points[..., :2] + shift
    projected /= np.maximum(depth, _NEAREST)[..., None]
    residual = ((projected - targets) ** 2 * valid[..., None]).sum(axis=(1, 2))
    spread = (_centred(targets, valid) ** 2).sum(axis=(1, 2))
    misfit = np.sqrt(np.minimum(residual / np.maximum(spread, _TINY), 1))
    behind = ((depth < _NEAREST) & (valid > 0)).any(axis=1)
    return np.where((scale[:, 0] <= 0) | behind, 1.0, misfit)


def _centred(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Subtracts the mean of the valid points; 0 where not valid."""
    weight = valid[..., None].astype(np.float64)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    mean = (weight * points).sum(axis=1, keepdims=True) / count
    return weight * (points - mean)
