"""Draws stored fits: the work of training.draw_fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import image_writing
from tf_hmr.geometry import camera, translation
from tf_hmr.smplify import in_the_loop
from training import config, visualization
from training.data.pipeline import batches
from training.engine import fit_store, workdir

if TYPE_CHECKING:
    from training.draw_fits import Options

SIDE = int(in_the_loop.SIDE)
_BATCH = 32
_COLUMNS = 2


def draw(options: Options) -> int:
    """Writes the figure; returns the number of fits in it.

    Raises:
        ValueError: the run has no fits, or none of its own records, or has
            another body; the figure is not a .png.
    """
    store, step = _store(options.run)
    data = BodyData.load(options.body)
    topology = workdir.noted(options.run)["topology"]
    data.check_same_topology(topology, f"The run {options.run}")
    body = Body(data, jit=False)
    rows = []
    for batch, row in _examples(options.run, store):
        if len(rows) == options.count:
            break
        rows.append(_draw_fit(body, batch, row, store))
    if not rows:
        raise ValueError(
            f"None of the {len(store)} fits in {options.run} is of the "
            "records that the run names. Bring them back to where they were."
        )
    title = f"step {step}: {len(rows)} of {len(store)} fits"
    figure = visualization.sheet(rows, title, columns=_COLUMNS)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    image_writing.write(options.out, figure)
    return len(rows)


def _store(run: Path) -> tuple[fit_store.FitStore, int]:
    """The fits of the newest checkpoint, and its step."""
    steps = workdir.saved_steps(run)
    if not steps or not fit_store.path_of(run, steps[-1]).exists():
        raise ValueError(
            f"{run} holds no fits, expected {run / fit_store.FOLDER}. "
            "Train an experiment that keeps some, as spin_quick."
        )
    store = fit_store.FitStore()
    store.load(run, steps[-1])
    return store, steps[-1]


def _examples(
    run: Path, store: fit_store.FitStore
) -> Iterator[tuple[dict, int]]:
    """Batches and rows of the examples that have a fit."""
    sources = [
        config.Source(**source | {"shards": tuple(source["shards"])})
        for source in workdir.noted(run)["sources"]
    ]
    run_config = workdir.read_json(run / workdir.CONFIG_FILE)
    scale = run_config["method"]["crop_scale"]
    # Sources without labelled poses first, since the fits are of those.
    for source in sorted(sources, key=lambda source: source.labels != "2d"):
        for batch in batches.eval_dataset(source, _BATCH, SIDE, scale):
            _, has_fit = store.look_up(batch["example_key"].numpy())
            for row in np.flatnonzero(has_fit):
                yield batch, int(row)


def _draw_fit(body, batch, row: int, store) -> tuple[str, np.ndarray]:
    """Caption and overlay of the fit of one row of the batch."""
    batch_of_one = {name: value[row : row + 1] for name, value in batch.items()}
    fit = store.read(batch_of_one)
    vertices, joint_positions, _ = body(fit.rotmats, fit.betas)
    index = joints.select(body.joint_names, of=joints.KEYPOINTS)
    true = tf.gather(batch_of_one["keypoints"], index, axis=1)
    half = in_the_loop.SIDE / 2
    offset = translation.estimate(
        joint_positions,
        true * (half, half, 1.0),
        in_the_loop.FOCAL,
        in_the_loop.CENTRE,
    )
    scale = in_the_loop.FOCAL / half / offset[:, 2:]
    weak_camera = tf.concat([scale, offset[:, :2]], axis=1)
    projected = camera.project_perspective(
        joint_positions + offset[:, None],
        in_the_loop.FOCAL / half,
        in_the_loop.CENTRE,
    )
    error = half * tf.norm(projected - true[..., :2], axis=-1)
    is_visible = true[..., 2] > 0
    mean = tf.reduce_mean(error[is_visible])
    arrays = (
        fit.rotmats,
        fit.betas,
        weak_camera,
        joint_positions,
        projected,
        vertices,
    )
    prediction = method.Prediction(*(value.numpy() for value in arrays))
    example = {name: value.numpy() for name, value in batch_of_one.items()}
    name = example["example_id"][0].decode(errors="replace")
    overlay = visualization.example(example, prediction, 0, body.data.faces)
    return f"{name}: {mean:.1f} px of {SIDE}", overlay
