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
from training.engine import fit_store, ordered_sums, schedules
from training.engine.adam import Adam

# AdamW does not shrink what has a natural scale (biases, normalisation) or a
# meaning (the regressor's mean).
NO_DECAY = ("bias", "gamma", "beta", "mean")
ADVERSARY = "adversary/"
# Autograph would read every line of a method and its body before tracing them,
# and adds a seventh to the start of a run.
no_autograph = tf.autograph.experimental.do_not_convert
Batch = dict[str, tf.Tensor]


def optimizer(
    optim: config.Optim, lr: float, steps: int, variables: list
) -> keras.optimizers.Optimizer:
    """Adam, or AdamW with weight decay, its slots already made.

    Slots must exist before the first step: a restore would silently lose
    them, and Mirrored cannot make variables inside a step.
    """
    rate = schedules.schedule(optim, lr, steps)
    adam = Adam(rate, optim.weight_decay)
    adam.exclude_from_weight_decay(var_names=list(NO_DECAY))
    adam.build(variables)
    return adam


@dataclasses.dataclass(frozen=True)
class Player:
    """One side of the game: its terms, the variables they move, and how."""

    prefix: str
    """Prefix of its values' names in the log."""
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
        store: fit_store.FitStore | None = None,
    ):
        """Makes the optimisers; must run inside `strategy.scope()`.

        Args:
            strategy: the devices.
            method: learns, or the part of it that the stage names.
            stage: what to train, and how.
            store: fits of the training examples, which a method with
                `keeps_fits` reads and improves.

        Raises:
            ValueError: the stage names a sub-model that the method lacks, or
                accumulates gradients of a method that makes its targets.
        """
        self.strategy = strategy
        self.learner = learner(method, stage)
        self.optim = stage.optim
        self.store = store if self.learner.keeps_fits else None
        if self.optim.accumulate > 1:
            _refuse_made_targets(self.learner)
        self.players = _players(self.learner, stage)
        self._names: list[str] = []
        ordered_sums.enable()
        self._run = tf.function(self._steps)

    def __call__(
        self, batches, count: int, stop: bool = False
    ) -> tuple[dict[str, np.ndarray], bool]:
        """Takes up to `count` steps in one call of the graph.

        A step with a value that is not finite changes no trainable weight,
        and is the last. The first step is the last, with all its changes,
        where any worker asks to stop.

        Args:
            batches: an iterator of batches without text; a distributed one
                where the strategy has several replicas.
            count: the most steps to take.
            stop: whether this worker asks to stop.

        Returns:
            The values of each step, (n,) float32: every weighted term,
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
        step, running, stopped = 0, True, False
        while running and step < count:
            row, finite, stopped = self._step(next(batches), stop)
            rows = rows.write(step, row)
            running = finite and not stopped
            step += 1
        return rows.stack(), stopped

    def _step(self, batch, stop):
        """One step on all replicas: values, whether finite, whether to stop."""
        values, gradients, stop_votes, new_fits = self.strategy.run(
            no_autograph(self._replica_step), args=(batch, stop)
        )
        self._names = list(values)
        row = tf.stack([self._first(value) for value in values.values()])
        finite = tf.reduce_all(tf.math.is_finite(row))
        # Outside of strategy.run: collectives are not allowed in a tf.cond.
        if finite:
            self.strategy.run(no_autograph(self._apply), args=(gradients,))
            finite = self._store_fits(new_fits, finite)
        return row, finite, self._first(stop_votes) > 0

    def _replica_step(self, batch, stop):
        """The step of one replica, up to the gradients that are applied.

        Args:
            batch: this replica's share.
            stop: 1 where this worker asks to stop.

        Returns:
            Values by name and clipped gradients, the same on all replicas;
            how many replicas ask to stop; and the fits to store.
        """
        batch = warp.finish(batch, self.learner.image_size)
        parts = _split(batch, self.optim.accumulate)
        scales, sums, previous = None, None, []
        for part in parts:
            # A part's activations are freed before the next part's are made.
            with (
                tf.control_dependencies(previous),
                tf.GradientTape(persistent=True) as tape,
            ):
                # Forward.
                inputs = self.learner.inputs(part)
                prediction = self.learner(inputs, training=True)
                # Targets: no gradient flows through them.
                with tape.stop_recording():
                    targets, new_fits = self._targets(part, prediction)
                # Terms.
                terms = self._terms(targets, prediction)
                totals = {
                    prefix: _summed(term.total for term in group.values())
                    for prefix, group in terms.items()
                }
            # Counts of all parts on all replicas; they need no prediction.
            if scales is None:
                all_terms = [terms] + [
                    self._terms(labels, prediction) for labels in parts[1:]
                ]
                counts, stop_votes = _sum_counts(all_terms, stop)
                scales = _scales(terms, counts)
            # Gradients of weight * sum(total) / sum(count).
            gradients = self._gradients(tape, totals, scales)
            previous = [tf.group(*tf.nest.flatten(gradients))]
            sums = _added(sums, (totals, gradients))
        totals, gradients = _sum_over_replicas(sums)
        # Clip.
        values = {}
        for prefix, group in terms.items():
            weighted = totals[prefix] * scales[prefix]
            values |= _named(prefix, group, weighted)
            gradients[prefix], norm = self._clipped(gradients[prefix])
            values[f"{prefix}gradient_norm"] = norm
        new_fits, fit_values = self._exchange_fits(batch, new_fits, targets)
        return values | fit_values, gradients, stop_votes, new_fits

    def _targets(self, batch, prediction) -> tuple[Batch, methods.Fits | None]:
        """The batch with the labels that the terms compare, and new fits."""
        fits = None if self.store is None else self.store.read(batch)
        targets = self.learner.targets(batch, prediction, fits)
        targets = tf.nest.map_structure(tf.stop_gradient, targets)
        new_fits = targets.get("fits")
        return {k: v for k, v in targets.items() if k != "fits"}, new_fits

    def _terms(self, targets, prediction) -> dict[str, dict[str, methods.Term]]:
        """Each player's terms, by prefix; a player without any is left out."""
        terms = {p.prefix: p.terms(targets, prediction) for p in self.players}
        return {prefix: group for prefix, group in terms.items() if group}

    def _gradients(self, tape, totals, scales):
        """Gradients by prefix and number of the variable.

        A variable that no term reaches has none: it stays as it is, decay
        included.
        """
        gradients = {}
        for player in self.players:
            if player.prefix in totals:
                of_variables = tape.gradient(
                    totals[player.prefix],
                    player.variables,
                    output_gradients=scales[player.prefix],
                )
                gradients[player.prefix] = {
                    number: gradient
                    for number, gradient in enumerate(of_variables)
                    if gradient is not None
                }
        return gradients

    def _clipped(self, gradients):
        """The gradients of one player, clipped, and their norm before."""
        norm = tf.linalg.global_norm(list(gradients.values()))
        if not self.optim.clip_norm:
            return gradients, norm
        clipped, _ = tf.clip_by_global_norm(
            list(gradients.values()), self.optim.clip_norm, use_norm=norm
        )
        return dict(zip(gradients, clipped, strict=True)), norm

    def _apply(self, gradients) -> None:
        """Moves the variables of every player."""
        # The gradients are sums already, and the optimisers sum once more.
        replicas = self.strategy.num_replicas_in_sync
        for player in self.players:
            by_number = gradients.get(player.prefix, {})
            shares = list(by_number.values())
            if replicas > 1:
                shares = [gradient / replicas for gradient in shares]
            player.optimizer.apply(
                shares, [player.variables[number] for number in by_number]
            )

    def _exchange_fits(self, batch, new_fits, targets):
        """New fits of all replicas, and their values in the log."""
        if self.store is None:
            return (), {}
        return fit_store.gather(batch, new_fits, targets)

    def _store_fits(self, new_fits, finite) -> tf.Tensor:
        """Stores the fits of a step; `finite`, once they are stored."""
        if self.store is None:
            return finite
        written = self.store.write(*map(self._first, new_fits))
        # Iterations of a tf.while may overlap: the loop's condition waits for
        # this write, so that the next step reads it.
        with tf.control_dependencies([written]):
            return tf.identity(finite)

    def _first(self, value) -> tf.Tensor:
        """The first replica's value, where all replicas have the same."""
        return self.strategy.experimental_local_results(value)[0]


