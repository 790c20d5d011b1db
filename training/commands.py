"""Runs command lines that name a module: `PROGRAM NAME --option ...`.

Each module of a package is one choice: its dataclass `Options` is the command
line, its `run(options)` does the work. There is no registry.
"""

import ast
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType


def names(package: ModuleType) -> list[str]:
    """Names of the public modules of a package, with dashes."""
    modules = pkgutil.iter_modules(package.__path__)
    return sorted(m.name.replace("_", "-") for m in modules if m.name[0] != "_")


def summary(package: ModuleType, name: str) -> str:
    """The first line of a choice's docstring; the module is not run."""
    module = f"{package.__name__}.{name.replace('-', '_')}"
    source = importlib.util.find_spec(module).loader.get_source(module)
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def main(
    package: ModuleType, program: str, arguments: Sequence[str] | None = None
) -> int:
    """Runs the module that the first word names.

    Args:
        package: the package whose modules are the choices.
        program: name of the program after `python -m`.
        arguments: arguments of the program; None: those of this process.

    Returns:
        The exit status; errors of options and data are printed as one line.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    usage = f"usage: python -m {program} NAME [--help] ...\n"
    usage += "\n".join(
        f"  {name:<14} {summary(package, name)}" for name in names(package)
    )
    if not words or words[0] in ("-h", "--help"):
        print(usage)
        return 0 if words else 2
    if words[0] not in names(package):
        print(f"{program}: there is no {words[0]!r}\n{usage}", file=sys.stderr)
        return 2
    # Not at the top: processes that a module starts import `program` again, and
    # do not need it.
    import tyro

    # Silences TensorFlow's messages on its kernels.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    name = words[0].replace("-", "_")
    module = importlib.import_module(f"{package.__name__}.{name}")
    program = f"python -m {program} {words[0]}"
    options = tyro.cli(module.Options, prog=program, args=words[1:])
    try:
        module.run(options)
    except (ValueError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0
