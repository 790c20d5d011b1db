"""HUND: recurrent stages that descend the alignment of a body with a picture.

Zanfir et al., Neural Descent for Visual 3D Human Pose and Shape, CVPR 2021. No
code was published: each field says what the text leaves open. A detector finds
keypoints and parts; an LSTM refines a body from the detector's maps and from
how well the body is aligned with them. What runs in training runs at test. Of
the paper's four networks this is the body's, on a body without hands and face.
"""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import keras
import tensorflow as tf

from tf_hmr import config_values, losses, method
from tf_hmr.body import part_maps, skin_samples
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from tf_hmr.methods import _hund_losses, _hund_state, _image_encoder
from tf_hmr.methods._smpl_losses import repeated, select, term
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
    part_gamma: config_values.Positive = 0.1
    """Depth in metres over which a point in front hides one behind."""


class Stages(NamedTuple):
    """A descent."""

    states: tf.Tensor
    """(M + 1, B, n) from s_0 on."""
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
                residuals=config.feedback == "residuals",
            ),
            self.layout.encode(),
        )
        self.part_renderer = self._skin = None
        if isinstance(body, Body):
            self._prepare_skin(num_parts)

    def _prepare_skin(self, num_parts: int) -> None:
        """Makes the points of L_b and L_m; a body of an export has none."""
        config, body = self.config, self.body
        if config.parts:
            if config.map_side % config.part_side:
                raise ValueError(
                    f"part_side={config.part_side} does not divide "
                    f"map_side={config.map_side}. Choose one that does."
                )
            self.part_renderer = part_maps.PartRenderer(
                body,
                config.part_points,
                config.part_side,
                config.part_gamma,
                DIVISION,
            )
        if config.vertices:
            samples = skin_samples.choose(body.data, config.skin_points)
            self._skin = body.skin_sampler(samples)
