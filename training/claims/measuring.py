"""Trains and judges the networks of a claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training.claims import decisions, plots, rules, runs
from training.engine import workdir

if TYPE_CHECKING:
    from training.claims.__main__ import Flags

AGREES = {
    decisions.AGREES: True,
    decisions.CONTRADICTS: False,
    decisions.NOT_DECIDED: None,
}
"""The state as `agrees` of a stored claim."""


def measure(name: str, flags: Flags) -> Path:
    """Trains missing networks, judges, plots; returns the path of the result.

    Raises:
        runs.RunError: a command failed.
        ValueError: unknown claim.
    """
    claim = rules.get(name)
    measured = _measured(name, claim, flags)
    configurations = {
        configuration: {
            "seeds": list(networks),
            "metrics": {
                metric: [values.metrics[metric] for values in networks.values()]
                for metric in next(iter(networks.values())).metrics
            },
        }
        for configuration, networks in measured.items()
    }
    constants = _constants(measured)
    verdict = rules.verdict(claim, configurations, constants)
    folder = flags.out / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {
        "id": name,
        "claim": claim.text,
        "source": claim.source,
        "paper": claim.paper,
        "agrees": AGREES[verdict.state],
        "text": "; ".join(verdict.lines),
        "constants": constants,
        "configurations": configurations,
        "size": _size(claim, flags),
        "cost_s": sum(
            values.metrics["trained_s"]
            for networks in measured.values()
            for values in networks.values()
        ),
        "plots": plots.draw(
            name,
            {
                configuration: [v.metrics for v in networks.values()]
                for configuration, networks in measured.items()
            },
            constants,
            folder,
        ),
        "command": "python -m training.claims " + name,
        "environment": workdir.environment(),
    }
    workdir.write_json(path, content)
    return path


def _measured(
    name: str, claim: rules.Claim, flags: Flags
) -> dict[str, dict[int, runs.Measured]]:
    """Values of all networks, by configuration and seed."""
    size = runs.Size(
        flags.steps,
        flags.occluded_people,
        flags.rate_steps,
        flags.descent_steps,
        flags.point_steps,
    )
    measured = {configuration: {} for configuration in claim.configurations}
    seeds = tuple(dict.fromkeys(flags.seeds))
    number, total = 0, len(seeds) * len(measured)
    # Seeds in the outer loop: every finished seed compares all configurations.
    for seed in seeds:
        for configuration in claim.configurations:
            number += 1
            print(
                f"{name}: {configuration}, seed {seed} ({number} of {total})",
                flush=True,
            )
            measured[configuration][seed] = runs.result(
                configuration, seed, size, flags.out, flags.records
            )
    return measured


def _size(claim: rules.Claim, flags: Flags) -> str:
    """The cost of a claim's networks, in words."""
    networks = [rules.CONFIGURATIONS[n] for n in claim.configurations]
    number, examples = flags.steps, "32 images"
    if any(network.meta_loss for network in networks):
        number, examples = flags.descent_steps, "64 people without pictures"
    if any(network.points for network in networks):
        number, examples = flags.point_steps, "256 bodies without pictures"
    if any(network.own_steps for network in networks):
        return f"all stages of smplr_quick, {runs.PROTOCOL}"
    return f"{number} steps of {examples}, {runs.PROTOCOL}"


def _constants(measured) -> dict[str, float]:
    """Metrics of the mean pose; where records differ, the smallest."""
    constants = {}
    for networks in measured.values():
        for values in networks.values():
            for metric, error in values.constants.items():
                constants[metric] = min(error, constants.get(metric, error))
    return constants
