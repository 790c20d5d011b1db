"""How steady and how late the device's answer is, against a film's truth.

    python -m edge.film --out film.mp4
    python -m edge.run model.tflite film.mp4 --box 111 128 65 192 --out out
    python -m edge.steadiness film.json out/film.jsonl

Joints are taken about their mean, keypoints in pixels; both by name order of
COCOPLUS19, which edge.film and HMR share. Acceleration is the mean length of
second differences: shaking shows in it. Lag is the delay of the truth that
comes nearest to the answer; error is what remains between the two.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import numpy as np
import tyro

LAGS = np.arange(0, 8.25, 0.25)
"""Delays that are tried, in frames."""


@dataclasses.dataclass(frozen=True)
class Args:
    """What the command line says."""

    truth: tyro.conf.Positional[Path]
    """The json of edge.film."""
    lines: tyro.conf.Positional[Path]
    """The .jsonl of edge.run."""
    track: int = 0
    """Which person."""


def compare(
    found: np.ndarray, true: np.ndarray, fps: float
) -> dict[str, float]:
    """Figures of points (T, J, D) against the truth.

    Returns:
        acceleration and true_acceleration per second squared, lag_ms, and
        the mean error, in the points' unit.
    """

    def acceleration(points: np.ndarray) -> float:
        second = np.diff(points, 2, axis=0)
        return float(np.linalg.norm(second, axis=-1).mean() * fps**2)

    skip = int(np.ceil(LAGS[-1]))
    frames = np.arange(skip, len(true))
    flat = true.reshape(len(true), -1)
    answer = found.reshape(len(found), -1)[skip:]
    residuals = []
    for lag in LAGS:
        late = [
            np.interp(frames - lag, np.arange(len(true)), column)
            for column in flat.T
        ]
        away = answer - np.stack(late, axis=-1)
        # A standing error, such as a wrong shape, is no delay.
        residuals.append(np.square(away - away.mean(axis=0)).mean())
    return {
        "acceleration": acceleration(found),
        "true_acceleration": acceleration(true),
        "lag_ms": float(1000 * LAGS[np.argmin(residuals)] / fps),
        "error": float(np.linalg.norm(found - true, axis=-1).mean()),
    }


def run(args: Args) -> dict[str, dict[str, float]]:
    """Reads both files; figures of joints (metres) and keypoints (pixels).

    Raises:
        FileNotFoundError: one is not there.
        ValueError: the track was lost in between, is of another film, or is
            too short for the delays that are tried.
    """
    truth = json.loads(args.truth.read_text())
    lines = map(json.loads, args.lines.read_text().splitlines())
    lines = [line for line in lines if line["track"] == args.track]
    people = [frame[args.track] for frame in truth["frames"]]
    lost = [line["frame"] for line in lines if line["state"] == "lost"]
    if lost or len(lines) != len(people):
        raise ValueError(
            f"{args.lines}: track {args.track} has {len(lines)} frames, lost "
            f"in {lost[:5]}; expected all {len(people)} frames of {args.truth}."
        )
    if len(lines) < 2 * LAGS[-1] + 2:
        raise ValueError(
            f"{args.lines}: {len(lines)} frames are too few to know a delay of "
            f"up to {LAGS[-1]:g}; give a longer film."
        )
    joints = np.array([line["joints_m"] for line in lines])
    true_joints = np.array([person["joints"] for person in people])
    keypoints = np.array([line["keypoints_px"] for line in lines])
    true_keypoints = np.array([person["keypoints_px"] for person in people])
    return {
        "joints, m": compare(
            _centred(joints), _centred(true_joints), truth["fps"]
        ),
        "keypoints, px": compare(keypoints, true_keypoints, truth["fps"]),
    }


def _centred(points: np.ndarray) -> np.ndarray:
    return points - points.mean(axis=1, keepdims=True)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        found = run(args)
    except (OSError, ValueError) as error:
        logging.error("%s", " ".join(str(error).split()))
        return 1
    for what, figures in found.items():
        told = ", ".join(f"{name} {v:.3g}" for name, v in figures.items())
        print(f"{what}: {told}")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(
            tyro.cli(
                Args, prog="python -m edge.steadiness", description=__doc__
            )
        )
    )
