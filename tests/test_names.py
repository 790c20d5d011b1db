"""Names say what a thing is: the share of those that do not, by package."""

import pytest

from tests.support import vague_names
from tests.support.paths import ROOT

MOST = 0.01


def packages() -> list[str]:
    """Every folder of modules, with what lies below it."""
    folders = [
        path.parent.relative_to(ROOT)
        for top in vague_names.PACKAGES
        for path in sorted((ROOT / top).rglob("__init__.py"))
    ]
    return [str(folder) for folder in folders]


@pytest.mark.parametrize("package", packages())
def test_few_names_are_vague(package):
    total, vague = vague_names.counted(package)
    assert vague.total() <= MOST * total, (
        f"{vague.total()} of {total} names say nothing: {dict(vague)}. Say "
        "what the thing is."
    )


def test_a_planted_name_is_found():
    source = (
        "def told(each):\n    for found in each:\n        kept_here = found"
    )
    names = list(vague_names.bound(source))
    assert [vague_names.is_vague(name) for name in names] == [True] * 4
    good = ("found_joints", "keypoints", "keep", "split", "_", "self")
    assert not any(map(vague_names.is_vague, good))
