"""Functions of exported models convert to what a GPU delegate accepts."""

import numpy as np
import pytest
import tensorflow as tf

from edge import lint
from tests.support import tflite_graphs
from tests.support.closeness import assert_close
from tf_hmr.geometry import camera, rotations

FUNCTIONS = {
    "rotvec_to_rotmat": (rotations.rotvec_to_rotmat, [(1, 24, 3)]),
    "rot6d_stacked_to_rotmat": (
        rotations.rot6d_stacked_to_rotmat,
        [(1, 24, 6)],
    ),
    "rot6d_interleaved_to_rotmat": (
        rotations.rot6d_interleaved_to_rotmat,
        [(1, 24, 6)],
    ),
    "rotmat_to_rot6d_stacked": (
        rotations.rotmat_to_rot6d_stacked,
        [(1, 24, 3, 3)],
    ),
    "rotmat_to_rot6d_interleaved": (
        rotations.rotmat_to_rot6d_interleaved,
        [(1, 24, 3, 3)],
    ),
    "project_weak_perspective": (
        camera.project_weak_perspective,
        [(1, 19, 3), (1, 3)],
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_converts_clean_and_computes_the_same(name, rng):
    function, shapes = FUNCTIONS[name]
    content = tflite_graphs.converted(function, shapes)
    assert list(lint.faults(content)) == []
    inputs = [rng.normal(size=s).astype(np.float32) for s in shapes]
    actual = tflite_graphs.run(content, inputs)
    assert_close("rotation", actual, function(*map(tf.constant, inputs)))
