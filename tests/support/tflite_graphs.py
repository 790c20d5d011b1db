"""Functions as .tflite files, and their results."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from ai_edge_litert import interpreter


def converted(function: Callable, shapes: Sequence[tuple[int, ...]]) -> bytes:
    """A .tflite of the function, with built-in operations only."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    graph = tf.function(function, input_signature=specs, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], graph
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()


def run(content: bytes, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The one output of a .tflite whose inputs differ in shape."""
    lite = interpreter.Interpreter(model_content=content)
    lite.allocate_tensors()
    for detail in lite.get_input_details():
        (value,) = (v for v in inputs if v.shape == tuple(detail["shape"]))
        lite.set_tensor(detail["index"], value)
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])
