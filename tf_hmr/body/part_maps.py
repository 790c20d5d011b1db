"""Differentiable maps of a body's parts and of its cover: deposits of skin.

The rasteriser of Zanfir et al., HUND, CVPR 2021 (eq. 5) blends triangles (Liu
et al., Soft Rasterizer, ICCV 2019). Here points of the skin, each of which
stands for an area, are deposited on the cells of a small map with a quadratic
B-spline. Its values at all cells sum to 1 wherever a point is, and a closed
body is seen twice, by its front and its back: so half of the projected areas
add up to the share of a cell that the body covers, and the maps' edges are
where a raster has them. Near points outweigh far ones by exp(-depth / gamma),
so that hidden points have a gradient.
"""

import numpy as np
import tensorflow as tf

from tf_hmr.body import skin_samples
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera

# Least exponent of a point's weight, so that a quotient of weights and its
# gradient stay finite in float32.
_MIN_EXPONENT = -12.0
# Against a division by 0 where nothing is deposited; less than the smallest
# weight of a point that covers a thousandth of a cell.
_TINY = 1e-9


class PartRenderer:
    """Draws the parts of posed bodies as a camera sees them."""

    def __init__(
        self,
        body: Body,
        count: int = 512,
        side: int = 24,
        gamma: float = 0.15,
        division: str = "part14",
    ):
        """Chooses the points of the skin.

        Args:
            body: poses them.
            count: points; a cell should be no smaller than their spacing: 512
                for 24 x 24 cells, 1,024 for 48 x 48.
            side: cells of a map along x and y.
            gamma: metres of depth over which a point's weight falls to 1 / e.
            division: the body's parts, as of BodyData.parts.

        Raises:
            ValueError: as of skin_samples.choose.
        """
        samples = skin_samples.choose(body.data, count, division)
        self._sample = body.skin_sampler(samples)
        self._areas, self._counts = samples.areas, samples.counts
        self.side, self.gamma = side, gamma
        self.channels = 1 + len(self._counts)

    def __call__(
        self,
        rotmats: tf.Tensor,
        betas: tf.Tensor,
        translation: tf.Tensor,
        intrinsics: tf.Tensor,
    ) -> tf.Tensor:
        """Draws bodies.

        Args:
            rotmats: (B, J, 3, 3), as of Body.
            betas: (B, P).
            translation: (B, 3) metres, of camera.crop_translation.
            intrinsics: (B, 4) of the crop's camera, in [-1, 1] of it.

        Returns:
            (B, side, side, channels) shares of the cells: of the background,
            then of the parts in the division's order. They sum to 1.
        """
        points, normals = self._sample(rotmats, betas)
        return draw(
            points + translation[:, tf.newaxis],
            normals,
            self._areas,
            self._counts,
            intrinsics,
            self.side,
            self.gamma,
        )


def draw(
    points: tf.Tensor,
    normals: tf.Tensor,
    areas: np.ndarray,
    counts: np.ndarray,
    intrinsics: tf.Tensor,
    side: int,
    gamma: float,
) -> tf.Tensor:
    """Draws points of the skin; in the floating type of `points`.

    Args:
        points: (B, N, 3) camera frame, metres, sorted by part.
        normals: (B, N, 3), outwards, of length 1.
        areas: (N,) m2 that each point stands for.
        counts: (P,) points of each part.
        intrinsics: (B, 4) of the crop's camera, in [-1, 1] of it.
        side: cells of a map along x and y.
        gamma: metres of depth over which a point's weight falls to 1 / e.

    Returns:
        (B, side, side, 1 + P) as of PartRenderer.
    """
    shares = _shares(points, normals, areas, intrinsics, side)
    xy = camera.project_in_crop(points, intrinsics)
    columns, rows = _splines(xy, side)
    depth = points[..., 2]
    # The gradient flows through the nearest point too: without it a shift of
    # the whole body in depth would change the weights that are cut below.
    nearest = tf.reduce_min(depth, axis=1, keepdims=True)
    exponents = tf.maximum((nearest - depth) / gamma, _MIN_EXPONENT)
    cover = tf.minimum(
        tf.matmul(rows * shares[..., tf.newaxis], columns, transpose_a=True),
        1.0,
    )
    weights = shares * tf.exp(exponents)
    parts = tf.stack(
        [
            tf.matmul(part_rows, part_columns, transpose_a=True)
            for part_rows, part_columns in zip(
                tf.split(rows * weights[..., tf.newaxis], counts, axis=1),
                tf.split(columns, counts, axis=1),
                strict=True,
            )
        ],
        axis=-1,
    )
    total = tf.reduce_sum(parts, axis=-1, keepdims=True)
    cover = cover[..., tf.newaxis]
    parts = parts / (total + _TINY) * cover
    return tf.concat([1.0 - cover, parts], axis=-1)


