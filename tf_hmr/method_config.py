"""The configuration of a method, and the methods that there are.

Apart from `tf_hmr.method`, so that what reads names and values alone starts
without TensorFlow, which a method's own module imports.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, ClassVar

from tf_hmr import config_values, retired


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every method's configuration."""

    RETIRED: ClassVar[Mapping[str, retired.Field]] = {}

    image_size: config_values.Pixels = 224
    """Side of the square input crop in pixels."""
    crop_scale: config_values.Positive = 1.2
    """Side of the crop over the longer side of the person's box."""

    @property
    def crop_m(self) -> float:
        """Side of the crop in metres, where they are known; 0: by the box."""
        return 0.0


def names() -> list[str]:
    """Names of all methods: the modules of `tf_hmr.methods`."""
    package = importlib.import_module("tf_hmr.methods")
    return sorted(
        info.name
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    )


def check_name(name: str) -> None:
    """Refuses a name that no method has.

    Raises:
        ValueError: unknown name; the message lists what there is.
    """
    if name not in names():
        raise ValueError(f"Unknown method {name!r}. There are: {names()}.")


def module(name: str):
    """Imports the module of a method, and with it TensorFlow.

    Raises:
        ValueError: as `check_name`.
    """
    check_name(name)
    return importlib.import_module(f"tf_hmr.methods.{name}")


def name_of(config: Config) -> str:
    """Name of the method that a Config belongs to."""
    return type(config).__module__.rsplit(".", 1)[-1]


def make_config(name: str, **values) -> Config:
    """The Config of a method by name, with some fields replaced.

    Raises:
        ValueError: no such method, its Config has no such field, or a value
            has no meaning there.
    """
    kind = module(name).Config
    values = retired.drop(kind, values, kind.RETIRED)
    fields = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"{name}.Config has no {unknown}. It has: {fields}.")
    tuples = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    config = kind(**tuples)
    config_values.check(config)
    return config


def migrate(name: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Translates a stored method and its Config's values to today's.

    Args:
        name: of the method, as stored in a file.
        values: fields of its Config, as stored in the file.

    Returns:
        The name and the fields; unchanged if there is no such method.

    Raises:
        ValueError: see `retired.drop`.
    """
    if name not in names():
        return name, dict(values)
    kind = module(name).Config
    for old_name, field in kind.RETIRED.items():
        for value, successor in field.successors.items():
            if values.get(old_name) == value:
                return migrate(successor, values)
    return name, retired.drop(kind, values, kind.RETIRED)
