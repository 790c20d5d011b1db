"""The CLIFF-like method on rendered people: quick's data, steps and size.

python -m training.fit cliff_like --records DATA
"""

import dataclasses

from tf_hmr.methods import cliff_like
from training.experiments import quick

_QUICK = quick.EXPERIMENT

EXPERIMENT = dataclasses.replace(
    _QUICK,
    method=cliff_like.Config(
        image_size=64, crop_scale=1.2, encoder="small", encoder_width=8
    ),
    data=dataclasses.replace(_QUICK.data, prior=""),
)
