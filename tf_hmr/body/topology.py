"""Identifies the body that a file's vertex ids and betas belong to."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

OPEN = "open-v1"

# Fingerprints of the triangle lists. SMPL's was computed from
# akanazawa/hmr: src/tf_smpl/smpl_faces.npy.
TOPOLOGIES = {
    OPEN: "0881c0c5c97185c91b0fbc664ca5a2a83e7198c742976b9d13c70b9792e35245",
    "smpl": "9e96e167056f19d9dc0fe3533177ebd5230b203297c219cab15e9e72b313aed1",
}
# Digests of the open body's v_template and of shapedirs, one beta after the
# other, so that a body with fewer betas is recognised, too.
_OPEN_SHAPES = (
    "5e44e1fb6cd148d01e9435db42821645",
    "fb0e9609efe2e4d94d80fbe8cbe8c566",
    "3c1135234bf07b29bcfa16053548c9f5",
    "cd7e068a457b0eeff6354e8f8ed6dc39",
    "1630b46f515cd235f54a192a84df9f7a",
    "2ebd9808b6cd8aeb1ccf03d5f027f6b3",
    "81169e4a2210b03e9ae65cf246be019c",
    "195dfb25861ea8d08c6e8371c29b5740",
    "5f55f1ae0fd4bf9047e918eb9c254efe",
    "5896a7485187ebb1326d0c6053a8f120",
    "73ee25c946d22779d4640fe04b5edae7",
)
_STEP_M = 1e-5  # Rounding before the digest; float32 keeps 1e-7.


def tag(raw: Mapping[str, Any], path: Path) -> str:
    """The topology tag of a body file, checked against its faces.

    Args:
        raw: the file's arrays: `f`, and `topology` where it has a tag.
        path: the file, for messages.

    Raises:
        ValueError: faces of no known body without a tag of their own, or a
            known tag with other faces.
    """
    if np.ndim(raw["f"]) != 2 or np.shape(raw["f"])[1] != 3:
        raise ValueError(
            f"f of {path} has shape {np.shape(raw['f'])}, expected (F, 3) "
            "vertex ids of triangles. Give a whole SMPL body file."
        )
    faces_digest = fingerprint(raw["f"])
    true_tag = {digest: name for name, digest in TOPOLOGIES.items()}.get(
        faces_digest
    )
    claimed = str(raw["topology"]) if "topology" in raw else true_tag
    if claimed is None:
        raise ValueError(
            f"{path} has a foreign topology: its {len(raw['f'])} faces are "
            f"those of none of {list(TOPOLOGIES)}, so regressors and weights "
            "would meet the wrong vertices. Load SMPL or the open body; a "
            "body of your own needs a `topology` entry with a name of its own."
        )
    if claimed in TOPOLOGIES and claimed != true_tag:
        raise ValueError(
            f"{path} says its topology is {claimed!r}, but its faces are "
            f"those of {true_tag or 'another body'!r}. Write it again with "
            "BodyData.save from the body it was made of."
        )
    return claimed


def check_shape_space(
    topology: str, v_template: np.ndarray, shapedirs: np.ndarray, path: Path
) -> None:
    """Refuses another shape space under the open body's tag.

    Betas, records and weights made with the open body would describe other
    people there. SMPL's genders share faces by design, so "smpl" is not
    checked.

    Args:
        topology: the file's tag.
        v_template: (V, 3) metres.
        shapedirs: (V, 3, P) metres; betas beyond the open body's are ignored.
        path: the file, for the message.

    Raises:
        ValueError: the tag is "open-v1", the shapes are not.
    """
    if topology != OPEN:
        return
    shapes = [v_template, *np.moveaxis(shapedirs, -1, 0)]
    for number, (shape, expected_digest) in enumerate(
        zip(shapes, _OPEN_SHAPES, strict=False)
    ):
        if _digest(shape) != expected_digest:
            array_name = f"beta {number - 1}" if number else "v_template"
            raise ValueError(
                f"{path} has the faces of the open body, but its "
                f"{array_name} is another one, so betas of {OPEN!r} would be "
                "other people. Load 'open', or give the file a `topology` "
                "entry with a name of its own."
            )


def fingerprint(faces: np.ndarray) -> str:
    """SHA-256 of a triangle list (F, 3), whatever its order.

    Each triangle starts at its smallest vertex id and keeps its sense of
    rotation; the triangles are sorted.
    """
    faces = np.asarray(faces, np.int64)
    start = np.argmin(faces, axis=1)[:, None]
    rolled = np.take_along_axis(faces, (start + np.arange(3)) % 3, axis=1)
    ordered = rolled[np.lexsort(rolled.T[::-1])]
    return hashlib.sha256(ordered.astype("<i4").tobytes()).hexdigest()


def _digest(shape: np.ndarray) -> str:
    """Digest of metres (V, 3), rounded to whole steps."""
    steps = np.rint(np.asarray(shape, np.float64) / _STEP_M).astype("<i4")
    return hashlib.sha256(steps.tobytes()).hexdigest()[:32]
