"""Installs the wheel and the sdist into clean environments, and uses them.

    make test-install
    python -m tests.install --pythons 3.11

By hand: each Python installs TensorFlow, some minutes and 2 GB. A Python that
the machine lacks is named and left out; if none is there, that is an error.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
PHOTO = ROOT / "docs" / "photos" / "cyclists.jpg"


def main() -> int:
    """Runs the command line; 0 if every installation works."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.install",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pythons", nargs="+", default=PYTHONS)
    flags = parser.parse_args()
    programs = {version: interpreter(version) for version in flags.pythons}
    for version, program in programs.items():
        if program is None:
            print(f"Python {version}: not on this machine, left out")
    programs = {v: p for v, p in programs.items() if p}
    if not programs:
        print("None of these Pythons is on this machine.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        packages = build(Path(folder))
        for version, program in programs.items():
            for line in check(program, packages, Path(folder) / version):
                print(f"Python {version}: {line}", flush=True)
    return 0


def interpreter(version: str) -> str | None:
    """A Python of a version like 3.12: of the PATH, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    pyenv_programs = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    for program in (
        shutil.which(f"python{version}"),
        *map(str, pyenv_programs),
    ):
        if program and not run([program, "-c", "import ensurepip, venv"], ROOT):
            return program
    return None


def build(folder: Path) -> list[Path]:
    """Builds the wheel and the sdist of the files that git knows or would."""
    source, out = folder / "source", folder / "packages"
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listing, cwd=ROOT, text=True).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    python = environment(sys.executable, folder / "builder")
    must([python, "-m", "pip", "install", "-qq", "build"], folder)
    must([python, "-m", "build", "--outdir", str(out), str(source)], folder)
    wheel, sdist = (next(out.glob(f"*.{kind}")) for kind in ("whl", "tar.gz"))
    return [wheel, sdist]


def check(program: str, packages: list[Path], folder: Path) -> Iterator[str]:
    """Installs each package into one environment; yields what was done."""
    python = environment(program, folder / "venv")
    install = [python, "-m", "pip", "install", "-qq"]
    install.append("--disable-pip-version-check")
    # Dependencies come with the first.
    for package, options in zip(
        packages, ([], ["--force-reinstall", "--no-deps"]), strict=True
    ):
        start = time.monotonic()
        must([*install, *options, str(package)], folder)
        work = folder / package.suffix.lstrip(".")
        work.mkdir()
        data = work / "data"
        prepare = ["training.prepare", "synthetic", "--count", "64"]
        for words in (
            ["tf_hmr", str(PHOTO), "--out", "out"],
            [
                *prepare,
                "--val",
                "8",
                "--size",
                "96",
                "--out",
                f"{data}/synthetic",
            ],
            ["training.fit", "quick", "--steps", "2", "--records", str(data)],
        ):
            must([python, "-m", *words], work)
        for output in (
            "out/cyclists_people.png",
            "runs/quick/best/config.json",
        ):
            if not (work / output).is_file():
                raise SystemExit(f"{package.name} did not make {output}.")
        minutes = (time.monotonic() - start) / 60
        yield f"{package.name} works ({minutes:.1f} minutes)"


def environment(program: str, folder: Path) -> str:
    """Makes a clean environment; returns its Python."""
    must([program, "-m", "venv", str(folder)], folder.parent)
    return str(folder / "bin" / "python")


def must(command: list[str], folder: Path) -> None:
    """Runs a command in a folder.

    Raises:
        SystemExit: it failed; with what it wrote.
    """
    if output := run(command, folder):
        raise SystemExit(f"Failed: {' '.join(command)}\n{output}")


def run(command: list[str], folder: Path) -> str:
    """Runs a command without this checkout; what it wrote if it failed."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return (ended.stdout or "failed") if ended.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
