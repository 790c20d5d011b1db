"""SMPLR: points of the body first, then shape and pose from the points.

Madadi et al., SMPLR: Deep SMPL reverse for 3D human pose and shape recovery,
Pattern Recognition 106, 2020; meysam-madadi/SMPLR. A volumetric stacked
hourglass finds 23 joints and 18 landmarks of the skin; a denoising autoencoder
cleans them; two small networks, which never see a picture, read betas and
gender from bone lengths (Psi) and rotations from bone directions (Omega); and
the body that they give is turned and moved onto the points that were found.

The paper crops 2.5 m around the pelvis, at its known distance. The crop here is
that of a box, as of every method, so the cube's unit is not known: see
Config.crop and Config.scale.
"""

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from tf_hmr import config_values, joints, method
from tf_hmr.body import surface_landmarks
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, nearest_rotation
from tf_hmr.methods import (
    _smplr_convention,
    _smplr_maps,
    _smplr_outputs,
    _smplr_parts,
    _smplr_points,
    _smplr_regressor,
)

# Standard deviation of what a well trained body is off, along an axis.
_BODY_ERROR_M = 0.01


def point_weights(count: int) -> np.ndarray:
    """Weights (count, 1) of the points when a body is laid on them.

    They are the inverse variance of the paper's noise and of a body. Hands and
    feet, which are seen least exactly, would else turn the body most.
    """
    ranges = _smplr_parts.noise_ranges()[:count]
    variances = ranges**2 / 3 + _BODY_ERROR_M**2
    weights = 1 / variances.sum(axis=1, keepdims=True)
    return weights / weights.sum()


@dataclasses.dataclass(frozen=True)
class Config(method.Config):
    """Defaults are those of the paper or of its code."""

    image_size: config_values.Pixels = 256
    """Side of the square input crop in pixels; maps are a quarter as wide."""
    backbone: Literal["hourglass", "alexnet"] = "hourglass"
    """Network that finds the points: 'alexnet' regresses their coordinates, by
    their squared errors; of its sizes below only the width counts."""
    landmarks: bool = True
    """Whether 18 landmarks of the skin are found beside the 23 joints."""
    stacks: config_values.Repeats = 5
    """Hourglasses in a row, each with maps of its own."""
    width: config_values.Count = 256
    """Channels of an hourglass; of AlexNet's last convolution."""
    bins: config_values.Count = 16
    """Voxels of a map in depth; 1: flat maps, of the 2D hourglass, and the
    denoiser lifts their points."""
    levels: config_values.Repeats = 4
    """Times that an hourglass halves its maps."""
    stem: tuple[
        config_values.Count, config_values.Count, config_values.Count
    ] = (64, 128, 128)
    """Channels before the first hourglass."""
    dropout: config_values.Dropout = 0.1
    """Dropout in the hourglass."""
    hidden: config_values.Count = 1024
    """Units of the widest layers of the denoiser, Psi and Omega."""
    convention: _smplr_convention.Name = "paper"
    """Coordinates of the networks: 'code' is for the published weights, whose
    maps have depth along their columns and 16 bins of height, and whose bone
    lengths are compared with those of another body."""
    denoise: bool = True
    """Whether there is a denoising autoencoder."""
    lift: bool = False
    """Whether the denoiser gets the points with a depth of 0 and lifts them
    (section 4.4.2); always from flat maps."""
    learn_from: Literal["noise", "pictures"] = "noise"
    """What denoiser, Psi and Omega learn from: 'noise', sampled bodies and the
    noise below; 'pictures', labelled people as the trained hourglass finds
    them, in stages after its own (Table 1)."""
    denoiser_dropout: config_values.Dropout = 0.2
    """Dropout in the denoiser."""
    noise: config_values.NonNegative = 1.0
    """Factor of the noise that Psi and Omega are trained with; 1 moves a point
    by 25 mm, as in the paper's code."""
    denoiser_noise: config_values.NonNegative = 1.0
    """Factor of the noise that the denoiser is trained with. It should be that
    of the hourglass: at a fourth of it a denoiser of the paper's size does
    harm."""
    crop: Literal["estimated", "truth"] = "estimated"
    """'truth': the crop's side in metres follows from the labelled distance, as
    in the paper's experiments with true crops; no photo has one. 'estimated':
    from the picture alone."""
    crop_side_m: config_values.NonNegative = 2.5
    """With crop='truth', side of the crops in metres, about the middle of a
    person; 0: those of boxes."""
    scale: Literal["bones", "learned"] = "bones"
    """With crop='estimated', the scale of the crop's camera, which is the unit
    of the cube: 'bones' compares long bones with those of the mean body;
    'learned' is a number of a small network, for weak hourglasses, which make
    bones short."""
    procrustes: bool = True
    """Whether the body is turned and moved onto the points found, without
    scaling (ALL_Proc of the paper)."""
    heatmap_loss: Literal["softmax", "sigmoid_code"] = "softmax"
    """Loss of the maps: cross entropy of their softmax, as the paper says, or
    of single voxels, as its code has it."""
    limbs: config_values.NonNegative = 1.0
    """Weight of the maps of the four limbs; 0 trains none."""
    points: config_values.NonNegative = 0.0
    """Weight of the mean absolute error of the points, in metres of a cube of
    2.5 m; 0 as in the paper. AlexNet's squares are always there."""
    scale_loss: config_values.NonNegative = 1.0
    """With scale='learned': weight of the absolute error of its logarithm."""
    body_losses: config_values.NonNegative = 1.0
    """In training end to end: weight of the denoised points, rotations, shape
    and points of the body, each a mean absolute error as when alone."""

    @property
    def crop_m(self) -> float:
        """Side of the crops in metres; 0 where it is not known."""
        return self.crop_side_m if self.crop == "truth" else 0.0


