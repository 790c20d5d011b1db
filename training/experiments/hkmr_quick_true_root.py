"""`hkmr_quick` that is given the true global rotation, as `quick_true_root`.

python -m training.fit hkmr_quick_true_root --records DATA
"""

import dataclasses

from training.experiments import hkmr_quick, quick_true_root

EXPERIMENT = dataclasses.replace(
    hkmr_quick.EXPERIMENT,
    method=dataclasses.replace(hkmr_quick.EXPERIMENT.method, true_root=True),
    data=quick_true_root.EXPERIMENT.data,
)
