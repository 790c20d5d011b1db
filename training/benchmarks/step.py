r"""Times training steps: images/s by encoder, precision and devices.

    python -m training.benchmark step
    python -m training.benchmark step --encoders resnet50 --batch 64 \
        --devices gpu:0 gpu:0,1 --precisions bfloat16 --json step.json

Each row is HMR with both players in a process of its own, on random batches
already in memory, so that no reading is measured. "bare" is the shortest code
for the same step: losses, gradients, Adam. "loop" is `training.engine.loop` as
`training.fit` runs it, from one line of its log to the next. Both are the
median of their rounds; the loop runs before and after the bare step. Memory is
the peak of the process, or of the first GPU, in the loop. A row that does not
fit into memory says so, and the next row follows.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import pathlib
import resource
import statistics
import tempfile
import time
from concurrent.futures import process

import numpy as np

from tf_hmr import progress

# Image side in pixels and batch size that suit a CPU.
SIZES = {"small": (96, 32), "mobilenet_v3": (224, 16)}
OTHER_SIZE = (224, 8)
LOG_EVERY = 4  # steps in a round


@dataclasses.dataclass
class Options:
    """Images per second of training steps."""

    encoders: tuple[str, ...] = ("small", "mobilenet_v3", "resnet50")
    """Encoders to time."""
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    """Precisions of the network's layers."""
    devices: tuple[str, ...] = ("auto",)
    """Devices as in training.fit: auto, cpu:2, gpu:0,1."""
    batch: int = 0
    """Images per step over all devices; 0: 32, 16 or 8 by the encoder."""
    rounds: int = 5
    """Rounds of 4 steps, of the loop and of the bare step."""
    steps_per_call: int = 1
    """Steps inside one call of the compiled graph."""
    json: pathlib.Path | None = None
    """File to write the table to as json."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table."""

    encoder: str
    precision: str
    devices: str
    image_size: int
    batch: int


