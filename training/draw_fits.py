r"""Draws the SMPLify fits that a run stored over their images.

python -m training.draw_fits runs/spin --out fits.png
"""

import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.draw_fits`."""

    run: tyro.conf.Positional[Path]
    """Workdir of an experiment that stores fits."""
    out: Path
    """The figure to write, a .png."""
    count: int = 12
    """Number of fits: the first ones in the order of the records."""
    body: str = "open"
    """The body of the run: 'open', or an SMPL .pkl, .npz or folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = tyro.cli(
        Options,
        prog="python -m training.draw_fits",
        description=__doc__,
        args=arguments,
    )
    try:
        if options.out.suffix != ".png" or options.count < 1:
            raise ValueError(
                "Expected a .png and at least one fit, got --out "
                f"{options.out} and --count {options.count}."
            )
        if not options.run.is_dir():
            raise FileNotFoundError(f"{options.run}: no such run.")
        # Not at the top: it imports TensorFlow.
        from training.tasks import draw_fits as task

        count = task.draw(options)
    except (ValueError, OSError) as error:
        print(f"training.draw_fits: {error}", file=sys.stderr)
        return 1
    print(f"{count} fits: {options.out}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
