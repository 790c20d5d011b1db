"""Trains an experiment: the work of training.fit."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import system_limits, wording
from tf_hmr.networks import encoder_weights
from training import config, visualization
from training.data.pipeline import (
    batches,
    label_checks,
    reading,
    sources,
    statistics,
)
from training.data.records import callback_errors, mocap, records_folder
from training.engine import (
    checkpoints,
    cluster,
    devices,
    exit_status,
    loop,
    provenance,
    signals,
    workdir,
)
from training.engine import step as steps
from training.evaluation import evaluator, protocols

if TYPE_CHECKING:
    from training.fit import RunOptions

EVALUATION_BATCH = 50
PICTURES = 4
VALIDATION = "val"
TOO_LARGE = (
    "A step does not fit the device. Use a smaller --data.batch-size, take "
    "the batch in parts with --optim.accumulate, or --precision bfloat16. "
    "`python -m training.gpu_check --checks speed` names the largest that fits."
)
# Errors shown as one line, because the message names the fix.
ERRORS = (
    OSError,
    ValueError,
    loop.NonFiniteError,
    loop.UnwrittenError,
    checkpoints.NoCheckpointError,
)


def fit(
    experiment: config.Experiment, options: RunOptions, name: str = ""
) -> Path:
    """Runs or continues an experiment; returns the folder of its best model.

    Args:
        experiment: its values.
        options: folders and devices.
        name: of the experiment, stored for those who read its results.

    Raises:
        FileNotFoundError: records or body are missing; says what to do.
        ValueError: the workdir belongs to another configuration.
        And what loop.train raises.
    """
    config.check(experiment)
    # Before anything else: TensorFlow fixes its devices at its first operation.
    strategy = devices.strategy(options.devices)
    data = sources.resolve(experiment.data, options.records)
    keras.utils.set_random_seed(experiment.seed)
    loaded = BodyData.load(options.body)
    check_topology(data, loaded)
    # A run keeps its precision, also when it goes on on other processors.
    choices = {
        "precision": devices.precision(experiment.precision),
        "devices": options.devices,
        "sources": [dataclasses.asdict(s) for s in data.sources],
        "training_records": sources.made_by(data.sources),
        "topology": loaded.topology,
    }
    with contextlib.ExitStack() as stack:
        if cluster.read().several:
            # TensorFlow has caught SIGTERM since the workers met, and does
            # nothing with it: they would train on.
            stack.enter_context(signals.stop_requested())
        if cluster.read().chief:
            stack.enter_context(workdir.locked(options.workdir))
            workdir.claim(options.workdir, experiment, choices, name)
        # From here on all workers see what the chief has written.
        different = cluster.compare(strategy, shared_facts(experiment, choices))
        settled = workdir.settled(options.workdir, experiment)
        workdir.check_same_data(options.workdir, settled, choices)
        cluster.check_same(different)
        return _train(experiment, options, strategy, data, loaded, settled)


def shared_facts(
    experiment: config.Experiment, choices: dict[str, Any]
) -> dict[str, Any]:
    """What all workers of a run must have in common.

    Args:
        experiment: its values.
        choices: of this start, as of `workdir.claim`.
    """
    return {
        "configuration": workdir.as_dict(experiment),
        "data": workdir.data_of(choices),
        "code": provenance.code_digest(),
    }


def _train(experiment, options, strategy, data, loaded, settled) -> Path:
    """Builds the method and runs the loop, with what the run has settled."""
    with strategy.scope(), devices.policy(settled["precision"]):
        method = methods.build(experiment.method, Body(loaded))
    check_parts(method, experiment)
    method.check_labels({s.labels for s in data.sources}, data.parts)
    for source in data.sources:
        batches.check_inputs(source, method.input_names)
    label_checks.check_labels(data, method.needed_labels)
    method.prepare_targets()
    if not workdir.saved_steps(options.workdir):
        with strategy.scope():
            start(method, data, experiment.encoder_weights)
    loop.train(
        experiment,
        method,
        strategy,
        dataset_maker(experiment, method, data),
        validation(data, loaded.faces),
        options.workdir,
    )
    return options.workdir / loop.BEST_FOLDER


def dataset_maker(
    experiment: config.Experiment, method: methods.Method, data: config.Data
) -> loop.MakeDataset:
    """The loop's source of batches: images, or poses alone for parts without.

    Args:
        experiment: its stages say which learner takes a step.
        method: whose learners they are.
        data: with paths for the names of its records.
    """

    def make_dataset(step, context):
        learner = steps.learner(method, experiment.stage_at(step))
        if not learner.image_size:
            return batches.prior_dataset(data, context, step)
        return batches.train_dataset(
            data.sources,
            data,
            learner.image_size,
            context,
            step,
            method.config.crop_scale,
            images="image" in method.input_names,
        )

    return make_dataset


def start(method: methods.Method, data: config.Data, weights: str) -> None:
    """Starts a new run at a mean pose and shape and the encoder's weights.

    Parts that learn poses alone take what they need of the unpaired ones.

    Raises:
        ValueError: the method has no encoder, or `weights` do not fit it.
    """
    mean = statistics.start(data, method.body.data)
    if mean is not None:
        method.initialize_from_mean(*mean)
    if reading.has_prior(data):
        poses = mocap.read(data.prior).pose
        rotvecs = poses.reshape(len(poses), -1, 3)
        for learner in (method, *_parts(method).values()):
            learner.initialize_from_poses(rotvecs)
    if weights == "none":
        return
    encoder = getattr(method, "encoder", None)
    if encoder is None:
        raise ValueError(
            f"{method.name!r} has no encoder to load {weights!r} into. Pass "
            "--encoder-weights none."
        )
    encoder_weights.load(encoder, weights)


def check_parts(method: methods.Method, experiment: config.Experiment) -> None:
    """A part that learns alone must have a stage: it would stay random.

    Raises:
        ValueError: names the part that has none.
    """
    trained = {stage.part for stage in experiment.all_stages()}
    for name in _parts(method):
        if name not in trained:
            raise ValueError(
                f"{method.name}.{name} would stay random: it learns in a stage "
                f"of its own. Put a config.Stage with part={name!r} among the "
                "experiment's `before`, or choose a method without it."
            )


def _parts(method: methods.Method) -> dict[str, methods.Learner]:
    """Parts of a method that learn in stages of their own, by name."""
    return {
        name: part
        for name, part in vars(method).items()
        if isinstance(part, methods.Learner)
    }


def check_topology(data: config.Data, body: BodyData) -> None:
    """Records and body must number their vertices alike.

    Raises:
        ValueError: they do not.
    """
    topology = batches.topology(data)
    if topology and topology != body.topology:
        raise ValueError(
            f"The records' poses and shapes belong to topology {topology!r}, "
            f"the body {body.name!r} has {body.topology!r}. Pass the --body "
            "that the records were made with."
        )


def validation(data: config.Data, faces: np.ndarray):
    """The loop's evaluation on a 'val' split with 3D joints.

    Returns:
        A function of the method, on the first source that has such a split;
        None where none has.
    """
    source = next(filter(_can_validate, data.sources), None)
    if source is None:
        if data.sources:
            logging.warning(
                "None of %s has a split %r with 3D joints, so the last model "
                "is kept as the best.",
                sorted({source.records for source in data.sources}),
                VALIDATION,
            )
        return None
    source = dataclasses.replace(
        source, split=VALIDATION, labels="all", shards=(0, 1)
    )
    protocol = dataclasses.replace(
        protocols.get("synthetic_v1"),
        name="validation",
        splits=(VALIDATION,),
        measures=evaluator.BASELINE_MEASURES,
    )

    # Made once: each one keeps its callbacks in memory for ever.
    @functools.cache
    def dataset_of(image_size: int, crop_scale: float) -> tf.data.Dataset:
        return batches.eval_dataset(
            source, EVALUATION_BATCH, image_size, crop_scale, data.max_bad_share
        )

    def evaluate(method: methods.Method) -> loop.Evaluation:
        dataset = dataset_of(method.image_size, method.config.crop_scale)
        values = evaluator.measure(method, dataset, protocol).summary()
        batch, prediction = next(evaluator.predictions(method, dataset.take(1)))
        rows = [
            ("", visualization.example(batch, prediction, row, faces))
            for row in range(min(PICTURES, len(batch["image"])))
        ]
        return loop.Evaluation(
            values["mpjpe_mm"], values, visualization.sheet(rows)
        )

    return evaluate


def _can_validate(source: config.Source) -> bool:
    split = records_folder.read_report(source.records)["splits"].get(VALIDATION)
    # Rendered people have all labels; readers of datasets count them.
    return bool(split) and split.get("labels", {}).get("joints3d", 1) > 0


def run_and_report(work: Callable[[], None]) -> int:
    """Runs `work`; errors with a cure become one line and an exit status."""
    # TensorFlow would log the reduction of every variable.
    tf.get_logger().setLevel(logging.WARNING)
    try:
        with cluster.translated():
            work()
    except ERRORS as error:
        why, status = error, exit_status.FAILED
    except loop.StoppedError as error:
        why, status = error, exit_status.STOPPED
    except cluster.PeerLostError as error:
        why, status = error, exit_status.PEER_LOST
    except tf.errors.ResourceExhaustedError as error:
        first = wording.first_line(error)
        cure = TOO_LARGE
        if system_limits.is_reached(error):
            cure = system_limits.CURE
        why, status = f"{first}. {cure}", exit_status.FAILED
    except tf.errors.UnknownError as error:
        cause = callback_errors.cause_of(error)
        if cause is None:
            raise
        why, status = cause, exit_status.FAILED
    except KeyboardInterrupt:
        why = "Stopped. The same command continues from the last checkpoint."
        status = exit_status.INTERRUPTED
    else:
        return exit_status.COMPLETE
    print(f"training.fit: {why}", file=sys.stderr)
    return status
