r"""Looks for the faults in records that broke others' training.

    python -m training.doctor data/coco
    python -m training.doctor data/h36m --split train --images --json found.json

Says which share of the records shows each fault, with the worst example and
what it mostly comes from. The worst are drawn in RECORDS/SPLIT.doctor.png: box
and keypoints beside the 3D joints seen from the person's side. The exit status
is 1 where a fault's share is above --limit, and 0 otherwise.
"""

import dataclasses
import json
import sys
from pathlib import Path

import tqdm
import tyro

from training.data.checks import examination, faults
from training.data.readers import label_sheet
from training.data.records import records_folder, shards
from training.engine import exit_status


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of `training.doctor`."""

    records: tyro.conf.Positional[Path]
    """A records folder."""
    split: str = ""
    """One of its splits; default: all of them."""
    limit: float = 0.01
    """Share of the records that may show a fault."""
    images: bool = False
    """Decode every picture as well, at some hundred records a second."""
    json: Path | None = None
    """File to write the findings to."""
    sheet: Path | None = None
    """Picture of the worst examples; default: RECORDS/SPLIT.doctor.png."""


def run(args: Args) -> bool:
    """Examines, prints, writes; whether every share is within the limit.

    Raises:
        FileNotFoundError: no records, or no such split.
        ValueError: they are damaged, or the limit is no share.
    """
    if not 0 <= args.limit <= 1:
        raise ValueError(
            f"--limit is {args.limit:g}, expected a share from 0 to 1."
        )
    splits = [args.split]
    if not args.split:
        splits = sorted(records_folder.read_report(args.records)["splits"])
    told = {}
    for split in splits:
        stored = shards.Records(args.records, split)
        findings = _examined(stored, split, args.images)
        told[split] = _told(findings, len(stored))
        print(table(split, len(stored), told[split]))
        path = args.sheet or args.records / f"{split}.doctor.png"
        if args.sheet and len(splits) > 1:
            path = path.with_stem(f"{path.stem}.{split}")
        if _draw(path, stored, findings):
            print(f"The worst examples are shown in {path}")
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    shares = [each["share"] for found in told.values() for each in found]
    return max(shares) <= args.limit


def _examined(
    stored: shards.Records, split: str, images: bool
) -> dict[str, examination.Finding]:
    examined = examination.Examination(stored, images)
    bar = tqdm.tqdm(total=len(stored), desc=split, unit="rec", disable=None)
    with bar:
        for count in examined.run():
            bar.update(count)
    return examined.findings


def _told(findings: dict[str, examination.Finding], count: int) -> list[dict]:
    """One dict per fault, the most frequent first."""
    told = [
        {
            "fault": name,
            "share": found.records / count,
            "records": found.records,
            "checked": found.checked,
            "worst": [example_id for *_, example_id in found.worst],
            "look": faults.LOOK[name],
        }
        for name, found in findings.items()
    ]
    return sorted(told, key=lambda each: -each["share"])


def table(split: str, count: int, told: list[dict]) -> str:
    """The findings of a split as text; faults that nobody shows in one line."""
    lines = [f"{split}: {count} records"]
    for each in told:
        if each["records"]:
            lines.append(
                f"{each['share']:8.2%}  {each['fault']}: {each['look']}.\n"
                f"{'':10}{each['records']} of {each['checked']} that could "
                f"show it, the worst is {each['worst'][0]}"
            )
    unseen = [each for each in told if not each["records"]]
    for title, some in (
        ("none", [each for each in unseen if each["checked"]]),
        ("no labels for", [each for each in unseen if not each["checked"]]),
    ):
        if some:
            names = "; ".join(each["fault"] for each in some)
            lines.append(f"{title:>8}  {names}")
    return "\n".join(lines)


def _draw(
    path: Path,
    stored: shards.Records,
    findings: dict[str, examination.Finding],
) -> bool:
    """Draws the worst examples; False where there is nothing to draw."""
    examples = []
    for fault, found in findings.items():
        if fault == faults.DAMAGED:
            continue
        for _, number, example_id in found.worst:
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
