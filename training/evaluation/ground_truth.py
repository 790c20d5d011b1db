"""Labelled bodies: the meshes that the labels of a batch describe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from training.data.records import schema

GENDERED_FILES = {"female": "SMPL_FEMALE.pkl", "male": "SMPL_MALE.pkl"}
_PUBLISHER = (
    "https://smpl.is.tue.mpg.de (register, then rename "
    "basicmodel_{f,m}_lbs_10_207_0_v1.1.0.pkl)"
)


class Mesh(NamedTuple):
    """B labelled bodies as numpy; unlabelled rows hold meaningless values."""

    is_labelled: np.ndarray
    """(B,) bool: the example has labelled pose and betas."""
    vertices: np.ndarray
    """(B, V, 3) metres."""
    skeleton: np.ndarray
    """(B, J, 3) of the body's joint_names, metres."""


class TrueBodies:
    """Bodies by gender: SMPL's own files where the labels are gendered.

    Args:
        body: the method's body; used for "neutral", and for all genders
            where its topology is not SMPL's. A pair has its own of both.
        folder: holds SMPL_FEMALE.pkl and SMPL_MALE.pkl; None where the files
            are not available.
    """

    def __init__(self, body: Body, folder: Path | None = None):
        self._body = body
        self._folder = folder
        self._bodies: dict[str, Body] = {}

    def __call__(self, gender: str) -> Body:
        """The body of "neutral", "female" or "male".

        Raises:
            FileNotFoundError: its file is missing; the message says who
                publishes it.
            ValueError: another gender, of which there is no body.
        """
        if gender not in schema.GENDERS:
            raise ValueError(
                f"Labels are of the gender {gender!r}, which no body has; "
                f"expected one of {schema.GENDERS}. Prepare the records again."
            )
        own = getattr(self._body, gender, None)
        if own is not None:
            return own
        name = GENDERED_FILES.get(gender)
        if name is None or self._body.data.topology != "smpl":
            return self._body
        if gender not in self._bodies:
            path = None if self._folder is None else self._folder / name
            if path is None or not path.is_file():
                raise FileNotFoundError(
                    f"The labels are of {gender} bodies, whose file {name} "
                    f"is not in {self._folder}. Get it from {_PUBLISHER}, and "
                    "pass its folder as --true-bodies."
                )
            data = BodyData.load(path, self._body.data.num_betas)
            topology = self._body.data.topology
            data.check_same_topology(topology, str(path))
            # The method's body regresses keypoints from the vertices, so
            # this body's own keypoints are not used.
            names = list(data.keypoint_regressor)[:1]
            self._bodies[gender] = Body(data, names, jit=False)
        return self._bodies[gender]


class Labelled:
    """Poses the labels of a batch once for all measures."""

    def __init__(self, true_body: Callable[[str], Body]):
        self._true_body = true_body
        self._batch, self._mesh = None, None

    def __call__(self, batch: Mapping[str, np.ndarray]) -> Mesh:
        """The bodies of a batch of batches.eval_dataset, as numpy."""
        if self._batch is not batch:
            self._mesh = self._posed(batch)
            self._batch = batch
        return self._mesh

    def _posed(self, batch) -> Mesh:
        is_labelled = batch["has_pose"] * batch["has_betas"] > 0
        genders = _genders(batch)
        present = sorted(set(genders[is_labelled])) or ["neutral"]
        vertices = skeleton = None
        for gender in present:
            # The full batch, because another size would compile another graph.
            posed = self._true_body(gender)(batch["rotmats"], batch["betas"])
            if vertices is None:
                vertices = posed.vertices.numpy()
                skeleton = posed.skeleton.numpy()
            else:
                rows = (genders == gender)[:, np.newaxis, np.newaxis]
                vertices = np.where(rows, posed.vertices.numpy(), vertices)
                skeleton = np.where(rows, posed.skeleton.numpy(), skeleton)
        return Mesh(is_labelled, vertices, skeleton)


def _genders(batch) -> np.ndarray:
    count = len(batch["has_pose"])
    stored = batch.get("stored_gender")
    if stored is None:
        return np.full(count, "neutral")
    return np.array([gender.decode() for gender in stored])
