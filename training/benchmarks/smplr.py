r"""Times a step of SMPLR's parts beside the paper's Table 5.

    python -m training.benchmark smplr
    python -m training.benchmark smplr --parts dae smplr
    python -m training.benchmark smplr --stacks 1 --parts 2d volumetric
    python -m training.benchmark smplr --gpu

Parts are the 2D hourglass, the volumetric one, the denoiser, and SMPLR: all
that reads a body from points, with the body on top. Train is a step with
gradients and Adam, of SMPLR one of the denoiser, of Psi and of Omega with
L_SMPL each; steps without pictures also draw their bodies. Test goes forward.
Seconds are the processor's on one thread, the time on an idle machine, or with
--gpu the clock's. Input is random and in memory. The paper's figures are of a
GTX 1080 Ti.
"""

import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import numpy as np

from tf_hmr import progress
from training.benchmarks import _peers
from training.papers import paper_tables

ROWS = ("Train", "Test", "Test, one by one")
COLUMNS = {
    "2d": "SHN, 2D",
    "volumetric": "SHN, volumetric",
    "dae": "DAE",
    "smplr": "SMPLR",
}
"""Parts, and the groups of their columns in the paper's table."""
_WITH_PICTURES = ("2d", "volumetric")


@dataclasses.dataclass
class Options:
    """Seconds of a step of SMPLR's parts."""

    parts: tuple[str, ...] = tuple(COLUMNS)
    """Of 2d, volumetric, dae and smplr."""
    images: int = 6
    """Batch of the hourglasses, as the paper's."""
    points: int = 256
    """Batch of the networks without pictures, as the paper's."""
    stacks: int = 5
    """Hourglasses in a row."""
    width: int = 256
    """Channels of the hourglasses."""
    image_size: int = 256
    """Side of the crops in pixels."""
    hidden: int = 1024
    """Units of the networks without pictures."""
    rounds: int = 3
    """Measurements; the median counts."""
    gpu: bool = False
    """Measure on the GPU, by the clock."""
    json: pathlib.Path | None = None
    """File to write the table to as json."""


def run(options: Options) -> list[dict]:
    """Measures and prints; returns the cells.

    Raises:
        ValueError: a part is unknown, or there is no GPU to measure on.
    """
    unknown = sorted(set(options.parts) - set(COLUMNS))
    if unknown:
        raise ValueError(f"No part {unknown}. There are: {list(COLUMNS)}.")
    if not options.gpu:
        _peers.one_core()
    import tensorflow as tf

    if options.gpu and not tf.config.get_visible_devices("GPU"):
        raise ValueError("--gpu: TensorFlow sees no GPU. Leave it out.")
    cells = []
    print(f"{'part':18s}{'step':18s}{'batch':>6s}{'s':>10s}{'paper, s':>10s}")
    for part in options.parts:
        calls, batches = _calls(part, options)
        for row, call, batch in zip(ROWS, calls, batches, strict=True):
            seconds = _seconds(call, options)
            cell = {
                "part": COLUMNS[part],
                "step": row,
                "batch": batch,
                "seconds": seconds,
            } | _printed(part, row)
            cells.append(cell)
            # The paper's figures are of its own batch.
            same = cell["paper_batch"] == batch
            paper = f"{cell['paper_s']:g}" if same else "-"
            print(
                f"{COLUMNS[part]:18s}{row:18s}{batch:6d}{seconds:10.4f}"
                f"{paper:>10s}",
                flush=True,
            )
            if options.json:
                options.json.write_text(json.dumps(cells, indent=2) + "\n")
    return cells


def _printed(part: str, row: str) -> dict[str, float]:
    """The paper's batch and seconds."""
    (table,) = (t for t in paper_tables.tables() if t.name == "smplr_5")
    (line,) = (r for r in table.rows if r.label == row)
    values = {
        column.heading: value
        for column, value in zip(table.columns, line.values, strict=True)
        if column.group == COLUMNS[part]
    }
    return {
        "paper_batch": int(values["batch"]),
        "paper_s": float(values["time"]),
    }


