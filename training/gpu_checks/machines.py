"""The machine that the checks run on."""

import dataclasses
import platform

import keras
import tensorflow as tf

from training.benchmarks import step as step_benchmark
from training.engine import devices, gpu_visibility


@dataclasses.dataclass(frozen=True)
class Machine:
    """What takes part in the checks, and what surrounds it."""

    gpus: tuple[str, ...]
    """Names of the GPUs that take part; empty where none does."""
    replicas: int
    """Replicas of a training step."""
    processor: str
    """Cores and name of the processor."""
    facts: dict[str, str]
    """What TensorFlow sees, with driver and libraries."""
    cure: str
    """What makes a card visible; empty if nothing is wrong."""
    versions: dict[str, str]
    """Of the software."""
    refused: dict[str, str]
    """Precisions that a device refuses, each with the reason."""


def read(device_flag: str) -> Machine:
    """Reads the machine, in this process, which then uses `where`.

    Args:
        device_flag: devices as in training.fit.

    Raises:
        ValueError: a device is not there, or its driver is too old; one line
            with the cure.
    """
    machine = gpu_visibility.read()
    replicas = devices.strategy(device_flag).num_replicas_in_sync
    gpus = ()
    if tf.config.get_visible_devices("GPU"):
        gpus = machine.seen
        numbers = device_flag.partition(":")[2]
        if numbers:
            gpus = tuple(gpus[int(number)] for number in numbers.split(","))
    return Machine(
        gpus,
        replicas,
        step_benchmark.processor_name() or platform.processor(),
        gpu_visibility.facts(machine) | {"TF32": _tf32(gpus)},
        gpu_visibility.cure(machine),
        {
            "TensorFlow": tf.__version__,
            "Keras": keras.__version__,
            "Python": platform.python_version(),
        },
        _refused_precisions(),
    )


def _refused_precisions() -> dict[str, str]:
    try:
        devices.precision("bfloat16")
    except ValueError as error:
        return {"bfloat16": str(error)}
    return {}


def _tf32(gpus: tuple[str, ...]) -> str:
    """Whether float32 is TensorFloat-32 in training.fit."""
    if not gpus:
        return "no: a CPU multiplies all bits of float32"
    if tf.config.experimental.tensor_float_32_execution_enabled():
        return "on: the body's products are rounded, too"
    return "switched off, as the body's products would be rounded, too"
