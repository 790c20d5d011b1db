"""Model folder to one .tflite file, checked against Keras.

    python -m edge.export --weights runs/demo --out hmr.tflite

writes hmr.tflite (float32, batch 1, built-in operators only), hmr.card.json,
which says what goes in and comes out, and hmr.faces.npy, the triangles. The
file is run with LiteRT before it gets its name: if a vertex is further from
Keras than 0.1 mm, nothing is written. It holds the body's arrays: the card
names their licence.
"""

import dataclasses
import json
import logging
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
import tyro
from scipy.spatial.transform import Rotation

from tf_hmr import crop, geometry, joints, method, people, raster

OUTPUTS = {
    "vertices": "metres, camera axes: x right, y down, z forward",
    "joints": "metres, as vertices; named by joint_names",
    "keypoints": "the joints in the crop, [-1, 1] from edge to edge",
    "rotmats": "rotations relative to the parent, SMPL order; 0 is global",
    "betas": "shape coefficients",
    "camera": "weak perspective s, tx, ty: keypoints = s (xy + t)",
}
"""The outputs, exactly these, and what the card says of each."""

TOLERANCE_M = 1e-4
"""Largest distance of a vertex from Keras'; float32 noise is far below it."""

FOCAL_PX = 5000.0
"""Of the drawn crops: long, as weak perspective has it."""

MAX_RANK = 4
"""Delegates take tensors of at most four axes."""

_log = logging.getLogger(__name__)

