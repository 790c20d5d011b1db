r"""Evaluates an autoencoder of poses, in figures and numbers.

    python -m training.pose_vae --weights runs/hkmr_quick \
        --records data/synthetic_v1 --split test --out vae

Writes, for the poses of a split not trained on: reconstructions.png;
samples.png, decoded from random codes; roc.png, for telling those poses from
random ones by the divergence of HKMR's loss; and pose_vae.json.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import tyro

from tf_hmr.formats import model_files
from training.data.records import records_folder


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.pose_vae`."""

    weights: Path
    """A model folder, or the workdir of a run, with an autoencoder."""
    records: Path
    """A folder of records with poses."""
    out: Path
    """Folder for figures and numbers."""
    split: str = "test"
    """Split of the records."""
    body: str = "open"
    """'open', or the SMPL files that the model was trained with."""
    seed: int = 0
    """Seed of the codes and the random poses."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(
        Options,
        prog="python -m training.pose_vae",
        description=__doc__,
        args=arguments,
    )
    try:
        model_files.find_folder(options.weights)
        records_folder.read_report(options.records)
        # Not at the top: it imports TensorFlow.
        from training.tasks import pose_vae as task

        result = task.run(options)
    except (OSError, ValueError) as error:
        print(f"training.pose_vae: {error}", file=sys.stderr)
        return 1
    areas = ", ".join(f"{k} {v:.4f}" for k, v in result["auc"].items())
    print(
        f"{options.out}: {result['poses']} poses come back "
        f"{result['reconstruction_deg']:.1f} degrees off in the mean; area "
        f"under the curve: {areas}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
