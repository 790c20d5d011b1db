"""All results of a run of the checks, and the json and Markdown of them."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from tf_hmr.formats import atomic
from training.gpu_checks import comparison, input_rates, rates, resume
from training.gpu_checks.tolerances import TOLERANCES

JSON, MARKDOWN = "gpu_check.json", "gpu_check.md"
CPU = "CPU"


@dataclasses.dataclass
class Results:
    """What the checks of a machine gave; empty where one was left out."""

    device: str = CPU
    """Names of the GPUs that took part; "CPU" where none did."""
    processor: str = ""
    """Number of cores and name of the processor."""
    devices: str = ""
    """The --devices."""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    """Of the software."""
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
    """Cards, driver and libraries."""
    cure: str = ""
    """What makes a card visible; empty if nothing is wrong."""
    steps: list[comparison.Row] = dataclasses.field(default_factory=list)
    replicas: list[comparison.Row] = dataclasses.field(default_factory=list)
    continuation: resume.Result | None = None
    """Of a run that was killed."""
    matrix_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    """1e12 multiplications and additions per second, by precision."""
    step_rates: list[rates.StepRate] = dataclasses.field(default_factory=list)
    inputs: list[input_rates.InputRate] = dataclasses.field(
        default_factory=list
    )
    errors: list[str] = dataclasses.field(default_factory=list)
    """Checks that could not be made, each with the cause."""

    @property
    def passed(self) -> bool:
        """Whether every check that was made is as it must be."""
        rows = [*self.steps, *self.replicas]
        results = [row.passed for row in rows]
        if self.continuation is not None:
            results.append(self.continuation.passed)
        return all(results) and not self.errors and not self.cure


def write(results: Results, folder: Path) -> None:
    """Writes the json and the Markdown to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        (JSON, json.dumps(as_json(results), indent=2) + "\n"),
        (MARKDOWN, markdown(results)),
    ):
        with atomic.replacing(folder / name) as part:
            part.write_text(text)


def as_json(results: Results) -> dict[str, Any]:
    """Every figure; null where there is none."""
    content = dataclasses.asdict(results) | {"passed": results.passed}
    for name in ("steps", "replicas"):
        for row, line in zip(
            getattr(results, name), content[name], strict=True
        ):
            line["passed"] = row.passed
            line["limits"] = TOLERANCES[row.tolerance]._asdict()
    for rate, line in zip(
        results.step_rates, content["step_rates"], strict=True
    ):
        line["share_of_matrix_rate"] = share(results, rate)
        line["limit"] = limit(results, rate)
    return _finite(content)


