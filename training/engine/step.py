"""The optimisation steps of a stage, on one replica or many.

The only reduction over examples and replicas is here: weight * sum(total) /
sum(count), both sums over ALL replicas and over the parts that a batch may be
taken in, so that one device and eight give the same gradient.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from training import config
from training.data.pipeline import warp
from training.engine import fit_store

# AdamW does not shrink what has a natural scale (biases, normalisation) or a
# meaning (the regressor's mean).
NO_DECAY = ("bias", "gamma", "beta", "mean")
ADVERSARY = "adversary/"
# Functions of a step are traced as they are written: autograph, which would
# read every line of a method and its body first, adds a seventh to the start.
_as_written = tf.autograph.experimental.do_not_convert


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


@dataclasses.dataclass(frozen=True)
class Player:
    """One side of the game: its terms, what they move, and how."""

    prefix: str
    """Stands before the names of its values."""
    terms: Callable[..., dict[str, methods.Term]]
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer


class Step:
    """The compiled steps of one stage."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        method: methods.Method,
        stage: config.Stage,
        kept: fit_store.FitStore | None = None,
    ):
        """Makes the optimisers; must run inside `strategy.scope()`.

        Args:
            strategy: the devices.
            method: or the part of it that the stage names, learns.
            stage: what to do.
            kept: the fits of a method that keeps some; it writes there.

        Raises:
            ValueError: the stage names a sub-model the method has not, or
                accumulates gradients of a method that makes its targets.
        """
        self.strategy = strategy
        method = self.method = learner(method, stage)
        self.optim = stage.optim
        self.kept = kept if method.keeps_fits else None
        if self.optim.accumulate > 1:
            _refuse_made_targets(method)

        def player(prefix, terms, variables, lr):
            made = optimizer(stage.optim, lr, stage.steps, variables)
            return Player(prefix, terms, variables, made)

        variables = _player_variables(method, stage)
        self.players = [player("", method.terms, variables, self.optim.lr)]
        if method.adversary is not None:
            variables = method.adversary.trainable_variables
            lr = self.optim.lr_adversary
            self.players.append(
                player(ADVERSARY, method.adversary_terms, variables, lr)
            )
        self._names: list[str] = []
        self._run = tf.function(self._steps)

    def __call__(
        self, batches, count: int, stop: bool = False
    ) -> tuple[dict[str, np.ndarray], bool]:
        """Up to `count` steps in one call of the graph.

        A step in which a value is not finite changes no trainable weight,
        and is the last. The first step is the last, with all it changes,
        where any worker asks to stop.

        Args:
            batches: an iterator of batches without text; a distributed one
                where the strategy has several replicas.
            count: the most steps to take.
            stop: whether this worker asks to stop.

        Returns:
            The values of each step taken, (n,) float32: every weighted term,
            "loss" and "gradient_norm"; the adversary's as "adversary/<name>".
            And whether any worker asked to stop.
        """
        rows, stopped = self._run(
            batches, tf.constant(count), tf.constant(float(stop))
        )
        columns = rows.numpy().T
        return dict(zip(self._names, columns, strict=True)), bool(stopped)

    def _steps(self, batches, count, stop):
        rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        taken, going, stopped = 0, True, False
        while going and taken < count:
            row, finite, stopped = self._step(next(batches), stop)
            rows = rows.write(taken, row)
            going = finite and not stopped
            taken += 1
        return rows.stack(), stopped

    def _step(self, batch, stop):
        values, gradients, asked, found = self.strategy.run(
            _as_written(self._replica), args=(batch, stop)
        )
        self._names = list(values)
        row = tf.stack([self._first(value) for value in values.values()])
        finite = tf.reduce_all(tf.math.is_finite(row))
        # Here and not in the replicas, which cannot meet inside a condition.
        written = 0
        if finite:
            self.strategy.run(_as_written(self._update), args=(gradients,))
            if self.kept is not None:
                written = self.kept.write(*map(self._first, found))
        # The next step reads what this one has written.
        going = finite and written == 0
        return row, going, self._first(asked) > 0

    def _first(self, value) -> tf.Tensor:
        """The first replica's; for what is the same on all of them."""
        return self.strategy.experimental_local_results(value)[0]

    def _replica(self, batch, stop):
        """Global values, clipped gradients, how many ask to stop, new fits."""
        batch = warp.finish(batch, self.method.image_size)
        sums, scales, after = None, None, []
        parts = _split(batch, self.optim.accumulate)
        for part in parts:
            # In turn, so that a part's activations are gone before the next
            # part's are made.
            with (
                tf.control_dependencies(after),
                tf.GradientTape(persistent=True) as tape,
            ):
                inputs = self.method.inputs(part)
                prediction = self.method(inputs, training=True)
                with tape.stop_recording():
                    targets, new = self._targets(part, prediction)
                terms = self._terms(targets, prediction)
                totals = {
                    prefix: _stacked(t.total for t in each.values())
                    for prefix, each in terms.items()
                }
            if scales is None:
                # Methods that make targets take no parts.
                others = [self._terms(p, prediction) for p in parts[1:]]
                scales, asked = _scales([terms, *others], stop)
            gradients = self._gradients(tape, totals, scales)
            after = [tf.group(*tf.nest.flatten(gradients))]
            found = (totals, gradients)
            sums = found if sums is None else _added(sums, found)
        totals, gradients = _all_reduced(sums)
        values = {}
        for prefix, each in terms.items():
            weighted = totals[prefix] * scales[prefix]
            for name, value in zip(each, tf.unstack(weighted), strict=True):
                values[prefix + name] = value
            values[prefix + "loss"] = tf.reduce_sum(weighted)
            gradients[prefix], norm = self._clipped(gradients[prefix])
            values[prefix + "gradient_norm"] = norm
        found = ()
        if self.kept is not None:
            found, told = fit_store.gathered(batch, new, targets)
            values |= told
        return values, gradients, asked, found

    def _targets(self, batch, prediction) -> tuple[dict, methods.Fits | None]:
        """What the terms are given, and new fits."""
        kept = None if self.kept is None else self.kept.read(batch)
        targets = self.method.targets(batch, prediction, kept)
        targets = tf.nest.map_structure(tf.stop_gradient, targets)
        new = targets.get("fits")
        return {k: v for k, v in targets.items() if k != "fits"}, new

    def _terms(self, targets, prediction) -> dict[str, dict[str, methods.Term]]:
        """Each player's terms, by prefix; a player without any is left out."""
        terms = {p.prefix: p.terms(targets, prediction) for p in self.players}
        return {prefix: each for prefix, each in terms.items() if each}

    def _gradients(self, tape, totals, scales):
        """By prefix and number of the variable, of all that terms reach.

        A variable that no term reaches stays as it is, decay included.
        """
        gradients = {}
        for player in self.players:
            if player.prefix in totals:
                found = tape.gradient(
                    totals[player.prefix],
                    player.variables,
                    output_gradients=scales[player.prefix],
                )
                gradients[player.prefix] = {
                    i: g for i, g in enumerate(found) if g is not None
                }
        return gradients

    def _clipped(self, gradients):
        """The gradients of one player after the sum, and their norm."""
        norm = tf.linalg.global_norm(list(gradients.values()))
        if not self.optim.clip_norm:
            return gradients, norm
        clipped, _ = tf.clip_by_global_norm(
            list(gradients.values()), self.optim.clip_norm, use_norm=norm
        )
        return dict(zip(gradients, clipped, strict=True)), norm

    def _update(self, gradients) -> None:
        # The optimisers sum over replicas once more.
        replicas = self.strategy.num_replicas_in_sync
        for player in self.players:
            found = gradients.get(player.prefix, {})
            player.optimizer.apply(
                [gradient / replicas for gradient in found.values()],
                [player.variables[i] for i in found],
            )


