r"""SPIN at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit spin_quick --records DATA --workdir runs/spin_quick

The records are quick's. The half of a batch without 3D labels learns from
fits that are made in the steps; these are SMPLify's with a tenth of its steps,
as an example is seen again and again.
"""

import dataclasses

from training import quick_recipe, spin_recipe

_QUICK = quick_recipe.experiment(adversary=False)
EXPERIMENT = dataclasses.replace(
    _QUICK,
    method=dataclasses.replace(
        _QUICK.method,
        regressor="spin",
        rotation="6d_interleaved",
        fit_steps=10,
        # As in quick beside the keypoints of the body.
        layout_keypoints=100.0,
        **spin_recipe.METHOD,
    ),
    data=dataclasses.replace(_QUICK.data, prior=""),
)
