r"""Evaluates a flow of poses, the pose prior of HUND, beside a Gaussian.

    python -m training.pose_flow --weights runs/hund_quick \
        --records data/synthetic_v1 --split test --out flow

The Gaussian has the mean and the covariance of the poses that the flow learnt.
Writes samples.png and gaussian.png, drawn from either, and pose_flow.json: nats
per number of the poses of a split that was not trained on (less is better), and
how many people have a knee that bends backwards.
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
    """Command line of `training.pose_flow`."""

    weights: Path
    """A model folder, or the workdir of a run, with a flow of poses."""
    records: Path
    """A folder of records with poses."""
    out: Path
    """Folder for figures and numbers."""
    split: str = "test"
    """Split of the records."""
    body: str = "open"
    """'open', or the SMPL files that the model was trained with."""
    samples: int = 20_000
    """Poses to draw from the flow and from the Gaussian."""
    seed: int = 0
    """Seed of the samples and of the noise."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(
        Options,
        prog="python -m training.pose_flow",
        description=__doc__,
        args=arguments,
    )
    try:
        model_files.find_folder(options.weights)
        records_folder.read_report(options.records)
        # Not at the top: it imports TensorFlow.
        from training.tasks import pose_flow as task

        result = task.run(options)
    except (OSError, ValueError) as error:
        print(f"training.pose_flow: {error}", file=sys.stderr)
        return 1
    nats, knees = result["nats_per_number"], result["backward_knees"]
    print(
        f"{options.out}: {result['poses']} unseen poses, "
        f"{nats['flow']:.3f} nats per number (Gaussian "
        f"{nats['gaussian']:.3f}); knees that bend backwards: flow "
        f"{knees['flow']:.1%}, Gaussian {knees['gaussian']:.1%}, people "
        f"{knees['people']:.1%}; latent and back within "
        f"{result['latent_and_back_rad']:.1e} rad"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