def _finite(value: Any) -> Any:
    """The value with None in place of numbers that json does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def share(results: Results, rate: rates.StepRate) -> float | None:
    """Rate of a step over that of matrix products; None if not measured."""
    matrix_rate = results.matrix_rates.get(rate.precision)
    return rate.teraflop_per_s / matrix_rate if matrix_rate else None


def limit(results: Results, rate: rates.StepRate) -> str:
    """What bounds training with the default pipeline: "step" or "input".

    Both as measured alone. Where no GPU takes the steps they share the cores,
    so that training is slower than either. Empty if not measured.
    """
    if not results.inputs or not rate.batch:
        return ""
    input_rate = results.inputs[0].images_per_s
    return "input" if input_rate < rate.images_per_s else "step"


def markdown(results: Results) -> str:
    """The report as a page of tables."""
    verdict = "passed" if results.passed else "FAILED"
    parts = [
        f"# Training on: {results.device} ({verdict})",
        f"Processor: {results.processor}. `--devices {results.devices}`.",
        _machine(results),
        _agreement("One step on the device against the CPU", results.steps),
        _agreement("Replicas against one device", results.replicas),
    ]
    if results.continuation is not None:
        state = "passed" if results.continuation.passed else "FAILED"
        parts.append(
            f"## kill -9 and resume\n\n{state}: {results.continuation.text}."
        )
    parts += [_speed(results), _input(results)]
    if results.errors:
        lines = "\n".join(f"- {error}" for error in results.errors)
        parts.append(f"## Not checked\n\n{lines}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _machine(results: Results) -> str:
    facts = results.machine | results.versions
    table = _table(("machine", ""), list(facts.items()))
    return f"{table}\n\nCure: {results.cure}." if results.cure else table


def _agreement(title: str, rows: list[comparison.Row]) -> str:
    if not rows:
        return ""
    lines = []
    for row in rows:
        limits = TOLERANCES[row.tolerance]
        state = "passed" if row.passed else "FAILED"
        if row.expected_different:
            state = "noticed" if row.passed else "NOT NOTICED"
        if row.skipped:
            state = "refused"
        lines.append(
            (
                row.label,
                _share(row.values),
                _share(row.gradients) if limits.gradients < math.inf else "",
                row.tolerance,
                state,
                "; ".join(filter(None, (row.worst, row.note))),
            )
        )
    table = _table(
        ("step", "terms", "gradients", "tolerance", "", "most off; note"), lines
    )
    names = dict.fromkeys(row.tolerance for row in rows)
    reasons = "\n".join(_reason(name) for name in names)
    return f"## {title}\n\n{table}\n\n{reasons}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1e}"


def _reason(name: str) -> str:
    limits = TOLERANCES[name]
    gradients = f", gradients {limits.gradients:g}"
    if not math.isfinite(limits.gradients):
        gradients = ""
    return f"- `{name}`: terms {limits.values:g}{gradients}: {limits.reason}."


def _speed(results: Results) -> str:
    if not results.step_rates:
        return ""
    lines = []
    for rate in results.step_rates:
        name = (rate.encoder, f"{rate.image_size}", rate.precision)
        if not rate.batch:
            lines.append(
                (*name, f"{rate.requested_batch}: too large", *[""] * 5)
            )
            continue
        batch = f"{rate.batch}"
        if rate.batch < rate.requested_batch:
            batch += f" (the largest; {rate.requested_batch} does not fit)"
        part = share(results, rate)
        lines.append(
            (
                *name,
                batch,
                f"{rate.images_per_s:.1f}",
                f"{rate.teraflop_per_s:.3f}",
                f"{100 * part:.0f} %" if part else "",
                f"{rate.memory_mib:.0f}",
                limit(results, rate),
            )
        )
    table = _table(
        (
            *("encoder", "px", "precision", "batch", "images/s", "TFLOP/s"),
            *("of the matrix rate", "MiB", "limit"),
        ),
        lines,
    )
    matrices = ", ".join(
        f"{precision} {rate:.3f}"
        for precision, rate in results.matrix_rates.items()
    )
    return (
        f"## HMR's training step on: {results.device}\n\n{table}\n\n"
        f"Square matrices, TFLOP/s, in the same run: {matrices}. A step "
        "counts three times the convolutions and matrix products of its "
        "forward pass."
    )


def _input(results: Results) -> str:
    if not results.inputs:
        return ""
    speeds = [rate.images_per_s for rate in results.step_rates if rate.batch]
    fastest = max(speeds, default=0.0)
    lines = [
        (
            rate.label,
            f"{rate.option}",
            f"{rate.host_ms:.2f}",
            f"{rate.service_ms:.2f}" if rate.service_ms else "",
            f"{rate.images_per_s:.0f}",
            f"{rate.cores(1000):.1f}",
            f"{rate.cores(fastest):.2f}" if fastest else "",
        )
        for rate in results.inputs
    ]
    table = _table(
        (
            *("training images", "options", "host, ms", "workers, ms"),
            *("images/s alone", "cores per 1,000 images/s"),
            "cores for the fastest step",
        ),
        lines,
    )
    return (
        f"## The input pipeline on {results.processor}\n\n{table}\n\n"
        "Milliseconds are processor time per image; the cores are computed "
        "from them. A card needs as many as its images/s times these."
    )
