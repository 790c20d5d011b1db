"""Which devices a run uses."""

import contextlib
import logging
from pathlib import Path

import keras
import tensorflow as tf

from training.engine import cluster, device_names, gpu_visibility

# What x86 processors call their instructions for bfloat16 products, as
# Linux lists them.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
CPU_INFO = Path("/proc/cpuinfo")
# Compute capability of the first NVIDIA GPUs that multiply bfloat16; older ones
# multiply float16 alone.
BFLOAT16_CAPABILITY = (8, 0)
# Of each logical device of a GPU that is taken as two.
LOGICAL_GPU_MIB = 3072
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
    kind, numbers = device_names.parse(devices)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "auto":
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
    indices = numbers or list(range(len(gpus)))
    _check_seen(devices, indices, len(gpus))
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if worker.several:
        tf.config.set_visible_devices([gpus[i] for i in indices], "GPU")
        return cluster.connect(worker)
    names = [f"GPU:{i}" for i in indices]
    if len(names) == 1:
        return tf.distribute.OneDeviceStrategy(names[0])
    return tf.distribute.MirroredStrategy(names)


def replicated(devices: str = "auto") -> tf.distribute.Strategy:
    """Like `strategy`, of several replicas: one device is taken as two.

    Args:
        devices: as for `strategy`. Of one GPU two logical ones are made, with
            LOGICAL_GPU_MIB each.

    Raises:
        ValueError: as `strategy`.
    """
    kind, numbers = device_names.parse(devices)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "auto":
        kind = "gpu" if gpus else "cpu"
    if kind == "cpu" and (numbers or [1])[0] == 1:
        return strategy("cpu:2")
    indices = numbers or list(range(len(gpus)))
    if kind != "gpu" or len(indices) != 1:
        return strategy(devices)
    _check_seen(devices, indices, len(gpus))
    gpu = gpus[indices[0]]
    tf.config.set_visible_devices([gpu], "GPU")
    half = tf.config.LogicalDeviceConfiguration(memory_limit=LOGICAL_GPU_MIB)
    tf.config.set_logical_device_configuration(gpu, [half, half])
    # NCCL refuses two replicas on one card.
    return tf.distribute.MirroredStrategy(
        ["GPU:0", "GPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _check_seen(devices: str, indices: list[int], count: int) -> None:
    """Refuses GPUs that TensorFlow does not see, with the cure.

    Raises:
        ValueError: a number of `indices` is not below `count`.
    """
    if count and max(indices) < count:
        return
    cure = gpu_visibility.cure(gpu_visibility.read())
    if not cure:
        cure = (
            "Use --devices cpu; or, for NVIDIA cards on Linux, pip install "
            "'tensorflow[and-cuda]'"
        )
    raise ValueError(
        f"devices={devices!r} asks for GPUs that TensorFlow does not see; "
        f"it sees {count}. {cure[0].upper()}{cure[1:]}."
    )


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
        ValueError: "float16", or "bfloat16" on a GPU that has only float16; the
            message says why.
    """
    if requested == "float16":
        raise ValueError(
            "precision float16 is refused: it needs a loss scaled against "
            "underflow, and Keras decides on the scale from each device's own "
            "gradients, before they are summed. Several devices then get "
            "broken weights, and several workers wait for each other for "
            "ever. Use bfloat16, which needs no scale."
        )
    gpus = tf.config.get_visible_devices("GPU")
    slow_gpu = _gpu_without_bfloat16(gpus)
    if requested == "bfloat16" and slow_gpu:
        raise ValueError(
            f"precision bfloat16 is refused on {slow_gpu}: it multiplies "
            "float16 alone, which needs a loss scaled against underflow (see "
            "--precision float16), and cuDNN has no bfloat16 convolution for "
            "it. Use --precision float32."
        )
    if requested != "auto":
        return requested
    if gpus:
        capability = _capability(gpus[0]) or (0, 0)
        fast = not slow_gpu and capability >= BFLOAT16_CAPABILITY
    else:
        text = CPU_INFO.read_text() if CPU_INFO.exists() else ""
        fast = bool(BFLOAT16_FLAGS & set(text.split()))
    fast_precision = "bfloat16" if fast else "float32"
    log.info("Precision: %s.", fast_precision)
    return fast_precision


def _capability(gpu) -> tuple[int, int] | None:
    """Of an NVIDIA GPU; None of others, of which TensorFlow knows none."""
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability")


def _gpu_without_bfloat16(gpus: list) -> str:
    """The first GPU that cannot multiply bfloat16; empty if none is known."""
    for gpu in gpus:
        capability = _capability(gpu)
        if capability is not None and capability < BFLOAT16_CAPABILITY:
            details = tf.config.experimental.get_device_details(gpu)
            name = details.get("device_name") or gpu.name
            numbers = ".".join(map(str, capability))
            return f"{name} (compute capability {numbers})"
    return ""


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
