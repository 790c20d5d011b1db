"""Refuses bodies whose arrays do not fit each other."""

from typing import Any

import numpy as np

from tf_hmr import joints


def check(data: Any) -> None:
    """Checks shapes, finite numbers, ids in range and rows that sum to one.

    Args:
        data: a BodyData.

    Raises:
        ValueError: names the array, what was expected and the remedy.
    """
    for name in ("v_template", "shapedirs", "faces"):  # all else follows them
        if np.ndim(getattr(data, name)) < 2:
            shape = np.shape(getattr(data, name))
            raise ValueError(
                f"{name} of the body {data.name!r} has shape {shape}, "
                "expected (V, 3, ...). Give a whole SMPL body file."
            )
    _check_tree(data)
    vertices, betas = len(data.v_template), data.shapedirs.shape[-1]
    lite = 0 if data.lite_vertices is None else len(data.lite_vertices)
    count = data.num_joints
    shapes = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, betas),
        "posedirs": (9 * (count - 1), vertices, 3),
        "J_regressor": (count, vertices),
        "weights": (vertices, count),
        "faces": (len(data.faces), 3),
        "mirror_vertices": (vertices,),
        "lite_vertices": (lite,),
        "lite_faces": (np.shape(data.lite_faces)[:1] or (0,)) + (3,),
        "beta_mean_gender": (2, betas),
        "beta_cov_gender": (2, betas, betas),
        "mean_pose6d": (6 * count,),
        "mean_betas": (betas,),
        "h36m_regressor": (len(joints.H36M17), vertices),
    }
    arrays = {name: getattr(data, name) for name in shapes}
    arrays |= data.keypoint_regressor
    shapes |= dict.fromkeys(data.keypoint_regressor, (vertices,))
    for name, array in arrays.items():
        if array is not None:
            _check_array(data, name, array, shapes[name])
    for name, limit in (
        ("faces", vertices),
        ("mirror_vertices", vertices),
        ("lite_vertices", vertices),
        ("lite_faces", lite),
    ):
        _check_ids(data, name, limit)
    for name in ("J_regressor", "weights"):
        _check_sums(data, name)


def _check_tree(data: Any) -> None:
    names, parents = data.joint_names, data.parents
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or "" in names or twice:
        raise ValueError(
            f"joint_names of the body {data.name!r} are {list(names)}, "
            f"expected a name of its own for each joint"
            f"{f'; {twice} come twice' if twice else ''}. Name every joint of "
            "the kinematic tree, root first."
        )
    if len(parents) != len(names):
        raise ValueError(
            f"The body {data.name!r} has {len(parents)} parents and "
            f"{len(names)} joint_names, expected as many. Name every joint of "
            "the kinematic tree, root first."
        )
    ordered = all(0 <= p < joint for joint, p in enumerate(parents) if joint)
    if parents[0] != -1 or not ordered:
        raise ValueError(
            f"parents of the body {data.name!r} are {list(parents)}, expected "
            "-1 for the root, which comes first, and for every other joint "
            "one before it. Order the joints from the root outwards."
        )


def _check_array(
    data: Any, name: str, array: np.ndarray, shape: tuple[int, ...]
) -> None:
    if array.shape != shape:
        raise ValueError(
            f"{name} of the body {data.name!r} has shape {array.shape}, "
            f"expected {shape} ({data.num_vertices} vertices, "
            f"{data.num_joints} joints). Give a whole SMPL body file."
        )
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"{name} of the body {data.name!r} is not finite at {index}, "
            "expected numbers only. The file is damaged: fetch it again."
        )


def _check_ids(data: Any, name: str, limit: int) -> None:
    ids = getattr(data, name)
    if ids is not None and ids.size and not 0 <= ids.min() <= ids.max() < limit:
        raise ValueError(
            f"{name} of the body {data.name!r} names ids from {ids.min()} to "
            f"{ids.max()}, expected 0 to {limit - 1}. The file is damaged or "
            "mixes two bodies: fetch it again."
        )


def _check_sums(data: Any, name: str) -> None:
    sums = getattr(data, name).sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[worst] - 1) > 1e-3:
        raise ValueError(
            f"Row {worst} of {name} of the body {data.name!r} sums to "
            f"{sums[worst]:.4f}, expected 1. The file is damaged or its rows "
            "and columns are exchanged: fetch it again."
        )
