"""The code in the documentation's pages, by the file that it is said to be."""

import contextlib
import pathlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.support.paths import ROOT

_BLOCK = re.compile(
    r'^```python title="([^"]+)"\n(.*?)^```', re.DOTALL | re.MULTILINE
)


def blocks(page: str) -> dict[str, str]:
    """Code of a page of docs/ by path in the repository."""
    matches = _BLOCK.findall((ROOT / "docs" / page).read_text())
    code = dict(matches)
    assert len(code) == len(matches), f"{page} shows one file twice"
    return code


@contextlib.contextmanager
def added(
    page: str, packages: tuple[ModuleType, ...], folder: pathlib.Path
) -> Iterator[None]:
    """The page's new files of some packages lie in them as long as it lasts.

    Args:
        page: the page.
        packages: whose files are added.
        folder: to write them to; it counts as more places of the packages.
    """
    for path, code in blocks(page).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        for package in packages:
            package_folder = folder.joinpath(*package.__name__.split("."))
            patch.setattr(
                package, "__path__", [*package.__path__, str(package_folder)]
            )
        yield
