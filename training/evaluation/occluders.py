"""Occluders in front of one joint: HKMR's bars, circles and rectangles.

Georgakis et al. 2020 (HKMR), Robustness to Degree of Occlusions and Figure 6:
an oriented bar 10 to 50 px wide, a circle of radius 10 to 50 px, or a
rectangle of 3,000 to 15,000 square pixels, in five degrees; one joint at a
time is covered, and the MPJPE of the whole body is averaged over the joints.

The paper leaves the rest open; these are our choices, so that results are
"as HKMR", not HKMR's own. The pixels are those of a crop of 224 px, scaled to
the method's crop. Occluders are black and centred on the projected true
joint. A bar runs across the whole crop at an angle, a rectangle stands
upright with an aspect from 1:2 to 2:1; angle and aspect are drawn per example
from a fixed seed and its name, and are the same for all joints and degrees,
so that a higher degree covers all that a lower one did.
"""

import dataclasses
import functools
import zlib
from collections.abc import Mapping

import numpy as np

from tf_hmr import joints

PATTERNS = ("bar", "circle", "rectangle")
DEGREES = (1, 2, 3, 4, 5)
REFERENCE_PX = 224
"""Side of the crop in whose pixels the sizes are given."""
SEED = 2020
STEP_PX = {"bar": 10.0, "circle": 10.0, "rectangle": 3000.0}
"""Growth per degree of the width, the radius, and the area (px squared)."""
_LARGEST_ASPECT = 2.0


def id_checksums(ids: np.ndarray) -> np.ndarray:
    """(B,) checksums of B example ids, which are bytes or str."""
    encoded = [i if isinstance(i, bytes) else str(i).encode() for i in ids]
    return np.array([zlib.crc32(text) for text in encoded], np.int64)


def visible(points: np.ndarray) -> np.ndarray:
    """(B,) bool: whether points (B, 3), x, y, visibility, are in the crop."""
    return (points[:, 2] > 0) & (np.abs(points[:, :2]) <= 1).all(axis=1)


@dataclasses.dataclass(frozen=True)
class OneJoint:
    """One pattern in front of one joint at a time: a protocol's occlusion.

    Where the joint is not visible in the crop, the image stays as it is.
    """

    pattern: str
    """One of PATTERNS."""
    degrees: tuple[float, ...] = DEGREES
    """Sizes, in multiples of STEP_PX."""
    joints: tuple[str, ...] = joints.LSP14
    """Joints to cover, in turn."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Every pair of degree and joint, such as "3 left_knee"."""
        return tuple(
            f"{degree:g} {name}"
            for degree in self.degrees
            for name in self.joints
        )

    def apply(
        self, batch: Mapping[str, np.ndarray], variant: str
    ) -> np.ndarray:
        """The images (B, S, S, 3) of a numpy batch with one joint covered."""
        index = joints.KEYPOINTS.index(joint_of(variant))
        return occlude(
            batch["image"],
            batch["keypoints"][:, index],
            self.pattern,
            float(degree_of(variant)),
            id_checksums(batch["example_id"]),
        )[0]


def degree_of(variant: str) -> str:
    """The degree of a variant of OneJoint."""
    return variant.split(" ")[0]


def joint_of(variant: str) -> str:
    """The joint that a variant of OneJoint covers."""
    return variant.split(" ")[1]


def occlude(
    images: np.ndarray,
    points: np.ndarray,
    pattern: str,
    degree: float,
    numbers: np.ndarray,
    seed: int = SEED,
) -> tuple[np.ndarray, np.ndarray]:
    """Occludes one joint in each crop.

    Args:
        images: (B, S, S, 3), any type.
        points: (B, 3) x, y in [-1, 1] of the crop and visibility of the joint.
        pattern: one of PATTERNS.
        degree: above 0; HKMR's are 1 to 5.
        numbers: (B,) integers that identify the examples, such as
            `id_checksums`; angle and aspect depend on number and seed alone.
        seed: seed of the angles and aspects.

    Returns:
        Images (B, S, S, 3) of the same type, black where covered; and (B,)
        bool: whether the joint is covered. A joint that is not visible or is
        outside the crop leaves its image unchanged.

    Raises:
        ValueError: unknown pattern, or the degree is not above 0.
    """
    is_visible = visible(points)
    covered = masks(images.shape[1], points, pattern, degree, numbers, seed)
    covered &= is_visible[:, None, None]
    return np.where(
        covered[..., None], images.dtype.type(0), images
    ), is_visible


def masks(
    size: int,
    points: np.ndarray,
    pattern: str,
    degree: float,
    numbers: np.ndarray,
    seed: int = SEED,
) -> np.ndarray:
    """(B, size, size) bool: the mask of an occluder on each point.

    A pixel is set where the occluder covers its centre. Arguments are those
    of `occlude`.
    """
    if pattern not in PATTERNS or not degree > 0:
        raise ValueError(
            f"There is no pattern {pattern!r} of degree {degree!r}. Choose "
            f"one of {PATTERNS} and a degree above 0; HKMR's are {DEGREES}."
        )
    # In reference pixels, so that lengths and areas scale alike.
    grid = ((np.arange(size) + 0.5) * REFERENCE_PX / size).astype(np.float32)
    centre = (np.nan_to_num(points[:, :2]) + 1) * (REFERENCE_PX / 2)
    x = grid[None, None, :] - centre[:, 0, None, None].astype(np.float32)
    y = grid[None, :, None] - centre[:, 1, None, None].astype(np.float32)
    extent = np.float32(degree * STEP_PX[pattern])
    if pattern == "circle":
        return x * x + y * y <= extent * extent
    draws = np.array([_draws(int(i), seed) for i in numbers], np.float32)
    first = draws[:, 0, None, None]
    if pattern == "bar":
        angle = np.float32(np.pi) * first
        return np.abs(np.cos(angle) * y - np.sin(angle) * x) <= extent / 2
    # Log-uniform: wide and tall rectangles are equally frequent.
    aspect = np.float32(_LARGEST_ASPECT) ** (2 * draws[:, 1, None, None] - 1)
    width, height = np.sqrt(extent * aspect), np.sqrt(extent / aspect)
    return (np.abs(x) <= width / 2) & (np.abs(y) <= height / 2)


@functools.lru_cache(maxsize=1 << 16)
def _draws(number: int, seed: int) -> tuple[float, float]:
    """Two uniform numbers for an example."""
    return tuple(np.random.default_rng((seed, number)).random(2))
