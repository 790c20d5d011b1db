"""Protocols by name: one name for each set of rules.

Every module of this package, one for each dataset, lists its protocols in
PROTOCOLS. A new module is found without being registered.
"""

import functools
import importlib
import pkgutil

from training.evaluation.protocol import Protocol


@functools.cache
def _by_name() -> dict[str, Protocol]:
    by_name: dict[str, Protocol] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for row in module.PROTOCOLS:
            if row.name in by_name:
                raise ValueError(f"Two protocols are called {row.name!r}.")
            by_name[row.name] = row
    return by_name


def names() -> list[str]:
    """Names of all protocols, sorted."""
    return sorted(_by_name())


def get(name: str) -> Protocol:
    """The protocol `name`.

    Raises:
        ValueError: unknown or ambiguous name; the message lists the choices.
    """
    if name in _by_name():
        return _by_name()[name]
    candidates = [
        candidate for candidate in names() if candidate.startswith(f"{name}_")
    ]
    if candidates:
        raise ValueError(
            f"{name!r} means different things in different papers. Choose "
            f"one of {candidates}."
        )
    raise ValueError(f"Unknown protocol {name!r}. There are: {names()}.")
