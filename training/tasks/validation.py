"""The evaluation of a run while it trains, on a split of its records."""

import dataclasses
import functools
import logging

import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from training import config, visualization
from training.data.pipeline import batches, statistics
from training.data.records import records_folder
from training.engine import model_selection
from training.evaluation import evaluator, protocols

SPLIT = "val"
BATCH = 50
PICTURES = 4


def evaluation(
    data: config.Data, faces: np.ndarray, with_mean: bool = False
) -> model_selection.Evaluate | None:
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
                SPLIT,
            )
        return None
    source = dataclasses.replace(
        source, split=SPLIT, labels="all", shards=(0, 1)
    )
    protocol = dataclasses.replace(
        protocols.get("synthetic_v1"),
        name="validation",
        splits=(SPLIT,),
        measures=evaluator.BASELINE_MEASURES,
    )

    # Made once: each one keeps its callbacks in memory for ever.
    @functools.cache
    def dataset_of(
        image_size: int, crop_scale: float, metres: float
    ) -> tf.data.Dataset:
        return batches.eval_dataset(
            source,
            BATCH,
            image_size,
            crop_scale,
            data.max_bad_share,
            crop_m=metres,
        )

    @functools.cache
    def of_mean_pose(method: methods.Method) -> dict[str, float]:
        mean = statistics.mean_pose(data.sources)
        if mean is None:
            return {}
        context = evaluator.make_context(method.body, method.joint_names)
        baseline = evaluator.Baseline(
            method.body, mean, protocol, context, true_rotation=False
        )
        dataset = dataset_of(
            method.image_size, method.config.crop_scale, method.config.crop_m
        )
        for batch in dataset.as_numpy_iterator():
            baseline.add(batch)
        return {f"mean_pose_{n}": v for n, v in baseline.summary().items()}

    def evaluate(method: methods.Method) -> model_selection.Evaluation:
        dataset = dataset_of(
            method.image_size, method.config.crop_scale, method.config.crop_m
        )
        values = evaluator.measure(method, dataset, protocol).summary()
        if with_mean:
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
    split = records_folder.read_report(source.records)["splits"].get(SPLIT)
    # Rendered people have all labels; readers of datasets count them.
    return bool(split) and split.get("labels", {}).get("joints3d", 1) > 0
