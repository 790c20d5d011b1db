"""Measures a model or predictions by protocols, for training.evaluate."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_hmr import progress
from tf_hmr.body import pair_data
from training import config
from training.data.pipeline import batches, sources, statistics
from training.engine import devices, workdir
from training.evaluation import (
    evaluator,
    example_pages,
    part_outputs,
    predictions_file,
    predictors,
    protocols,
    selection,
)
from training.evaluation import results as result_files
from training.evaluation.protocol import Protocol

if TYPE_CHECKING:
    from training.evaluate import Evaluate

ALL_PROTOCOLS = "all"
table = result_files.table

# Name -> whether the global rotation is taken from the labels.
BASELINES = {"mean_pose": False, "mean_pose_true_global_rotation": True}
Mean = tuple[np.ndarray, np.ndarray]
log = logging.getLogger(__name__)


def evaluate(flags: Evaluate) -> list[Path]:
    """Measures by all protocols; returns the paths of the results.

    Raises:
        FileNotFoundError: no model, or no records of a protocol.
        ValueError: unknown protocol, another body, unsuitable predictions.
    """
    all_protocols = ALL_PROTOCOLS in flags.protocol
    names = protocols.names() if all_protocols else flags.protocol
    selected = [protocols.get(name) for name in names]
    sources, mean = _sources(flags), _training_mean(flags)
    paths = []
    for protocol in selected:
        try:
            people = selection.find(flags.records, protocol)
            people = selection.subsample(people, flags.every)
            paths += [
                by_protocol(flags, protocol, source, people, mean)
                for source in sources
            ]
        except (FileNotFoundError, ValueError) as error:
            if not all_protocols:
                raise
            log.info("%s is left out: %s", protocol.name, error)
    if not paths:
        raise FileNotFoundError(
            f"{flags.records} holds records of no protocol that fits. There "
            f"are: {protocols.names()}."
        )
    return paths


def _sources(flags: Evaluate) -> list[predictors.Source]:
    """The model, or each output that is named, or the predictions.

    Raises:
        ValueError: the method has no such output.
    """
    data = pair_data.load(flags.body)
    if flags.predictions:
        return [predictors.PredictionsFile(flags.predictions, data)]
    strategy = devices.strategy(flags.devices)
    model = predictors.Model.load(flags.weights, data, strategy)
    names = dict.fromkeys(flags.output)
    return [part_outputs.PartOutput(model, name) for name in names] or [model]


def by_protocol(
    flags: Evaluate,
    protocol: Protocol,
    source: predictors.Source,
    people: selection.Selection,
    mean: Mean | None = None,
) -> Path:
    """Measures by one protocol; returns the path of the results.

    Args:
        flags: the command line.
        protocol: the protocol.
        source: source of the predictions.
        people: the protocol's people.
        mean: rotmats (24, 3, 3) and betas (10,) of the baselines, if any.

    Raises:
        ValueError: the labels or the predictions do not suit the protocol.
    """
    foreign = _foreign_labels(protocol, source, people)
    is_predicted = source.has(people.ids)
    rows = people.rows[is_predicted]
    missing = people.ids[~is_predicted].tolist()
    if not len(rows):
        raise ValueError(
            f"{flags.predictions} predicts none of the {len(people.ids)} "
            f"people of {protocol.name}. They are called as "
            f"{str(people.ids[0])!r}."
        )
    context = evaluator.make_context(
        source.body, source.joint_names, _bodies(flags)
    )
    scores = evaluator.Scores(protocol, context)
    output = getattr(source, "name", "")
    own_names, own_scores = getattr(source, "own_joint_names", ()), None
    if own_names:
        own_context = context._replace(joint_names=own_names)
        own_scores = evaluator.Scores(protocol, own_context)
    baselines = _baselines(mean, protocol, source.body, context)
    recorder = predictions_file.Recorder(source.joint_names)
    dataset = _dataset(flags, source, people, rows)
    for batch, predicted in _progress(
        source.stream(dataset, protocol.occlusion), protocol, len(rows)
    ):
        if foreign:
            batch = evaluator.without_bodies(batch)
        scores.add(batch, predicted)
        if own_scores:
            own_scores.add(batch, predicted)
        for baseline in baselines.values():
            baseline.add(batch)
        if flags.save_predictions:
            recorder.add(batch, predicted)
    has_mesh = predicted.vertices is not None
    results = result_files.result(
        scores, baselines, people, missing, foreign, has_mesh or not output
    )
    if own_scores:
        results["metrics_about_own_pelvis"] = own_scores.summary()
    name = f"{protocol.name}-{output}" if output else protocol.name
    out = (flags.out or source.folder / "results") / f"{name}.json"
    if flags.save_predictions:
        recorder.write(_predictions_path(flags, name, protocol.name))
    figure = _draw_examples(flags, source, people, rows, scores, out)
    results |= source.facts() | {"picture": figure}
    if flags.experiment:
        results["experiment"] = flags.experiment
    results["command"] = results["environment"]["command"]
    results["trained_on"] = [s.records for s in _training_sources(flags)]
    results["training_records"] = _training_records(flags)
    workdir.write_json(out, results)
    return out


def _foreign_labels(protocol, source, people) -> list[str]:
    """The deviation if the labels are of another body; else empty.

    Raises:
        ValueError: the protocol needs labels of the predicted body.
    """
    stored, predicted = people.report["topology"], source.body.data.topology
    if stored in ("", predicted):
        return []
    if protocol.synthetic or "records" not in protocol.truth:
        raise ValueError(
            f"{people.folder} belongs to topology {stored!r}, the model to "
            f"{predicted!r}. Prepare the records with the model's body."
        )
    return [
        f"the labelled bodies are of topology {stored!r}, the predicted ones "
        f"of {predicted!r}: only stored joints are compared"
    ]


def _bodies(flags: Evaluate) -> Path | None:
    if flags.true_bodies or flags.body == "open":
        return flags.true_bodies
    path = Path(flags.body)
    return path if path.is_dir() else path.parent


def _dataset(flags, source, people, rows):
    stored = config.Source(records=str(people.folder), split=people.split)
    batches.check_inputs(stored, source.input_names)
    return batches.eval_dataset(
        stored,
        flags.batch_size,
        source.image_size,
        source.crop_scale,
        rows=rows,
        crop_m=source.crop_m,
    )


def _predictions_path(flags: Evaluate, name: str, protocol: str) -> Path:
    """The path of one of several predictions begins with what they are of."""
    path = flags.save_predictions
    if len(flags.output) > 1:
        return path.with_name(f"{name}-{path.name}")
    needs_prefix = len(flags.protocol) > 1 or ALL_PROTOCOLS in flags.protocol
    return path.with_name(f"{protocol}-{path.name}") if needs_prefix else path


def _progress(stream, protocol: Protocol, count: int):
    variants = len(protocol.occlusion.variants) if protocol.occlusion else 1
    with progress.bar(
        title=protocol.name, total=count * variants, unit="people"
    ) as bar:
        for batch, predictions in stream:
            yield batch, predictions
            bar.update(len(batch["image"]))


def _draw_examples(flags, source, people, rows, scores, out: Path) -> str:
    """Draws typical and worst examples; returns the name of the file."""
    index, errors = scores.ranking()
    if not len(index) or scores.protocol.occlusion:
        return ""

    def draw_rows(positions: list[int]) -> dict[int, np.ndarray]:
        selected = rows[index[positions]]
        dataset = _dataset(flags, source, people, selected)
        faces = source.body.data.faces
        overlays = example_pages.examples(source.stream(dataset), faces)
        return dict(zip(positions, overlays, strict=False))

    return example_pages.draw(out, errors, draw_rows, scores.ranked)


def _baselines(mean, protocol, body, context) -> dict[str, evaluator.Baseline]:
    """Baselines that predict the training set's mean; {} without a mean."""
    if mean is None or protocol.occlusion:
        return {}
    baselines = {
        name: evaluator.Baseline(body, mean, protocol, context, true_rotation)
        for name, true_rotation in BASELINES.items()
    }
    return {
        name: baseline
        for name, baseline in baselines.items()
        if baseline.measures
    }


def _training_sources(flags: Evaluate) -> tuple[config.Source, ...]:
    """Training sources of --train-records, or else those stored by the run."""
    if flags.train_records:
        return (config.Source(records=flags.train_records),)
    stored = predictors.run_notes(flags.weights).get("sources", ())
    return tuple(
        config.Source(**{**source, "shards": tuple(source["shards"])})
        for source in stored
    )


def _training_records(flags: Evaluate) -> list[dict[str, str]]:
    """Reader and rules of the training records, as the run's start saw them.

    Runs that did not store them have those of the folders as they are now.
    """
    notes = {} if flags.train_records else predictors.run_notes(flags.weights)
    stored = notes.get("training_records")
    return stored or sources.made_by(_training_sources(flags))


def _training_mean(flags: Evaluate) -> Mean | None:
    """Mean pose and shape of the training records; None without them."""
    training_sources = _training_sources(flags)
    if not training_sources and flags.predictions:
        return None
    try:
        mean = statistics.mean_pose(training_sources)
    except FileNotFoundError as error:
        log.warning("No baselines: %s", error)
        return None
    if mean is None:
        log.warning("No baselines: name records with --train-records.")
    return mean
