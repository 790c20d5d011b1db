"""The checks of training.gpu_checks on a method that is traced in seconds.

Their processes import these functions by name; the last ones plant an error.
"""

import contextlib
import dataclasses
import os
from unittest import mock

import keras
import tensorflow as tf

from tests.support import toy_method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from training import config
from training.engine import checkpoints, devices
from training.engine import step as steps
from training.gpu_checks import networks, replicas, resume


def _build(strategy, network, precision, xla=True):
    keras.utils.set_random_seed(3)
    with strategy.scope(), devices.policy(precision):
        body = Body(BodyData.load("open"), jit=False)
        model = toy_method.Model(toy_method.Config(), body)
        model.build_all()
    model.drop.rate = 0.0  # Each replica draws its own mask.
    return model


@contextlib.contextmanager
def toy():
    """The checks take steps of the toy method."""
    batch = {
        name: rows
        for name, rows in toy_method.batch_at(0).items()
        if name != "example_id"
    }
    with (
        mock.patch.object(networks, "build", _build),
        mock.patch.object(networks, "labelled_batch", return_value=batch),
    ):
        yield


def compare_replicas(device_flag, network, batch_size):
    """replicas.compare of the toy."""
    with toy():
        return replicas.compare(device_flag, network, batch_size)


def compare_doubled(device_flag, network, batch_size):
    """The same with an error in every step: replica 1 counts twice."""
    summed = steps._sum_over_replicas

    def doubled(values):
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1 or not isinstance(values, tuple):
            return summed(values)
        totals, gradients = values
        factor = 1.0 + tf.cast(context.replica_id_in_sync_group, tf.float32)
        gradients = tf.nest.map_structure(lambda g: factor * g, gradients)
        return summed((totals, gradients))

    with mock.patch.object(steps, "_sum_over_replicas", doubled):
        return compare_replicas(device_flag, network, batch_size)


def train(*arguments):
    """resume.train_here of the toy."""
    with toy():
        resume.train_here(*arguments)


def train_forgetful(*arguments):
    """The same, where a restore loses the optimisers."""
    restore = checkpoints.Checkpoints.restore

    def forget(self):
        step = restore(self)
        for name, variable in self._weights:
            if name.endswith(("_momentum", "_velocity")):
                variable.assign(tf.zeros_like(variable))
        return step

    with mock.patch.object(checkpoints.Checkpoints, "restore", forget):
        train(*arguments)


def train_restless(*arguments):
    """The same on a device that never repeats itself without the setting."""
    if "TF_DETERMINISTIC_OPS" in os.environ:
        return train(*arguments)
    learning_rate = int.from_bytes(os.urandom(2)) / 2**16 / 1e3
    stage = config.Experiment.all_stages

    def random_stages(self):
        (only,) = stage(self)
        optim = dataclasses.replace(only.optim, lr=learning_rate)
        return (dataclasses.replace(only, optim=optim),)

    with mock.patch.object(config.Experiment, "all_stages", random_stages):
        return train(*arguments)
