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


def full() -> config.Experiment:
    """SMPLR with the paper's sizes and rates.

    Omega's rate is the paper's .001: at the code's .01 it does not learn.
    """
    part_optim = config.Optim(lr=1e-3, schedule="sigmoid")
    return config.Experiment(
        method=smplr.Config(crop="truth", procrustes=False),
        data=config.Data(
            sources=(config.Source("surreal"),),
            batch_size=BATCH_SIZE,
            augment=config.Augment(
                scale=(1.0, 1.0),
                shift=0.0,
                rotation_deg=8.6,  # .15 rad
                rotation_probability=0.25,
                colour=0.2,
            ),
            prior="surreal",
            prior_per_image=POSES // BATCH_SIZE,
        ),
        before=_parts(
            {
                "shape": (_PART_STEPS, part_optim),
                "pose": (_PART_STEPS, part_optim),
                "pose_smpl": (_FINE_TUNE_STEPS, config.Optim(lr=1e-4)),
                "denoiser": (_PART_STEPS, part_optim),
                "encoder": (
                    EPOCHS * IMAGES // BATCH_SIZE,
                    config.Optim(lr=1e-2, schedule="sigmoid_late"),
                ),
            }
        ),
        steps=2 * IMAGES // BATCH_SIZE,
        optim=config.Optim(lr=1e-4),
        eval_every=5000,
        save_every=1000,
    )


def quick() -> config.Experiment:
    """SMPLR in minutes of a CPU, on `quick`'s rendered people."""
    images = quick_recipe.experiment(paired=False, adversary=False)
    batch_size = images.data.batch_size
    part_optim = config.Optim(lr=1e-3, schedule="cosine", clip_norm=1.0)
    return config.Experiment(
        method=smplr.Config(
            image_size=64,
            stacks=1,
            width=64,
            bins=8,
            levels=3,
            stem=(16, 32, 32),
            hidden=256,
            noise=4.0,
            denoiser_noise=4.0,
            scale="learned",
            limbs=0.0,
            points=10.0,
        ),
        data=dataclasses.replace(
            images.data,
            sources=(config.Source("synthetic"),),
            prior_per_image=POSES // batch_size,
        ),
        before=_parts(
            {
                "shape": (800, part_optim),
                "pose": (2500, part_optim),
                "pose_smpl": (1000, dataclasses.replace(part_optim, lr=3e-4)),
                "denoiser": (800, part_optim),
                "encoder": (
                    2500,
                    dataclasses.replace(images.optim, lr=3e-3),
                ),
            }
        ),
        precision=images.precision,
        steps=300,
        optim=dataclasses.replace(part_optim, lr=3e-4),
        eval_every=1000,
        save_every=400,
        log_every=50,
        steps_per_call=50,
    )


def _parts(
    steps: dict[str, tuple[int, config.Optim]],
) -> tuple[config.Stage, ...]:
    """Stages that train parts of the method alone, by the part's name."""
    return tuple(
        config.Stage(name, count, optim, part=name)
        for name, (count, optim) in steps.items()
    )
