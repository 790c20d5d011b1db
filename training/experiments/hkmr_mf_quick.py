r"""HKMR_MF at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit hkmr_mf_quick --records DATA \
        --workdir runs/hkmr_mf_quick

HKMR's chains as in hkmr_quick, without its prior, with spin_quick's losses
and fits.
"""

import dataclasses

from training.experiments import hkmr_quick
from training.recipes import spin_recipe

_QUICK = dataclasses.replace(hkmr_quick.EXPERIMENT, before=())
EXPERIMENT = spin_recipe.at_size_of(
    _QUICK,
    dataclasses.replace(
        _QUICK.method,
        prior="none",
        sum_outer=False,
        **spin_recipe.SUPERVISION,
    ),
)