class DoesNotFit(RuntimeError):
    """Error of a row that needs too much memory; its message is one line."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """Measurements of a row."""

    bare: float
    """Images/s; nan on several devices, which it does not support."""
    loop: float
    """Images/s."""
    memory_mib: float
    """Peak memory."""
    device: str
    """Name of the device."""


def run(options: Options) -> list[dict]:
    """Measures and prints; returns the rows."""
    rows = []
    print(
        f"{'encoder':14s}{'px':>4s}{'batch':>6s}  {'precision':10s}"
        f"{'devices':9s}{'bare':>8s}{'loop':>8s} images/s  overhead  memory"
    )
    for case in cases(options):
        print(
            f"{case.encoder:14s}{case.image_size:4d}{case.batch:6d}  "
            f"{case.precision:10s}{case.devices:9s}",
            end="",
            flush=True,
        )
        row = dataclasses.asdict(case)
        try:
            figures = _measure_in_subprocess(case, options)
        except (DoesNotFit, process.BrokenProcessPool) as error:
            print(f"does not fit: {error}", flush=True)
            row["does_not_fit"] = str(error)
        else:
            overhead = 100 * (figures.bare / figures.loop - 1)
            print(
                f"{figures.bare:8.1f}{figures.loop:8.1f} {overhead:15.1f} % "
                f"{figures.memory_mib:6.0f} MiB",
                flush=True,
            )
            row |= dataclasses.asdict(figures)
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n")
    names = {row["device"] for row in rows if "device" in row}
    print(f"device: {', '.join(names) or 'no row fits it'}")
    return rows


def cases(options: Options) -> list[Case]:
    """The rows to measure."""
    rows = []
    for encoder in options.encoders:
        size, batch = SIZES.get(encoder, OTHER_SIZE)
        rows += [
            Case(encoder, precision, devices, size, options.batch or batch)
            for precision in options.precisions
            for devices in options.devices
        ]
    return rows


def _measure_in_subprocess(case: Case, options: Options) -> Figures:
    """Measures in a fresh process: devices and peak memory cannot be reset."""
    # One task: the process ends with it, also where nobody waits any more.
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        return pool.submit(measure_if_it_fits, case, options).result()


def measure_if_it_fits(case: Case, options: Options) -> Figures:
    """Like `measure`.

    Raises:
        DoesNotFit: in one line that a process can pass on.
    """
    import tensorflow as tf

    try:
        return measure(case, options)
    except (tf.errors.OpError, MemoryError) as error:
        # Only the text: not every error of TensorFlow can be pickled.
        first_line = (str(error).strip() or "no memory").splitlines()[0]
        raise DoesNotFit(f"{type(error).__name__}: {first_line}") from None


def measure(case: Case, options: Options) -> Figures:
    """Builds the method and measures it, in this process."""
    from tf_hmr import method as methods
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body
    from tf_hmr.methods import hmr
    from training.engine import devices

    strategy = devices.strategy(case.devices)
    width = {"encoder_width": 16} if case.encoder == "small" else {}
    config = hmr.Config(
        image_size=case.image_size, encoder=case.encoder, **width
    )
    with strategy.scope(), devices.policy(case.precision):
        body = Body(BodyData.load("open"))
        method = methods.build(config, body)
    images = case.batch * LOG_EVERY
    # The loop's Adam moves the weights on; the time is the same.
    loop = loop_seconds(method, strategy, case, options)
    memory = peak_mib()  # before the bare step's own Adam
    bare = [np.nan]
    if strategy.num_replicas_in_sync == 1:
        bare = _bare(method, random_batch(case, 1), options.rounds)
    loop += loop_seconds(method, strategy, case, options)
    return Figures(
        bare=images / statistics.median(bare),
        loop=images / statistics.median(loop),
        memory_mib=memory,
        device=device_name(),
    )


def random_batch(case: Case, replicas: int) -> dict[str, np.ndarray]:
    """Random images and labels in the form of training.data.pipeline."""
    from tf_hmr import joints, method_inputs
    from tf_hmr.formats import openpose_files

    rng = np.random.default_rng(0)
    count = case.batch // replicas
    size, names = case.image_size, len(joints.KEYPOINTS)

    def poses(number):
        return np.tile(np.eye(3), (number, 24, 1, 1))

    batch = {
        "keypoints": rng.uniform(-1, 1, (count, names, 3)) > 0,
        "openpose": np.zeros((count, len(openpose_files.BODY25), 3)),
        "joints3d": rng.uniform(0, 1, (count, names, 4)),
        "rotmats": poses(count),
        "betas": rng.normal(size=(count, 10)),
        "prior_rotmats": poses(3 * count),
        "prior_betas": rng.normal(size=(3 * count, 10)),
        "gender": np.zeros(count),
        "prior_gender": np.zeros(3 * count),
    }
    inputs = method_inputs.example(tuple(method_inputs.INPUTS), size, count)
    del inputs["image"]
    for flag in ("has_pose", "has_betas", "has_joints3d"):
        batch[flag] = np.ones(count)
    for key in ("flip", "rotation_rad"):
        batch[key] = np.zeros(count)
    batch = {name: value.astype(np.float32) for name, value in batch.items()}
    return batch | {
        **inputs,
        "image": rng.integers(0, 256, (count, size, size, 3), np.uint8),
        "example_key": np.arange(count),
    }


def _bare(method, batch, rounds: int) -> list[float]:
    """Seconds of each round of the shortest equivalent step."""
    import keras
    import tensorflow as tf

    from training.data.pipeline import warp

    players = [
        (method.terms, method.player_variables(), keras.optimizers.Adam(1e-5)),
        (
            method.adversary_terms,
            method.adversary.trainable_variables,
            keras.optimizers.Adam(1e-4),
        ),
    ]
    for _, variables, optimizer in players:
        optimizer.build(variables)

    @tf.function(autograph=False)
    def step(batch):
        batch = warp.finish(batch, method.image_size)
        with tf.GradientTape(persistent=True) as tape:
            prediction = method(method.inputs(batch), training=True)
            losses = [
                tf.add_n(
                    term.weight
                    * tf.reduce_sum(term.total)
                    / tf.reduce_sum(term.count)
                    for term in terms(batch, prediction).values()
                )
                for terms, _, _ in players
            ]
        for loss, (_, variables, optimizer) in zip(
            losses, players, strict=True
        ):
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return losses[0]

    batch = {name: tf.constant(value) for name, value in batch.items()}
    step(batch).numpy()  # compiles
    seconds = []
    for _ in progress.bar(range(rounds), "bare steps", unit="round"):
        start = time.perf_counter()
        for _ in range(LOG_EVERY):
            step(batch).numpy()
        seconds.append(time.perf_counter() - start)
    return seconds


def loop_seconds(method, strategy, case: Case, options: Options) -> list[float]:
    """Seconds of each round of the real loop, without the first two."""
    import tensorflow as tf

    from training import config
    from training.engine import loop, run_log

    experiment = config.Experiment(
        method=method.config,
        data=config.Data(batch_size=case.batch),
        steps=(options.rounds + 2) * LOG_EVERY,
        log_every=LOG_EVERY,
        save_every=0,
        steps_per_call=options.steps_per_call,
    )

    def make_dataset(step, context):
        replicas = context.num_replicas_in_sync if context else 1
        return tf.data.Dataset.from_tensors(
            random_batch(case, replicas)
        ).repeat()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        loop.train(experiment, method, strategy, make_dataset, None, folder)
        times = _times(folder / run_log.EVENTS_FOLDER)
    # The first pays for compilation, the second for caches.
    return [b - a for a, b in itertools.pairwise(times)][1:]


def _times(folder: pathlib.Path) -> list[float]:
    """Times in seconds at which the loop wrote its lines, from TensorBoard.

    The intervals include all work of the loop, also its writing.
    """
    from tensorboard.backend.event_processing import event_accumulator

    all_tensors = {event_accumulator.TENSORS: 0}
    events = event_accumulator.EventAccumulator(str(folder), all_tensors)
    events.Reload()
    return [event.wall_time for event in events.Tensors("train/loss")]


def peak_mib() -> float:
    """Peak memory of this process, or of its first GPU, in MiB."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        info = tf.config.experimental.get_memory_info("GPU:0")
        return info["peak"] / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name() -> str:
    """Name and number of the GPUs in use, or of the processor's cores."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return f"{len(gpus)} x {details.get('device_name', 'GPU')}"
    return processor_name() or "a CPU"


def processor_name() -> str:
    """Cores and name of the processor, as Linux lists them; empty elsewhere."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [x.split(":")[1].strip() for x in lines if x.startswith("model n")]
    return f"{len(names)} x {names[0]}" if names else ""
