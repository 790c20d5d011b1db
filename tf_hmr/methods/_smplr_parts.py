"""SMPLR's networks that never see a picture, and what each is trained on.

Sampled bodies: those of the unpaired poses are turned at random, and their
points moved by noise; the networks undo it, or read shape and pose. All three
are trained with the noise (meysam-madadi/SMPLR: train_all.py). Or people in
pictures: their points as the trained hourglass finds them (Madadi et al.,
sections 4.4.2 and 4.4.3).
"""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.geometry import rotations
from tf_hmr.methods import _smplr_maps, _smplr_points, _smplr_regressor
from tf_hmr.networks import dropout

SIZE_WEIGHT = 0.01
"""Weight of the mean size of Psi's numbers (meysam-madadi/SMPLR:
Losses/losses.py)."""
POINTS_WEIGHT = 2.0
"""L_SMPL is a mean over the joints and one over the landmarks, each of weight
1; here it is one mean over both."""

# Half ranges of the uniform noise of a point in millimetres: in depth, across
# and up; both sides alike (meysam-madadi/SMPLR: Data/datagenerator_cloth3d.py,
# whose first coordinate is the depth).
_NOISE_MM = {
    (8, 7, 5): ("hip", "spine1"),
    (16, 9, 10): ("spine2", "spine3"),
    (34, 23, 19): ("knee",),
    (53, 23, 25): ("ankle",),
    (56, 23, 25): ("foot",),
    (27, 11, 14): ("neck",),
    (22, 10, 12): ("collar",),
    (31, 12, 16): ("head",),
    (27, 16, 17): ("shoulder",),
    (45, 26, 28): ("elbow",),
    (67, 30, 35): ("wrist",),
    (79, 33, 39): ("hand",),
    (21, 15, 15): ("breast",),
    (12, 13, 9): ("belly", "hip_side"),
    (17, 14, 12): ("thigh_front", "thigh_back"),
    (60, 27, 29): ("toe",),
    (32, 19, 21): ("biceps", "triceps"),
    (88, 41, 47): ("fingertip",),
    (39, 22, 29): ("nose_tip",),
}


def noise_ranges() -> np.ndarray:
    """(41, 3) half ranges of the noise of joints.SMPLR41, metres: x, y, z."""
    by_name = {
        name: (across, up, depth)
        for (depth, across, up), names in _NOISE_MM.items()
        for name in names
    }
    sided = (
        name.removeprefix("left_").removeprefix("right_")
        for name in joints.SMPLR41
    )
    return np.float32([by_name[name] for name in sided]) / 1000


class Sample(NamedTuple):
    """Bodies and their points; no gradient flows into them."""

    noisy: tf.Tensor
    """(B, P, 3) about the mean that stands for the pelvis, metres."""
    points: tf.Tensor
    """(B, P, 3) about the pelvis, metres."""
    rotmats: tf.Tensor
    """(B, 24, 3, 3), turned as before a camera."""
    betas: tf.Tensor
    """(B, P)."""
    gender: tf.Tensor
    """(B, 1) -1 women, +1 men, 0 not known."""
    labelled: tf.Tensor
    """(B,) flags: the body is known."""


