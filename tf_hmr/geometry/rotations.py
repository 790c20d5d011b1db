"""Rotations: all `<from>_to_<to>`, the 6D layouts, distances, mirroring.

TensorFlow functions take any leading batch dimensions, work in float32
(float64 stays float64, for checks) and raise ValueError when the last axes
are not those of their argument. Values and gradients are finite and
exact everywhere, at rotation angles 0, 1e-7 and pi too: where a closed form
divides by zero its Taylor series is used, and the unused branch is kept away
from the singularity because tf.where also differentiates the branch it drops.

`rotvec_to_rotmat` and the `rot6d_*` functions are part of exported models, so
they keep sliced axes, write norms and cross products out and stay at rank 4,
which TFLite and its GPU delegate support.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_hmr import joints

# Below this squared angle the series are used. Their first dropped term is
# then under 1e-15, so both sides of the switch agree even in float64.
_SMALL_SQ = 1e-4

# Least squared length of a 6D column. A guard, not a bias: it changes only
# columns shorter than 1e-6, which name no direction in float32.
_MIN_SQ = 1e-12


def rotvec_to_rotmat(rotvec: tf.Tensor) -> tf.Tensor:
    """Rotation matrices of rotation vectors, by Rodrigues' formula.

    Args:
        rotvec: (..., 3) axis times angle in radians.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    rotvec = _cast_and_check(
        rotvec, (3,), "rotvec", "For matrices use rotmat_to_*."
    )
    angle_sq = _squared_norm(rotvec)
    sinc = _sinc(angle_sq)
    # (1 - cos a) / a^2, in the form that does not cancel for small angles.
    half_sinc = _sinc(0.25 * angle_sq)
    versine = 0.5 * half_sinc * half_sinc
    x, y, z = _components(rotvec)
    sx, sy, sz = sinc * x, sinc * y, sinc * z
    vx, vy, vz = versine * x, versine * y, versine * z
    rows = [
        1.0 - (vy * y + vz * z),
        vx * y - sz,
        vx * z + sy,
        vx * y + sz,
        1.0 - (vx * x + vz * z),
        vy * z - sx,
        vx * z - sy,
        vy * z + sx,
        1.0 - (vx * x + vy * y),
    ]
    return _end_as(tf.concat(rows, axis=-1), (3, 3))


def rotmat_to_rotvec(rotmat: tf.Tensor) -> tf.Tensor:
    """The rotation vector of a rotation matrix, with angle in [0, pi].

    At an angle of exactly pi both axes are right; either may come back.

    Args:
        rotmat: (..., 3, 3) rotation matrices.

    Returns:
        (..., 3) axis times angle in radians.
    """
    return quat_wxyz_to_rotvec(rotmat_to_quat_wxyz(rotmat))