def _seconds(call: Callable, options: Options) -> float:
    """Median of the rounds, after one that compiles."""
    clock = time.perf_counter if options.gpu else time.process_time
    call()
    times = []
    for _ in progress.bar(range(options.rounds), "rounds", unit="round"):
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times)


def _calls(part: str, options: Options) -> tuple[list[Callable], list[int]]:
    """Calls of ROWS, and their batches."""
    import tensorflow as tf

    from tf_hmr import method as methods
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body
    from tf_hmr.methods import smplr

    with_pictures = part in _WITH_PICTURES
    config = smplr.Config(
        image_size=options.image_size,
        hidden=options.hidden,
        scale="learned",
        **(
            {"stacks": options.stacks, "width": options.width}
            if with_pictures
            else {"stacks": 1, "width": 8, "levels": 1, "stem": (8, 8, 8)}
        ),
        **({"bins": 1} if part == "2d" else {}),
    )
    # XLA would take minutes for a body that is a small share of the step.
    model = methods.build(config, Body(BodyData.load("open"), jit=False))
    count = options.images if with_pictures else options.points
    if with_pictures:
        batch = _images(count, options.image_size)
        names = ("encoder",)

        @tf.function(autograph=False)
        def test(images):
            inputs = {"image": images}
            volumes = model.encoder(model.encoder.inputs(inputs))
            return model.encoder.maps(volumes, inputs).points

        values = batch["image"]
    else:
        batch = _bodies(count)
        names = ("denoiser",)
        if part == "smplr":
            names += ("shape", "pose_smpl")

        @tf.function(autograph=False)
        def test(points):
            if part == "dae":
                return model.regressor.denoised(points)
            return _body_of(model, points)

        noise = np.random.default_rng(0).normal(
            0, 0.3, (count, len(model.points.names), 3)
        )
        values = tf.constant(noise, tf.float32)
    train = _train(model, names, batch)
    return [
        train,
        lambda: np.asarray(test(values)),
        lambda: np.asarray(test(values[:1])),
    ], [count, count, 1]


def _body_of(model, points):
    """The vertices (B, V, 3) that SMPLR reads from points."""
    from tf_hmr.methods import _smplr_regressor

    estimate = model.regressor(points)
    rotmats = _smplr_regressor.rotations_of(estimate)
    return model.body(rotmats, estimate.betas).vertices


def _train(model, names, batch) -> Callable:
    """Takes a step of each of the parts."""
    import tensorflow as tf

    from training import config
    from training.engine import step as steps

    strategy = tf.distribute.get_strategy()
    taken = [
        steps.Step(strategy, model, config.Stage(n, 1, part=n)) for n in names
    ]

    def train():
        for step in taken:
            step(iter([batch]), 1)

    return train


def _images(count: int, side: int) -> dict:
    """Random labelled pictures."""
    import tensorflow as tf

    from tf_hmr import joints

    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.3, (count, len(joints.KEYPOINTS), 3))
    points[..., 2] = 1
    arrays = {
        "image": rng.uniform(0, 255, (count, side, side, 3)),
        "keypoints": points,
        "rotmats": np.tile(np.eye(3), (count, 24, 1, 1)),
        "betas": rng.normal(size=(count, 10)),
        "has_pose": np.ones(count),
        "has_betas": np.ones(count),
        "gender": np.ones(count),
    }
    return {k: tf.constant(v, tf.float32) for k, v in arrays.items()}


def _bodies(count: int) -> dict:
    """Random unpaired poses."""
    import tensorflow as tf

    from tf_hmr.geometry import rotations

    rng = np.random.default_rng(0)
    rotvecs = tf.constant(rng.normal(0, 0.2, (count, 24, 3)), tf.float32)
    return {
        "prior_rotmats": rotations.rotvec_to_rotmat(rotvecs),
        "prior_betas": tf.constant(rng.normal(size=(count, 10)), tf.float32),
        "prior_gender": tf.ones(count),
    }
