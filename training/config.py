"""Configuration of experiments: frozen dataclasses, whose fields are flags.

`python -m training.fit NAME --help` explains every field below; tyro reads
the docstrings under the fields.
"""

import dataclasses
from typing import Annotated, Literal

from tf_hmr import config_values, method_config


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random changes of a training example, drawn once per example."""

    scale: Annotated[
        tuple[config_values.Positive, config_values.Positive],
        config_values.Rising(),
    ] = (0.8, 1.23)
    """Range of the uniform scale jitter (akanazawa/hmr: src/config.py)."""
    shift: config_values.NonNegative = 20 / 224
    """Largest shift of the crop centre, as a fraction of the crop's side."""
    rotation_deg: Annotated[float, config_values.Range(0, 180)] = 0.0
    """Standard deviation of the in-plane rotation, cut at twice its size."""
    rotation_probability: config_values.Share = 0.4
    """Share of the examples that are rotated (SPIN: utils/train_options)."""
    flip: config_values.Share = 0.5
    """Share of the examples that are mirrored, with left and right swapped."""
    colour: config_values.Share = 0.0
    """Channel gains are drawn from 1 -/+ this."""
    occlude: config_values.Share = 0.0
    """Share of the examples that get a random rectangle in front."""
    background: config_values.Share = 0.0
    """Share of the examples whose background is replaced, by the mask of the
    record's parts; a record without parts keeps its own."""
    backgrounds: str = ""
    """Folder of pictures without people for that; empty: made-up ones."""
    objects: config_values.Share = 0.0
    """Share of the examples that get an object in front; labels stay, also
    those of what it hides, half of the person at most."""
    object_pictures: str = ""
    """Folder of pictures of objects for that, PNG with alpha if they have a
    shape; empty: made-up ones."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One stream of records in the mix of a batch."""

    records: str = "synthetic"
    """Name of a folder below --records, or a path to a folder of records."""
    share: config_values.Positive = 1.0
    """Share of each batch from this stream; shares are normalised."""
    labels: Literal["all", "2d+parts", "2d", "none"] = "all"
    """'2d' hides the 3D labels and the parts: only the keypoints train;
    '2d+parts' hides the 3D labels alone; 'none' hides all: pictures alone."""
    shards: tuple[config_values.CountOrNone, config_values.Count] = (0, 1)
    """(k, n): read every n-th shard from the k-th; sources stay disjoint."""
    split: str = "train"
    """Split of the folder to read."""
    rules: Literal["", "hmr", "spin"] = ""
    """The --rules that the records must be made by, which select the people
    and give their boxes; a run warns of others. Empty: any."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Records and augmentation of the training batches."""

    sources: tuple[Source, ...] = (Source(),)
    """The streams that a batch is mixed from."""
    batch_size: config_values.Count = 64
    """Images per step, over all devices together."""
    augment: Augment = Augment()
    """Random changes of the training examples."""
    prior: str = "synthetic"
    """Records folder whose prior.npz holds unpaired real poses and shapes;
    empty for none."""
    prior_per_image: config_values.CountOrNone = 3
    """Unpaired poses per image; HMR: one for each regressor iteration."""
    parts: bool = False
    """Adds body part labels, one per pixel, to the training batches."""
    alternate: bool = False
    """Each batch is of one source, and the sources take turns, by their shares;
    otherwise they share each batch. HUND's schedule alternates so."""
    fits: tuple[str, ...] = ()
    """SMPLify fits to start with if method.fits makes labels of them:
    fits-N.npz of another run, or STEM=FILE.npy, SPIN's static fits of
    STEM.npz."""
    seed: Annotated[int, config_values.Range(0, 2**63 - 1)] = 0
    """Seed of order, augmentation and unpaired poses."""
    max_bad_share: config_values.Share = 0.01
    """The run stops when more than this share of the records is broken."""
    warp: Literal["host", "step"] = "host"
    """Place where crops are rotated and resized: 'host' is the processor,
    'step' the training step, for devices that wait for the processor. Images
    differ by one or two gray levels."""
    service: str = ""
    """HOST:PORT of a tf.data service (training.data_service) that makes the
    batches; then their order is not repeatable, and max_bad_share does not
    apply: the workers drop broken records. Empty: this process makes them."""


