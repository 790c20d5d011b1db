"""HKMR: regression along the kinematic chains of the body.

Georgakis et al., Hierarchical Kinematic Human Mesh Recovery, ECCV 2020. No
code was published: what the text leaves open is said at each field. The
supervision that it does not name is HMR's, whose experimental setup it follows.
"""

import dataclasses
from typing import Literal

import keras
import tensorflow as tf

from tf_hmr import joints, losses, method
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import _supervised
from tf_hmr.networks import discriminator, encoders, kinematic_chains, pose_vae

# The scale is kept positive; see `contract_camera`.
SCALE_BEND = 0.05


@dataclasses.dataclass(frozen=True)
class Config(_supervised.Config):
    """Defaults are the paper's; weights of losses, which it has not, HMR's."""

    encoder: encoders.Name = "resnet50_v15"
    """ResNet-50; with this one there are 26,220,039 parameters, the paper's
    26.2 M. 'resnet50' has ImageNet weights to download, 'small' trains on a
    CPU."""
    outer_steps: int = 3
    """Times that all chains, shape and camera are estimated (T; Table 3)."""
    inner_passes: int = 4
    """Passes along a chain in each, forward and backward in turn (Table 3)."""
    joint_hierarchy: bool = True
    """A joint's residual depends on those of all joints before it; else only
    on that of the last ("no joint hierarchy" of Table 2)."""
    forward_only: bool = False
    """Every pass goes forward ("forward only" of Table 2)."""
    embedding: int = 128
    """Numbers of a chain's embedding; the paper has 26.2 M parameters."""
    hidden: int = 256
    """Hidden units of the shape and the camera network; likewise."""
    loss_3d: Literal["squared", "absolute"] = "absolute"
    """Penalty of 3D joints; absolute in the paper, squared in HMR."""
    loss_rotmats: Literal["as_joints", "squared", "absolute"] = "squared"
    """Penalty of rotation matrices, with smpl_loss='rotmats'."""
    smpl_loss: Literal["rotmats", "parameters"] = "rotmats"
    """Rotations are compared as matrices, or, to the letter of the paper, as
    rotation vectors, of which several mean the same rotation."""
    sum_outer: bool = True
    """Losses of all outer steps are summed (eq. 3); else the last one's."""
    prior: Literal["vae", "discriminator", "none"] = "vae"
    """What tells human poses: the divergence in the code of a trained
    autoencoder, or HMR's adversary ("discriminator" of Table 2)."""
    kl: float = 0.1
    """Weight of the divergence; the paper gives none."""
    vae_hidden: int = 512
    """Units of the autoencoder's hidden layers (Pavlakos et al., 2019)."""
    vae_latent: int = 32
    """Numbers of the autoencoder's code."""
    vae_dropout: float = 0.1
    """Dropout in the autoencoder."""
    vae_kl: float = 0.005
    """Weight of the divergence in the autoencoder's own loss."""
    adversary_hidden: int = 1024
    """Units of the discriminator of all joints together."""
    adversary: float = 1.0
    """Weight of the adversary's say, with prior='discriminator'."""


