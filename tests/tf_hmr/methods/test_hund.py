"""HUND: the paper's sizes, losses over the stages, and what teaches what."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.label_batches import make_batch
from tf_hmr import method
from tf_hmr.geometry import camera
from tf_hmr.methods import _hund_losses, _hund_terms, hund
from tf_hmr.networks import encoders, map_decoder, recurrent_descent

SMALL = {
    "image_size": 64,
    "encoder": "small",
    "encoder_width": 8,
    "map_side": 16,
    "map_channels": 8,
    "widths": (8, 8),
    "part_side": 8,
    "part_points": 64,
    "skin_points": 64,
    "flow_couplings": 2,
    "flow_hidden": 8,
    "assumed_camera": 0.0,
}
META = ("last", "sum", "min", "max", "oi")


def labelled_batch(rng, **options):
    """Random labels, parts too; by default half have 3D labels."""
    batch = make_batch(rng, **options)
    count = len(batch["image"])
    parts = rng.integers(0, 15, (count, 64, 64)).astype(np.uint8)
    return batch | {
        "parts": tf.constant(parts),
        "has_parts": tf.constant([1.0, 0.0] * (count // 2)),
    }


def scatter(model) -> None:
    """Moves all weights, so that stages and pictures differ."""
    rng = np.random.default_rng(4)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.05, variable.shape))


def create(body, **values):
    model = method.create("hund", body, **(SMALL | values))
    scatter(model)
    return model


@pytest.fixture(scope="module")
def small(body):
    return create(body)


@pytest.fixture(scope="module")
def free(body):
    """Without a prior and without part maps."""
    return create(body, prior="none", parts=0.0)


def count(variables) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


def total(terms) -> tf.Tensor:
    return tf.add_n(
        [
            term.weight
            * tf.reduce_sum(term.total)
            / tf.maximum(tf.reduce_sum(term.count), 1.0)
            for term in terms.values()
        ]
    )


@pytest.mark.parametrize(
    ("num_keypoints", "parameters"), [(137, 941_650), (19, 907_666)]
)
def test_the_descent_has_the_papers_parameters(num_keypoints, parameters):
    """525 k of the LSTM, 950 k of all but the detector; without the prior."""
    config = hund.Config()
    descent = recurrent_descent.Descent(
        recurrent_descent.Options(
            *(config.stages, config.units, config.numbers, config.widths),
            *(config.embed_keypoints, config.head_hidden, config.initial),
            value=True,
        ),
        np.zeros(24 * 6 + 10 + 3),
    )
    maps = [
        tf.zeros((1, config.map_side, config.map_side, channels))
        for channels in (config.map_channels, num_keypoints, 15)
    ]
    context = descent.embed(map_decoder.read(*maps), tf.ones((1, 4)))
    state = descent.first_state(context)
    descent.refine(
        context, state, descent.first_memory(context), tf.zeros((1, 1))
    )
    assert count(descent.cell.trainable_variables) == 525_312
    assert count(descent.trainable_variables) == parameters


def test_the_detector_has_34_million_parameters():
    config = hund.Config()
    encoder = encoders.build(config.encoder, config.image_size)
    decoder = map_decoder.build(
        encoder.output, *(config.encoder, config.map_side), 256, 137, 14
    )
    parameters = count(encoder.trainable_variables) + count(decoder.variables)
    assert parameters == 34_166_488 == pytest.approx(34e6, rel=0.02)


LOSSES = np.array(
    [[5, 5, 5], [4, 6, 3], [6, 3, 3.5], [2, 4, 2], [3, 7, 1], [2.5, 2, 8]]
)
"""Of s_0 and five stages, of three examples."""


def literal(kind: str, losses: np.ndarray) -> np.ndarray:
    """Eq. 7 and 8, (3,); of `oi` the best loss so far is that of LOSSES."""
    if kind == "oi":
        best = np.minimum.accumulate(LOSSES)[:-1]
        return np.minimum(losses[1:] - best, 0).sum(axis=0)
    reductions = {"last": lambda x, axis: x[-1]}
    reductions |= {"sum": np.sum, "min": np.min, "max": np.max}
    return reductions[kind](losses[1:], axis=0)


@pytest.mark.parametrize("kind", META)
def test_weights_of_stages_give_the_gradient_of_the_papers_loss(kind):
    """By a small step of each loss alone, which changes no order."""
    weights = _hund_losses.meta_weights(
        kind, tf.constant(LOSSES, tf.float32)
    ).numpy()
    for stage in range(len(LOSSES)):
        increased = LOSSES.copy()
        increased[stage] += 0.01
        slope = (literal(kind, increased) - literal(kind, LOSSES)) / 0.01
        assert_close("loss", weights[stage], slope)
    assert not weights[0].any()


def test_observable_improvement_never_pushes_the_first_state():
    """To the letter its gradient would raise the loss of s_0."""
    weights = _hund_losses.meta_weights(
        "oi", tf.constant(LOSSES, tf.float32)
    ).numpy()
    assert (weights >= 0).all() and not weights[0].any()
    # Of the first example stages 1 and 3 are better than all before.
    assert weights[:, 0].tolist() == [0, 1, 0, 1, 0, 0]


def test_terms_stay_apart_and_sum_to_the_stages_loss(free, rng):
    """With `sum`, each term is the sum of its value at every stage."""
    batch = labelled_batch(rng)
    sum_model = create(free.body, prior="none", parts=0.0, meta_loss="sum")
    prediction = sum_model(sum_model.inputs(batch), training=True)
    terms = sum_model.terms(batch, prediction)
    assert set(terms) == {
        *("keypoints", "betas", "joints_3d", "vertices"),
        *("detector_keypoints", "detector_parts"),
    }
    stages = sum_model.stages_of(sum_model.inputs(batch), training=True)
    expected = 0.0
    for state in stages.states[1:]:
        estimate = sum_model.decode(state)
        _, points = sum_model.project(estimate, stages.intrinsics)
        offsets = points - stages.detection.keypoints
        expected += np.linalg.norm(offsets, axis=-1).mean(axis=-1)
    assert_close("loss", terms["keypoints"].total, expected)
    # Labels count once, however many stages there are.
    assert_close("exact", terms["keypoints"].count, np.ones(4))


def units_of(model, batch):
    """Unit losses of every state."""
    prediction = model(model.inputs(batch), training=True)
    arguments = (model, batch, prediction.intermediate)
    return _hund_terms.of_alignment(*arguments) | _hund_terms.of_labels(
        *arguments
    )


def test_each_half_of_a_batch_has_its_own_terms(body, rng):
    """For every meta-loss; so two devices have the gradient of one."""
    model = create(body, meta_loss="sum", stages=2)
    batch = labelled_batch(rng)
    model.trainable = False  # Batch statistics would join the halves.
    units = units_of(model, batch)
    halves = [
        units_of(model, {name: values[rows] for name, values in batch.items()})
        for rows in (slice(0, 2), slice(2, 4))
    ]
    assert len(units) == 6
    for kind in META:
        together = _hund_losses.over_stages(kind, units)
        terms = [_hund_losses.over_stages(kind, half) for half in halves]
        for name, term in together.items():
            for field in ("total", "count"):
                parts = [getattr(half[name], field) for half in terms]
                expected = tf.concat(parts, axis=0)
                assert_close("loss", getattr(term, field), expected)


def reached(model, names, rng) -> dict[str, bool]:
    """Which layers the gradients of these terms reach."""
    batch = labelled_batch(rng)
    layers = ("encoder", "decoder", "regressor")
    with tf.GradientTape() as tape:
        prediction = model(model.inputs(batch), training=True)
        terms = model.terms(batch, prediction)
        loss = total({n: t for n, t in terms.items() if names(n)})
    gradients = tape.gradient(
        loss, [getattr(model, layer).trainable_variables for layer in layers]
    )
    return {
        layer: any(g is not None for g in of_layer)
        for layer, of_layer in zip(layers, gradients, strict=True)
    }


def test_labels_in_the_picture_alone_teach_the_detector(small, rng):
    of_body = reached(small, lambda name: "detector" not in name, rng)
    assert of_body == {"encoder": False, "decoder": False, "regressor": True}
    of_detector = reached(small, lambda name: "detector" in name, rng)
    assert of_detector == {"encoder": True, "decoder": True, "regressor": False}


def test_end_to_end_the_body_teaches_it_too(body, rng):
    model = create(body, prior="none", parts=0.0, end_to_end=True)
    of_body = reached(model, lambda name: name == "joints_3d", rng)
    assert of_body == {"encoder": True, "decoder": True, "regressor": True}


def test_no_gradient_flows_through_what_stages_are_told(body, rng):
    model = create(body, prior="none", feedback="residuals")
    stages = model.stages_of(model.inputs(labelled_batch(rng)))
    state = stages.states[0]
    with tf.GradientTape() as tape:
        tape.watch(state)
        feedback = model._feedback(state, stages.detection, stages.intrinsics)
    assert tape.gradient(feedback, state) is None
    # The value, and each keypoint's offset from the detector's.
    assert feedback.shape == (4, 1 + 2 * len(model.joint_names))
    value = model.alignment(state, stages.detection, stages.intrinsics)
    assert_close("loss", feedback[:, 0], np.log1p(value))
    _, points = model.project(model.decode(state), stages.intrinsics)
    offsets = np.clip(points - stages.detection.keypoints, -0.5, 0.5)
    assert_close("loss", feedback[:, 1:], 10 * offsets.reshape(4, -1))


def test_the_prior_is_frozen_and_judges_unlabelled_poses(small, rng):
    mine = {id(v) for v in small.player_variables()}
    prior = small.pose_prior.trainable_variables
    assert prior and not mine & {id(v) for v in prior}
    batch = labelled_batch(rng)
    prediction = small(small.inputs(batch), training=True)
    latent = small.terms(batch, prediction)["latent"]
    assert_close("exact", latent.count, [0, 0, 1, 1])
    expected = np.square(prediction.intermediate["latent"]).mean(axis=-1)
    assert_close("loss", latent.total, expected * [0, 0, 1, 1])


def test_pictures_without_3d_labels_have_the_alignment_alone(small, rng):
    batch = labelled_batch(rng, labelled=(0, 0, 0, 0))
    terms = small.terms(batch, small(small.inputs(batch), training=True))
    for name in ("joints_3d", "vertices"):
        assert not terms[name].count.numpy().any(), name
    for name in ("keypoints", "parts", "latent", "betas"):
        assert terms[name].count.numpy().all(), name


def test_the_root_is_seen_where_the_state_puts_it(free):
    """In perspective, s t, whatever the crop's camera is."""
    state = free.layout.encode()[None].astype(np.float32)
    estimate = free.decode(tf.constant(state))
    assert_close("loss", estimate.camera, [[0.9, 0.0, 0.0]])
    shifted = estimate._replace(camera=tf.constant([[0.8, 0.2, -0.1]]))
    for intrinsics in ([[5.0, 5.0, 0, 0]], [[2.0, 2.0, -0.7, 0.4]]):
        shift = camera.crop_translation(shifted.camera, np.float32(intrinsics))
        point = camera.project_in_crop(
            shift[:, None], tf.constant(intrinsics, tf.float32)
        )
        assert_close("loss", point[0, 0], [0.16, -0.08])


