"""`hkmr_quick` with HMR's adversary in place of the autoencoder (Table 2).

python -m training.fit hkmr_quick_discriminator --records DATA
"""

import dataclasses

from training.experiments import hkmr_quick, quick

_CHAINS = hkmr_quick.EXPERIMENT.method

EXPERIMENT = dataclasses.replace(
    hkmr_quick.EXPERIMENT,
    method=dataclasses.replace(
        _CHAINS,
        prior="discriminator",
        adversary=quick.EXPERIMENT.method.adversary / _CHAINS.outer_steps,
        adversary_hidden=quick.EXPERIMENT.method.adversary_hidden,
    ),
    before=(),
)
