"""The section of the claims that papers make outside their tables."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_hmr.formats import listing
from training.claims import decisions, rules
from training.evaluation import result_files
from training.report import results
from training.report.document import (
    Block,
    Entry,
    Figure,
    Grid,
    Heading,
    Line,
    Text,
)

# More columns do not fit a page; the JSON has all of them.
MAX_COLUMNS = 8


def read(folders: Sequence[Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The claims measured in some folders, by name; the latest counts.

    Raises:
        ValueError: a file in a `claims` folder is not a measured claim.
    """
    paths = {
        path
        for folder in folders
        for path in listing.files(folder, "**/claims/*.json")
    }
    measured = {}
    for path in sorted(paths, key=lambda path: path.stat().st_mtime):
        try:
            content = json.loads(path.read_text("utf-8"))
            # As _claim does: what cannot be judged is named here.
            rules.judge(content)
            measured[content["id"]] = (path, content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is not a measured claim ({error!r}). Remove it, or "
                "measure again with `python -m training.claims`."
            ) from error
    return measured


def blocks(folders: Sequence[Path]) -> Iterator[Block]:
    """The section of the claims: a list, then details of measured ones."""
    measured = read(folders)
    yield Heading(2, "Claims", "claims")
    yield Text(
        "What the papers say beside their tables, tried with small networks "
        "on rendered people. Only order, ratio and mechanism count here; "
        "absolute millimetres belong to the papers' data. A claim is decided "
        "by the 95 % interval of the differences, paired by seed, of at least "
        f"{decisions.MIN_SEEDS} seeds: it agrees if the interval is above the "
        "smallest difference of interest and is contradicted if it is below. "
        "Networks that do not beat the constant mean pose decide nothing."
    )
    yield _list(measured)
    for name, (path, content) in sorted(measured.items()):
        yield from _claim(name, path, content)


def _list(measured: Mapping[str, tuple[Path, dict]]) -> Grid:
    head = [Entry("claim", "label")]
    head += [Entry(text, "words") for text in ("says", "source", "state")]
    lines = []
    contents = {name: content for name, (_, content) in measured.items()}
    for name in dict.fromkeys([*rules.CLAIMS, *sorted(contents)]):
        claim, content = rules.CLAIMS.get(name), contents.get(name)
        state = rules.judge(content).state if content else "not run"
        statement = content["claim"] if content else claim.text
        source = content["source"] if content else claim.source
        entries = [Entry(name, "label")]
        entries += [Entry(text, "words") for text in (statement, source)]
        cost = rules.cost(claim) if claim and not content else ""
        text = f"{state}: {cost}" if cost else state
        entries.append(Entry(text, f"words {state.replace(' ', '-')}"))
        lines.append(Line(tuple(entries), "paper" if content else "context"))
    return Grid((tuple(head),), tuple(lines))


def _claim(name: str, path: Path, content: dict[str, Any]) -> Iterator[Block]:
    state, sentences = rules.judge(content)
    yield Heading(3, f"{name}: {state}", f"claim-{name}", content["source"])
    statement = content["claim"]
    yield Text(f"{statement[:1].upper()}{statement[1:]}.")
    if content.get("paper"):
        yield Text(f"In the paper: {content['paper']}.", "small")
    yield Text(f"SYNTHETIC, measured: {'; '.join(sentences)}.")
    yield _grid(name, content["configurations"], content.get("constants", {}))
    commit = content.get("environment", {}).get("commit", "not known")
    command = content.get("command") or f"python -m training.claims {name}"
    yield Text(
        f"{content['size']}; {content['cost_s'] / 60:.0f} minutes of "
        f"training; commit {commit}; `{command}`",
        "small",
    )
    for plot in content.get("plots", ()):
        figure = result_files.inside(path.parent, str(plot))
        if figure:
            yield Figure(figure, f"SYNTHETIC, {name}.")


def _grid(
    name: str,
    configurations: Mapping[str, dict],
    constants: Mapping[str, float],
) -> Grid:
    """Mean and spread over the seeds, and the constant that must be beaten.

    The errors that judge come first, then the compared metrics.
    """
    claim = rules.CLAIMS.get(name)
    comparisons = claim.comparisons if claim else ()
    compared_metrics = [metric for c in comparisons for _, metric in (c.a, c.b)]
    metrics = {name: c["metrics"] for name, c in configurations.items()}
    measured = [key for values in metrics.values() for key in values]
    keys = [key for key in compared_metrics if key in measured]
    judging = [key for key in rules.CONSTANTS if key in measured]
    keys = list(dict.fromkeys([*judging, *keys, *measured]))[:MAX_COLUMNS]
    head = [Entry("configuration", "label"), Entry("seeds")]
    head += [Entry(results.title(key)) for key in keys]
    lines = []
    for configuration, values in metrics.items():
        seeds = configurations[configuration]["seeds"]
        row = [Entry(configuration, "label"), Entry(str(len(seeds)))]
        row += [_spread(values.get(key, ())) for key in keys]
        lines.append(Line(tuple(row), "paper"))
    lines.append(_constant_line(keys, constants))
    return Grid((tuple(head),), tuple(lines))


def _constant_line(keys: Sequence[str], constants) -> Line:
    row = [Entry("always the mean pose", "label"), Entry()]
    for key in keys:
        is_known = key in constants or key in rules.CONSTANTS
        value = rules.constant_of(key, constants) if is_known else None
        row.append(Entry(results.format_metric(value) if is_known else ""))
    return Line(tuple(row), "context")


def _spread(values: Sequence[float]) -> Entry:
    """The mean and standard deviation over the seeds."""
    if not values:
        return Entry()
    mean = results.format_metric(statistics.fmean(values))
    if min(values) == max(values):
        return Entry(mean)
    spread = results.format_metric(statistics.stdev(values))
    return Entry(mean, aside=f"± {spread}")
