"""HKMR with HMR's adversary in place of the autoencoder (Table 2).

python -m training.fit hkmr_discriminator --records /data/records
"""

import dataclasses

from training.experiments import hkmr

EXPERIMENT = dataclasses.replace(
    hkmr.EXPERIMENT,
    method=dataclasses.replace(hkmr.EXPERIMENT.method, prior="discriminator"),
    before=(),
)
