"""A run that is killed and continued, against one that was not.

The killed run ends itself by SIGKILL when a batch is drawn, past a checkpoint;
the same command then continues. A second run that nothing interrupts shows
whether the device repeats itself at all: cuDNN and other kernels of a GPU may
add in an order that changes from run to run. Where it does not, all is done
again with TF_DETERMINISTIC_OPS=1.
"""

import dataclasses
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from training import config
from training.engine import devices, loop, run_log
from training.gpu_checks import networks, processes

DETERMINISTIC = {"TF_DETERMINISTIC_OPS": "1"}
_WALL_CLOCK = ("images_per_s", "trained_s")  # fields that no run repeats
Curve = list[dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long the runs are."""

    steps: int = 16
    """Steps of a run."""
    save_every: int = 5
    """Steps between checkpoints."""
    kill_at: int = 12
    """Step whose batch is drawn when the run is killed; between two saves."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of the curve."""

    passed: bool
    """Whether it is the same, if need be with the setting."""
    setting: str
    """The setting that makes it the same; empty where none is needed."""
    text: str
    """The result in a sentence or two."""


def check(
    device_flag: str,
    network: networks.Network,
    batch_size: int,
    plan: Plan = Plan(),
    train: Callable | None = None,
) -> Result:
    """Trains, kills and continues in processes of their own.

    Args:
        device_flag: devices as in training.fit.
        network: the network.
        batch_size: images of a step.
        plan: lengths.
        train: in place of `train_here`.

    Raises:
        processes.CheckError: a run failed.
    """
    arguments = (train or train_here, device_flag, network, batch_size, plan)
    curves = _curves(*arguments, environment={})
    result = verdict(*curves)
    if result is None:
        curves = _curves(*arguments, environment=DETERMINISTIC)
        result = verdict_with_setting(*curves)
    return result


def verdict(
    uninterrupted: Curve, repeated: Curve, continued: Curve
) -> Result | None:
    """Judges three curves; None where the device does not repeat itself.

    Args:
        uninterrupted: of a run that nothing interrupts.
        repeated: of another one.
        continued: of a run that was killed and continued.
    """
    if continued == uninterrupted:
        return Result(
            True,
            "",
            f"the same {len(uninterrupted)} steps after the kill, bit for bit",
        )
    if repeated == uninterrupted:
        step = _first_difference(uninterrupted, continued)
        return Result(
            False,
            "",
            f"the continued run leaves the curve at step {step}, though an "
            "uninterrupted one repeats it: the checkpoint lacks some of the "
            "state",
        )
    return None


def verdict_with_setting(
    uninterrupted: Curve, repeated: Curve, continued: Curve
) -> Result:
    """Judges three curves of a device whose kernels are fixed."""
    (setting,) = (f"{name}={value}" for name, value in DETERMINISTIC.items())
    reason = (
        "without it two uninterrupted runs differ as well: kernels add in an "
        "order that changes"
    )
    result = verdict(uninterrupted, repeated, continued)
    if result is None:
        step = _first_difference(uninterrupted, repeated)
        text = f"even with {setting} two runs differ, at step {step}"
        return Result(False, setting, text)
    return Result(
        result.passed, setting, f"with {setting}: {result.text}; {reason}"
    )


def _first_difference(uninterrupted: Curve, compared: Curve) -> int:
    """The first step whose line is missing or different."""
    for number, line in enumerate(uninterrupted):
        if compared[number : number + 1] != [line]:
            return int(line["step"])
    return len(uninterrupted) + 1


def _curves(
    train, device_flag, network, batch_size, plan, environment
) -> tuple[Curve, Curve, Curve]:
    """The curves of an uninterrupted run, another one, and a killed one."""

    def run(folder: Path, kill_at: int | None = None) -> None:
        arguments = (
            str(folder),
            device_flag,
            network,
            batch_size,
            plan,
            kill_at,
        )
        try:
            processes.call(train, *arguments, environment=environment)
        except processes.NoMemoryError:
            if kill_at is None:  # Else it is our own SIGKILL.
                raise

    with tempfile.TemporaryDirectory() as name:
        uninterrupted, repeated, killed = (
            Path(name) / folder for folder in ("whole", "repeated", "killed")
        )
        run(uninterrupted)
        run(repeated)
        run(killed, plan.kill_at)
        lines = len(curve(killed))
        if lines >= plan.steps:
            raise processes.CheckError("the run ended before it was killed")
        run(killed)
        return curve(uninterrupted), curve(repeated), curve(killed)


def curve(workdir: Path) -> Curve:
    """The lines of a run's journal, without times."""
    lines = run_log.read_metrics(workdir / run_log.METRICS_FILE)
    return [
        {name: v for name, v in line.items() if name not in _WALL_CLOCK}
        for line in lines
    ]


def train_here(
    folder: str,
    device_flag: str,
    network: networks.Network,
    batch_size: int,
    plan: Plan,
    kill_at: int | None,
) -> None:
    """Trains in this process, which SIGKILL may end; arguments of `check`.

    Args:
        folder: the workdir.
        device_flag: devices.
        network: the network.
        batch_size: images of a step.
        plan: lengths.
        kill_at: step at which the process kills itself; None: never.
    """
    if os.environ.items() >= DETERMINISTIC.items():
        # TensorFlow reads the variable when it starts, as training.fit has it.
        tf.config.experimental.enable_op_determinism()

    def on_step(step):
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return step

    strategy = devices.strategy(device_flag)
    networks.check_divides(batch_size, strategy.num_replicas_in_sync)
    model = networks.build(strategy, network, "float32")
    batch = networks.labelled_batch(network.config.image_size, batch_size)
    loop.train(
        config.Experiment(
            method=network.config,
            data=config.Data(batch_size=batch_size),
            steps=plan.steps,
            log_every=1,
            save_every=plan.save_every,
        ),
        model,
        strategy,
        networks.dataset_maker(batch, on_step),
        None,
        Path(folder),
    )
