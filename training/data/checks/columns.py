"""Labels of many records as arrays, and the body that their poses describe."""

import dataclasses
import functools

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body.data import BodyData
from training.data.records import schema
from training.data.synthetic import kinematics

# Joints that SMPL and the datasets agree on, to some centimetres.
LIMBS = tuple(
    f"{side}_{name}"
    for side in ("left", "right")
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
IN_KEYPOINTS = list(joints.select(LIMBS, joints.KEYPOINTS))
IN_SMPL = list(joints.select(LIMBS, joints.SMPL24))
MIN_PEOPLE = 50  # of a dataset, for its median to count


@dataclasses.dataclass(frozen=True)
class Columns:
    """Labels of N records; 0 where a record lacks them.

    Attributes:
        names: N pairs of dataset and example id.
        size: (N, 2) width and height of the image, pixels.
        box: (N, 4) x, y, w, h, pixels.
        keypoints: (N, K, 3) x, y, visible.
        joints3d: (N, K, 4) metres in the camera's frame, valid.
        pose: (N, 24, 3) rotation vectors.
        betas: (N, 10).
        intrinsics: (N, 4) fx, fy, cx, cy.
        topology: (N,) str.
        has: (N,) bool by label.
        broken: (N,) names of the arrays that are not finite, joined.
    """

    names: list[tuple[str, str]]
    size: np.ndarray
    box: np.ndarray
    keypoints: np.ndarray
    joints3d: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    intrinsics: np.ndarray
    topology: np.ndarray
    has: dict[str, np.ndarray]
    broken: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def points(self, name: str) -> np.ndarray:
        """Positions (N, 3) of a joint of joints3d."""
        return self.joints3d[:, joints.KEYPOINTS.index(name), :3]

    def valid(self, *names: str) -> np.ndarray:
        """Whether all these joints of joints3d are valid, (N,) bool."""
        index = list(joints.select(names, joints.KEYPOINTS))
        return (self.joints3d[:, index, 3] > 0).all(axis=1)

    def scores(
        self, values: np.ndarray, limit: float, limit_of_many: float
    ) -> np.ndarray:
        """Scores of a measure that tells more of many people than of one.

        Args:
            values: (N,) NaN where not known.
            limit: for one person.
            limit_of_many: for the median of a dataset with MIN_PEOPLE or
                more: above it all of its people are at fault.
        """
        scores = values / limit
        datasets = np.array([dataset for dataset, _ in self.names])
        for dataset in np.unique(datasets):
            rows = (datasets == dataset) & np.isfinite(values)
            if rows.sum() >= MIN_PEOPLE:
                of_median = np.median(values[rows]) / limit_of_many
                scores[rows] = np.maximum(scores[rows], of_median)
        return scores

    @functools.cached_property
    def limbs(self) -> np.ndarray:
        """(N, 12, 3) LIMBS of the posed body; the open one has its own shape.

        Other bodies are posed with the open body's mean shape: angles mean
        the same, and their files are not needed.
        """
        rest, dirs, topology = _rest()
        has_own_shape = (self.topology == topology) & self.has["betas"]
        betas = np.where(has_own_shape[:, None], self.betas, 0)
        rests = rest + np.einsum("jcp,np->njc", dirs, betas)
        rotmats = Rotation.from_rotvec(self.pose.reshape(-1, 3)).as_matrix()
        rotmats = rotmats.reshape(*self.pose.shape, 3)
        return kinematics.forward(rotmats, rests)[1][:, IN_SMPL]

    @functools.cached_property
    def global_rotmats(self) -> np.ndarray:
        """Rotations (N, 3, 3) of the pelvis, in the camera's frame."""
        return Rotation.from_rotvec(self.pose[:, 0]).as_matrix()


def of_fields(fields: dict[str, np.ndarray]) -> Columns:
    """Columns of a batch of parsing.parse, as numpy arrays."""
    has = {
        label: fields[f"has_{label}"] > 0
        for label in ("keypoints", "joints3d", "pose", "betas")
    }
    labels = {
        name: fields[name].astype(np.float64)
        * has[name].reshape(-1, *[1] * (fields[name].ndim - 1))
        for name in has
    }
    labels["pose"] = labels["pose"].reshape(-1, kinematics.JOINTS, 3)
    texts = {
        name: [value.decode(errors="replace") for value in fields[name]]
        for name in ("dataset", "example_id", "topology")
    }
    arrays = np.array(list(schema.ALL_ARRAYS))
    return Columns(
        names=list(zip(texts["dataset"], texts["example_id"], strict=True)),
        size=np.stack([fields["width"], fields["height"]], 1).astype(float),
        box=fields["box"].astype(np.float64),
        intrinsics=fields["intrinsics"].astype(np.float64),
        topology=np.array(texts["topology"]),
        has=has,
        broken=[", ".join(arrays[row]) for row in fields["broken"]],
        **labels,
    )


@functools.cache
def _rest() -> tuple[np.ndarray, np.ndarray, str]:
    """Joints (24, 3) of the open body at rest, by betas (24, 3, 10)."""
    data = BodyData.load("open")
    dirs = np.einsum("jv,vcp->jcp", data.J_regressor, data.shapedirs)
    rest = data.J_regressor @ data.v_template
    return rest, dirs[..., :10], data.topology


def rest_limbs() -> np.ndarray:
    """(12, 3) LIMBS of the open body at rest, metres."""
    return _rest()[0][IN_SMPL]
