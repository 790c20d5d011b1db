"""HUND: recurrent stages that descend the alignment of a body with a picture.

Zanfir et al., Neural Descent for Visual 3D Human Pose and Shape, CVPR 2021. No
code was published: each field says what the text leaves open. A detector finds
keypoints and parts; an LSTM refines a body from the detector's maps and from
how well the body is aligned with them. What runs in training runs at test. Of
the paper's four networks this is the body's, on a body without hands and face.
"""

import dataclasses
import functools
from typing import ClassVar, Literal, NamedTuple

import keras
import tensorflow as tf

from tf_hmr import config_values, method
from tf_hmr.body import part_maps, skin_samples
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from tf_hmr.methods import (
    _hund_losses,
    _hund_state,
    _hund_terms,
    _image_encoder,
)
from tf_hmr.networks import (
    encoders,
    map_decoder,
    pose_flow,
    recurrent_descent,
)

DIVISION = "part14"
# Halves of the crop's side beyond which a residual says no more, and the gain
# that brings residuals to the size of the LSTM's other inputs.
_RESIDUAL_LIMIT, _RESIDUAL_GAIN = 0.5, 10.0
_DIGITS = 1000  # Shares of pictures are exact to one in so many.


@dataclasses.dataclass(frozen=True)
class Config(_image_encoder.EncoderChoice):
    """Defaults are the paper's; it prints no weights of the losses."""

    image_size: config_values.Pixels = 480
    """Side of the square input crop in pixels."""
    map_side: config_values.Count = 60
    """Side of the detector's maps F, K and B."""
    map_channels: config_values.Count = 256
    """Channels of F."""
    widths: tuple[config_values.Count, ...] = (32, 32, 64, 64, 96, 128)
    """Channels of the embedding's convolutions; with these all but the
    detector has the paper's 950,000 parameters, about."""
    embed_keypoints: bool = False
    """Whether the code also sees the detected keypoints and their confidence,
    which its convolutions would have to learn to read off the maps."""
    stages: config_values.CountOrNone = 5
    """Recurrent stages (M); 0 leaves the first state, for comparison."""
    units: config_values.Count = 256
    """Units of the LSTM."""
    numbers: config_values.Count = 256
    """Inputs of the LSTM, without residuals: state, code, camera and value.
    With the paper's 525,000 parameters there are 256 (deduced)."""
    initial: Literal["head", "mean"] = "head"
    """First state: estimated from the code, or the mean pose for all."""
    head_hidden: config_values.CountOrNone = 0
    """Units of a hidden layer before the first state; 0: none."""
    feedback: Literal["value", "residuals", "none"] = "value"
    """What a stage is told of the alignment, without gradient: log(1 + L_u),
    as in eq. 2; each keypoint's offset as well; or nothing."""
    feedback_parts: bool = True
    """Whether the value has L_b, which is then computed at test, too. Without
    it the method can be exported."""
    meta_loss: _hund_losses.MetaLoss = "last"
    """How the losses of the stages make one (eq. 7 and 8, Table 4)."""
    end_to_end: bool = False
    """Whether losses of the body also teach the detector."""
    prior: Literal["flow", "none"] = "flow"
    """'flow': the state holds the latent vector of a trained real NVP, whose
    square is a loss; 'none': rotations, and no such loss."""
    flow_couplings: config_values.Count = 8
    """Coupling layers of the real NVP."""
    flow_hidden: config_values.Count = 96
    """Units of the hidden layers of each coupling."""
    assumed_camera: config_values.Share = 0.2
    """Share of the training pictures whose camera is taken to be unknown, as
    it is on a device: a focal length of 2.5 sides about the crop's middle."""
    detector_keypoints: config_values.NonNegative = 5.0
    """Weight of the detector's keypoints, an L1 loss."""
    detector_parts: config_values.NonNegative = 1.0
    """Weight of the cross-entropy of the detector's parts."""
    keypoints: config_values.NonNegative = 5.0
    """Weight of L_k, of keypoints against the detector's (eq. 4)."""
    parts: config_values.NonNegative = 1.0
    """Weight of L_b, of part maps against the detector's (eq. 5); 0 computes
    none."""
    latent: config_values.NonNegative = 0.3
    """Weight of the prior's mean squared latent number (eq. 6)."""
    betas: config_values.NonNegative = 0.3
    """Weight of the mean squared shape number (eq. 6)."""
    align: Literal["all", "unlabelled"] = "all"
    """Examples with L_k and L_b: all ("potentially", as the paper says), or
    those without 3D labels. Latent and shape are judged on the latter only."""
    joints_3d: config_values.NonNegative = 10.0
    """Weight of the distance of 3D joints, in metres (L_f)."""
    vertices: config_values.NonNegative = 10.0
    """Weight of the distance of points of the skin, in metres (L_f)."""
    rotmats: config_values.NonNegative = 0.0
    """Weight of an L1 loss of rotation matrices, which the paper has not."""
    skin_points: config_values.Count = 2048
    """Points of the skin in the loss of vertices."""
    part_points: config_values.Count = 1024
    """Points of the skin that the part maps are made of."""
    part_side: config_values.Count = 30
    """Side of the compared part maps; it divides map_side."""
    part_gamma: config_values.Positive = 0.15
    """Depth in metres over which a point in front hides one behind."""


