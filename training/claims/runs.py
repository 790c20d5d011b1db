"""Trains and measures the networks that claims compare.

Each run has its own workdir, OUT/<configuration>/seed-<k>, which training.fit
continues after a kill; claims.json there holds the measured values with the
size of the run. Claims share runs. A configuration with learning rates to
choose from first trains one network for each, below
OUT/<configuration>/rates.
"""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import method as methods
from tf_hmr.geometry import rotations
from training import config
from training.claims import descents, points, rules
from training.data.pipeline import batches, statistics
from training.data.records import mocap
from training.engine import run_log, workdir
from training.evaluation import evaluator, occlusion, protocols

PROTOCOL = "synthetic_v1"
PARTS_PROTOCOL = "synthetic_smplr"
RESULT = "claims.json"
RATE_RESULT = "rate.json"
DESCENT_RESULT = "descent.json"
# The rotation of a joint is implausible when it is further from the joint's
# mean rotation than in all but one of a thousand real poses.
IMPLAUSIBLE = 99.9
BATCH = 50
MEAN_POSE = "mean_pose"
"""The baseline that a network must beat, in the results of an evaluation."""
RATE_SEED = 1000
"""Seed of the networks that choose a learning rate; none of them is judged."""
ADVERSARY_RATE = 10
"""Learning rate of the adversary over that of the encoder, as in `quick`."""


@dataclasses.dataclass(frozen=True)
class Size:
    """The cost of a run; results of different sizes are not compared."""

    steps: int
    """Training steps."""
    occluded_people: int
    """Number of people measured behind each occluder."""
    rate_steps: int = 2000
    """Training steps for each learning rate to choose from."""
    descent_steps: int = 600
    """Training steps of stages without pictures."""
    point_steps: int = 1500
    """Training steps of networks that see points alone."""


class Measured(NamedTuple):
    """Values of one network, and of the constant that it must beat."""

    metrics: dict[str, float]
    constants: dict[str, float]
    """Metrics of always predicting the mean pose of the training records."""


class RunError(RuntimeError):
    """A command failed; the message names it."""


def result(
    name: str, seed: int, size: Size, out: Path, records: str
) -> Measured:
    """Values of one run, which is trained and measured if it is missing.

    Args:
        name: of rules.CONFIGURATIONS.
        seed: seed of weights and data.
        size: the cost of the run.
        out: folder of the runs.
        records: folder of the record folders.

    Raises:
        RunError: training or evaluation failed.
    """
    folder = out / name / f"seed-{seed}"
    stored_values = stored(name, seed, size, out)
    if stored_values is not None:
        return stored_values
    configuration = rules.CONFIGURATIONS[name]
    if not configuration.has_pictures:
        return _without_pictures(configuration, folder, seed, size, records)
    options = configuration.options
    if configuration.rates:
        options += _rate_options(best_rate(name, size, out, records))
    own = configuration.own_steps
    steps = None if own else size.steps
    _train(configuration.experiment, folder, records, steps, seed, options)
    # Means of all labels, also for networks that learn from none of them.
    _run(
        "training.evaluate",
        *("--weights", folder, "--protocol", PROTOCOL, "--records", records),
        *("--train-records", Path(records) / "synthetic"),
    )
    evaluation = json.loads(
        (folder / "results" / f"{PROTOCOL}.json").read_text()
    )
    values = Measured(
        _metrics(configuration, folder, evaluation, size, records),
        evaluation["baselines"].get(MEAN_POSE, {}),
    )
    workdir.write_json(
        folder / RESULT, {**dataclasses.asdict(size), **values._asdict()}
    )
    return values


def _without_pictures(configuration, folder, seed, size, records) -> Measured:
    """Values of networks without pictures, trained in this process."""
    folders = str(Path(records) / "synthetic"), str(Path(records) / PROTOCOL)
    if configuration.points:
        landmarks = configuration.points == "landmarks"
        metrics = points.measure(landmarks, seed, size.point_steps, *folders)
    else:
        metrics = descents.measure(
            configuration.meta_loss, seed, size.descent_steps, *folders
        )
    values = Measured(metrics, {})
    folder.mkdir(parents=True, exist_ok=True)
    workdir.write_json(
        folder / RESULT, {**dataclasses.asdict(size), **values._asdict()}
    )
    return values


