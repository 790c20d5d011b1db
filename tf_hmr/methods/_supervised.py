"""What methods share that encode one picture and regress a body from it.

The encoder with its features, the rotation form of the first guess, and the
supervision of HMR, which its successors kept (akanazawa/hmr: src/trainer.py,
src/ops.py).
"""

import dataclasses
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints, losses, method
from tf_hmr.body.model import Body
from tf_hmr.methods import _spin_losses
from tf_hmr.networks import encoders
from tf_hmr.smplify import in_the_loop

# Numbers that HMR's code averages one squared error over: 24 rotation
# matrices and 10 betas (src/trainer.py: 216 + 10).
PARAMETERS = 226
# Scale 0.9 at the centre: src/trainer.py load_mean_param.
START_CAMERA = (0.9, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Config(method.Config):
    """Encoder and supervision; defaults are HMR's."""

    image_size: int = 224
    """Side of the square input crop in pixels."""
    crop_scale: float = 224 / 150
    """Side of the crop over the longer side of the person's box: people are
    150 px long in 224 px (akanazawa/hmr: src/util/image.py)."""
    encoder: encoders.Name = "resnet50_slim"
    """ResNet-50 v2 as in HMR's code; 'resnet50' has ImageNet weights to
    download, 'resnet50_v15' is SPIN's, 'small' trains on a CPU."""
    encoder_width: int = 24
    """Channels of the first layer of the 'small' encoder."""
    encoder_depths: tuple[int, ...] = (1, 2, 2)
    """Residual blocks in each stage of the 'small' encoder."""
    features: Literal["pool", "layout"] = "pool"
    """'pool' averages the last map; 'layout' also keeps where things are."""
    layout_channels: int = 32
    """Channels of the kept map, with features='layout'."""
    layout_keypoints: float = 0.0
    """With features='layout': weight of a keypoint loss on the places that
    the encoder finds, before any body is fitted; 0 leaves them free."""
    keypoints_2d: float = 60.0
    """Weight of the 2D keypoint loss (do_train.sh: e_loss_weight)."""
    joints_3d: float = 60.0
    """Weight of the 3D joint loss (do_train.sh: e_3d_weight)."""
    rotmats: float = 60.0
    """Weight of the rotation matrix loss (do_train.sh: e_3d_weight)."""
    betas: float = 60.0
    """Weight of the shape loss (do_train.sh: e_3d_weight)."""
    loss_3d: Literal["squared", "absolute"] = "squared"
    """Penalty of 3D joints and rotation matrices; 'squared' is halved."""
    loss_rotmats: Literal["as_joints", "squared", "absolute"] = "as_joints"
    """Penalty of rotation matrices; 'as_joints' is that of loss_3d."""
    supervision: Literal["hmr", "spin"] = "hmr"
    """'spin' is squared errors over all joints, seen or not, with the weights
    that spin_losses.WEIGHTS gives; loss_3d and loss_rotmats are not used."""
    camera_scale: float = 0.0
    """With supervision='spin': weight of exp(-10 s)^2 of the camera's scale."""
    fits: Literal["none", "kept", "improved"] = "none"
    """Labels from fits to the keypoints, where an example has no pose: 'kept'
    takes those that data.fits gives; 'improved' runs SMPLify from every
    prediction on and keeps the better one (Kolotouros et al., ICCV 2019)."""
    fit_steps: int = 100
    """Steps of each of SMPLify's two stages, with fits='improved'."""
    fit_prior: str = ""
    """SMPLify's pose prior: gmm_08.pkl or an .npz of `training.prepare
    pose-gmm`; empty: that of the open body."""
    joints_in_loss: Literal["lsp", "cocoplus"] = "lsp"
    """Joints of the 3D loss: 14 as HMR, or all 19."""


class ImageMethod(method.Method):
    """An encoder, and losses of a predicted body."""

    def __init__(self, config: Config, body: Body):
        super().__init__(config, body)
        if config.layout_keypoints and config.features != "layout":
            raise ValueError(
                f"layout_keypoints={config.layout_keypoints} needs places to "
                "compare: set features='layout', or layout_keypoints=0."
            )
        self.encoder = encoders.build(
            config.encoder,
            config.image_size,
            config.encoder_width,
            config.encoder_depths,
        )
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.layout = None
        if config.features == "layout":
            self.encoder = encoders.with_finer_map(self.encoder)
            self.layout = encoders.Layout(
                config.layout_channels, named=len(self.joint_names)
            )
        self.loss_joints = (
            joints.LSP14
            if config.joints_in_loss == "lsp"
            else joints.COCOPLUS19
        )
        self._fit_targets = None

    def features(self, images, training=False):
        """(B, S, S, 3) 0..255 -> (B, F), and places (B, J, 2) or None."""
        # As the encoder computes: float32 maps would only take memory.
        images = tf.cast(images, self.compute_dtype)
        normalised = encoders.normalise(self.config.encoder, images)
        maps = self.encoder(normalised, training=training)
        if self.layout is None:
            return self.pool(maps), None
        finer, last = maps
        kept, places = self.layout(finer, last)
        pooled = tf.cast(self.pool(last), tf.float32)
        return tf.concat([pooled, kept], axis=-1), places

    @property
    def makes_targets(self) -> bool:
        """Whether fits are made labels."""
        return self.keeps_fits

    @property
    def keeps_fits(self) -> bool:
        """As config.fits says."""
        return self.config.fits != "none"

    def mean_body(self):
        """Rotations (24, 3, 3) and betas (10,) before anything is known."""
        return tf.constant(start_rotmats()), tf.zeros(10)

    def prepare_targets(self) -> None:
        """Reads the pose prior, which only training needs.

        Raises:
            FileNotFoundError, ValueError: see fit_targets.FitTargets.
        """
        config = self.config
        if config.fits == "none" or self._fit_targets is not None:
            return
        steps = config.fit_steps if config.fits == "improved" else 0
        # Its constants are of no graph that is being traced.
        with tf.init_scope():
            self._fit_targets = in_the_loop.FitTargets(
                self.body, config.fit_prior, steps
            )

    def targets(self, batch, prediction, fits):
        """The batch with labels of fits, as FitTargets makes them."""
        if not self.makes_targets:
            return batch
        self.prepare_targets()
        return self._fit_targets(batch, prediction, self._or_mean(fits))

    def _or_mean(self, fits):
        """The kept fits; the mean body where there is none."""
        rotmats, betas = self.mean_body()
        kept = fits.kept > 0
        return fits._replace(
            rotmats=tf.where(kept[:, None, None, None], fits.rotmats, rotmats),
            betas=tf.where(kept[:, None], fits.betas, betas),
        )

    def supervised_terms(self, batch, prediction, places=None):
        """Keypoints, 3D joints, rotations and betas where they are labelled.

        Args:
            batch: of pipeline.train_dataset.
            prediction: a method.Prediction.
            places: (B, J, 2) of `features`, for layout_keypoints.
        """
        true_2d = select(batch["keypoints"], self.joint_names)
        if self.config.supervision == "spin":
            terms = _spin_losses.terms(
                self.config,
                batch,
                prediction,
                true_2d,
                self._root_aligned(batch, prediction),
            )
        else:
            terms = self._hmr_terms(batch, prediction, true_2d)
        if self.config.layout_keypoints:
            terms["layout_keypoints"] = term(
                losses.keypoints_l1(places, true_2d[..., :2], true_2d[..., 2]),
                self.config.layout_keypoints,
            )
        return terms

    def _hmr_terms(self, batch, prediction, true_2d):
        config = self.config
        squared = config.loss_3d == "squared"
        half = 0.5 if squared else 1.0
        true_2d, seen = true_2d[..., :2], true_2d[..., 2]
        terms = {
            "keypoints_2d": term(
                losses.keypoints_l1(prediction.keypoints, true_2d, seen),
                config.keypoints_2d,
            )
        }
        pred, true, valid = self._root_aligned(batch, prediction)
        joint_loss = losses.joints_squared if squared else losses.joints_l1
        terms["joints_3d"] = term(
            joint_loss(pred, true, valid), half * config.joints_3d
        )
        if config.loss_rotmats != "as_joints":
            squared = config.loss_rotmats == "squared"
            half = 0.5 if squared else 1.0
        rotmat_loss = losses.rotmats_squared if squared else losses.rotmats_l1
        has_pose, has_betas = batch["has_pose"], batch["has_betas"]
        total, _ = rotmat_loss(prediction.rotmats, batch["rotmats"], has_pose)
        terms["rotmats"] = method.Term(
            total, PARAMETERS * has_pose, half * config.rotmats
        )
        total, _ = losses.betas_squared(
            prediction.betas, batch["betas"], has_betas
        )
        terms["betas"] = method.Term(
            total, PARAMETERS * has_betas, 0.5 * config.betas
        )
        return terms

    def adversary_terms(self, batch, prediction):
        """Least squares: real poses towards 1, predictions towards 0.

        Of prediction.iterates, which then hold all estimates that are judged.
        """
        if self.adversary is None:
            return {}
        fake = self.adversary(
            tf.stop_gradient(prediction.iterates["rotmats"]),
            tf.stop_gradient(prediction.iterates["betas"]),
        )
        real = self.adversary(batch["prior_rotmats"], batch["prior_betas"])
        return {
            "real": term(losses.discriminator_real(real), 1.0),
            "fake": term(losses.discriminator_fake(fake), 1.0),
        }

    def _root_aligned(self, batch, prediction):
        """Joints of the 3D loss minus their mid-hip: pred, true, valid."""
        index = joints.select(self.loss_joints, of=self.joint_names)
        pred = tf.gather(prediction.joints, index, axis=1)
        true = select(batch["joints3d"], self.loss_joints)
        hips = joints.select(("left_hip", "right_hip"), of=self.loss_joints)
        valid = true[..., 3] * tf.reduce_min(
            tf.gather(true[..., 3], hips, axis=1), axis=1, keepdims=True
        )

        def aligned(points):
            root = tf.gather(points, hips, axis=1)
            return points - tf.reduce_mean(root, axis=1, keepdims=True)

        return aligned(pred), aligned(true[..., :3]), valid


def start_rotmats(rotmats=None) -> np.ndarray:
    """(24, 3, 3) of a first guess.

    Default: the rest pose, upright and facing the camera (a half turn about
    x, as the body is y-up).
    """
    if rotmats is not None:
        return np.asarray(rotmats, np.float32)
    rotmats = np.tile(np.eye(3, dtype=np.float32), (len(joints.SMPL24), 1, 1))
    rotmats[0] = np.diag([1.0, -1.0, -1.0])
    return rotmats


def select(points, names):
    """(B, K, C) in the order of joints.KEYPOINTS -> (B, len(names), C)."""
    return tf.gather(points, joints.select(names, of=joints.KEYPOINTS), axis=1)


def term(total_and_count, weight: float) -> method.Term:
    """A loss function's (total, count) with its weight."""
    total, count = total_and_count
    return method.Term(total, count, weight)


def repeated(batch, count: int):
    """The labels for `count` estimates of each example, one after another."""
    return {
        name: tf.concat([value] * count, axis=0)
        for name, value in batch.items()
        if name != "image"
    }


def summed(several: method.Term, count: int) -> method.Term:
    """A term of `count` estimates of each example: labels count once."""
    return several._replace(
        total=tf.add_n(tf.split(several.total, count)),
        count=tf.split(several.count, count)[0],
    )