class Model(method.Method):
    """Hourglass, and a regressor that reads a body from its points."""

    outputs = _smplr_outputs.NAMES
    has_gender = True

    def __init__(self, config: Config, body: Body):
        """Makes the networks and the learners that train them.

        Raises:
            ValueError: the body's joints are not SMPL's, or its landmarks are
                unknown; or maps of this size cannot be halved so often; or
                nothing lifts points without depth.
        """
        super().__init__(config, body)
        data, landmarks = body.data, config.landmarks
        is_flat = config.backbone == "hourglass" and config.bins == 1
        self.lift = config.lift or is_flat
        if self.lift and not config.denoise:
            raise ValueError(
                "Points without depth (lift, or bins=1) are lifted by the "
                "denoiser, but denoise is False. Take denoise=True."
            )
        template = np.mean(
            [
                surface_landmarks.bone_template(one)
                for one in filter(None, (data, data.male))
            ],
            axis=0,
        )
        template = template[: len(_smplr_points.names(landmarks))]
        convention = _smplr_convention.Convention(config.convention, template)
        # The body of an export takes one example, and is for tracing only.
        jit = getattr(body, "jit", False)
        points = _smplr_points.BodyPoints(
            data, self.joint_names, jit, landmarks
        )
        root = _smplr_points.Root(data, landmarks)
        self.point_weights = point_weights(len(points.names))
        self._landmarks = None
        if landmarks:
            ids = surface_landmarks.IDS[data.topology]
            ids = [ids[name] for name in joints.LANDMARKS18]
            self._landmarks = np.int32(ids)
        self.regressor = _smplr_regressor.Regressor(
            convention,
            data.num_betas,
            config.hidden,
            config.denoiser_dropout,
            config.denoise,
            len(points.names),
        )
        self.encoder = _smplr_maps.Encoder(
            _smplr_maps.Sizes(
                config.backbone,
                config.image_size,
                config.stacks,
                config.width,
                config.bins,
                config.levels,
                config.stem,
                config.dropout,
            ),
            _smplr_maps.Weights(
                config.heatmap_loss,
                config.limbs,
                config.points,
                config.scale_loss,
            ),
            "truth" if config.crop == "truth" else config.scale,
            points,
            root,
            template,
            convention,
        )
        self.input_names = self.encoder.input_names
        self.points = points
        self._make_parts(root)

    def _make_parts(self, root: _smplr_points.Root) -> None:
        """Makes the learners of denoiser, Psi and Omega."""
        config = self.config

        def shared(name: str, noise: float = config.noise):
            sampler = _smplr_parts.Pictures(self.encoder)
            if config.learn_from == "noise":
                sampler = _smplr_parts.Sampler(
                    self.points, root, noise, name=f"{name}_seed"
                )
            return name, self.regressor, self.points, sampler, self.lift

        self.denoiser = None
        if config.denoise:
            self.denoiser = _smplr_parts.Denoise(
                *shared("denoiser", config.denoiser_noise)
            )
        self.shape = _smplr_parts.Shape(*shared("shape"))
        self.pose, self.pose_smpl = (
            _smplr_parts.Pose(*shared(name), with_points=flag)
            for name, flag in (("pose", False), ("pose_smpl", True))
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What becomes of the gender, and what the scale is."""
        gender = (
            "The last of the betas is the gender: above 0 the body is the "
            f"second of {self.body.data.name}, else the first."
            if self.points.has_pair
            else "The gender is estimated and not used: there is one body "
            f"({self.body.data.name})."
        )
        return (
            gender,
            "A person's size cannot be seen in the crop of a box: the body has "
            "about the size of the mean one, and the camera's scale follows.",
        )

    def player_variables(self):
        """Those of the hourglass: the others are trained alone and frozen.

        The paper trains end to end so (section 4.4.4), else it does not help.
        """
        return list(self.encoder.trainable_variables)

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction.

        With crop="truth" also intrinsics (B, 4) and depth (B, 1).
        """
        volumes = self.encoder(self.encoder.inputs(inputs), training=training)
        # Outside of encoder and regressor, whose formats an export chooses.
        maps = self.encoder.maps(volumes, inputs)
        estimate = self.estimate(maps)
        if training:
            return self._training_prediction(maps, estimate)
        return self.posed(
            self.target(maps, estimate),
            _smplr_regressor.rotations_of(estimate),
            self.points.shape(estimate.betas, estimate.gender),
            self.config.procrustes,
        )

    def output(self, name, inputs, labels) -> method.Prediction:
        """A part's answer alone, of `outputs`; see _smplr_outputs.output."""
        return _smplr_outputs.output(self, name, inputs, labels)

    def output_labels(self, name) -> tuple[str, ...]:
        """Labels that stand in for other parts."""
        return _smplr_outputs.LABELS.get(name, ())

    def output_joint_names(self, name) -> tuple[str, ...]:
        """Names of the joints of `output`."""
        return _smplr_outputs.joint_names(self, name)

    def estimate(self, maps: _smplr_maps.Maps) -> _smplr_regressor.BodyEstimate:
        """The body that the networks read from points that were found."""
        points = maps.points
        if self.lift:
            points = _smplr_regressor.without_depth(points)
        return self.regressor(points)

    def target(
        self, maps: _smplr_maps.Maps, estimate: _smplr_regressor.BodyEstimate
    ) -> _smplr_maps.Maps:
        """What a body is laid on: the points found, or lifted."""
        return maps._replace(points=estimate.points) if self.lift else maps

    def body_points(self, posed) -> tf.Tensor:
        """Points (B, P, 3) of the body function's answer, metres."""
        vertices, _, skeleton = posed
        if self._landmarks is None:
            return skeleton[:, 1:]
        landmarks = tf.gather(vertices, self._landmarks, axis=1)
        return tf.concat([skeleton[:, 1:], landmarks], axis=1)

    def posed(
        self, maps: _smplr_maps.Maps, rotmats, betas, procrustes: bool
    ) -> method.Prediction:
        """Poses the body, and lays it on the points that were found.

        Args:
            maps: the points found.
            rotmats: (B, 24, 3, 3).
            betas: (B, P), or of BodyPoints.shape.
            procrustes: whether the body is also turned onto them.
        """
        posed = self.body(rotmats, betas)
        vertices, points, skeleton = posed
        body_points = self.body_points(posed)
        if procrustes:
            pelvis = skeleton[:, 0:1]
            turn = nearest_rotation.aligning_rotation(
                body_points, maps.points, self.point_weights
            )
            vertices, points, body_points = (
                _turn_about(turn, values, pelvis)
                for values in (vertices, points, body_points)
            )
            rotmats = tf.concat(
                [tf.matmul(turn, rotmats[:, 0:1]), rotmats[:, 1:]], axis=1
            )
        weak = self._camera(maps, body_points)
        keypoints = camera.project_weak_perspective(points, weak)
        return method.Prediction(
            rotmats, betas, weak, points, keypoints, vertices
        )

    def _training_prediction(self, maps, estimate) -> method.Prediction:
        shape = self.points.shape(estimate.betas, estimate.gender)
        body_points, points = self.points(estimate.matrices, shape)
        weak = self._camera(maps, body_points)
        return method.Prediction(
            _smplr_regressor.rotations_of(estimate),
            shape,
            weak,
            points,
            camera.project_weak_perspective(points, weak),
            None,
            intermediate={
                **{f"maps/{k}": v for k, v in maps._asdict().items()},
                "denoised": estimate.points,
                "matrices": estimate.matrices,
                "own": body_points,
            },
        )

    def _camera(self, maps: _smplr_maps.Maps, body_points) -> tf.Tensor:
        """(B, 3) camera that lays a body's weighted mean on the points'.

        Args:
            maps: the points found.
            body_points: (B, P, 3) points of the body, metres.
        """
        centre, middle = (
            nearest_rotation.weighted_mean(points[..., :2], self.point_weights)
            for points in (maps.places, body_points)
        )
        scale = maps.scale
        move = 2.0 * centre / scale - middle
        return tf.reshape(tf.concat([scale, move], axis=-1), (-1, 3))

    def terms(self, batch, prediction):
        """All losses of the paper, L_CNN + L_DAE + L_R + L_beta + L_SMPL."""
        tensors = prediction.intermediate
        maps = _smplr_maps.Maps(
            *(tensors[f"maps/{name}"] for name in _smplr_maps.Maps._fields)
        )
        truth = self.encoder.truth(batch)
        terms = self.encoder.terms_of(truth, maps)
        weight, absolute = self.config.body_losses, _smplr_maps.absolute
        if weight:
            betas = prediction.betas[:, : self.body.data.num_betas]
            pairs = {
                "denoised": (tensors["denoised"], truth.points),
                "rotmats": (tensors["matrices"], batch["rotmats"]),
                "betas": (betas, batch["betas"]),
                "smpl": (self._own_points(tensors, betas, batch), truth.points),
            }
            terms |= {
                name: absolute(tf.abs(pred - true), truth.labelled, weight)
                for name, (pred, true) in pairs.items()
            }
        return terms

    def _own_points(self, tensors, betas, batch) -> tf.Tensor:
        """Points of the predicted body, of the labelled gender's."""
        if not self.points.has_pair:
            return tensors["own"]
        shape = self.points.shape(betas, batch["gender"])
        return self.points(tensors["matrices"], shape)[0]


def _turn_about(turn, points, pelvis) -> tf.Tensor:
    """Turns points (B, N, 3) about the pelvis (B, 1, 3) by (B, 1, 3, 3)."""
    batch = -1 if points.shape[0] is None else points.shape[0]
    turn = tf.reshape(turn, (batch, 3, 3))
    return tf.matmul(points - pelvis, turn, transpose_b=True) + pelvis
