r"""SPIN at the size of a CPU: quick's encoder, data and steps.

    python -m training.fit spin_quick --records DATA --workdir runs/spin_quick

The records are quick's. The half of a batch without 3D labels learns from
SMPLify fits made in the training steps, with half of SMPLify's steps, as
examples repeat often.
"""

from tf_hmr.methods import spin
from training.recipes import quick_recipe, spin_recipe

_QUICK = quick_recipe.experiment(adversary=False)
EXPERIMENT = spin_recipe.at_size_of(
    _QUICK,
    spin.Config(
        **quick_recipe.ENCODER,
        hidden=_QUICK.method.hidden,
        dropout=_QUICK.method.dropout,
        # As in quick, a weak perspective.
        focal=0.0,
    ),
)
