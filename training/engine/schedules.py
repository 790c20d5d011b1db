"""Learning rates as functions of the optimiser's step."""

import keras
import tensorflow as tf

from training import config

# meysam-madadi/SMPLR: train_smplr.py: lr0 (1 - 1 / (1 + exp(k - epoch / 12.5)))
# + 1e-4 over 200 epochs, with k = 4, and k = 10 for the hourglass
# (train_shn.py). Over a share x of the epochs, k - epoch / 12.5 is
# SLOPE (k / SLOPE - x).
SLOPE = 200 / 12.5
FLOOR = 1e-4
MIDDLES = {"sigmoid": 4 / SLOPE, "sigmoid_late": 10 / SLOPE}
"""Shares of a stage's steps after which half of the rate is left."""


@keras.saving.register_keras_serializable("tf_hmr")
class Sigmoid(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that stays, falls and stays, as SMPLR's code has it."""

    def __init__(self, lr: float, steps: int, middle: float, warmup: int):
        """Describes the curve.

        Args:
            lr: rate that it falls from; FLOOR is added to it.
            steps: steps of the stage.
            middle: share of them after which half of `lr` is left.
            warmup: steps over which the rate rises from 0 before.
        """
        super().__init__()
        self.lr, self.steps, self.middle = lr, steps, middle
        self.warmup = warmup

    def __call__(self, step):
        """() rate of a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        share = step / tf.cast(self.steps, tf.float32)
        rate = self.lr * tf.sigmoid(SLOPE * (self.middle - share)) + FLOOR
        if self.warmup:
            rate = rate * tf.minimum(1.0, step / self.warmup)
        return rate

    def get_config(self):
        """The arguments."""
        return {
            "lr": self.lr,
            "steps": self.steps,
            "middle": self.middle,
            "warmup": self.warmup,
        }


def schedule(optim: config.Optim, lr: float, steps: int):
    """The learning rate as Keras takes it: a number or a schedule.

    Args:
        optim: names the curve.
        lr: its largest rate, before what the curve adds.
        steps: steps of the stage.
    """
    if optim.schedule in MIDDLES:
        middle = MIDDLES[optim.schedule]
        return Sigmoid(lr, steps, middle, optim.warmup_steps)
    if optim.schedule == "constant" and not optim.warmup_steps:
        return lr
    if optim.schedule == "constant":
        return keras.optimizers.schedules.PolynomialDecay(
            0.0, optim.warmup_steps, end_learning_rate=lr
        )
    if not optim.warmup_steps:
        # A stage may be left out by 0 steps.
        return keras.optimizers.schedules.CosineDecay(lr, max(steps, 1))
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(steps - optim.warmup_steps, 1),
        warmup_target=lr,
        warmup_steps=optim.warmup_steps,
    )
