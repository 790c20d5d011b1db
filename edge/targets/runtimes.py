"""Installs other runtimes for .tflite files: of old boards and of aarch64.

    python -m edge.targets.runtimes tflite-runtime
    python -m edge.targets.runtimes aarch64

The first is TensorFlow's last small runtime, tflite-runtime 2.14 of 2023 with
numpy 1 and OpenCV 4, in an environment of its own. The second is Debian's
Python for aarch64 with the wheels that a Jetson installs, run by qemu, which
translates the processor's instructions: exact, but slow.
"""

import argparse
import importlib.metadata
import os
import sys

from edge.targets import debian

OLD = debian.BUILD / "tflite-runtime"
OLD_PACKAGES = ["tflite-runtime==2.14.*", "numpy<2", "opencv-python-headless<5"]
OLD_PYTHONS = ("3.11", "3.10", "3.9", "3.8")
"""Python versions that tflite-runtime 2.14 has wheels for."""

ARM = debian.BUILD / "aarch64"
ARM_PACKAGES = ("ai-edge-litert", "numpy", "opencv-python-headless")
"""Installed in the versions of this environment."""
ARM_PYTHON = "3.11"
"""Version of Python in bookworm."""
# LiteRT's interpreter crashes in bookworm's own qemu 7.
QEMU = "qemu-user/bookworm-backports"


def old_command() -> list[str]:
    """Command of a Python with tflite-runtime, from `make_old`."""
    return [str(OLD / "bin" / "python")]


def arm_command() -> list[str]:
    """Command of a Python for aarch64 with LiteRT, from `make_arm`."""
    return [
        str(ARM / "usr" / "bin" / "qemu-aarch64"),
        "-L",
        str(ARM / "root"),
        "-E",
        f"PYTHONPATH={ARM / 'site'}{os.pathsep}{debian.ROOT}",
        str(ARM / "root" / "usr" / "bin" / f"python{ARM_PYTHON}"),
    ]


def make_old() -> None:
    """Installs tflite-runtime in an environment of its own.

    Raises:
        ValueError: a Python or a package is missing; names it.
    """
    python = _python()
    print(f"Installing tflite-runtime 2.14 for {python}", flush=True)
    debian.run([python, "-m", "venv", "--clear", OLD])
    pip = [*old_command(), "-m", "pip", "install", "--quiet"]
    debian.run([*pip, "--only-binary=:all:", *OLD_PACKAGES])


def make_arm() -> None:
    """Makes a root folder of aarch64, and fetches qemu.

    Raises:
        ValueError: a package is missing; names it.
    """
    print("Fetching qemu (63 MB)", flush=True)
    (qemu,) = (
        package
        for package in debian.fetch([QEMU])
        if package.name.startswith("qemu-user_")
    )
    debian.unpack(qemu, ARM, member="./usr/bin/qemu-aarch64")
    print("Fetching Debian's Python for aarch64 (16 MB)", flush=True)
    names = [f"python{ARM_PYTHON}", "libstdc++6"]
    for package in debian.fetch(names, "arm64"):
        debian.unpack(package, ARM / "root")
    print("Fetching LiteRT and OpenCV for aarch64 (70 MB)", flush=True)
    platforms = [
        f"--platform=manylinux{kind}_aarch64"
        for kind in ("_2_28", "_2_27", "_2_17", "2014")
    ]
    versions = [
        f"{name}=={importlib.metadata.version(name)}" for name in ARM_PACKAGES
    ]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
    target = ["--target", ARM / "site", "--only-binary=:all:"]
    python = ["--python-version", ARM_PYTHON]
    debian.run([*pip, *target, *python, *platforms, *versions])


def _python() -> str:
    """Name of a Python that tflite-runtime 2.14 has wheels for."""
    print_version = (
        "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"
    )
    for name in (sys.executable, *(f"python{v}" for v in OLD_PYTHONS)):
        try:
            if debian.run([name, "-c", print_version]).strip() in OLD_PYTHONS:
                return name
        except ValueError:
            continue
    raise ValueError(
        "tflite-runtime 2.14 needs a Python of "
        f"{', '.join(OLD_PYTHONS)} with venv and pip; found none. Install one."
    )


MAKERS = {"tflite-runtime": (OLD, make_old), "aarch64": (ARM, make_arm)}


def main(arguments: list[str] | None = None) -> int:
    """Makes the named runtimes that are missing; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runtimes", nargs="+", choices=sorted(MAKERS))
    for word in parser.parse_args(arguments).runtimes:
        folder, make = MAKERS[word]
        finished_mark = folder / "done"
        if finished_mark.is_file():
            continue
        try:
            make()
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        finished_mark.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
