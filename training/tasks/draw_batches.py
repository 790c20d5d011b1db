"""Draws augmented crops: the work of training.draw_batches."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tf_hmr.formats import image_writing
from training import config, visualization
from training.data.pipeline import batches, label_checks, warp

if TYPE_CHECKING:
    from training.draw_batches import Options


def draw(options: Options) -> int:
    """Writes the figure; returns the number of people.

    Raises:
        FileNotFoundError: records or pictures are missing.
        ValueError: the records have no mask, or options make no sense.
    """
    config.config_values.check(options.augment, "")
    plain = dataclasses.replace(options.augment, background=0.0, objects=0.0)
    source = config.Source(str(options.records))
    panels = []
    for augment in (plain, options.augment):
        data = config.Data(
            (source,), options.count, augment, prior="", seed=options.seed
        )
        if missing := label_checks.missing_masks(data):
            raise ValueError(missing)
        dataset = batches.train_dataset(data.sources, data, options.image_size)
        batch = warp.finish(next(iter(dataset)), options.image_size)
        panels.append({k: v.numpy() for k, v in batch.items()})
    rows = []
    for person in range(options.count):
        crops = [
            visualization.draw_truth(
                np.uint8(np.clip(np.rint(batch["image"][person]), 0, 255)),
                batch["keypoints"][person],
            )
            for batch in panels
        ]
        name = panels[0]["example_id"][person].decode()
        rows.append((name, visualization.side_by_side(crops)))
    sheet = visualization.sheet(rows, columns=3)
    image_writing.write(options.out, sheet)
    return options.count
