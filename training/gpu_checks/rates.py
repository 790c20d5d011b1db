"""Images per second of training steps, and the device's own matrix rate.

A share is the multiplications and additions of a step, over those of square
matrices that the device multiplies in the same time and precision.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable

import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr import method_inputs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.methods import hmr
from training.benchmarks import step as step_benchmark
from training.engine import devices
from training.gpu_checks import networks, processes, step_agreement

# Side of the matrices: large enough that a product, not its start, is timed.
_SIDE_CPU, _SIDE_GPU = 1024, 8192
_PRODUCTS = 10
_ROUNDS = 5
# The gradients with respect to the inputs and to the weights of a layer cost
# as much as the layer.
_TRAINING_OVER_FORWARD = 3


@dataclasses.dataclass(frozen=True)
class StepRate:
    """Speed of the training step of an encoder."""

    encoder: str
    precision: str
    image_size: int
    """Side of the crops in pixels."""
    batch: int
    """Images over all replicas; 0 where none fits."""
    requested_batch: int
    """Images that were asked for."""
    images_per_s: float
    gigaflop_per_image: float
    """Multiplications and additions of a training step, 1e9."""
    memory_mib: float
    """Peak of the first GPU, or of the process."""

    @property
    def teraflop_per_s(self) -> float:
        """Rate of the step, 1e12 per second."""
        return self.images_per_s * self.gigaflop_per_image / 1e3


def matrix_rate(device_flag: str, precision: str) -> float:
    """Rate of products of square matrices on the first device, 1e12 / s.

    Args:
        device_flag: devices as in training.fit.
        precision: "float32", as TensorFlow has it on the device, or
            "bfloat16".
    """
    name = step_agreement.device_names(devices.strategy(device_flag))[0]
    side = _SIDE_GPU if "GPU" in name else _SIDE_CPU
    with tf.device(name):
        a = tf.cast(tf.random.normal((side, side), seed=1), precision)

        @tf.function
        def products(x):
            for _ in range(_PRODUCTS):
                # Rescaled, so that no number overflows.
                x = tf.matmul(a, x) * tf.cast(side**-0.5, precision)
            return tf.reduce_sum(tf.cast(x, tf.float32))

        products(a).numpy()
        seconds = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            products(a).numpy()
            seconds.append(time.perf_counter() - start)
    return 2 * side**3 * _PRODUCTS / statistics.median(seconds) / 1e12


def step_rate(
    device_flag: str,
    encoder: str,
    precision: str,
    image_size: int,
    batch: int,
    rounds: int,
) -> StepRate:
    """Times HMR's training step in this process, by the loop of training.fit.

    Args:
        device_flag: devices as in training.fit.
        encoder: name of the encoder.
        precision: of the network's layers.
        image_size: side of the crops in pixels.
        batch: images over all replicas.
        rounds: rounds of 4 steps; the median counts.

    Raises:
        ValueError: the batch does not divide among the replicas, or the device
            refuses the precision.
    """
    strategy = devices.strategy(device_flag)
    networks.check_divides(batch, strategy.num_replicas_in_sync)
    devices.precision(precision)
    case = step_benchmark.Case(
        encoder, precision, device_flag, image_size, batch
    )
    width = {"encoder_width": 16} if encoder == "small" else {}
    settings = hmr.Config(image_size=image_size, encoder=encoder, **width)
    with strategy.scope(), devices.policy(precision):
        method = methods.build(settings, Body(BodyData.load("open")))
    options = step_benchmark.Options(rounds=rounds)
    seconds = step_benchmark.loop_seconds(method, strategy, case, options)
    images = batch * step_benchmark.LOG_EVERY
    return StepRate(
        encoder,
        precision,
        image_size,
        batch,
        batch,
        images / statistics.median(seconds),
        _TRAINING_OVER_FORWARD * _forward_flop(method, image_size) / 1e9,
        step_benchmark.peak_mib(),
    )


def _forward_flop(method: methods.Method, image_size: int) -> float:
    """Multiplications and additions of the encoder and regressor, one image.

    TensorFlow counts those of convolutions and matrix products in a graph.
    """
    profiler = tf.compat.v1.profiler
    builder = profiler.ProfileOptionBuilder
    inputs = method_inputs.example(method.input_names, image_size)
    forward = tf.function(lambda x: method(x)).get_concrete_function(inputs)
    profile = profiler.profile(
        forward.graph,
        cmd="scope",
        options=builder(builder.float_operation()).with_empty_output().build(),
    )
    return float(profile.total_float_ops)


def largest_batch(
    measure: Callable[[int], StepRate], batch: int, multiple: int
) -> StepRate | None:
    """The rate of the largest batch that fits, up to one asked for.

    Halves the batch until it fits, then halves the interval to the one that did
    not; four more tries at most.

    Args:
        measure: the rate of a batch; raises NoMemoryError where it does not
            fit.
        batch: images that are asked for.
        multiple: batches are multiples of this, the number of replicas.

    Returns:
        The rate; None if not even `multiple` images fit.
    """
    too_large, rate, size = 0, None, batch
    while rate is None and size >= multiple:
        try:
            rate = measure(size)
        except processes.NoMemoryError:
            too_large, size = size, size // 2 // multiple * multiple
    for _ in range(4 if rate and too_large else 0):
        size = (rate.batch + too_large) // 2 // multiple * multiple
        if size <= rate.batch:
            break
        try:
            rate = measure(size)
        except processes.NoMemoryError:
            too_large = size
    return rate and dataclasses.replace(rate, requested_batch=batch)
