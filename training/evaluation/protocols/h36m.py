"""Human3.6M, as five papers count it. No two of these are the same number.

Example ids are as training.data.prepare.h36m makes them:
S9_Directions_1.54138969_000001, image number from 1. The lists that HMR and
SPIN published are read as well: HMR's TFRecords of the test people, with ids
test-S9_Directions_0_cam3-00000 by trial and camera from 0, and SPIN's
h36m_valid_protocol1.npz, whose ids start with the file's name.
"""

import functools

from tf_hmr import joints
from training.evaluation.protocol import (
    Description,
    Protocol,
    grouped,
    matching,
)

FRONTAL = "60457274"
"""Camera 3 of 0 to 3 (karfly/human36m-camera-parameters)."""

# Frame k is image k + 1: every 5th one ends in 1 or 6.
_FIFTH = r"\d*[16]$"
# A first trial is called "Action 1", except for these (metadata.xml of
# anibali/h36m-fetch).
_ACTIONS = (
    "Directions|Discussion|Eating|Greeting|Phoning|Photo|Posing|Purchases|"
    "Sitting|Smoking|Waiting|WalkDog|WalkTogether|Walking"
)
_FIRST = (
    rf"^(S9_(({_ACTIONS})_1|SittingDown)"
    rf"|S11_((?!Greeting|Phoning|Smoking)({_ACTIONS})_1|SittingDown"
    rf"|Greeting_2|Phoning_3|Smoking_2))\.{FRONTAL}_{_FIFTH}"
    r"|^test-(S9|S11)_[A-Za-z]+_0_cam3-"
)
_TESTED = rf"^(S9_|S11_(?!Directions\.54138969_)).*_{_FIFTH}"
_HMR_TESTED = rf"{_TESTED}|^test-(S9_|S11_(?!Directions_1_cam0-))"

_P1_SPLIT = "S9 and S11, all four cameras, both trials of the 15 actions"
_CORRUPT = (
    "; without the second trial of Directions of S11 by camera 54138969, "
    "whose video is corrupt"
)
_FRAMES = "every 5th frame from the first: 10 a second"
_SPIN_RULES = "boxes of MySegmentsMat's rectangles, 0.9 of them at 1.2"

_protocol = functools.partial(
    Protocol,
    records="h36m",
    group=grouped(r"^(?:test-)?S\d+_([A-Za-z]+)"),
    headline=("mpjpe_mm", "pa_mpjpe_mm"),
)

_hmr_protocol = functools.partial(
    _protocol,
    measures=("joints3d",),
    # Subject, action, trial and camera: everything before the image number.
    sequence=grouped(r"^(.*)[_-]\d+$"),
    joints=joints.LSP14,
    box_rules="hmr",
    other_readers=("hmr-tfrecords",),
)
_hmr_description = functools.partial(
    Description,
    joints="the 14 LSP joints",
    root="the middle of the hips, on both sides",
    regressor=(
        "predicted: the method's own, of the cocoplus regressor in HMR; true: "
        "the joints of the dataset, also where the records have a body "
        "(akanazawa/hmr: src/datasets/common.py and its issue 116: gt3d "
        "holds Human3.6M's joints, for all that it is stored as mosh/gt3d)"
    ),
    alignment=(
        "MPJPE without; PA-MPJPE after a similarity per frame without "
        "reflection; means over all frames, and, as the code prints too, over "
        "actions of the means of their videos"
    ),
    ours=(
        "Boxes of the true keypoints, as HMR's converter makes them. HMR's "
        "own TFRecords of the test people serve as well."
    ),
)

_spin_protocol = functools.partial(
    _protocol,
    measures=("joints3d",),
    # The neck is row 8 of the regressor, as in SPIN's H36M_TO_J17.
    joints=joints.LSP14,
    root=("pelvis",),
    regressor="h36m",
    box_rules="spin",
    other_readers=("spin-npz",),
)
_spin_description = functools.partial(
    Description,
    joints=(
        "14 joints: J_regressor_h36m's limbs, thorax (against the neck) and "
        "top of the head"
    ),
    root=(
        "predicted: the pelvis, row 0 of the regressor; true: the pelvis "
        "joint of the dataset"
    ),
    regressor=(
        "predicted: J_regressor_h36m on the vertices; true: the markers' "
        "joints of the dataset"
    ),
    alignment=(
        "MPJPE without; PA-MPJPE after a similarity per frame without "
        "reflection; means over all frames"
    ),
)

