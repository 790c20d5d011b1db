r"""Shows what HUND's stages do, and what BFGS does to the same loss.

    python -m training.descent --weights runs/hund_quick \
        --records data/synthetic_v1 --out descent

Writes descent.json; stages.png, the body of each stage over its picture (HUND,
Figure 6); curves.png, loss, distance to keypoints, IoU and MPJPE by stage; and
search.png, the loss over time of HUND, of BFGS from the mean pose, and of BFGS
from every stage (Figures 3, 4). Prints both as tables.
"""

import dataclasses
import logging
import os
import sys
from pathlib import Path

import tyro

from tf_hmr.formats import model_files
from training.data.records import shards


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.descent`."""

    weights: Path
    """A model folder, or the workdir of a run, of HUND."""
    records: Path
    """A folder of records."""
    out: Path
    """Folder for figures and numbers."""
    split: str = "test"
    """Split of the records."""
    body: str = "open"
    """'open', or the SMPL files that the model was trained with."""
    people: int = 200
    """People whose stages are measured, evenly spread over the split."""
    pictures: int = 6
    """People whose stages are drawn."""
    searched: int = 20
    """People for whom BFGS runs, from the mean pose and from every stage; 0
    leaves it out. It takes some seconds for each person and start."""
    iterations: int = 150
    """The most iterations of BFGS."""
    parts: bool = False
    """Whether the loss has L_b, of parts, if the model was trained with it; the
    paper's BFGS has keypoints and the prior alone."""


def main(options: Options) -> int:
    """Runs the command; returns its exit status."""
    try:
        model_files.find_folder(options.weights)
        shards.Records(options.records, options.split)
        # Not at the top: it imports TensorFlow.
        from training.descent import study

        result = study.run(options)
    except (OSError, ValueError) as error:
        print(f"training.descent: {error}", file=sys.stderr)
        return 1
    print(study.text_of(result))
    print(f"Figures and numbers are in {options.out}.")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(
        Options, prog="python -m training.descent", description=__doc__
    )
    # CPU seconds are then those of one core. TensorFlow reads these when it
    # starts.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    sys.exit(main(parsed))
