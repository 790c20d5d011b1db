"""What every runtime of a phone is held to: vectors of edge/run.py.

The page (edge/web), the app (edge/android) and the tests of edge read the same
files, made on demand:

    python -m tests.support.phone_vectors --out build/phone_vectors

A part is a folder of `vectors.json` and of raw arrays. Wherever the json has
{"file", "dtype", "shape"}, an array lies in that file: little-endian, in C
order. Images are RGB, rows from the top. The parts:

* crops: of one picture, and the inputs of run.inputs_of;
* tracks: frames, the answers of a network to their crops, and what run.Track
  makes of them: record (a line of the .jsonl), next box, mesh, some drawings;
* finder: photos, the answers of each network in the order of the calls, and
  who is found; the lifter's input for each;
* networks: exported files of each kind, 12 people's inputs and the outputs.
"""

import importlib
from pathlib import Path

from tests.support.phone_vectors.arrays import Folder

PARTS = ("crops", "tracks", "finder", "networks")


def make(part: str, path: Path) -> None:
    """Fills a folder, which is made, with a part's vectors."""
    path.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"{__name__}.{part}")
    module.make(Folder(path))
