"""Measures and draws the stages of a model: the work of training.descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.methods import hund
from training.descent import figures, measures
from training.descent import search as searches
from training.engine import workdir

if TYPE_CHECKING:
    from training.descent.__main__ import Options

FILE = "descent.json"
_COLUMNS = {
    "loss": ("L_u", "{:.3f}"),
    "detected_px": ("px detected", "{:.1f}"),
    "true_px": ("px labelled", "{:.1f}"),
    "iou": ("IoU", "{:.3f}"),
    "mpjpe_mm": ("MPJPE", "{:.1f}"),
    "pa_mpjpe_mm": ("PA-MPJPE", "{:.1f}"),
    "angle_deg": ("angle", "{:.1f}"),
}


def run(options: Options) -> dict:
    """Measures, draws and writes; returns the numbers.

    Raises:
        FileNotFoundError: the model or the records are missing.
        ValueError: the model is not HUND's, or the records lack an input.
    """
    if options.people < 1:
        raise ValueError(f"--people {options.people}, expected 1 or more.")
    model = methods.load(
        options.weights, BodyData.load(options.body), jit=False
    )
    if not isinstance(model, hund.Model):
        raise ValueError(
            f"{options.weights} holds the method {model.name!r}, expected "
            "'hund'. Train it with `python -m training.fit hund_quick`."
        )
    measure = measures.Measure(model, options.parts)
    people = measures.read_people(
        model, options.records, options.split, options.people
    )
    states, errors, constant = measures.descents(measure, people)
    count = states.shape[1]
    options.out.mkdir(parents=True, exist_ok=True)
    rows = _spread(count, options.pictures)
    figures.write_stages(
        options.out / "stages.png", model, people.take(rows), states[:, rows]
    )
    figures.write_curves(options.out / "curves.png", errors, constant)
    result = {
        "weights": str(options.weights),
        "records": f"{options.records} {options.split}",
        "people": count,
        "loss_has_parts": measure.with_parts,
        "mean_pose": _means(constant),
        "stages": [
            _means(measures.Errors(*(values[number] for values in errors)))
            for number in range(len(states))
        ],
    }
    if options.searched:
        comparison = searches.search(
            measure,
            people.take(_spread(count, options.searched)),
            options.iterations,
        )
        figures.write_search(options.out / "search.png", comparison)
        result["search"] = _search_numbers(comparison)
    workdir.write_json(options.out / FILE, result)
    return result


def _spread(count: int, number: int) -> np.ndarray:
    """Rows of `number` people, evenly spread over `count`."""
    number = min(number, count)
    return np.linspace(0, count - 1, number).round().astype(int)


def _means(errors: measures.Errors) -> dict[str, float | None]:
    """Means over people by name; None of what nobody has a label for."""
    means = {k: float(measures.mean_of(v)) for k, v in errors._asdict().items()}
    return {k: v if np.isfinite(v) else None for k, v in means.items()}


def _search_numbers(comparison: searches.Search) -> dict:
    """Means and medians over the people of a search, by start."""
    goal = comparison.before.loss[-1]
    start_s = figures.start_seconds(comparison)
    rows = []
    for number, (name, traces) in enumerate(
        zip(comparison.starts, comparison.traces, strict=True)
    ):
        to_goal = np.array(
            [
                searches.seconds_to(trace, loss)
                for trace, loss in zip(traces, goal, strict=True)
            ]
        )
        reached = np.isfinite(to_goal)
        rows.append(
            {
                "start": name,
                "ms_before": 1e3 * float(start_s[number]),
                "ms": 1e3 * float(np.median([t.seconds[-1] for t in traces])),
                "evaluations": float(np.mean([len(t.losses) for t in traces])),
                "reached_hund": int(reached.sum()),
                "ms_to_hund": (
                    1e3 * float(np.median(to_goal[reached]))
                    if reached.any()
                    else None
                ),
                "before": _means(_at(comparison.before, number)),
                "after": _means(_at(comparison.after, number)),
            }
        )
    return {
        "people": len(comparison.traces[0]),
        "detect_ms": 1e3 * comparison.detect_s,
        "stages_ms": 1e3 * comparison.stages_s,
        "starts": rows,
    }


def _at(errors: measures.Errors, number: int) -> measures.Errors:
    return measures.Errors(*(values[number] for values in errors))


def table(rows: list[tuple[str, ...]]) -> str:
    """Lines of equal columns; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        )
        for row in rows
    )


def _cells(means: dict) -> tuple[str, ...]:
    return tuple(
        "-" if means[name] is None else form.format(means[name])
        for name, (_, form) in _COLUMNS.items()
    )


def text_of(result: dict) -> str:
    """The tables of a result."""
    head = ("", *(title for title, _ in _COLUMNS.values()))
    rows = [head, ("mean pose", *_cells(result["mean_pose"]))]
    rows += [
        (f"stage {number}", *_cells(means))
        for number, means in enumerate(result["stages"])
    ]
    text = f"{result['people']} people of {result['records']}\n" + table(rows)
    if "search" not in result:
        return text
    numbers = result["search"]
    rows = [("BFGS from", "ms", "calls", "ms to HUND's", *head[1:])]
    for start in numbers["starts"]:
        to_goal = "never"
        if start["reached_hund"]:
            to_goal = f"{start['ms_to_hund']:.0f}"
        of_people = f"{to_goal} ({start['reached_hund']}/{numbers['people']})"
        rows.append(
            (
                start["start"],
                f"{start['ms']:.0f}",
                f"{start['evaluations']:.0f}",
                of_people,
                *_cells(start["after"]),
            )
        )
    last = numbers["starts"][-1]
    without_bfgs = (
        f"HUND, {last['start']}",
        f"{numbers['stages_ms']:.1f}",
        "",
        "",
    )
    rows.append((*without_bfgs, *_cells(last["before"])))
    return (
        f"{text}\n\n{numbers['people']} people, one at a time; detector "
        f"{numbers['detect_ms']:.1f} ms\n{table(rows)}"
    )
