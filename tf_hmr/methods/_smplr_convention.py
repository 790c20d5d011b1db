"""Axes and bone lengths of SMPLR's published weights, and of ours.

The paper has x and y across and 16 bins of depth. Its code was trained on data
whose coordinates are depth towards the camera, right, up, and moves none: so
the columns of its maps are depth, the rows are right, and the bins are up
(meysam-madadi/SMPLR: Data/datagenerator_cloth3d.py and Models/
StackedHourglass/hourglassModelVoxelsBones.py).
"""

from typing import Literal

import numpy as np
import tensorflow as tf

# Metres, of joints.SMPLR41 (meysam-madadi/SMPLR: Models/smplr.py).
_CODE_TEMPLATE = np.array(
    """
    .1148 .1127 .1056 .3656 .3725 .1277 .3860 .3862 .0565 .1289 .1286 .2141
    .1446 .1451 .0801 .0913 .0955 .2530 .2472 .2382 .2454 .0813 .0814
    .1461 .1390 .1461 .1800 .1817 .1639 .1663 .1886 .1877 .0672 .0666 .0772
    .1203 .0927 .1423 .0912 .0814 .1187
    """.split(),
    np.float32,
)

Name = Literal["paper", "code"]


class Convention:
    """Changes of coordinates between the networks and the camera's frame.

    The camera's frame is x right, y down, z forward.
    """

    def __init__(self, name: Name, template: np.ndarray):
        """Chooses a convention.

        Args:
            name: "paper" changes nothing; "code" is that of the published
                weights.
            template: (P,) bone lengths of the body, metres; of the paper's.
        """
        self._is_code = name == "code"
        self.template = template
        if self._is_code:
            self.template = _CODE_TEMPLATE[: len(template)]

    def to_network(self, points: tf.Tensor) -> tf.Tensor:
        """(B, N, 3) of the camera's frame, in the networks' coordinates."""
        if not self._is_code:
            return points
        right, down, forward = (points[:, :, i : i + 1] for i in range(3))
        return tf.concat([-forward, right, -down], axis=2)

    def to_camera(self, points: tf.Tensor) -> tf.Tensor:
        """(B, N, 3) of the networks, in the camera's frame."""
        if not self._is_code:
            return points
        towards, right, up = (points[:, :, i : i + 1] for i in range(3))
        return tf.concat([right, -up, -towards], axis=2)

    def matrices_to_camera(self, matrices: tf.Tensor) -> tf.Tensor:
        """(B, J, 3, 3): the global one, the first, moves to another frame."""
        if not self._is_code:
            return matrices
        towards, right, up = (matrices[:, 0:1, i : i + 1] for i in range(3))
        turned = tf.concat([right, -up, -towards], axis=2)
        return tf.concat([turned, matrices[:, 1:]], axis=1)
