"""HKMR: regression along the kinematic chains of the body.

Georgakis et al., Hierarchical Kinematic Human Mesh Recovery, ECCV 2020. No
code was published: each field says what the text leaves open. Supervision that
the text does not specify is HMR's, whose experimental setup it follows.
"""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from tf_hmr import config_values, losses, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import (
    _adversary,
    _fits_in_loop,
    _image_encoder,
    _smpl_losses,
    _spin_losses,
    _theta,
)
from tf_hmr.networks import discriminator, encoders, kinematic_chains, pose_vae


@dataclasses.dataclass(frozen=True)
class Config(_fits_in_loop.FitFields, _image_encoder.EncoderFields):
    """Defaults are the paper's; loss weights, which it omits, are HMR's."""

    crop_scale: config_values.Positive = 224 / 150
    """Side of the crop over the longer side of the person's box: people are
    150 px long in 224 px (akanazawa/hmr: src/util/image.py)."""
    encoder: encoders.Name = "resnet50_v15"
    """ResNet-50; `embedding` and `hidden` were chosen so that with this one
    there are the paper's 26.2 M parameters. 'resnet50' has ImageNet weights to
    download, 'small' trains on a CPU."""
    outer_steps: config_values.Repeats = 3
    """Times that all chains, shape and camera are estimated (T; Table 3)."""
    inner_passes: config_values.Repeats = 4
    """Passes along a chain in each, forward and backward in turn (Table 3)."""
    joint_hierarchy: bool = True
    """Whether a joint's residual depends on those of all joints before it;
    otherwise only on that of the previous one ("no joint hierarchy" of Table
    2)."""
    forward_only: bool = False
    """Whether every pass goes forward ("forward only" of Table 2)."""
    embedding: config_values.Count = 128
    """Size of a chain's embedding; the paper does not print it, and this one
    was chosen for its 26.2 M parameters."""
    hidden: config_values.Count = 256
    """Hidden units of the shape and the camera network; chosen likewise."""
    supervision: Literal["hmr", "spin"] = "hmr"
    """Losses of keypoints, joints, rotations and shape. 'spin', for HKMR_MF:
    squared errors over all joints, seen or not, with SPIN's weights; loss_3d
    and loss_rotmats are not used."""
    keypoints_2d: config_values.NonNegative = 60.0
    """Weight of the 2D keypoint loss."""
    joints_3d: config_values.NonNegative = 60.0
    """Weight of the 3D joint loss."""
    rotmats: config_values.NonNegative = 60.0
    """Weight of the loss of rotations."""
    betas: config_values.NonNegative = 60.0
    """Weight of the shape loss."""
    camera_scale: config_values.NonNegative = 0.0
    """With supervision='spin': weight of exp(-10 s)^2 of the camera's scale."""
    joints_in_loss: _smpl_losses.JointSet = "lsp"
    """Joints of the 3D loss: 14 as HMR, or all 19."""
    loss_3d: _smpl_losses.Penalty = "absolute"
    """Penalty of 3D joints; absolute in the paper, squared in HMR."""
    loss_rotmats: Literal["as_joints", "squared", "absolute"] = "squared"
    """Penalty of rotation matrices, with smpl_loss='rotmats'."""
    smpl_loss: Literal["rotmats", "parameters"] = "rotmats"
    """Form in which rotations are compared: as matrices, or as rotation vectors
    ('parameters'), as the paper says; several of these are one rotation."""
    sum_outer: bool = True
    """Whether losses of all outer steps are summed (eq. 3); otherwise only the
    last step has losses."""
    prior: Literal["vae", "discriminator", "none"] = "vae"
    """Prior of human poses: the KL divergence of a trained autoencoder's code,
    or HMR's adversary ("discriminator" of Table 2)."""
    kl: config_values.NonNegative = 0.1
    """Weight of the KL divergence; the paper gives none."""
    vae_hidden: config_values.Count = 512
    """Units of the autoencoder's hidden layers (Pavlakos et al., 2019)."""
    vae_latent: config_values.Count = 32
    """Size of the autoencoder's code."""
    vae_dropout: config_values.Dropout = 0.1
    """Dropout in the autoencoder."""
    vae_kl: config_values.NonNegative = 0.005
    """Weight of the KL divergence in the autoencoder's own loss."""
    adversary_hidden: config_values.Count = 1024
    """Units of the discriminator of all joints together."""
    adversary: config_values.NonNegative = 1.0
    """Weight of the adversarial loss, with prior='discriminator'."""
    true_root: bool = False
    """For experiments: the labelled global rotation is an input, and the root's
    chain keeps it."""


