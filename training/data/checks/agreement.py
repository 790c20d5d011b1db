"""How well points agree with others, up to what labels leave open.

Every function gives a misfit (N,): the root of the share of the spread of
`seen` that is not explained, 0 for perfect agreement and 1 for none.
"""

import numpy as np

_TINY = 1e-12
# Of the distance of the root: nearer points would be beside the camera.
_NEAREST = 0.2


def scaled(
    points: np.ndarray, seen: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """After the best positive scale and translation, no rotation.

    With the x and y of 3D points against 2D ones this is weak perspective.

    Args:
        points: (N, J, D).
        seen: (N, J, D).
        known: (N, J) 1 where the pair counts, else 0.
    """
    points, seen = _centred(points, known), _centred(seen, known)
    fit = (points * seen).sum(axis=(1, 2))
    sizes = (points**2).sum(axis=(1, 2)) * (seen**2).sum(axis=(1, 2))
    cosine = np.maximum(fit, 0) / np.sqrt(np.maximum(sizes, _TINY))
    return np.sqrt(np.maximum(1 - cosine**2, 0))


def perspective(
    points: np.ndarray,
    seen: np.ndarray,
    known: np.ndarray,
    centre: np.ndarray,
) -> np.ndarray:
    """After the best scale, translation and nearness of a pinhole camera.

    Solves seen (1 + k z) = s (x, y) + t, which is linear, for s, t and k.

    Args:
        points: (N, J, 3) in the camera's frame, any origin.
        seen: (N, J, 2) pixels.
        known: (N, J) 1 where the pair counts, else 0.
        centre: (N, 2) principal points, pixels.
    """
    points = _centred(points, known)
    seen = seen - centre[:, None]
    size = np.abs(seen * known[..., None]).max(axis=(1, 2), keepdims=True)
    seen = seen / np.maximum(size, _TINY)
    rows = np.zeros((*seen.shape, 4))
    rows[..., 0] = points[..., :2]
    rows[..., 0, 1] = rows[..., 1, 2] = 1
    rows[..., 3] = -seen * points[..., 2:]
    rows = (rows * known[..., None, None]).reshape(len(seen), -1, 4)
    wanted = (seen * known[..., None]).reshape(len(seen), -1, 1)
    turned = rows.transpose(0, 2, 1)
    scale, x, y, near = np.linalg.solve(
        turned @ rows + 1e-9 * np.eye(4), turned @ wanted
    ).transpose(1, 0, 2)
    depth = 1 + near * points[..., 2]
    shift = np.stack([x, y], axis=-1)
    drawn = scale[..., None] * points[..., :2] + shift
    drawn /= np.maximum(depth, _NEAREST)[..., None]
    left = ((drawn - seen) ** 2 * known[..., None]).sum(axis=(1, 2))
    spread = (_centred(seen, known) ** 2).sum(axis=(1, 2))
    misfit = np.sqrt(np.minimum(left / np.maximum(spread, _TINY), 1))
    behind = ((depth < _NEAREST) & (known > 0)).any(axis=1)
    return np.where((scale[:, 0] <= 0) | behind, 1.0, misfit)


def _centred(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Around the mean of the known points; 0 where not known."""
    weight = known[..., None].astype(np.float64)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    mean = (weight * points).sum(axis=1, keepdims=True) / count
    return weight * (points - mean)
