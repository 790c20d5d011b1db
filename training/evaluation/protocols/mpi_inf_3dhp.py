"""MPI-INF-3DHP's test set, six sequences with 3D truth."""

import functools

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

_protocol = functools.partial(
    Protocol,
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
    options={"pck_joints": PCK14, "pck_aligned": True},
)
_description = functools.partial(
    Description,
    split="TS1 to TS6: four indoors, two outdoors",
    frames="the 2,929 that valid_frame marks",
    alignment=(
        "MPJPE, PCK below 150 mm (strictly) and AUC, the mean of the PCK at "
        "0, 5, ... 150 mm, pooled over frames; again after a similarity per "
        "frame ('rigid alignment')"
    ),
)

PROTOCOLS = (
    _protocol(
        name="mpi_inf_3dhp",
        joints=JOINTS17,
        root=("pelvis",),
        regressor="h36m",
        perspective=True,
        description=_description(
            joints="17 for MPJPE; for PCK and AUC the 14 of the groups",
            root="the pelvis: joint 15 of the file, row 0 of the regressor",
            regressor=(
                "predicted: J_regressor_h36m on the vertices; true: "
                "univ_annot3, of the universal skeleton"
            ),
            source=(
                "the dataset's mpii_compute_3d_pck.m; joints as nkolot/SPIN: "
                "eval.py, datasets/preprocess/mpi_inf_3dhp.py"
            ),
            ours=(
                "Before comparing, the predicted pose is turned by the "
                "rotation from the optical axis to the ray through the "
                "crop's middle, the perspective correction of Mehta et al. "
                "2017, whose code is not public. SPIN does not turn it, and "
                "leaves out frames with a joint outside the image; here all "
                "valid frames count."
            ),
        ),
    ),
    _protocol(
        name="mpi_inf_3dhp_hmr",
        joints=joints.LSP14,
        description=_description(
            joints="the 14 LSP joints, also for PCK, AUC and alignment",
            root="the middle of the hips, on both sides",
            regressor=(
                "predicted: the method's own, of the cocoplus regressor in "
                "HMR; true: univ_annot3, of the universal skeleton"
            ),
            source=(
                "the HMR paper, 4.2 and Table 3; akanazawa/hmr: "
                "src/datasets/mpi_inf_3dhp/read_mpi_inf_3dhp.py (the test "
                "set's 14 joints), src/benchmark/eval_util.py"
            ),
            ours=(
                "HMR's code for this test set is not public. Its converter "
                "takes 14 of the test set's joints, and its only errors are "
                "of these about the middle of the hips. Neither code nor "
                "paper turns the predicted pose to the crop's ray, or says "
                "which of annot3 and univ_annot3 is the truth: here that of "
                "the dataset's script."
            ),
        ),
    ),
)
