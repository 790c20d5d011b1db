r"""Damages files of every format and reads them.

    python -m tests.fuzz
    python -m tests.fuzz --only coco h36m --count 200
    python -m tests.fuzz --only coco --first 123 --count 1

A damaged file may give a good result, people counted as skipped, or an error
in one line that names it. It must not crash, hang, fill the memory, run code,
change other files or raise anything else: the exit status is then 1. The seed
and the number of a case bring it back.
"""

import collections
import dataclasses
import sys
import time
from concurrent import futures

import tqdm
import tyro

from tests.fuzz import engine
from tests.fuzz.formats import READERS
from tests.fuzz.loaders import LOADERS

FORMATS = READERS | LOADERS
TABLES = ("tests.fuzz.formats:READERS", "tests.fuzz.loaders:LOADERS")
_MOST_LINES = 3  # of the same kind


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of tests.fuzz."""

    only: tuple[str, ...] = ()
    """Some of the formats."""
    count: int = 1000
    """Damaged files of each."""
    first: int = 0
    """Number of the first one."""
    seed: int = 1
    """Of all damages."""
    workers: int = 2
    """Formats at a time."""
    verbose: bool = False
    """Show allowed outcomes, too."""


def main(args: Args) -> int:
    """0 where every outcome is allowed."""
    unknown = set(args.only) - set(FORMATS)
    if unknown:
        print(f"No formats {sorted(unknown)}; there are {sorted(FORMATS)}.")
        return 2
    names = args.only or tuple(FORMATS)
    bar = tqdm.tqdm(total=args.count * len(names), unit="file", disable=None)
    bad = 0
    with bar, futures.ThreadPoolExecutor(args.workers) as pool:
        jobs = [pool.submit(_one_format, name, args, bar) for name in names]
        for job in jobs:
            bad += job.result()
    print(f"{bad} forbidden outcomes in {len(names)} formats.")
    return 1 if bad else 0


def _one_format(name: str, args: Args, bar: tqdm.tqdm) -> int:
    numbers = range(args.first, args.first + args.count)
    cases = [engine.Case(name, number) for number in numbers]
    outcomes, start = [], time.monotonic()
    for outcome in engine.run(TABLES, cases, args.seed):
        outcomes.append(outcome)
        bar.update()
    seconds = time.monotonic() - start
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    lines = [f"{name:18} {dict(kinds)} in {seconds:.0f} s"]
    word_counts: collections.Counter = collections.Counter()
    for outcome in outcomes:
        if outcome.kind == "forbidden" or args.verbose:
            word_counts[outcome.words[:30]] += 1
            if word_counts[outcome.words[:30]] <= _MOST_LINES or args.verbose:
                lines.append(
                    f"  {outcome.case.number}: {outcome.damage}: "
                    f"{outcome.kind} {outcome.words[:300]}"
                )
    lines += [f"  {n} times {words!r}" for words, n in word_counts.items()]
    tqdm.tqdm.write("\n".join(lines))
    return kinds["forbidden"]


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, prog="python -m tests.fuzz")))
