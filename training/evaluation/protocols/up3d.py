"""UP-3D's test list: photographs with SMPL fits."""

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol

PROTOCOLS = (
    Protocol(
        name="up3d_smplr",
        records="up3d",
        splits=("test",),
        prepare="up3d --split test",
        count=1389,
        measures=("joints3d", "surface"),
        headline=("pve_mm", "pve_pa_mm"),
        joints=joints.SMPLR16,
        root=("pelvis",),
        regressor="smpl",
        truth=("smpl",),
        options={"surface_root": "pelvis", "surface_aligned": True},
        description=Description(
            split="test.txt of the publisher, 1,389 people",
            frames="each a photograph of its own",
            joints="all 6,890 vertices; 16 of SMPL's joints beside them",
            root="the pelvis, on both sides",
            regressor="the fits' neutral SMPL bodies are the truth",
            alignment=(
                "the surface as it is, and after a similarity of all "
                "vertices; means over people"
            ),
            source=(
                "the SMPLR paper, 4.5 (about 91 and 87 mm, against 100.5 mm); "
                "nkolot/GraphCMR: eval.py for the error of the surface"
            ),
            ours=(
                "The paper does not say which list it means: here the test "
                "list. A person whose files are damaged is not in the "
                "records, and the result then is not complete."
            ),
        ),
    ),
)
