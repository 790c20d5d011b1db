"""HUND's stages without pictures, for claims about the loss over the stages.

The keypoints of labelled people, moved by noise, stand for a detector's; code,
LSTM, losses and their weights over the stages are HUND's. So a run is a minute
or two of one core instead of hours.
"""

import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import joints, metrics
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.methods import _smpl_losses, hund
from tf_hmr.networks import dropout, map_decoder
from training import config
from training.data.pipeline import batches, statistics
from training.engine import step as steps

BATCH = 64
NOISE = 0.025
"""Deviation of the keypoints' noise, in halves of the crop's side: 2.8 px of a
crop of 224."""
_LR, _CLIP, _SIDE = 1e-3, 1.0, 32
# Both halves of Table 4's L_f are errors of the same pose; the skin's points
# would cost half of a step.
_CONFIG = hund.Config(
    image_size=_SIDE,
    encoder="small",
    encoder_width=4,
    map_side=4,
    map_channels=4,
    widths=(),
    embed_keypoints=True,
    head_hidden=256,
    feedback="value",
    prior="none",
    assumed_camera=0.0,
    detector_keypoints=0.0,
    detector_parts=0.0,
    keypoints=2.0,
    parts=0.0,
    betas=0.0,
    vertices=0.0,
    rotmats=2.0,
)


class KeypointDescent(hund.Model):
    """HUND whose detector is the labels, with noise."""

    def __init__(self, config: hund.Config, body: Body):
        """Makes HUND; its encoder and decoder stay unused."""
        super().__init__(config, body)
        self.seeds = keras.random.SeedGenerator(name="keypoint_seed")

    def build_all(self) -> None:
        """Makes the variables of the descent."""
        self(
            {
                "keypoints": tf.zeros((1, len(self.joint_names), 3)),
                "intrinsics": tf.constant([[5.0, 5.0, 0.0, 0.0]]),
            }
        )

    def player_variables(self):
        """Those of the descent."""
        return list(self.regressor.trainable_variables)

    def inputs(self, batch):
        """Labelled keypoints (B, J, 3) and intrinsics (B, 4)."""
        keypoints = _smpl_losses.select(batch["keypoints"], self.joint_names)
        return {"keypoints": keypoints, "intrinsics": batch["intrinsics"]}

    def detect(self, inputs, training=False) -> map_decoder.Detection:
        """The keypoints with noise, which is the same in every evaluation.

        A hidden keypoint is in the crop's middle, with a confidence of 0.
        """
        points = inputs["keypoints"]
        seed = [0, 1]
        if training:
            seed = dropout.next_seed(self.seeds)
        noise = tf.random.stateless_normal(tf.shape(points[..., :2]), seed)
        confidence = tf.cast(points[..., 2] > 0, tf.float32)
        blank = tf.zeros_like(points[:, :1, :1, tf.newaxis])
        return map_decoder.Detection(
            features=blank,
            heatmaps=blank,
            keypoints=(points[..., :2] + NOISE * noise)
            * confidence[..., tf.newaxis],
            confidence=confidence,
            part_logits=blank,
            parts=blank,
        )

    def _intrinsics(self, inputs, training):
        return inputs["intrinsics"]


def measure(
    meta_loss: str, seed: int, count: int, train: str, test: str
) -> dict[str, float]:
    """Trains the stages and measures each.

    Args:
        meta_loss: of hund.Config.
        seed: of weights, noise and order.
        count: steps of BATCH people.
        train: folder of records, whose split "train" is used.
        test: folder of records, whose split "test" is used.

    Returns:
        mpjpe_mm and pa_mpjpe_mm of the last stage, mpjpe_stage_K_mm of every
        stage, best_stage, which has the least MPJPE, parameters, and seconds
        of training, trained_s.
    """
    keras.utils.set_random_seed(seed)
    data = config.Data(
        sources=(config.Source(train),),
        batch_size=BATCH,
        augment=config.Augment(scale=(0.9, 1.12), shift=0.04),
        prior="",
        seed=seed,
    )
    body = Body(BodyData.load("open"), jit=False)
    model = KeypointDescent(
        dataclasses.replace(_CONFIG, meta_loss=meta_loss), body
    )
    model.build_all()
    mean = statistics.start(data, body.data)
    model.initialize_from_mean(*mean)
    stage = config.Stage(
        meta_loss,
        count,
        config.Optim(lr=_LR, schedule="cosine", clip_norm=_CLIP),
    )
    step = steps.Step(tf.distribute.get_strategy(), model, stage)
    dataset = batches.train_dataset(data.sources, data, _SIDE, images=False)
    begin = time.process_time()
    step(iter(dataset.map(_without_text)), count)
    seconds = time.process_time() - begin
    parameters = sum(np.prod(v.shape) for v in model.player_variables())
    return _errors(model, test) | {
        "parameters": float(parameters),
        "trained_s": seconds,
    }


def _without_text(batch):
    return {k: v for k, v in batch.items() if v.dtype != tf.string}


def _errors(model: KeypointDescent, records: str) -> dict[str, float]:
    """Errors of every stage over the test split."""
    rows = list(joints.select(joints.LSP14, of=model.joint_names))
    stored = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
    descend = tf.function(
        lambda inputs: [
            model.project(model.decode(state), inputs["intrinsics"])[0]
            for state in model.stages_of(inputs).states
        ],
        autograph=False,
    )
    mpjpe, aligned = [], []
    source = config.Source(records, split="test")
    for batch in batches.eval_dataset(source, BATCH, _SIDE):
        true = batch["joints3d"].numpy()[:, stored, :3]
        true = metrics.align_root(true, joints.LSP14)
        stages = [
            metrics.align_root(points.numpy()[:, rows], joints.LSP14)
            for points in descend(model.inputs(batch))
        ]
        mpjpe.append([metrics.mpjpe_mm(points, true) for points in stages])
        aligned.append(metrics.pa_mpjpe_mm(stages[-1], true))
    by_stage = np.concatenate(mpjpe, axis=1).mean(axis=1)
    return {
        "mpjpe_mm": float(by_stage[-1]),
        "pa_mpjpe_mm": float(np.concatenate(aligned).mean()),
        "best_stage": float(np.argmin(by_stage)),
        "last_stage": float(len(by_stage) - 1),
    } | {
        f"mpjpe_stage_{number}_mm": float(error)
        for number, error in enumerate(by_stage)
    }