def _players(learning: methods.Learner, stage: config.Stage) -> list[Player]:
    """The learner, and its adversary where it has one, with optimisers."""
    optim = stage.optim

    def player(prefix, terms, variables, lr):
        return Player(
            prefix,
            terms,
            variables,
            optimizer(optim, lr, stage.steps, variables),
        )

    variables = _player_variables(learning, stage)
    players = [player("", learning.terms, variables, optim.lr)]
    if learning.adversary is not None:
        variables = learning.adversary.trainable_variables
        players.append(
            player(
                ADVERSARY,
                learning.adversary_terms,
                variables,
                optim.lr_adversary,
            )
        )
    return players


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


def _split(batch: Batch, count: int) -> list[Batch]:
    """The batch in `count` equal parts."""
    if count == 1:
        return [batch]
    split = {name: tf.split(value, count) for name, value in batch.items()}
    return [
        dict(zip(split, part, strict=True))
        for part in zip(*split.values(), strict=True)
    ]


def _summed(values) -> tf.Tensor:
    """Sums over the examples: tensors (B,) to one (n,)."""
    return tf.stack([tf.reduce_sum(value) for value in values])


def _added(sums, values):
    """Running sums of a nest; None before the first."""
    if sums is None:
        return values
    return tf.nest.map_structure(tf.add, sums, values)


def _named(prefix: str, names, weighted: tf.Tensor) -> Batch:
    """The weighted terms (n,) of a player by name, and their sum."""
    values = {
        f"{prefix}{name}": value
        for name, value in zip(names, tf.unstack(weighted), strict=True)
    }
    return values | {f"{prefix}loss": tf.reduce_sum(weighted)}


def _sum_over_replicas(values):
    """A nest of tensors, summed over all replicas."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _sum_counts(
    parts: list[dict[str, dict[str, methods.Term]]], stop
) -> tuple[tf.Tensor, tf.Tensor]:
    """Counts of every term over all parts and replicas, and the stop vote.

    One small message between replicas serves both.

    Args:
        parts: the terms of each part of this replica's batch; their counts
            come from the labels alone.
        stop: 1 where this worker asks to stop.

    Returns:
        Counts (n,) in the order of the terms, and how many replicas ask to
        stop.
    """
    counts = tf.add_n(
        [_summed(term.count for term in _flat(terms)) for terms in parts]
    )
    sums = _sum_over_replicas(tf.concat([counts, [stop]], axis=0))
    return sums[:-1], sums[-1]


def _scales(terms, counts: tf.Tensor) -> dict[str, tf.Tensor]:
    """Weight / count of every term, (n,) by prefix; 0 without any label."""
    weights = tf.constant([term.weight for term in _flat(terms)])
    scales = tf.math.divide_no_nan(weights, counts)
    sizes = [len(group) for group in terms.values()]
    return dict(zip(terms, tf.split(scales, sizes), strict=True))


def _flat(terms: dict[str, dict[str, methods.Term]]) -> list[methods.Term]:
    """The terms of all players in one list."""
    return [term for group in terms.values() for term in group.values()]
