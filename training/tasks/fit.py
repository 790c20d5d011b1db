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
from tf_hmr.formats import model_files, system_limits
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
    best_model,
    checkpoints,
    cluster,
    devices,
    exit_status,
    loop,
    model_selection,
    provenance,
    signals,
    workdir,
    write_errors,
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
        method = methods.build(experiment.method, Body(loaded))
    check_parts(method, experiment)
    method.check_labels({s.labels for s in data.sources}, data.parts)
    for source in data.sources:
        batches.check_inputs(source, method.input_names)
    label_checks.check_labels(data, method.needed_labels)
    if missing := label_checks.missing_masks(data):
        logging.warning(missing)
    method.prepare_targets()
    if not workdir.saved_steps(options.workdir):
        with strategy.scope():
            start(method, data, experiment.encoder_weights)
            if options.start:
                start_from(method, options.start, loaded)
    loop.train(
        experiment,
        method,
        strategy,
        dataset_maker(experiment, method, data),
        validation(data, loaded.faces, with_mean=bool(options.start)),
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
            crop_m=crop_m(method),
        )

    return make_dataset


def crop_m(method: methods.Method) -> float:
    """Side of a method's crops in metres, where that is known; 0: nowhere."""
    return getattr(method.config, "crop_m", 0.0)


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


def start_from(method: methods.Method, folder: Path, body: BodyData) -> None:
    """Copies the weights of a model, moving means of its layers included.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: it is another method, or one of other sizes.
    """
    model = methods.load(folder, body, jit=False)
    if type(model) is not type(method):
        raise ValueError(
            f"--start {folder} is {model.name!r}, the experiment trains "
            f"{method.name!r}. Expected a model of the same method."
        )
    weights = {variable.path: variable for variable in model.variables}
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    expected = {v.path: tuple(v.shape) for v in method.variables}
    if shapes != expected:
        names = sorted(shapes.items() ^ expected.items())[:1]
        raise ValueError(
            f"--start {folder} has other sizes than the experiment's "
            f"{method.name!r}, first in {names[0][0]}. Repeat the options of "
            "its training (config.json of its workdir)."
        )
    for variable in method.variables:
        variable.assign(weights[variable.path])


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


def validation(data: config.Data, faces: np.ndarray, with_mean: bool = False):
    """The loop's evaluation on a 'val' split with 3D joints.

    Args:
        data: with paths for the names of its records.
        faces: of the body.
        with_mean: also measure the mean pose of the training labels.

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
    def dataset_of(
        image_size: int, crop_scale: float, metres: float
    ) -> tf.data.Dataset:
        return batches.eval_dataset(
            source,
            EVALUATION_BATCH,
            image_size,
            crop_scale,
            data.max_bad_share,
            crop_m=metres,
        )

    @functools.cache
    def of_mean_pose(method: methods.Method) -> dict[str, float]:
        mean = statistics.mean_pose(data.sources) if with_mean else None
        if mean is None:
            return {}
        context = evaluator.make_context(method.body, method.joint_names)
        baseline = evaluator.Baseline(
            method.body, mean, protocol, context, true_rotation=False
        )
        dataset = dataset_of(
            method.image_size, method.config.crop_scale, crop_m(method)
        )
        for batch in dataset.as_numpy_iterator():
            baseline.add(batch)
        return {f"mean_pose_{n}": v for n, v in baseline.summary().items()}

    def evaluate(method: methods.Method) -> model_selection.Evaluation:
        dataset = dataset_of(
            method.image_size, method.config.crop_scale, crop_m(method)
        )
        values = evaluator.measure(method, dataset, protocol).summary()
        values |= of_mean_pose(method)
        batch, prediction = next(evaluator.predictions(method, dataset.take(1)))
        rows = [
            ("", visualization.example(batch, prediction, row, faces))
            for row in range(min(PICTURES, len(batch["image"])))
        ]
        return model_selection.Evaluation(
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
        first = str(error).strip().splitlines()[0]
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
