r"""Measures claims of the papers that rendered people can decide.

    python -m training.claims                    # lists all with their state
    python -m training.claims hkmr-1 hkmr-2
    python -m training.claims hkmr-1 --steps 8000 --seeds 0 1 2 3 4

Networks are trained on the records of `training.prepare synthetic` with a few
seeds each and measured on synthetic_v1; claims share networks. The same
command continues after a kill. OUT/claims/<claim>.json holds every value, and
`training.report --results OUT` shows them.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from training.claims import plots, rules, runs
from training.engine import workdir


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
    steps: int = 1500
    """Training steps of each network, with 32 images each."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; one network of each configuration is trained for each."""
    occluded_people: int = 100
    """Number of people measured behind each occluder."""


def measure(name: str, flags: Flags) -> Path:
    """Trains missing networks, judges, plots; returns the path of the result.

    Raises:
        runs.RunError: a command failed.
        ValueError: unknown claim.
    """
    claim = rules.get(name)
    size = runs.Size(flags.steps, flags.occluded_people)
    measured = {configuration: [] for configuration in claim.configurations}
    # Seeds in the outer loop: every finished seed compares all configurations.
    for seed in flags.seeds:
        for configuration in claim.configurations:
            print(f"{name}: {configuration}, seed {seed}", flush=True)
            measured[configuration].append(
                runs.result(configuration, seed, size, flags.out, flags.records)
            )
    configurations = {
        configuration: {
            "seeds": list(flags.seeds),
            "metrics": {
                metric: [seed[metric] for seed in seeds] for metric in seeds[0]
            },
        }
        for configuration, seeds in measured.items()
    }
    verdict = rules.verdict(
        claim, {name: c["metrics"] for name, c in configurations.items()}
    )
    folder = flags.out / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {
        "id": name,
        "claim": claim.text,
        "source": claim.source,
        "paper": claim.paper,
        "agrees": verdict.agrees,
        "text": "; ".join(verdict.lines),
        "configurations": configurations,
        "size": f"{flags.steps} steps of 32 images, {runs.PROTOCOL}",
        "cost_s": sum(
            s["trained_s"] for seeds in measured.values() for s in seeds
        ),
        "plots": plots.draw(name, measured, folder),
        "command": "python -m training.claims " + name,
        "environment": workdir.environment(),
    }
    workdir.write_json(path, content)
    return path


def listing(out: Path) -> str:
    """The list of all claims with their states."""
    lines = []
    for name, claim in rules.CLAIMS.items():
        path = out / "claims" / f"{name}.json"
        state = "not run"
        if path.is_file():
            state = _state(json.loads(path.read_text()))
        lines.append(f"{name:<8} {state:<16} {claim.text} ({claim.source})")
    return "\n".join(lines)


def _state(content: dict) -> str:
    return "agrees" if content["agrees"] else "does not agree"


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when all named claims are measured."""
    flags = tyro.cli(
        Flags,
        prog="python -m training.claims",
        description=__doc__,
        args=arguments,
    )
    if not flags.claims:
        print(listing(flags.out))
        return 0
    try:
        for name in flags.claims:
            rules.get(name)
        for name in flags.claims:
            path = measure(name, flags)
            content = json.loads(path.read_text())
            print(f"{name}: {_state(content)}. {content['text']}\n{path}")
    except (OSError, ValueError, runs.RunError) as error:
        print(f"training.claims: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command continues.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
