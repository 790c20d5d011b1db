"""The open body with two joints and some betas more than SMPL has.

The joints stand in the middle of the order, so that whoever takes a joint by
its number in joints.SMPL24 takes another one.
"""

import dataclasses

import numpy as np

from tf_hmr import joints
from tf_hmr.body.data import BodyData

FINGERS = ("left_index1", "right_index1")
_AT = joints.SMPL24.index("left_hand")
JOINT_NAMES = (*joints.SMPL24[:_AT], *FINGERS, *joints.SMPL24[_AT:])
FROM_SMPL24 = list(joints.select(joints.SMPL24, of=JOINT_NAMES))


def with_fingers(
    data: BodyData, rng: np.random.Generator, more_betas: int = 2
) -> BodyData:
    """The open body, half of whose skin of the wrists follows a finger.

    With the fingers at rest and the betas beyond its own at 0 it is the open
    body. A finger that bends, or such a beta, moves vertices.
    """
    count, vertices = len(JOINT_NAMES), data.num_vertices
    parents = dict(joints.SMPL24_PARENTS)
    parents |= {name: name.split("_")[0] + "_wrist" for name in FINGERS}
    weights = np.zeros((vertices, count), np.float32)
    weights[:, FROM_SMPL24] = data.weights
    regressor = np.zeros((count, vertices), np.float32)
    regressor[FROM_SMPL24] = data.J_regressor
    posedirs = np.zeros((count - 1, 9, vertices, 3), np.float32)
    bent = [index - 1 for index in FROM_SMPL24[1:]]
    posedirs[bent] = data.posedirs.reshape(-1, 9, vertices, 3)
    for name in FINGERS:
        finger = JOINT_NAMES.index(name)
        wrist = JOINT_NAMES.index(parents[name])
        weights[:, finger] = weights[:, wrist] / 2
        weights[:, wrist] /= 2
        skin = weights[:, finger] > 0.25
        regressor[finger, skin] = 1 / skin.sum()
        shape = (9, skin.sum(), 3)
        posedirs[finger - 1][:, skin] = rng.normal(0, 1e-3, shape)
    more = rng.normal(0, 5e-3, (vertices, 3, more_betas))
    return dataclasses.replace(
        data,
        name="open body with fingers",
        shapedirs=np.concatenate([data.shapedirs, np.float32(more)], axis=2),
        posedirs=posedirs.reshape(-1, vertices, 3),
        J_regressor=regressor,
        weights=weights,
        joint_names=JOINT_NAMES,
        parents=tuple(
            JOINT_NAMES.index(parents[name]) if name in parents else -1
            for name in JOINT_NAMES
        ),
        **_padded(data, more_betas),
        mean_pose6d=None,
        mean_betas=None,
    )


def _padded(data: BodyData, more_betas: int) -> dict[str, np.ndarray]:
    """What is known of the betas' distribution; nothing of the new ones."""
    side = (0, more_betas)
    return {
        "beta_mean_gender": np.pad(data.beta_mean_gender, ((0, 0), side)),
        "beta_cov_gender": np.pad(data.beta_cov_gender, ((0, 0), side, side)),
    }


def with_fingers_at_rest(rotmats: np.ndarray) -> np.ndarray:
    """(B, 24, 3, 3) of joints.SMPL24 -> (B, 26, 3, 3) of JOINT_NAMES."""
    shape = (len(rotmats), len(JOINT_NAMES), 1, 1)
    bent = np.tile(np.eye(3, dtype=np.float32), shape)
    bent[:, FROM_SMPL24] = rotmats
    return bent
