"""SMPLR's hourglass on pictures: maps, points in the cube, and the scale."""

from typing import Literal, NamedTuple

import keras
import tensorflow as tf

from tf_hmr import method
from tf_hmr.geometry import bones
from tf_hmr.methods import _smplr_convention, _smplr_points
from tf_hmr.networks import (
    alexnet,
    soft_argmax,
    volume_losses,
    volumetric_hourglass,
)

CUBE_M = 2.5
"""Side of the paper's cube, for losses in its metres."""
_MEAN_SCALE = 1.08  # Of rendered people in boxes; where the learned one starts.


class Sizes(NamedTuple):
    """Sizes of the network that sees pictures."""

    backbone: Literal["hourglass", "alexnet"]
    image_size: int
    stacks: int
    width: int
    bins: int
    levels: int
    stem: tuple[int, int, int]
    dropout: float


class Weights(NamedTuple):
    """Weights of the losses on pictures."""

    heatmap_loss: Literal["softmax", "sigmoid_code"]
    limbs: float
    points: float
    scale: float


class Volumes(NamedTuple):
    """What the network makes of pictures."""

    logits: list[tf.Tensor]
    """(B, S/4, S/4, bins * maps) of each stack; of AlexNet (B, 1, 1, 3 P)
    coordinates."""
    features: tf.Tensor
    """(B, S/4, S/4, width) of the last; of AlexNet (B, 1, 1, 16 width)."""


class Maps(NamedTuple):
    """What the volumes say of the pictures."""

    logits: list[tf.Tensor]
    """As in Volumes."""
    places: tf.Tensor
    """(B, P, 3) of the last one, in sides of the cube; z of flat maps is 0."""
    scale: tf.Tensor
    """(B, 1, 1) of the crop's weak perspective camera."""
    points: tf.Tensor
    """(B, P, 3) about the pelvis, metres."""


class Truth(NamedTuple):
    """Labels of pictures."""

    places: tf.Tensor
    """(B, 41, 3) in sides of the cube."""
    points: tf.Tensor
    """(B, 41, 3) about the pelvis, metres."""
    scale: tf.Tensor
    """(B, 1, 1) of the weak perspective camera that fits the keypoints."""
    labelled: tf.Tensor
    """(B,) flags: the body is labelled, and the camera known."""


