"""SPIN's release as an experiment, for any method that reads images.

Values: nkolot/SPIN: train/trainer.py, utils/train_options.py,
datasets/mixed_dataset.py.
"""

import dataclasses

from tf_hmr import method as methods
from tf_hmr.methods import spin
from training import config
from training.recipes import hmr_recipe

BATCH_SIZE = 64
EPOCHS = 50
RULES = "spin"
# Shares of a batch; datasets in the wild divide SHARE_2D by size.
SHARES_3D = {"h36m": 0.3, "mpi-inf-3dhp": 0.1}
SHARE_2D = 0.6
# Fields of SPIN's losses and fits for another method's Config: HKMR_MF is HKMR
# with these.
SUPERVISION = {
    "supervision": "spin",
    **{
        name: getattr(spin.Config, name)
        for name in (
            "fits",
            "joints_in_loss",
            "keypoints_2d",
            "joints_3d",
            "rotmats",
            "betas",
            "camera_scale",
        )
    },
}

# For small runs: half of SMPLify's steps, because examples repeat often, and a
# second keypoint loss, on the encoder's own keypoints.
_QUICK = {"fit_steps": 50, "layout_keypoints": 100.0}


def at_size_of(
    quick: config.Experiment, method: methods.Config
) -> config.Experiment:
    """Makes an experiment for CPUs from a method with SPIN's losses and fits.

    Args:
        quick: the experiment that gives data, steps and optimisers.
        method: a config with SPIN's losses and an encoder of
            features='layout'.
    """
    return dataclasses.replace(
        quick,
        method=dataclasses.replace(method, **_QUICK),
        data=dataclasses.replace(quick.data, prior=""),
    )


def experiment(method: methods.Config) -> config.Experiment:
    """Makes an experiment with SPIN's data, augmentation and steps.

    An epoch is as long as the largest dataset, Human3.6M. SPIN divides the
    share of people in the wild by the sizes of its datasets, which its code
    does not give, so those of HMR's records are used: the shares of a run must
    not change with the records that are there. SPIN draws the scale from a
    normal distribution clipped to the range; here it is uniform.

    Args:
        method: the Config of the method, with its own values.
    """
    sizes = hmr_recipe.WITHOUT_3D
    sources = [
        config.Source(name, share, rules=RULES)
        for name, share in SHARES_3D.items()
    ] + [
        config.Source(
            name, SHARE_2D * size / sum(sizes.values()), "2d", rules=RULES
        )
        for name, size in sizes.items()
    ]
    return config.Experiment(
        method=method,
        data=config.Data(
            sources=tuple(sources),
            batch_size=BATCH_SIZE,
            augment=config.Augment(
                # SPIN scales the box, so the person by the inverse.
                scale=(1 / 1.25, 1 / 0.75),
                shift=0.0,
                rotation_deg=30.0,
                rotation_probability=0.4,
                colour=0.4,
            ),
            prior="",
        ),
        steps=EPOCHS * hmr_recipe.WITH_3D["h36m"] // BATCH_SIZE,
        # SPIN uses torchvision's, whose file the user must give.
        encoder_weights="imagenet",
        optim=config.Optim(lr=5e-5),
        eval_every=5000,
        save_every=1000,
    )
