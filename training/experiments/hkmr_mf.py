r"""HKMR_MF (Georgakis et al., ECCV 2020, Table 4): HKMR trained as SPIN is.

    python -m training.fit hkmr_mf --workdir runs/hkmr_mf \
        --records /data/records --encoder-weights resnet50-19c8e357.pth
    python -m training.fit hkmr_mf --records synthetic --encoder-weights none \
        --steps 2000 --data.batch-size 8 --method.fit-steps 50

HKMR's chains with SPIN's data, losses and fits in the loop (spin). The paper
names no other change; as in SPIN only the last estimate enters the losses, and
SMPLify's prior of poses is the only one.
"""

from tf_hmr.methods import hkmr
from tf_hmr.networks import resnet_v15, spin_regressor
from training.recipes import spin_recipe

EXPERIMENT = spin_recipe.experiment(
    hkmr.Config(
        crop_scale=spin_regressor.CROP_SCALE,
        encoder=resnet_v15.NAME,
        prior="none",
        sum_outer=False,
        **spin_recipe.SUPERVISION,
    )
)