def learner(method: methods.Method, stage: config.Stage) -> methods.Learner:
    """The method, or the part of it that the stage trains alone.

    Raises:
        ValueError: it has no such part.
    """
    if not stage.part:
        return method
    part = getattr(method, stage.part, None)
    if not isinstance(part, methods.Learner):
        raise ValueError(
            f"Stage {stage.name!r} trains {stage.part!r} alone, which is no "
            f"method.Learner of {method.name!r}. Name such an attribute, or "
            "leave the stage out."
        )
    return part


def _refuse_made_targets(method: methods.Learner) -> None:
    if method.makes_targets:
        raise ValueError(
            f"optim.accumulate: the counts of {method.name!r} are known only "
            "after its predictions, as it makes targets from them; but each "
            "part's gradient is scaled by the counts of all parts. Use a "
            "smaller data.batch_size, or more devices."
        )


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


def _split(batch, count: int) -> list:
    """The batch in `count` equal parts."""
    if count == 1:
        return [batch]
    split = {name: tf.split(value, count) for name, value in batch.items()}
    return [
        dict(zip(split, part, strict=True))
        for part in zip(*split.values(), strict=True)
    ]


def _stacked(values) -> tf.Tensor:
    return tf.stack([tf.reduce_sum(value) for value in values])


def _added(a, b):
    return tf.nest.map_structure(tf.add, a, b)


def _all_reduced(values):
    """Sums over all replicas."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _scales(parts: list[dict[str, dict[str, methods.Term]]], stop):
    """Weight / count of every term, by prefix, and how many ask to stop.

    Args:
        parts: the terms of each part of this replica's batch. Only their
            counts are used, which come from the labels alone.
        stop: 1 where this replica asks to stop.
    """
    terms = parts[0]
    flat = [
        [t for each in part.values() for t in each.values()] for part in parts
    ]
    counts = tf.add_n([_stacked(t.count for t in part) for part in flat])
    # One small message between replicas.
    sums = _all_reduced(tf.concat([counts, [stop]], axis=0))
    weights = tf.constant([term.weight for term in flat[0]])
    scales = tf.math.divide_no_nan(weights, sums[:-1])
    sizes = [len(each) for each in terms.values()]
    return dict(zip(terms, tf.split(scales, sizes), strict=True)), sums[-1]
