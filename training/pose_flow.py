r"""Evaluates a flow of poses, the pose prior of HUND, beside a Gaussian.

    python -m training.pose_flow --weights runs/hund_quick \
        --records data/synthetic_v1 --split test --out flow

The Gaussian has the mean and the covariance of the poses that the flow learnt.
Writes samples.png and gaussian.png, drawn from either, and pose_flow.json: nats
per number of the poses of a split that was not trained on (less is better), and
how many people have a knee that bends backwards.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tyro

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.networks import pose_flow
from training import pose_vae
from training.data.readers import pose_sheet
from training.data.records import records_folder
from training.engine import workdir

FILE = "pose_flow.json"
SHOWN = 24
BACKWARDS_DEG = 3.0
"""A knee that is stretched by more than this beyond straight bends backwards;
people's do not."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Command line of `training.pose_flow`."""

    weights: Path
    """A model folder, or the workdir of a run, with a flow of poses."""
    records: Path
    """A folder of records with poses."""
    out: Path
    """Folder for figures and numbers."""
    split: str = "test"
    """Split of the records."""
    body: str = "open"
    """'open', or the SMPL files that the model was trained with."""
    samples: int = 20_000
    """Poses to draw from the flow and from the Gaussian."""
    seed: int = 0
    """Seed of the samples and of the noise."""


def nats_per_number(
    flow: pose_flow.PoseFlow, poses: np.ndarray
) -> tuple[float, float]:
    """Mean negative log-likelihood per number: the flow's and the Gaussian's.

    Args:
        flow: whitened by the Gaussian's mean and covariance.
        poses: (N, 3 (J - 1)) with the noise that both model.
    """
    values = tf.constant(poses, tf.float32)
    learnt = flow.negative_log_likelihood(values)
    white = tf.matmul(values - flow.mean, flow.whitening)
    gaussian = pose_flow.normal_negative_log_likelihood(
        white, tf.convert_to_tensor(flow.log_volume)
    )
    return tuple(
        float(tf.reduce_mean(nats)) / flow.numbers
        for nats in (learnt, gaussian)
    )


def gaussian_samples(
    flow: pose_flow.PoseFlow, normals: np.ndarray
) -> np.ndarray:
    """Poses (N, 3 (J - 1)) of the Gaussian, from normal numbers."""
    return np.asarray(normals @ flow.colouring.numpy() + flow.mean.numpy())


def backward_knees(poses: np.ndarray, data: BodyData) -> float:
    """Share of poses (N, 3 (J - 1)) with a knee that bends backwards."""
    rotvecs = np.asarray(poses).reshape(len(poses), -1, 3)
    knees = [
        data.joint_names.index(f"{side}_knee") - 1 for side in ("left", "right")
    ]
    flexion_deg = np.degrees(rotvecs[:, knees, 0])
    return float((flexion_deg.min(axis=1) < -BACKWARDS_DEG).mean())


def run(options: Options) -> dict:
    """Measures, draws and writes; returns the numbers.

    Raises:
        FileNotFoundError: the model or the records are missing.
        ValueError: the method has no flow, or the records have no poses or
            poses of another body.
    """
    method = methods.load(options.weights, options.body, jit=False)
    flow = getattr(method, "pose_prior", None)
    if not isinstance(flow, pose_flow.PoseFlow):
        raise ValueError(
            f"The model in {options.weights}, a {method.name!r}, has no flow "
            "of poses. Choose a run of hund with prior='flow'."
        )
    data = method.body.data
    topology = records_folder.read_report(options.records)["topology"]
    if topology:
        data.check_same_topology(topology, f"{options.records}")
    poses = pose_vae.labelled_poses(options.records, options.split)
    rng = np.random.default_rng(options.seed)
    noise = flow.noise_rad * rng.normal(size=poses.shape)
    learnt, gaussian = nats_per_number(flow, poses + noise)
    normals = rng.normal(size=(options.samples, flow.numbers))
    samples = {
        "flow": flow.poses(tf.constant(normals, tf.float32)).numpy(),
        "gaussian": gaussian_samples(flow, normals),
    }
    latents, _ = flow.latent(tf.constant(poses, tf.float32))
    returned = flow.poses(latents).numpy()
    options.out.mkdir(parents=True, exist_ok=True)
    rest = np.asarray(data.J_regressor @ data.v_template, np.float64)
    for name, drawn in zip(
        ("samples", "gaussian"), samples.values(), strict=True
    ):
        count = min(SHOWN, len(drawn))
        full = np.pad(drawn[:count], ((0, 0), (3, 0)))
        captions = [f"sample {number}" for number in range(count)]
        pose_sheet.write(options.out / f"{name}.png", full, rest, captions)
    result = {
        "poses": len(poses),
        "nats_per_number": {"flow": learnt, "gaussian": gaussian},
        "backward_knees": {
            name: backward_knees(drawn, data)
            for name, drawn in (samples | {"people": poses}).items()
        },
        "latent_deviation": float(tf.math.reduce_std(latents)),
        "latent_and_back_rad": float(np.abs(returned - poses).max()),
    }
    workdir.write_json(options.out / FILE, result)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(
        Options,
        prog="python -m training.pose_flow",
        description=__doc__,
        args=arguments,
    )
    try:
        result = run(options)
    except (OSError, ValueError) as error:
        print(f"training.pose_flow: {error}", file=sys.stderr)
        return 1
    nats, knees = result["nats_per_number"], result["backward_knees"]
    print(
        f"{options.out}: {result['poses']} unseen poses, "
        f"{nats['flow']:.3f} nats per number (Gaussian "
        f"{nats['gaussian']:.3f}); knees that bend backwards: flow "
        f"{knees['flow']:.1%}, Gaussian {knees['gaussian']:.1%}, people "
        f"{knees['people']:.1%}; latent and back within "
        f"{result['latent_and_back_rad']:.1e} rad"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