class Model(_fits_in_loop.FitsInLoop, _image_encoder.ImageEncoder):
    """Encoder, kinematic chains, and a prior of poses for training."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        self.input_names = _theta.input_names(config.true_root)
        if config.inner_passes % 2 and not config.forward_only:
            raise ValueError(
                f"inner_passes={config.inner_passes}: passes go forward and "
                "backward in turn. Expected an even number, or forward_only."
            )
        scale, *shift = _theta.START_CAMERA
        self.regressor = kinematic_chains.Regressor(
            kinematic_chains.Options(
                config.outer_steps,
                config.inner_passes,
                config.joint_hierarchy,
                config.forward_only,
                config.embedding,
                config.hidden,
            ),
            (camera.raw_scale(scale), *shift),
            num_betas=body.num_betas,
            joint_names=body.data.joint_names,
        )
        self.pose_vae, self.adversary = None, None
        if config.prior == "vae":
            self.pose_vae = pose_vae.PoseVae(
                config.vae_hidden,
                config.vae_latent,
                config.vae_dropout,
                config.vae_kl,
                num_joints=body.data.num_joints,
            )
        elif config.prior == "discriminator":
            self.adversary = discriminator.Discriminator(
                config.adversary_hidden, body.data.num_joints, body.num_betas
            )

    def build_all(self):
        """Makes every variable, and starts upright at the mean shape."""
        super().build_all()
        upright = _theta.upright_rotmats(self.body)
        self.initialize_from_mean(upright, [0.0] * self.body.num_betas)
        if self.pose_vae is not None:
            self.pose_vae.build_all()
        if self.adversary is not None:
            self.adversary.build()

    def initialize_from_mean(self, rotmats, betas):
        """Starts the chains at a mean pose and shape."""
        rotvecs = rotations.rotmat_to_rotvec(tf.constant(rotmats, tf.float32))
        self.regressor.start(rotvecs.numpy(), betas)

    def mean_body(self):
        """Start of the chains: rotations (24, 3, 3) and betas (N,)."""
        count = len(kinematic_chains.ORDER)
        mean = tf.convert_to_tensor(self.regressor.mean)[0]
        rotvecs = tf.reshape(mean[: 3 * count], (1, count, 3))
        rotvecs = kinematic_chains.to_smpl_order(rotvecs)[0]
        return rotations.rotvec_to_rotmat(rotvecs), mean[3 * count :]

    def player_variables(self) -> list[keras.Variable]:
        """Trainable variables except the autoencoder's, trained separately."""
        if self.pose_vae is None:
            return super().player_variables()
        vae_variables = {id(v) for v in self.pose_vae.trainable_variables}
        return [
            v for v in super().player_variables() if id(v) not in vae_variables
        ]

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction.

        With true_root also inputs["global_rotation"] (B, 3, 3).
        """
        image, root = inputs["image"], None
        if self.config.true_root:
            root = rotations.rotmat_to_rotvec(inputs["global_rotation"])
        features, encoder_keypoints = self.features(image, training)
        states = self.regressor(features, root)
        if not training:
            rotvecs, weak = decode(states[-1])
            rotmats = rotations.rotvec_to_rotmat(rotvecs)
            betas = states[-1].betas
            vertices, points, _ = self.body(rotmats, betas)
            keypoints = camera.project_weak_perspective(points, weak)
            return method.Prediction(
                rotmats, betas, weak, points, keypoints, vertices
            )
        if not self.config.sum_outer:
            states = states[-1:]
        # All outer steps as one batch: one call of the body.
        state = kinematic_chains.State(
            *(tf.concat(values, axis=0) for values in zip(*states, strict=True))
        )
        rotvecs, weak = decode(state)
        rotmats = rotations.rotvec_to_rotmat(rotvecs)
        points, _ = self.body.keypoints(rotmats, state.betas)
        keypoints = camera.project_weak_perspective(points, weak)
        estimates = method.Prediction(
            rotmats, state.betas, weak, points, keypoints, None
        )
        return _last(estimates, len(states))._replace(
            intermediate={
                **estimates._asdict(),
                "rotvecs": rotvecs,
                "encoder_keypoints": encoder_keypoints,
            }
        )

    def terms(self, batch, prediction):
        """HKMR's whole loss (eq. 3), summed over the outer steps.

        2D and 3D joints, parameters, and the prior of poses.
        """
        config, intermediate = self.config, prediction.intermediate
        estimates = method.Prediction(
            *(intermediate[name] for name in method.Prediction._fields)
        )
        rotvecs = intermediate["rotvecs"]
        count = config.outer_steps if config.sum_outer else 1
        # The estimates of all outer steps are one batch; so are their labels.
        labels = _smpl_losses.repeated(batch, count)
        terms = self.supervised_terms(labels, estimates)
        if config.smpl_loss == "parameters":
            del terms["rotmats"], terms["betas"]
            terms |= self._parameters(labels, rotvecs, estimates.betas)
        if self.pose_vae is not None:
            code = self.pose_vae.encode(self.pose_vae.flat(rotvecs))
            terms["kl"] = self.pose_vae.divergence_term(code, config.kl)
        if self.adversary is not None:
            scores = self.adversary(estimates.rotmats, estimates.betas)
            terms["generator"] = _smpl_losses.term(
                losses.generator(scores), config.adversary
            )
        terms = {
            name: _smpl_losses.summed(term, count)
            for name, term in terms.items()
        }
        if config.layout_keypoints:
            # The encoder's keypoints belong to no outer step.
            terms["layout_keypoints"] = _smpl_losses.keypoints_2d(
                intermediate["encoder_keypoints"],
                _smpl_losses.select(batch["keypoints"], self.joint_names),
                config.layout_keypoints,
            )
        return terms

    def supervised_terms(self, batch, prediction) -> dict[str, method.Term]:
        """HMR's or SPIN's losses, each where it is labelled.

        Args:
            batch: a batch of training/data/pipeline/batches.py: train_dataset.
            prediction: the prediction for it.
        """
        config, names = self.config, self.joint_names
        labels = _smpl_losses.select(batch["keypoints"], names)
        aligned = _smpl_losses.root_aligned(
            prediction.joints, names, batch["joints3d"], config.joints_in_loss
        )
        if config.supervision == "spin":
            return {
                "keypoints_2d": _spin_losses.keypoints_2d(
                    prediction.keypoints, labels, config.keypoints_2d
                ),
                "joints_3d": _spin_losses.joints_3d(aligned, config.joints_3d),
                "rotmats": _spin_losses.rotmats(
                    prediction, batch, config.rotmats
                ),
                "betas": _spin_losses.betas(prediction, batch, config.betas),
                "camera_scale": _spin_losses.camera_scale(
                    prediction.camera, config.camera_scale
                ),
            }
        of_rotmats = config.loss_rotmats
        if of_rotmats == "as_joints":
            of_rotmats = config.loss_3d
        return {
            "keypoints_2d": _smpl_losses.keypoints_2d(
                prediction.keypoints, labels, config.keypoints_2d
            ),
            "joints_3d": _smpl_losses.joints_3d(
                aligned, config.loss_3d, config.joints_3d
            ),
            "rotmats": _smpl_losses.rotmats(
                prediction, batch, of_rotmats, config.rotmats
            ),
            "betas": _smpl_losses.betas(prediction, batch, config.betas),
        }

    def adversary_terms(self, batch, prediction):
        """HMR's adversary on all outer steps, with prior='discriminator'."""
        if self.adversary is None:
            return {}
        real, fake = _adversary.scores(
            self.adversary, batch, prediction.intermediate
        )
        return {
            "real": _smpl_losses.term(losses.discriminator_real(real), 1.0),
            "fake": _smpl_losses.term(losses.discriminator_fake(fake), 1.0),
        }

    def _parameters(self, batch, rotvecs, betas):
        """The paper's norm of pose and shape, with equal weight per number.

        Half the mean over all numbers of both, as in HMR's code over its 226.
        """
        true = rotations.rotmat_to_rotvec(batch["rotmats"])
        has_pose, has_betas = batch["has_pose"], batch["has_betas"]
        pose_error, _ = losses.rotmats_squared(rotvecs, true, has_pose)
        shape_error, _ = losses.betas_squared(betas, batch["betas"], has_betas)
        numbers = 3.0 * rotvecs.shape[1] + betas.shape[1]
        weights = self.config.rotmats, self.config.betas
        return {
            "parameters": method.Term(
                pose_error, numbers * has_pose, weights[0] / 2
            ),
            "betas": method.Term(
                shape_error, numbers * has_betas, weights[1] / 2
            ),
        }


def decode(state: kinematic_chains.State):
    """Rotation vectors (B, 24, 3) in SMPL's order, and camera (B, 3)."""
    count = len(kinematic_chains.ORDER)
    rotvecs = tf.reshape(state.pose, (-1, count, 3))
    return (
        kinematic_chains.to_smpl_order(rotvecs),
        contract_camera(state.camera),
    )


def contract_camera(numbers):
    """Converts the paper's camera s xy + rho to the contract's s (xy + t).

    The shift t is rho / s, so s must not come near 0, where a person would
    have no size. s is a smooth function of the network's number: almost the
    number itself above 0.2, and positive below.

    Args:
        numbers: (B, 3) of the camera network.

    Returns:
        (B, 3) scale and shift (s, tx, ty).
    """
    raw, rho = numbers[:, 0:1], numbers[:, 1:3]
    scale = camera.positive_scale(raw)
    return tf.concat([scale, rho / scale], axis=-1)


def _last(estimates: method.Prediction, count: int) -> method.Prediction:
    """Splits a batch of `count` outer steps; returns the last step."""
    return method.Prediction(
        *(v if v is None else tf.split(v, count)[-1] for v in estimates)
    )
