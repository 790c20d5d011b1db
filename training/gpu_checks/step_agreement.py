"""One step of each method on the device against one on the CPU.

The CPU's is in float32 without XLA. The device's are in float32 without and
with XLA, in bfloat16, and on a GPU in TensorFloat-32, which TensorFlow uses for
float32 on GPUs of compute capability 8.0 and more unless it is switched off.
"""

import tensorflow as tf

from training.engine import devices
from training.gpu_checks import comparison, networks

# Label, precision, XLA, TensorFloat-32, row of the tolerances.
_VARIANTS = (
    ("float32", "float32", False, False, "float32"),
    ("float32, XLA", "float32", True, False, "float32"),
    ("bfloat16, XLA", "bfloat16", True, False, "bfloat16"),
)
_TF32 = ("TensorFloat-32, XLA", "float32", True, True, "tf32")


def compare(
    device_flag: str, network: networks.Network, batch_size: int
) -> list[comparison.Row]:
    """Compares one network's step, in this process.

    Args:
        device_flag: devices as in training.fit; the last takes the step.
        network: the network.
        batch_size: images of the step.
    """
    name = device_names(devices.strategy(device_flag))[-1]
    on_gpu = "GPU" in name
    reference = _step("CPU:0", network, *_VARIANTS[0][1:4], batch_size)
    rows = []
    for label, precision, xla, tf32, tolerance in _variants(on_gpu):
        label = f"{network.label}: {label}"
        if precision == "bfloat16" and on_gpu:
            try:
                devices.precision(precision)
            except ValueError as error:
                rows.append(comparison.skipped(label, tolerance, str(error)))
                continue
        outcome = _step(
            name, network, precision, xla, tf32, batch_size, reference.weights
        )
        rows.append(
            comparison.compare(
                label,
                tolerance,
                (outcome.values[0], outcome.gradients),
                (reference.values[0], reference.gradients),
            )
        )
    return rows


def _variants(on_gpu: bool) -> tuple:
    return (*_VARIANTS, _TF32) if on_gpu else _VARIANTS


def _step(
    name: str,
    network: networks.Network,
    precision: str,
    xla: bool,
    tf32: bool,
    batch_size: int,
    weights=None,
) -> networks.Outcome:
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    return networks.take_steps(
        tf.distribute.OneDeviceStrategy(name),
        network,
        precision,
        xla,
        batch_size,
        weights=weights,
    )


def device_names(strategy: tf.distribute.Strategy) -> list[str]:
    """Names of a strategy's devices, as "GPU:0"."""
    if type(strategy) is type(tf.distribute.get_strategy()):
        return ["CPU:0"]  # TensorFlow's default, of devices.strategy("cpu")
    return [
        name.rpartition("device:")[2]
        for name in strategy.extended.worker_devices
    ]
