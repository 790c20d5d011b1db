"""Occluders in front of one joint: HKMR's bars, circles and rectangles.

Georgakis et al. 2020 (HKMR), Robustness to Degree of Occlusions and Figure 6:
an oriented bar 10 to 50 px wide, a circle of radius 10 to 50 px, or a
rectangle of 3,000 to 15,000 square pixels, in five degrees; one joint at a
time is covered, and the MPJPE of the whole body is averaged over the joints.

The paper does not say the rest; these are our choices, so that results are
"as HKMR", not HKMR's own. The pixels are those of a crop of 224 px, scaled to
the method's crop. Occluders are black, their middle is the projected true
joint. A bar runs across the whole crop at an angle, a rectangle stands
upright with an aspect from 1:2 to 2:1; angle and aspect are drawn per example
from a fixed seed and are the same for all joints and degrees, so that a
higher degree covers all that a lower one did.
"""

import functools

import numpy as np

PATTERNS = ("bar", "circle", "rectangle")
DEGREES = (1, 2, 3, 4, 5)
REFERENCE_PX = 224
"""The crop in whose pixels the sizes are meant."""
SEED = 2020
STEP_PX = {"bar": 10.0, "circle": 10.0, "rectangle": 3000.0}
"""What a degree adds: to the width, the radius, and the area (px squared)."""
_LARGEST_ASPECT = 2.0


def occlude(
    images: np.ndarray,
    points: np.ndarray,
    pattern: str,
    degree: float,
    index: np.ndarray,
    seed: int = SEED,
) -> tuple[np.ndarray, np.ndarray]:
    """Covers one joint in each crop; what is random depends on index and seed.

    Args:
        images: (B, S, S, 3), any type.
        points: (B, 3) x, y in [-1, 1] of the crop and visibility of the joint.
        pattern: one of PATTERNS.
        degree: above 0; HKMR's are 1 to 5.
        index: (B,) non-negative integers that tell the examples apart.
        seed: of the angles and aspects.

    Returns:
        Images (B, S, S, 3) of the same type, black where covered, and (B,)
        bool: whether anything was, for a joint that is not visible or is
        outside of the crop leaves its image as it is.

    Raises:
        ValueError: unknown pattern, or the degree is not above 0.
    """
    shown = (points[:, 2] > 0) & (np.abs(points[:, :2]) <= 1).all(axis=1)
    covered = masks(images.shape[1], points, pattern, degree, index, seed)
    covered &= shown[:, None, None]
    return np.where(covered[..., None], images.dtype.type(0), images), shown


def masks(
    size: int,
    points: np.ndarray,
    pattern: str,
    degree: float,
    index: np.ndarray,
    seed: int = SEED,
) -> np.ndarray:
    """(B, size, size) bool: where an occluder on each point lies.

    Pixels whose centre it covers; the arguments are those of `occlude`.
    """
    if pattern not in PATTERNS or not degree > 0:
        raise ValueError(
            f"There is no pattern {pattern!r} of degree {degree!r}. Choose "
            f"one of {PATTERNS} and a degree above 0; HKMR's are {DEGREES}."
        )
    # In pixels of the reference, so that lengths and areas scale alike.
    along = ((np.arange(size) + 0.5) * REFERENCE_PX / size).astype(np.float32)
    centre = (np.nan_to_num(points[:, :2]) + 1) * (REFERENCE_PX / 2)
    x = along[None, None, :] - centre[:, 0, None, None].astype(np.float32)
    y = along[None, :, None] - centre[:, 1, None, None].astype(np.float32)
    extent = np.float32(degree * STEP_PX[pattern])
    if pattern == "circle":
        return x * x + y * y <= extent * extent
    draws = np.array([_draws(int(i), seed) for i in index], np.float32)
    first = draws[:, 0, None, None]
    if pattern == "bar":
        angle = np.float32(np.pi) * first
        return np.abs(np.cos(angle) * y - np.sin(angle) * x) <= extent / 2
    # Uniform in the logarithm: lying and standing ones are as frequent.
    aspect = np.float32(_LARGEST_ASPECT) ** (2 * draws[:, 1, None, None] - 1)
    width, height = np.sqrt(extent * aspect), np.sqrt(extent / aspect)
    return (np.abs(x) <= width / 2) & (np.abs(y) <= height / 2)


@functools.lru_cache(maxsize=1 << 16)
def _draws(index: int, seed: int) -> tuple[float, float]:
    """Two uniform numbers for an example."""
    return tuple(np.random.default_rng((seed, index)).random(2))
