"""Fetches a software GPU: Mesa's Vulkan driver for the CPU, in a folder.

    python -m edge.targets.vulkan

It runs the same shaders as a GPU, at the speed of a CPU: it shows whether
LiteRT's GPU accelerator accepts a file and what it computes, not how fast.
`environment()` makes the driver visible to a process.
"""

import argparse
import ctypes.util
import json
import os
import sys

from edge.targets import debian

# LiteRT finds no adapter with bookworm's own Mesa 22.
PACKAGES = [
    "mesa-vulkan-drivers/bookworm-backports",
    "libdrm2/bookworm-backports",
    "libdrm-amdgpu1/bookworm-backports",
    "libvulkan1",
]
FOLDER = debian.BUILD / "vulkan"
_DRIVER = "libvulkan_lvp.so"


def environment() -> dict[str, str] | None:
    """Environment variables that make a Vulkan driver visible to a process.

    The driver in FOLDER if it was made, or else this system's own; None if
    there is neither.
    """
    manifest = FOLDER / "driver.json"
    if manifest.is_file():
        return {
            "LD_LIBRARY_PATH": str(FOLDER / "lib"),
            "VK_DRIVER_FILES": str(manifest),
            "MESA_SHADER_CACHE_DIR": str(FOLDER / "shaders"),
        }
    return {} if ctypes.util.find_library("vulkan") else None


def make() -> None:
    """Fills FOLDER unless it exists.

    Raises:
        ValueError: a package is missing; names it.
    """
    if (FOLDER / "driver.json").is_file():
        print(f"{FOLDER} is there")
        return
    print("Fetching Mesa's software Vulkan (60 MB)", flush=True)
    requested = {name.split("/")[0] for name in PACKAGES}
    for package in debian.fetch(PACKAGES):
        name = package.name.split("_")[0]
        if name != "libc6":  # A process has one C library: the host's.
            kind = "ours" if name in requested else "others"
            debian.unpack(package, FOLDER / kind)
    _link()
    (driver,) = (FOLDER / "ours").rglob(_DRIVER)
    content = {"library_path": str(driver), "api_version": "1.4.305"}
    text = json.dumps({"file_format_version": "1.0.0", "ICD": content})
    (FOLDER / "driver.json").write_text(text)
    print(f"Made {FOLDER}")


def _link() -> None:
    """Links libraries into FOLDER/lib: the requested, and those the host lacks.

    Otherwise the host's own come first, or its programs would load older ones
    from here.
    """
    libraries = FOLDER / "lib"
    libraries.mkdir(exist_ok=True)
    ldconfig_output = debian.run(["ldconfig", "-p"])
    host = {
        line.split()[0] for line in ldconfig_output.splitlines() if "=>" in line
    }
    for folder in ("ours", "others"):
        for path in sorted((FOLDER / folder).glob("**/lib/*-linux-gnu/*.so*")):
            if folder == "ours" or path.name not in host:
                link = libraries / path.name
                link.unlink(missing_ok=True)
                link.symlink_to(os.path.relpath(path, libraries))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    try:
        make()
    except ValueError as error:
        packages = ", ".join(name.split("/")[0] for name in PACKAGES)
        print(
            f"{error} Without apt-get: install your system's Vulkan loader "
            "and Mesa's software driver, 23 or later (in Debian bookworm's "
            f"backports: {packages}); the tests find them.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