def test_a_share_of_the_pictures_has_an_assumed_camera(body, rng):
    model = create(body, prior="none", parts=0.0, assumed_camera=0.25)
    count = 4000
    focal = rng.uniform(1, 6, (count, 1))
    intrinsics = tf.constant(
        np.concatenate([focal, focal, 0.1 * focal, focal], 1), tf.float32
    )
    inputs = {"image": tf.zeros((count, 1, 1, 3)), "intrinsics": intrinsics}
    actual = model._intrinsics(inputs, training=True).numpy()
    assumed = (actual == camera.ASSUMED_CROP_INTRINSICS).all(axis=1)
    # Three standard deviations of a share of 4,000.
    assert assumed.mean() == pytest.approx(0.25, abs=0.02)
    assert_close("exact", actual[~assumed], intrinsics.numpy()[~assumed])
    assert_close("exact", model._intrinsics(inputs, False), intrinsics)


def test_without_stages_the_first_state_is_the_answer(body, rng):
    model = create(body, prior="none", stages=0, head_hidden=12)
    batch = labelled_batch(rng)
    stages = model.stages_of(model.inputs(batch))
    assert len(stages.states) == 1 and model.regressor.cell is None
    prediction = model(model.inputs(batch), training=True)
    assert "joints_3d" in model.terms(batch, prediction)


