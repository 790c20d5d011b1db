"""SURREAL: rendered videos, as SMPLR and BodyNet sample them."""

import functools

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol

_protocol = functools.partial(
    Protocol,
    records="surreal",
    measures=("joints3d", "skeleton", "surface"),
    headline=("mpjpe_mm", "pve_mm"),
    joints=joints.SMPLR16,
    root=("pelvis",),
    regressor="smpl",
    truth=("smpl",),
    options={"surface_root": "pelvis"},
)
_description = functools.partial(
    Description,
    joints=(
        "16 of SMPL's 24 joints and their groups; lengths of the 23 bones; "
        "18 landmarks and all vertices of the skin"
    ),
    root="the pelvis, on both sides, also of the surface",
    regressor=(
        "SMPL's own joints: predicted of the method's body, true of the "
        "labelled body of the person's gender"
    ),
    alignment="none; means over all frames",
)
_FRAMES = (
    "a frame is left out when its joints moved less than 5 cm in the mean "
    "since the last one kept"
)
_OURS = (
    "SURREAL's labels are gendered bodies: where the method predicts the "
    "neutral one, that difference counts. Bones are those of the kinematic "
    "tree; the paper's also join the landmarks, by a tree that is not public."
)

PROTOCOLS = (
    _protocol(
        name="surreal_smplr",
        splits=("test",),
        prepare="surreal --split test --rules smplr",
        box_rules="smplr",
        description=_description(
            split="test, all three renderings",
            frames=f"{_FRAMES}; the paper counts 665K",
            source=(
                "the SMPLR paper, 4.1, 4.3 and Table 3; "
                "meysam-madadi/SMPLR: test.py"
            ),
            ours=(
                f"{_OURS} Table 3 sets BodyNet's number beside its own, which "
                "is of one frame per clip: that is surreal_bodynet here."
            ),
        ),
    ),
    _protocol(
        name="surreal_smplr_val",
        splits=("val",),
        prepare="surreal --split val --rules smplr",
        box_rules="smplr",
        description=_description(
            split="val, all three renderings",
            frames=f"{_FRAMES}; the paper counts 27K",
            source=(
                "the SMPLR paper, 4.3 and Table 1; meysam-madadi/SMPLR: test.py"
            ),
            ours=(
                f"{_OURS} The networks of Table 1 are trained on 89K frames "
                "of the training split, which is not part of this name."
            ),
        ),
    ),
    _protocol(
        name="surreal_bodynet",
        splits=("test",),
        prepare="surreal --split test --rules bodynet",
        box_rules="bodynet",
        description=_description(
            split="test, all three renderings",
            frames="the middle one of each clip of T: number ceil(T / 2)",
            source="gulvarol/bodynet: fitting/fit_surreal.py",
            ours=_OURS,
        ),
    ),
)
