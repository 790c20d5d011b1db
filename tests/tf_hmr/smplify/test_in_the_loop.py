"""SMPLify in the loop, of a made-up encoder: two devices keep one's fits."""

import contextlib
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import keeper_method, processes, toy_method
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, rotations
from tf_hmr.methods import _theta
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import in_the_loop, priors
from training import config
from training.data.pipeline import augment
from training.engine import devices, fit_store, loop

PEOPLE = 7  # Fewer than a batch has rows: one is in both halves of it.
TRUE, REVERSED = 0, 1  # Have fits to begin with.
LABELLED = 2
CAMERA = (0.8, 0.1, 0.2)


class Fitted(toy_method.Model):
    """Poses from two numbers; the labels of most are fits."""

    keeps_fits = True

    def __init__(self, settings, body):
        super().__init__(settings, body)
        self.adversary = None
        self.fitting = in_the_loop.FitTargets(body, "", 3)
        # XLA would take half a minute.
        self.fitting.fitter = smplify.Fitter(
            body.data,
            priors.load(None),
            self.fitting.fitter.schedule,
            jit=False,
        )

    def build_all(self):
        self(tf.zeros((1, 2)))

    def call(self, x, training=False):
        numbers = self.second(self.first(x))
        turns = tf.pad(0.1 * numbers[:, None], [[0, 0], [0, 23], [1, 0]])
        rotmats = rotations.rotvec_to_rotmat(turns)
        upright = tf.constant(_theta.upright_rotmats(self.body))
        rotmats = upright @ rotmats
        betas = tf.pad(0.1 * numbers, [[0, 0], [0, 8]])
        weak_camera = tf.ones_like(numbers[:, :1]) * CAMERA
        return methods.Prediction(
            rotmats, betas, weak_camera, numbers, numbers, None
        )

    def targets(self, batch, prediction, fits):
        return self.fitting(batch, prediction, fits)

    def terms(self, batch, prediction):
        error = tf.square(prediction.rotmats - batch["rotmats"])
        total = batch["has_pose"] * tf.reduce_sum(error, (1, 2, 3))
        return {"rotmats": methods.Term(total, batch["has_pose"], 1.0)}

    def adversary_terms(self, batch, prediction):
        return {}


def people(body):
    """Rotations, betas and keypoints in ndc of PEOPLE bodies."""
    rng = np.random.default_rng(4)
    turns = tf.constant(rng.normal(0, 0.2, (PEOPLE, 24, 3)), tf.float32)
    rotmats = _theta.upright_rotmats(body) @ rotations.rotvec_to_rotmat(turns)
    betas = tf.constant(rng.normal(size=(PEOPLE, 10)), tf.float32)
    full_body = Body(body.data, joints.KEYPOINTS, jit=False)
    points, _ = full_body.keypoints(rotmats, betas)
    side, focal = in_the_loop.SIDE, in_the_loop.FOCAL
    weak_camera = tf.constant([CAMERA])
    points += camera.weak_to_translation(weak_camera, focal, side)[:, None]
    ndc = camera.project_perspective(points, 2 * focal / side, (0.0, 0.0))
    ones = tf.ones_like(ndc[..., :1])
    return rotmats, betas, tf.concat([ndc, ones], axis=2)


def make_dataset(body):
    """test_fits_in_loop's batches, with what is seen in each crop."""
    rotmats, betas, keypoints = people(body)

    def see(batch):
        key, count = batch["example_key"], batch["flip"].shape[0]
        augmentation = augment.identity(count)._replace(
            flip=batch["flip"], rotation_rad=batch["rotation_rad"]
        )
        # The box whose pixels are ndc.
        to_ndc = augment.image_to_ndc(
            augmentation, tf.constant([[-0.5, -0.5, 2.0, 2.0]] * count)
        )
        labelled = tf.cast(key == LABELLED, tf.float32)
        return batch | {
            "keypoints": augment.keypoints(
                augmentation, to_ndc, tf.gather(keypoints, key)
            ),
            "rotmats": augment.rotmats(augmentation, tf.gather(rotmats, key)),
            "betas": tf.gather(betas, key),
            "has_pose": labelled,
            "has_betas": labelled,
        }

    plain = keeper_method.make_dataset()
    see = tf.autograph.experimental.do_not_convert(see)
    return lambda step, context: plain(step, context).map(see)


