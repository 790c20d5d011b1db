"""Body models that files of poses belong to, and what SMPL can take of them.

AMASS's newer files name theirs as surface_model_type (nghorbani/moshpp:
chmosh.py); SMPL-X's hold the pose of jaw and eyes besides (vchoutas/smplx).
Betas are numbers of one family's shape space: only SMPL-H's is SMPL's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.data.formats import texts

NAMES = {"smpl": "SMPL", "smplh": "SMPL-H", "smplx": "SMPL-X", "star": "STAR"}
"""Models whose first 22 joints are SMPL's, by the names that files have."""
OF_SMPL_BETAS = ("smpl", "smplh")

_KEY = "surface_model_type"
_OF_SMPLX = {
    *("pose_jaw", "pose_eye", "jaw_pose", "leye_pose", "reye_pose"),
    *("expression", "expressions", "num_expressions"),
}
_SMPLX_POSE = 165  # numbers of 55 joints
_SMPLX_BETAS = 400  # of shape and expression together


def name_of(content: Mapping[str, Any]) -> str:
    """Name of the body model of a file's poses and betas, in lower case.

    "smplx" for whatever has its face or its number of joints; else the name
    that the file states; "smplh" where it states none.

    Args:
        content: arrays by name, of which surface_model_type, poses and betas
            may be looked up.
    """
    stated = ""
    if _KEY in content:
        stated = texts.text(np.ravel(content[_KEY])[0]).strip().lower()
    if stated not in ("", *OF_SMPL_BETAS):
        return stated
    poses, betas = (
        np.shape(content[key]) if key in content else ()
        for key in ("poses", "betas")
    )
    if (
        not _OF_SMPLX.isdisjoint(content)
        or poses[1:] == (_SMPLX_POSE,)
        or betas[-1:] == (_SMPLX_BETAS,)
    ):
        return "smplx"
    return stated or "smplh"
