"""SMPLR with a female and a male body: the sign of its gender chooses."""

import numpy as np
import pytest
import tensorflow as tf

from edge.conversion import tflite
from tests.support import smplr_people, two_bodies
from tests.support.closeness import assert_close
from tf_hmr import method
from tf_hmr.body import pairs
from tf_hmr.body.model import Body
from training.evaluation import ground_truth


@pytest.fixture(scope="module")
def model(body_data):
    data = two_bodies.pair(body_data)
    body = pairs.make(data, lambda one: Body(one, jit=False))
    return method.create("smplr", body, scale="learned", **smplr_people.SMALL)


def say(model, gender: float) -> None:
    """Has Psi answer this gender for everybody."""
    *_, kernel, bias = model.regressor.shape.trainable_variables
    kernel.assign(np.pad(kernel.numpy()[:, :-1], ((0, 0), (0, 1))))
    bias.assign(np.append(bias.numpy()[:-1], gender))


@pytest.mark.parametrize("gender", [-1.0, 1.0])
def test_the_predicted_gender_chooses_the_body(model, body_data, rng, gender):
    say(model, gender)
    image = rng.integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    prediction = model({"image": image})
    assert_close("exact", prediction.betas[:, 10], [gender, gender])
    data = two_bodies.male(body_data) if gender > 0 else body_data
    mesh = Body(data, jit=False)(prediction.rotmats, prediction.betas[:, :10])
    assert_close("body_metres", prediction.vertices, mesh.vertices)
    # An export's body is posed by other operators.
    edge = tflite.edge_form(model)({"image": image[:1]})
    assert_close("tflite_metres", edge.vertices[0], prediction.vertices[0])
    assert "second of" in model.notes[0]


def terms_of(model, batch) -> dict[str, np.ndarray]:
    prediction = model(model.inputs(batch), training=True)
    return {
        name: term.total.numpy() / np.maximum(term.count, 1)
        for name, term in model.terms(batch, prediction).items()
    }


def test_losses_take_the_body_of_the_label(model, rng):
    batch, _ = smplr_people.photographed(model, rng)
    batch["gender"] = tf.constant([-1.0, 1.0, -1.0, 1.0])
    say(model, -1.0)
    before = terms_of(model, batch)
    say(model, 1.0)
    after = terms_of(model, batch)
    assert_close("exact", after["smpl"], before["smpl"])
    prediction = model(model.inputs(batch), training=True)
    betas = prediction.betas[:, :10]
    own, _ = model.points(
        prediction.intermediate["matrices"],
        model.points.shape(betas, batch["gender"]),
    )
    error = np.abs(own - model.encoder.truth(batch).points)
    assert_close("body_metres", before["smpl"], error.mean(axis=(1, 2)))


def test_a_label_without_gender_teaches_nothing(model, rng):
    batch, _ = smplr_people.photographed(model, rng)
    batch["gender"] = tf.constant([0.0, 1.0, -1.0, 1.0])
    has_camera = model.encoder.truth(batch | {"gender": tf.ones(4)}).labelled
    flags = model.encoder.truth(batch).labelled
    assert_close("exact", flags, has_camera * [0.0, 1.0, 1.0, 1.0])
    bodies = [batch[n] for n in ("rotmats", "betas", "gender")]
    sample = model.pose_smpl.sampler(*bodies)
    assert_close("exact", sample.labelled, [0.0, 1.0, 1.0, 1.0])
    _, _, points = model.pose_smpl(bodies)
    own, _ = model.points(
        sample.rotmats, model.points.shape(sample.betas, sample.gender)
    )
    assert_close("body_metres", sample.points, own)
    assert points.shape == sample.points.shape


def test_labels_of_each_gender_are_measured_on_its_body(model, body_data):
    bodies = ground_truth.TrueBodies(model.body)
    assert bodies("female") is model.body.female
    assert bodies("male") is model.body.male
    assert bodies("neutral") is model.body
