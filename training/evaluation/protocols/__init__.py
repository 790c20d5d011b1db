"""Protocols by name: one name for each set of rules.

They are the rows PROTOCOLS of the modules of this package, one for each
dataset; a new module is found by its place.
"""

import functools
import importlib
import pkgutil

from training.evaluation.protocol import Protocol


@functools.cache
def _all() -> dict[str, Protocol]:
    found: dict[str, Protocol] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for row in module.PROTOCOLS:
            if row.name in found:
                raise ValueError(f"Two protocols are called {row.name!r}.")
            found[row.name] = row
    return found


def names() -> list[str]:
    """All protocols."""
    return sorted(_all())


def get(name: str) -> Protocol:
    """The protocol `name`.

    Raises:
        ValueError: unknown, or a name that means several things; the message
            lists what there is.
    """
    if name in _all():
        return _all()[name]
    meant = [each for each in names() if each.startswith(f"{name}_")]
    if meant:
        raise ValueError(
            f"{name!r} means different things in different papers. Choose "
            f"one of {meant}."
        )
    raise ValueError(f"Unknown protocol {name!r}. There are: {names()}.")
