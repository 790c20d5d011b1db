"""Which answers about squares of a photo are people, and which are one person.

Windows and detectors overlap, so most people are seen in several squares. Boxes
do not tell people who stand before each other from one who is seen twice;
landmarks do: two answers about one person place most joints alike. An answer
that mixes two people, the trunk of one and the legs of another, shares joints
with both, and is left out as if it were seen twice.
"""

from collections.abc import Sequence

import numpy as np

from tf_hmr import joints
from tf_hmr.detection import landmarks

SHARED = 0.35
"""Two answers that place this share of their joints alike are one person's."""

_ALIKE = 0.1  # Distance of joints placed alike over the person's size.

_JOINTS = (
    "nose",
    *(
        f"{side}_{name}"
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
)
_COLUMNS = list(joints.select(_JOINTS, joints.BLAZEPOSE33))
