"""Fits to keypoints as labels of pose and shape, made inside the step.

Kolotouros et al., Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop, ICCV 2019: a body is fitted to the keypoints from
the prediction on, compared with the one that was kept so far, and the better
one teaches the network (nkolot/SPIN: train/trainer.py).
"""

import dataclasses

import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations, translation
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import priors

# SPIN's crop and focal length, in pixels, which its weights belong to; crops
# of other sides are measured as if they had this one.
SIDE, FOCAL = 224.0, 5000.0
CENTRE = (0.0, 0.0)
# Mean loss of a keypoint, square pixels, from which a fit teaches nothing. As
# in SPIN the mean is over all keypoints of the body, seen or not.
THRESHOLD = 100.0
# A body with a beta beyond this teaches its pose and the mean shape.
EXTREME_BETA = 3.0


class FitTargets:
    """Keeps the better of two fits, and makes labels of it."""

    def __init__(self, body: Body, prior: str, steps: int):
        """Makes the fitter.

        Args:
            body: whose keypoints are compared.
            prior: file of the pose prior, priors.load; "" for the open
                body's own.
            steps: of the camera's and of the body's stage; 0 takes the kept
                fits as they are.

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
        """The batch with pose and betas of fits where it has no pose.

        Args:
            batch: of pipeline.train_dataset.
            prediction: of it.
            fits: the kept ones, with a body in every row.

        Returns:
            The batch, and `fits`: a method.Fits whose `kept` is 1 where it
            is better than the kept one and to be kept in its place; and
            `fits_wanted`, `fits_valid` (B,): 1 where a fit could teach, and
            where it does.
        """
        points = _pixels(batch["keypoints"])
        seen = tf.reduce_any(points[..., 2] > 0, axis=1)
        wanted = seen & (batch["has_pose"] <= 0)
        best, score = self._kept(points, fits)
        better = tf.zeros_like(wanted)
        if self.steps:
            found, its_score = self._found(points, prediction)
            finite = tf.math.is_finite(its_score)
            for part in (found.pose, found.betas):
                finite &= tf.reduce_all(tf.math.is_finite(part), axis=1)
            better = wanted & finite & (its_score < score)
            best = tf.nest.map_structure(
                lambda new, old: tf.where(better[:, None], new, old),
                found,
                best,
            )
            score = tf.where(better, its_score, score)
        kept = better | (fits.kept > 0)
        valid = wanted & kept & (score < THRESHOLD)
        num_joints = self.body.data.num_joints
        rotmats = rotations.rotvec_to_rotmat(
            tf.reshape(best.pose, (-1, num_joints, 3))
        )
        return _taught(batch, rotmats, best.betas, valid) | {
            "fits": method.Fits(rotmats, best.betas, _flag(better)),
            "fits_wanted": _flag(wanted),
            "fits_valid": _flag(valid),
        }

    def _kept(self, points, fits):
        """The kept fits, placed before the camera, and their scores."""
        found, _ = self.body.keypoints(fits.rotmats, fits.betas)
        index = joints.select(self.body.joint_names, of=joints.KEYPOINTS)
        labels = tf.gather(points, index, axis=1)
        placed = translation.estimate(found, labels, FOCAL, CENTRE)
        at = smplify.Parameters(self._rotvecs(fits.rotmats), fits.betas, placed)
        losses = self.fitter.joint_losses(at, points, FOCAL, CENTRE)
        return at, tf.reduce_mean(losses, axis=1)

    def _found(self, points, prediction):
        """New fits from the prediction on, and their scores."""
        start = smplify.Parameters(
            self._rotvecs(prediction.rotmats),
            prediction.betas,
            camera.weak_to_translation(prediction.camera, FOCAL, SIDE),
        )
        start = tf.nest.map_structure(tf.stop_gradient, start)
        fit = self.fitter(start, points, FOCAL, CENTRE)
        return smplify.Parameters(fit.pose, fit.betas, fit.translation), (
            fit.score
        )

    def _rotvecs(self, rotmats: tf.Tensor) -> tf.Tensor:
        """(B, J, 3, 3) -> (B, 3 J)."""
        rotvecs = rotations.rotmat_to_rotvec(rotmats)
        return tf.reshape(rotvecs, (-1, 3 * self.body.data.num_joints))


def _pixels(keypoints: tf.Tensor) -> tf.Tensor:
    """(B, K, 3) in [-1, 1] and confidence -> pixels of SIDE, centre 0."""
    return keypoints * (SIDE / 2, SIDE / 2, 1.0)


def _taught(batch, rotmats, betas, valid):
    """The batch with the fit's labels where they are valid."""
    extreme = tf.reduce_any(tf.abs(betas) > EXTREME_BETA, axis=1)
    betas = tf.where(extreme[:, None], 0.0, betas)
    shaped = valid & (batch["has_betas"] <= 0)
    return batch | {
        "rotmats": tf.where(
            valid[:, None, None, None], rotmats, batch["rotmats"]
        ),
        "betas": tf.where(shaped[:, None], betas, batch["betas"]),
        "has_pose": tf.maximum(batch["has_pose"], _flag(valid)),
        "has_betas": tf.maximum(batch["has_betas"], _flag(shaped)),
    }


def _flag(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(condition, tf.float32)
