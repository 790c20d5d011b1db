"""The terms that HUND learns by, from a batch and what `call` has made of it.

Errors of a body are given for every state that is supervised (`num_supervised`
of a hund.Model), in one batch of all of them, the first state's rows first.
"""

import tensorflow as tf

from tf_hmr import losses, method
from tf_hmr.body import part_maps
from tf_hmr.methods import _hund_losses, _hund_state, _smpl_losses
from tf_hmr.methods._hund_losses import UnitLoss
from tf_hmr.networks.map_decoder import Detection

_LABELS = ("joints3d", "rotmats", "has_pose", "has_betas")


def of_alignment(model, batch, intermediate) -> dict[str, UnitLoss]:
    """L_u (eq. 3) with the detector's maps, which get no gradient.

    Args:
        model: a hund.Model.
        batch: with has_pose and has_joints3d (B,).
        intermediate: of its prediction in training.
    """
    config, count = model.config, model.num_supervised
    detection = tf.nest.map_structure(
        tf.stop_gradient, intermediate["detection"]
    )
    unlabelled = 1.0 - tf.maximum(batch["has_pose"], batch["has_joints3d"])
    aligned = unlabelled
    if config.align == "all":
        aligned = tf.ones_like(unlabelled)

    def unit(values, flag, weight):
        values = tf.stack(tf.split(values, count))
        return UnitLoss(values * flag, flag, weight)

    units = {}
    if config.keypoints:
        distance = _hund_losses.keypoint_distance(
            intermediate["keypoints"],
            tf.tile(detection.keypoints, (count, 1, 1)),
        )
        units["keypoints"] = unit(distance, aligned, config.keypoints)
    if config.parts:
        maps = model.draw_parts(
            _estimates(intermediate),
            tf.tile(intermediate["intrinsics"], (count, 1)),
        )
        target = part_maps.resized(detection.parts, config.part_side)
        difference = part_maps.l1(maps, tf.tile(target, (count, 1, 1, 1)))
        units["parts"] = unit(difference, aligned, config.parts)
    if config.latent and intermediate["latent"] is not None:
        square = _hund_losses.mean_square(intermediate["latent"])
        units["latent"] = unit(square, unlabelled, config.latent)
    if config.betas:
        square = _hund_losses.mean_square(intermediate["betas"])
        units["betas"] = unit(square, unlabelled, config.betas)
    return units


def of_labels(model, batch, intermediate) -> dict[str, UnitLoss]:
    """L_f, where there are 3D labels.

    Args:
        model: a hund.Model.
        batch: of training/data/pipeline/batches.py: train_dataset.
        intermediate: of its prediction in training.
    """
    config, count = model.config, model.num_supervised
    labels = _smpl_losses.repeated(
        {name: batch[name] for name in _LABELS}, count
    )
    estimates, units = _estimates(intermediate), {}

    def unit(total_and_count, weight):
        total, number = total_and_count
        totals = tf.stack(tf.split(total, count))
        return UnitLoss(totals, tf.split(number, count)[0], weight)

    if config.joints_3d:
        distances = _hund_losses.joints_3d(
            intermediate["joints"], model.joint_names, labels["joints3d"]
        )
        units["joints_3d"] = unit(distances, config.joints_3d)
    if config.vertices:
        true, _ = model.skin(batch["rotmats"], batch["betas"])
        points, _ = model.skin(estimates.rotmats, estimates.betas)
        distances = _hund_losses.vertices(
            points,
            tf.tile(true, (count, 1, 1)),
            labels["has_pose"] * labels["has_betas"],
        )
        units["vertices"] = unit(distances, config.vertices)
    if config.rotmats:
        error = losses.rotmats_l1(
            estimates.rotmats, labels["rotmats"], labels["has_pose"]
        )
        units["rotmats"] = unit(error, config.rotmats)
    return units


def of_detector(model, batch, detection: Detection) -> dict[str, method.Term]:
    """The detector's own losses, of labelled keypoints and parts.

    Args:
        model: a hund.Model.
        batch: with keypoints, and with parts (B, S, S) and has_parts (B,) if
            there are labels of parts.
        detection: of its pictures.
    """
    config, terms = model.config, {}
    if config.detector_keypoints:
        true = _smpl_losses.select(batch["keypoints"], model.joint_names)
        terms["detector_keypoints"] = _smpl_losses.term(
            losses.keypoints_l1(
                detection.keypoints, true[..., :2], true[..., 2]
            ),
            config.detector_keypoints,
        )
    if config.detector_parts and "parts" in batch:
        side, channels = detection.part_logits.shape[2:]
        shares = part_maps.of_labels(batch["parts"], side, channels)
        terms["detector_parts"] = _smpl_losses.term(
            _hund_losses.part_cross_entropy(
                detection.part_logits, shares, batch["has_parts"]
            ),
            config.detector_parts,
        )
    return terms


def _estimates(intermediate) -> _hund_state.Estimate:
    return _hund_state.Estimate(
        *(intermediate[name] for name in _hund_state.Estimate._fields)
    )
