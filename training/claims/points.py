"""SMPLR's networks without pictures, for claims about shape and pose.

Points of sampled bodies, moved by the paper's noise, stand for an hourglass's.
Sizes and steps are those of a core's minute; networks, losses, noise and
sampling are the method's.
"""

import dataclasses
import time
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints, metrics
from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import nearest_rotation
from tf_hmr.methods import _smplr_parts, _smplr_regressor, smplr
from training import config
from training.data.pipeline import batches
from training.engine import step as steps

POSES = 256
"""Sampled bodies in a step."""
_SIDE, _BATCH = 64, 100
_CONFIG = smplr.Config(
    image_size=_SIDE,
    stacks=1,
    width=8,
    bins=4,
    levels=1,
    stem=(8, 8, 8),
    hidden=256,
    denoise=False,
)
_LR, _FINE_LR = 1e-3, 3e-4
_ROWS = list(joints.select(joints.SMPLR16, of=joints.SMPLR41))


def measure(
    landmarks: bool, seed: int, count: int, train: str, test: str
) -> dict[str, float]:
    """Trains Psi and Omega, and measures each.

    Psi takes half of `count` steps. Omega takes `count` steps of L_R. Then one
    copy takes half as many more with L_SMPL, and another one as many of L_R
    alone.

    Args:
        landmarks: whether there are landmarks; without, Psi alone is trained.
        seed: of weights, noise and order.
        count: steps of POSES sampled bodies.
        train: folder of records, whose unpaired poses are used.
        test: folder of records, whose split "test" is used.

    Returns:
        Millimetres over SMPLR's 16 joints of noisy points, with the noise of
        training: shape_mm, of Psi's betas and true rotations; pose_mm,
        pose_more_mm and pose_smpl_mm, of Omega's rotations and true betas,
        after L_R, as many steps more of it, and those with L_SMPL; body_mm of
        both, about the pelvis of the points; moved_mm after Procrustes onto
        the points, and moved_own_mm of that about its own pelvis; gender_pct
        wrong, and chance_pct of always guessing the more frequent one;
        pa_mpjpe_mm of the body's 14 joints; parameters; and seconds of one
        process's training, trained_s.
    """
    keras.utils.set_random_seed(seed)
    body = Body(BodyData.load("open"), jit=False)
    model = methods.build(
        dataclasses.replace(_CONFIG, landmarks=landmarks), body
    )
    data = config.Data(
        (), batch_size=8, prior=train, prior_per_image=POSES // 8, seed=seed
    )
    begin = time.process_time()
    _train(model, data, "shape", count // 2, _LR)
    trained = {}
    if landmarks:
        _train(model, data, "pose", count, _LR)
        network = model.regressor.pose
        trained["pose"] = network.get_weights()
        for name, part in (("pose_more", "pose"), ("pose_smpl", "pose_smpl")):
            network.set_weights(trained["pose"])
            _train(model, data, part, count // 2, _FINE_LR)
            trained[name] = network.get_weights()
    seconds = time.process_time() - begin
    parts = [model.regressor.shape, model.regressor.pose][: 1 + landmarks]
    numbers = sum(
        int(np.prod(v.shape)) for p in parts for v in p.trainable_variables
    )
    return _errors(model, trained, test) | {
        "parameters": float(numbers),
        "trained_s": seconds,
    }


def _train(model, data, part: str, count: int, lr: float) -> None:
    """Takes steps of one part; every stage begins at the first batch."""
    optim = config.Optim(lr=lr, schedule="cosine", clip_norm=1.0)
    stage = config.Stage(part, count, optim, part=part)
    step = steps.Step(tf.distribute.get_strategy(), model, stage)
    step(iter(batches.prior_dataset(data)), count)


def _errors(
    model: smplr.Model, trained: Mapping[str, list], test: str
) -> dict[str, float]:
    """Errors on the labelled bodies of a test split; see measure."""
    rows, sums = [], []
    noise = np.random.default_rng(0)
    ranges = _smplr_parts.noise_ranges()[: len(model.points.names)]
    source = config.Source(test, split="test")
    for batch in batches.eval_dataset(source, _BATCH, _SIDE):
        rotmats, betas = batch["rotmats"], batch["betas"]
        true, keypoints = model.points(rotmats, betas)
        shift = noise.uniform(-1, 1, true.shape) * ranges
        noisy = tf.cast(true + shift, tf.float32)
        noisy = noisy - model.encoder.root(noisy)
        numbers = model.regressor.shape_numbers(noisy)
        posed = {"shape_mm": model.points(rotmats, numbers[:, :-1])[0]}
        for name, weights in trained.items():
            model.regressor.pose.set_weights(weights)
            pose = _pose(model, noisy)
            posed[f"{name}_mm"] = model.points(pose, betas)[0]
        errors = {k: _error(v, true) for k, v in posed.items()}
        if trained:
            errors |= _of_bodies(model, pose, numbers, noisy, true, keypoints)
        rows.append(errors)
        gender = batch["gender"].numpy()
        wrong = np.sign(numbers[:, -1].numpy()) != gender
        sums.append([wrong.sum(), (gender > 0).sum(), len(gender)])
    wrong, men, people = np.sum(sums, axis=0)
    means = {
        name: float(np.concatenate([row[name] for row in rows]).mean())
        for name in rows[0]
    }
    return means | {
        "gender_pct": 100 * float(wrong / people),
        "chance_pct": 100 * float(min(men, people - men) / people),
    }


def _pose(model: smplr.Model, points) -> tf.Tensor:
    """(B, 24, 3, 3) rotations of Omega."""
    matrices = model.regressor.matrices(points)
    estimate = _smplr_regressor.BodyEstimate(points, None, None, matrices)
    return _smplr_regressor.rotations_of(estimate)


def _of_bodies(model, pose, numbers, noisy, true, keypoints):
    """Errors (B,) of bodies of both networks, before and after Procrustes."""
    body, joints14 = model.points(pose, numbers[:, :-1])
    weights = model.point_weights
    turn = nearest_rotation.aligning_rotation(body, noisy, weights)[:, 0]
    middle = nearest_rotation.weighted_mean(body, weights)
    rotated = tf.matmul(body - middle, turn, transpose_b=True)
    aligned = rotated + nearest_rotation.weighted_mean(noisy, weights)
    # The body's own pelvis is at its origin before it is moved.
    pelvis = aligned - (rotated - tf.matmul(-middle, turn, transpose_b=True))
    names = list(joints.select(joints.LSP14, of=model.joint_names))
    return {
        "body_mm": _error(body, true),
        "moved_mm": _error(aligned, true),
        "moved_own_mm": _error(aligned - pelvis, true),
        "pa_mpjpe_mm": metrics.pa_mpjpe_mm(
            joints14.numpy()[:, names], keypoints.numpy()[:, names]
        ),
    }


def _error(points, true) -> np.ndarray:
    """(B,) mean distances of the 16 joints, millimetres."""
    return metrics.mpjpe_mm(
        np.asarray(points)[:, _ROWS], np.asarray(true)[:, _ROWS]
    )