def _metrics(
    configuration, folder, evaluation, size, records
) -> dict[str, float]:
    """Metrics of the evaluation, and those that only claims need."""
    method = methods.load(folder)
    dataset = batches.eval_dataset(
        config.Source(str(Path(records) / PROTOCOL), split="test"),
        BATCH,
        method.image_size,
        method.config.crop_scale,
        crop_m=getattr(method.config, "crop_m", 0.0),
    )
    metrics = evaluation["metrics"] | {
        "parameters": evaluation["parameters"],
        "trained_s": _trained_s(folder),
        "implausible_pct": implausible_pct(
            method, dataset, mocap.read(str(Path(records) / "synthetic"))
        ),
    }
    if configuration.occluded:
        metrics |= _occluded(method, dataset, size)
    if configuration.outputs:
        metrics |= _outputs(configuration.outputs, folder, records)
    if configuration.searched:
        metrics |= _descent(folder, records, configuration.searched)
    return metrics


def _outputs(names, folder: Path, records: str) -> dict[str, float]:
    """Errors of parts of the method, and what the denoiser gains."""
    _run(
        *("training.evaluate", "--weights", folder, "--records", records),
        *("--protocol", PARTS_PROTOCOL, "--output", *names),
    )
    metrics = {}
    for name in names:
        path = folder / "results" / f"{PARTS_PROTOCOL}-{name}.json"
        content = json.loads(path.read_text())
        metrics[f"{name}_mm"] = content["metrics"][rules.MPJPE]
    if {"cnn", "denoised"} <= set(names):
        share = metrics["denoised_mm"] / metrics["cnn_mm"]
        metrics["denoised_gain_pct"] = 100 * (1 - share)
    return metrics


def _descent(folder: Path, records: str, searched: int) -> dict[str, float]:
    """Metrics of the stages, and of BFGS beside them, for `searched` people."""
    out = folder / "descent"
    _run(
        *("training.descent", "--weights", folder, "--out", out),
        *("--records", Path(records) / PROTOCOL, "--searched", searched),
    )
    return descent_metrics(json.loads((out / DESCENT_RESULT).read_text()))


def descent_metrics(content: dict) -> dict[str, float]:
    """What claims read of a result of training.descent.

    Where BFGS never came to the stages' loss, all of its time counts.
    """
    first, last = content["stages"][0], content["stages"][-1]
    metrics = {}
    for name, value in first.items():
        metrics |= {f"{name}_first": value, f"{name}_last": last[name]}
    search = content["search"]
    mean, after_stages = search["starts"][0], search["starts"][-1]
    to_stages = mean["ms_to_hund"]
    return metrics | {
        "stages_ms": search["stages_ms"],
        "bfgs_ms_to_stages": mean["ms"] if to_stages is None else to_stages,
        "angle_bfgs_from_mean_deg": mean["after"]["angle_deg"],
        "angle_bfgs_from_stages_deg": after_stages["after"]["angle_deg"],
        "loss_searched_last": after_stages["before"]["loss"],
        "loss_bfgs_from_stages": after_stages["after"]["loss"],
    }


def stored(name: str, seed: int, size: Size, out: Path) -> Measured | None:
    """Stored values of a run of this size; None if it is not measured.

    Runs without constants are older than ADVERSARY_RATE, and measured anew.
    """
    path = out / name / f"seed-{seed}" / RESULT
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    configuration = rules.CONFIGURATIONS[name]
    if configuration.meta_loss:
        if content["descent_steps"] != size.descent_steps:
            return None
        return Measured(content["metrics"], content["constants"])
    if configuration.points:
        if content["point_steps"] != size.point_steps:
            return None
        return Measured(content["metrics"], content["constants"])
    other_steps = content["steps"] != size.steps and not configuration.own_steps
    if other_steps or "constants" not in content:
        return None
    if configuration.occluded and (
        content["occluded_people"] != size.occluded_people
    ):
        return None
    if configuration.rates and content["rate_steps"] != size.rate_steps:
        return None
    return Measured(content["metrics"], content["constants"])