class Encoder(method.Learner):
    """The network that sees pictures, and the camera's scale."""

    def __init__(
        self,
        sizes: Sizes,
        weights: Weights,
        scale: Literal["bones", "learned", "truth"],
        points: _smplr_points.BodyPoints,
        root: _smplr_points.Root,
        template,
        convention: _smplr_convention.Convention,
    ):
        """Makes the networks.

        Args:
            sizes: of the hourglass.
            weights: of its losses.
            scale: where the scale comes from; "truth" is an input.
            points: of the body.
            root: stands for the pelvis.
            template: (P,) bone lengths of the body's mean shape, metres.
            convention: of the maps' axes.

        Raises:
            ValueError: the scale is to come from bones of flat maps.
        """
        if (
            scale == "bones"
            and sizes.backbone == "hourglass"
            and (sizes.bins == 1)
        ):
            raise ValueError(
                "Maps of bins=1 have no depth, so bones say nothing of the "
                "scale. Take scale='learned', or crop='truth'."
            )
        # Keras must not round depths and intrinsics to a policy's bfloat16.
        super().__init__(name="encoder", autocast=False)
        self.sizes, self.weights_of_losses = sizes, weights
        self._points, self.root = points, root
        self._scale_from, self._convention = scale, convention
        self._bone_weights = _smplr_points.bone_weights(template)
        self.count = len(points.names)
        self.hourglass = self.alexnet = None
        if sizes.backbone == "alexnet":
            self.alexnet = alexnet.AlexNet(3 * self.count, sizes.width)
        else:
            self.hourglass = volumetric_hourglass.VolumetricHourglass(
                stacks=sizes.stacks,
                width=sizes.width,
                bins=sizes.bins,
                maps=self.count + len(volumetric_hourglass.LIMBS),
                levels=sizes.levels,
                stem=sizes.stem,
                rate=sizes.dropout,
                name="hourglass",
            )
        self.scale = ScaleHead() if scale == "learned" else None

    @property
    def image_size(self) -> int:
        """Side of the square input crop in pixels."""
        return self.sizes.image_size

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of method_inputs.INPUTS that `call` reads."""
        if self._scale_from == "truth":
            return ("image", "intrinsics", "depth")
        return ("image",)

    def inputs(self, batch):
        """The standardised pictures of a batch, (B, S, S, 3)."""
        return volumetric_hourglass.standardize(batch["image"])

    def call(self, images, training=False) -> Volumes:
        """(B, S, S, 3) standardised -> Volumes.

        An export gives this its own number format: what must stay float is in
        `maps`.
        """
        if self.hourglass is not None:
            images = tf.cast(images, self.hourglass.compute_dtype)
            return Volumes(*self.hourglass.call_with_features(images, training))
        images = tf.cast(images, self.alexnet.compute_dtype)
        numbers, features = self.alexnet(images, training=training)
        numbers, features = (
            tf.reshape(x, (-1, 1, 1, x.shape[-1])) for x in (numbers, features)
        )
        return Volumes([numbers], features)

    def maps(self, volumes: Volumes, inputs) -> Maps:
        """Points and scale of volumes.

        Args:
            volumes: of `call`.
            inputs: with scale="truth" intrinsics (B, 4) and depth (B, 1).
        """
        places = self._convention.to_camera(self._places(volumes.logits[-1]))
        relative = places - self.root(places)
        scale = self.find_scale(inputs, volumes.features, relative)
        return Maps(volumes.logits, places, scale, 2.0 * relative / scale)

    def _places(self, logits: tf.Tensor) -> tf.Tensor:
        """(B, P, 3) in sides of the cube, in the network's axes."""
        if self.hourglass is not None:
            return soft_argmax.soft_argmax(logits, self.sizes.bins, self.count)
        batch = -1 if logits.shape[0] is None else logits.shape[0]
        return tf.reshape(tf.cast(logits, tf.float32), (batch, self.count, 3))

    def find_scale(self, inputs, features, relative) -> tf.Tensor:
        """(B, 1, 1) scale of the camera, within _smplr_points.SCALES."""
        if self._scale_from == "truth":
            focal = inputs["intrinsics"][:, 0:1]
            return tf.reshape(focal / inputs["depth"], (-1, 1, 1))
        lengths, _ = bones.lengths_and_directions(2.0 * relative)
        if self.scale is not None:
            scale = self.scale(features, lengths)
        else:
            scale = tf.reduce_sum(
                lengths * self._bone_weights, axis=1, keepdims=True
            )
            low, high = _smplr_points.SCALES
            scale = tf.minimum(tf.maximum(scale, low), high)
        return tf.reshape(scale, (-1, 1, 1))

    def truth(self, batch) -> Truth:
        """Labels of a training batch; any numbers where not labelled."""
        shape = self._points.shape(batch["betas"], batch["gender"])
        points, keypoints = self._points(batch["rotmats"], shape)
        names = self._points.joint_names
        scale, move, is_fit = _smplr_points.weak_camera(
            keypoints, _smplr_points.labelled_keypoints(batch, names)
        )
        across = scale * points[..., :2] + move
        depth = scale * points[..., 2:]
        return Truth(
            tf.concat([across, depth], axis=-1) / 2.0,
            points,
            scale,
            batch["has_pose"]
            * batch["has_betas"]
            * self._points.known(batch["gender"])
            * is_fit,
        )

    def terms(self, batch, prediction) -> dict[str, method.Term]:
        """Maps of every stack; decoded points and scale of the last."""
        return self.terms_of(self.truth(batch), self.maps(prediction, batch))

    def terms_of(self, truth: Truth, maps: Maps) -> dict[str, method.Term]:
        """As `terms`, for labels that are there already."""
        weights, labelled = self.weights_of_losses, truth.labelled
        terms = self._map_terms(truth, maps)
        error = CUBE_M * (maps.places - truth.places)
        if self.hourglass is None:
            terms["squares"] = absolute(error * error, labelled, 1.0)
        elif self.sizes.bins == 1:
            error = error[:, :, 0:2]
        if weights.points:
            terms["places"] = absolute(tf.abs(error), labelled, weights.points)
        if self.scale is not None:
            positive = tf.where(labelled[:, None, None] > 0, truth.scale, 1.0)
            error = tf.abs(tf.math.log(maps.scale) - tf.math.log(positive))
            terms["scale"] = absolute(error, labelled, weights.scale)
        return terms

    def _map_terms(self, truth: Truth, maps: Maps) -> dict[str, method.Term]:
        """The losses of the maps of every stack."""
        if self.hourglass is None:
            return {}
        weights, terms = self.weights_of_losses, {}
        flags = truth.labelled[:, tf.newaxis] * tf.ones((1, self.count))
        losses = [("maps", volume_losses.softmax_cross_entropy, 1.0)]
        if weights.heatmap_loss == "sigmoid_code":
            losses = [("maps", volume_losses.sigmoid_code, 1.0)]
        elif weights.limbs:
            limbs = volume_losses.limb_cross_entropy
            losses.append(("limbs", limbs, weights.limbs))
        targets = self._convention.to_network(truth.places)
        for stack, logits in enumerate(maps.logits, start=1):
            for name, loss, weight in losses:
                total, count = loss(logits, targets, flags, self.sizes.bins)
                terms[f"{name}_{stack}"] = method.Term(total, count, weight)
        return terms


class ScaleHead(keras.layers.Layer):
    """Scale of the camera from pooled features and the lengths of bones.

    Maps of a weak network are broad, their means near the middle, and bones
    come out short; the features say by how much.
    """

    _HIDDEN = 64

    def __init__(self):
        super().__init__(name="scale", dtype="float32")
        self.hidden = keras.layers.Dense(
            self._HIDDEN, activation="relu", dtype="float32"
        )
        low, high = _smplr_points.SCALES
        start = (_MEAN_SCALE - low) / (high - low)
        bias = float(tf.math.log(start / (1.0 - start)))
        self.out = keras.layers.Dense(
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(bias),
            dtype="float32",
        )

    def build(self, *shapes):
        """Layers make their variables when first called."""
        self.built = True

    def call(self, features, lengths):
        """(B, h, w, C) and (B, P) in half sides of the cube -> (B, 1)."""
        pooled = tf.reduce_mean(tf.cast(features, tf.float32), axis=(1, 2))
        numbers = self.out(self.hidden(tf.concat([pooled, lengths], axis=1)))
        low, high = _smplr_points.SCALES
        return low + (high - low) * tf.sigmoid(numbers)


def absolute(errors, flags, weight: float) -> method.Term:
    """Mean over the numbers (B, ...) of flagged examples (B,)."""
    numbers = 1
    for size in errors.shape[1:]:
        numbers *= size
    flat = tf.reshape(errors, (-1, numbers))
    flat = tf.where(flags[:, tf.newaxis] > 0, flat, 0.0)
    return method.Term(tf.reduce_sum(flat, axis=1), numbers * flags, weight)
