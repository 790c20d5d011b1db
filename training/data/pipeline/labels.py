"""Labels of a batch: everything but its images."""

import tensorflow as tf

from tf_hmr.formats import openpose_files
from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import augment, views
from training.data.records import mocap, parsing, schema

Batch = dict[str, tf.Tensor]

_HIDDEN = {
    "all": (),
    "2d+parts": ("3d",),
    "2d": ("3d", "parts"),
    "none": ("3d", "parts", "2d"),
}
KINDS = ("2d", "parts", "3d")
"""Kinds of labels that a source may hide."""


def shows(labels: str, kind: str) -> bool:
    """Whether a source with `labels` (config.Source) shows a kind of KINDS."""
    return kind not in _HIDDEN[labels]


def colours(
    options: config.Augment, augmentation: augment.Augmentation, good: tf.Tensor
) -> Batch:
    """Fields from which warp.finish changes colours, if `options` has any."""
    changes = {}
    if options.colour:
        changes["gain"] = augmentation.gain
    if options.occlude:
        # A missing image stays black.
        changes["occluder"] = augmentation.occluder * good[:, None]
        changes["occluder_rgb"] = augmentation.occluder_rgb
    return changes


# Traced once for each batch size: to trace it anew for each dataset would take
# half of the time in which one is made.
@tf.function(autograph=False)
def augmented(
    fields: Batch,
    augmentation: augment.Augmentation,
    to_ndc: tf.Tensor,
    good: tf.Tensor,
    has_3d: tf.Tensor,
    has_2d: tf.Tensor,
) -> Batch:
    """Labels of augmented crops; 0, or the identity, where missing.

    Args:
        fields: of parsing.parse.
        augmentation: of B examples.
        to_ndc: (B, 2, 3) of augment.image_to_ndc.
        good: (B,) 0 where the record is broken.
        has_3d: (B,) 0 where 3D labels must not be used.
        has_2d: (B,) 0 where keypoints must not be used.
    """
    has_pose = has_3d * fields["has_pose"]
    has_betas = has_3d * fields["has_betas"]
    has_joints3d = has_3d * fields["has_joints3d"]
    points = augment.keypoints(augmentation, to_ndc, fields["keypoints"])
    openpose = augment.keypoints(
        augmentation, to_ndc, fields["openpose"], openpose_files.BODY25
    )
    pose = _masked(has_pose, fields["pose"])
    rotmats = rotations.rotvec_to_rotmat(
        tf.reshape(pose, [-1, schema.NUM_JOINTS, 3])
    )
    rotmats = augment.rotmats(augmentation, rotmats)
    identity = tf.eye(3, batch_shape=[schema.NUM_JOINTS])
    return {
        "keypoints": _masked(has_2d * fields["has_keypoints"], points),
        "openpose": _masked(has_2d, openpose),
        "joints3d": _masked(
            has_joints3d, augment.joints3d(augmentation, fields["joints3d"])
        ),
        "rotmats": _masked(has_pose, rotmats, identity),
        "global_rotation": _masked(has_pose, rotmats[:, 0], identity[0]),
        "betas": _masked(has_betas, fields["betas"]),
        "gender": _masked(has_3d, _gender(fields["gender"])),
        "has_pose": has_pose,
        "has_betas": has_betas,
        "has_joints3d": has_joints3d,
        "example_id": fields["example_id"],
        "example_key": parsing.example_key(
            fields["dataset"], fields["example_id"]
        ),
        "flip": augmentation.flip,
        "rotation_rad": augmentation.rotation_rad,
    } | views.of_crops(fields, augmentation, to_ndc, good)


def _gender(names: tf.Tensor) -> tf.Tensor:
    """Converts names (B,) to the numbers of mocap.GENDERS, (B,) float32."""
    return tf.add_n(
        [
            number * tf.cast(names == name, tf.float32)
            for name, number in mocap.GENDERS.items()
        ]
    )


def part_labels(fields: Batch, parts: tf.Tensor, flag: tf.Tensor) -> Batch:
    """Part labels (B, S, S), and whether they may be used, (B,)."""
    has_parts = flag * fields["has_parts"]
    return {"parts": _masked(has_parts, parts), "has_parts": has_parts}


def _masked(
    flag: tf.Tensor, values: tf.Tensor, otherwise: tf.Tensor | None = None
) -> tf.Tensor:
    """`values` (B, ...) where flag (B,) is set, else `otherwise` or 0."""
    if otherwise is None:
        otherwise = tf.zeros([], values.dtype)
    shape = [-1] + [1] * (values.shape.rank - 1)
    return tf.where(tf.reshape(flag, shape) > 0, values, otherwise)
