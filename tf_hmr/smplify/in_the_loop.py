"""Labels of pose and shape from SMPLify fits, made inside the training step.

Kolotouros et al., Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop, ICCV 2019: a body is fitted to the keypoints from
the prediction, compared with the fit stored so far, and the better one
becomes the label (nkolot/SPIN: train/trainer.py). training/engine/fit_store.py
stores the fits, by example, in the run's workdir.
"""

import dataclasses

import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations, translation
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import priors

# SPIN's crop and focal length, in pixels, for which its weights were chosen.
# Keypoints of crops of other sides are scaled to this side.
SIDE, FOCAL = 224.0, 5000.0
CENTRE = (0.0, 0.0)
# Fits with a mean keypoint loss (px squared) above this are not used as labels.
# The mean is over all keypoints of the body, visible or not. With OpenPose's
# detections the sum is divided by SPIN's 49 keypoints, OpenPose's 25 and 24
# others. So a person without detections, who has half the evidence, is not
# accepted with larger errors.
THRESHOLD = 100.0
SPIN_KEYPOINTS = 49
# A fit with a larger beta gives a label of its pose and of the mean shape.
EXTREME_BETA = 3.0


class FitTargets:
    """Makes labels of the better of the stored and the new fit."""

    def __init__(self, body: Body, prior: str, steps: int):
        """Makes the fitter.

        Args:
            body: the body to fit.
            prior: file of the pose prior, priors.load; "" for the open
                body's own.
            steps: steps of the camera's and of the body's stage; 0 makes no
                new fits.

        Raises:
            FileNotFoundError, ValueError: see priors.load, smplify.Fitter.
        """
        self.body, self.steps = body, steps
        schedule = smplify.SPIN
        if steps:
            stages = tuple(
                dataclasses.replace(stage, steps=steps)
                for stage in schedule.stages
            )
            schedule = dataclasses.replace(
                schedule, stages=stages, camera_steps=steps
            )
        mixture = priors.load(prior or None)
        self.fitter = smplify.Fitter(body.data, mixture, schedule)

    def __call__(
        self,
        batch: dict[str, tf.Tensor],
        prediction: method.Prediction,
        fits: method.Fits,
    ) -> dict[str, tf.Tensor]:
        """Adds pose and betas of fits to the examples without a pose.

        Args:
            batch: a batch of training/data/pipeline/batches.py: train_dataset;
                bodies are fitted to its `openpose`, too, where it has it.
            prediction: the prediction for it.
            fits: the stored fits; rows without one hold the mean body.

        Returns:
            The batch, and `fits`: a method.Fits whose `kept` is 1 where the
            new fit is better than the stored one and replaces it; and
            `fits_wanted`, `fits_valid` (B,): 1 where a fit could be a label,
            and where it is one.
        """
        points = _pixels(batch["keypoints"])
        has_keypoints = tf.reduce_any(points[..., 2] > 0, axis=1)
        needs_fit = has_keypoints & (batch["has_pose"] <= 0)
        detections = batch.get("openpose")
        if detections is not None:
            detections = _pixels(detections)
        best, score = self._stored_fits(points, detections, fits)
        better = tf.zeros_like(needs_fit)
        if self.steps:
            new_fit, new_score = self._new_fits(points, detections, prediction)
            finite = tf.math.is_finite(new_score)
            for part in (new_fit.pose, new_fit.betas):
                finite &= tf.reduce_all(tf.math.is_finite(part), axis=1)
            better = needs_fit & finite & (new_score < score)
            best = tf.nest.map_structure(
                lambda new, old: tf.where(better[:, None], new, old),
                new_fit,
                best,
            )
            score = tf.where(better, new_score, score)
        has_fit = better | (fits.kept > 0)
        valid = needs_fit & has_fit & (score < THRESHOLD)
        num_joints = self.body.data.num_joints
        rotmats = rotations.rotvec_to_rotmat(
            tf.reshape(best.pose, (-1, num_joints, 3))
        )
        return _with_labels(batch, rotmats, best.betas, valid) | {
            "fits": method.Fits(rotmats, best.betas, _to_float(better)),
            "fits_wanted": _to_float(needs_fit),
            "fits_valid": _to_float(valid),
        }

    def _stored_fits(self, points, detections, fits):
        """Stored fits, moved onto the keypoints, and their scores."""
        body_keypoints, _ = self.body.keypoints(fits.rotmats, fits.betas)
        index = joints.select(self.body.joint_names, of=joints.KEYPOINTS)
        labels = tf.gather(points, index, axis=1)
        translations = translation.estimate(
            body_keypoints, labels, FOCAL, CENTRE
        )
        parameters = smplify.Parameters(
            self._rotvecs(fits.rotmats), fits.betas, translations
        )
        losses = self.fitter.joint_losses(
            parameters, points, FOCAL, CENTRE, detections
        )
        return parameters, _score(losses, detections)

    def _new_fits(self, points, detections, prediction):
        """Fits that start at the prediction, and their scores."""
        start = smplify.Parameters(
            self._rotvecs(prediction.rotmats),
            prediction.betas,
            camera.weak_to_translation(prediction.camera, FOCAL, SIDE),
        )
        start = tf.nest.map_structure(tf.stop_gradient, start)
        fit = self.fitter(start, points, FOCAL, CENTRE, detections)
        parameters = smplify.Parameters(fit.pose, fit.betas, fit.translation)
        return parameters, _score(fit.joint_losses, detections)

    def _rotvecs(self, rotmats: tf.Tensor) -> tf.Tensor:
        """(B, J, 3, 3) -> (B, 3 J)."""
        rotvecs = rotations.rotmat_to_rotvec(rotmats)
        return tf.reshape(rotvecs, (-1, 3 * self.body.data.num_joints))


def _pixels(keypoints: tf.Tensor) -> tf.Tensor:
    """(B, K, 3) in [-1, 1] and confidence -> pixels of SIDE, centre 0."""
    return keypoints * (SIDE / 2, SIDE / 2, 1.0)


def _score(losses: tf.Tensor, detections: tf.Tensor | None) -> tf.Tensor:
    """(B,) mean keypoint loss, see THRESHOLD."""
    if detections is None:
        return tf.reduce_mean(losses, axis=1)
    count = losses.shape[1] - detections.shape[1]
    has_detections = tf.reduce_any(detections[..., 2] > 0, axis=1)
    count = tf.where(has_detections, float(SPIN_KEYPOINTS), float(count))
    return tf.reduce_sum(losses, axis=1) / count


def _with_labels(batch, rotmats, betas, valid):
    """Replaces labels of the batch by those of valid fits."""
    extreme = tf.reduce_any(tf.abs(betas) > EXTREME_BETA, axis=1)
    betas = tf.where(extreme[:, None], 0.0, betas)
    use_betas = valid & (batch["has_betas"] <= 0)
    return batch | {
        "rotmats": tf.where(
            valid[:, None, None, None], rotmats, batch["rotmats"]
        ),
        "betas": tf.where(use_betas[:, None], betas, batch["betas"]),
        "has_pose": tf.maximum(batch["has_pose"], _to_float(valid)),
        "has_betas": tf.maximum(batch["has_betas"], _to_float(use_betas)),
    }


def _to_float(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(condition, tf.float32)