def quat_wxyz_to_rotmat(quat: tf.Tensor) -> tf.Tensor:
    """Rotation matrices of quaternions of any non-zero length.

    Args:
        quat: (..., 4) quaternions, scalar first.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    quat = _cast_and_check(quat, (4,), "quat_wxyz")
    w, x, y, z = _components(quat)
    scale = 2.0 / _squared_norm(quat)
    rows = [
        1.0 - scale * (y * y + z * z),
        scale * (x * y - w * z),
        scale * (x * z + w * y),
        scale * (x * y + w * z),
        1.0 - scale * (x * x + z * z),
        scale * (y * z - w * x),
        scale * (x * z - w * y),
        scale * (y * z + w * x),
        1.0 - scale * (x * x + y * y),
    ]
    return _end_as(tf.concat(rows, axis=-1), (3, 3))


def rotmat_to_quat_wxyz(rotmat: tf.Tensor) -> tf.Tensor:
    """Unit quaternions, scalar first and not negative.

    The matrix gives all of 4 q q^T linearly; the row of the largest component
    is q up to scale and is never short (length at least 2), so nothing
    cancels at any angle (Bar-Itzhack 2000 uses the same matrix).

    Args:
        rotmat: (..., 3, 3) rotation matrices.

    Returns:
        (..., 4) quaternions.
    """
    rotmat = _cast_and_check(rotmat, (3, 3), "rotmat", "For 6D use rot6d_*.")
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = _components(
        _end_as(rotmat, (9,), drop=2)
    )
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    xy, xz, yz = m10 + m01, m20 + m02, m21 + m12
    diagonal = [
        1.0 + m00 + m11 + m22,
        1.0 + m00 - m11 - m22,
        1.0 - m00 + m11 - m22,
        1.0 - m00 - m11 + m22,
    ]
    ww, xx, yy, zz = diagonal
    rows = [ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz]
    outer = _end_as(tf.concat(rows, axis=-1), (4, 4))
    largest = tf.argmax(tf.concat(diagonal, axis=-1), axis=-1)
    largest_row = tf.one_hot(largest, 4, dtype=outer.dtype)[..., tf.newaxis]
    quat = tf.reduce_sum(largest_row * outer, axis=-2)
    return _scalar_not_negative(quat / tf.sqrt(_squared_norm(quat)))


def rotvec_to_quat_wxyz(rotvec: tf.Tensor) -> tf.Tensor:
    """Unit quaternions, scalar first, of rotation vectors.

    Args:
        rotvec: (..., 3) axis times angle in radians.

    Returns:
        (..., 4) quaternions (scalar negative for angles beyond pi).
    """
    rotvec = _cast_and_check(
        rotvec, (3,), "rotvec", "For matrices use rotmat_to_*."
    )
    half_sq = 0.25 * _squared_norm(rotvec)
    # cos a from sin(a / 2), since the cosine of a square root would have an
    # infinite inner derivative at zero.
    quarter = _sinc(0.25 * half_sq)
    cosine = 1.0 - 0.5 * half_sq * quarter * quarter
    return tf.concat([cosine, 0.5 * _sinc(half_sq) * rotvec], axis=-1)


def quat_wxyz_to_rotvec(quat: tf.Tensor) -> tf.Tensor:
    """Rotation vectors, angle in [0, pi], of quaternions of any length.

    Args:
        quat: (..., 4) quaternions, scalar first; q and -q are the same.

    Returns:
        (..., 3) axis times angle in radians.
    """
    quat = _scalar_not_negative(_cast_and_check(quat, (4,), "quat_wxyz"))
    scalar, vector = quat[..., 0:1], quat[..., 1:4]
    sine_sq = _squared_norm(vector)
    small = sine_sq < _SMALL_SQ * scalar * scalar
    # Each branch sees harmless numbers where the other one is taken.
    safe_scalar = tf.where(small, scalar, 1.0)
    tan_sq = tf.where(small, sine_sq, 0.0) / (safe_scalar * safe_scalar)
    series = 1.0 - tan_sq * (1 / 3 - tan_sq * (1 / 5 - tan_sq / 7))
    sine = tf.sqrt(tf.where(small, 1.0, sine_sq))
    exact = tf.atan2(sine, tf.where(small, 1.0, scalar)) / sine
    return 2.0 * tf.where(small, series / safe_scalar, exact) * vector


def rot6d_stacked_to_rotmat(rot6d: tf.Tensor) -> tf.Tensor:
    """6D to matrices; numbers 0:3 are the first column, 3:6 the second.

    The layout of Zhou et al. 2019 and of shubham-goel/4D-Humans:
    hmr2/utils/geometry.py. Identity is [1, 0, 0, 0, 1, 0].

    Args:
        rot6d: (..., 6); the columns need not be unit or orthogonal.

    Returns:
        (..., 3, 3) rotation matrices (Gram-Schmidt, first column kept).
    """
    rot6d = _cast_and_check(rot6d, (6,), "rot6d")
    return _gram_schmidt(rot6d[..., 0:3], rot6d[..., 3:6])


def rotmat_to_rot6d_stacked(rotmat: tf.Tensor) -> tf.Tensor:
    """Inverse of `rot6d_stacked_to_rotmat`: (..., 3, 3) to (..., 6)."""
    rotmat = _cast_and_check(rotmat, (3, 3), "rotmat")
    columns = tf.linalg.matrix_transpose(rotmat[..., 0:2])
    return _end_as(columns, (6,), drop=2)


def rot6d_interleaved_to_rotmat(rot6d: tf.Tensor) -> tf.Tensor:
    """6D to matrices; the two columns alternate, row by row.

    The layout of nkolot/SPIN: utils/geometry.py (view(-1, 3, 2)), of its
    checkpoints and of GHUM. Identity is [1, 0, 0, 1, 0, 0].

    Args:
        rot6d: (..., 6); the columns need not be unit or orthogonal.

    Returns:
        (..., 3, 3) rotation matrices (Gram-Schmidt, first column kept).
    """
    rot6d = _cast_and_check(rot6d, (6,), "rot6d")
    numbers = _components(rot6d)
    return _gram_schmidt(
        tf.concat(numbers[0::2], axis=-1), tf.concat(numbers[1::2], axis=-1)
    )


def rotmat_to_rot6d_interleaved(rotmat: tf.Tensor) -> tf.Tensor:
    """Inverse of `rot6d_interleaved_to_rotmat`: (..., 3, 3) to (..., 6)."""
    rotmat = _cast_and_check(rotmat, (3, 3), "rotmat")
    return _end_as(rotmat[..., 0:2], (6,), drop=2)


def geodesic_distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Angle of the rotation between two rotations.

    Args:
        a: (..., 3, 3) rotation matrices.
        b: (..., 3, 3) rotation matrices.

    Returns:
        (...) radians in [0, pi]. The gradient at distance 0 is 0.
    """
    a = _cast_and_check(a, (3, 3), "rotmat")
    b = _cast_and_check(b, (3, 3), "rotmat")
    between = rotmat_to_rotvec(tf.matmul(a, b, transpose_a=True))
    angle_sq = tf.reduce_sum(between * between, axis=-1)
    same = angle_sq == 0.0
    return tf.where(same, 0.0, tf.sqrt(tf.where(same, 1.0, angle_sq)))


