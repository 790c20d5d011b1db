"""HMR at the size of a CPU, as an experiment; variants differ in arguments.

The class, losses and step are HMR's; only values differ.
"""

import dataclasses

from tf_hmr.methods import _image_encoder, hmr
from training import config

_METHOD = hmr.Config(
    image_size=96,
    crop_scale=1.2,
    encoder="small",
    encoder_width=16,
    features="layout",
    layout_keypoints=5.0,
    rotation="6d",
    hidden=512,
    dropout=0.0,
    adversary_hidden=256,
    keypoints_2d=2.0,
    joints_3d=5.0,
    rotmats=1.0,
    betas=0.02,
    loss_3d="absolute",
    joints_in_loss="cocoplus",
    adversary=0.005,
)
# The encoder and its features, for another method at this size.
ENCODER = {
    field.name: getattr(_METHOD, field.name)
    for field in dataclasses.fields(_image_encoder.EncoderFields)
}
# HMR's release weighs the adversary 1 and the keypoints 60 (akanazawa/hmr:
# do_train.sh); without 3D labels it is the only constraint on poses.
_ADVERSARY_ALONE = _METHOD.keypoints_2d / 60
_LR = 1e-3


def experiment(
    paired: bool = True, adversary: bool = True, true_root: bool = False
) -> config.Experiment:
    """`quick`, or its variants.

    Args:
        paired: half of each batch has 3D labels, the other half, of other
            images, only 2D keypoints; else all images have only keypoints.
        adversary: whether unpaired poses judge the predictions. Without 3D
            labels their mean is the regressor's start in any case.
        true_root: the labelled global rotation is an input; all images have
            3D labels.
    """
    method, sources = _METHOD, (config.Source("synthetic", labels="2d"),)
    if paired:
        sources = (
            config.Source("synthetic", share=0.5, shards=(0, 2)),
            config.Source("synthetic", share=0.5, shards=(1, 2), labels="2d"),
        )
    else:
        method = dataclasses.replace(method, adversary=_ADVERSARY_ALONE)
    if true_root:
        method = dataclasses.replace(method, true_root=True)
        sources = (config.Source("synthetic"),)
    if not adversary:
        method = dataclasses.replace(method, adversary=0.0)
    return config.Experiment(
        method=method,
        data=config.Data(
            sources=sources,
            batch_size=32,
            augment=config.Augment(scale=(0.9, 1.12), shift=0.04, colour=0.2),
        ),
        precision="auto",
        steps=4000,
        optim=config.Optim(
            lr=_LR,
            # HMR's 1e-4 to 1e-5 (akanazawa/hmr: do_train.sh).
            lr_adversary=10 * _LR,
            weight_decay=1e-4,
            schedule="cosine",
            warmup_steps=100,
            clip_norm=1.0,
        ),
        eval_every=800,
        save_every=400,
        log_every=50,
    )
