r"""HKMR (Georgakis et al., ECCV 2020) on the datasets and terms of HMR.

    python -m training.fit hkmr --workdir runs/hkmr --records /data/records
    python -m training.fit hkmr --records synthetic --encoder-weights none \
        --steps 2000 --data.batch-size 8 --optim.lr 1e-4 --before.0.steps 2000

The paper follows HMR's setup: the same encoder, datasets and evaluation. An
autoencoder of the unpaired poses is trained first, for about two passes over
the MoSh records that HMR's authors published; then it is the prior.
"""

import dataclasses

from tf_hmr.methods import hkmr
from training import config
from training.recipes import hmr_recipe

EXPERIMENT = dataclasses.replace(
    hmr_recipe.experiment(),
    # Keras publishes ImageNet weights for this variant of ResNet-50.
    method=hkmr.Config(encoder="resnet50"),
    before=(
        config.Stage(
            "pose_vae",
            steps=60_000,
            optim=config.Optim(lr=1e-3),
            part="pose_vae",
        ),
    ),
)