@dataclasses.dataclass(frozen=True)
class Optim:
    """Optimisers of the network and of its adversary."""

    lr: config_values.NonNegative = 1e-5
    """Learning rate of the encoder and regressor."""
    lr_adversary: config_values.NonNegative = 1e-4
    """Learning rate of the adversary."""
    weight_decay: config_values.NonNegative = 0.0
    """Decoupled weight decay (AdamW); 0 is Adam. HMR's release sets a decay but
    does not apply it."""
    schedule: Literal["constant", "cosine", "sigmoid", "sigmoid_late"] = (
        "constant"
    )
    """'cosine' falls to zero over the stage's steps. 'sigmoid' falls to 1e-4 as
    SMPLR's code has it, by half after a quarter of them; 'sigmoid_late' is that
    of its hourglass, by half after 5/8 of them."""
    warmup_steps: config_values.CountOrNone = 0
    """Steps over which the learning rate rises from zero."""
    clip_norm: config_values.NonNegative = 0.0
    """Largest global gradient norm, after the sum over devices; 0 is off."""
    accumulate: config_values.Count = 1
    """Number of equal parts that each device splits its share of a batch into,
    to need less memory. The gradient is the whole batch's; batch statistics are
    those of a part."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of a training run, with its own optimisers."""

    name: str = "train"
    """Name in the log and on the progress bar."""
    steps: config_values.CountOrNone = 1000
    """Number of optimiser steps."""
    optim: Optim = Optim()
    """Optimisers and schedules of this stage."""
    trainable: tuple[str, ...] = ()
    """Sub-models (attributes of the method) to train; empty trains all. The
    others keep their weights, but their batch statistics still change."""
    part: str = ""
    """A sub-model (attribute of the method) that this stage trains alone, by
    its own terms. If it reads images, it trains on them and the method is
    evaluated; else it trains on the unpaired poses of data.prior, without
    evaluation."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All settings that affect the results of a run."""

    method: method_config.Config
    """The method's own configuration; its class names the method."""
    data: Data = Data()
    """Records, mix, augmentation."""
    steps: config_values.CountOrNone = 1000
    """Optimiser steps of the run (of its only stage)."""
    optim: Optim = Optim()
    """Optimisers of the run (of its only stage)."""
    stages: tuple[Stage, ...] = ()
    """Stages, run in order; empty: one stage of `steps` with `optim`."""
    before: tuple[Stage, ...] = ()
    """Stages before `stages`, for parts that must be trained first."""
    encoder_weights: str = "none"
    """Initial weights of the encoder: 'none' (random), 'imagenet' (downloaded
    once by Keras), or a file of weights, also slim's TF1 checkpoint."""
    precision: Literal["float32", "bfloat16", "auto", "float16"] = "float32"
    """Precision of the network's layers; geometry and losses stay float32.
    'auto' is bfloat16 if the processor multiplies it natively; 'float16' is
    refused with the reason."""
    seed: Annotated[int, config_values.Range(0, 2**32 - 1)] = 0
    """Seed of the initial weights and of dropout."""
    eval_every: config_values.CountOrNone = 0
    """Steps between evaluations on the 'val' split; 0: only at the end."""
    save_every: config_values.CountOrNone = 500
    """Steps between checkpoints."""
    log_every: config_values.CountOrNone = 50
    """Steps between lines of metrics.jsonl and TensorBoard scalars."""
    steps_per_call: config_values.Count = 1
    """Optimiser steps in one call of the compiled graph; more save time if a
    step takes milliseconds. The results are the same."""

    def all_stages(self) -> tuple[Stage, ...]:
        """The stages to run; never empty."""
        run = self.stages or (Stage("train", self.steps, self.optim),)
        return self.before + run

    def stage_at(self, step: int) -> Stage:
        """The stage of step number `step`, counted from 0."""
        stages = self.all_stages()
        for stage in stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return stages[-1]


def check(experiment: Experiment) -> None:
    """Refuses values without a meaning, before anything starts.

    Raises:
        ValueError: names the field, its value and what is expected; or the
            experiment has no step.
    """
    config_values.check(experiment)
    if not any(stage.steps for stage in experiment.all_stages()):
        raise ValueError(
            "steps is 0 in every stage, expected 1 or more in one of them."
        )