VERSIONS_OF = ("tensorflow", "keras", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class Args:
    """What the command line says."""

    weights: Path
    """Model folder, or the workdir of `python -m training.fit`."""
    out: Path
    """The .tflite file to write."""
    body: str = "open"
    """Body that the weights were trained on: 'open', or a path to its file."""
    crops: int = 8
    """How many crops the file is compared with Keras on."""
    photos: tuple[Path, ...] = ()
    """Photos of one person each to compare on; default: rendered people."""


def export(args: Args) -> dict:
    """Converts, checks and writes; returns the card.

    Raises:
        FileNotFoundError: no model there.
        ValueError: LiteRT is missing, the topologies differ, an operator is
            not built in, or the file does not give what Keras gives.
    """
    check_args(args)
    model = method.load(args.weights, args.body, jit=False)
    crops = check_crops(model, args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    part = args.out.with_name("part." + args.out.name)
    try:
        part.write_bytes(convert(model))
        check_operators(part)
        measured = compare(model, part, crops)
        faces = args.out.with_name(args.out.stem + ".faces.npy")
        card = {
            "model": args.out.name,
            "bytes": part.stat().st_size,
            "faces": faces.name,
            **make_card(model, measured, len(crops)),
        }
        np.save(faces, model.body.data.faces.astype(np.int32))
        text = json.dumps(card, indent=1) + "\n"
        args.out.with_suffix(".card.json").write_text(text, encoding="utf-8")
        part.replace(args.out)
    finally:
        part.unlink(missing_ok=True)
    return card


def check_args(args: Args) -> None:
    """Refuses what would only fail after minutes of conversion.

    Raises:
        ValueError: no LiteRT, no .tflite as --out, or nothing to compare on.
    """
    try:
        import ai_edge_litert  # noqa: F401  Only whether it is there.
    except ImportError:
        raise ValueError(
            "The export is checked with LiteRT, which is not installed. In "
            "the checkout: pip install -e '.[edge]'"
        ) from None
    if args.out.suffix != ".tflite":
        raise ValueError(f"--out {args.out} must end in .tflite.")
    if args.crops < 1:
        raise ValueError(
            f"--crops {args.crops} leaves nothing to compare with Keras. "
            "Expected 1 or more."
        )


def check_crops(model: method.Method, args: Args) -> np.ndarray:
    """(N, S, S, 3) uint8 to compare on: photos, or people drawn here."""
    size = model.image_size
    if args.photos:
        images = [people.read_photo(photo) for photo in args.photos]
        whole = [(0, 0, image.shape[1], image.shape[0]) for image in images]
        return np.stack(
            [
                crop.crop_image(image, crop.square_box(box), size)
                for image, box in zip(images, whole, strict=True)
            ]
        )
    rng = np.random.default_rng(0)
    rotvecs = rng.normal(0, 0.3, (args.crops, len(joints.SMPL24), 3))
    # Upright, and turned about the vertical axis by any angle.
    turns = Rotation.from_rotvec(
        rng.uniform(-np.pi, np.pi, (args.crops, 1)) * [[0, 1, 0]]
    )
    rotvecs[:, 0] = (Rotation.from_rotvec([np.pi, 0, 0]) * turns).as_rotvec()
    rotmats = geometry.rotvec_to_rotmat(tf.constant(rotvecs, tf.float32))
    betas = rng.normal(0, 1, (args.crops, model.body.num_betas))
    meshes = model.body(rotmats, tf.constant(betas, tf.float32)).vertices
    view = raster.View.of_crop(size, FOCAL_PX)
    drawn = []
    for vertices in meshes.numpy():
        camera = np.float32([rng.uniform(0.7, 1.0), 0, 0.2])
        placed = raster.place(vertices, camera, size, FOCAL_PX)
        coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
        background = cv2.resize(coarse, (size, size))
        faces = model.body.data.faces
        drawn.append(raster.shade(placed, faces, view, background))
    return np.stack(drawn)


def convert(model: method.Method) -> bytes:
    """The .tflite of a method whose body is a plain graph (jit=False).

    By way of a SavedModel: converting a concrete function of a Keras 3 model
    gives, without an error, a file that lacks the weights.
    """
    size = model.image_size
    signature = tf.TensorSpec((1, size, size, 3), tf.uint8, name="image")

    def serve(image):
        found = model(tf.cast(image, tf.float32), training=False)
        return {name: getattr(found, name) for name in OUTPUTS}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=[signature])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()


def check_operators(path: Path) -> None:
    """Refuses operators and tensors that phones do not take.

    Raises:
        ValueError: custom operators, variables, or more than four axes; the
            message names them.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    builtin = {
        number: name
        for name, number in vars(schema.BuiltinOperator).items()
        if isinstance(number, int)
    }
    codes = [
        builtin[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    wrong = sorted({c for c in codes if c in ("CUSTOM", "VAR_HANDLE")})
    deep = [
        f"{tensor.name.decode()} {list(tensor.shape)}"
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.shape is not None and len(tensor.shape) > MAX_RANK
    ]
    if wrong or deep:
        raise ValueError(
            f"The converted graph has operators {wrong} and tensors of more "
            f"than {MAX_RANK} axes {deep[:5]}. Expected built-in operators "
            "and stored weights only: rewrite that part of the method."
        )


def compare(model: method.Method, path: Path, crops: np.ndarray) -> dict:
    """Largest difference to Keras of each output over (N, S, S, 3) crops.

    Raises:
        ValueError: a vertex is further off than TOLERANCE_M.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner("serving_default")
    if set(runner.get_output_details()) != set(OUTPUTS):
        raise ValueError(
            f"The file's outputs are {sorted(runner.get_output_details())}, "
            f"expected {sorted(OUTPUTS)}."
        )
    largest = dict.fromkeys(OUTPUTS, 0.0)
    for image in crops:
        found = runner(image=image[None])
        expected = model(image[None].astype(np.float32), training=False)
        for name in OUTPUTS:
            away = found[name] - getattr(expected, name).numpy()
            if name == "vertices":
                away = np.linalg.norm(away, axis=-1)
            # max() passes over NaN; a file that gives NaN must not pass.
            worst = float(np.max(np.abs(away)))
            worst = worst if np.isfinite(worst) else np.inf
            largest[name] = max(largest[name], worst)
    if largest["vertices"] > TOLERANCE_M:
        raise ValueError(
            f"A vertex of the .tflite is {largest['vertices']:.2e} m from "
            f"Keras', more than {TOLERANCE_M:g} m over {len(crops)} crops. "
            "Nothing was written."
        )
    return largest


def make_card(model: method.Method, measured: dict, count: int) -> dict:
    """What a user of the file must know, beside the names of the files."""
    size, data = model.image_size, model.body.data
    example = model(np.zeros((1, size, size, 3), np.float32), training=False)
    return {
        "method": model.name,
        "precision": "float32",
        "inputs": {
            "image": {
                "shape": [1, size, size, 3],
                "dtype": "uint8",
                "meaning": "RGB 0..255, the square crop of one person",
            }
        },
        "outputs": {
            name: {
                "shape": list(getattr(example, name).shape),
                "dtype": "float32",
                "meaning": meaning,
            }
            for name, meaning in OUTPUTS.items()
        },
        "crop": {
            "scale": model.config.crop_scale,
            "rule": "square around the centre of the person's box, its side "
            "the box's longer side times scale; antialiased, the border "
            "repeated outside the photo (crop_image in edge/run.py)",
        },
        "joint_names": list(model.joint_names),
        "rotation_names": list(joints.SMPL24),
        "topology": data.topology,
        "body": {"name": data.name, "licence": data.licence},
        "config": dataclasses.asdict(model.config),
        "commit": _commit(),
        "versions": {name: _version(name) for name in VERSIONS_OF},
        "largest_difference_to_keras": {
            "crops": count,
            "unit": "metres for vertices (distance) and joints",
            **measured,
        },
    }


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


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        card = export(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    largest = card["largest_difference_to_keras"]
    print(
        f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB; vertices are "
        f"{largest['vertices']:.1e} m from Keras at most, over "
        f"{largest['crops']} crops (limit {TOLERANCE_M:g} m)"
    )
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(Args, prog="python -m edge.export", description=__doc__)
    sys.exit(main(parsed))
