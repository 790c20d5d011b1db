"""Rotations against SciPy in float64, and the laws that they obey."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.geometry import rotations as geometry

# Around every switch of formula: 0, the series' end at 0.01, and pi.
ANGLES = (0.0, 1e-7, 1e-3, 0.0099, 0.0101, 1.0, 3.0, np.pi - 1e-4, np.pi)
ANGLE_IDS = [f"{angle:.8g}" for angle in ANGLES]


def rotvecs(angle: float, count: int = 64) -> np.ndarray:
    """(count, 3) float32 rotation vectors of one angle about many axes."""
    axes = np.random.default_rng(0).normal(size=(count, 3))
    axes[:3] = np.eye(3)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return (angle * axes).astype(np.float32)


def rotmats(*shape: int, seed: int = 1) -> np.ndarray:
    """Uniformly random float32 rotation matrices (*shape, 3, 3)."""
    quats = np.random.default_rng(seed).normal(size=(*shape, 4))
    random = Rotation.from_quat(quats.reshape(-1, 4)).as_matrix()
    return random.reshape(*shape, 3, 3).astype(np.float32)


def jacobian(function, at: np.ndarray) -> np.ndarray:
    """(N, outputs, inputs) derivatives by automatic differentiation."""
    at = tf.constant(at)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(at)
        values = tf.reshape(function(at), (len(at), -1))
        # Examples do not mix, so the gradient of a sum over the batch holds
        # each one's own row.
        sums = [tf.reduce_sum(values[:, i]) for i in range(values.shape[1])]
    rows = [tape.gradient(total, at) for total in sums]
    return np.stack([np.reshape(row, (len(at), -1)) for row in rows], axis=1)


def numeric_jacobian(function, at: np.ndarray) -> np.ndarray:
    """The same by central differences in float64."""
    columns = []
    for step in 1e-6 * np.eye(at.shape[1]):
        change = function(at + step) - function(at - step)
        columns.append(change.reshape(len(at), -1) / 2e-6)
    return np.stack(columns, axis=-1)


def matrix(rotvec: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(rotvec.astype(np.float64)).as_matrix()


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
def test_rotvec_to_rotmat_is_scipys(angle):
    vectors = rotvecs(angle)
    assert_close(
        "rotation", geometry.rotvec_to_rotmat(vectors), matrix(vectors)
    )


def test_rotvec_to_rotmat_keeps_the_digits_of_a_tiny_rotation():
    rotmat = geometry.rotvec_to_rotmat(tf.constant([1e-7, 2e-7, -3e-7]))
    skew = np.array([[0, 3, 2], [-3, 0, -1], [-2, 1, 0]]) * 1e-7
    assert_close("relative_float32", rotmat - tf.eye(3), skew)


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
def test_gradient_of_rotvec_to_rotmat_is_the_numeric_one(angle):
    vectors = rotvecs(angle, 16)
    assert_close(
        "rotation_gradient",
        jacobian(geometry.rotvec_to_rotmat, vectors),
        numeric_jacobian(matrix, vectors.astype(np.float64)),
    )


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
def test_rotmat_to_rotvec_is_scipys(angle):
    vectors = rotvecs(angle)
    rotations = matrix(vectors).astype(np.float32)
    back = geometry.rotmat_to_rotvec(rotations).numpy()
    assert_close("rotation", matrix(back), matrix(vectors))
    lengths = np.linalg.norm(back.astype(np.float64), axis=1)
    assert lengths.max() <= np.pi + 1e-6
    if angle < 3.14:
        assert_close("rotation", back, vectors)


def test_rotmat_to_rotvec_at_pi_gives_the_axis():
    axis = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, 0.8]])
    half_turns = 2 * axis[:, :, None] * axis[:, None, :] - np.eye(3)
    vectors = geometry.rotmat_to_rotvec(half_turns.astype(np.float32)).numpy()
    sign = np.sign(np.sum(vectors * axis, axis=1, keepdims=True))
    assert_close("rotation", sign * vectors, np.pi * axis)


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
@pytest.mark.parametrize("form", ["rotmat", "quat_wxyz"])
def test_gradient_of_the_way_there_and_back(form, angle):
    to = getattr(geometry, f"rotvec_to_{form}")
    back = getattr(geometry, f"{form}_to_rotvec")
    vectors = rotvecs(angle, 16)
    change = jacobian(lambda v: back(to(v)), vectors)
    identity = np.broadcast_to(np.eye(3), change.shape)
    if angle < np.pi:
        assert_close("rotation_gradient", change, identity)
        return
    # At pi the vector may come back from the other side, v - 2 pi v / |v|,
    # whose derivative there is 2 a a^T - I.
    axis = vectors / np.pi
    wrapped = 2 * axis[:, :, None] * axis[:, None, :] - np.eye(3)
    same = np.abs(change - identity).max(axis=(1, 2)) < 1e-3
    expected = np.where(same[:, None, None], identity, wrapped)
    assert_close("rotation_gradient", change, expected)


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
def test_quaternions_are_scipys(angle):
    vectors = rotvecs(angle)
    rotation = Rotation.from_rotvec(vectors.astype(np.float64))
    expected = rotation.as_quat(canonical=True, scalar_first=True)
    quats = geometry.rotvec_to_quat_wxyz(vectors).numpy()
    # At pi, q and -q are equally canonical.
    sign = np.sign(np.sum(quats * expected, axis=1, keepdims=True))
    assert_close("rotation", sign * quats, expected)
    from_matrix = geometry.rotmat_to_quat_wxyz(matrix(vectors))
    sign = np.sign(np.sum(from_matrix * expected, axis=1, keepdims=True))
    assert_close("rotation", sign * from_matrix, expected)
    assert (from_matrix.numpy()[:, 0] >= 0).all()
    assert_close(
        "rotation", geometry.quat_wxyz_to_rotmat(quats), matrix(vectors)
    )


def test_quaternions_of_any_length_and_sign_are_one_rotation():
    quats = geometry.rotmat_to_quat_wxyz(rotmats(50))
    for factor in (-1.0, 3.0, -0.01):
        assert_close(
            "rotation",
            geometry.quat_wxyz_to_rotmat(factor * quats),
            geometry.quat_wxyz_to_rotmat(quats),
        )
        assert_close(
            "rotation",
            geometry.quat_wxyz_to_rotvec(factor * quats),
            geometry.quat_wxyz_to_rotvec(quats),
        )


def test_rotmat_to_quat_uses_each_of_its_four_rows():
    """Half turns about x, y, z and no turn: no component may divide by 0."""
    quats = np.eye(4, dtype=np.float32)
    back = geometry.rotmat_to_quat_wxyz(geometry.quat_wxyz_to_rotmat(quats))
    assert_close("rotation", np.abs(back), quats)


def test_turns_about_one_axis_add():
    axis = rotvecs(1.0)
    first, second = (
        geometry.rotvec_to_rotmat(angle * axis) for angle in (0.7, 1.9)
    )
    together = geometry.rotvec_to_rotmat(2.6 * axis)
    assert_close("rotation", first @ second, together)


def test_leading_axes_do_not_matter():
    vectors = rotvecs(2.0, 24).reshape(2, 3, 4, 3)
    batch = geometry.rotvec_to_rotmat(vectors).numpy()
    one = geometry.rotvec_to_rotmat(vectors[1, 2, 3])
    assert batch.shape == (2, 3, 4, 3, 3)
    assert_close("rotation", batch[1, 2, 3], one)


def test_unknown_leading_axes_in_a_graph():
    spec = tf.TensorSpec((None, None, 3), tf.float32)
    function = tf.function(
        lambda v: geometry.rotmat_to_rotvec(geometry.rotvec_to_rotmat(v)),
        input_signature=[spec],
        autograph=False,
    )
    vectors = rotvecs(1.0, 6).reshape(2, 3, 3)
    assert_close("rotation", function(vectors), vectors)


def test_half_precision_is_computed_in_float32():
    half = rotvecs(3.0).astype(np.float16)
    matrices = geometry.rotvec_to_rotmat(half)
    assert matrices.dtype == tf.float32
    assert_close("rotation", matrices, matrix(half))


def test_the_two_6d_layouts():
    entries = np.arange(9, dtype=np.float32).reshape(3, 3)
    stacked = geometry.rotmat_to_rot6d_stacked(entries).numpy()
    interleaved = geometry.rotmat_to_rot6d_interleaved(entries).numpy()
    assert stacked.tolist() == [0, 3, 6, 1, 4, 7]
    assert interleaved.tolist() == [0, 1, 3, 4, 6, 7]


@pytest.mark.parametrize("layout", ["stacked", "interleaved"])
def test_6d_there_and_back(layout):
    to = getattr(geometry, f"rotmat_to_rot6d_{layout}")
    back = getattr(geometry, f"rot6d_{layout}_to_rotmat")
    rotations = rotmats(5, 24)
    numbers = to(rotations)
    assert numbers.shape == (5, 24, 6)
    assert_close("rotation", back(numbers), rotations)


@pytest.mark.parametrize("layout", ["stacked", "interleaved"])
def test_6d_of_any_numbers_is_a_rotation_near_their_columns(layout):
    numbers = np.random.default_rng(2).normal(size=(500, 6))
    function = getattr(geometry, f"rot6d_{layout}_to_rotmat")
    rotations = function(numbers.astype(np.float32)).numpy()
    columns = (
        numbers.reshape(-1, 2, 3).transpose(0, 2, 1)
        if layout == "stacked"
        else numbers.reshape(-1, 3, 2)
    )
    assert_close("gram_schmidt", np.linalg.det(rotations), np.ones(500))
    assert_close(
        "gram_schmidt",
        rotations @ rotations.transpose(0, 2, 1),
        np.broadcast_to(np.eye(3), rotations.shape),
    )
    # Gram-Schmidt is a QR factorisation with a positive diagonal: R^T times
    # the columns is upper triangular, and that has only one solution.
    upper = np.einsum("nki,nkj->nij", rotations, columns)
    assert_close("gram_schmidt", upper[:, 1:, 0], np.zeros((500, 2)))
    assert_close("gram_schmidt", upper[:, 2, 1], np.zeros(500))
    assert (np.diagonal(upper, axis1=1, axis2=2)[:, :2] > 0).all()


def test_6d_of_no_direction_stays_finite():
    for numbers in (np.zeros((1, 6)), np.ones((1, 6))):
        numbers = numbers.astype(np.float32)
        for function in (
            geometry.rot6d_stacked_to_rotmat,
            geometry.rot6d_interleaved_to_rotmat,
        ):
            assert np.isfinite(function(numbers)).all()
            assert np.isfinite(jacobian(function, numbers)).all()


def test_geodesic_distance_is_the_angle_between():
    a, b = rotmats(200, seed=3), rotmats(200, seed=4)
    between = Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)
    assert_close(
        "rotation",
        geometry.geodesic_distance(a, b),
        between.magnitude(),
    )


@pytest.mark.parametrize("angle", ANGLES, ids=ANGLE_IDS)
def test_geodesic_distance_and_gradient_of_one_turn(angle):
    vectors = rotvecs(angle, 16)

    def distance(v):
        eye = tf.eye(3, batch_shape=(len(vectors),))
        return geometry.geodesic_distance(eye, geometry.rotvec_to_rotmat(v))

    assert_close("rotation", distance(vectors), np.full(16, np.float32(angle)))
    slope = jacobian(distance, vectors)[:, 0]
    axis = vectors / angle if angle else np.zeros_like(vectors)
    # The distance has a ridge at pi: either slope is one-sidedly right.
    if angle == np.pi:
        axis *= np.sign(np.sum(slope * axis, axis=1, keepdims=True))
    assert_close("rotation_gradient", slope, axis)


def test_geodesic_distance_to_itself_has_a_finite_gradient():
    rotations = rotmats(20)
    slope = jacobian(
        lambda r: geometry.geodesic_distance(r, r), rotations[:, None]
    )
    assert np.isfinite(slope).all()


def test_mirror_negates_y_and_z_and_swaps_sides():
    vectors = np.random.default_rng(5).normal(size=(2, 24, 3))
    vectors = vectors.astype(np.float32)
    mirrored = geometry.mirror_rotmats(geometry.rotvec_to_rotmat(vectors))
    for joint, name in enumerate(joints.SMPL24):
        source = joints.SMPL24.index(joints.mirror_name(name))
        assert_close(
            "rotation",
            mirrored[:, joint],
            matrix(vectors[:, source] * [1, -1, -1]),
        )


def test_mirror_takes_other_joints_by_name():
    names = ("pelvis", "right_index1", "left_index1")
    turns = rotmats(2, 3, seed=9)
    mirrored = geometry.mirror_rotmats(turns, names)
    flip = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
    expected = flip @ np.asarray(turns)[:, [0, 2, 1]] @ flip
    assert_close("exact", mirrored, expected)


def test_mirror_twice_is_the_identity_and_keeps_products():
    a, b = rotmats(2, 24, seed=6), rotmats(2, 24, seed=7)
    mirror = geometry.mirror_rotmats
    assert_close("exact", mirror(mirror(a)), a)
    assert_close("rotation", mirror(a @ b), mirror(a) @ mirror(b))


def test_nearest_rotmat_is_proper_and_nothing_is_nearer():
    noisy = np.random.default_rng(8).normal(size=(100, 3, 3))
    nearest = geometry.nearest_rotmat(noisy)
    assert_close("float64", np.linalg.det(nearest), np.ones(100))
    distance = np.linalg.norm(noisy - nearest, axis=(1, 2))
    for scale in (1e-3, 0.1, 1.0, 3.0):
        turn = Rotation.from_rotvec(rotvecs(scale, 100)).as_matrix()
        perturbed_distance = np.linalg.norm(noisy - nearest @ turn, axis=(1, 2))
        assert (perturbed_distance > distance).all()


def test_nearest_rotmat_leaves_rotations_alone():
    rotations = rotmats(4, 24).astype(np.float64)
    exact = geometry.nearest_rotmat(rotations)
    assert_close("float64", geometry.nearest_rotmat(1.7 * exact), exact)
    assert_close("rotation", exact, rotations)


@pytest.mark.parametrize(
    ("function", "shape", "expected_shape"),
    [
        (geometry.rotvec_to_rotmat, (2, 4), r"\(\.\.\., 3\)"),
        (geometry.rotmat_to_rotvec, (2, 3), r"\(\.\.\., 3, 3\)"),
        (geometry.quat_wxyz_to_rotmat, (3,), r"\(\.\.\., 4\)"),
        (geometry.rot6d_stacked_to_rotmat, (24, 9), r"\(\.\.\., 6\)"),
        (geometry.mirror_rotmats, (23, 3, 3), r"\(\.\.\., 24, 3, 3\)"),
        (geometry.nearest_rotmat, (3, 2), r"\(\.\.\., 3, 3\)"),
    ],
)
def test_a_wrong_shape_is_named(function, shape, expected_shape):
    with pytest.raises(ValueError, match=expected_shape):
        function(np.zeros(shape, np.float32))


def test_nearest_rotmat_refuses_nan():
    with pytest.raises(ValueError, match="finite"):
        geometry.nearest_rotmat(np.full((3, 3), np.nan))