def start(folder, body):
    """Writes fits to begin with: one is the truth, and one far from it."""
    rotmats, betas, _ = people(body)
    pose = np.reshape(rotations.rotmat_to_rotvec(rotmats), (PEOPLE, 72))
    rows = np.concatenate([pose, betas], axis=1)[[TRUE, REVERSED]]
    rows[REVERSED, :3] = 0  # With the back to the camera.
    store = fit_store.FitStore()
    store.update(np.array([TRUE, REVERSED]), rows)
    store.save(folder, 0)


@contextlib.contextmanager
def as_traced():
    """Graphs as they are: to optimise them takes longer than to run them."""
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )
    yield
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": False}
    )


def train_here(folder: str, device: str) -> None:
    """What each process runs."""
    strategy = devices.strategy(device)
    keras.utils.set_random_seed(3)
    loaded = BodyData.load("open")
    body = Body(loaded, jit=False)
    with strategy.scope():
        model = Fitted(toy_method.Config(width=4), body)
        model.build_all()
    experiment = dataclasses.replace(
        toy_method.EXPERIMENT,
        stages=(config.Stage("one", 6, config.Optim(lr=1e-2)),),
        save_every=3,
        data=config.Data(
            batch_size=8,
            fits=(str(fit_store.path_of(Path(folder).parent, 0)),),
        ),
    )
    batches = make_dataset(body)
    with as_traced():
        loop.train(experiment, model, strategy, batches, None, Path(folder))


def test_scores_with_detections_are_over_spins_keypoints(body):
    """Its 49; a person in whom OpenPose found nothing has the body's own."""

    class Measured:
        schedule = smplify.SPIN

        def joint_losses(
            self, parameters, keypoints, focal, centre, detections
        ):
            count = 29 if detections is None else 29 + 25
            return tf.ones((len(keypoints), count)) * [[98.0], [0.0]]

    fitting = in_the_loop.FitTargets.__new__(in_the_loop.FitTargets)
    fitting.body, fitting.steps, fitting.fitter = body, 0, Measured()
    rotmats, betas, keypoints = (part[:2] for part in people(body))
    detections = np.zeros((2, 25, 3), np.float32)
    batch = {
        "keypoints": keypoints,
        "rotmats": rotmats,
        "betas": betas,
        "has_pose": tf.zeros(2),
        "has_betas": tf.zeros(2),
    }
    fits = methods.Fits(rotmats, betas, tf.ones(2))
    valid = []
    for confidence in (None, 0.0, 0.3):
        if confidence is not None:
            detections[0, 3, 2] = confidence
            batch["openpose"] = tf.constant(detections)
        valid.append(fitting(batch, None, fits)["fits_valid"].numpy().tolist())
    # 29 * 98 / 29 and 54 * 98 / 29, or 54 * 98 / 49, against 100.
    assert valid == [[1, 1], [0, 1], [0, 1]]
    score = in_the_loop._score(tf.ones((2, 54)), tf.constant(detections))
    np.testing.assert_allclose(score, [54 / 49, 54 / 29], rtol=1e-6)


@pytest.mark.processes
def test_two_devices_keep_what_one_does(tmp_path, body):
    """A fit is as close as a loss: three steps of Adam move it by 0.03."""
    start(tmp_path, body)
    two = processes.start(tmp_path / "two", "cpu:2", function=train_here)
    train_here(str(tmp_path / "one"), "cpu:1")
    _, error = two.communicate(timeout=300)
    assert two.returncode == 0, error[-2000:]
    one, two = (toy_method.losses(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        names = [k for k in a if k not in ("step", "kind")]
        assert_close("loss", [b[k] for k in names], [a[k] for k in names])
    totals = {
        name: sum(line[f"fits_{name}"] for line in one)
        for name in ("wanted", "valid", "better")
    }
    assert 0 < totals["valid"] < totals["wanted"] and 0 < totals["better"]
    for step in (3, 6):
        one_fits, two_fits = (
            keeper_method.kept(tmp_path / name, step) for name in ("one", "two")
        )
        assert one_fits.keys() == two_fits.keys()
        for key, fit in one_fits.items():
            assert_close("loss", two_fits[key], fit)
    begun = keeper_method.kept(tmp_path, 0)
    assert two_fits.keys() == set(range(PEOPLE)) - {LABELLED}
    assert_close("exact", two_fits[TRUE], begun[TRUE])
    assert np.abs(two_fits[REVERSED] - begun[REVERSED]).max() > 1
