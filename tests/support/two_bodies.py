"""A male body beside the open one, which stands for the female one."""

import dataclasses

import numpy as np

from tf_hmr.body import pair_data
from tf_hmr.body.data import BodyData


def male(data: BodyData) -> BodyData:
    """A body that is larger, has other betas and another skin."""
    return dataclasses.replace(
        data,
        name="male",
        v_template=np.float32(1.1 * data.v_template),
        shapedirs=np.float32(-0.5 * data.shapedirs),
        posedirs=np.float32(0.5 * data.posedirs),
    )


def pair(data: BodyData) -> BodyData:
    """Both."""
    return pair_data.join(data, male(data))
