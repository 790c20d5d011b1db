"""Rendered people of the open body, made by `training.prepare synthetic`."""

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol

PROTOCOLS = (
    Protocol(
        name="synthetic_v1",
        records="synthetic_v1",
        splits=("test",),
        prepare="synthetic --protocol synthetic_v1",
        count=1000,
        measures=("joints3d", "surface", "pck3d", "crop2d", "true_root"),
        headline=("mpjpe_mm", "pa_mpjpe_mm"),
        joints=joints.LSP14,
        synthetic=True,
        description=Description(
            split=(
                "1,000 rendered people of the open body, none of them in any "
                "training set. SYNTHETIC: not comparable with results on "
                "photographs."
            ),
            frames="all 1,000, each a person of its own",
            joints="the 14 LSP joints; all vertices",
            root=(
                "the middle of the hips on both sides (akanazawa/hmr: "
                "src/benchmark/eval_util.py); vertices about the pelvis"
            ),
            regressor="the open body's own rows on both sides",
            alignment=(
                "PA after a similarity without reflection; MPJPE also with the "
                "true global rotation put in; 3D PCK at 150 mm "
                "and AUC over 0..150 mm of the root-aligned joints; 2D PCK at "
                "0.2 of the torso; silhouettes and 14 parts of the predicted "
                "mesh in the crop against the rendered person"
            ),
            source="this repository: training/data/synthetic/people.py",
        ),
    ),
    Protocol(
        name="synthetic_smplr",
        records="synthetic_v1",
        splits=("test",),
        prepare="synthetic --protocol synthetic_v1",
        count=1000,
        measures=("joints3d", "skeleton", "surface"),
        headline=("mpjpe_mm", "pve_mm"),
        joints=joints.SMPLR16,
        root=("pelvis",),
        regressor="smpl",
        truth=("smpl",),
        options={"surface_root": "pelvis"},
        synthetic=True,
        description=Description(
            split="the 1,000 rendered people of synthetic_v1",
            frames="all 1,000, each a person of its own",
            joints=(
                "16 of SMPL's 24 joints and their groups; lengths of the 41 "
                "bones; 18 landmarks and all vertices of the skin"
            ),
            root="the pelvis, on both sides, also of the surface",
            regressor="the open body's own joints on both sides",
            alignment="none; means over all people",
            source="the SMPLR paper, 4.3 and Table 1, on rendered people",
        ),
    ),
)
