"""Converts a method to one .onnx, for TensorRT; needs the extra [onnx].

The image is float32 here: TensorRT before 8.5 takes no uint8. TensorRT
makes other precisions itself (`trtexec --fp16`).
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edge.conversion import tflite as convert
from tf_hmr import method, method_inputs

IMAGE_DTYPE = tf.float32
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


class _Served(keras.Model):
    """Model with outputs by name, because Keras exports only models."""

    def __init__(self, model: method.Method):
        super().__init__(name="served")
        self.model = model

    def call(self, inputs):
        return convert.served(self.model)(inputs)


def check_packages() -> None:
    """Checks that the packages of this format are installed.

    Raises:
        ValueError: a package is missing; names the command to install it.
    """
    missing = [name for name in PACKAGES if not importlib.util.find_spec(name)]
    if missing:
        raise ValueError(
            f"--format onnx needs {', '.join(missing)}, not installed. In the "
            "checkout: pip install -e '.[onnx]'"
        )


def to_onnx(model: method.Method) -> bytes:
    """The .onnx of a method in its edge form, float32."""
    signature = convert.signature(model, IMAGE_DTYPE)
    served = _Served(model)
    served(method_inputs.example(model.input_names, model.image_size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        served.export(
            str(path),
            format="onnx",
            input_signature=[signature],
            verbose=False,
        )
        return path.read_bytes()


def run(content: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """OUTPUTS of N people's inputs by name, by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    names = list(convert.OUTPUTS)
    answers = [
        session.run(names, {name: np.float32(row[name]) for name in row})
        for row in convert.one_by_one(inputs)
    ]
    return {
        name: np.concatenate(arrays)
        for name, arrays in zip(names, zip(*answers, strict=True), strict=True)
    }


def embed(content: bytes, card: dict) -> bytes:
    """The .onnx with a card in its metadata."""
    import onnx

    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, {convert.CARD_KEY: json.dumps(card)})
    return model.SerializeToString()


def embedded(content: bytes) -> dict | None:
    """The card in an .onnx, or None."""
    import onnx

    model = onnx.load_model_from_string(content)
    props = {entry.key: entry.value for entry in model.metadata_props}
    text = props.get(convert.CARD_KEY)
    return None if text is None else json.loads(text)
