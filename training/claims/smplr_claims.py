"""SMPLR's claims."""

from training.claims.statements import (
    PA_MPJPE,
    Claim,
    Configuration,
    less,
)

_MINUTES = 16
"""Of smplr_quick (docs/smplr.md); its variants were not timed."""


def _smplr(experiment: str, *options: str) -> Configuration:
    return Configuration(
        experiment,
        options,
        outputs=("cnn", "denoised"),
        own_steps=True,
        minutes=_MINUTES,
    )


_NO_TRAIN = ("--steps", "0")
# As many steps of the hourglass alone as the last stage has.
_MORE_ALONE = ("--before.4.steps", "2800", *_NO_TRAIN)
_SCENERY = ("--data.augment.background", ".5", "--data.augment.objects", ".5")
CONFIGURATIONS = {
    name: Configuration("smplr_quick", points=name.removeprefix("smplr_"))
    for name in ("smplr_landmarks", "smplr_joints")
} | {
    "smplr": _smplr("smplr_quick"),
    "smplr_alone": _smplr("smplr_quick", *_MORE_ALONE),
    "smplr_parts": _smplr("smplr_quick_parts"),
    "smplr_no_landmarks": _smplr("smplr_quick_parts", "--method.no-landmarks"),
    "smplr_weak": _smplr("smplr_quick_weak"),
    "smplr_lift": _smplr("smplr_quick_parts", "--method.lift"),
    "smplr_final": _smplr(
        "smplr_quick_parts", "--method.limbs", "1", *_SCENERY
    ),
}

CLAIMS = {
    "smplr-1": Claim(
        text="landmarks help the volumetric network",
        source="SMPLR Table 1, section 4.4.3",
        paper="joints 62.8 mm without, 59.9 mm with landmarks",
        configurations=("smplr_parts", "smplr_no_landmarks"),
        comparisons=(
            less(
                *("cnn_mm", "smplr_parts", "smplr_no_landmarks"),
                "joints found (mm): with landmarks {a} < without {b}",
                effect=1.0,
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-1a": Claim(
        text="the shape network needs landmarks",
        source="SMPLR section 4.4.3, Figure 5a",
        paper="no figures",
        configurations=("smplr_landmarks", "smplr_joints"),
        comparisons=(
            less(
                *("shape_mm", "smplr_landmarks", "smplr_joints"),
                "error of the shape (mm): with landmarks {a} < without {b}",
                effect=1.0,
            ),
        ),
        judged_by="",
    ),
    "smplr-2": Claim(
        text="the denoiser mends structured error of a weak network, little "
        "of a strong one",
        source="SMPLR Table 1, section 4.4.2",
        paper="AlexNet 133.0 to 121.5 mm; hourglass 59.9 to 59.2 mm",
        configurations=("smplr_weak", "smplr_parts"),
        comparisons=(
            less(
                *("denoised_mm", "smplr_weak", "smplr_weak"),
                "weak network (mm): denoised {a} < as found {b}",
                effect=2.0,
                metric_b="cnn_mm",
            ),
            less(
                *("denoised_gain_pct", "smplr_parts", "smplr_weak"),
                "gain (%): of the hourglass {a} < of the weak network {b}",
                effect=2.0,
            ),
        ),
        judged_by=PA_MPJPE,
        may_fail=("smplr_weak",),
    ),
    "smplr-3": Claim(
        text="a denoiser trained on noisy ground truth equals one trained on "
        "the network's own output",
        source="SMPLR section 4.4.2",
        paper="61.7 mm and 61.9 mm",
        configurations=("smplr", "smplr_parts"),
        comparisons=tuple(
            less(
                *("denoised_mm", a, b),
                f"denoised points (mm), within a twentieth: .95 x {a} {{a}} < "
                f"{b} {{b}}",
                factor=0.95,
            )
            for a, b in (("smplr", "smplr_parts"), ("smplr_parts", "smplr"))
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-4": Claim(
        text="the denoiser lifts 2D to 3D at a small cost",
        source="SMPLR Table 1, section 4.4.2",
        paper="65.2 mm, of 59.9 mm with depth",
        configurations=("smplr_lift", "smplr_parts"),
        comparisons=(
            less(
                *("denoised_mm", "smplr_lift", "smplr_parts"),
                "points (mm), within a fifth: .8 x lifted {a} < found {b}",
                factor=0.8,
                metric_b="cnn_mm",
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-5": Claim(
        text="pose, not shape, is the main source of error; L_SMPL helps pose "
        "more than as many steps of L_R alone",
        source="SMPLR Table 1, section 4.4.3",
        paper="shape 14.4 mm, pose 67.8 mm, with L_SMPL 63.8 mm",
        configurations=("smplr_landmarks",),
        comparisons=(
            less(
                *("shape_mm", "smplr_landmarks", "smplr_landmarks"),
                "error (mm) of shape, twice: 2 x {a} < of pose {b}",
                factor=2.0,
                metric_b="pose_smpl_mm",
            ),
            less(
                *("pose_smpl_mm", "smplr_landmarks", "smplr_landmarks"),
                "error of the pose (mm): after L_SMPL {a} < after as many "
                "steps of L_R alone {b}",
                effect=1.0,
                metric_b="pose_more_mm",
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-6": Claim(
        text="training end to end helps the hourglass, with the later networks "
        "frozen",
        source="SMPLR section 4.5",
        paper="59.9 to 57.8 mm",
        configurations=("smplr", "smplr_alone"),
        comparisons=(
            less(
                *("cnn_mm", "smplr", "smplr_alone"),
                "joints found (mm): end to end {a} < as many steps more of the "
                "hourglass alone {b}",
                effect=1.0,
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-7": Claim(
        text="Procrustes of the body onto its own input points recovers error, "
        "without ground truth",
        source="SMPLR Tables 1 and 2",
        paper="70.8 to 67.8 mm; 67.9 to 62.6 mm on Human3.6M",
        configurations=("smplr_landmarks",),
        comparisons=(
            less(
                *("moved_mm", "smplr_landmarks", "smplr_landmarks"),
                "body (mm) about the points' pelvis: turned and moved {a} < "
                "not {b}",
                effect=1.0,
                metric_b="body_mm",
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-8": Claim(
        text="limb maps, random backgrounds and objects help the volumetric "
        "network",
        source="SMPLR Table 1, section 4.4.1",
        paper="59.9 to 53.0 mm",
        configurations=("smplr_final", "smplr_parts"),
        comparisons=(
            less(
                *("cnn_mm", "smplr_final", "smplr_parts"),
                "joints found (mm): with them {a} < without {b}",
                effect=2.0,
            ),
        ),
        judged_by=PA_MPJPE,
    ),
    "smplr-9": Claim(
        text="gender is read from the points",
        source="SMPLR section 4.4.3",
        paper="89.5 % right",
        configurations=("smplr_landmarks",),
        comparisons=(
            less(
                *("gender_pct", "smplr_landmarks", "smplr_landmarks"),
                "wrong genders (%), four times: 4 x {a} < of guessing the more "
                "frequent one {b}",
                factor=4.0,
                metric_b="chance_pct",
            ),
        ),
        judged_by=PA_MPJPE,
    ),
}
