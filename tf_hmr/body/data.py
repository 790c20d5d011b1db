"""The numbers of a body model: loading, checking and naming them.

Three kinds of file become the same `BodyData`: the open body that ships with
the package, official SMPL pickles (alone or in a folder with their
regressors) and `.npz`. Numpy only; `tf_hmr.body.model` does the maths.

Keys and shapes of SMPL's files: vchoutas/smplx: smplx/body_models.py;
akanazawa/hmr: src/tf_smpl/batch_smpl.py.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from tf_hmr import joints
from tf_hmr.body import files as body_files
from tf_hmr.body import keypoint_regressors, surface_landmarks, validation
from tf_hmr.body import parts as body_parts
from tf_hmr.body import topology as body_topology
from tf_hmr.formats import atomic

DEFAULT_BETAS = 10
_OPTIONAL = {
    "mirror_vertices": np.int32,
    "lite_vertices": np.int32,
    "lite_faces": np.int32,
    "beta_mean_gender": np.float32,
    "beta_cov_gender": np.float32,
    "mean_pose6d": np.float32,
    "mean_betas": np.float32,
    "h36m_regressor": np.float32,
}
_MEAN = ("mean_pose6d", "mean_betas")
# Errors that numpy raises for arrays that do not fit their names.
_DAMAGE = (ValueError, TypeError, IndexError, KeyError, OverflowError)


@dataclass(frozen=True, eq=False)
class BodyData:
    """Arrays of one body with V vertices, J joints and P shape numbers.

    Metres, y up, the body facing +z, its left side at +x. Arrays are
    float32 and read-only unless said otherwise.

    Attributes:
        name: name of the body, for messages.
        topology: tag of the vertex numbering, that is of the faces; SMPL's
            genders share one. See `check_same_topology`.
        licence: as the file states it, or where to ask.
        v_template: (V, 3) vertices of the mean shape at rest.
        shapedirs: (V, 3, P) displacement per unit of each beta.
        posedirs: (9 (J - 1), V, 3) displacement per entry of the pose
            feature, the rows of R_j - I for all joints but the root.
        J_regressor: (J, V) rows that sum to 1: vertices to joints.
        weights: (V, J) skinning weights, rows sum to 1.
        parents: (J,) index of each joint's parent, which comes before it; -1
            for the root, the first.
        faces: (F, 3) int32 vertex ids, counter-clockwise seen from outside.
        joint_names: (J,) names of the joints of the kinematic tree, root
            first; those that SMPL has are called as in joints.SMPL24.
        keypoint_regressor: row (V,) by keypoint name; read it through
            `regressor`, which explains what is missing.
        mirror_vertices: (V,) int32, the vertex at the mirrored position, or
            None.
        lite_vertices: (L,) int32, vertex ids of a coarse mesh, or None.
        lite_faces: (K, 3) int32 faces that index `lite_vertices`, or None.
        beta_mean_gender: (2, P) mean betas of women, men, or None.
        beta_cov_gender: (2, P, P) their covariances, or None.
        mean_pose6d: (6 J,) SPIN's or HMR's mean pose, interleaved 6D, or
            None.
        mean_betas: (P,) the mean shape that belongs to it, or None.
        h36m_regressor: (17, V) rows of joints.H36M17, or None; read it
            through `h36m_rows`.
        male: the male body, where this is the female one of two; see
            tf_hmr/body/pairs.py. None: there is one body.
    """

    name: str
    topology: str
    licence: str
    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...]
    faces: np.ndarray
    joint_names: tuple[str, ...] = joints.SMPL24
    keypoint_regressor: Mapping[str, np.ndarray] = field(default_factory=dict)
    mirror_vertices: np.ndarray | None = None
    lite_vertices: np.ndarray | None = None
    lite_faces: np.ndarray | None = None
    beta_mean_gender: np.ndarray | None = None
    beta_cov_gender: np.ndarray | None = None
    mean_pose6d: np.ndarray | None = None
    mean_betas: np.ndarray | None = None
    h36m_regressor: np.ndarray | None = None
    male: "BodyData | None" = None

    def __post_init__(self):
        validation.check(self)

    @classmethod
    def load(
        cls, source: str | Path = "open", num_betas: int | None = None
    ) -> "BodyData":
        """Reads a body.

        Args:
            source: "open" for the body that ships with the package; an
                official SMPL `.pkl`; a folder that holds SMPL_NEUTRAL.pkl or
                neutral_smpl_with_cocoplus_reg.pkl; or an `.npz` with SMPL's
                keys, such as `save` writes.
            num_betas: number of betas to load, by default the first 10, as
                all four papers use; SMPL 1.1.0 stores 300.

        Returns:
            A checked BodyData.

        Raises:
            FileNotFoundError: no such file, or no body in the folder; the
                message says who publishes it.
            ValueError: a missing key, a wrong shape, NaN, a foreign topology
                or a pickle that asks to run code; the message says which,
                what was expected and how to repair it.
        """
        path = body_files.find(source)
        if path == body_files.OPEN_BODY:
            return _open_body(num_betas)
        return cls._read_or_explain(path, num_betas)

    @classmethod
    def _read_or_explain(cls, path: Path, num_betas: int | None) -> "BodyData":
        try:
            return cls._read(path, num_betas)
        except _DAMAGE as error:
            if isinstance(error, ValueError) and str(path) in str(error):
                raise
            raise ValueError(
                f"{path} is damaged, or holds no body: {error}. Fetch it again "
                "from its publisher, or write it with BodyData.save."
            ) from error

    @classmethod
    def _read(cls, path: Path, num_betas: int | None) -> "BodyData":
        raw = body_files.read(path)
        topology = body_topology.tag(raw, path)
        shapedirs = _array(raw["shapedirs"], "shapedirs")
        count = _num_betas_to_load(shapedirs, num_betas, path)
        joint_names, parents = _tree(raw, path)
        body = cls(
            name=str(raw.get("name", path.stem)),
            topology=topology,
            licence=str(raw.get("license", "see its publisher")),
            v_template=_array(raw["v_template"], "v_template"),
            shapedirs=shapedirs[..., :count],
            posedirs=np.moveaxis(_array(raw["posedirs"], "posedirs"), -1, 0),
            J_regressor=_array(raw["J_regressor"], "J_regressor"),
            weights=_array(raw["weights"], "weights"),
            parents=parents,
            faces=_array(raw["f"], "f", np.int32),
            joint_names=joint_names,
        )
        # The rest relies on shapes, which cls() has checked.
        body_topology.check_shape_space(
            topology, body.v_template, body.shapedirs, path
        )
        if topology == "smpl" and "keypoint_names" not in raw:
            rows = keypoint_regressors.of_smpl(raw, path, joint_names)
        else:
            rows = keypoint_regressors.of_open_body(raw, path)
        rows = {name: _array(row, name) for name, row in rows.items()}
        optional = _optional(raw, body, path)
        return replace(body, keypoint_regressor=rows, **optional)

    def save(self, path: str | Path) -> None:
        """Writes an `.npz` that `load` reads back without loss.

        Of a pair that is the female body.
        """
        arrays = {
            "name": self.name,
            "topology": self.topology,
            "license": self.licence,
            "v_template": self.v_template,
            "shapedirs": self.shapedirs,
            "posedirs": np.moveaxis(self.posedirs, 0, -1),
            "J_regressor": self.J_regressor,
            "weights": self.weights,
            "kintree_table": np.array([self.parents, range(len(self.parents))]),
            "f": self.faces,
            "keypoint_names": list(self.keypoint_regressor),
            "keypoint_regressor": list(self.keypoint_regressor.values()),
        }
        # A file without names has SMPL24's joints.
        if self.joint_names != joints.SMPL24:
            arrays["joint_names"] = list(self.joint_names)
        for name in _OPTIONAL:
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        with atomic.replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @property
    def num_vertices(self) -> int:
        return len(self.v_template)

    @property
    def num_betas(self) -> int:
        return self.shapedirs.shape[-1]

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    def regressor(self, names: Sequence[str]) -> np.ndarray:
        """Regressor of these keypoints from the vertices: (len(names), V).

        For a posed body see also `skeleton_keypoints`.

        Raises:
            ValueError: a name is no keypoint of joints.KEYPOINTS and no
                landmark of joints.LANDMARKS18, or is a landmark and this
                body's topology has none.
            FileNotFoundError: this body came without the file that holds it;
                the message names the file and its publisher.
        """
        joints.select(names, of=joints.KEYPOINTS + joints.LANDMARKS18)
        landmarks = [name for name in names if name in joints.LANDMARKS18]
        missing = [
            name
            for name in names
            if name not in self.keypoint_regressor and name not in landmarks
        ]
        if missing:
            raise FileNotFoundError(
                keypoint_regressors.missing(missing, self.name)
            )
        rows = dict(self.keypoint_regressor)
        if landmarks:
            landmark_rows = surface_landmarks.rows(
                self.topology, self.num_vertices, landmarks
            )
            rows |= zip(landmarks, landmark_rows, strict=True)
        return np.stack([rows[name] for name in names])

    @property
    def skeleton_keypoints(self) -> tuple[str, ...]:
        """Names of the keypoints that are joints of the kinematic tree.

        On an SMPL body these are the limbs that have the joint regressor's own
        rows, as SPIN's ankles, knees, wrists, elbows and shoulders do
        (nkolot/SPIN: models/smpl.py). The rows give their rest positions; on a
        posed surface they are millimetres off the joints. Limbs of HMR's own
        rows and all keypoints of the open body lie on the surface.
        """
        if self.topology != "smpl":
            return ()
        limbs = [
            name
            for name in keypoint_regressors.SKELETON_LIMBS
            if name in self.keypoint_regressor and name in self.joint_names
        ]
        rows = self.J_regressor[list(joints.select(limbs, self.joint_names))]
        return tuple(
            name
            for name, row in zip(limbs, rows, strict=True)
            if np.array_equal(self.keypoint_regressor[name], row)
        )

    def h36m_rows(self) -> np.ndarray:
        """Regressor of Human3.6M's joints: rows (17, V) of joints.H36M17.

        SPIN and others evaluate with these rows. A keypoint of the same name
        from `regressor` may be at another position.

        Raises:
            FileNotFoundError: this body came without them; the message names
                the file and its publisher.
        """
        if self.h36m_regressor is None:
            raise FileNotFoundError(keypoint_regressors.missing_h36m(self.name))
        return self.h36m_regressor

    def parts(self, name: str = "part14") -> tuple[np.ndarray, tuple[str, ...]]:
        """Part of each vertex: labels (V,) int32 and the parts' names.

        Args:
            name: "part6", "part14" or "part15" (torso split at spine1/2).

        Raises:
            ValueError: there is no such division, or a joint of the body
                belongs to no part.
        """
        return body_parts.labels(
            name, self.weights, self.joint_names, self.parents
        )

    def check_same_topology(self, topology: str, asset: str) -> None:
        """Refuses an asset whose vertex ids belong to another numbering.

        A topology is a vertex numbering: the meaning of each vertex id. The
        faces define it. SMPL's neutral, female and male bodies share "smpl",
        so poses, regressors and weights of one fit the others. Their shape
        spaces differ, which the tag does not show: the same betas are another
        person. "open-v1" also names the shape space, because a file with the
        open body's faces is checked for it.

        Args:
            topology: the tag that the asset carries.
            asset: its name, for the message.

        Raises:
            ValueError: the tags differ.
        """
        if topology != self.topology:
            raise ValueError(
                f"{asset} belongs to the body topology {topology!r}, but the "
                f"body {self.name!r} has {self.topology!r}. Their vertices "
                "are other places of the body, so results would be wrong "
                "without a sign of it. Load the body it was made with."
            )

    def mean_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean pose (6 J,), interleaved 6D, and mean betas (P,), of its file.

        Raises:
            FileNotFoundError: this body came without them.
        """
        if self.mean_pose6d is None or self.mean_betas is None:
            raise FileNotFoundError(
                f"The body {self.name!r} has no mean pose and shape. Put "
                f"{body_files.MEAN_FILE} of the SPIN release (nkolot/SPIN: "
                f"fetch_data.sh), or {body_files.HMR_MEAN_FILE} of HMR's "
                "(akanazawa/hmr: models.tar.gz), beside its model file."
            )
        return self.mean_pose6d, self.mean_betas


