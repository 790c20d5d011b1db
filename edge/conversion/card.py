"""The card of an exported file: its inputs, outputs, errors and licence.

NAME.card.json is in the folder of NAME.tflite, with NAME.mesh.npz, the
triangles; the card of NAME.onnx is NAME.onnx.card.json, so that one folder can
hold both. The file also carries its card as metadata, without the file's size
and sha256.
"""

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import tensorflow as tf

from edge.conversion import compare
from edge.conversion import onnx as convert_onnx
from edge.conversion import tflite as convert
from tf_hmr import method, method_inputs
from tf_hmr.formats import atomic
from training.engine import provenance

IMAGE_DTYPES = {"tflite": tf.uint8, "onnx": convert_onnx.IMAGE_DTYPE}

VERSIONS_OF = (
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
)

RUNTIMES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}
"""Runtime that checks every export, on the CPU."""


def mesh_path(path: Path) -> Path:
    """The path of NAME.mesh.npz in the folder of a file."""
    return path.with_suffix(".mesh.npz")


def write_mesh(model: method.Method, part: Path) -> str:
    """Writes the content of NAME.mesh.npz; returns its sha256.

    Arrays: faces (F, 3) int32; if the body has a coarse mesh, also
    lite_vertices (L,), the ids of its vertices, and lite_faces (G, 3), which
    index them.
    """
    data = model.body.data
    arrays = {"faces": data.faces}
    if data.lite_vertices is not None and data.lite_faces is not None:
        arrays |= {
            "lite_vertices": data.lite_vertices,
            "lite_faces": data.lite_faces,
        }
    np.savez_compressed(
        part, **{name: np.int32(array) for name, array in arrays.items()}
    )
    return sha256(part.read_bytes())


def make(
    model: method.Method, kind: str, precision: str, measured: compare.Measured
) -> dict:
    """The card, without the entries that need the file's name and size.

    Args:
        model: the exported method.
        kind: "tflite" or "onnx".
        precision: value of --precision.
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
        "notes": list(model.notes),
        "commit": provenance.commit(digits=40),
        "versions": versions(),
        "tested_with": [
            f"{runtime} {provenance.package_version(runtime)}, CPU"
        ],
        "difference_to_keras": difference(measured),
    }


def difference(measured: compare.Measured) -> dict:
    """The measured errors as entries of the card."""
    fields = dataclasses.asdict(measured)
    mpjpe = fields.pop("mpjpe_mm")
    fields["largest_unit"] = "metres for vertices (distance) and joints"
    if mpjpe:
        fields["mpjpe_mm"] = dict(zip(("keras", "file"), mpjpe, strict=True))
        fields["mpjpe_percent"] = measured.mpjpe_percent
    return fields


def embed(content: bytes, card: dict) -> bytes:
    """Adds the card to the metadata of a .tflite."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        # The quantizer stores weights after the flatbuffer, at offsets.
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
    """The card in a .tflite, or None."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == convert.CARD_KEY.encode():
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return json.loads(data.tobytes())
    return None


def write(path: Path, card: dict) -> None:
    """Writes the card to the folder of its file."""
    text = json.dumps(card, indent=1) + "\n"
    with atomic.replacing(_card_path(path)) as part:
        part.write_text(text, encoding="utf-8")


def of_content(content: bytes) -> dict[str, int | str]:
    """Entries of a file's size in bytes and of its checksum."""
    return {"bytes": len(content), "sha256": sha256(content)}


def check_content(path: Path, content: bytes, card: dict) -> None:
    """Compares a file with the checksum in its card; older cards have none.

    Raises:
        ValueError: it is not the file that was exported.
    """
    if card.get("sha256", sha256(content)) != sha256(content):
        raise ValueError(
            f"{path} is damaged: its sha256 is not that of its card. Copy it "
            "again, or export it again."
        )


def sha256(content: bytes) -> str:
    """The checksum of a file's content, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _card_path(path: Path) -> Path:
    if path.suffix == ".tflite":
        return path.with_suffix(".card.json")
    return path.with_name(path.name + ".card.json")


def read(path: Path) -> dict:
    """Reads the card in a file's folder, or else the card inside the file.

    Raises:
        FileNotFoundError: no such file, or no card.
        ValueError: the card is damaged.
    """
    card_path = _card_path(path)
    try:
        if card_path.is_file():
            card = json.loads(card_path.read_text("utf-8"))
        else:
            is_onnx = path.suffix == ".onnx"
            read_embedded = convert_onnx.embedded if is_onnx else embedded
            card = read_embedded(path.read_bytes())
    except (ValueError, struct.error, IndexError) as error:
        raise ValueError(
            f"The card of {path} is damaged ({error}). Export it again."
        ) from error
    if card is not None and not {"format", "precision"} <= set(card):
        raise ValueError(
            f"The card of {path} says neither format nor precision: it is of "
            "an older version. Export it again."
        )
    if card is None:
        raise FileNotFoundError(
            f"{path} has no card, beside it or in it: it is no file of "
            "edge.export."
        )
    return card


def versions() -> dict[str, str]:
    """Versions of the packages that an exported file depends on."""
    return {name: provenance.package_version(name) for name in VERSIONS_OF}
