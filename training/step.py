"""One optimisation step of a stage, on one replica or many.

The only reduction over examples and replicas is here: weight * sum(total) /
sum(count), both sums over ALL replicas, so that one device and eight give
the same gradient.
"""

import keras
import tensorflow as tf

from tf_hmr import method as methods
from training import config

# AdamW does not shrink what has a natural scale (biases, normalisation) or a
# meaning (the regressor's mean).
NO_DECAY = ("bias", "gamma", "beta", "mean")


def schedule(optim: config.Optim, lr: float, steps: int):
    """The learning rate as Keras takes it: a number or a schedule."""
    if optim.schedule == "constant" and not optim.warmup_steps:
        return lr
    if optim.schedule == "constant":
        return keras.optimizers.schedules.PolynomialDecay(
            0.0, optim.warmup_steps, end_learning_rate=lr
        )
    if not optim.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(lr, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(steps - optim.warmup_steps, 1),
        warmup_target=lr,
        warmup_steps=optim.warmup_steps,
    )


def optimizer(
    optim: config.Optim, lr: float, steps: int, variables: list
) -> keras.optimizers.Optimizer:
    """Adam, or AdamW with weight decay, its slots already made.

    Slots must exist before the first step: a restore would silently lose
    them, and Mirrored cannot make variables inside a step.
    """
    rate = schedule(optim, lr, steps)
    if optim.weight_decay:
        made = keras.optimizers.AdamW(rate, weight_decay=optim.weight_decay)
        made.exclude_from_weight_decay(var_names=list(NO_DECAY))
    else:
        made = keras.optimizers.Adam(rate)
    made.build(variables)
    return made


class Step:
    """The compiled step of one stage; call it with a batch."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        method: methods.Method,
        stage: config.Stage,
    ):
        """Makes the optimisers; must run inside `strategy.scope()`.

        Raises:
            ValueError: the stage names a sub-model the method has not.
        """
        self.strategy = strategy
        self.method = method
        self.clip_norm = stage.optim.clip_norm
        self.variables = _player_variables(method, stage)
        self.optimizer = optimizer(
            stage.optim, stage.optim.lr, stage.steps, self.variables
        )
        self.adversary_variables: list[keras.Variable] = []
        self.adversary_optimizer = None
        if method.adversary is not None:
            self.adversary_variables = method.adversary.trainable_variables
            self.adversary_optimizer = optimizer(
                stage.optim,
                stage.optim.lr_adversary,
                stage.steps,
                self.adversary_variables,
            )
        self._run = tf.function(self._distributed)

    def __call__(self, batch) -> dict[str, tf.Tensor]:
        """Updates both players; returns every weighted term and more.

        The keys are the terms' names, "loss", "gradient_norm" and, with an
        adversary, "adversary/<term>".
        """
        return self._run(batch)

    def _distributed(self, batch):
        values = self.strategy.run(self._replica, args=(batch,))
        # Every replica holds the same global values.
        return {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in values.items()
        }

    def _replica(self, batch):
        method = self.method
        with tf.GradientTape() as tape, tf.GradientTape() as other_tape:
            prediction = method(method.inputs(batch), training=True)
            targets = tf.nest.map_structure(
                tf.stop_gradient, method.targets(batch, prediction, None)
            )
            loss, values = _reduce(method.terms(targets, prediction))
            other_loss, other_values = _reduce(
                method.adversary_terms(targets, prediction)
            )
        values["loss"] = tf.add_n(list(values.values()))
        norm = self._apply(self.optimizer, tape, loss, self.variables)
        values["gradient_norm"] = norm
        if self.adversary_optimizer is not None and other_values:
            self._apply(
                self.adversary_optimizer,
                other_tape,
                other_loss,
                self.adversary_variables,
            )
        for name, value in other_values.items():
            values[f"adversary/{name}"] = value
        return values

    def _apply(self, optimizer, tape, loss, variables) -> tf.Tensor:
        """Sums gradients over replicas, clips the sum, updates."""
        context = tf.distribute.get_replica_context()
        gradients = tape.gradient(loss, variables)
        # A variable that no term reaches stays as it is, decay included.
        reached = [
            (gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
        ]
        gradients, variables = (
            list(part) for part in zip(*reached, strict=True)
        )
        replicas = context.num_replicas_in_sync
        if replicas > 1:
            gradients = context.all_reduce(
                tf.distribute.ReduceOp.SUM, gradients
            )
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self.clip_norm, use_norm=norm
            )
        # The optimiser sums over replicas once more.
        gradients = [gradient / replicas for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return norm


def _player_variables(method, stage: config.Stage) -> list[keras.Variable]:
    if not stage.trainable:
        return method.player_variables()
    variables = []
    for name in stage.trainable:
        part = getattr(method, name, None)
        if not hasattr(part, "trainable_variables"):
            raise ValueError(
                f"Stage {stage.name!r} trains {name!r}, which is no sub-model "
                f"of {method.name!r}. Name one of its Keras attributes."
            )
        variables += part.trainable_variables
    return variables


def _reduce(terms: dict[str, methods.Term]):
    """This replica's part of the loss, and every term's global value."""
    if not terms:
        return tf.zeros(()), {}
    totals = tf.stack([tf.reduce_sum(term.total) for term in terms.values()])
    counts = tf.stack([tf.reduce_sum(term.count) for term in terms.values()])
    weights = tf.constant([term.weight for term in terms.values()])
    context = tf.distribute.get_replica_context()
    sums = tf.stop_gradient(tf.stack([totals, counts]))
    if context.num_replicas_in_sync > 1:
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
    counts = sums[1]
    loss = tf.reduce_sum(weights * tf.math.divide_no_nan(totals, counts))
    values = weights * tf.math.divide_no_nan(sums[0], counts)
    return loss, dict(zip(terms, tf.unstack(values), strict=True))
