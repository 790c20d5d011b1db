"""Exported files on runtimes of devices, and in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import cv2
import numpy as np

from edge.conversion import (
    calibration,
    compare,
    precisions,
)
from edge.targets import debian
from tf_hmr import method

PRECISIONS = ("float32", *precisions.PRECISIONS)


PATIENCE_S = 1500


class Exported(NamedTuple):
    """A method and its files, on people that nothing was fitted to."""

    model: method.Method
    files: dict[str, pathlib.Path]
    people: calibration.Images
    keras: dict[str, np.ndarray]

    def measured(self, outputs) -> compare.Measured:
        """Outputs of all crops against Keras'."""
        names = self.model.joint_names
        return compare.compare(outputs, self.keras, self.people, names)


def exported(model, files, count: int) -> Exported:
    people = calibration.held_out(model, None, count)
    return Exported(
        model, files, people, compare.run_keras(model, people.inputs)
    )


def answers(
    command, path, inputs, folder, *options, **environment
) -> dict[str, np.ndarray]:
    """Outputs of a file for inputs, by a Python that `command` starts."""
    np.savez(folder / "inputs.npz", **inputs)
    start(
        [
            *(*command, "-m", "edge.targets.outputs", path),
            *(folder / "inputs.npz", folder / "out.npz", *options),
        ],
        **environment,
    )
    return dict(np.load(folder / "out.npz"))


def start(command, **environment) -> subprocess.CompletedProcess:
    """Runs a command, which must succeed."""
    process = subprocess.run(
        [str(word) for word in command],
        cwd=debian.ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert process.returncode == 0, (
        f"{process.returncode}: {process.stderr[-2000:]}"
    )
    return process


def run_in_process(path, inputs, folder) -> dict[str, np.ndarray]:
    """Outputs by this Python's LiteRT on the CPU, in a process like theirs."""
    return answers([sys.executable], path, inputs, folder)


BOX = ("--box", "20.3", "11.7", "171.9", "180.1")


def photo(people: calibration.Images, folder: pathlib.Path) -> pathlib.Path:
    """A photo of the first person, 211 pixels wide and high."""
    path = folder / "person.png"
    image = cv2.resize(people.inputs["image"][0][..., ::-1], (211, 211))
    cv2.imwrite(str(path), image)
    return path


def line(command, path, image, out, *options, **environment) -> dict:
    """What edge/run.py writes of a photo."""
    script = debian.ROOT / "edge" / "run.py"
    words = [*command, script, path, image, *BOX, "--out", out, *options]
    completed = start(words, **environment)
    (text,) = (out / f"{image.stem}.jsonl").read_text().splitlines()
    return json.loads(text) | {"stderr": completed.stderr}
