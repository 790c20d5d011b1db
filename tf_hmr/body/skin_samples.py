"""Few vertices that stand for the skin of a body: their parts, areas, normals.

Numpy only. Body.skin_sampler poses them without the mesh; part_maps.py draws
them, and losses of vertices on a processor compare them.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from tf_hmr.body.data import BodyData


class SkinSamples(NamedTuple):
    """N vertices, sorted by their part."""

    vertices: np.ndarray
    """(N,) ids."""
    counts: np.ndarray
    """(P,) vertices of each part of the division, in its order."""
    areas: np.ndarray
    """(N,) float32 m2 of the resting mean body that each stands for."""
    normals: np.ndarray
    """(N, 3) float32 unit vectors of the resting body, outwards."""


def choose(data: BodyData, count: int, division: str = "part14") -> SkinSamples:
    """Chooses vertices far from each other, and shares the skin among them.

    Every vertex of a part, with its third of each of its faces, belongs to the
    nearest one that was chosen in that part.

    Args:
        data: the body.
        count: how many (N).
        division: into parts, as of BodyData.parts.

    Raises:
        ValueError: there are not so many vertices, or a part got none.
    """
    labels, names = data.parts(division)
    if not len(names) <= count <= data.num_vertices:
        raise ValueError(
            f"{count} points of the skin, expected {len(names)}, one for each "
            f"part, to {data.num_vertices}, the vertices of {data.name!r}."
        )
    vertices = np.asarray(data.v_template, np.float64)
    chosen = _farthest(vertices, count)
    chosen = chosen[np.argsort(labels[chosen], kind="stable")]
    counts = np.bincount(labels[chosen], minlength=len(names))
    if not counts.all():
        empty = [n for n, c in zip(names, counts, strict=True) if not c]
        raise ValueError(
            f"{count} points of the skin leave none for {empty} of "
            f"{division!r}. Choose more points."
        )
    owners = _owners(vertices, labels, chosen)
    areas, normals = _areas_and_normals(vertices, data.faces)
    areas = np.bincount(owners, areas, minlength=count)
    normals = np.stack(
        [np.bincount(owners, column, minlength=count) for column in normals.T],
        axis=1,
    )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return SkinSamples(chosen, counts, np.float32(areas), np.float32(normals))


def _farthest(points: np.ndarray, count: int) -> np.ndarray:
    """Ids (count,): each is the point farthest from those before it."""
    ids = [int(np.argmax(points[:, 1]))]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        offsets = points - points[ids[-1]]
        squared = np.einsum("nc,nc->n", offsets, offsets)
        distance = np.minimum(distance, squared)
        ids.append(int(np.argmax(distance)))
    return np.array(ids)


def _owners(
    points: np.ndarray, labels: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Row (V,) of the nearest chosen point of the same part."""
    owners = np.empty(len(points), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rows = np.flatnonzero(labels[chosen] == label)
        _, nearest = KDTree(points[chosen[rows]]).query(points[members])
        owners[members] = rows[nearest]
    return owners


def _areas_and_normals(
    points: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Area (V,) of a third of each vertex's faces, and its normal times it."""
    corners = points[faces]
    cross = np.cross(
        corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    )
    areas, normals = np.zeros(len(points)), np.zeros_like(points)
    for corner in range(3):
        np.add.at(areas, faces[:, corner], np.linalg.norm(cross, axis=1) / 6)
        np.add.at(normals, faces[:, corner], cross / 6)
    return areas, normals
