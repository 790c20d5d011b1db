"""What a user of an exported file must know: beside the file, and in it.

NAME.card.json lies beside NAME.tflite with NAME.mesh.npz, the triangles; the
card of NAME.onnx is NAME.onnx.card.json, so that both may lie together. A
file itself carries its card, too, but for its own size, as metadata.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import tensorflow as tf

from edge.conversion import compare
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from tf_hmr import method, method_inputs

IMAGE_DTYPES = {"tflite": tf.uint8, "onnx": convert_onnx.IMAGE_DTYPE}

VERSIONS_OF = (
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
)

RUNTIMES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}
"""What the check of every export runs a file with, on the CPU."""


def write_mesh(model: method.Method, path: Path) -> dict[str, str]:
    """Writes NAME.mesh.npz beside a file; returns what the card says of it.

    Arrays: faces (F, 3) int32; where the body has a coarse mesh, too,
    lite_vertices (L,) ids of its vertices and lite_faces (G, 3) that index
    them.
    """
    data = model.body.data
    arrays = {"faces": data.faces}
    if data.lite_vertices is not None and data.lite_faces is not None:
        arrays |= {
            "lite_vertices": data.lite_vertices,
            "lite_faces": data.lite_faces,
        }
    mesh = path.with_suffix(".mesh.npz")
    np.savez_compressed(
        mesh, **{name: np.int32(array) for name, array in arrays.items()}
    )
    digest = hashlib.sha256(mesh.read_bytes()).hexdigest()
    return {"file": mesh.name, "sha256": digest}


def make(
    model: method.Method, kind: str, precision: str, measured: compare.Measured
) -> dict:
    """The card, but for what depends on the file's name and size.

    Args:
        model: what was exported.
        kind: "tflite" or "onnx".
        precision: as the command's.
        measured: the file's errors.
    """
    data = model.body.data
    example = model(
        method_inputs.example(model.input_names, model.image_size),
        training=False,
    )
    runtime = RUNTIMES[kind]
    return {
        "method": model.name,
        "format": kind,
        "precision": precision,
        "inputs": {
            name: {
                "shape": list(spec.shape),
                "dtype": spec.dtype.name,
                "meaning": method_inputs.INPUTS[name].meaning,
            }
            for name, spec in convert.signature(
                model, IMAGE_DTYPES[kind]
            ).items()
        },
        "outputs": {
            name: {
                "shape": list(getattr(example, name).shape),
                "dtype": "float32",
                "meaning": meaning,
            }
            for name, meaning in convert.OUTPUTS.items()
        },
        "crop": {
            "scale": model.config.crop_scale,
            "rule": "square around the centre of the person's box, its side "
            "the box's longer side times scale; antialiased, the border "
            "repeated outside the photo (crop_image in edge/run.py)",
        },
        "joint_names": list(model.joint_names),
        "rotation_names": list(data.joint_names),
        "topology": data.topology,
        "body": {"name": data.name, "licence": data.licence},
        "config": dataclasses.asdict(model.config),
        "commit": _commit(),
        "versions": versions(),
        "tested_with": [f"{runtime} {_version(runtime)}, CPU"],
        "difference_to_keras": difference(measured),
    }


def difference(measured: compare.Measured) -> dict:
    """The measured errors as the card holds them."""
    told = dataclasses.asdict(measured)
    mpjpe = told.pop("mpjpe_mm")
    told["largest_unit"] = "metres for vertices (distance) and joints"
    if mpjpe:
        told["mpjpe_mm"] = dict(zip(("keras", "file"), mpjpe, strict=True))
        told["mpjpe_percent"] = measured.mpjpe_percent
    return told


def embed(content: bytes, card: dict) -> bytes:
    """The .tflite with the card in its metadata."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        # The quantizer leaves weights behind the flatbuffer, at offsets.
        if buffer.size:
            buffer.data = np.frombuffer(
                content, np.uint8, int(buffer.size), int(buffer.offset)
            )
            buffer.offset = buffer.size = 0
    text = json.dumps(card).encode()
    # As numpy: the builder copies anything else byte by byte.
    data = np.frombuffer(text, np.uint8)
    model.buffers.append(schema.BufferT(data=data))
    model.metadata = [
        entry
        for entry in model.metadata or []
        if entry.name != convert.CARD_KEY.encode()
    ]
    model.metadata.append(
        schema.MetadataT(name=convert.CARD_KEY, buffer=len(model.buffers) - 1)
    )
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def embedded(content: bytes) -> dict | None:
    """The card in a .tflite; None where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == convert.CARD_KEY.encode():
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return json.loads(data.tobytes())
    return None


def write(path: Path, card: dict) -> None:
    """Writes the card beside a file."""
    text = json.dumps(card, indent=1) + "\n"
    _beside(path).write_text(text, encoding="utf-8")


def _beside(path: Path) -> Path:
    if path.suffix == ".tflite":
        return path.with_suffix(".card.json")
    return path.with_name(path.name + ".card.json")


def read(path: Path) -> dict:
    """The card beside a file, or else the one in it.

    Raises:
        FileNotFoundError: no such file, or no card.
        ValueError: the card is damaged.
    """
    beside = _beside(path)
    try:
        if beside.is_file():
            found = json.loads(beside.read_text("utf-8"))
        else:
            is_onnx = path.suffix == ".onnx"
            inside = convert_onnx.embedded if is_onnx else embedded
            found = inside(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"The card of {path} is damaged ({error}). Export it again."
        ) from error
    if found is not None and not {"format", "precision"} <= set(found):
        raise ValueError(
            f"The card of {path} says neither format nor precision: it is of "
            "an older version. Export it again."
        )
    if found is None:
        raise FileNotFoundError(
            f"{path} has no card, beside it or in it: it is no file of "
            "edge.export."
        )
    return found


def versions() -> dict[str, str]:
    """Of the packages that an exported file depends on."""
    return {name: _version(name) for name in VERSIONS_OF}


def _version(name: str) -> str:
    """Of a package that may be installed by another name (tensorflow-cpu)."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        module = sys.modules.get(name.replace("-", "_"))
        return getattr(module, "__version__", "unknown")


def _commit() -> str:
    """The commit of this code, marked when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            command, cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"
    return told.stdout.strip()
