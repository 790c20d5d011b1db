"""Records of people whose predictions are known, by any protocol.

The people are bodies of the open body model; a prediction is the truth with a
planted error, so that what a protocol reads is known beforehand.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.support.reference_body import random_betas
from tf_hmr import joints
from tf_hmr.body.model import Body
from tf_hmr.geometry import rotations
from training.data.records import records_folder, schema
from training.evaluation import joint_pairs
from training.evaluation.protocol import EvaluationContext, Predictions

SIDE = 32
INTRINSICS = np.float32([900, 900, (SIDE - 1) / 2, (SIDE - 1) / 2])
TRANSLATION = np.array([0.2, -0.1, 6.0])
COUNT = 4
Change = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class People:
    """Four bodies: arrays (4, ...) in the body's own frame."""

    pose: np.ndarray
    betas: np.ndarray
    rotmats: np.ndarray
    vertices: np.ndarray
    skeleton: np.ndarray

    def points(self, body: Body, regressor: str, names) -> np.ndarray:
        """(B, J, 3) joints by the protocol's regressor, in the body's frame."""
        if regressor == "smpl":
            return self.skeleton[:, list(joints.select(names, joints.SMPL24))]
        context = EvaluationContext(body, body.joint_names, None)
        rows = joint_pairs.regressor_rows(regressor, names, context)
        return rows @ self.vertices.astype(np.float64)


@functools.lru_cache(maxsize=2)
def people(body: Body) -> People:
    """The same four whenever they are asked for."""
    rng = np.random.default_rng(11)
    pose = rng.normal(0, 0.3, (COUNT, 24, 3)).astype(np.float32)
    pose[:, 0, 0] += np.pi
    betas = random_betas(rng, COUNT)
    rotmats = rotations.rotvec_to_rotmat(pose).numpy()
    posed = body(rotmats, betas)
    return People(
        pose, betas, rotmats, posed.vertices.numpy(), posed.skeleton.numpy()
    )


def stored_joints(protocol, body: Body) -> np.ndarray:
    """(B, K, 4) true joints3d by the regressor of a protocol's predictions."""
    names = [
        n for n in (*protocol.joints, *protocol.root) if n in joints.KEYPOINTS
    ]
    index = list(joints.select(names, of=joints.KEYPOINTS))
    labels = np.zeros((COUNT, len(joints.KEYPOINTS), 4), np.float32)
    posed = people(body)
    labels[:, index, :3] = (
        posed.points(body, protocol.regressor, names) + TRANSLATION
    )
    labels[:, index, 3] = 1
    return labels


def batch(protocol, body: Body, ids: list[str], labels: bool = True):
    """What batches.eval_dataset makes of records of the four people in turn.

    Args:
        protocol: by whose regressor the stored joints are.
        body: of the people.
        ids: example ids.
        labels: whether pose and betas are known.
    """
    rows = np.arange(len(ids)) % COUNT
    posed = people(body)
    flags = np.full(len(ids), float(labels), np.float32)
    return {
        "image": np.zeros((len(ids), SIDE, SIDE, 3), np.float32),
        "example_id": np.array(
            [example_id.encode() for example_id in ids], object
        ),
        "stored_gender": np.full(len(ids), b"neutral", object),
        "joints3d": stored_joints(protocol, body)[rows],
        "rotmats": posed.rotmats[rows],
        "betas": posed.betas[rows],
        "has_pose": flags,
        "has_betas": flags,
        "has_parts": 0 * flags,
        "stored_box": np.tile(np.float32([0, 0, SIDE, SIDE]), (len(ids), 1)),
        "stored_intrinsics": np.tile(INTRINSICS, (len(ids), 1)),
    }


def write(folder: Path, protocol, body: Body, ids: list[str]) -> None:
    """Records of `ids`, as `batch` has them, in the protocol's first split."""
    content = batch(protocol, body, ids)
    picture = cv2.imencode(".jpg", np.full((SIDE, SIDE, 3), 90, np.uint8))[1]
    writer = records_folder.Writer(folder, protocol.splits[0])
    for row, example_id in enumerate(ids):
        writer.write(
            schema.Example(
                picture.tobytes(),
                SIDE,
                SIDE,
                content["stored_box"][row],
                joints3d=content["joints3d"][row],
                pose=people(body).pose[row % COUNT],
                betas=content["betas"][row],
                intrinsics=INTRINSICS,
                dataset="planted",
                example_id=example_id,
                topology=body.data.topology,
            )
        )
    writer.finish()


def found(protocol, body: Body, count: int, change: Change):
    """Joint names, and predictions for the first people, in turn.

    Args:
        protocol: whose joints are answered with.
        body: of the people.
        count: how many there are.
        change: from joint names, points (J, 3) and vertices (V, 3) of one
            person, which are right, to those that are predicted.
    """
    names = (*protocol.joints, *protocol.root)
    if protocol.regressor == "smpl":
        names = joints.SMPL24
    names = tuple(dict.fromkeys(names))
    posed = people(body)
    points = posed.points(body, protocol.regressor, names)
    changed = [
        change(names, *one) for one in zip(points, posed.vertices, strict=True)
    ]
    points, vertices = (np.stack(part) for part in zip(*changed, strict=True))
    rows = np.arange(count) % COUNT
    predicted = Predictions(
        joints=points[rows],
        # From vertices the joints would be regressed.
        vertices=None if protocol.regressor == "h36m" else vertices[rows],
        translation=np.tile(TRANSLATION, (count, 1)),
    )
    return names, predicted
