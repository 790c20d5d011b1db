"""Measures jitter and lag of the device's predictions on a video of edge.film.

    python -m edge.film --out film.mp4
    python -m edge.run model.tflite film.mp4 --box 111 128 65 192 --out out
    python -m edge.steadiness film.json out/film.jsonl

    python -m tf_hmr film.mp4 --out out
    python -m edge.steadiness film.json out/film.jsonl --track 1

Joints are relative to their mean, and also in the camera, keypoints in pixels;
all are those of COCOPLUS19, which edge.film and HMR share. Acceleration is the
mean length of second differences: it shows jitter. Lag is the delay of the
truth that fits the prediction best; error is the mean distance without a delay.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import numpy as np
import tyro

from tf_hmr import joints as joint_names

LAGS = np.arange(0, 8.25, 0.25)
"""Candidate delays, in frames."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    truth: tyro.conf.Positional[Path]
    """The .json of edge.film."""
    lines: tyro.conf.Positional[Path]
    """The .jsonl of edge.run."""
    track: int = 0
    """Number of the person in the .jsonl."""


def compare(
    predicted: np.ndarray, true: np.ndarray, fps: float
) -> dict[str, float]:
    """Compares points (T, J, D) with the truth.

    Returns:
        acceleration and true_acceleration per second squared, lag_ms, and
        the mean error, in the points' unit.
    """

    def acceleration(points: np.ndarray) -> float:
        differences = np.diff(points, 2, axis=0)
        return float(np.linalg.norm(differences, axis=-1).mean() * fps**2)

    skip = int(np.ceil(LAGS[-1]))
    frames = np.arange(skip, len(true))
    flat_true = true.reshape(len(true), -1)
    flat_predicted = predicted.reshape(len(predicted), -1)[skip:]
    residuals = []
    for lag in LAGS:
        delayed = [
            np.interp(frames - lag, np.arange(len(true)), column)
            for column in flat_true.T
        ]
        offsets = flat_predicted - np.stack(delayed, axis=-1)
        # A constant error, such as a wrong shape, is no delay.
        residuals.append(np.square(offsets - offsets.mean(axis=0)).mean())
    return {
        "acceleration": acceleration(predicted),
        "true_acceleration": acceleration(true),
        "lag_ms": float(1000 * LAGS[np.argmin(residuals)] / fps),
        "error": float(np.linalg.norm(predicted - true, axis=-1).mean()),
    }


def run(args: Args) -> dict[str, dict[str, float]]:
    """Compares the joints (metres) and keypoints (pixels) of two files.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the track is lost in some frame, is of another video, or
            is too short for the candidate delays.
    """
    truth = json.loads(args.truth.read_text())
    lines = map(json.loads, args.lines.read_text().splitlines())
    lines = [line for line in lines if line["track"] == args.track]
    lost_frames = [line["frame"] for line in lines if line["state"] == "lost"]
    if lost_frames or len(lines) != len(truth["frames"]):
        raise ValueError(
            f"{args.lines}: track {args.track} has {len(lines)} frames, lost "
            f"in {lost_frames[:5]}; expected all {len(truth['frames'])} frames "
            f"of {args.truth}."
        )
    if len(lines) < 2 * LAGS[-1] + 2:
        raise ValueError(
            f"{args.lines}: {len(lines)} frames are too few to know a delay of "
            f"up to {LAGS[-1]:g}; give a longer video."
        )
    joints, keypoints = (
        _points(lines, n) for n in ("joints_m", "keypoints_px")
    )
    walkers = [
        {
            name: np.array([frame[walker][name] for frame in truth["frames"]])
            for name in ("joints", "keypoints_px")
        }
        for walker in range(len(truth["frames"][0]))
    ]
    # A track's number says nothing about who in the truth it is.
    walker = min(
        walkers, key=lambda w: np.abs(w["keypoints_px"] - keypoints).mean()
    )
    translations = np.array([line["translation_m"] for line in lines])
    in_camera = joints + translations[:, None]
    fps = truth["fps"]
    results = {
        "joints, m": compare(_centred(joints), _centred(walker["joints"]), fps),
        "joints in the camera, m": compare(in_camera, walker["joints"], fps),
        "keypoints, px": compare(keypoints, walker["keypoints_px"], fps),
    }
    if "reprojection_px_at_224" in lines[0]:
        errors = [line["reprojection_px_at_224"] for line in lines]
        results["landmarks, px at 224"] = {"error": float(np.mean(errors))}
    return results


def _points(lines: list[dict], name: str) -> np.ndarray:
    """(T, 19, D) of COCOPLUS19 in all lines."""
    points = np.array([line[name] for line in lines])
    if points.shape[1] == len(joint_names.KEYPOINTS):
        rows = joint_names.select(joint_names.COCOPLUS19, joint_names.KEYPOINTS)
        points = points[:, list(rows)]
    return points


def _centred(points: np.ndarray) -> np.ndarray:
    return points - points.mean(axis=1, keepdims=True)


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        comparison = run(args)
    except (OSError, ValueError) as error:
        logging.error("%s", " ".join(str(error).split()))
        return 1
    for quantity, figures in comparison.items():
        text = ", ".join(
            f"{name} {figure:.3g}" for name, figure in figures.items()
        )
        print(f"{quantity}: {text}")
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
