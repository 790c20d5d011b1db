"""Method to one .onnx, for TensorRT; needs the extra [onnx].

The image is float32 here: TensorRT before 8.5 takes no uint8. Other
precisions are TensorRT's to make (`trtexec --fp16`).
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edge.conversion import tflite as convert
from tf_hmr import method

PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


class _Served(keras.Model):
    """Gives the outputs by name; Keras exports models only."""

    def __init__(self, model: method.Method):
        super().__init__(name="served")
        self.model = model

    def call(self, image):
        return convert.served(self.model)(image)


def check_packages() -> None:
    """Refuses to start without what this format needs.

    Raises:
        ValueError: names the packages and the command that installs them.
    """
    gone = [name for name in PACKAGES if not importlib.util.find_spec(name)]
    if gone:
        raise ValueError(
            f"--format onnx needs {', '.join(gone)}, not installed. In the "
            "checkout: pip install -e '.[onnx]'"
        )


def to_onnx(model: method.Method) -> bytes:
    """The .onnx of a method in its edge form, float32."""
    size = model.image_size
    image = tf.TensorSpec((1, size, size, 3), tf.float32, name=convert.INPUT)
    served = _Served(model)
    served(np.zeros(image.shape, np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        served.export(
            str(path), format="onnx", input_signature=[image], verbose=False
        )
        return path.read_bytes()


def run(content: bytes, crops: np.ndarray) -> dict[str, np.ndarray]:
    """OUTPUTS of (N, S, S, 3) uint8 crops, by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    names = list(convert.OUTPUTS)
    each = [
        session.run(names, {convert.INPUT: np.float32(crop[None])})
        for crop in crops
    ]
    return {
        name: np.concatenate(found)
        for name, found in zip(names, zip(*each, strict=True), strict=True)
    }


def embed(content: bytes, card: dict) -> bytes:
    """The .onnx with a card in its metadata."""
    import onnx

    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, {convert.CARD_KEY: json.dumps(card)})
    return model.SerializeToString()


def embedded(content: bytes) -> dict | None:
    """The card in an .onnx; None where it has none."""
    import onnx

    model = onnx.load_model_from_string(content)
    props = {entry.key: entry.value for entry in model.metadata_props}
    text = props.get(convert.CARD_KEY)
    return None if text is None else json.loads(text)
