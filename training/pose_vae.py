r"""What an autoencoder of poses has learnt, in pictures and numbers.

    python -m training.pose_vae --weights runs/hkmr_quick \
        --records data/synthetic_v1 --split test --out vae

Of the poses of a split, which its training has not seen: reconstructions.png,
samples.png of random codes, roc.png of telling those poses from random ones by
the divergence that HKMR's loss takes, and pose_vae.json.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tyro
from scipy import stats
from scipy.spatial.transform import Rotation

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.networks import pose_vae
from training import visualization
from training.data.readers import pose_sheet
from training.data.records import parsing, records_folder, shards
from training.engine import workdir

PAIRS, SAMPLES = 12, 24
FILE = "pose_vae.json"


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.pose_vae`."""

    weights: Path
    """A model folder, or the workdir of a run, of a method with such a part."""
    records: Path
    """A folder of records with poses."""
    out: Path
    """Folder for pictures and numbers."""
    split: str = "test"
    """Which split of it."""
    body: str = "open"
    """'open', or the SMPL files the model was trained with."""
    seed: int = 0
    """Of the codes and the random poses."""


def labelled_poses(records: Path, split: str) -> np.ndarray:
    """(N, 3 (J - 1)) rotation vectors of a split's examples that have a pose.

    Raises:
        FileNotFoundError: no such records.
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
    like: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Poses without any sense, as many as `like`, by how they were drawn.

    "any_rotation": each joint turned uniformly among all rotations;
    "same_ranges": each number uniform between its least and its largest value
    in `like`, which every joint can take, but not all of them together.
    """
    count = len(like) * like.shape[1] // 3
    turned = Rotation.random(count, rng).as_rotvec().reshape(like.shape)
    low, high = like.min(axis=0), like.max(axis=0)
    return {
        "any_rotation": turned,
        "same_ranges": rng.uniform(low, high, like.shape),
    }


def divergence(vae: pose_vae.PoseVae, poses: np.ndarray) -> np.ndarray:
    """(N,) KL divergence of the codes of poses: high is implausible."""
    code = vae.encode(tf.constant(poses, tf.float32))
    return tf.reduce_sum(code.divergence(), axis=1).numpy()


def roc(human: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, float]:
    """Receiver operating characteristic of scores that are high for random.

    Returns:
        (101, 2) share of human poses that a threshold takes for random, and
        share of random ones that it does; and the area under it.
    """
    taken = np.linspace(0, 1, 101)
    threshold = np.quantile(human, 1 - taken)
    found = (random[:, None] > threshold).mean(axis=0)
    wins = stats.mannwhitneyu(random, human).statistic
    area = float(wins) / (len(human) * len(random))
    return np.stack([taken, found], axis=1), area


def angles_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, J - 1) angles between the rotations of poses (N, 3 (J - 1))."""
    a, b = (Rotation.from_rotvec(x.reshape(-1, 3)) for x in (one, other))
    return np.degrees((a.inv() * b).magnitude()).reshape(len(one), -1)


def run(options: Options) -> dict:
    """Measures, draws, writes; returns the numbers.

    Raises:
        FileNotFoundError: no model, or no records.
        ValueError: the method has no autoencoder; no poses, or of another
            body.
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
    again = vae(tf.constant(poses, tf.float32)).poses.numpy()
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    rest = _rest(method.body.data)
    _draw_pairs(options.out / "reconstructions.png", poses, again, rest)
    codes = rng.normal(size=(SAMPLES, vae.latent))
    drawn = vae.decode(tf.constant(codes, tf.float32)).numpy()
    captions = [f"sample {number}" for number in range(SAMPLES)]
    _draw(options.out / "samples.png", drawn, rest, captions)
    off = angles_deg(poses, again)
    names = method.body.data.joint_names[1:]
    result = {
        "poses": len(poses),
        "reconstruction_deg": float(off.mean()),
        "reconstruction_deg_of_joints": dict(
            zip(names, off.mean(axis=0).round(2).tolist(), strict=True)
        ),
        "auc": _curves(options.out, vae, poses, rng),
    }
    workdir.write_json(options.out / FILE, result)
    return result


def _curves(out: Path, vae, poses, rng) -> dict[str, float]:
    """Draws the characteristics; the areas under them."""
    human, lines, areas = divergence(vae, poses), {}, {}
    for name, drawn in random_poses(poses, rng).items():
        points, areas[name] = roc(human, divergence(vae, drawn))
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


def _draw_pairs(path, poses, again, rest) -> None:
    """Some poses, evenly spread, each beside what comes back."""
    rows = np.linspace(0, len(poses) - 1, PAIRS).round().astype(int)
    pairs = np.stack([poses[rows], again[rows]], axis=1)
    pairs = pairs.reshape(-1, poses.shape[1])
    captions = [f"{row} {what}" for row in rows for what in ("in", "out")]
    _draw(path, pairs, rest, captions)


def _draw(path, poses, rest, captions) -> None:
    whole = np.concatenate([np.zeros((len(poses), 3)), poses], axis=1)
    pose_sheet.write(path, whole, rest, captions)


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(
        Options,
        prog="python -m training.pose_vae",
        description=__doc__,
        args=arguments,
    )
    try:
        result = run(options)
    except (OSError, ValueError) as error:
        print(f"training.pose_vae: {error}", file=sys.stderr)
        return 1
    areas = ", ".join(f"{k} {v:.4f}" for k, v in result["auc"].items())
    print(
        f"{options.out}: {result['poses']} poses come back "
        f"{result['reconstruction_deg']:.1f} degrees off in the mean; area "
        f"under the curve: {areas}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
