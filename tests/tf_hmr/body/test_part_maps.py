"""Part maps: the raster's shares, exact gradients, and what they align."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr.body import part_maps
from tf_hmr.geometry import camera, rotations
from training.data.synthetic import people

SIZE, PEOPLE = 48, 10
GAMMA = 0.15


@pytest.fixture(scope="module")
def crowd():
    """People with nobody in front, as they are labelled."""
    settings = people.Settings(size=SIZE, margin=1.2, occluded=0.0)
    crowd = people.People(5, "test", settings)
    examples = list(crowd.examples(0, PEOPLE))
    pose = np.stack([e.pose for e in examples]).reshape(PEOPLE, -1, 3)
    decode = lambda png: cv2.imdecode(  # noqa: E731
        np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED
    )
    box = (0, 0, SIZE, SIZE)
    values = {
        "rotmats": rotations.rotvec_to_rotmat(pose),
        "betas": np.stack([e.betas for e in examples]),
        "translation": np.stack([e.translation for e in examples]),
        "intrinsics": np.stack(
            [camera.crop_intrinsics(e.intrinsics, box) for e in examples]
        ),
    }
    labels = np.stack([decode(e.parts) for e in examples])
    return {k: tf.constant(v, tf.float32) for k, v in values.items()}, labels


@pytest.mark.parametrize(
    ("count", "side", "least_iou", "least_right"),
    [(512, 24, 0.80, 0.82), (1024, 48, 0.88, 0.82)],
)
def test_true_bodies_have_the_rasters_maps(
    body, crowd, count, side, least_iou, least_right
):
    state, labels = crowd
    renderer = part_maps.PartRenderer(body, count, side)
    maps = renderer(**state)
    target = part_maps.of_labels(labels, side, renderer.channels)
    assert maps.shape == target.shape == (PEOPLE, side, side, 15)
    ones = np.ones((PEOPLE, side, side))
    assert_close("loss", tf.reduce_sum(maps, axis=-1), ones)
    assert tf.reduce_mean(part_maps.iou(maps, target)) > least_iou
    truth = np.argmax(target, axis=-1)
    same = np.argmax(maps, axis=-1) == truth
    assert same[truth > 0].mean() > least_right
    empty = tf.one_hot(tf.zeros(ones.shape, tf.int32), renderer.channels)
    error = tf.reduce_mean(part_maps.l1(maps, target))
    assert error < 0.4 * tf.reduce_mean(part_maps.l1(empty, target))
    # Areas add up: the cover is neither dilated nor eroded.
    covered = tf.reduce_sum(maps[..., 1:]) / tf.reduce_sum(target[..., 1:])
    assert abs(covered - 1) < 0.1


def cloud(rng, depth_range: float, dtype) -> dict:
    """Points of 14 parts and a target that is not the truth."""
    counts = np.full(14, 12)
    points = rng.uniform(-0.6, 0.6, (2, counts.sum(), 3))
    points[..., 2] = 3 + rng.uniform(0, depth_range, points.shape[:2])
    normals = rng.normal(size=points.shape)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    values = {"points": points, "normals": normals}
    values["intrinsics"] = np.tile([3.0, 3.1, 0.1, -0.2], (2, 1))
    constants = {"areas": np.full(counts.sum(), 0.01), "counts": counts}
    target = rng.uniform(0, 1, (2, 16, 16, 15))
    tensors = {k: tf.constant(v, dtype) for k, v in values.items()}
    return tensors | constants, tf.constant(target, dtype)


def loss_of(values, target):
    """A smooth loss of all channels."""
    maps = part_maps.draw(**values, side=16, gamma=GAMMA)
    return tf.reduce_sum(tf.square(maps - target))


def moves(rng, shape) -> dict[str, np.ndarray]:
    """Directions in which points are moved."""
    along_depth, one_direction = np.zeros(shape), np.zeros(shape)
    along_depth[..., 2] = rng.normal(size=shape[:2])
    one_direction[..., 2] = 1
    turn = np.cross(rng.normal(size=(1, 1, 3)), rng.normal(size=shape))
    return {
        "any": rng.normal(size=shape),
        "depth": along_depth,
        "rigid depth": one_direction,
        "rigid": np.ones(shape) * [0.6, 0.8, -0.3],
        "rotation": turn,
    }


@pytest.mark.parametrize("depth_range", [0.5, 2.5])
def test_gradients_are_those_of_central_differences(rng, depth_range):
    """Of float32 code against its values in float64; a deep body is cut at
    the least exponent."""
    state = rng.bit_generator.state
    values, target = cloud(rng, depth_range, tf.float32)
    rng.bit_generator.state = state
    exact, exact_target = cloud(rng, depth_range, tf.float64)
    watched = [values["points"], values["normals"]]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss = loss_of(values, target)
    gradients = [g.numpy().astype(float) for g in tape.gradient(loss, watched)]
    step = 1e-6
    for name, direction in moves(rng, exact["points"].shape).items():
        for field, gradient in zip(
            ("points", "normals"), gradients, strict=True
        ):
            ends = [
                loss_of(
                    exact | {field: exact[field] + s * direction}, exact_target
                )
                for s in (-step, step)
            ]
            difference = float(ends[1] - ends[0]) / (2 * step)
            size = np.linalg.norm(gradient) * np.linalg.norm(direction)
            error = abs(np.sum(gradient * direction) - difference)
            assert error < 1e-4 * max(abs(difference), 1e-2 * size), name


TRANSLATIONS = [(40.0, 0, 4), (0.3, -9, 3), (0, 0, -5), (0, 0, 0), (0, 0, 1)]


def test_gradients_are_finite_wherever_a_body_is(body, crowd):
    """Outside of the crop, behind the camera, at it, a metre before it."""
    state, labels = crowd
    count = len(TRANSLATIONS)
    renderer = part_maps.PartRenderer(body, 64, 12)
    target = part_maps.of_labels(labels[:count], 12, renderer.channels)
    variables = [state["rotmats"][:count], state["betas"][:count]]
    variables.append(tf.constant(TRANSLATIONS, tf.float32))
    with tf.GradientTape() as tape:
        tape.watch(variables)
        maps = renderer(*variables, state["intrinsics"][:count])
        loss = tf.reduce_sum(part_maps.l1(maps, target))
    assert np.isfinite(maps).all()
    for gradient in tape.gradient(loss, variables):
        assert np.isfinite(gradient).all()
    # Nothing of the first three is seen.
    assert_close("exact", maps[:3, ..., 1:], np.zeros((3, 12, 12, 14)))


def test_points_at_the_cameras_centre_have_finite_gradients(rng):
    values, target = cloud(rng, 1.0, tf.float32)
    points = values["points"].numpy()
    points[0, 0], points[0, 1, 2], points[1, :, 2] = 0, 0, 0
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        loss = loss_of(values | {"points": points}, target)
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, points)).all()


STARTS = {
    "shifted": (0, 0, 0.2),
    "rolled": (25, 0, 0),
    "turned": (0, 40, 0),
}


def test_descending_the_maps_alone_aligns_bodies(body, crowd):
    """50 steps of Adam with all of pose and place free."""
    state, labels = crowd
    repeats = len(STARTS)
    per_start = PEOPLE // repeats
    state = {
        k: tf.tile(v[:per_start], [repeats] + [1] * (len(v.shape) - 1))
        for k, v in state.items()
    }
    renderer = part_maps.PartRenderer(body)
    target = part_maps.of_labels(
        labels[:per_start], renderer.side, renderer.channels
    )
    target = tf.tile(target, (repeats, 1, 1, 1))
    roll, yaw, shift = np.repeat([*STARTS.values()], per_start, axis=0).T
    sign = np.where(np.arange(repeats * per_start) % 2, 1.0, -1.0)
    turn = np.deg2rad(np.stack([0 * roll, sign * yaw, sign * roll], axis=1))
    angle = np.linspace(0, 6, repeats * per_start)
    shift = shift * np.stack([np.cos(angle), np.sin(angle), 0 * angle])
    roots = rotations.rotvec_to_rotmat(tf.constant(turn, tf.float32))
    roots = roots[:, None] @ state["rotmats"][:, :1]
    first = tf.concat([roots, state["rotmats"][:, 1:]], axis=1)
    before = state["translation"] + tf.constant(shift.T, tf.float32)
    pose = tf.Variable(tf.zeros(first.shape[:3]))
    offset = tf.Variable(tf.zeros(before.shape))
    optimizer = tf.keras.optimizers.Adam(0.03)
    optimizer.build([pose, offset])

    def body_at():
        change = rotations.rotvec_to_rotmat(pose)
        rotmats = tf.concat(
            [change[:, :1] @ first[:, :1], first[:, 1:] @ change[:, 1:]], axis=1
        )
        depth = before[:, 2:] * tf.exp(offset[:, 2:])
        return rotmats, tf.concat(
            [before[:, :2] + offset[:, :2], depth], axis=1
        )

    def projected(rotmats, translation):
        points, _ = body.keypoints(rotmats, state["betas"])
        points = points + translation[:, None]
        return camera.project_in_crop(points, state["intrinsics"])

    true = projected(state["rotmats"], state["translation"])

    def errors_px():
        distances = tf.norm(projected(*body_at()) - true, axis=-1)
        return 112 * distances.numpy().reshape(repeats, -1).mean(axis=1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            rotmats, translation = body_at()
            maps = renderer(
                rotmats, state["betas"], translation, state["intrinsics"]
            )
            bent = 0.02 * tf.reduce_sum(tf.square(pose[:, 1:]))
            loss = tf.reduce_sum(part_maps.l1(maps, target)) + bent
        optimizer.apply(tape.gradient(loss, [pose, offset]), [pose, offset])

    assert (errors_px() > 9).all()
    for _ in range(50):
        step()
    assert (errors_px() < 5).all()


def test_labels_are_shares_of_cells(rng):
    labels = rng.integers(0, 4, (2, 12, 12))
    shares = part_maps.of_labels(tf.constant(labels), 4, 5).numpy()
    for index in np.ndindex(2, 4, 4):
        block = labels[index[0]][
            3 * index[1] : 3 * index[1] + 3, 3 * index[2] : 3 * index[2] + 3
        ]
        expected = np.bincount(block.ravel(), minlength=5) / 9
        assert_close("relative_float32", shares[index], expected)
    coarse = part_maps.of_labels(tf.constant(labels), 2, 5)
    assert_close("loss", part_maps.resized(tf.constant(shares), 2), coarse)
    assert_close("exact", part_maps.resized(tf.constant(shares), 4), shares)
    with pytest.raises(ValueError, match="12 x 12 do not divide into 5 x 5"):
        part_maps.of_labels(tf.constant(labels), 5, 5)
    with pytest.raises(ValueError, match="Choose a side that divides 4"):
        part_maps.resized(tf.constant(shares), 3)


def test_l1_and_iou_by_hand():
    maps = np.zeros((1, 2, 2, 3), np.float32)
    maps[..., 0], target = 1, maps.copy()
    target[..., 0] = 1
    target[0, 0, 0] = (0, 1, 0)
    maps[0, 0] = (0.4, 0.6, 0)
    assert_close(
        "relative_float32", part_maps.l1(maps, target), [(0.8 + 1.2) / 4]
    )
    assert_close("relative_float32", part_maps.iou(maps, target), [0.5])
