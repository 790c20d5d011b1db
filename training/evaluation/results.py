"""The result of a protocol, as JSON and as a table."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from training.engine import workdir
from training.evaluation import evaluator, selection
from training.evaluation.protocol import Protocol

TITLES = {
    "mpjpe_mm": "MPJPE (mm)",
    "pa_mpjpe_mm": "PA-MPJPE (mm)",
    "mpjpe_true_root_mm": "true root (mm)",
    "pve_mm": "PVE (mm)",
    "pck3d_150mm": "PCK@150mm (%)",
    "auc3d": "AUC (%)",
}
FIRST_MISSING = 20
_OF_MESH = ("pve_mm", "pve_pa_mm")


def result(
    scores: evaluator.Scores,
    baselines: dict[str, evaluator.Baseline],
    people: selection.Selection,
    missing: list[str],
    deviations: list[str],
    has_mesh: bool = True,
) -> dict[str, Any]:
    """The content of a results file.

    Args:
        scores: scores of the predictions.
        baselines: baselines by name.
        people: the protocol's people in the records.
        missing: ids of people without a prediction.
        deviations: further deviations from the protocol.
        has_mesh: whether errors of the surface are to be expected.
    """
    protocol = scores.protocol
    metrics, details = scores.summary(), scores.details()
    variants = len(protocol.occlusion.variants) if protocol.occlusion else 1
    index, _ = scores.ranking()
    measured = (len(index) or scores.examples) // variants
    expected = protocol.count or len(people.rows)
    all_deviations = [*people.deviations, *deviations]
    all_deviations += _other_truth(protocol, details.get("truth", {}))
    headline = [
        key for key in protocol.headline if has_mesh or key not in _OF_MESH
    ]
    missing_metrics = [key for key in headline if key not in metrics]
    if missing_metrics:
        all_deviations.append(
            f"predictions or labels give no {', '.join(missing_metrics)}"
        )
    return {
        "protocol": protocol.name,
        "rule": dataclasses.asdict(protocol.description),
        "measured": measured,
        "expected": expected,
        "complete": measured == expected and not all_deviations and not missing,
        "deviations": all_deviations,
        "synthetic": protocol.synthetic,
        "metrics": metrics,
        "headline": headline,
        **details,
        "baselines": {
            name: baseline.summary()
            for name, baseline in baselines.items()
            if baseline.measures
        },
        "missing": {"count": len(missing), "first": missing[:FIRST_MISSING]},
        "records": str(people.folder),
        "examples": people.report["splits"][people.split],
        "environment": workdir.environment(),
    }


def _other_truth(protocol: Protocol, counts: Mapping[str, int]) -> list[str]:
    """One deviation per source of true joints that is not the protocol's own.

    Args:
        protocol: the protocol; its own source is the first of `truth`.
        counts: number of examples by the source of their true joints.
    """
    first = protocol.truth[0]
    return [
        f"the true joints of {count} examples are from {source!r}, those of "
        f"the protocol are from {first!r}"
        for source, count in counts.items()
        if source != first
    ]


def table(results: dict[str, Any]) -> str:
    """The results as text: the model with the baselines, then by action."""
    metrics, baselines = results["metrics"], results["baselines"]
    titled = [key for key in TITLES if key in metrics]
    lines = []
    if titled:
        rows = {"model": metrics, **baselines}
        cells = {
            name: [f"{row[key]:.1f}" if key in row else "" for key in titled]
            for name, row in rows.items()
        }
        lines += _aligned([TITLES[key] for key in titled], cells)
    lines += [
        _improvement(metrics, name, row) for name, row in baselines.items()
    ]
    untitled = {k: v for k, v in metrics.items() if k not in TITLES}
    if untitled:
        lines.append(", ".join(f"{k} {v:.3f}" for k, v in untitled.items()))
    own = results.get("metrics_about_own_pelvis", {})
    if own:
        about = ", ".join(
            f"{TITLES[key]} {own[key]:.1f}" for key in TITLES if key in own
        )
        lines.append(f"about its own pelvis: {about}")
    lines += _by_action(results.get("per_action", {}))
    per_joint = results.get("per_joint_mm", {})
    if per_joint:
        joint_errors = ", ".join(
            f"{name} {mm:.0f}" for name, mm in per_joint.items()
        )
        lines.append(f"joints (mm): {joint_errors}")
    return "\n".join([*lines, *_warnings(results)])


def _aligned(titles: list[str], cells: dict[str, list[str]]) -> list[str]:
    width = max(map(len, cells))
    lines = [" " * width + "".join(f"{title:>16}" for title in titles)]
    for name, row in cells.items():
        lines.append(f"{name:<{width}}" + "".join(f"{c:>16}" for c in row))
    return lines


def _improvement(metrics, name: str, row) -> str:
    improvements = ", ".join(
        f"{TITLES[key].split()[0]} {100 - 100 * metrics[key] / row[key]:.1f} %"
        for key in ("mpjpe_mm", "pa_mpjpe_mm")
        if key in row
    )
    return f"below {name}: {improvements}"


def _by_action(actions: dict[str, dict[str, float]]) -> list[str]:
    if not actions:
        return []
    cells = {
        name or "(none)": [
            f"{row['mpjpe_mm']:.1f}",
            f"{row['pa_mpjpe_mm']:.1f}",
            str(row["count"]),
        ]
        for name, row in actions.items()
    }
    return _aligned(["MPJPE (mm)", "PA-MPJPE (mm)", "examples"], cells)


def _warnings(results: dict[str, Any]) -> list[str]:
    if results["complete"]:
        return []
    name, measured = results["protocol"], results["measured"]
    lines = []
    if measured != results["expected"]:
        lines.append(
            f"NOT COMPLETE: {measured} examples were measured, {name} has "
            f"{results['expected']}; not comparable with its results."
        )
    missing = results["missing"]
    if missing["count"]:
        lines.append(
            f"NOT COMPLETE: {missing['count']} people have no prediction: "
            f"{', '.join(missing['first'])}"
            + (", ..." if missing["count"] > len(missing["first"]) else "")
        )
    deviations = results["deviations"]
    return lines + [
        f"NOT THE PROTOCOL: {deviation}." for deviation in deviations
    ]
