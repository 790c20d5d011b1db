"""Small networks of every method, their batches, and one step of them.

A step is that of training.engine.step, with its optimiser: the gradient is
read from Adam's first moment, which after one step is a tenth of the gradient
that was applied, clipped and summed over the replicas.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from training import config
from training.benchmarks import step as step_benchmark
from training.engine import devices, fit_store, loop
from training.engine import step as steps

_SMALL = {
    "encoder": "small",
    "encoder_width": 8,
    "hidden": 32,
    # Each replica draws its own masks and noise, so that two could not be one.
    "dropout": 0.0,
    "denoiser_dropout": 0.0,
    "vae_dropout": 0.0,
    "missing": 0.0,
    "noise": 0.0,
    "denoiser_noise": 0.0,
    "fits": "none",
    # Else those of HUND and SMPLR are of the papers' sizes.
    "map_channels": 16,
    "widths": (16, 16),
    "part_points": 128,
    "skin_points": 128,
    "stacks": 1,
    "bins": 4,
    "levels": 1,
    # In a narrower or deeper hourglass the noise of bfloat16 is most of the
    # gradient of single variables: 0.84 of it with half the width.
    "width": 32,
    "stem": (16, 32, 32),
}
# SMPLify in the loop, with few of its steps.
_WITH_FITS = {"fits": "improved", "fit_steps": 5}
_STAGE = config.Stage("check", 100, config.Optim(lr=1e-4, lr_adversary=1e-4))
_MOMENTUM = "_momentum"
_DECAY = 0.9  # Keras' beta_1 of Adam


@dataclasses.dataclass(frozen=True)
class Network:
    """A method with the fields that make it small."""

    label: str
    """Name in the report."""
    method: str
    """Name of the method."""
    fields: tuple[tuple[str, Any], ...]
    """Fields of its Config."""

    @property
    def config(self) -> methods.Config:
        """The Config."""
        return methods.make_config(self.method, **dict(self.fields))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a few steps gave."""

    values: list[dict[str, float]]
    """Terms, losses and norms by name, of each step."""
    gradients: dict[str, np.ndarray]
    """The gradient of the first step by variable."""
    weights: list[np.ndarray]
    """The weights before the first step."""
    drift: float
    """Largest difference between two replicas' copies of a weight, after the
    last step."""


def networks(names: tuple[str, ...], image_size: int) -> Iterator[Network]:
    """Small networks of methods; those with SMPLify in the loop twice.

    Args:
        names: of the methods; none for all there are.
        image_size: side of their crops in pixels.

    Raises:
        ValueError: there is no such method.
    """
    for name in names or methods.names():
        fields = _small_fields(name, image_size)
        yield Network(name, name, tuple(fields.items()))
        if getattr(methods.make_config(name), "fits", "none") == "improved":
            fields = tuple((fields | _WITH_FITS).items())
            yield Network(f"{name}, SMPLify in the loop", name, fields)


def _small_fields(name: str, image_size: int) -> dict[str, Any]:
    """Those of _SMALL that the method's Config has, and the size."""
    fields = dataclasses.fields(methods.make_config(name))
    existing = {field.name for field in fields}
    sizes = {
        "image_size": image_size,
        # What the encoder leaves, doubled.
        "map_side": image_size // 8,
        "part_side": image_size // 8,
    }
    small = sizes | _SMALL
    return {key: value for key, value in small.items() if key in existing}


def take_steps(
    strategy: tf.distribute.Strategy,
    network: Network,
    precision: str,
    xla: bool,
    batch_size: int,
    count: int = 1,
    weights: list[np.ndarray] | None = None,
    kind: type[steps.Step] = steps.Step,
) -> Outcome:
    """Builds a network and takes its first steps, on equal batches.

    Args:
        strategy: the devices.
        network: the network.
        precision: "float32" or "bfloat16", of its layers.
        xla: whether the body is compiled by XLA.
        batch_size: images over all replicas.
        count: steps to take.
        weights: to start from; drawn if None.
        kind: class of the steps.

    Raises:
        ValueError: the batch does not divide among the replicas.
    """
    check_divides(batch_size, strategy.num_replicas_in_sync)
    # Else layers without a name of their own are numbered on.
    keras.utils.clear_session(free_memory=False)
    model = build(strategy, network, precision, xla)
    if weights is None:
        _spread(model)
    else:
        model.set_weights(weights)
    weights = model.get_weights()
    store = fit_store.FitStore() if model.keeps_fits else None
    with strategy.scope():
        step = kind(strategy, model, _STAGE, store)
    batch = labelled_batch(network.config.image_size, batch_size)
    batches = loop.batches_from(dataset_maker(batch), 0, strategy)
    values, gradients = [], {}
    for number in range(count):
        columns, _ = step(batches, 1)
        values.append({name: float(rows[0]) for name, rows in columns.items()})
        if number == 0:
            gradients = _applied_gradients(step)
    return Outcome(values, gradients, weights, _drift(strategy, model))


