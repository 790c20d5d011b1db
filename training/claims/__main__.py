r"""Measures claims of the papers that rendered people can decide.

    python -m training.claims                    # lists all with their state
    python -m training.claims hkmr-1 hkmr-2
    python -m training.claims hkmr-1 --steps 24000
    python -m training.claims hkmr-1a            # learning rates chosen first
    python -m training.claims hkmr-1b            # the true root given to both
    python -m training.claims hund-1             # minutes: without pictures
    python -m training.claims smplr-1a smplr-5 smplr-7 smplr-9   # likewise

Networks are trained on the records of `training.prepare synthetic` with
several seeds each and measured on synthetic_v1; claims share networks. A claim
agrees or is contradicted if the 95 % interval of the differences, paired by
seed, lies on one side of the smallest difference of interest, and if its
networks beat the constant mean pose; with fewer than 5 seeds nothing is
decided. The same command continues after a kill. OUT/claims/<claim>.json holds
every value, and `training.report --results OUT` shows them.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from training.claims import decisions, rules


@dataclasses.dataclass(frozen=True)
class Flags:
    """Command line of `training.claims`."""

    claims: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.UseAppendAction
    ] = ()
    """Claims to measure; without any, all are listed."""
    out: Path = Path("runs/claims")
    """Folder of runs and results."""
    records: str = "data"
    """Folder that holds the records `synthetic` and `synthetic_v1`."""
    steps: int = 4000
    """Training steps of each network, with 32 images each."""
    seeds: tuple[int, ...] = tuple(range(decisions.MIN_SEEDS))
    """Seeds; one network of each configuration is trained for each."""
    occluded_people: int = 100
    """Number of people measured behind each occluder."""
    rate_steps: int = 2000
    """Training steps of each learning rate that hkmr-1a chooses from."""
    descent_steps: int = 600
    """Training steps of hund-1, whose networks see keypoints alone."""
    point_steps: int = 1500
    """Training steps of smplr-1a, -5, -7 and -9, of 256 sampled bodies."""


def listing(out: Path) -> str:
    """The list of all claims with their states."""
    lines = []
    for name, claim in rules.CLAIMS.items():
        path = out / "claims" / f"{name}.json"
        state = "not run"
        if path.is_file():
            state = _stored_state(path)
        cost = rules.cost(claim)
        price = f"; {cost}" if cost and not path.is_file() else ""
        lines.append(
            f"{name:<8} {state:<16} {claim.text} ({claim.source}{price})"
        )
    return "\n".join(lines)


def _stored_state(path: Path) -> str:
    try:
        return rules.judge(json.loads(path.read_text())).state
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Remove it, or measure the claim "
            "again."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when all named claims are measured."""
    flags = tyro.cli(
        Flags,
        prog="python -m training.claims",
        description=__doc__,
        args=arguments,
    )
    try:
        if not flags.claims:
            print(listing(flags.out))
            return 0
        for name in flags.claims:
            rules.get(name)
    except (OSError, ValueError) as error:
        print(f"training.claims: {error}", file=sys.stderr)
        return 1
    # Not at the top: it imports TensorFlow.
    from training.claims import measuring

    try:
        for name in flags.claims:
            path = measuring.measure(name, flags)
            content = json.loads(path.read_text())
            state = rules.judge(content).state
            print(f"{name}: {state}. {content['text']}\n{path}")
    except (OSError, ValueError, measuring.runs.RunError) as error:
        print(f"training.claims: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command continues.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