def mirror_rotmats(
    rotmats: tf.Tensor, joint_names: Sequence[str] = joints.SMPL24
) -> tf.Tensor:
    """Mirrors a body pose by flipping x.

    Left and right joints swap and each rotation is conjugated by
    diag(-1, 1, 1); that negates y and z of a rotation vector, as
    akanazawa/hmr: src/util/data_utils.py reflect_pose. Mirroring twice is
    the identity.

    Args:
        rotmats: (..., J, 3, 3) rotations.
        joint_names: (J,) names of the joints; records have SMPL24's.

    Returns:
        (..., J, 3, 3).
    """
    rotmats = _cast_and_check(rotmats, (len(joint_names), 3, 3), "rotmats")
    flip = np.array([-1.0, 1.0, 1.0])
    swapped = tf.gather(rotmats, joints.mirror(joint_names), axis=-3)
    return swapped * tf.constant(np.outer(flip, flip), rotmats.dtype)


def nearest_rotmat(matrices: np.ndarray) -> np.ndarray:
    """Finds the rotations closest to 3x3 matrices in the Frobenius norm.

    NumPy, for training set-up and evaluation: the SVD is not exportable.

    Args:
        matrices: (..., 3, 3).

    Returns:
        (..., 3, 3) float64 proper rotations (determinant +1).

    Raises:
        ValueError: the last axes are not (3, 3), or a number is not finite.
    """
    matrices = np.asarray(matrices, np.float64)
    if matrices.shape[-2:] != (3, 3):
        raise ValueError(
            f"Expected matrices of shape (..., 3, 3), got {matrices.shape}."
        )
    if not np.isfinite(matrices).all():
        raise ValueError(
            "Expected finite matrices, got NaN or infinity. "
            "Leave out the entries without a label first."
        )
    u, _, vt = np.linalg.svd(matrices)
    sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    u[..., :, 2] *= sign[..., np.newaxis]
    return u @ vt


def _sinc(angle_sq: tf.Tensor) -> tf.Tensor:
    """sin(a) / a from a^2, smooth at 0."""
    small = angle_sq < _SMALL_SQ
    series = 1.0 - angle_sq * (1 / 6 - angle_sq / 120)
    angle = tf.sqrt(tf.where(small, 1.0, angle_sq))
    return tf.where(small, series, tf.sin(angle) / angle)


def _gram_schmidt(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """(..., 3) and (..., 3) to rotation matrices, as columns."""
    x = _unit(first)
    projection = tf.reduce_sum(x * second, axis=-1, keepdims=True)
    y = _unit(second - projection * x)
    x0, x1, x2 = _components(x)
    y0, y1, y2 = _components(y)
    z = [x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0]
    columns = _end_as(tf.concat([x, y, *z], axis=-1), (3, 3))
    return tf.linalg.matrix_transpose(columns)


def _unit(vector: tf.Tensor) -> tf.Tensor:
    length_sq = tf.maximum(_squared_norm(vector), _MIN_SQ)
    return vector * tf.math.rsqrt(length_sq)


def _squared_norm(vector: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(vector * vector, axis=-1, keepdims=True)


def _scalar_not_negative(quat: tf.Tensor) -> tf.Tensor:
    return tf.where(quat[..., 0:1] < 0.0, -quat, quat)


def _components(vector: tf.Tensor) -> list[tf.Tensor]:
    """The numbers of the last axis, each (..., 1): the axis is kept."""
    return [vector[..., i : i + 1] for i in range(vector.shape[-1])]


def _end_as(
    tensor: tf.Tensor, ending: Sequence[int], drop: int = 1
) -> tf.Tensor:
    """Reshapes the last `drop` axes to `ending`.

    With at most one unknown leading size the new shape is a constant, so an
    exported graph has no arithmetic on shapes.
    """
    leading = tensor.shape[:-drop].as_list()
    if leading.count(None) <= 1:
        leading_sizes = [-1 if size is None else size for size in leading]
        return tf.reshape(tensor, [*leading_sizes, *ending])
    return tf.reshape(tensor, tf.concat([tf.shape(tensor)[:-drop], ending], 0))


def _cast_and_check(
    value: tf.Tensor, ending: Sequence[int], name: str, hint: str = ""
) -> tf.Tensor:
    """Casts to a float tensor and checks that its last axes are `ending`.

    Half precision and integers become float32: an angle near pi has no
    usable digits in float16.
    """
    value = tf.convert_to_tensor(value)
    if value.dtype not in (tf.float32, tf.float64):
        value = tf.cast(value, tf.float32)
    if value.shape.rank is None or tuple(value.shape[-len(ending) :]) != tuple(
        ending
    ):
        expected = ", ".join(str(size) for size in ending)
        raise ValueError(
            f"Expected {name} of shape (..., {expected}), got {value.shape}. "
            f"{hint}".rstrip()
        )
    return value
