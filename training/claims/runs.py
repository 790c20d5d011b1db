"""Trains and measures the networks that claims compare.

Each run has a workdir of its own, OUT/<configuration>/seed-<k>, which
training.fit continues after a kill; what was measured of it lies there in
claims.json, beside the size it was measured at. Claims share runs.
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
# A joint is turned implausibly when it is further from its mean rotation than
# all but one in a thousand of the real poses.
IMPLAUSIBLE = 99.9
BATCH = 50


@dataclasses.dataclass(frozen=True)
class Size:
    """What a run costs; results of different sizes are not compared."""

    steps: int
    """Training steps."""
    occluded_people: int
    """How many people are measured behind each occluder."""


class RunError(RuntimeError):
    """A command failed; names it."""


def result(
    name: str, seed: int, size: Size, out: Path, records: str
) -> dict[str, float]:
    """Metrics of one run, which is made where it is not there yet.

    Args:
        name: of rules.CONFIGURATIONS.
        seed: of weights and data.
        size: what to spend.
        out: folder of the runs.
        records: folder of the record folders.

    Raises:
        RunError: training or evaluation failed.
    """
    folder = out / name / f"seed-{seed}"
    known = stored(name, seed, size, out)
    if known is not None:
        return known
    wanted = rules.CONFIGURATIONS[name]
    _run(
        "training.fit",
        wanted.experiment,
        *("--workdir", folder, "--records", records),
        *("--steps", size.steps, "--seed", seed, "--data.seed", seed),
        # One evaluation, at the end.
        *("--eval-every", size.steps, *wanted.options),
    )
    _run(
        "training.evaluate",
        *("--weights", folder, "--protocol", PROTOCOL, "--records", records),
    )
    method = methods.load(folder)
    folder_of_people = str(Path(records) / PROTOCOL)
    dataset = batches.eval_dataset(
        config.Source(folder_of_people, split="test"),
        BATCH,
        method.image_size,
        method.config.crop_scale,
    )
    found = json.loads((folder / "results" / f"{PROTOCOL}.json").read_text())
    metrics = found["metrics"] | {
        "parameters": found["parameters"],
        "trained_s": _trained_s(folder),
        "implausible_pct": implausible_pct(
            method, dataset, mocap.read(str(Path(records) / "synthetic"))
        ),
    }
    if wanted.occluded:
        metrics |= _occluded(method, dataset, size)
    workdir.write_json(
        folder / RESULT, {**dataclasses.asdict(size), "metrics": metrics}
    )
    return metrics


def stored(
    name: str, seed: int, size: Size, out: Path
) -> dict[str, float] | None:
    """What was measured of a run of this size; None if nothing was."""
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
    """Share of predicted poses, in per cent, with a joint no person has.

    Args:
        method: to predict with.
        dataset: of pipeline.eval_dataset.
        real: the poses that say what people do.
    """
    mean = statistics.mean_of_prior(real)[0][1:]
    pose = real.pose.reshape(len(real.pose), -1, 3)[:, 1:]
    bounds = np.percentile(
        _from_mean(rotations.rotvec_to_rotmat(pose), mean), IMPLAUSIBLE, axis=0
    )
    found = [
        (_from_mean(prediction.rotmats[:, 1:], mean) > bounds).any(axis=1)
        for _, prediction in evaluator.predictions(method, dataset)
    ]
    return 100 * float(np.concatenate(found).mean())


def _from_mean(rotmats, mean) -> np.ndarray:
    """(N, J, 3, 3) against (J, 3, 3) -> (N, J) angles."""
    mean = np.broadcast_to(mean.astype(np.float32), rotmats.shape)
    return rotations.geodesic_distance(rotmats, mean).numpy()


def _occluded(method, dataset, size: Size) -> dict[str, float]:
    """Errors behind occluders, and what is lost against none."""
    people = dataset.unbatch().take(size.occluded_people).batch(BATCH)
    errors = occlusion.errors(method, people, protocols.get(PROTOCOL))
    bare = errors[occlusion.NONE]
    metrics = {"unoccluded_mpjpe_mm": bare}
    for pattern in occlusion.PATTERNS:
        each = [errors[pattern, degree] for degree in occlusion.DEGREES]
        metrics |= {
            f"{pattern}_{degree}_mpjpe_mm": error
            for degree, error in zip(occlusion.DEGREES, each, strict=True)
        }
        metrics[f"{pattern}_lost_mm"] = float(np.mean(each)) - bare
    return metrics


def _trained_s(folder: Path) -> float:
    lines = run_log.read_metrics(folder / run_log.METRICS_FILE)
    return max(line.get("trained_s", 0.0) for line in lines)


def _run(module: str, *words) -> None:
    command = [sys.executable, "-m", module, *map(str, words)]
    shown = " ".join(["python", *command[1:]])
    print(f"  {shown}", flush=True)
    if subprocess.run(command).returncode:
        raise RunError(f"This command failed: {shown}")
