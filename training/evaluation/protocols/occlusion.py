"""HKMR's occlusions: other protocols with the people behind one pattern."""

import dataclasses

from tf_hmr import joints
from training.evaluation import occluders
from training.evaluation.protocol import Protocol
from training.evaluation.protocols import h36m, synthetic

_SIZES = {
    "bar": "10 to 50 px wide",
    "circle": "of radius 10 to 50 px",
    "rectangle": "of 3,000 to 15,000 square pixels",
}
_OURS = (
    "Tables 1 and 4 do not say which degrees they mean: here the mean of all "
    "five, `by_degree` has each. Pixels are those of a crop of 224 px, scaled "
    "to the method's. Black, in the middle of the projected true joint; bars "
    "cross the whole crop at an angle, rectangles stand upright with an "
    "aspect of 1:2 to 2:1, both drawn per example from a fixed seed; the 14 "
    "LSP joints in turn; where one is not visible in the crop its image "
    "stays as it is, and counts (`by_degree` leaves it out)."
)


def _occluded(base: Protocol, name: str, pattern: str, table: str) -> Protocol:
    description = dataclasses.replace(
        base.description,
        split=(
            f"{base.description.split}; each once behind every {pattern} "
            f"{_SIZES[pattern]}, in five degrees before each of 14 joints"
        ),
        alignment=(
            "MPJPE without; means over all frames, degrees and covered joints"
        ),
        source=f"the HKMR paper, section 4, {table}, for the rest {base.name}",
        ours=f"{_OURS} {base.description.ours}".strip(),
    )
    return dataclasses.replace(
        base,
        name=name,
        measures=("joints3d", "occluded"),
        headline=("mpjpe_mm",),
        occlusion=occluders.OneJoint(pattern),
        description=description,
    )


_H36M = {row.name: row for row in h36m.PROTOCOLS}

# Each is measured by the rules of the column without an occluder: Table 1's by
# HMR's, Table 4's by SPIN's.
_BASES = (
    ("h36m_{number}_hmr", "h36m_{number}_{pattern}_hkmr", "Table 1, Figure 6"),
    ("h36m_{number}_spin", "h36m_{number}_spin_{pattern}_hkmr", "Table 4"),
)

PROTOCOLS = tuple(
    _occluded(
        _H36M[base.format(number=number)],
        name.format(number=number, pattern=pattern),
        pattern,
        table,
    )
    for base, name, table in _BASES
    for number in ("p1", "p2")
    for pattern in occluders.PATTERNS
) + tuple(
    _occluded(row, f"{row.name}_{pattern}", pattern, "Figure 6")
    for row in synthetic.PROTOCOLS
    if row.joints == joints.LSP14  # One of them is covered at a time.
    for pattern in occluders.PATTERNS
)
