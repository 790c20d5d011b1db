r"""HMR at the size of a CPU: minutes to a model that poses bodies.

    python -m training.prepare synthetic --count 20000 --size 144 \
        --out DATA/synthetic
    python -m training.fit quick --records DATA --workdir runs/quick

The class, losses and step are HMR's; only values differ. Half of each batch
has 2D keypoints alone, from other images than the half with 3D labels. Five
minutes on two cores are 4,000 steps; for half an hour, --steps 24000 and
60,000 people.
"""

from tf_hmr.methods import hmr
from training import config

EXPERIMENT = config.Experiment(
    method=hmr.Config(
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
    ),
    data=config.Data(
        sources=(
            config.Source("synthetic", share=0.5, shards=(0, 2)),
            config.Source("synthetic", share=0.5, shards=(1, 2), labels="2d"),
        ),
        batch_size=32,
        augment=config.Augment(scale=(0.9, 1.12), shift=0.04, colour=0.2),
    ),
    precision="auto",
    steps=4000,
    optim=config.Optim(
        lr=1e-3,
        lr_adversary=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup_steps=100,
        clip_norm=1.0,
    ),
    eval_every=800,
    save_every=400,
    log_every=50,
)