@functools.cache
def _open_body(num_betas: int | None) -> BodyData:
    # Its file never changes, and no one can change its arrays.
    return BodyData._read_or_explain(body_files.OPEN_BODY, num_betas)


def _optional(
    raw: Mapping[str, Any], body: BodyData, path: Path
) -> dict[str, np.ndarray]:
    """The arrays that not every body has, cut to the body's betas."""
    smpl, num_betas = body.topology == "smpl", body.num_betas
    # SMPL-H has SMPL's faces and other joints, of which SPIN has no mean.
    has_mean = smpl and body.joint_names == joints.SMPL24
    mean = body_files.read_mean(path.parent) if has_mean else None
    raw_arrays = dict(zip(_MEAN, mean, strict=True)) if mean else {}
    h36m = keypoint_regressors.h36m(raw, path, use_spin_file=smpl)
    if h36m is not None:
        raw_arrays["h36m_regressor"] = h36m
    raw_arrays |= {name: raw[name] for name in _OPTIONAL if name in raw}
    arrays = {
        name: _array(value, name, _OPTIONAL[name])
        for name, value in raw_arrays.items()
    }
    for name in ("beta_mean_gender", "beta_cov_gender", "mean_betas"):
        if name in arrays:
            arrays[name] = arrays[name][..., :num_betas]
    if "beta_cov_gender" in arrays:
        arrays["beta_cov_gender"] = arrays["beta_cov_gender"][:, :num_betas]
    return arrays


