"""Other runtimes for .tflite files: of old boards, and of other processors.

    python -m edge.targets.runtimes tflite-runtime
    python -m edge.targets.runtimes aarch64

The first is TensorFlow's last small runtime, tflite-runtime 2.14 of 2023 with
numpy 1 and OpenCV 4, in an environment of its own. The second is Debian's
Python for aarch64 with the wheels that a Jetson installs, run by qemu, which
translates the processor's instructions: right, and slow.
"""

import importlib.metadata
import os
import sys

from edge.targets import debian

OLD = debian.BUILD / "tflite-runtime"
OLD_PACKAGES = ["tflite-runtime==2.14.*", "numpy<2", "opencv-python-headless<5"]
OLD_PYTHONS = ("3.11", "3.10", "3.9", "3.8")
"""For which tflite-runtime 2.14 has wheels."""

ARM = debian.BUILD / "aarch64"
ARM_PACKAGES = ("ai-edge-litert", "numpy", "opencv-python-headless")
"""In the versions that are installed here."""
ARM_PYTHON = "3.11"
"""Bookworm's."""
# Of qemu 7, bookworm's own, LiteRT's interpreter dies.
QEMU = "qemu-user/bookworm-backports"


def old_command() -> list[str]:
    """Starts a Python with tflite-runtime; made by `make_old`."""
    return [str(OLD / "bin" / "python")]


def arm_command() -> list[str]:
    """Starts a Python for aarch64 with LiteRT; made by `make_arm`."""
    return [
        *(str(ARM / "usr" / "bin" / "qemu-aarch64"), "-L", str(ARM / "root")),
        *("-E", f"PYTHONPATH={ARM / 'site'}{os.pathsep}{debian.ROOT}"),
        str(ARM / "root" / "usr" / "bin" / f"python{ARM_PYTHON}"),
    ]


def make_old() -> None:
    """Makes the environment.

    Raises:
        ValueError: says what could not be had.
    """
    python = _python()
    print(f"Installing tflite-runtime 2.14 for {python}", flush=True)
    debian.run([python, "-m", "venv", "--clear", OLD])
    pip = [*old_command(), "-m", "pip", "install", "--quiet"]
    debian.run([*pip, "--only-binary=:all:", *OLD_PACKAGES])


def make_arm() -> None:
    """Makes a root folder of aarch64, and qemu.

    Raises:
        ValueError: says what could not be had.
    """
    print("Fetching qemu (63 MB)", flush=True)
    (qemu,) = (
        package
        for package in debian.fetch([QEMU])
        if package.name.startswith("qemu-user_")
    )
    debian.unpack(qemu, ARM, only="./usr/bin/qemu-aarch64")
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
    debian.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"),
            *("--target", ARM / "site", "--only-binary=:all:"),
            *("--python-version", ARM_PYTHON, *platforms, *versions),
        ]
    )


def _python() -> str:
    """A Python that tflite-runtime 2.14 has wheels for."""
    told = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"
    for name in (sys.executable, *(f"python{v}" for v in OLD_PYTHONS)):
        try:
            if debian.run([name, "-c", told]).strip() in OLD_PYTHONS:
                return name
        except ValueError:
            continue
    raise ValueError(
        "tflite-runtime 2.14 needs a Python of "
        f"{', '.join(OLD_PYTHONS)} with venv and pip; found none. Install one."
    )


MAKERS = {"tflite-runtime": (OLD, make_old), "aarch64": (ARM, make_arm)}


def main(words: list[str]) -> int:
    """Makes what is named and not there yet; returns the exit status."""
    for word in words:
        folder, make = MAKERS[word]
        done = folder / "done"
        if done.is_file():
            continue
        try:
            make()
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        done.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
