r"""Writes one page with the papers' numbers and our results.

    python -m training.report --results runs --out out/report
    python -m training.report --results runs/hmr runs/claims --out out/report

Reads the results of training.evaluate and training.claims in the folders and
writes OUT/RESULTS.md and OUT/results.html: all tables of the four papers with
our value, the difference, the commit and the command, or the command that
would make it; results on rendered people in separate tables; claims.
"""

import dataclasses
import sys
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Report:
    """Command line of `training.report`."""

    results: tuple[Path, ...] = (Path("runs"),)
    """Workdirs, or folders of workdirs."""
    out: Path = Path("out/report")
    """Folder of the two pages and their figures."""


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when the pages are written."""
    flags = tyro.cli(
        Report,
        prog="python -m training.report",
        description=__doc__,
        args=arguments,
    )
    try:
        for folder in flags.results:
            if not folder.is_dir():
                raise FileNotFoundError(f"--results {folder}: no such folder.")
        # Not at the top: it imports TensorFlow.
        from training.report import pages

        written = pages.report(flags)
    except (OSError, ValueError) as error:
        print(f"training.report: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
