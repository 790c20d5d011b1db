"""Converts a method to a float32 .tflite: batch 1, only built-in operators."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_hmr import method, method_inputs
from tf_hmr.body import pairs
from tf_hmr.body.edge import EdgeBody

OUTPUTS = {
    "vertices": "metres, camera axes: x right, y down, z forward",
    "joints": "metres, as vertices; named by joint_names",
    "keypoints": "the joints in the crop, [-1, 1] from edge to edge",
    "rotmats": "rotations relative to the parent, SMPL order; 0 is global",
    "betas": "shape coefficients; of two bodies, then the gender",
    "camera": "weak perspective s, tx, ty: keypoints = s (xy + t)",
}
"""The outputs, exactly these, with their meaning for the card."""

CARD_KEY = "tf_hmr_card"
"""Name of the card in a file's metadata."""


def edge_form(model: method.Method) -> method.Method:
    """Copies the method, with its weights, around an EdgeBody."""
    names = model.joint_names
    body = pairs.make(model.body.data, lambda one: EdgeBody(one, names))
    return method.with_body(model, body)


def required_inputs(model: method.Method) -> tuple[str, ...]:
    """Names of the inputs that the method cannot do without."""
    return tuple(
        name for name in model.input_names if name not in model.optional_inputs
    )


def signature(
    model: method.Method, image: tf.DType = tf.uint8
) -> dict[str, tf.TensorSpec]:
    """Specs of the method's inputs for one person, by name.

    Args:
        model: the method that names them.
        image: dtype of the image; the other inputs are float32.
    """
    return {
        name: tf.TensorSpec(
            (1, *method_inputs.shape(name, model.image_size)),
            image if name == "image" else tf.float32,
            name=name,
        )
        for name in model.input_names
    }


def served(model: method.Method):
    """Function from the method's inputs by name to OUTPUTS by name."""

    def serve(inputs):
        floats = {n: tf.cast(inputs[n], tf.float32) for n in model.input_names}
        prediction = model(floats, training=False)
        return {name: getattr(prediction, name) for name in OUTPUTS}

    return serve


def one_by_one(
    inputs: dict[str, np.ndarray],
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of N people one person at a time: (1, ...) by name."""
    for n in range(len(next(iter(inputs.values())))):
        yield {name: rows[n : n + 1] for name, rows in inputs.items()}


def to_tflite(model: method.Method) -> bytes:
    """Converts a method in its edge form to a .tflite.

    The graph is traced once and saved with the weights alone: to save a Keras
    model would trace each of its layers, too, and from the graph without its
    weights the converter silently makes a file that has none.
    """
    serve = tf.function(
        served(model), input_signature=[signature(model)], autograph=False
    )
    graph = serve.get_concrete_function()
    weights = tf.Module()
    weights.values = graph.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph], weights
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()
