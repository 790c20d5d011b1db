"""Models in all precisions, and what a target answers to crops of people."""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from edge import card, check, convert, export, images, mixed, quantize
from edge.targets import debian
from tf_hmr import method

PRECISIONS = ("float32", *quantize.PARTS)
TRAINED = debian.ROOT / "runs" / "demo"
PATIENCE_S = 1500


class Exported(NamedTuple):
    """A method and its files, on people that nothing was fitted to."""

    model: method.Method
    files: dict[str, pathlib.Path]
    people: images.Images
    keras: dict[str, np.ndarray]

    def measured(self, outputs) -> check.Measured:
        """Outputs of all crops against Keras'."""
        names = self.model.joint_names
        return check.compare(outputs, self.keras, self.people, names)


@pytest.fixture(scope="session")
def small(model, tflite, tmp_path_factory) -> Exported:
    """The small network, by the plain recipes: its errors are small."""
    folder = tmp_path_factory.mktemp("precisions")
    content, told = tflite.read_bytes(), card.read(tflite)
    mesh = tflite.with_suffix(".mesh.npz").read_bytes()
    crops = images.for_calibration(model, None, 4, skip=0).crops
    files = {"float32": tflite}
    for precision in quantize.PARTS:
        recipe = quantize.Recipe(model, precision)
        ranges = quantize.ranges(content, recipe, crops)
        made = quantize.apply(content, recipe, ranges)
        files[precision] = path = folder / f"{precision}.tflite"
        path.write_bytes(made)
        path.with_suffix(".mesh.npz").write_bytes(mesh)
        card.write(path, told | {"precision": precision, "bytes": len(made)})
    return exported(model, files, 3)


@pytest.fixture(scope="session")
def trained() -> Exported:
    """The demo's network; its files are kept until it is trained again."""
    weights = TRAINED / "best" / "model.weights.h5"
    if not weights.is_file():
        pytest.skip(f"no {TRAINED.relative_to(debian.ROOT)}: make demo")
    folder = debian.BUILD / "demo"
    files = {name: folder / f"{name}.tflite" for name in PRECISIONS}
    for precision, path in files.items():
        if not path.is_file() or path.stat().st_mtime < newest(weights):
            args = export.Args(TRAINED, path, precision)
            assert export.main(args) == 0
    return exported(method.load(TRAINED, jit=False), files, 64)


def newest(weights: pathlib.Path) -> float:
    """When the network, or the code that exports it, was last written."""
    modules = (convert, export, mixed, quantize)
    code = [pathlib.Path(module.__file__) for module in modules]
    return max(path.stat().st_mtime for path in (weights, *code))


def exported(model, files, count: int) -> Exported:
    people = images.held_out(model, None, count)
    return Exported(model, files, people, check.run_keras(model, people.crops))


@pytest.fixture(
    params=["small", pytest.param("trained", marks=pytest.mark.extra)]
)
def either(request) -> Exported:
    """The small network, and where it is asked for the trained one."""
    return request.getfixturevalue(request.param)


def answers(
    command, path, crops, folder, *options, **environment
) -> dict[str, np.ndarray]:
    """Outputs of a file for crops, by a Python that `command` starts."""
    np.save(folder / "crops.npy", crops)
    start(
        [
            *(*command, "-m", "edge.targets.outputs", path),
            *(folder / "crops.npy", folder / "out.npz", *options),
        ],
        **environment,
    )
    return dict(np.load(folder / "out.npz"))


def start(command, **environment) -> subprocess.CompletedProcess:
    """Runs a command, which must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=debian.ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    return done


def here(path, crops, folder) -> dict[str, np.ndarray]:
    """Outputs by this Python's LiteRT on the CPU, in a process like theirs."""
    return answers([sys.executable], path, crops, folder)


BOX = ("--box", "20.3", "11.7", "171.9", "180.1")
"""In `photo`, at no whole scale of a crop: so that it is resampled."""


def photo(people: images.Images, folder: pathlib.Path) -> pathlib.Path:
    """A photo of the first person, 211 pixels wide and high."""
    path = folder / "person.png"
    image = cv2.resize(people.crops[0][..., ::-1], (211, 211))
    cv2.imwrite(str(path), image)
    return path


def line(command, path, image, out, *options, **environment) -> dict:
    """What edge/run.py writes of a photo."""
    script = debian.ROOT / "edge" / "run.py"
    words = [*command, script, path, image, *BOX, "--out", out, *options]
    told = start(words, **environment)
    (found,) = (out / f"{image.stem}.jsonl").read_text().splitlines()
    return json.loads(found) | {"stderr": told.stderr}
