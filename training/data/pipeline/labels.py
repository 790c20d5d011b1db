"""The labels of a batch, beside its pictures."""

import tensorflow as tf

from tf_hmr.geometry import rotations
from training import config
from training.data.pipeline import augment, views
from training.data.records import mocap, parsing

Batch = dict[str, tf.Tensor]


def colours(
    options: config.Augment, drawn: augment.Augmentation, good: tf.Tensor
) -> Batch:
    """What warp.finish does to the colours, if there is anything to do."""
    found = {}
    if options.colour:
        found["gain"] = drawn.gain
    if options.occlude:
        # A picture that is not there stays black.
        found["occluder"] = drawn.occluder * good[:, None]
        found["occluder_rgb"] = drawn.occluder_rgb
    return found


def augmented(
    fields: Batch,
    drawn: augment.Augmentation,
    to_ndc: tf.Tensor,
    good: tf.Tensor,
    has_3d: tf.Tensor,
) -> Batch:
    """The labels of augmented crops; 0, or the identity, where there is none.

    Args:
        fields: of parsing.parse.
        drawn: B augmentations.
        to_ndc: (B, 2, 3) of augment.image_to_ndc.
        good: (B,) 0 where the record is broken.
        has_3d: (B,) 0 where 3D labels are not to be seen.
    """
    has_pose = has_3d * fields["has_pose"]
    has_betas = has_3d * fields["has_betas"]
    has_joints3d = has_3d * fields["has_joints3d"]
    points = augment.keypoints(drawn, to_ndc, fields["keypoints"])
    pose = _where(has_pose, fields["pose"])
    rotmats = rotations.rotvec_to_rotmat(tf.reshape(pose, [-1, 24, 3]))
    rotmats = augment.rotmats(drawn, rotmats)
    identity = tf.eye(3, batch_shape=[24])
    return {
        "keypoints": _where(good * fields["has_keypoints"], points),
        "joints3d": _where(
            has_joints3d, augment.joints3d(drawn, fields["joints3d"])
        ),
        "rotmats": _where(has_pose, rotmats, identity),
        "betas": _where(has_betas, fields["betas"]),
        "gender": _where(has_3d, _gender(fields["gender"])),
        "has_pose": has_pose,
        "has_betas": has_betas,
        "has_joints3d": has_joints3d,
        "example_id": fields["example_id"],
        "example_key": parsing.example_key(
            fields["dataset"], fields["example_id"]
        ),
        "flip": drawn.flip,
        "rotation_rad": drawn.rotation_rad,
    } | views.of_crops(fields, drawn, to_ndc, good)


def _gender(names: tf.Tensor) -> tf.Tensor:
    """Names (B,) as the numbers of mocap.GENDERS, (B,) float32."""
    return tf.add_n(
        [
            number * tf.cast(names == name, tf.float32)
            for name, number in mocap.GENDERS.items()
        ]
    )


def part_labels(fields: Batch, parts: tf.Tensor, flag: tf.Tensor) -> Batch:
    """Part labels (B, S, S), and whether they are to be seen, (B,)."""
    has_parts = flag * fields["has_parts"]
    return {"parts": _where(has_parts, parts), "has_parts": has_parts}


def _where(
    flag: tf.Tensor, values: tf.Tensor, otherwise: tf.Tensor | None = None
) -> tf.Tensor:
    """`values` (B, ...) where flag (B,) is set, else `otherwise` or 0."""
    if otherwise is None:
        otherwise = tf.zeros([], values.dtype)
    shape = [-1] + [1] * (values.shape.rank - 1)
    return tf.where(tf.reshape(flag, shape) > 0, values, otherwise)
