r"""HKMR's regressor at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit hkmr_quick --records DATA --workdir runs/hkmr_quick

The records are quick's. The autoencoder of poses comes first, without a
picture; --before.0.steps says for how long.
"""

import dataclasses

from tf_hmr.methods import hkmr
from training import config
from training.experiments import quick

_QUICK = quick.EXPERIMENT
_T = hkmr.Config.outer_steps
# What both methods have: the encoder and its features.
_SHARED = {
    name: getattr(_QUICK.method, name)
    for name in (
        "image_size",
        "crop_scale",
        "encoder",
        "encoder_width",
        "features",
        "layout_keypoints",
        "loss_3d",
        "joints_in_loss",
    )
}
# And the supervision, whose sum over the outer steps weighs here what HMR's
# last iteration does there.
_SUPERVISION = {
    name: getattr(_QUICK.method, name) / _T
    for name in ("keypoints_2d", "joints_3d", "rotmats", "betas")
}
EXPERIMENT = dataclasses.replace(
    _QUICK,
    method=hkmr.Config(
        **_SHARED,
        **_SUPERVISION,
        loss_rotmats="as_joints",
        kl=0.005 / _T,
        vae_hidden=256,
    ),
    before=(
        config.Stage(
            "pose_vae",
            steps=800,
            optim=config.Optim(lr=1e-3, schedule="cosine", clip_norm=1.0),
            part="pose_vae",
        ),
    ),
)
