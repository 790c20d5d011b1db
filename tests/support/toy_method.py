"""A made-up method that trains in seconds, its batches, and its run."""

import dataclasses
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.networks import dropout
from training import config
from training.engine import devices, loop, run_log


@dataclasses.dataclass(frozen=True)
class Config(methods.Config):
    """Of the made-up method: two sub-models, no images, an adversary."""

    width: int = 4


class Model(methods.Method):
    """Learns y = 2 x in two parts; the adversary tells x from its guess."""

    def __init__(self, settings, body):
        super().__init__(settings, body)
        self.first = keras.layers.Dense(settings.width, name="first")
        self.second = keras.layers.Dense(2, name="second")
        self.drop = dropout.Dropout(0.3, seed=5)
        self.adversary = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1)], name="adversary"
        )

    def build_all(self):
        self(tf.zeros((1, 2)))

    def inputs(self, batch):
        return batch["x"]

    def call(self, x, training=False):
        hidden = self.drop(self.first(x), training=training)
        outputs = self.second(hidden)
        return methods.Prediction(
            outputs, outputs, outputs, outputs, outputs, None
        )

    def terms(self, batch, prediction):
        error = tf.square(prediction.rotmats - batch["y"]) * batch["has"]
        count = 2.0 * batch["has"][:, 0]
        score = self.adversary(prediction.rotmats)[:, 0]
        return {
            "fit": methods.Term(tf.reduce_sum(error, 1), count, 3.0),
            "fool": methods.Term(
                tf.square(score - 1), tf.ones_like(score), 0.1
            ),
        }

    def adversary_terms(self, batch, prediction):
        fake = self.adversary(tf.stop_gradient(prediction.rotmats))[:, 0]
        real = self.adversary(batch["y"])[:, 0]
        one = tf.ones_like(fake)
        return {
            "fake": methods.Term(tf.square(fake), one, 1.0),
            "real": methods.Term(tf.square(real - 1), one, 1.0),
        }


STAGES = (
    config.Stage("one", 6, config.Optim(lr=1e-2), ("first",)),
    config.Stage("two", 6, config.Optim(lr=1e-2, clip_norm=0.5), ("second",)),
)


EXPERIMENT = config.Experiment(
    method=Config(), stages=STAGES, log_every=1, save_every=4
)


def batch_at(step, spoil=None, size=8):
    """The batch of a step; half its rows have no label, in one replica."""
    rng = np.random.default_rng(int(step))
    x = rng.normal(size=(size, 2)).astype(np.float32)
    has = np.ones((size, 1), np.float32)
    # Unequal between the halves: a mean per replica would differ.
    has[: size // 2 - 1] = 0
    y = 2 * x
    if spoil == step:
        y[size - 1] = np.nan
    ids = np.array([f"row{step}-{i}" for i in range(size)])
    return {"x": x, "y": y, "has": has, "example_id": ids}


def make_dataset(spoil=None, pause_s=0.0):
    """One element per replica of the input pipeline, as the loop asks."""

    def make(start, context):
        replicas = context.num_replicas_in_sync if context else 1
        local = replicas // context.num_input_pipelines if context else 1
        first = context.input_pipeline_id * local if context else 0
        share = 8 // replicas

        def generate():
            step = start
            while True:
                time.sleep(pause_s)
                batch = batch_at(step, spoil)
                for part in range(first, first + local):
                    rows = slice(part * share, (part + 1) * share)
                    yield {key: value[rows] for key, value in batch.items()}
                step += 1

        return tf.data.Dataset.from_generator(
            generate,
            output_signature={
                "x": tf.TensorSpec((share, 2)),
                "y": tf.TensorSpec((share, 2)),
                "has": tf.TensorSpec((share, 1)),
                "example_id": tf.TensorSpec((share,), tf.string),
            },
        )

    return make


def run(folder, body, experiment=EXPERIMENT, spoil=None, evaluate=None):
    keras.utils.set_random_seed(3)
    model = Model(Config(), body)
    model.build_all()
    before = [v.numpy() for v in model.trainable_variables]
    loop.train(
        experiment,
        model,
        devices.strategy("cpu"),
        make_dataset(spoil),
        evaluate,
        Path(folder),
    )
    return model, before


def losses(folder):
    lines = run_log.read_metrics(Path(folder) / run_log.METRICS_FILE)
    return [
        {
            k: v
            for k, v in line.items()
            if k not in ("images_per_s", "trained_s")
        }
        for line in lines
    ]