class Sampler:
    """Draws orientations and noise of the unpaired poses."""

    image_size = 0

    # Standard deviations of the tilt of a body towards the camera and to the
    # side, radians: cameras look down by 6 -/+ 12 degrees, and bodies lean.
    _DOWN, _TILT = math.radians(6), math.radians(20)
    _ANY = 0.1  # Share of bodies in any orientation, as of lying people.

    def __init__(
        self,
        points: _smplr_points.BodyPoints,
        root: _smplr_points.Root,
        noise: float,
        name: str,
    ):
        """Makes a source of samples.

        Args:
            points: of the body.
            root: stands for the pelvis.
            noise: factor of the paper's noise.
            name: of the random state.
        """
        self._points, self._root = points, root
        self._ranges = noise * noise_ranges()[: len(points.names)]
        self.seeds = keras.random.SeedGenerator(name=name)

    def inputs(self, batch):
        """Rotations, shapes and genders of the unpaired poses."""
        names = "prior_rotmats", "prior_betas", "prior_gender"
        return tuple(batch[name] for name in names)

    def __call__(self, rotmats, betas, gender) -> Sample:
        """Draws one sample for each body (B, ...)."""
        count = tf.shape(betas)[0]
        root_rotations = self._turns(count) @ rotmats[:, 0]
        rotmats = tf.concat(
            [root_rotations[:, tf.newaxis], rotmats[:, 1:]], axis=1
        )
        points, _ = self._points(rotmats, self._points.shape(betas, gender))
        noise = tf.random.stateless_uniform(
            tf.shape(points), dropout.next_seed(self.seeds), -1.0, 1.0
        )
        noisy = points + self._ranges * noise
        noisy = noisy - self._root(noisy)
        known = self._points.known(gender)
        gender = gender[:, tf.newaxis]
        sample = Sample(noisy, points, rotmats, betas, gender, known)
        return Sample(*map(tf.stop_gradient, sample))

    def _turns(self, count) -> tf.Tensor:
        """(B, 3, 3) from a body's rest frame to a camera's."""
        seeds = [dropout.next_seed(self.seeds) for _ in range(4)]
        yaw = tf.random.stateless_uniform((count, 1), seeds[0], -1.0, 1.0)
        tilts = tf.random.stateless_normal((count, 2), seeds[1])
        zero = tf.zeros_like(yaw)
        about_up = rotations.rotvec_to_rotmat(
            tf.concat([zero, math.pi * yaw, zero], axis=1)
        )
        down = self._DOWN + self._TILT * tilts[:, 0:1]
        tilt = rotations.rotvec_to_rotmat(
            tf.concat([down, zero, self._TILT * tilts[:, 1:2]], axis=1)
        )
        # A body's y points up, a camera's down.
        upright = tilt @ tf.constant(np.diag([1.0, -1, -1]), tf.float32)
        upright = upright @ about_up
        quaternions = tf.random.stateless_normal((count, 4), seeds[2])
        any_turn = rotations.quat_wxyz_to_rotmat(quaternions)
        is_any = tf.random.stateless_uniform((count, 1, 1), seeds[3])
        return tf.where(is_any < self._ANY, any_turn, upright)


class Pictures:
    """Finds the points of people in pictures, by a network that stays."""

    def __init__(self, encoder: _smplr_maps.Encoder):
        """Takes the trained network."""
        self._encoder = encoder

    @property
    def image_size(self) -> int:
        """Side of the square input crop in pixels."""
        return self._encoder.image_size

    def inputs(self, batch):
        """What the encoder reads, and the labels of the bodies."""
        names = ("rotmats", "betas", "keypoints", "has_pose", "has_betas")
        wanted = (*self._encoder.input_names, *names, "gender")
        return ({name: batch[name] for name in wanted},)

    def __call__(self, batch) -> Sample:
        """Points of labelled people; where not labelled, any finite numbers."""
        images = self._encoder.inputs(batch)
        # Within a training call Keras would else train the batch statistics.
        volumes = self._encoder(images, training=False)
        maps = self._encoder.maps(volumes, batch)
        truth = self._encoder.truth(batch)
        flags = truth.labelled

        def known(values):
            shape = [-1] + [1] * (values.shape.rank - 1)
            return tf.where(tf.reshape(flags, shape) > 0, values, 0.0)

        sample = Sample(
            maps.points,
            *(known(x) for x in (truth.points, batch["rotmats"])),
            *(known(x) for x in (batch["betas"], batch["gender"][:, None])),
            flags,
        )
        return Sample(*map(tf.stop_gradient, sample))


