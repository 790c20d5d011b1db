"""Method to one float32 .tflite: batch 1, built-in operators, named outputs."""

import tempfile

import keras
import tensorflow as tf

from tf_hmr import method
from tf_hmr.body.edge import EdgeBody

OUTPUTS = {
    "vertices": "metres, camera axes: x right, y down, z forward",
    "joints": "metres, as vertices; named by joint_names",
    "keypoints": "the joints in the crop, [-1, 1] from edge to edge",
    "rotmats": "rotations relative to the parent, SMPL order; 0 is global",
    "betas": "shape coefficients",
    "camera": "weak perspective s, tx, ty: keypoints = s (xy + t)",
}
"""The outputs, exactly these, and what the card says of each."""

INPUT = "image"

CARD_KEY = "tf_hmr_card"
"""Name of the card in a file's metadata."""


def edge_form(model: method.Method) -> method.Method:
    """The method with the same weights around an EdgeBody."""
    body = EdgeBody(model.body.data, model.joint_names)
    return method.with_body(model, body)


def signature(model: method.Method) -> tf.TensorSpec:
    """(1, S, S, 3) uint8, the one input."""
    size = model.image_size
    return tf.TensorSpec((1, size, size, 3), tf.uint8, name=INPUT)


def served(model: method.Method):
    """Function of one uint8 image that gives OUTPUTS by name."""

    def serve(image):
        found = model(tf.cast(image, tf.float32), training=False)
        return {name: getattr(found, name) for name in OUTPUTS}

    return serve


def to_tflite(model: method.Method) -> bytes:
    """The .tflite of a method in its edge form.

    By way of a SavedModel: converting a concrete function of a Keras 3 model
    gives, without an error, a file that lacks the weights.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve", served(model), input_signature=[signature(model)]
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()
