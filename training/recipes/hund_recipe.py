"""HUND as an experiment, at the paper's size and at a CPU's.

Values of the paper's size: Zanfir et al., CVPR 2021, section 3.
"""

import dataclasses
from typing import Literal

from tf_hmr.methods import hund
from training import config
from training.recipes import quick_recipe

Regime = Literal["both", "full", "self"]
"""Labels of the bodies: 3D ("full"), pictures alone ("self"), or both."""

_BATCH_SIZE = 32
_EPOCHS = 50
# Table 1: pictures with 2D and 3D labels, and pictures alone.
_LABELLED, _ALONE = 150_000, 54_000
_POSES = 512
"""Unpaired poses in a step of the prior."""
_PRIOR = config.Stage(
    "pose_prior",
    steps=2500,
    optim=config.Optim(lr=1e-3, schedule="cosine", clip_norm=5.0),
    part="pose_prior",
)


def quick(regime: Regime = "both") -> config.Experiment:
    """HUND in minutes of a CPU, on `quick`'s rendered people."""
    images = quick_recipe.experiment(adversary=False)
    labelled = config.Source("synthetic", share=0.5, shards=(0, 2))
    alone = config.Source("synthetic", share=0.5, shards=(1, 2), labels="2d")
    return config.Experiment(
        method=hund.Config(
            image_size=96,
            encoder="small",
            encoder_width=16,
            map_side=24,
            map_channels=32,
            widths=(32, 48, 64),
            embed_keypoints=True,
            feedback="residuals",
            feedback_parts=False,
            parts=0.0,
            part_points=512,
            part_side=24,
            skin_points=512,
        ),
        data=dataclasses.replace(
            images.data,
            sources=(labelled, alone),
            parts=True,
            prior_per_image=_POSES // images.data.batch_size,
        ),
        before=(_PRIOR,),
        precision=images.precision,
        steps=2000,
        optim=images.optim,
        eval_every=1000,
        save_every=400,
        log_every=50,
    )
