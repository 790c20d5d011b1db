"""SMPLR whose body is also turned onto the points found (ALL_Proc, Table 1).

python -m training.fit smplr_proc --records /data/records
"""

import dataclasses

from training.experiments import smplr

EXPERIMENT = dataclasses.replace(
    smplr.EXPERIMENT,
    method=dataclasses.replace(smplr.EXPERIMENT.method, procrustes=True),
)
