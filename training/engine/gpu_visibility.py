"""What TensorFlow sees of this machine's GPUs, and the cure where it is blind.

The driver and the cards are read from files, so that they are named even
where TensorFlow does not see them. Linux and NVIDIA only; elsewhere the files
are missing, and no card is found.
"""

import ctypes
import dataclasses
import importlib.metadata
import os
import re
from pathlib import Path

import tensorflow as tf

# First Linux driver for a major version of CUDA (NVIDIA, CUDA Compatibility:
# minor version compatibility; CUDA Toolkit Release Notes, table 2).
LEAST_DRIVER = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI's numbers
_VERSION = re.compile(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Cards, driver and libraries of a machine."""

    cards: tuple[str, ...] = ()
    """Names of NVIDIA's cards; their PCI addresses where no driver is
    loaded, which knows the names."""
    driver: str = ""
    """Version of the loaded driver; empty without one."""
    opened: bool = False
    """Whether this process may open the driver's devices."""
    visible: str | None = None
    """CUDA_VISIBLE_DEVICES; None where it is not set."""
    cuda: str = ""
    """CUDA that TensorFlow was built with; empty if without."""
    cudnn: str = ""
    """cuDNN that TensorFlow was built with."""
    installed_cudnn: str = ""
    """Version of the package nvidia-cudnn-cu*; empty if there is none."""
    libraries: bool = False
    """Whether CUDA's runtime library loads."""
    seen: tuple[str, ...] = ()
    """Names of the GPUs that TensorFlow sees, with compute capability."""


def read(root: Path = Path("/")) -> Machine:
    """Reads this machine; starts CUDA in this process.

    Args:
        root: of the file system.
    """
    build = tf.sysconfig.get_build_info()
    cuda = str(build.get("cuda_version", ""))
    return Machine(
        cards=_cards(root),
        driver=_driver(root),
        opened=_opened(root),
        visible=os.environ.get(VISIBLE),
        cuda=cuda,
        cudnn=str(build.get("cudnn_version", "")),
        installed_cudnn=_installed_cudnn(),
        libraries=_loads_runtime(cuda),
        seen=_seen(),
    )


def cure(machine: Machine) -> str:
    """The one line that makes a card visible; empty if nothing is wrong.

    Returns:
        Empty also where the machine has no card.
    """
    if machine.seen or not (machine.cards or machine.driver):
        return ""
    if machine.visible is not None and machine.visible.strip() in ("", "-1"):
        return (
            f"{VISIBLE} is {machine.visible!r}, which hides every GPU: unset "
            f"{VISIBLE}"
        )
    if not machine.cuda:
        return (
            "this TensorFlow is built without CUDA: pip uninstall "
            "tensorflow-cpu, then pip install 'tensorflow[and-cuda]'"
        )
    least = _least_driver(machine)
    if not machine.driver:
        return (
            f"{machine.cards[0]} has no NVIDIA driver: install {least} or "
            f"later, which CUDA {machine.cuda} needs"
        )
    if too_old(machine):
        return (
            f"NVIDIA's driver {machine.driver} is too old for CUDA "
            f"{machine.cuda}: install {least} or later"
        )
    if not machine.opened:
        return (
            "this process may not open /dev/nvidiactl: start its container "
            "with --gpus all, or join the group that owns the device"
        )
    if not machine.libraries:
        return (
            f"CUDA {machine.cuda}'s libraries do not load: pip install "
            f"'tensorflow[and-cuda]=={tf.__version__}'"
        )
    return (
        "TensorFlow names the library that it misses when it starts: "
        "TF_CPP_MIN_LOG_LEVEL=0 python -c 'import tensorflow as tf; "
        'tf.config.list_physical_devices("GPU")\''
    )


def too_old(machine: Machine) -> bool:
    """Whether the loaded driver is older than TensorFlow's CUDA needs."""
    if not machine.driver or not machine.cuda:
        return False
    return _numbers(machine.driver) < _numbers(_least_driver(machine))


def facts(machine: Machine) -> dict[str, str]:
    """What a report says of the machine, by name."""
    installed = f", {machine.installed_cudnn} installed"
    return {
        "GPUs that TensorFlow sees": "; ".join(machine.seen) or "none",
        "NVIDIA cards": "; ".join(machine.cards) or "none",
        "driver": machine.driver or "none",
        "CUDA of TensorFlow": machine.cuda or "none",
        "cuDNN of TensorFlow": (machine.cudnn or "none")
        + (installed if machine.installed_cudnn else ""),
    }


def _least_driver(machine: Machine) -> str:
    """The oldest driver for TensorFlow's CUDA; 0 where that is not known."""
    return LEAST_DRIVER.get(int(machine.cuda.split(".")[0]), "0")


def _cards(root: Path) -> tuple[str, ...]:
    models = []
    for path in sorted(
        (root / "proc/driver/nvidia/gpus").glob("*/information")
    ):
        name = re.search(r"^Model:\s*(.+)$", path.read_text(), re.MULTILINE)
        models.append(name[1].strip() if name else path.parent.name)
    if models:
        return tuple(models)
    return tuple(
        f"the NVIDIA card at PCI {path.name}"
        for path in sorted((root / "sys/bus/pci/devices").glob("*"))
        if _line(path / "vendor") == _NVIDIA
        and _line(path / "class").startswith(_DISPLAY)
    )


def _driver(root: Path) -> str:
    line = _line(root / "proc/driver/nvidia/version")
    version = _VERSION.search(f"{line} ")
    return version[1] if version else ""


def _opened(root: Path) -> bool:
    return os.access(root / "dev/nvidiactl", os.R_OK | os.W_OK)


def _line(path: Path) -> str:
    """The first line of a file; empty if it cannot be read."""
    try:
        return path.read_text().partition("\n")[0].strip()
    except OSError:
        return ""


def _installed_cudnn() -> str:
    for major in sorted(LEAST_DRIVER, reverse=True):
        try:
            return importlib.metadata.version(f"nvidia-cudnn-cu{major}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _loads_runtime(cuda: str) -> bool:
    """Whether CUDA's runtime is a package of pip's, or of the system."""
    major = cuda.split(".")[0]
    try:
        importlib.metadata.version(f"nvidia-cuda-runtime-cu{major}")
    except importlib.metadata.PackageNotFoundError:
        try:
            ctypes.CDLL(f"libcudart.so.{major}")
        except OSError:
            return False
    return True


def _seen() -> tuple[str, ...]:
    names = []
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        name = details.get("device_name") or gpu.name
        if capability := details.get("compute_capability"):
            numbers = ".".join(map(str, capability))
            name += f" (compute capability {numbers})"
        names.append(name)
    return tuple(names)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in version.split("."))
