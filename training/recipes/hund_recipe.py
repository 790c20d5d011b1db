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
_LABELLED, _UNLABELLED = 150_000, 54_000
_POSES = 512
"""Unpaired poses in a step of the prior."""
_PRIOR = config.Stage(
    "pose_prior",
    steps=2500,
    optim=config.Optim(lr=1e-3, schedule="cosine", clip_norm=5.0),
    part="pose_prior",
)


def full(regime: Regime) -> config.Experiment:
    """HUND with the paper's sizes, rate and epochs.

    Section 3 has the pictures of Human3.6M and 3DPW with 3D labels, and those
    of COCO alone. SURREAL stands for the parts of DensePose, which no reader
    of this project has.
    """
    labelled = (
        config.Source("h36m", 0.5),
        config.Source("3dpw", 0.2),
        config.Source("surreal", 0.3),
    )
    unlabelled = (config.Source("coco", 1.0, labels="2d"),)
    if regime == "self":
        unlabelled = (
            config.Source("coco", 0.7, labels="2d"),
            config.Source("surreal", 0.3, labels="2d+parts"),
        )
    sources = {
        "full": labelled,
        "self": unlabelled,
        "both": labelled + unlabelled,
    }
    epochs = {
        "full": _LABELLED,
        "self": _UNLABELLED,
        # As many batches of either kind.
        "both": 2 * _UNLABELLED,
    }
    return config.Experiment(
        # Keras publishes ImageNet weights for this variant of ResNet-50.
        method=hund.Config(encoder="resnet50"),
        data=config.Data(
            sources=sources[regime],
            batch_size=_BATCH_SIZE,
            alternate=regime == "both",
            parts=True,
            prior="poses",
            prior_per_image=_POSES // _BATCH_SIZE,
        ),
        before=(_PRIOR,),
        steps=_EPOCHS * epochs[regime] // _BATCH_SIZE,
        encoder_weights="imagenet",
        optim=config.Optim(lr=1e-4),
        eval_every=5000,
        save_every=1000,
    )


def quick(regime: Regime = "both") -> config.Experiment:
    """HUND in minutes of a CPU, on `quick`'s rendered people."""
    images = quick_recipe.experiment(adversary=False)
    labelled = config.Source("synthetic", 0.5, shards=(0, 2))
    unlabelled = config.Source("synthetic", 0.5, "2d+parts", shards=(1, 2))
    if regime == "self":
        unlabelled = config.Source("synthetic", labels="2d+parts")
    sources = {
        "full": (config.Source("synthetic"),),
        "self": (unlabelled,),
        "both": (labelled, unlabelled),
    }
    # 3D labels say more of poses and shapes than the prior does.
    pull = 0.3 if regime == "self" else 0.05
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
            parts=1.0 if regime == "self" else 0.0,
            latent=pull,
            betas=pull,
            rotmats=2.0,
            skin_points=512,
            part_points=512,
            part_side=24,
        ),
        data=dataclasses.replace(
            images.data,
            sources=sources[regime],
            alternate=regime == "both",
            parts=True,
            prior_per_image=_POSES // images.data.batch_size,
        ),
        before=(_PRIOR,),
        precision=images.precision,
        steps=2500,
        optim=images.optim,
        eval_every=1000,
        save_every=400,
        log_every=50,
        steps_per_call=10,
    )