def test_the_mean_is_the_first_state_of_all(body, rng):
    model = create(body, initial="mean")
    mean_rotmats = np.tile(np.eye(3), (24, 1, 1))
    model.initialize_from_mean(mean_rotmats, np.full(10, 0.5))
    stages = model.stages_of(model.inputs(labelled_batch(rng)))
    estimate = model.decode(stages.states[0])
    assert_close("rotation", estimate.rotmats[:, 0], mean_rotmats[:4])
    assert_close("exact", estimate.betas, np.full((4, 10), 0.5, np.float32))
    # With a prior the pose is its middle, whatever the mean is.
    assert_close("exact", estimate.latent, np.zeros((4, 69)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"numbers": 100}, r"numbers=100: the state has 157.*1\d\d or more"),
        ({"map_side": 15}, r"map_side=15.*side 4.*4, 8, 16, 32"),
        ({"part_side": 5}, r"part_side=5 does not divide map_side=16"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(body, values, message):
    with pytest.raises(ValueError, match=message):
        method.create("hund", body, **(SMALL | {"prior": "none"} | values))


def test_data_that_teach_no_detector_are_refused(free, small):
    with pytest.raises(ValueError, match=r"teaches the detector.*2d\+parts"):
        free.check_labels({"none"}, True)
    with pytest.raises(ValueError, match=r"data\.parts=True.*method\.parts=0"):
        small.check_labels({"all"}, False)
    with pytest.raises(ValueError, match=r"teaches it parts"):
        small.check_labels({"2d", "none"}, True)
    small.check_labels({"all", "none"}, True)
    free.check_labels({"2d"}, False)
