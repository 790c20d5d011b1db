"""Evaluates a flow of poses: the work of training.pose_flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.networks import pose_flow
from training.data.readers import pose_sheet
from training.data.records import records_folder
from training.engine import workdir
from training.tasks import pose_vae

if TYPE_CHECKING:
    from training.pose_flow import Options

FILE = "pose_flow.json"
PICTURES = 24
BACKWARDS_DEG = 3.0
"""A knee that is stretched by more than this beyond straight bends backwards;
people's do not."""


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
    for name, sampled in zip(
        ("samples", "gaussian"), samples.values(), strict=True
    ):
        count = min(PICTURES, len(sampled))
        full = np.pad(sampled[:count], ((0, 0), (3, 0)))
        captions = [f"sample {number}" for number in range(count)]
        pose_sheet.write(options.out / f"{name}.png", full, rest, captions)
    result = {
        "poses": len(poses),
        "nats_per_number": {"flow": learnt, "gaussian": gaussian},
        "backward_knees": {
            name: backward_knees(sampled, data)
            for name, sampled in (samples | {"people": poses}).items()
        },
        "latent_deviation": float(tf.math.reduce_std(latents)),
        "latent_and_back_rad": float(np.abs(returned - poses).max()),
    }
    workdir.write_json(options.out / FILE, result)
    return result
