r"""The lifter, on BlazePose's landmarks of rendered people.

    python -m training.prepare synthetic --count 24000 --size 144 \
        --out DATA/synthetic
    python -m training.prepare landmarks --root DATA/synthetic --jitter \
        --out DATA/landmarks
    python -m training.prepare landmarks --root DATA/synthetic --split val \
        --out DATA/landmarks
    python -m training.fit lifter --records DATA --workdir runs/lifter

No image is decoded: 12,000 steps of 256 people are ten minutes on two cores
that others use, too.
"""

from tf_hmr.methods import lifter
from training import config

EXPERIMENT = config.Experiment(
    method=lifter.Config(),
    data=config.Data(
        sources=(config.Source("landmarks"),),
        batch_size=256,
        # Of the crop, which the network does not see, only turning and
        # mirroring matter; it mirrors by itself.
        augment=config.Augment(
            scale=(1.0, 1.0), shift=0.0, rotation_deg=20.0, flip=0.0
        ),
        prior="",
    ),
    steps=12000,
    optim=config.Optim(
        lr=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup_steps=100,
        clip_norm=1.0,
    ),
    eval_every=4000,
    save_every=1000,
    log_every=100,
    steps_per_call=10,
)
