"""The parts of SMPLR whose answers the paper's Table 1 scores one by one.

    cnn       the points that the network finds in the picture
    denoised  the same after the denoiser
    shape     the body of Psi's betas and the labelled rotations
    pose      the body of Omega's rotations and the labelled betas
    all       the body of both, from denoised points
    proc      the same, turned and moved onto the points found

Psi and Omega alone read the points as they are found (section 4.4.3), unless
those have no depth.
"""

import tensorflow as tf

from tf_hmr import method
from tf_hmr.geometry import nearest_rotation
from tf_hmr.methods import _smplr_regressor

NAMES = ("cnn", "denoised", "shape", "pose", "all", "proc")
"""In the order of the method."""
LABELS = {"shape": ("rotmats",), "pose": ("betas",)}
"""Labels that stand in for the other network."""
_POINTS = ("cnn", "denoised")


def joint_names(model, name: str) -> tuple[str, ...]:
    """Names of the joints of an output.

    Args:
        model: a smplr.Model.
        name: of NAMES.
    """
    if name in _POINTS:
        return ("pelvis", *model.points.names)
    if name == "proc":
        return ("pelvis", *model.points.names, method.OWN_PELVIS)
    return model.joint_names


def output(model, name: str, inputs, labels) -> method.Prediction:
    """The answer of one part.

    Args:
        model: a smplr.Model.
        name: of NAMES.
        inputs: as of Model.call.
        labels: those of LABELS.
    """
    volumes = model.encoder(model.encoder.inputs(inputs), training=False)
    maps = model.encoder.maps(volumes, inputs)
    if name == "cnn":
        return _points(maps.points)
    estimate = model.estimate(maps)
    if name == "denoised":
        return _points(estimate.points)
    if name in LABELS and not model.lift:
        estimate = model.regressor(maps.points, denoise=False)
    maps = model.target(maps, estimate)
    rotmats = labels.get("rotmats")
    if rotmats is None:
        rotmats = _smplr_regressor.rotations_of(estimate)
    betas = labels.get("betas", estimate.betas)
    betas = model.points.shape(betas, estimate.gender)
    if name == "proc":
        return _on_points(model, maps, rotmats, betas)
    return model.posed(maps, rotmats, betas, procrustes=False)


def _points(points: tf.Tensor) -> method.Prediction:
    """Points (B, P, 3) about the pelvis as an answer: joints alone."""
    pelvis = tf.zeros_like(points[:, 0:1])
    joints = tf.concat([pelvis, points], axis=1)
    return method.Prediction(None, None, None, joints, None, None)


def _on_points(model, maps, rotmats, betas) -> method.Prediction:
    """A body turned and moved onto points, about their pelvis.

    Its own pelvis comes last. Rotations and betas, which say nothing of the
    place, are left out: a body of them would be about its own pelvis.
    """
    turned = model.posed(maps, rotmats, betas, procrustes=True)
    body = model.body(turned.rotmats, betas)
    points = model.body_points(body)
    weights = model.point_weights
    move = nearest_rotation.weighted_mean(maps.points, weights)
    move = move - nearest_rotation.weighted_mean(points, weights)
    pelvis = tf.zeros_like(points[:, 0:1])
    joints = tf.concat(
        [pelvis, points + move, body.skeleton[:, 0:1] + move], axis=1
    )
    scale, shift = turned.camera[:, 0:1], turned.camera[:, 1:3]
    camera = tf.concat([scale, shift - move[:, 0, 0:2]], axis=1)
    return method.Prediction(
        None, None, camera, joints, None, body.vertices + move
    )
