"""Which devices a run uses."""

import contextlib
import logging
from pathlib import Path

import keras
import tensorflow as tf

from training.engine import cluster

# What x86 processors call their instructions for bfloat16 products, as
# Linux lists them.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
CPU_INFO = Path("/proc/cpuinfo")
log = logging.getLogger(__name__)


def strategy(devices: str = "auto") -> tf.distribute.Strategy:
    """The tf.distribute strategy for `devices`.

    Args:
        devices: "auto" (all GPUs, or the CPU without one), "cpu", "gpu",
            "gpu:0,2" (these GPUs), or "cpu:2" (two virtual CPU devices, to
            try what several devices do). Of this worker, where TF_CONFIG
            names several: then it waits for them.

    Raises:
        ValueError: unknown, or more GPUs than there are, or TF_CONFIG is not
            as it must be.
    """
    worker = cluster.read()
    kind, _, suffix = devices.partition(":")
    numbers = _numbers(devices, suffix)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "auto" and not suffix:
        kind = "gpu" if gpus else "cpu"
    if kind == "cpu":
        count = (numbers or [1])[0]
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        if not worker.several:
            return _cpu(count)
        if count > 1:
            raise ValueError(
                f"devices={devices!r}: a worker has one CPU device. Name more "
                "workers in TF_CONFIG instead."
            )
        return cluster.connect(worker)
    if kind != "gpu":
        raise ValueError(
            f"Unknown devices {devices!r}. Write auto, cpu, cpu:2, gpu or "
            "gpu:0,1."
        )
    indices = numbers or list(range(len(gpus)))
    if not gpus or max(indices) >= len(gpus):
        raise ValueError(
            f"devices={devices!r} asks for GPUs that TensorFlow does not see; "
            f"it sees {len(gpus)}. Use --devices cpu; or, for NVIDIA cards on "
            "Linux, pip install 'tensorflow[and-cuda]'."
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if worker.several:
        tf.config.set_visible_devices([gpus[i] for i in indices], "GPU")
        return cluster.connect(worker)
    names = [f"GPU:{i}" for i in indices]
    if len(names) == 1:
        return tf.distribute.OneDeviceStrategy(names[0])
    return tf.distribute.MirroredStrategy(names)


def _numbers(devices: str, suffix: str) -> list[int]:
    """The numbers after the colon."""
    words = suffix.split(",") if suffix else []
    lowest = 1 if devices.startswith("cpu") else 0
    if not all(word.isdigit() and int(word) >= lowest for word in words):
        raise ValueError(
            f"devices={devices!r}: after the colon come the number of CPU "
            "devices (cpu:2), or the numbers of GPUs from 0 (gpu:0,1)."
        )
    return [int(word) for word in words]


def _cpu(count: int) -> tf.distribute.Strategy:
    if count == 1:
        return tf.distribute.get_strategy()
    physical = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        physical, [tf.config.LogicalDeviceConfiguration()] * count
    )
    # The default collectives have faults on virtual CPU devices (placeholder
    # errors, aborted collectives after a second strategy).
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(count)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def precision(requested: str) -> str:
    """The precision to use: "float32" or "bfloat16".

    Args:
        requested: one of these, or "auto": bfloat16 where it is fast. Elsewhere
            it is emulated, and slower than float32.

    Raises:
        ValueError: "float16"; the message says why.
    """
    if requested == "float16":
        raise ValueError(
            "precision float16 is refused: it needs a loss scaled against "
            "underflow, and Keras decides on the scale from each device's own "
            "gradients, before they are summed. Several devices then get "
            "broken weights, and several workers wait for each other for "
            "ever. Use bfloat16, which needs no scale."
        )
    if requested != "auto":
        return requested
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        fast = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        text = CPU_INFO.read_text() if CPU_INFO.exists() else ""
        fast = bool(BFLOAT16_FLAGS & set(text.split()))
    fast_precision = "bfloat16" if fast else "float32"
    log.info("Precision: %s.", fast_precision)
    return fast_precision


@contextlib.contextmanager
def policy(precision: str):
    """Layers made within compute in `precision`; variables are float32."""
    before = keras.mixed_precision.dtype_policy()
    if precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
