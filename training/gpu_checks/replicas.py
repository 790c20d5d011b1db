"""Two replicas against one device: the same losses and gradients.

The replicas are the cards there are, or two logical devices of one card. A
control with a planted error must differ: the gradient of the second replica is
doubled before the sum.
"""

import tensorflow as tf

from training.engine import devices
from training.engine import step as steps
from training.gpu_checks import comparison, networks, step_agreement

LATER_STEPS = 2


class DoubledStep(steps.Step):
    """A step with an error: the second replica's gradients count twice."""

    def _gradients(self, tape, totals, scales):
        gradients = super()._gradients(tape, totals, scales)
        context = tf.distribute.get_replica_context()
        second = tf.equal(context.replica_id_in_sync_group, 1)
        factor = 1.0 + tf.cast(second, tf.float32)
        return tf.nest.map_structure(lambda g: factor * g, gradients)


def compare(
    device_flag: str, network: networks.Network, batch_size: int
) -> list[comparison.Row]:
    """Compares one network's steps, in this process.

    Args:
        device_flag: devices as in training.fit; a single one is taken as two.
        network: the network.
        batch_size: images of a step over all replicas.

    Raises:
        ValueError: the batch does not divide among the replicas.
    """
    strategy = devices.replicated(device_flag)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    names = step_agreement.device_names(strategy)
    single = _steps(
        tf.distribute.OneDeviceStrategy(names[0]),
        network,
        batch_size,
        1 + LATER_STEPS,
    )
    mirrored = _steps(
        strategy, network, batch_size, 1 + LATER_STEPS, single.weights
    )
    control = _steps(
        strategy, network, batch_size, 1, single.weights, DoubledStep
    )
    first = (single.values[0], single.gradients)
    title = f"{network.label}: {len(names)} replicas"
    return [
        comparison.compare(
            f"{title}, first step",
            "replicas",
            (mirrored.values[0], mirrored.gradients),
            first,
        ),
        comparison.Row(
            f"{title}, their copies of the weights",
            values=mirrored.drift,
            gradients=0.0,
            worst="",
            tolerance="copies",
        ),
        *(
            comparison.compare(
                f"{title}, step {number + 2}",
                "later",
                (mirrored.values[number + 1], {}),
                (single.values[number + 1], {}),
            )
            for number in range(LATER_STEPS)
        ),
        comparison.compare(
            f"{title}, one gradient doubled (control)",
            "replicas",
            (control.values[0], control.gradients),
            first,
            expected_different=True,
        ),
    ]


def _steps(
    strategy: tf.distribute.Strategy,
    network: networks.Network,
    batch_size: int,
    count: int,
    weights=None,
    kind: type[steps.Step] = steps.Step,
) -> networks.Outcome:
    return networks.take_steps(
        strategy, network, "float32", True, batch_size, count, weights, kind
    )
