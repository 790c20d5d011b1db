"""How many names say nothing: python -m tests.support.vague_names.

A name is bound by an argument, an assignment, a loop, a with, a def or a
class. It is vague when it is one of WORDS, or those joined by underscores:
`found` and `found_here` hide what the thing is, `found_joints` does not.
"""

import ast
import collections
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = ("tf_hmr", "training", "edge", "tests")
WORDS = frozenset(
    """
    about again all alone also another apart asked away being beside both
    called carried chosen done drawn each either else every everyone
    everything far found given going gone held here into its kept known laid
    lies lost made many meant missed moved much near needed needs next now
    other others own place placed places put said seen several shown some
    spoilt such taken tell tells that theirs them there thing things this
    those told turned until upon used wanted what where which whole whom
    whose without
    """.split()
)


def bound(source: str) -> Iterator[str]:
    """Every name that a source text binds, once for each binding."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def is_vague(name: str) -> bool:
    """Whether a name consists of WORDS alone."""
    parts = [part for part in name.lower().split("_") if part]
    return bool(parts) and all(part in WORDS for part in parts)


def counted(package: str) -> tuple[int, collections.Counter]:
    """How many names a package binds, and its vague ones."""
    names = [
        name
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in bound(path.read_text())
    ]
    return len(names), collections.Counter(filter(is_vague, names))


def share(package: str) -> float:
    """The share of vague names among a package's."""
    total, vague = counted(package)
    return vague.total() / total


if __name__ == "__main__":
    for folder in sys.argv[1:] or PACKAGES:
        total, vague = counted(str(Path(folder)))
        print(f"{folder}: {vague.total() / total:.1%} of {total} names")
        print("  " + ", ".join(f"{n} {k}" for n, k in vague.most_common(15)))
