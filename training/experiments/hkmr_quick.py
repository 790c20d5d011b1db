r"""HKMR's regressor at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit hkmr_quick --records DATA --workdir runs/hkmr_quick

The records are quick's. The autoencoder of poses is trained first, without
images, for --before.0.steps steps.
"""

import dataclasses

from tf_hmr.methods import hkmr
from training import config
from training.experiments import quick
from training.recipes import quick_recipe

_QUICK = quick.EXPERIMENT
_T = hkmr.Config.outer_steps
# HMR's weights over T: summed over the outer steps they equal the weight of
# HMR's last iteration.
_SUPERVISION = {
    name: getattr(_QUICK.method, name) / _T
    for name in ("keypoints_2d", "joints_3d", "rotmats", "betas")
}
EXPERIMENT = dataclasses.replace(
    _QUICK,
    method=hkmr.Config(
        **quick_recipe.ENCODER,
        **_SUPERVISION,
        loss_3d=_QUICK.method.loss_3d,
        joints_in_loss=_QUICK.method.joints_in_loss,
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
