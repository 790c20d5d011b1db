"""Bodies that the labels of a batch describe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body

GENDERED_FILES = {"female": "SMPL_FEMALE.pkl", "male": "SMPL_MALE.pkl"}
_WHOM = (
    "https://smpl.is.tue.mpg.de (register, then rename "
    "basicmodel_{f,m}_lbs_10_207_0_v1.1.0.pkl)"
)


class Mesh(NamedTuple):
    """B labelled bodies as numpy; rows without pose and betas mean nothing."""

    has: np.ndarray
    """(B,) bool."""
    vertices: np.ndarray
    """(B, V, 3) metres."""
    skeleton: np.ndarray
    """(B, J, 3) of the body's joint_names, metres."""


class TrueBodies:
    """The body of a gender: SMPL's own files where the labels are gendered.

    Args:
        body: the method's; that of gender "neutral", and of all genders
            where the topology is not SMPL's.
        folder: holds SMPL_FEMALE.pkl and SMPL_MALE.pkl; None for none.
    """

    def __init__(self, body: Body, folder: Path | None = None):
        self._body = body
        self._folder = folder
        self._made: dict[str, Body] = {}

    def __call__(self, gender: str) -> Body:
        """The body of "neutral", "female" or "male".

        Raises:
            FileNotFoundError: its file is missing; says who publishes it.
        """
        name = GENDERED_FILES.get(gender)
        if name is None or self._body.data.topology != "smpl":
            return self._body
        if gender not in self._made:
            path = None if self._folder is None else self._folder / name
            if path is None or not path.is_file():
                raise FileNotFoundError(
                    f"The labels are of {gender} bodies, whose file {name} "
                    f"is not in {self._folder}. Get it from {_WHOM}, and pass "
                    "its folder as --true-bodies."
                )
            data = BodyData.load(path, self._body.num_betas)
            own = self._body.data.topology
            data.check_same_topology(own, str(path))
            # Keypoints are taken from the vertices, by the method's body.
            names = list(data.keypoint_regressor)[:1]
            self._made[gender] = Body(data, names, jit=False)
        return self._made[gender]


class Labelled:
    """Poses the labels of a batch, once however many measures ask."""

    def __init__(self, true_body: Callable[[str], Body]):
        self._true_body = true_body
        self._batch, self._mesh = None, None

    def __call__(self, batch: Mapping[str, np.ndarray]) -> Mesh:
        """The bodies of a batch of pipeline.eval_dataset, as numpy."""
        if self._batch is not batch:
            self._mesh = self._posed(batch)
            self._batch = batch
        return self._mesh

    def _posed(self, batch) -> Mesh:
        has = batch["has_pose"] * batch["has_betas"] > 0
        genders = _genders(batch)
        chosen = sorted(set(genders[has])) or ["neutral"]
        vertices = skeleton = None
        for gender in chosen:
            # Whole batches: another size would be compiled anew.
            posed = self._true_body(gender)(batch["rotmats"], batch["betas"])
            if vertices is None:
                vertices = posed.vertices.numpy()
                skeleton = posed.skeleton.numpy()
            else:
                rows = (genders == gender)[:, np.newaxis, np.newaxis]
                vertices = np.where(rows, posed.vertices.numpy(), vertices)
                skeleton = np.where(rows, posed.skeleton.numpy(), skeleton)
        return Mesh(has, vertices, skeleton)


def _genders(batch) -> np.ndarray:
    count = len(batch["has_pose"])
    stored = batch.get("stored_gender")
    if stored is None:
        return np.full(count, "neutral")
    return np.array([each.decode() for each in stored])