class Stages(NamedTuple):
    """A descent."""

    states: list[tf.Tensor]
    """M + 1 states (B, n), from s_0 on."""
    detection: map_decoder.Detection
    """What the states were aligned with."""
    intrinsics: tf.Tensor
    """(B, 4) the crops' cameras that were used."""


class Model(method.Method):
    """Encoder, map decoder, recurrent descent, and a prior of poses."""

    input_names = ("image", "intrinsics")
    optional_inputs: ClassVar[tuple[str, ...]] = ("intrinsics",)

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        num_parts = len(body.data.parts(DIVISION)[1])
        num_keypoints = len(self.joint_names)
        self.encoder = encoders.build(
            config.encoder,
            config.image_size,
            config.encoder_width,
            config.encoder_depths,
        )
        self.decoder = map_decoder.build(
            self.encoder.output,
            config.encoder,
            config.map_side,
            config.map_channels,
            num_keypoints,
            num_parts,
        )
        self.pose_prior = None
        if config.prior == "flow":
            self.pose_prior = pose_flow.PoseFlow(
                body.data.num_joints, config.flow_couplings, config.flow_hidden
            )
        self.layout = _hund_state.Layout(body, self.pose_prior)
        self.regressor = recurrent_descent.Descent(
            recurrent_descent.Options(
                stages=config.stages,
                units=config.units,
                numbers=config.numbers,
                widths=config.widths,
                embed_keypoints=config.embed_keypoints,
                hidden=config.head_hidden,
                initial=config.initial,
                value=config.feedback != "none",
            ),
            self.layout.encode(),
        )
        fed_with_parts = config.feedback != "none" and config.feedback_parts
        if config.parts and fed_with_parts and not isinstance(body, Body):
            raise ValueError(
                "This model's stages see L_b, the difference of part maps "
                "(feedback_parts), which no exported body draws. Export one "
                "that was trained with --method.no-feedback-parts: its stages "
                "see the distance of keypoints alone."
            )
        if config.parts and config.map_side % config.part_side:
            raise ValueError(
                f"part_side={config.part_side} does not divide "
                f"map_side={config.map_side}. Choose one that does."
            )

    @functools.cached_property
    def part_renderer(self) -> part_maps.PartRenderer | None:
        """Draws the part maps of L_b; None without L_b."""
        if not self.config.parts:
            return None
        return part_maps.PartRenderer(
            self.body,
            self.config.part_points,
            self.config.part_side,
            self.config.part_gamma,
            DIVISION,
        )

    @functools.cached_property
    def skin(self):
        """Poses the points of L_m: a function of Body.skin_sampler."""
        samples = skin_samples.choose(self.body.data, self.config.skin_points)
        return self.body.skin_sampler(samples)

    @property
    def notes(self):
        """Cameras of an exported file."""
        camera_of = "of the input intrinsics"
        if "intrinsics" not in self.input_names:
            focal, *_ = camera.ASSUMED_CROP_INTRINSICS
            camera_of = (
                f"of a focal length of {focal / 2:g} sides of the crop about "
                "its middle"
            )
        return (
            "keypoints are the joints in the perspective of a camera "
            f"{camera_of}: f (xy + t - c / s) / (z + f / s) + c",
        )

    def initialize_from_mean(self, rotmats, betas):
        """Starts the descent at a mean shape, and pose without a prior."""
        self.regressor.initialize_from_mean(self.layout.encode(rotmats, betas))

    def build_all(self):
        """Makes the variables of the networks and of the prior."""
        super().build_all()
        if self.pose_prior is not None:
            self.pose_prior.build_all()

    def player_variables(self) -> list[keras.Variable]:
        """Trainable variables but the prior's, which is trained before."""
        variables = super().player_variables()
        if self.pose_prior is None:
            return variables
        frozen = {id(v) for v in self.pose_prior.trainable_variables}
        return [v for v in variables if id(v) not in frozen]

    def check_labels(self, labels, has_parts):
        """Refuses data that teach no detector, or not what is compared.

        Args:
            labels: Source.labels of all sources.
            has_parts: whether the batches have part labels.

        Raises:
            ValueError: names the field and the cure.
        """
        if set(labels) == {"none"}:
            raise ValueError(
                "data.sources: every source has labels='none', so nothing "
                "teaches the detector, whose keypoints and parts are the only "
                "labels of a picture without others. Give one source "
                "labels='2d+parts', '2d' or 'all'."
            )
        teaches_parts = has_parts and not set(labels) <= {"2d", "none"}
        if self.config.parts and not teaches_parts:
            raise ValueError(
                f"method.parts={self.config.parts} compares part maps with the "
                "detector's, but no source teaches it parts "
                f"(data.parts={has_parts}, labels={sorted(set(labels))}). Set "
                "data.parts=True and one source's labels to '2d+parts' or "
                "'all'; or method.parts=0."
            )

    @property
    def num_supervised(self) -> int:
        """Number of states with losses: all, or the last one."""
        return 1 if self.config.meta_loss == "last" else self.config.stages + 1

    def mean_state(self) -> tf.Tensor:
        """(1, n) the state to start from."""
        return tf.convert_to_tensor(self.regressor.mean)

    def decode(self, states) -> _hund_state.Estimate:
        """(B, n) -> the bodies of the states."""
        return self.layout.decode(states)

    def project(self, estimate, intrinsics):
        """Joints (B, J, 3) of bodies, and their keypoints (B, J, 2)."""
        points, _ = self.body.keypoints(estimate.rotmats, estimate.betas)
        translation = camera.crop_translation(estimate.camera, intrinsics)
        return points, camera.project_in_crop(
            points + translation[:, tf.newaxis], intrinsics
        )

    def draw_parts(self, estimate, intrinsics):
        """Part maps (B, part_side, part_side, 1 + P) of bodies."""
        translation = camera.crop_translation(estimate.camera, intrinsics)
        return self.part_renderer(
            estimate.rotmats, estimate.betas, translation, intrinsics
        )

    def detect(self, inputs, training=False) -> map_decoder.Detection:
        """Finds keypoints and parts in crops."""
        # Cast to the policy's type, in which the encoder computes.
        images = tf.cast(inputs["image"], self.compute_dtype)
        images = encoders.normalise(self.config.encoder, images)
        last_map = self.encoder(images, training=training)
        maps = self.decoder(last_map, training=training)
        return map_decoder.read(*maps)

    def alignment(
        self, states, detection, intrinsics, with_parts: bool = True
    ) -> tf.Tensor:
        """L_u (eq. 3) of states: how ill they are aligned, (B,).

        Args:
            states: (B, n).
            detection: of the same B crops.
            intrinsics: (B, 4) of the crops.
            with_parts: whether L_b is computed.
        """
        config, estimate = self.config, self.decode(states)
        _, points = self.project(estimate, intrinsics)
        distance = _hund_losses.keypoint_distance(points, detection.keypoints)
        total = config.keypoints * distance
        total += config.betas * _hund_losses.mean_square(estimate.betas)
        if estimate.latent is not None:
            total += config.latent * _hund_losses.mean_square(estimate.latent)
        if with_parts and config.parts:
            maps = self.draw_parts(estimate, intrinsics)
            target = part_maps.resized(detection.parts, config.part_side)
            total += config.parts * part_maps.l1(maps, target)
        return total

    def stages_of(self, inputs, training=False) -> Stages:
        """Detects, and descends from the first state."""
        detection = self.detect(inputs, training)
        intrinsics = self._intrinsics(inputs, training)
        inputs = detection
        if not self.config.end_to_end:
            inputs = tf.nest.map_structure(tf.stop_gradient, detection)
        context = self.regressor.embed(inputs, intrinsics)
        state = self.regressor.first_state(context)
        states = [state]
        if self.config.stages:
            memory = self.regressor.first_memory(context)
        for _ in range(self.config.stages):
            feedback = self._feedback(state, detection, intrinsics)
            state, memory = self.regressor.refine(
                context, state, memory, feedback
            )
            states.append(state)
        return Stages(states, detection, intrinsics)

    def _intrinsics(self, inputs, training):
        """The crops' cameras; assumed where they are not known."""
        image = inputs["image"]
        assumed = tf.constant([camera.ASSUMED_CROP_INTRINSICS])
        if "intrinsics" not in self.input_names:
            return assumed + tf.zeros_like(image[:, 0, 0, 0:1])
        intrinsics = inputs["intrinsics"]
        if not training:
            return intrinsics
        # By the last digits of a focal length, which the augmentation draws:
        # the same on one device and on two, and after a restart.
        digits = tf.bitcast(intrinsics[:, 0:1], tf.int32) % _DIGITS
        is_assumed = digits < int(self.config.assumed_camera * _DIGITS)
        return tf.where(is_assumed, assumed, intrinsics)

    def _feedback(self, state, detection, intrinsics):
        """What a stage is told of the alignment of a state, (B, m)."""
        config = self.config
        if config.feedback == "none":
            return None
        # No gradient: the stages must not learn to please by what they say.
        state = tf.stop_gradient(state)
        detection = tf.nest.map_structure(tf.stop_gradient, detection)
        value = self.alignment(
            state, detection, intrinsics, config.feedback_parts
        )
        value = tf.math.log(1.0 + value)[:, tf.newaxis]
        if config.feedback == "value":
            return tf.stop_gradient(value)
        _, points = self.project(self.decode(state), intrinsics)
        offsets = tf.clip_by_value(
            points - detection.keypoints, -_RESIDUAL_LIMIT, _RESIDUAL_LIMIT
        )
        offsets = tf.reshape(offsets, (-1, 2 * offsets.shape[1]))
        return tf.stop_gradient(
            tf.concat([value, _RESIDUAL_GAIN * offsets], axis=-1)
        )

    def call(self, inputs, training=False):
        """Estimates bodies.

        Args:
            inputs: image (B, S, S, 3) float32 0..255; and, unless a device
                assumes them, intrinsics (B, 4) of the crops.
            training: whether the prediction is for the losses.

        Returns:
            Prediction of the last stage. Its keypoints are in perspective.
        """
        states, detection, intrinsics = self.stages_of(inputs, training)
        if not training:
            estimate = self.decode(states[-1])
            vertices, points, _ = self.body(estimate.rotmats, estimate.betas)
            translation = camera.crop_translation(estimate.camera, intrinsics)
            keypoints = camera.project_in_crop(
                points + translation[:, tf.newaxis], intrinsics
            )
            return method.Prediction(*estimate[:3], points, keypoints, vertices)
        count = self.num_supervised
        supervised = states[-count:]
        # All stages as one batch: one call of the body.
        estimates = self.decode(tf.concat(supervised, axis=0))
        points, keypoints = self.project(
            estimates, tf.tile(intrinsics, (count, 1))
        )
        last = [
            tf.split(x, count)[-1] for x in (*estimates[:3], points, keypoints)
        ]
        return method.Prediction(*last, None)._replace(
            intermediate={
                **estimates._asdict(),
                "joints": points,
                "keypoints": keypoints,
                "intrinsics": intrinsics,
                "detection": detection,
            }
        )

    def terms(self, batch, prediction):
        """Losses of the body, over the stages (eq. 3, 7, 8), and the detector.

        L_u of all pictures, L_f of those with 3D labels, by the meta-loss;
        and the detector's own, by labelled keypoints and parts.
        """
        intermediate = prediction.intermediate
        units = _hund_terms.of_alignment(self, batch, intermediate)
        units |= _hund_terms.of_labels(self, batch, intermediate)
        terms = _hund_losses.over_stages(self.config.meta_loss, units)
        return terms | _hund_terms.of_detector(
            self, batch, intermediate["detection"]
        )
