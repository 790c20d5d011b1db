"""What a result means: one name for each set of rules.

"Protocol" is about accuracy; speed is measured by benchmarks.
"""

import dataclasses

from tf_hmr import joints


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The rules under which errors are counted."""

    name: str
    """The name a result carries."""
    records: str
    """Name of the records folder below --records."""
    split: str
    """Which split of it."""
    count: int
    """How many examples it has; a result over other ones is not complete."""
    joints: tuple[str, ...]
    """The joints whose errors are averaged."""
    root: tuple[str, ...]
    """Both sides are moved so that the mean of these is the origin."""
    rule: str
    """The rest, in words, with its source."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="synthetic_v1",
            records="synthetic_v1",
            split="test",
            count=1000,
            joints=joints.LSP14,
            root=("left_hip", "right_hip"),
            rule=(
                "1,000 rendered people of the open body, none of them in any "
                "training set. SYNTHETIC: not comparable with results on "
                "photographs. 14 LSP joints after subtracting the middle of "
                "the hips, as akanazawa/hmr: src/benchmark/eval_util.py; PA "
                "after a similarity without reflection; PVE over all vertices "
                "about the pelvis, unaligned; 3D PCK at 150 mm and AUC over "
                "0..150 mm of the root-aligned joints; 2D PCK at 0.2 of the "
                "torso; silhouettes and 14 parts of the predicted mesh in the "
                "crop against the rendered person."
            ),
        ),
    )
}


def get(name: str) -> Protocol:
    """The protocol `name`.

    Raises:
        ValueError: unknown; the message lists what there is.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"Unknown protocol {name!r}. There are: {sorted(PROTOCOLS)}."
        )
    return PROTOCOLS[name]
