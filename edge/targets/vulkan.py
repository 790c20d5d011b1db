"""A GPU of software: Mesa's Vulkan driver for the CPU, in a folder.

    python -m edge.targets.vulkan

It computes what a GPU computes, from the same shaders, at a CPU's pace: it
shows whether LiteRT's GPU accelerator takes a file and what it makes of it,
not how fast. `environment()` makes a process see it.
"""

import ctypes.util
import json
import os
import sys

from edge.targets import debian

# Mesa 22, of bookworm itself, is too old for LiteRT: it finds no adapter.
PACKAGES = [
    "mesa-vulkan-drivers/bookworm-backports",
    "libdrm2/bookworm-backports",
    "libdrm-amdgpu1/bookworm-backports",
    "libvulkan1",
]
FOLDER = debian.BUILD / "vulkan"
_DRIVER = "libvulkan_lvp.so"


def environment() -> dict[str, str] | None:
    """What a process needs in its environment to see a Vulkan driver.

    The driver in FOLDER where it was made, or else this system's own; None
    where there is neither.
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
    """Fills FOLDER, if it is not there yet.

    Raises:
        ValueError: says what could not be had.
    """
    if (FOLDER / "driver.json").is_file():
        print(f"{FOLDER} is there")
        return
    print("Fetching Mesa's software Vulkan (60 MB)", flush=True)
    asked = {name.split("/")[0] for name in PACKAGES}
    for package in debian.fetch(PACKAGES):
        name = package.name.split("_")[0]
        if name != "libc6":  # A process has one C library: the host's.
            kind = "ours" if name in asked else "others"
            debian.unpack(package, FOLDER / kind)
    _link()
    (driver,) = (FOLDER / "ours").rglob(_DRIVER)
    content = {"library_path": str(driver), "api_version": "1.4.305"}
    text = json.dumps({"file_format_version": "1.0.0", "ICD": content})
    (FOLDER / "driver.json").write_text(text)
    print(f"Made {FOLDER}")


def _link() -> None:
    """Libraries of FOLDER/lib: those asked for, and what the host lacks.

    The host's own go first, or its programs would load older ones of ours.
    """
    libraries = FOLDER / "lib"
    libraries.mkdir(exist_ok=True)
    known = debian.run(["ldconfig", "-p"])
    host = {line.split()[0] for line in known.splitlines() if "=>" in line}
    for kind in ("ours", "others"):
        for path in sorted((FOLDER / kind).glob("**/lib/*-linux-gnu/*.so*")):
            if kind == "ours" or path.name not in host:
                link = libraries / path.name
                link.unlink(missing_ok=True)
                link.symlink_to(os.path.relpath(path, libraries))


def main() -> int:
    """Runs the command; returns its exit status."""
    try:
        make()
    except ValueError as error:
        elsewhere = ", ".join(name.split("/")[0] for name in PACKAGES)
        print(
            f"{error} Without apt-get: install your system's Vulkan loader "
            "and Mesa's software driver, 23 or later (in Debian bookworm's "
            f"backports: {elsewhere}); the tests find them.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
