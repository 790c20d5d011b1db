"""MPI-INF-3DHP's test set, six sequences with 3D truth."""

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol, grouped

# The official script groups 14 of the 17 joints (mpii_compute_3d_pck.m).
PCK14 = (
    "head_top",
    "neck",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
JOINTS17 = (*joints.LSP14, "pelvis", "spine", "neck_nose")

PROTOCOLS = (
    Protocol(
        name="mpi_inf_3dhp",
        records="mpi-inf-3dhp",
        splits=("test",),
        prepare="mpi-inf-3dhp --split test",
        count=2929,
        box_rules="hmr",
        group=grouped(r"_(a\d)$"),
        measures=("joints3d", "pck3d"),
        headline=(
            "pck3d_150mm",
            "auc3d",
            "mpjpe_mm",
            "pck3d_150mm_aligned",
            "auc3d_aligned",
            "pa_mpjpe_mm",
        ),
        joints=JOINTS17,
        root=("pelvis",),
        regressor="h36m",
        perspective=True,
        options={"pck_joints": PCK14, "pck_aligned": True},
        description=Description(
            split="TS1 to TS6: four indoors, two outdoors",
            frames="the 2,929 that valid_frame marks",
            joints="17 for MPJPE; for PCK and AUC the 14 of the groups",
            root="the pelvis: joint 15 of the file, row 0 of the regressor",
            regressor=(
                "predicted: J_regressor_h36m on the vertices; true: "
                "univ_annot3, of the universal skeleton"
            ),
            alignment=(
                "MPJPE, PCK below 150 mm (strictly) and AUC, the mean of the "
                "PCK at 0, 5, ... 150 mm, pooled over frames; again after a "
                "similarity per frame ('rigid alignment')"
            ),
            source=(
                "the HMR paper, 4.2 and Table 3; the dataset's "
                "mpii_compute_3d_pck.m; joints as nkolot/SPIN: eval.py, "
                "datasets/preprocess/mpi_inf_3dhp.py"
            ),
            ours=(
                "HMR does not say how its 14 joints became 17: the regressor "
                "is SPIN's. Before comparing, the predicted pose is turned "
                "by the rotation from the optical axis to the ray through "
                "the crop's middle, the perspective correction of "
                "Mehta et al. 2017, whose code is not public. SPIN leaves "
                "out frames with a joint outside the image; here all "
                "valid frames count."
            ),
        ),
    ),
)
