"""3DPW's test split, labelled by gendered SMPL bodies."""

import functools

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol, grouped

_protocol = functools.partial(
    Protocol,
    records="3dpw",
    splits=("test",),
    prepare="3dpw --split test --rules spin",
    other_readers=("spin-npz",),
    box_rules="spin",
    group=grouped(r"^(.+)_\d+_\d+$"),
    joints=joints.LSP14,
    root=("pelvis",),
    regressor="h36m",
    truth=("h36m",),
)
_REGRESSOR = (
    "J_regressor_h36m, predicted on the method's vertices, true on the "
    "vertices of the labelled body of the person's gender"
)
_ALIGNMENT = (
    "MPJPE without; PA-MPJPE after a similarity per frame without "
    "reflection; means over all frames"
)

PROTOCOLS = (
    _protocol(
        name="3dpw_spin",
        count=35_515,
        measures=("joints3d", "pck3d", "surface"),
        headline=("pa_mpjpe_mm",),
        description=Description(
            split="test, each person of each sequence",
            frames=(
                "all with a valid camera and a detected person: 35,515 "
                "(mkocabas/VIBE: issue 57)"
            ),
            joints=(
                "14 joints: the regressor's limbs, thorax (against the neck) "
                "and top of the head"
            ),
            root="row 0 of the regressor, the pelvis, on both sides",
            regressor=_REGRESSOR,
            alignment=_ALIGNMENT,
            source="nkolot/SPIN: eval.py, datasets/preprocess/pw3d.py",
            ours="PVE of the meshes as the bodies give them, unaligned.",
        ),
    ),
    _protocol(
        name="3dpw_hund",
        measures=("joints3d",),
        headline=("pa_mpjpe_mm", "mpjpe_mm"),
        description=Description(
            split="test, each person of each sequence",
            frames=(
                "all with a valid camera and a detected person; the paper "
                "counts 33,000"
            ),
            joints="14 joints of the regressor",
            root="row 0 of the regressor, the pelvis, on both sides",
            regressor=_REGRESSOR,
            alignment=_ALIGNMENT,
            source="the HUND paper, section 4 and Table 3",
            ours=(
                "The paper fits GHUM to 3DPW's meshes and names neither its "
                "joints nor which frames it leaves out: here SPIN's joints, "
                "about the pelvis, on all frames."
            ),
        ),
    ),
)
