"""Trains and measures the networks that claims compare.

Each run has its own workdir, OUT/<configuration>/seed-<k>, which training.fit
continues after a kill; claims.json there holds the measured values with the
size of the run. Claims share runs.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tf_hmr import method as methods
from tf_hmr.geometry import rotations
from training import config
from training.claims import rules
from training.data.pipeline import batches, statistics
from training.data.records import mocap
from training.engine import run_log, workdir
from training.evaluation import evaluator, occlusion, protocols

PROTOCOL = "synthetic_v1"
RESULT = "claims.json"
# The rotation of a joint is implausible when it is further from the joint's
# mean rotation than in all but one of a thousand real poses.
IMPLAUSIBLE = 99.9
BATCH = 50


@dataclasses.dataclass(frozen=True)
class Size:
    """The cost of a run; results of different sizes are not compared."""

    steps: int
    """Training steps."""
    occluded_people: int
    """Number of people measured behind each occluder."""


class RunError(RuntimeError):
    """A command failed; the message names it."""


def result(
    name: str, seed: int, size: Size, out: Path, records: str
) -> dict[str, float]:
    """Metrics of one run, which is trained and measured if it is missing.

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
    stored_metrics = stored(name, seed, size, out)
    if stored_metrics is not None:
        return stored_metrics
    configuration = rules.CONFIGURATIONS[name]
    _run(
        "training.fit",
        configuration.experiment,
        *("--workdir", folder, "--records", records),
        *("--steps", size.steps, "--seed", seed, "--data.seed", seed),
        # One evaluation, at the end.
        *("--eval-every", size.steps, *configuration.options),
    )
    _run(
        "training.evaluate",
        *("--weights", folder, "--protocol", PROTOCOL, "--records", records),
    )
    method = methods.load(folder)
    test_records = str(Path(records) / PROTOCOL)
    dataset = batches.eval_dataset(
        config.Source(test_records, split="test"),
        BATCH,
        method.image_size,
        method.config.crop_scale,
    )
    evaluation = json.loads(
        (folder / "results" / f"{PROTOCOL}.json").read_text()
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
    workdir.write_json(
        folder / RESULT, {**dataclasses.asdict(size), "metrics": metrics}
    )
    return metrics


def stored(
    name: str, seed: int, size: Size, out: Path
) -> dict[str, float] | None:
    """Stored metrics of a run of this size; None if it is not measured."""
    path = out / name / f"seed-{seed}" / RESULT
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    if content["steps"] != size.steps:
        return None
    if rules.CONFIGURATIONS[name].occluded and (
        content["occluded_people"] != size.occluded_people
    ):
        return None
    return content["metrics"]


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
    """Errors behind occluders, and their increase over no occluder."""
    people = dataset.unbatch().take(size.occluded_people).batch(BATCH)
    errors = occlusion.errors(method, people, protocols.get(PROTOCOL))
    unoccluded = errors[occlusion.NONE]
    metrics = {"unoccluded_mpjpe_mm": unoccluded}
    for pattern in occlusion.PATTERNS:
        pattern_errors = [
            errors[pattern, degree] for degree in occlusion.DEGREES
        ]
        metrics |= {
            f"{pattern}_{degree}_mpjpe_mm": error
            for degree, error in zip(
                occlusion.DEGREES, pattern_errors, strict=True
            )
        }
        metrics[f"{pattern}_lost_mm"] = (
            float(np.mean(pattern_errors)) - unoccluded
        )
    return metrics


def _trained_s(folder: Path) -> float:
    lines = run_log.read_metrics(folder / run_log.METRICS_FILE)
    return max(line.get("trained_s", 0.0) for line in lines)


def _run(module: str, *words) -> None:
    command = [sys.executable, "-m", module, *map(str, words)]
    command_text = " ".join(["python", *command[1:]])
    print(f"  {command_text}", flush=True)
    if subprocess.run(command).returncode:
        raise RunError(f"This command failed: {command_text}")
