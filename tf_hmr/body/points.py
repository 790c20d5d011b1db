"""A body's numbers as points that follow the bones; numpy only.

A vertex is a weighted sum of rigidly moved copies of itself. A keypoint is a
weighted sum of vertices, so all vertices that it takes from one bone fold into
ONE point moved by that bone: the 19 keypoints of the open body are 48 such
points instead of 1253 vertices. A keypoint that is a joint of the kinematic
tree is one point of its own bone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_hmr.body.data import BodyData


class Points(NamedTuple):
    """N points; coordinates are planes: all x, all y, all z.

    Attributes:
        template: (3, N) at rest, of the mean shape, metres.
        blends: (P + 9 (J - 1), 3 N) displacement per beta and pose feature.
        weights: (J, N) share of each bone's motion.
        translation_counts: (N,) factor of the bones' translations; None is 1
            for all points.
    """

    template: np.ndarray
    blends: np.ndarray
    weights: np.ndarray
    translation_counts: np.ndarray | None


def surface_points(
    data: BodyData, vertices: np.ndarray | slice = slice(None)
) -> Points:
    """Vertices as points: all of them, or those of the ids `vertices`."""
    shape = data.shapedirs[vertices].transpose(2, 1, 0)  # (P, 3, N)
    pose = data.posedirs[:, vertices].transpose(0, 2, 1)  # (9 (J - 1), 3, N)
    blends = np.concatenate([shape, pose])
    return Points(
        data.v_template[vertices].T,
        blends.reshape(len(blends), -1),
        data.weights[vertices].T,
        translation_counts=None,
    )


def keypoint_rows(
    data: BodyData, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that make keypoints of a posed body.

    Args:
        data: the body.
        names: K keypoints.

    Returns:
        Rows (K, V) of the vertices and (K, J) of the joints of the kinematic
        tree: a keypoint is the sum of both, one of which is 0.

    Raises:
        ValueError, FileNotFoundError: as BodyData.regressor.
    """
    of_vertices = data.regressor(names).astype(np.float64)
    of_joints = np.zeros((len(names), data.num_joints))
    skeleton = data.skeleton_keypoints
    for row, name in enumerate(names):
        if name in skeleton:
            of_vertices[row] = 0
            of_joints[row, data.joint_names.index(name)] = 1
    return of_vertices, of_joints


def of_keypoints(
    data: BodyData, names: Sequence[str]
) -> tuple[Points, np.ndarray]:
    """Folds keypoints into one point per (keypoint, bone) with shared vertices.

    Args:
        data: the body.
        names: keypoints; those of `data.skeleton_keypoints` become the joint.

    Returns:
        The N points, and the (N, K) matrix that sums the points of each
        keypoint.

    Raises:
        ValueError, FileNotFoundError: as BodyData.regressor.
    """
    regressor, of_joints = keypoint_rows(data, names)
    rows, own = np.nonzero(of_joints)
    used = np.flatnonzero(regressor.any(axis=0))  # a fifth of all vertices
    regressor, weights = regressor[:, used], data.weights[used]
    shared = (regressor != 0).astype(float) @ (weights != 0)
    keypoint, bone = np.nonzero(shared)
    shares = regressor[keypoint] * weights.T[bone]  # (N, vertices used)
    template = shares @ data.v_template[used]  # (N, 3)
    shapedirs, posedirs = data.shapedirs[used], data.posedirs[:, used]
    shape = np.einsum("nv,vcp->pcn", shares, shapedirs, optimize=True)
    pose = np.einsum("nv,fvc->fcn", shares, posedirs, optimize=True)
    # A joint moves with its own bone, and only betas move it within the bone.
    rest, rest_blends = rest_joints(data)
    template = np.concatenate([template, rest[own]])
    shape = np.concatenate([shape, np.moveaxis(rest_blends[:, own], 1, 2)], 2)
    pose = np.pad(pose, ((0, 0), (0, 0), (0, len(own))))
    blends = np.concatenate([shape, pose])
    points = Points(
        template=template.T,
        blends=blends.reshape(len(blends), -1),
        weights=np.eye(data.num_joints)[:, [*bone, *own]],
        translation_counts=np.append(shares.sum(1), np.ones(len(own))),
    )
    return points, np.eye(len(names))[[*keypoint, *rows]]


def rest_joints(data: BodyData) -> tuple[np.ndarray, np.ndarray]:
    """Rest positions of the skeleton: (J, 3), and (P, J, 3) per beta."""
    template = data.J_regressor @ data.v_template
    blends = np.einsum("jv,vcp->pjc", data.J_regressor, data.shapedirs)
    return template, blends