def build(
    strategy: tf.distribute.Strategy,
    network: Network,
    precision: str,
    xla: bool = True,
) -> methods.Method:
    """Builds a network as training.fit does; arguments of `take_steps`."""
    keras.utils.set_random_seed(3)
    body = Body(BodyData.load("open"), jit=xla)
    with strategy.scope(), devices.policy(precision):
        model = methods.build(network.config, body)
    model.prepare_targets()
    return model


def check_divides(batch_size: int, replicas: int) -> None:
    """Refuses a batch that the replicas cannot share equally.

    Raises:
        ValueError: names a batch that they can.
    """
    if batch_size % replicas:
        raise ValueError(
            f"a batch of {batch_size} does not divide among {replicas} "
            f"devices. Choose a multiple of {replicas}."
        )


def _spread(model: methods.Method) -> None:
    """Moves every kernel off its start.

    The last layers of a new network are all but zero, and no gradient would
    reach those before them.
    """
    random = np.random.default_rng(5)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            noise = random.normal(0, 0.02, variable.shape)
            variable.assign(variable.numpy() + noise.astype(np.float32))


def labelled_batch(image_size: int, count: int) -> dict[str, np.ndarray]:
    """Random images and labels, of which one half has far fewer.

    A loss that is averaged by each replica instead of over all differs then.
    """
    case = step_benchmark.Case("", "", "", image_size, count)
    batch = step_benchmark.random_batch(case, 1)
    random = np.random.default_rng(1)
    for name in ("keypoints", "openpose"):
        points = random.uniform(-1, 1, batch[name].shape)
        points[..., 2] = points[..., 2] > 0
        batch[name] = points.astype(np.float32)
    batch["keypoints"][: count // 2 - 1, :, 2] = 0
    for flag in ("has_pose", "has_betas", "has_joints3d"):
        batch[flag][: count // 2 - 1] = 0
    return batch


def dataset_maker(
    batch: dict[str, np.ndarray], on_step=None
) -> loop.MakeDataset:
    """Batches that are a function of their step, as the loop takes them.

    Args:
        batch: the images of step 0; later ones are brighter.
        on_step: called with the number of a step before its batch is made.
    """

    def make(start, context):
        replicas = context.num_replicas_in_sync if context else 1
        parts = {
            name: tf.constant(np.stack(np.split(rows, replicas)))
            for name, rows in batch.items()
        }

        def load(number):
            step, part = number // replicas, number % replicas
            if on_step is not None:
                step = tf.numpy_function(on_step, [step], tf.int64)
                step = tf.ensure_shape(step, ())
            element = {name: rows[part] for name, rows in parts.items()}
            if "image" in element:
                # uint8: from 255 on they are dark again.
                element["image"] += tf.cast(37 * step, tf.uint8)
            return element

        return tf.data.Dataset.counter(start * replicas).map(load)

    return make


def _applied_gradients(step: steps.Step) -> dict[str, np.ndarray]:
    """The gradients by variable that the first step of Adam applied."""
    gradients = {}
    for player in step.players:
        moments = [
            variable
            for variable in player.optimizer.variables
            if variable.path.endswith(_MOMENTUM)
        ]
        pairs = zip(player.variables, moments, strict=True)
        for variable, moment in pairs:
            name = f"{player.prefix}{variable.path}"
            gradients[name] = moment.numpy() / (1 - _DECAY)
    return gradients


def _drift(strategy: tf.distribute.Strategy, model: methods.Method) -> float:
    """Largest difference between replicas' copies of a trainable weight."""
    largest = 0.0
    for variable in model.trainable_variables:
        first, *copies = strategy.experimental_local_results(variable.value)
        for copy in copies:
            difference = np.abs(first.numpy() - copy.numpy()).max(initial=0)
            largest = max(largest, float(difference))
    return largest
