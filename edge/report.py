"""Writes a page on exported models: size, time and error in every precision.

    python -m edge.report --weights runs/demo --out edge/REPORT.md

Exports the model in all precisions, which lints each file and compares it with
Keras; runs the files on LiteRT's GPU accelerator; exports large encoders with
random weights, for timing only; and times everything in one run. Takes a
quarter of an hour on an idle machine.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import tyro

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    weights: Path = Path("runs/demo")
    """A trained model: its folder, or the workdir of training.fit."""
    out: Path = Path("edge/REPORT.md")
    """The page to write."""
    pictures: Path = Path("docs")
    """Folder for its plots."""
    files: Path = Path("build/edge-report")
    """Folder for the exported files."""
    beside: tuple[Path, ...] = ()
    """More .tflite files to time in the same run, such as BlazePose's."""
    encoders: tuple[str, ...] = ("resnet50_slim", "mobilenet_v3")
    """Encoders of HMR to time with random weights."""
    rounds: int = 30
    """Runs of each model at each number of threads."""


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        if not args.weights.is_dir():
            raise FileNotFoundError(
                f"No trained model in {args.weights}: `make demo` trains one "
                "in runs/demo; or name another with --weights."
            )
        # Not at the top: it imports TensorFlow.
        from edge import report_measurements

        report_measurements.report(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(f"{args.out}, plots in {args.pictures}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.report", description=__doc__))
    )
