"""Measures and draws an autoencoder of poses: the work of training.pose_vae."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from scipy import stats
from scipy.spatial.transform import Rotation

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.networks import pose_vae
from training import visualization
from training.data.readers import pose_sheet
from training.data.records import parsing, records_folder, shards
from training.engine import workdir

if TYPE_CHECKING:
    from training.pose_vae import Options

PAIRS, SAMPLES = 12, 24
FILE = "pose_vae.json"


def labelled_poses(records: Path, split: str) -> np.ndarray:
    """Rotation vectors (N, 3 (J - 1)) of a split's examples that have a pose.

    Raises:
        FileNotFoundError: the records are missing.
        ValueError: no example has a pose.
    """
    stored = shards.Records(str(records), split)
    fields = parsing.parse([stored.read(i) for i in range(len(stored))])
    poses = fields["pose"].numpy()[fields["has_pose"].numpy() > 0]
    if not len(poses):
        raise ValueError(
            f"No example of the split {split!r} of {records} has a pose. "
            "Choose records with SMPL labels."
        )
    return poses[:, 3:]


def random_poses(
    poses: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random, implausible poses, as many as `poses`, by distribution.

    "any_rotation": the rotation of each joint is uniform over all rotations;
    "same_ranges": each number is uniform between its least and largest value in
    `poses`: plausible for every joint alone, but not for all together.
    """
    count = len(poses) * poses.shape[1] // 3
    any_rotation = Rotation.random(count, rng).as_rotvec().reshape(poses.shape)
    low, high = poses.min(axis=0), poses.max(axis=0)
    return {
        "any_rotation": any_rotation,
        "same_ranges": rng.uniform(low, high, poses.shape),
    }


def divergence(vae: pose_vae.PoseVae, poses: np.ndarray) -> np.ndarray:
    """KL divergence (N,) of the codes of poses: high is implausible."""
    code = vae.encode(tf.constant(poses, tf.float32))
    return tf.reduce_sum(code.divergence(), axis=1).numpy()


def roc(human: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, float]:
    """Receiver operating characteristic of scores that are high for random.

    Returns:
        The curve (101, 2): shares of human poses and of random poses that a
        threshold classifies as random; and the area under it.
    """
    false_positive_rate = np.linspace(0, 1, 101)
    threshold = np.quantile(human, 1 - false_positive_rate)
    true_positive_rate = (random[:, None] > threshold).mean(axis=0)
    wins = stats.mannwhitneyu(random, human).statistic
    area = float(wins) / (len(human) * len(random))
    return np.stack([false_positive_rate, true_positive_rate], axis=1), area


def angles_deg(poses: np.ndarray, other_poses: np.ndarray) -> np.ndarray:
    """Angles (N, J - 1) between the rotations of poses (N, 3 (J - 1))."""
    rotations = Rotation.from_rotvec(poses.reshape(-1, 3))
    other_rotations = Rotation.from_rotvec(other_poses.reshape(-1, 3))
    angles = (rotations.inv() * other_rotations).magnitude()
    return np.degrees(angles).reshape(len(poses), -1)


def run(options: Options) -> dict:
    """Measures, draws and writes; returns the numbers.

    Raises:
        FileNotFoundError: the model or the records are missing.
        ValueError: the method has no autoencoder, or the records have no
            poses or poses of another body.
    """
    method = methods.load(options.weights, options.body, jit=False)
    vae = getattr(method, "pose_vae", None)
    if vae is None:
        raise ValueError(
            f"The model in {options.weights}, a {method.name!r}, has no "
            "autoencoder of poses. Choose a run of hkmr with prior='vae'."
        )
    topology = records_folder.read_report(options.records)["topology"]
    if topology:
        method.body.data.check_same_topology(topology, f"{options.records}")
    poses = labelled_poses(options.records, options.split)
    reconstructions = vae(tf.constant(poses, tf.float32)).poses.numpy()
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    rest = _rest(method.body.data)
    _draw_pairs(
        options.out / "reconstructions.png", poses, reconstructions, rest
    )
    codes = rng.normal(size=(SAMPLES, vae.latent))
    samples = vae.decode(tf.constant(codes, tf.float32)).numpy()
    captions = [f"sample {number}" for number in range(SAMPLES)]
    _draw(options.out / "samples.png", samples, rest, captions)
    errors_deg = angles_deg(poses, reconstructions)
    names = method.body.data.joint_names[1:]
    result = {
        "poses": len(poses),
        "reconstruction_deg": float(errors_deg.mean()),
        "reconstruction_deg_of_joints": dict(
            zip(names, errors_deg.mean(axis=0).round(2).tolist(), strict=True)
        ),
        "auc": _curves(options.out, vae, poses, rng),
    }
    workdir.write_json(options.out / FILE, result)
    return result


def _curves(out: Path, vae, poses, rng) -> dict[str, float]:
    """Draws the characteristics; returns the areas under them."""
    human, lines, areas = divergence(vae, poses), {}, {}
    for name, random in random_poses(poses, rng).items():
        points, areas[name] = roc(human, divergence(vae, random))
        label = f"{name.replace('_', ' ')}: area {areas[name]:.4f}"
        lines[label] = tuple(100 * points.T)
    visualization.curve(
        lines,
        {},
        out / "roc.png",
        "people's poses taken for random ones (%)",
        "random poses found (%)",
    )
    return areas


def _rest(data: BodyData) -> np.ndarray:
    return np.asarray(data.J_regressor @ data.v_template, np.float64)


def _draw_pairs(path, poses, reconstructions, rest) -> None:
    """Draws some poses, evenly spread, each beside its reconstruction."""
    rows = np.linspace(0, len(poses) - 1, PAIRS).round().astype(int)
    pairs = np.stack([poses[rows], reconstructions[rows]], axis=1)
    pairs = pairs.reshape(-1, poses.shape[1])
    captions = [f"{row} {label}" for row in rows for label in ("in", "out")]
    _draw(path, pairs, rest, captions)


def _draw(path, poses, rest, captions) -> None:
    full_poses = np.concatenate([np.zeros((len(poses), 3)), poses], axis=1)
    pose_sheet.write(path, full_poses, rest, captions)
