"""Measures bodies of landmarks: the work of training.evaluate_landmarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tf_hmr import (
    joints,
    keypoint_fitting,
    landmark_fitting,
    method,
    metrics,
    progress,
)
from tf_hmr.smplify import priors
from training.data.records import records_folder, schema, shards
from training.engine import workdir

if TYPE_CHECKING:
    from training.evaluate_landmarks import Args

LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
HIPS = ("left_hip", "right_hip")

GOOD_DISTANCE, GOOD_SHARE = 0.06, 0.8


@dataclasses.dataclass(frozen=True)
class People:
    """N people with landmarks and true joints.

    Attributes:
        tasks: of each.
        true: (N, 12, 3) joints LIMBS in metres, in the camera's axes.
        distances: (N, 12) of the landmarks in the image from the true joints,
            over the diagonal of the person's box.
    """

    tasks: list[landmark_fitting.Task]
    true: np.ndarray
    distances: np.ndarray

    @property
    def good_2d(self) -> np.ndarray:
        """(N,) bool: most landmarks in the image are right."""
        return (self.distances < GOOD_DISTANCE).mean(axis=1) > GOOD_SHARE


def read(args: Args) -> People:
    """Reads the people.

    Raises:
        FileNotFoundError, ValueError: no records, or none with landmarks,
            keypoints and 3D joints.
    """
    stored = shards.Records(args.records, args.split)
    limbs = list(joints.select(LIMBS, of=joints.KEYPOINTS))
    landmark_rows = list(joints.select(LIMBS, of=joints.BLAZEPOSE33))
    tasks, true, distances = [], [], []
    for row in range(min(len(stored), args.count or len(stored))):
        example = schema.decode(stored.read(row))
        if example.landmarks is None or not (
            example.has("keypoints") and example.has("joints3d")
        ):
            raise ValueError(
                f"{args.records}: {example.example_id!r} lacks landmarks, "
                "keypoints or 3D joints. Expected rendered people, out of "
                "`training.prepare landmarks`."
            )
        size = example.width, example.height
        tasks.append(landmark_fitting.Task(example.landmarks, size))
        true.append(example.joints3d[limbs, :3])
        offset = example.landmarks[landmark_rows] - np.pad(
            example.keypoints[limbs, :2], ((0, 0), (0, 5))
        )
        distances.append(
            np.linalg.norm(offset[:, :2], axis=1) / np.hypot(*example.box[2:])
        )
    return People(tasks, np.array(true), np.array(distances))


def measure(args: Args) -> dict:
    """Measures by the command line; returns the results.

    Raises:
        FileNotFoundError, ValueError: records or weights are missing or
            unsuitable.
    """
    people, lifter = read(args), method.load(args.weights, jit=False)
    answers = {
        "mean_pose": _mean_joints(lifter, len(people.tasks)),
        "landmarks": _landmark_joints(people.tasks),
        "lifter": _limbs_of(
            landmark_fitting.PeopleLifter(lifter)(people.tasks)
        ),
    }
    if args.fit:
        fitter = landmark_fitting.PeopleFitter(lifter, True, args.batch_size)
        answers["fit"] = _fitted(fitter, people.tasks, args.batch_size)
    if args.keypoints:
        answers["keypoints"] = _keypoint_fits(lifter, people, args.batch_size)
    results = {
        "joints": list(LIMBS),
        "people": len(people.tasks),
        "left_out": _left_out(args),
        "good_2d": int(people.good_2d.sum()),
        "pck_05": float(100 * (people.distances < 0.05).mean()),
        "all": _errors(answers, people.true, slice(None)),
        "of_good_2d": _errors(answers, people.true, people.good_2d),
        "records": str(args.records),
        "weights": str(args.weights),
        "environment": workdir.environment(),
    }
    out = args.out or method.find_folder(args.weights) / "landmarks.json"
    workdir.write_json(out, results)
    return results


def _left_out(args: Args) -> dict[str, int]:
    """Number of people whom the records lack, by cause."""
    report = records_folder.read_report(args.records)
    return report["splits"][args.split].get("skipped", {})


def _errors(answers, true, rows) -> dict[str, dict[str, float]]:
    """PA and root-aligned errors of each answer in mm, and pixels of fits."""
    table = {}
    for name, (points, error_px) in answers.items():
        pred = points[rows]
        root_aligned = [
            metrics.align_root(values, LIMBS, HIPS)
            for values in (pred, true[rows])
        ]
        table[name] = {
            "pa_mpjpe_mm": float(metrics.pa_mpjpe_mm(pred, true[rows]).mean()),
            "mpjpe_mm": float(metrics.mpjpe_mm(*root_aligned).mean()),
        }
        if error_px is not None:
            table[name]["error_px"] = float(np.median(error_px[rows]))
    return table


def _mean_joints(lifter, count: int):
    rotmats, betas = lifter.mean_body()
    points, _ = lifter.body.keypoints(rotmats[None], betas[None])
    limbs = list(joints.select(LIMBS, of=lifter.joint_names))
    return np.tile(points.numpy()[:, limbs], (count, 1, 1)), None


def _landmark_joints(tasks):
    rows = list(joints.select(LIMBS, of=joints.BLAZEPOSE33))
    return np.array([task.landmarks[rows, 2:5] for task in tasks]), None


def _limbs_of(people: list[keypoint_fitting.FittedPerson]):
    rows = list(joints.select(LIMBS, of=people[0].person.joint_names))
    return (
        np.array([fitted.person.joints[rows] for fitted in people]),
        np.array([fitted.error for fitted in people]),
    )


def _fitted(fitter: Callable, tasks: list, step: int):
    """Limbs of fits, a batch at a time for the bar."""
    people = []
    for start in progress.bar(range(0, len(tasks), step), "fits"):
        people += fitter(tasks[start : start + step])
    return _limbs_of(people)


def _keypoint_fits(lifter, people: People, batch_size: int):
    fitter = keypoint_fitting.PeopleFitter(
        lifter.body.data, priors.load(), batch_size=batch_size
    )
    tasks = [
        keypoint_fitting.Task(
            landmark_fitting.keypoints(task.landmarks), task.size
        )
        for task in people.tasks
    ]
    return _fitted(fitter, tasks, batch_size)


def table(results: dict) -> str:
    """The results as lines of text."""
    lines = []
    for rows, count in (("all", "people"), ("of_good_2d", "good_2d")):
        lines.append(f"{results[count]} people ({rows}): PA / root-aligned mm")
        for name, errors in results[rows].items():
            pa, mpjpe = errors["pa_mpjpe_mm"], errors["mpjpe_mm"]
            pixels = errors.get("error_px")
            text = "" if pixels is None else f"  {pixels:.2f} px"
            lines.append(f"  {name:<10} {pa:6.1f} {mpjpe:6.1f}{text}")
    return "\n".join(lines)
