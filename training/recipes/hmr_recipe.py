"""HMR's release as an experiment; the paper's variants differ in arguments.

Values: akanazawa/hmr: do_train.sh, src/config.py and src/data_loader.py.
"""

from tf_hmr.methods import hmr
from training import config

BATCH_SIZE = 64
# Images in the release's records (src/data_loader.py: num_examples);
# MPI-INF-3DHP is without subject 8.
WITH_3D = {"h36m": 312_188, "mpi-inf-3dhp": 147_221}
WITHOUT_3D = {"lsp": 1_000, "lsp-ext": 10_000, "mpii": 20_000, "coco": 79_344}
IMAGES = sum(WITH_3D.values()) + sum(WITHOUT_3D.values())


def experiment(
    epochs: int = 75, paired: bool = True, adversary: bool = True
) -> config.Experiment:
    """HMR on the datasets of its paper.

    Args:
        epochs: passes over as many images as the datasets have: 75 in the
            release, 55 in the paper's text (section 3.5).
        paired: half of each batch has 3D labels, as in the release; else all
            images are equally likely, with only their keypoints as labels
            (--use_3d_label=False).
        adversary: whether unpaired poses judge the predictions.
    """
    if paired:
        sources = _sources(WITH_3D, 0.5, "all") + _sources(
            WITHOUT_3D, 0.5, "2d"
        )
    else:
        sources = _sources(WITH_3D | WITHOUT_3D, 1.0, "2d")
    return config.Experiment(
        # Keras publishes ImageNet weights for this variant of ResNet-50 v2.
        method=hmr.Config(
            encoder="resnet50", adversary=1.0 if adversary else 0.0
        ),
        data=config.Data(
            sources=sources,
            batch_size=BATCH_SIZE,
            prior="poses" if adversary else "",
        ),
        steps=epochs * IMAGES // BATCH_SIZE,
        encoder_weights="imagenet",
        optim=config.Optim(lr=1e-5, lr_adversary=1e-4),
        eval_every=5000,
        save_every=1000,
    )


def _sources(images, share, labels) -> tuple[config.Source, ...]:
    """Sources in proportion to their images, together `share` of the batch."""
    total = sum(images.values())
    return tuple(
        config.Source(name, share * count / total, labels, rules="hmr")
        for name, count in images.items()
    )
