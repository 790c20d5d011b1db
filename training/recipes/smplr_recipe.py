"""SMPLR's stages as an experiment, at the paper's size and at a CPU's.

Values of the paper's size: sections 4.1 and 4.4.4; meysam-madadi/SMPLR:
train_all.py, train_smplr.py, train_shn.py.
"""

import dataclasses

from tf_hmr.methods import smplr
from training import config
from training.recipes import quick_recipe

BATCH_SIZE = 8
"""Between the paper's 6 and 10 images; SMPLR's code has 6."""
POSES = 256
"""Sampled bodies in a step of the networks without pictures."""
EPOCHS = 200
IMAGES = 89_000
"""Frames of SURREAL whose poses all differ (section 4.4)."""
_PART_STEPS = 400 * EPOCHS
# 30 epochs of the code's joint training of Psi and Omega.
_FINE_TUNE_STEPS = 400 * 30


ALEXNET_BATCH = 32
"""Images in a step of AlexNet (section 4.4.1)."""
PLAIN = config.Augment(scale=(1.0, 1.0), shift=0.0, flip=0.0)
"""No augmentation: networks of Table 1 that are not called final."""
FINAL = config.Augment(
    scale=(1.0, 1.0),
    shift=0.0,
    rotation_deg=8.6,  # .15 rad
    rotation_probability=0.25,
    colour=0.2,
    # The paper gives no shares.
    background=0.5,
    objects=0.5,
)
"""Colours, flips, rotation, other backgrounds and objects (section 4.4.1)."""
_ORDER = ("shape", "pose", "pose_smpl", "denoiser", "encoder")
_ORDER_ON_PICTURES = ("encoder", "denoiser", "shape", "pose", "pose_smpl")


def full(**values) -> config.Experiment:
    """SMPLR with the paper's sizes and rates, whose last stage is end to end.

    It is the final model: limb maps and augmentation. Denoiser, Psi and Omega
    learn from sampled bodies and stay as they are at the end (section 4.5).
    Omega's rate is the paper's .001: at the code's .01 it does not learn.

    Args:
        **values: fields of smplr.Config that differ.
    """
    values = {"crop": "truth", "procrustes": False} | values
    method = smplr.Config(**values)
    part_optim = config.Optim(lr=1e-3, schedule="sigmoid")
    batch_size = BATCH_SIZE if method.backbone == "hourglass" else ALEXNET_BATCH
    steps = {
        "shape": (_PART_STEPS, part_optim),
        "pose": (_PART_STEPS, part_optim),
        "pose_smpl": (_FINE_TUNE_STEPS, config.Optim(lr=1e-4)),
        "denoiser": (_PART_STEPS, part_optim),
        "encoder": (
            EPOCHS * IMAGES // batch_size,
            config.Optim(lr=1e-2, schedule="sigmoid_late"),
        ),
    }
    order = _ORDER if method.learn_from == "noise" else _ORDER_ON_PICTURES
    return config.Experiment(
        method=method,
        data=config.Data(
            sources=(config.Source("surreal"),),
            batch_size=batch_size,
            augment=FINAL,
            prior="surreal",
            prior_per_image=POSES // batch_size,
        ),
        before=_parts({name: steps[name] for name in order}),
        steps=2 * IMAGES // batch_size,
        optim=config.Optim(lr=1e-4),
        eval_every=5000,
        save_every=1000,
    )


def part_by_part(final: bool = False, **values) -> config.Experiment:
    """SMPLR whose parts are only trained alone, each on those before it.

    The networks of Table 1: denoiser, Psi and Omega learn from what the trained
    hourglass finds in pictures (sections 4.4.2 and 4.4.3), with --output one
    part after the other is scored.

    Args:
        final: whether there are limb maps and augmentation.
        **values: fields of smplr.Config that differ.
    """
    values = {"learn_from": "pictures"} | values
    experiment = full(**values) if final else plain(**values)
    return dataclasses.replace(experiment, steps=0)


def plain(**values) -> config.Experiment:
    """`full` without limb maps and without augmentation.

    Args:
        **values: fields of smplr.Config that differ.
    """
    experiment = full(**{"limbs": 0.0} | values)
    data = dataclasses.replace(experiment.data, augment=PLAIN)
    return dataclasses.replace(experiment, data=data)


def without(experiment: config.Experiment, stage: str) -> config.Experiment:
    """The experiment with 0 steps of a stage before the last.

    Args:
        experiment: one of this module.
        stage: its name.
    """
    before = tuple(
        dataclasses.replace(s, steps=0) if s.name == stage else s
        for s in experiment.before
    )
    return dataclasses.replace(experiment, before=before)


def up3d() -> config.Experiment:
    """`full` on photographs whose points are lifted (section 4.6).

    The fits of UP-3D say little of depth: the denoiser gets points without it.
    The paper adds 18,000 frames of SURREAL to 5,703 photographs.
    """
    experiment = full(lift=True, crop="estimated", scale="learned")
    sources = config.Source("up3d", 0.25), config.Source("surreal", 0.75)
    data = dataclasses.replace(
        experiment.data,
        sources=sources,
        augment=dataclasses.replace(FINAL, scale=(0.8, 1.2)),
    )
    # "We do not train this model end-to-end on UP-3D."
    return dataclasses.replace(experiment, data=data, steps=0)


def quick(**values) -> config.Experiment:
    """SMPLR in minutes of a CPU, on `quick`'s rendered people.

    Args:
        **values: fields of smplr.Config that differ. With
            learn_from="pictures" all parts are trained alone, as in
            `part_by_part`.
    """
    images = quick_recipe.experiment(paired=False, adversary=False)
    batch_size = images.data.batch_size
    part_optim = config.Optim(lr=1e-3, schedule="cosine", clip_norm=1.0)
    method = smplr.Config(**(_QUICK | values))
    steps = {
        "shape": (800, part_optim),
        "pose": (2500, part_optim),
        "pose_smpl": (1000, dataclasses.replace(part_optim, lr=3e-4)),
        "denoiser": (800, part_optim),
        "encoder": (2500, dataclasses.replace(images.optim, lr=3e-3)),
    }
    is_alone = method.learn_from == "pictures"
    order = _ORDER_ON_PICTURES if is_alone else _ORDER
    return config.Experiment(
        method=method,
        data=dataclasses.replace(
            images.data,
            sources=(config.Source("synthetic"),),
            prior_per_image=POSES // batch_size,
        ),
        before=_parts({name: steps[name] for name in order}),
        precision=images.precision,
        steps=0 if is_alone else 300,
        optim=dataclasses.replace(part_optim, lr=3e-4),
        eval_every=1000,
        save_every=400,
        log_every=50,
        steps_per_call=50,
    )


_QUICK = {
    "image_size": 64,
    "stacks": 1,
    "width": 64,
    "bins": 8,
    "levels": 3,
    "stem": (16, 32, 32),
    "hidden": 256,
    "noise": 4.0,
    "denoiser_noise": 4.0,
    "scale": "learned",
    "limbs": 0.0,
    "points": 10.0,
}


def _parts(
    steps: dict[str, tuple[int, config.Optim]],
) -> tuple[config.Stage, ...]:
    """Stages that train parts of the method alone, by the part's name."""
    return tuple(
        config.Stage(name, count, optim, part=name)
        for name, (count, optim) in steps.items()
    )
