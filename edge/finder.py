"""Writes the folder with which a device finds and follows everybody.

    python -m edge.finder find
    python -m edge.run film.mp4 --find find --out out
    python -m edge.run 0 --find find --serve 8000

The folder goes to the device with edge/run.py. It holds finder.zip (the code,
of Python's standard library, numpy, OpenCV and LiteRT, from Python 3.8 on), the
networks that find people and their landmarks (`python -m tf_hmr.landmark_files`
gets them), and the lifter with its card and mesh.
"""

import ast
import dataclasses
import importlib.util
import logging
import sys
import zipfile
from pathlib import Path

import tyro

from edge import export, finding
from tf_hmr import landmark_files
from tf_hmr.formats import atomic

CODE = "finder.zip"

_ROOTS = ("tf_hmr", "edge")
_NOTICE = """\
finder.zip, lifter.tflite: tf_hmr, Apache-2.0; lifter.card.json names the
licence of its body.
networks: BlazePose and detectors of MediaPipe, Google, Apache-2.0.
"""
_FUTURE = "from __future__ import annotations\n"
_LIFTER_CROPS = 16  # People that its file is compared with Keras on.

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    out: tyro.conf.Positional[Path]
    """The folder to write; made if missing."""
    precision: str = "float16"
    """Of the lifter, as of edge.export."""


def modules(name: str = "edge.finding") -> dict[str, Path]:
    """Source files of a module and of all of ours that it imports, by name.

    Args:
        name: of the module, with its packages.
    """
    sources: dict[str, Path] = {}
    names = [name]
    while names:
        name = names.pop()
        if name in sources:
            continue
        sources[name] = Path(importlib.util.find_spec(name).origin)
        words = name.split(".")
        names += [".".join(words[:count]) for count in range(1, len(words))]
        # The roots' __init__ is zipped empty, so its imports do not count.
        if name not in _ROOTS:
            names += _imported(sources[name].read_text(encoding="utf-8"))
    return sources


def _imported(source: str) -> list[str]:
    """Names of our modules that a source text imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [
        name
        for name in names
        if name.split(".")[0] in _ROOTS and importlib.util.find_spec(name)
    ]


def for_python_3_8(source: str) -> str:
    """A source text without evaluated annotations and zip's `strict`.

    Raises:
        SyntaxError: it needs a newer Python.
    """
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    has_docstring = ast.get_docstring(tree, clean=False) is not None
    lines.insert(tree.body[0].end_lineno if has_docstring else 0, _FUTURE)
    # Python 3.8's zip() has no `strict`; tests check the lengths.
    text = "".join(lines).replace(", strict=True)", ")")
    ast.parse(text, feature_version=(3, 8))
    return text


def write_code(path: Path) -> None:
    """Writes finder.zip.

    Raises:
        OSError: it cannot be written.
    """
    with atomic.replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name, source in sorted(modules().items()):
            text = source.read_text(encoding="utf-8")
            is_package = source.name == "__init__.py"
            inner = name.replace(".", "/") + ("/__init__" * is_package)
            text = "" if name in _ROOTS else for_python_3_8(text)
            # Of one date, so that the same code is the same file.
            archive.writestr(zipfile.ZipInfo(f"{inner}.py"), text)


def write(args: Args) -> None:
    """Writes the folder.

    Raises:
        FileNotFoundError, ValueError: a network is missing or damaged, or a
            package that the export needs; says how to get it.
        OSError: a file cannot be written.
    """
    lifter = export.Args(
        landmark_files.LIFTER,
        args.out / finding.LIFTER,
        precision=args.precision,
        crops=_LIFTER_CROPS,
    )
    networks = list(landmark_files.OF_WHEEL)
    if landmark_files.is_valid(landmark_files.PERSONS):
        networks.append(landmark_files.PERSONS)
    contents = {file.name: landmark_files.read(file) for file in networks}
    export.check_args(lifter)
    (args.out / finding.NETWORKS).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with atomic.replacing(args.out / finding.NETWORKS / name) as part:
            part.write_bytes(content)
    write_code(args.out / CODE)
    (args.out / "NOTICE.txt").write_text(_NOTICE, encoding="utf-8")
    # Not at the top: it imports TensorFlow.
    from edge.tasks import export as task

    task.export(lifter)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        write(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print(f"{args.out}: copy it to the device, with edge/run.py")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.finder", description=__doc__))
    )
