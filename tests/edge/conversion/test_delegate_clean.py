"""Functions of exported models convert to what a GPU delegate accepts."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter

from edge import lint
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


def converted(function, shapes) -> bytes:
    """A .tflite of the function, with built-in operations only."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    graph = tf.function(function, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], graph
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_converts_clean_and_computes_the_same(name, rng):
    function, shapes = FUNCTIONS[name]
    content = converted(function, shapes)
    assert list(lint.faults(content)) == []
    inputs = [rng.normal(size=s).astype(np.float32) for s in shapes]
    assert_close(
        "rotation", run(content, inputs), function(*map(tf.constant, inputs))
    )


def run(content: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    """The one output of a .tflite."""
    lite = interpreter.Interpreter(model_content=content)
    lite.allocate_tensors()
    for detail in lite.get_input_details():
        (value,) = (v for v in inputs if v.shape == tuple(detail["shape"]))
        lite.set_tensor(detail["index"], value)
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])