def _num_betas_to_load(
    shapedirs: np.ndarray, num_betas: int | None, path: Path
) -> int:
    stored = shapedirs.shape[-1] if shapedirs.ndim else 0
    if num_betas is None:
        return min(DEFAULT_BETAS, stored)
    if not 1 <= num_betas <= stored:
        raise ValueError(
            f"num_betas is {num_betas}, but {path} stores {stored} shape "
            f"numbers. Choose 1 to {stored}."
        )
    return num_betas


def _array(value: Any, name: str, dtype: type = np.float32) -> np.ndarray:
    if scipy.sparse.issparse(value):
        value = value.toarray()
    try:
        array = np.array(value, dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is not an array of numbers: {error}. Expected the "
            "arrays of an SMPL file; fetch it again from its publisher."
        ) from error
    array.setflags(write=False)
    return array


def _tree(
    raw: Mapping[str, Any], path: Path
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and parents of the joints; the root's parent is -1.

    A file without `joint_names` must have SMPL's tree. SMPL marks the root's
    parent with uint32's maximum.
    """
    table = np.asarray(raw["kintree_table"]).astype(np.int64)
    names, tree = joints.SMPL24, joints.parents()
    if "joint_names" in raw:
        names = tuple(str(name) for name in np.ravel(raw["joint_names"]))
    if names != joints.SMPL24:
        if table.shape != (2, len(names)):
            raise ValueError(
                f"kintree_table of {path} has shape {table.shape}, expected "
                f"(2, {len(names)}) for its {len(names)} joint_names. The file "
                "is damaged or mixes two bodies: write it again with "
                "BodyData.save."
            )
        return names, (-1, *table[0, 1:].tolist())
    if table.shape != (2, len(tree)) or tuple(table[0, 1:]) != tree[1:]:
        raise ValueError(
            f"kintree_table of {path} has shape {table.shape} and is not "
            f"SMPL's tree of {len(tree)} joints. SMPL-H and SMPL-X bodies "
            "have more joints: give the SMPL file, or an .npz with an entry "
            "`joint_names` that names them, root first."
        )
    return names, tree