class Part(method.Learner):
    """One network, and how it is trained."""

    def __init__(
        self,
        name: str,
        regressor: _smplr_regressor.Regressor,
        points: _smplr_points.BodyPoints,
        sampler: Sampler | Pictures,
        lift: bool,
    ):
        """Takes a network of the regressor.

        Args:
            name: of the part.
            regressor: holds the network.
            points: of bodies.
            sampler: makes samples.
            lift: whether the denoiser gets points without depth.
        """
        super().__init__(name=name, dtype="float32")
        self.regressor, self.points = regressor, points
        self.sampler, self._lift = sampler, lift
        # Keras keeps it: it is state.
        self.seeds = getattr(sampler, "seeds", None)

    @property
    def image_size(self) -> int:
        """Side of the crops of its samples; 0 of unpaired poses."""
        return self.sampler.image_size

    @property
    def trained(self) -> keras.layers.Layer:
        """The network that learns."""
        raise NotImplementedError

    def player_variables(self):
        """Those of the network; the others of the regressor stay."""
        return list(self.trained.trainable_variables)

    def inputs(self, batch):
        """What the sampler reads."""
        return self.sampler.inputs(batch)

    def complete(self, sample: Sample) -> tf.Tensor:
        """(B, P, 3) of a sample, with the depth that Psi and Omega need.

        Those found in pictures get theirs from the denoiser, if it lifts.
        """
        if not (self._lift and self.image_size):
            return sample.noisy
        flat = _smplr_regressor.without_depth(sample.noisy)
        return tf.stop_gradient(self.regressor.denoised(flat))


class Denoise(Part):
    """Trains the denoiser: mean absolute error of the points."""

    @property
    def trained(self) -> keras.layers.Layer:
        """The network."""
        return self.regressor.denoiser

    def call(self, bodies, training=False):
        """Bodies of `inputs` -> their Sample and points (B, P, 3)."""
        sample = self.sampler(*bodies)
        noisy = sample.noisy
        if self._lift:
            noisy = _smplr_regressor.without_depth(noisy)
        return sample, self.regressor.denoised(noisy, training)

    def terms(self, batch, prediction):
        """The mean over all coordinates."""
        sample, points = prediction
        return {"denoiser": _mean(sample, points - sample.points, 1.0)}


class Shape(Part):
    """Trains Psi: mean absolute error of betas and gender."""

    @property
    def trained(self) -> keras.layers.Layer:
        """The network."""
        return self.regressor.shape

    def call(self, bodies, training=False):
        """Bodies of `inputs` -> their Sample and numbers (B, P + 1)."""
        sample = self.sampler(*bodies)
        points = self.complete(sample)
        return sample, self.regressor.shape_numbers(points, training)

    def terms(self, batch, prediction):
        """The mean over betas and known genders, and the numbers' size."""
        sample, numbers = prediction
        is_known = tf.cast(tf.abs(sample.gender) > 0, tf.float32)
        counted = tf.concat([tf.ones_like(sample.betas), is_known], axis=1)
        counted *= sample.labelled[:, tf.newaxis]
        true = tf.concat([sample.betas, sample.gender], axis=1)
        error = tf.reduce_sum(counted * tf.abs(numbers - true), axis=1)
        return {
            "shape": method.Term(error, tf.reduce_sum(counted, axis=1), 1.0),
            "size": _mean(sample, numbers, SIZE_WEIGHT),
        }


class Pose(Part):
    """Trains Omega: mean absolute error of matrices, L_R; or with L_SMPL.

    L_SMPL is that of the points of the body that they pose.
    """

    def __init__(self, name, *arguments, with_points: bool):
        """Takes with_points: whether L_SMPL is added; else see Part."""
        super().__init__(name, *arguments)
        self._with_points = with_points

    @property
    def trained(self) -> keras.layers.Layer:
        """The network."""
        return self.regressor.pose

    def call(self, bodies, training=False):
        """Bodies of `inputs` -> their Sample, matrices (B, 24, 3, 3), points.

        The points (B, P, 3) are None without L_SMPL.
        """
        sample = self.sampler(*bodies)
        matrices = self.regressor.matrices(self.complete(sample), training)
        points = None
        if self._with_points:
            shape = self.points.shape(sample.betas, sample.gender)
            points, _ = self.points(matrices, shape)
        return sample, matrices, points

    def terms(self, batch, prediction):
        """L_R, and with `with_points` L_SMPL."""
        sample, matrices, points = prediction
        terms = {"rotmats": _mean(sample, matrices - sample.rotmats, 1.0)}
        if points is not None:
            error = points - sample.points
            terms["smpl"] = _mean(sample, error, POINTS_WEIGHT)
        return terms


def _mean(sample: Sample, errors: tf.Tensor, weight: float) -> method.Term:
    """The mean size of all numbers (B, ...) of labelled examples."""
    return _smplr_maps.absolute(tf.abs(errors), sample.labelled, weight)
