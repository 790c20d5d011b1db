r"""Measures which image regions a method relies on, with a sliding square.

    python -m training.sensitivity --weights runs/demo \
        --records data/synthetic_v1 --split test --out sensitivity
    python -m training.sensitivity --weights runs/demo --photo photo.jpg \
        --box 100 40 320 480 --out sensitivity

A grey square slides over the crop; at each position the method predicts anew.
For records, the maps show the increase of each joint's error in millimetres;
for a photo, which has no truth, how far each joint moves. The outputs are
maps.png (means over the people, for each joint and all joints), people.png
(the first few people), maps.npz and sensitivity.json.

The idea, squares of 40 px in a crop of 224, is from PARE's occlusion analysis
(Kocabas et al. 2021, mkocabas/PARE: scripts/occlusion_analysis.py), where
squares have the mean colour of ImageNet and do not overlap.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import tyro

from tf_hmr.formats import model_files
from training.data.records import shards


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Command line of `training.sensitivity`."""

    weights: Path
    """A model folder, or the workdir of a run."""
    out: Path
    """Folder of the outputs."""
    records: Path | None = None
    """A folder of records with 3D joints."""
    split: str = "test"
    """Split of the records."""
    photo: Path | None = None
    """One photo, instead of records."""
    box: tuple[float, float, float, float] | None = None
    """Box of the person in the photo: x y w h in pixels; default: all of it."""
    body: str = "open"
    """'open', or the SMPL files the model was trained with."""
    people: int = 50
    """Number of records, evenly spread over the split."""
    square: float = 40.0
    """Side of the square, in pixels of a crop of 224."""
    stride: float = 20.0
    """Distance of neighbouring squares, in the same pixels."""


def check(flags: Sensitivity) -> None:
    """Refuses what can be seen before TensorFlow is imported.

    Raises:
        FileNotFoundError: no model, records or photo.
        ValueError: neither or both of records and photo; a square or a stride
            of no extent.
    """
    if (flags.records is None) == (flags.photo is None):
        raise ValueError("Give --records or --photo, one of them.")
    if min(flags.square, flags.stride) <= 0:
        raise ValueError(
            f"Expected a square and a stride above 0, got {flags.square:g} "
            f"and {flags.stride:g} px."
        )
    model_files.find_folder(flags.weights)
    if flags.records:
        shards.Records(flags.records, flags.split)
    elif not flags.photo.is_file():
        raise FileNotFoundError(f"{flags.photo}: no such photo.")


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when everything is written."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Sensitivity,
        prog="python -m training.sensitivity",
        description=__doc__,
        args=arguments,
    )
    try:
        check(flags)
        # Not at the top: it imports TensorFlow.
        from training.tasks import sensitivity as task

        print(f"Maps: {task.run(flags)}")
    except (OSError, ValueError) as error:
        print(f"training.sensitivity: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
