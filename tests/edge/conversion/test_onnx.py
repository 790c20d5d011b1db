"""The export for TensorRT."""

import hashlib
import importlib.util

import numpy as np
import pytest

from edge import export
from edge.conversion import card as cards
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from edge.tasks import export as task
from tests.support.closeness import assert_close

installed = all(map(importlib.util.find_spec, convert_onnx.PACKAGES))


def test_what_is_missing_is_named_first(tmp_path, monkeypatch, caplog):
    def find_spec(name):
        return None if name in convert_onnx.PACKAGES[:2] else object()

    monkeypatch.setattr(convert_onnx.importlib.util, "find_spec", find_spec)
    out = tmp_path / "hmr.onnx"
    assert export.main(export.Args(tmp_path, out, format="onnx")) == 1
    (line,) = caplog.messages
    assert "tf2onnx, onnx, not installed" in line
    assert "pip install -e '.[onnx]'" in line


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("hmr.tflite", "float32", "must end in .onnx"),
        ("hmr.onnx", "int8", "is float32, not int8"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    tmp_path, monkeypatch, caplog, name, precision, message
):
    monkeypatch.setattr(convert_onnx, "check_packages", lambda: None)
    args = export.Args(tmp_path, tmp_path / name, precision, format="onnx")
    assert export.main(args) == 1
    assert message in caplog.messages[0]


@pytest.mark.skipif(not installed, reason="needs pip install -e '.[onnx]'")
def test_onnxruntime_gives_what_keras_gives(
    model_folder, model, tmp_path, monkeypatch, rng
):
    monkeypatch.setattr(task.method, "load", lambda *_, **__: model)
    out = tmp_path / "hmr.onnx"
    args = export.Args(model_folder, out, crops=2, format="onnx")
    assert export.main(args) == 0
    card = cards.read(out)
    assert card["format"] == "onnx"
    assert card["inputs"]["image"]["dtype"] == "float32"
    assert card.pop("bytes") == out.stat().st_size
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert card.pop("sha256") == digest
    assert convert_onnx.embedded(out.read_bytes()) == card
    noise = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    outputs = convert_onnx.run(out.read_bytes(), {"image": noise})
    expected = model({"image": np.float32(noise)})
    assert set(outputs) == set(convert.OUTPUTS)
    for name in ("vertices", "joints"):
        assert_close("tflite_metres", outputs[name], getattr(expected, name))
    assert export.main(export.Args(model_folder, check=out, crops=1)) == 0
