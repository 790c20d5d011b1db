r"""Measures SMPLR part by part: which one loses how much.

    python -m training.smplr_parts --weights runs/smplr_quick \
        --records data/synthetic_v1 --out parts

Writes parts.json and figures. `sampled` is about the networks that see no
picture: points of the labelled bodies, moved by the paper's noise times a
factor, go through them. `pictures` is about the points that the hourglass
finds, beside the best constant. In `replaced` a part's answer gives way to the
truth. Errors are in millimetres: of points over SMPLR's 16 joints about the
pelvis, in `replaced` MPJPE and PA-MPJPE of HMR's 14 joints about the middle of
the hips, as protocols of evaluation have them.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import tyro

from tf_hmr.formats import model_files
from training.data.records import shards


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.smplr_parts`."""

    weights: Path
    """A model folder, or the workdir of a run, of SMPLR."""
    records: Path
    """A folder of records with poses and shapes."""
    out: Path
    """Folder for figures and numbers."""
    split: str = "test"
    """Split of the records."""
    body: str = "open"
    """'open', or the SMPL files that the model was trained with: a path, or
    FEMALE,MALE."""
    noise: tuple[float, ...] = (0.0, 1.0, 4.0)
    """Factors of the paper's noise, whose 1 moves a point by 25 mm."""
    seed: int = 0
    """Seed of the noise."""


def main(options: Options) -> int:
    """Runs the command; returns its exit status."""
    try:
        model_files.find_folder(options.weights)
        shards.Records(options.records, options.split)
        # Not at the top: it imports TensorFlow.
        from training.tasks import smplr_parts as task

        numbers = task.run(options)
    except (OSError, ValueError) as error:
        print(f"training.smplr_parts: {error}", file=sys.stderr)
        return 1
    print(json.dumps(numbers, indent=1))
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(
        Options, prog="python -m training.smplr_parts", description=__doc__
    )
    sys.exit(main(parsed))
