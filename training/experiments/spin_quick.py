r"""SPIN at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit spin_quick --records DATA --workdir runs/spin_quick

The records are quick's. The half of a batch without 3D labels learns from
fits that are made in the steps; these are SMPLify's with half of its steps,
as an example is seen again and again.
"""

import dataclasses

from training.recipes import quick_recipe, spin_recipe

_QUICK = quick_recipe.experiment(adversary=False)
EXPERIMENT = spin_recipe.at_size_of(
    _QUICK,
    dataclasses.replace(
        _QUICK.method, regressor="spin", rotation="6d_interleaved"
    ),
)
