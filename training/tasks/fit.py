"""Trains an experiment: the work of training.fit."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.body import pair_data, pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import model_files, system_limits, wording
from training import config
from training.data.pipeline import (
    batches,
    label_checks,
    sources,
)
from training.data.records import callback_errors
from training.engine import (
    best_model,
    checkpoints,
    cluster,
    devices,
    exit_status,
    loop,
    provenance,
    signals,
    workdir,
    write_errors,
)
from training.engine import step as steps
from training.tasks import initial_weights, validation

if TYPE_CHECKING:
    from training.fit import RunOptions

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
    write_errors.UnwrittenError,
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
    if options.start:
        model_files.find_folder(options.start)
    # Before anything else: TensorFlow fixes its devices at its first operation.
    strategy = devices.strategy(options.devices)
    data = sources.resolve(experiment.data, options.records)
    keras.utils.set_random_seed(experiment.seed)
    loaded = pair_data.load(options.body)
    check_topology(data, loaded)
    # A run keeps its precision, also when it goes on on other processors.
    choices = {
        "precision": devices.precision(experiment.precision),
        "devices": options.devices,
        "sources": [dataclasses.asdict(s) for s in data.sources],
        "training_records": sources.made_by(data.sources),
        "topology": loaded.topology,
    }
    if options.start:
        choices["start"] = str(options.start)
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
        method = methods.build(experiment.method, pairs.make(loaded, Body))
    initial_weights.check_parts(method, experiment)
    method.check_labels({s.labels for s in data.sources}, data.parts)
    for source in data.sources:
        batches.check_inputs(source, method.input_names)
    label_checks.check_labels(data, method.needed_labels)
    if missing := label_checks.missing_masks(data):
        logging.warning(missing)
    method.prepare_targets()
    if not workdir.saved_steps(options.workdir):
        with strategy.scope():
            initial_weights.start(method, data, experiment.encoder_weights)
            if options.start:
                initial_weights.copy(method, options.start, loaded)
    loop.train(
        experiment,
        method,
        strategy,
        dataset_maker(experiment, method, data),
        validation.evaluation(
            data, loaded.faces, with_mean=bool(options.start)
        ),
        options.workdir,
    )
    return options.workdir / best_model.FOLDER


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
            crop_m=method.config.crop_m,
        )

    return make_dataset


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


def run_and_report(work: Callable[[], None]) -> int:
    """Runs `work`; errors with a cure become one line and an exit status."""
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
