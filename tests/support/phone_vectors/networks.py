"""Exported networks of each kind, and their answers for people.

Kinds differ in what they read: the image alone, in each precision; also where
the crop lies; or landmarks. Those that read images are small and untrained: a
runtime is held to ai-edge-litert, not to people. The lifter is the one that
ships.
"""

import tempfile
from pathlib import Path
from unittest import mock

from ai_edge_litert import interpreter

from edge import export, run
from edge.conversion import calibration, card, compare
from edge.conversion import tflite as convert
from edge.tasks import export as task
from tests.support import boxed_model, small_model
from tests.support.phone_vectors.arrays import Folder
from tf_hmr import landmark_fitting, method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body

PEOPLE = 12
PRECISIONS = ("float32", "float16", "w8", "int8")


def make(folder: Folder) -> None:
    """Writes all networks, and their answers."""
    body = Body(BodyData.load("open"), jit=False)
    with tempfile.TemporaryDirectory() as name:
        small = Path(name)
        small_model.save(body, small)
        networks = [
            _entry(folder, _exported(small, folder, precision))
            for precision in PRECISIONS
        ]
    networks.append(_entry(folder, _boxed(body, folder)))
    lifter = folder.path / "lifter.tflite"
    args = export.Args(
        landmark_fitting.LIFTER, lifter, precision="float16", crops=3
    )
    task.export(args)
    networks.append(_entry(folder, (lifter, landmark_fitting.load_lifter())))
    folder.finish({"networks": networks})


def _exported(weights, folder, precision):
    """An image network; the untrained one's budget has no meaning."""
    path = folder.path / f"image_{precision}.tflite"
    args = export.Args(
        weights, path, precision=precision, crops=3, latency_only=True
    )
    task.export(args)
    return path, method.load(weights, jit=False)


def _boxed(body, folder):
    """A network that reads all that a card may list."""
    model = boxed_model.build(boxed_model.CONFIG, body)
    path = folder.path / "boxed.tflite"
    # It is no method of the package, which are built by name.
    with mock.patch.object(method, "build", boxed_model.build):
        path.write_bytes(convert.to_tflite(convert.edge_form(model)))
    measured = compare.Measured(1, "none", 0.0, 0.0, 0.0, {})
    model_card = card.make(model, "tflite", "float32", measured)
    digest = card.write_mesh(model, card.mesh_path(path))
    model_card["mesh"] = {"file": card.mesh_path(path).name, "sha256": digest}
    card.write(path, model_card | card.of_content(path.read_bytes()))
    return path, model


def _entry(folder, exported):
    """A network's files, and the answers of ai-edge-litert."""
    path, model = exported
    lite = interpreter.Interpreter(str(path), num_threads=1)
    runner = lite.get_signature_runner(run.SIGNATURE)
    inputs = calibration.held_out(model, None, PEOPLE).inputs
    people = []
    for row in convert.one_by_one(inputs):
        outputs = runner(**row)
        people.append(
            {
                "inputs": folder.add_all({n: a[0] for n, a in row.items()}),
                "outputs": folder.add_all(
                    {name: outputs[name][0] for name in run.OUTPUTS}
                ),
            }
        )
    return {
        "name": path.stem,
        "tflite": path.name,
        "card": path.with_suffix(".card.json").name,
        "mesh": card.mesh_path(path).name,
        "reads": list(model.input_names),
        "people": people,
    }