def of_labels(labels: tf.Tensor, side: int, channels: int) -> tf.Tensor:
    """Share of each label in each cell, as maps to compare with.

    Args:
        labels: (B, S, S) integers, 0 background, else 1 + part.
        side: cells of a map along x and y; S is a multiple.
        channels: number of labels, the background included.

    Returns:
        (B, side, side, channels) float32.

    Raises:
        ValueError: S is no multiple of side.
    """
    step = _step(labels.shape[1], side)
    cells = tf.reshape(labels, (-1, side, step, side, step))
    shares = [
        tf.reduce_mean(tf.cast(cells == label, tf.float32), axis=(2, 4))
        for label in range(channels)
    ]
    return tf.stack(shares, axis=-1)


def resized(maps: tf.Tensor, side: int) -> tf.Tensor:
    """Means of maps (B, s, s, C) over larger cells, (B, side, side, C).

    Raises:
        ValueError: s is no multiple of side.
    """
    step = _step(maps.shape[1], side)
    return tf.nn.avg_pool2d(maps, step, step, "VALID") if step > 1 else maps


def l1(maps: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean over the cells of the summed differences of the channels.

    Args:
        maps: (B, side, side, C).
        target: of the same shape.

    Returns:
        (B,) 0 to 2 (HUND, eq. 5).
    """
    return tf.reduce_mean(
        tf.reduce_sum(tf.abs(maps - target), axis=-1), axis=(1, 2)
    )


def iou(maps: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Intersection over union (B,) of the cells that are half covered."""
    covered, truly = (x[..., 0] < 0.5 for x in (maps, target))
    both, either = (
        tf.reduce_sum(tf.cast(cells, tf.float32), axis=(1, 2))
        for cells in (covered & truly, covered | truly)
    )
    return tf.math.divide_no_nan(both, either)


def _step(size: int, side: int) -> int:
    if size % side:
        raise ValueError(
            f"Maps of {size} x {size} do not divide into {side} x {side} "
            f"cells. Choose a side that divides {size}."
        )
    return size // side


def _shares(points, normals, areas, intrinsics, side) -> tf.Tensor:
    """Half of the areas (B, N) seen by the camera, in cells.

    An area A with the normal n at x is seen as A |n x| fx fy / z^3.
    """
    depth = points[..., 2]
    facing = tf.abs(tf.reduce_sum(points * normals, axis=-1))
    focal = intrinsics[:, 0:1] * intrinsics[:, 1:2] * (side / 2) ** 2
    cubed = tf.maximum(depth, camera.MIN_DEPTH) ** 3
    shares = 0.5 * tf.cast(areas, points.dtype) * facing * focal / cubed
    # What is behind the camera is not seen.
    return tf.where(depth > camera.MIN_DEPTH, shares, tf.zeros_like(shares))


def _splines(xy, side) -> tuple[tf.Tensor, tf.Tensor]:
    """Factors (B, N, side) of a point's deposits on columns and on rows.

    The quadratic B-spline: 3/4 - d^2 at a distance d of up to 1/2 cells,
    (3/2 - d)^2 / 2 up to 3/2.
    """
    cells = tf.range(side, dtype=xy.dtype)
    distance = tf.abs((xy[..., tf.newaxis] + 1.0) * (side / 2) - 0.5 - cells)
    outer, inner = (
        tf.square(tf.nn.relu(reach - distance)) for reach in (1.5, 0.5)
    )
    factors = 0.5 * outer - 1.5 * inner
    return factors[:, :, 0], factors[:, :, 1]
