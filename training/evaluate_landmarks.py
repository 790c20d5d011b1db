r"""Measures bodies of BlazePose's landmarks on people whose joints are known.

    python -m training.prepare synthetic --protocol synthetic_v1 \
        --out DATA/synthetic_v1
    python -m training.prepare landmarks --root DATA/synthetic_v1 \
        --split test --out DATA/landmarks_v1
    python -m training.evaluate_landmarks --records DATA/landmarks_v1

Compares the lifter, the fit that starts from it, and the fit to 2D keypoints
alone (--keypoints) with the landmarks' own metres and with the mean pose, on
the 12 joints of the limbs. People of good 2D are those of whose 12 landmarks
more than four fifths lie within 0.06 of the box's diagonal from the true joint.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import tyro

from tf_hmr import landmark_files
from tf_hmr.formats import model_files
from training.data.records import shards


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    records: Path
    """Folder of records with landmarks."""
    split: str = "test"
    """Split of them."""
    weights: Path = landmark_files.LIFTER
    """Model folder, or the workdir of a run, of a lifter."""
    out: Path | None = None
    """File of the results; default: landmarks.json in the --weights folder."""
    count: int | None = None
    """Measure only so many people, from the first."""
    fit: bool = True
    """Fit bodies, too, from the lifter's on."""
    keypoints: bool = False
    """Also fit bodies to the 2D keypoints alone, from four starts."""
    batch_size: int = 32
    """Bodies that are fitted together."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; 0 when the results are written."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = tyro.cli(
        Args,
        prog="python -m training.evaluate_landmarks",
        description=__doc__,
        args=arguments,
    )
    try:
        model_files.find_folder(args.weights)
        shards.Records(args.records, args.split)
        # Not at the top: it imports TensorFlow.
        from training.tasks import evaluate_landmarks as task

        print(task.table(task.measure(args)))
    except (OSError, ValueError) as error:
        print(f"training.evaluate_landmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