def best_rate(name: str, size: Size, out: Path, records: str) -> float:
    """The learning rate whose network has the smallest error on the val split.

    Args:
        name: a configuration with rates.
        size: the cost of a run.
        out: folder of the runs.
        records: folder of the record folders.

    Raises:
        RunError: a training failed, or has no val split.
    """
    configuration = rules.CONFIGURATIONS[name]
    errors = {}
    for rate in configuration.rates:
        folder = out / name / "rates" / f"{rate:g}-{size.rate_steps}"
        if not (folder / RATE_RESULT).is_file():
            _train(
                *(configuration.experiment, folder, records),
                *(size.rate_steps, RATE_SEED),
                configuration.options + _rate_options(rate),
            )
            content = {rules.TRUE_ROOT: _validation_error(folder)}
            workdir.write_json(folder / RATE_RESULT, content)
        error = json.loads((folder / RATE_RESULT).read_text())[rules.TRUE_ROOT]
        errors[rate] = error
    # NaN last.
    rate = min(errors, key=lambda r: (math.isnan(errors[r]), errors[r]))
    texts = ", ".join(f"{r:g}: {error:.1f}" for r, error in errors.items())
    print(f"  learning rates ({rules.TRUE_ROOT}): {texts}; {rate:g} is taken")
    return rate


def _rate_options(rate: float) -> tuple[str, ...]:
    adversary = ADVERSARY_RATE * rate
    return (
        *("--optim.lr", f"{rate:g}"),
        *("--optim.lr-adversary", f"{adversary:g}"),
    )


def _validation_error(folder: Path) -> float:
    """The last error on the val split.

    Raises:
        RunError: there is none.
    """
    errors = [
        line[rules.TRUE_ROOT]
        for line in run_log.read_metrics(folder / run_log.METRICS_FILE)
        if rules.TRUE_ROOT in line
    ]
    if not errors:
        raise RunError(
            f"{folder} was not measured on a val split with poses, so that no "
            "learning rate can be chosen. Make such records: "
            "`python -m training.prepare synthetic`."
        )
    return errors[-1]


def _train(experiment, folder, records, steps, seed, options) -> None:
    """Trains a network, with one evaluation, at the end.

    Without steps, those of the experiment's stages.
    """
    length = () if steps is None else ("--steps", steps)
    _run(
        *("training.fit", experiment),
        *("--workdir", folder, "--records", records, *length),
        *("--seed", seed, "--data.seed", seed),
        *("--eval-every", steps or 0, *options),
    )


def implausible_pct(method, dataset, real: mocap.Prior) -> float:
    """Per cent of predicted poses with an implausible joint rotation.

    Args:
        method: the method to measure.
        dataset: of batches.eval_dataset.
        real: real poses, which define the plausible range.
    """
    mean = statistics.mean_of_prior(real)[0][1:]
    pose = real.pose.reshape(len(real.pose), -1, 3)[:, 1:]
    bounds = np.percentile(
        _from_mean(rotations.rotvec_to_rotmat(pose), mean), IMPLAUSIBLE, axis=0
    )
    is_implausible = [
        (_from_mean(prediction.rotmats[:, 1:], mean) > bounds).any(axis=1)
        for _, prediction in evaluator.predictions(method, dataset)
    ]
    return 100 * float(np.concatenate(is_implausible).mean())


def _from_mean(rotmats, mean) -> np.ndarray:
    """Angles (N, J) between rotations (N, J, 3, 3) and means (J, 3, 3)."""
    mean = np.broadcast_to(mean.astype(np.float32), rotmats.shape)
    return rotations.geodesic_distance(rotmats, mean).numpy()


def _occluded(method, dataset, size: Size) -> dict[str, float]:
    """Errors behind occluders, and their increase over no occluder.

    All are with the true root rotation: limbs are what an occluder hides.
    """
    people = dataset.unbatch().take(size.occluded_people).batch(BATCH)
    protocol = dataclasses.replace(protocols.get(PROTOCOL), true_root=True)
    errors = occlusion.errors(method, people, protocol)
    unoccluded = errors[occlusion.NONE]
    metrics = {rules.UNOCCLUDED: unoccluded}
    for pattern in occlusion.PATTERNS:
        pattern_errors = {
            degree: errors[pattern, degree] for degree in occlusion.DEGREES
        }
        metrics |= {
            rules.error_behind(pattern, degree): error
            for degree, error in pattern_errors.items()
        }
        mean = float(np.mean(list(pattern_errors.values())))
        metrics[rules.lost(pattern)] = mean - unoccluded
    return metrics


def _trained_s(folder: Path) -> float:
    lines = run_log.read_metrics(folder / run_log.METRICS_FILE)
    return max(line.get("trained_s", 0.0) for line in lines)


def _run(module: str, *words) -> None:
    command = [sys.executable, "-m", module, *map(str, words)]
    command_text = " ".join(["python", *command[1:]])
    print(f"  {command_text}", flush=True)
    if subprocess.run(command).returncode:
        raise RunError(
            f"This command failed: {command_text}\nIf its folder belongs to "
            "another configuration or version, choose another --out."
        )