class Model(_supervised.ImageMethod):
    """Encoder, kinematic chains, and a prior of poses for training."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        if config.inner_passes % 2 and not config.forward_only:
            raise ValueError(
                f"inner_passes={config.inner_passes}: passes go forward and "
                "backward in turn. Expected an even number, or forward_only."
            )
        scale, *shift = _supervised.START_CAMERA
        self.regressor = kinematic_chains.Regressor(
            kinematic_chains.Options(
                config.outer_steps,
                config.inner_passes,
                config.joint_hierarchy,
                config.forward_only,
                config.embedding,
                config.hidden,
            ),
            (scale - SCALE_BEND**2 / scale, *shift),
        )
        self.pose_vae, self.adversary = None, None
        if config.prior == "vae":
            self.pose_vae = pose_vae.PoseVae(
                config.vae_hidden,
                config.vae_latent,
                config.vae_dropout,
                config.vae_kl,
            )
        elif config.prior == "discriminator":
            self.adversary = discriminator.Discriminator(
                config.adversary_hidden
            )

    def build_all(self):
        """Makes every variable, and starts upright at the mean shape."""
        super().build_all()
        self.start_from(_supervised.start_rotmats(), [0.0] * 10)
        if self.pose_vae is not None:
            self.pose_vae.build_all()
        if self.adversary is not None:
            self.adversary.build()

    def start_from(self, rotmats, betas):
        """Starts the chains at the training set's mean."""
        rotvecs = rotations.rotmat_to_rotvec(tf.constant(rotmats, tf.float32))
        self.regressor.start(rotvecs.numpy(), betas)

    def mean_body(self):
        """Where the chains start: rotations (24, 3, 3) and betas (10,)."""
        count = len(kinematic_chains.ORDER)
        mean = tf.convert_to_tensor(self.regressor.mean)[0]
        rotvecs = tf.reshape(mean[: 3 * count], (1, count, 3))
        rotvecs = kinematic_chains.to_smpl_order(rotvecs)[0]
        return rotations.rotvec_to_rotmat(rotvecs), mean[3 * count :]

    def player_variables(self) -> list[keras.Variable]:
        """Without the autoencoder's, which a stage of its own has trained."""
        if self.pose_vae is None:
            return super().player_variables()
        others = {id(v) for v in self.pose_vae.trainable_variables}
        return [v for v in super().player_variables() if id(v) not in others]

    def call(self, inputs, training=False):
        """inputs["image"] (B, S, S, 3) float32 0..255 -> Prediction."""
        features, places = self.features(inputs["image"], training)
        states = self.regressor(features)
        if not training:
            rotvecs, weak = decode(states[-1])
            rotmats = rotations.rotvec_to_rotmat(rotvecs)
            betas = states[-1].betas
            vertices, found, _ = self.body(rotmats, betas)
            keypoints = camera.project_weak_perspective(found, weak)
            return method.Prediction(
                rotmats, betas, weak, found, keypoints, vertices
            )
        if not self.config.sum_outer:
            states = states[-1:]
        # All outer steps as one batch: one call of the body.
        state = kinematic_chains.State(
            *(tf.concat(each, axis=0) for each in zip(*states, strict=True))
        )
        rotvecs, weak = decode(state)
        rotmats = rotations.rotvec_to_rotmat(rotvecs)
        found, _ = self.body.keypoints(rotmats, state.betas)
        keypoints = camera.project_weak_perspective(found, weak)
        every = method.Prediction(
            rotmats, state.betas, weak, found, keypoints, None
        )
        return _last(every, len(states))._replace(
            iterates={
                **every._asdict(),
                "rotvecs": rotvecs,
                "places": places,
            }
        )

    def terms(self, batch, prediction):
        """Eq. 3: 2D, 3D, parameters and prior, summed over outer steps."""
        config, iterates = self.config, prediction.iterates
        every = method.Prediction(
            *(iterates[name] for name in method.Prediction._fields)
        )
        rotvecs, places = iterates["rotvecs"], iterates["places"]
        count = config.outer_steps if config.sum_outer else 1
        # The labels of each step's estimates, which are one batch.
        labels = _supervised.repeated(batch, count)
        if places is not None:
            places = tf.concat([places] * count, axis=0)
        terms = self.supervised_terms(labels, every, places)
        if config.smpl_loss == "parameters":
            del terms["rotmats"], terms["betas"]
            terms |= self._parameters(labels, rotvecs, every.betas)
        if self.pose_vae is not None:
            code = self.pose_vae.encode(self.pose_vae.flat(rotvecs))
            terms["kl"] = self.pose_vae.divergence_term(code, config.kl)
        if self.adversary is not None:
            scores = self.adversary(every.rotmats, every.betas)
            terms["generator"] = _supervised.term(
                losses.generator(scores), config.adversary
            )
        return {
            name: _supervised.summed(
                term, 1 if name == "layout_keypoints" else count
            )
            for name, term in terms.items()
        }

    def _parameters(self, batch, rotvecs, betas):
        """The paper's one norm of pose and shape: each number weighs alike.

        Halved means over the numbers, as HMR's code has of its own 226.
        """
        true = rotations.rotmat_to_rotvec(batch["rotmats"])
        has_pose, has_betas = batch["has_pose"], batch["has_betas"]
        posed, _ = losses.rotmats_squared(rotvecs, true, has_pose)
        shaped, _ = losses.betas_squared(betas, batch["betas"], has_betas)
        numbers = 3.0 * len(joints.SMPL24) + betas.shape[1]
        weights = self.config.rotmats, self.config.betas
        return {
            "parameters": method.Term(
                posed, numbers * has_pose, weights[0] / 2
            ),
            "betas": method.Term(shaped, numbers * has_betas, weights[1] / 2),
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
    """The paper's camera s xy + rho as the contract's s (xy + t).

    The shift t is rho / s, so s must not come near 0, where a person would be
    without size. It is a smooth bend of the number that the network gives:
    all but that number above 0.2, and positive below.

    Args:
        numbers: (B, 3) of the camera network.

    Returns:
        (B, 3) scale and shift (s, tx, ty).
    """
    raw, rho = numbers[:, 0:1], numbers[:, 1:3]
    scale = 0.5 * (raw + tf.sqrt(tf.square(raw) + 4 * SCALE_BEND**2))
    return tf.concat([scale, rho / scale], axis=-1)


def _last(every: method.Prediction, count: int) -> method.Prediction:
    """Of `count` outer steps as one batch, the last."""
    return method.Prediction(
        *(v if v is None else tf.split(v, count)[-1] for v in every)
    )
