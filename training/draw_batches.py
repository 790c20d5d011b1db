r"""Draws training pictures as a run sees them, with their keypoints.

    python -m training.draw_batches data/synthetic --out sheet.png \
        --background 1 --objects 1
    python -m training.draw_batches data/surreal --out sheet.png \
        --background 1 --backgrounds ~/pictures --rotation-deg 30

Of each person there are two crops: by the augmentation without other
backgrounds and objects, and with them. The dots are the labelled keypoints,
which are the same in both.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from training import config
from training.data.records import shards


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.draw_batches`."""

    records: tyro.conf.Positional[Path]
    """A folder of records."""
    out: Path
    """The figure to write, a .png."""
    count: int = 12
    """Number of people."""
    image_size: int = 192
    """Side of the crops in pixels."""
    seed: int = 0
    """Seed of order and augmentation."""
    augment: Annotated[config.Augment, tyro.conf.arg(name="")] = config.Augment(
        background=1.0, objects=1.0
    )
    """The augmentation."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = tyro.cli(
        Options,
        prog="python -m training.draw_batches",
        description=__doc__,
        args=arguments,
    )
    try:
        if options.out.suffix != ".png" or options.count < 1:
            raise ValueError(
                "Expected a .png and at least one person, got --out "
                f"{options.out} and --count {options.count}."
            )
        shards.Records(str(options.records), "train")
        # Not at the top: it imports TensorFlow.
        from training.tasks import draw_batches as task

        count = task.draw(options)
    except (ValueError, OSError) as error:
        print(f"training.draw_batches: {error}", file=sys.stderr)
        return 1
    print(f"{count} people: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
