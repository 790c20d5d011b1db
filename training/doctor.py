r"""Checks records for known faults that break training.

    python -m training.doctor data/coco
    python -m training.doctor data/h36m --split train --images --json found.json

Prints the share of records with each fault, its worst example and its usual
cause. The worst examples are drawn in RECORDS/SPLIT.doctor.png: box and
keypoints beside the 3D joints seen from the person's side. The exit status is
1 if the share of any fault is above --limit, and 0 otherwise.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from tf_hmr import progress
from tf_hmr.formats import atomic
from training.data.checks import faults
from training.data.records import reader_versions, records_folder, shards
from training.engine import exit_status

if TYPE_CHECKING:  # Not at run time: it imports TensorFlow.
    from training.data.checks import examination


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of `training.doctor`."""

    records: tyro.conf.Positional[Path]
    """A records folder."""
    split: str = ""
    """A split of the folder; default: all of them."""
    limit: float = 0.01
    """Largest accepted share of records with a fault."""
    images: bool = False
    """Decode every image as well, at some hundred records a second."""
    json: Path | None = None
    """File to write the findings to."""
    sheet: Path | None = None
    """Figure of the worst examples; default: RECORDS/SPLIT.doctor.png."""


def run(args: Args) -> bool:
    """Examines the records; returns whether all shares are within the limit.

    Raises:
        FileNotFoundError: no records, or no such split.
        ValueError: they are damaged, or the limit is not from 0 to 1.
    """
    if not 0 <= args.limit <= 1:
        raise ValueError(
            f"--limit is {args.limit:g}, expected a share from 0 to 1."
        )
    if warning := reader_versions.warning(args.records):
        print(warning, file=sys.stderr)
    splits = [args.split]
    if not args.split:
        splits = sorted(records_folder.read_report(args.records)["splits"])
    summaries = {}
    for split in splits:
        stored = shards.Records(args.records, split)
        findings = _examine(stored, split, args.images)
        summaries[split] = _summarise(findings, len(stored))
        print(table(split, len(stored), summaries[split]))
        path = args.sheet or args.records / f"{split}.doctor.png"
        if args.sheet and len(splits) > 1:
            path = path.with_stem(f"{path.stem}.{split}")
        if _draw(path, stored, findings):
            print(f"The worst examples are shown in {path}")
    if args.json:
        with atomic.replacing(args.json) as part:
            part.write_text(json.dumps(summaries, indent=1) + "\n")
    shares = [
        summary["share"]
        for split_summaries in summaries.values()
        for summary in split_summaries
    ]
    return max(shares) <= args.limit


def _examine(
    stored: shards.Records, split: str, images: bool
) -> dict[str, "examination.Finding"]:
    from training.data.checks import examination

    examined = examination.Examination(stored, images)
    bar = progress.bar(title=split, total=len(stored), unit="rec")
    with bar:
        for count in examined.run():
            bar.update(count)
    return examined.findings


def _summarise(
    findings: dict[str, "examination.Finding"], count: int
) -> list[dict]:
    """One dict per fault, most frequent first."""
    summaries = [
        {
            "fault": name,
            "share": finding.records / count,
            "records": finding.records,
            "checked": finding.checked,
            "worst": [example_id for *_, example_id in finding.worst],
            "look": faults.LOOK[name],
        }
        for name, finding in findings.items()
    ]
    return sorted(summaries, key=lambda summary: -summary["share"])


def table(split: str, count: int, summaries: list[dict]) -> str:
    """The findings of a split as text; faults not found share one line."""
    lines = [f"{split}: {count} records"]
    for summary in summaries:
        if summary["records"]:
            lines.append(
                f"{summary['share']:8.2%}  {summary['fault']}: "
                f"{summary['look']}.\n"
                f"{'':10}{summary['records']} of {summary['checked']} that "
                f"could show it, the worst is {summary['worst'][0]}"
            )
    not_shown = [summary for summary in summaries if not summary["records"]]
    for title, faults_in_line in (
        ("none", [summary for summary in not_shown if summary["checked"]]),
        (
            "no labels for",
            [summary for summary in not_shown if not summary["checked"]],
        ),
    ):
        if faults_in_line:
            names = "; ".join(summary["fault"] for summary in faults_in_line)
            lines.append(f"{title:>8}  {names}")
    return "\n".join(lines)


def _draw(
    path: Path,
    stored: shards.Records,
    findings: dict[str, "examination.Finding"],
) -> bool:
    """Draws the worst examples; False if there are none."""
    from training.data.checks import examination
    from training.data.readers import label_sheet

    examples = []
    for fault, finding in findings.items():
        if fault == faults.DAMAGED:
            continue
        for _, number, example_id in finding.worst:
            name = f"{fault}: {example_id}"
            example = examination.drawable(stored.read(number), name)
            if example is not None:
                examples.append(example)
    if examples:
        label_sheet.write(path, examples)
    return bool(examples)


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 above the limit, 2 where records cannot be read."""
    args = tyro.cli(
        Args,
        prog="python -m training.doctor",
        description=__doc__,
        args=arguments,
    )
    try:
        return exit_status.COMPLETE if run(args) else exit_status.FAILED
    except (ValueError, OSError) as error:
        print(f"training.doctor: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return exit_status.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