_smplr_protocol = functools.partial(
    _protocol,
    splits=("p1",),
    prepare="h36m --split p1 --neural-annot FOLDER",
    includes=matching(_TESTED),
    joints=joints.SMPLR16,
    root=("pelvis",),
    regressor="smpl",
    truth=("smpl",),
)
_smplr_description = functools.partial(
    Description,
    split="S9 and S11, no camera left out",
    frames=f"{_FRAMES}; the paper counts 110K",
    joints=(
        "16 of SMPL's 24 joints and their groups; lengths of the 23 bones; "
        "18 landmarks and all vertices of the skin"
    ),
    regressor="SMPL's own joints of predicted and labelled pose and shape",
    source=(
        "the SMPLR paper, 4.1 to 4.3 and Table 2; meysam-madadi/SMPLR: test.py"
    ),
    ours=(
        "The paper's truth is SMPL fitted to scans by its authors, which is "
        "not public: here the labels of the records (MoSh or NeuralAnnot). "
        "Bones are those of the kinematic tree; the paper's also join the "
        "landmarks, by a tree that is not public."
    ),
)

PROTOCOLS = (
    _hmr_protocol(
        name="h36m_p1_hmr",
        splits=("p1", "test"),
        prepare="h36m --split p1",
        includes=matching(_HMR_TESTED),
        description=_hmr_description(
            split=_P1_SPLIT + _CORRUPT,
            frames=_FRAMES,
            source=(
                "the HMR paper, 4.1 and Table 2; akanazawa/hmr: "
                "src/benchmark/evaluate_h36m.py, eval_util.py"
            ),
        ),
    ),
    _hmr_protocol(
        name="h36m_p2_hmr",
        splits=("p2_hmr", "p2_spin", "p1", "test"),
        prepare="h36m --split p2_hmr",
        headline=("pa_mpjpe_mm",),
        includes=matching(_FIRST),
        description=_hmr_description(
            split=f"S9 and S11, camera {FRONTAL}, first trial of each action",
            frames=_FRAMES,
            source=(
                "the HMR paper, 4.1 and Table 1 (PA-MPJPE); akanazawa/hmr: "
                "src/benchmark/evaluate_h36m.py, get_h36m_seqs"
            ),
        ),
    ),
    _spin_protocol(
        name="h36m_p1_spin",
        splits=("p1",),
        prepare="h36m --split p1 --rules spin",
        includes=matching(rf"{_TESTED}|^h36m_valid_protocol1-"),
        description=_spin_description(
            split=_P1_SPLIT,
            frames=_FRAMES,
            source="nkolot/SPIN: eval.py, datasets/preprocess/h36m.py",
            ours=(
                "SPIN's list (spin-npz of h36m_valid_protocol1.npz) has the "
                "corrupt video of S11 (Directions, camera 54138969) too, the "
                "records of the dataset do not. Boxes: " + _SPIN_RULES
            ),
        ),
    ),
    _spin_protocol(
        name="h36m_p2_spin",
        splits=("p2_spin", "p1"),
        prepare="h36m --split p2_spin --rules spin",
        includes=matching(
            rf"^(S9|S11)_.*\.{FRONTAL}_{_FIFTH}|^h36m_valid_protocol2-"
        ),
        description=_spin_description(
            split=f"S9 and S11, camera {FRONTAL}, both trials",
            frames=_FRAMES,
            source=(
                "the SPIN paper; nkolot/SPIN: eval.py, "
                "datasets/preprocess/h36m.py"
            ),
            ours="Boxes: " + _SPIN_RULES,
        ),
    ),
    _smplr_protocol(
        name="h36m_root_smplr",
        measures=("joints3d", "skeleton", "surface"),
        headline=("mpjpe_mm", "pve_mm"),
        options={"surface_root": "pelvis"},
        description=_smplr_description(
            root="the pelvis, on both sides, also of the surface",
            alignment="none: the paper's Protocol 1",
        ),
    ),
    _smplr_protocol(
        name="h36m_procrustes_smplr",
        measures=("joints3d", "skeleton", "surface"),
        headline=("pa_mpjpe_mm", "pve_pa_mm"),
        options={
            "surface_root": "pelvis",
            "surface_aligned": True,
            "groups_aligned": True,
        },
        description=_smplr_description(
            root="does not matter",
            alignment=(
                "a similarity per frame from prediction to truth, of the 16 "
                "joints, of the 24 for the groups, of all vertices for the "
                "surface: the paper's Protocol 2"
            ),
        ),
    ),
    _spin_protocol(
        name="h36m_p1_hund",
        splits=("p1",),
        prepare="h36m --split p1 --rules spin",
        other_readers=(),
        measures=("joints3d", "translation"),
        headline=("pa_mpjpe_mm", "mpjpe_mm", "translation_mm"),
        includes=matching(_TESTED),
        box_rules="",
        description=_spin_description(
            split=_P1_SPLIT,
            frames=f"{_FRAMES}; the paper counts 110,000",
            source=(
                "the HUND paper, section 4 and Table 1; closest public code "
                "sminchisescu-research/imar_vision_datasets_tools: "
                "util/eval_util.py"
            ),
            ours=(
                "The paper does not name its joints: as the public code of "
                "the same group, the 14 regressed ones about the regressed "
                "pelvis. Translation error: distance of the pelvis in the "
                "camera's frame. A method with a weak perspective camera is "
                "placed by the true focal length."
            ),
        ),
    ),
)
