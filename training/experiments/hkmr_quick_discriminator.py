"""`hkmr_quick` with HMR's adversary in place of the autoencoder (Table 2).

python -m training.fit hkmr_quick_discriminator --records DATA
"""

import dataclasses

from training.experiments import hkmr_quick, quick

EXPERIMENT = dataclasses.replace(
    hkmr_quick.EXPERIMENT,
    method=dataclasses.replace(
        hkmr_quick.EXPERIMENT.method,
        prior="discriminator",
        adversary=quick.EXPERIMENT.method.adversary,
        adversary_hidden=quick.EXPERIMENT.method.adversary_hidden,
    ),
    before=(),
)
