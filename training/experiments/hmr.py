"""HMR (Kanazawa et al., CVPR 2018) with the values of its release.

    python -m training.fit hmr --workdir runs/hmr --records data

Values: akanazawa/hmr: do_train.sh and src/config.py. The steps are 75 epochs
of 569,753 images in batches of 64; the paper's text says 55 epochs
(`--steps 489632`). Not yet the release: the encoder starts from random
weights, not from ImageNet, so what it comes to is unknown. Until records of
the paper's datasets can be made, the mix is rendered people: half of each
batch with 3D labels, half with keypoints.
"""

from tf_hmr.methods import hmr
from training import config

IMAGES_PER_EPOCH = 569_753
BATCH_SIZE = 64
EPOCHS = 75

EXPERIMENT = config.Experiment(
    method=hmr.Config(),
    data=config.Data(
        sources=(
            config.Source("synthetic", share=0.5, shards=(0, 2)),
            config.Source("synthetic", share=0.5, shards=(1, 2), labels="2d"),
        ),
        batch_size=BATCH_SIZE,
    ),
    steps=EPOCHS * IMAGES_PER_EPOCH // BATCH_SIZE,
    optim=config.Optim(lr=1e-5, lr_adversary=1e-4),
    eval_every=5000,
    save_every=1000,
)
