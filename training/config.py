"""What an experiment is: frozen dataclasses; the command line is their fields.

`python -m training.fit NAME --help` explains every field below; tyro reads
the docstrings under the fields.
"""

import dataclasses
from typing import Literal

from tf_hmr import method


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random changes of a training example, drawn once per example."""

    scale: tuple[float, float] = (0.8, 1.23)
    """Range of the uniform scale jitter (akanazawa/hmr: src/config.py)."""
    shift: float = 20 / 224
    """Largest shift of the crop centre, as a fraction of the crop's side."""
    rotation_deg: float = 0.0
    """Standard deviation of the in-plane rotation, cut at twice its size."""
    rotation_probability: float = 0.4
    """Share of the examples that are rotated (SPIN: utils/train_options)."""
    flip: float = 0.5
    """Share of the examples that are mirrored, with left and right swapped."""
    colour: float = 0.0
    """Channel gains are drawn from 1 -/+ this."""
    occlude: float = 0.0
    """Share of the examples that get a random rectangle in front."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One stream of records in the mix of a batch."""

    records: str = "synthetic"
    """Name of a folder below --records, or a path to a folder of records."""
    share: float = 1.0
    """Share of each batch that comes from here; shares are normalised."""
    labels: Literal["all", "2d"] = "all"
    """'2d' hides the 3D labels: the example trains by its keypoints alone."""
    shards: tuple[int, int] = (0, 1)
    """(k, n): read every n-th shard from the k-th; sources stay disjoint."""
    split: str = "train"
    """Which split of the folder to read."""


@dataclasses.dataclass(frozen=True)
class Data:
    """What the batches are made of."""

    sources: tuple[Source, ...] = (Source(),)
    """The streams that a batch is mixed from."""
    batch_size: int = 64
    """Images per step, over all devices together."""
    augment: Augment = Augment()
    """Random changes of the training examples."""
    prior: str = "synthetic"
    """Records folder whose prior.npz holds unpaired real poses and shapes;
    empty for none."""
    prior_per_image: int = 3
    """Unpaired poses per image; HMR: one for each regressor iteration."""
    parts: bool = False
    """Adds body part labels, one per pixel, to the training batches."""
    fits: tuple[str, ...] = ()
    """Fits to begin with, where method.fits makes labels of them: fits-N.npz
    of another run, or STEM=FILE.npy, SPIN's static fits of STEM.npz."""
    seed: int = 0
    """Seed of order, augmentation and unpaired poses."""
    max_bad_share: float = 0.01
    """The run stops when more than this share of the records is broken."""
    warp: Literal["host", "step"] = "host"
    """Where crops are turned and resized: on the processor, or, for a device
    that waits for it, in the step; pictures differ by a gray level or two."""
    service: str = ""
    """HOST:PORT of a tf.data service (training.data_service) that makes the
    batches; then their order cannot be repeated, and max_bad_share does not
    hold: the workers drop broken records. Empty: this process does."""


@dataclasses.dataclass(frozen=True)
class Optim:
    """The optimisers of both players."""

    lr: float = 1e-5
    """Learning rate of the encoder and regressor."""
    lr_adversary: float = 1e-4
    """Learning rate of the adversary."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW); 0 is Adam. HMR's was inert: 0."""
    schedule: Literal["constant", "cosine"] = "constant"
    """'cosine' falls to zero over the stage's steps."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from zero."""
    clip_norm: float = 0.0
    """Largest global gradient norm, after the sum over devices; 0 is off."""
    accumulate: int = 1
    """Equal parts that each device takes its share of a batch in, one after
    the other, to need less memory. The gradient is the whole batch's; batch
    statistics are a part's."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of a training run, with optimisers of its own."""

    name: str = "train"
    """Name in the log and on the progress bar."""
    steps: int = 1000
    """Number of optimiser steps."""
    optim: Optim = Optim()
    """Optimisers and schedules of this stage."""
    trainable: tuple[str, ...] = ()
    """Sub-models (attributes of the method) to train; empty trains all. The
    others keep their weights, but their batch statistics still move."""
    part: str = ""
    """A sub-model (attribute of the method) that this stage trains alone, by
    its own terms: on images, where it sees some, and the method is measured
    meanwhile; else on the unpaired poses of data.prior, and it is not."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that changes the science of a run."""

    method: method.Config
    """The method's own configuration; its class names the method."""
    data: Data = Data()
    """Records, mix, augmentation."""
    steps: int = 1000
    """Optimiser steps of the run (of its only stage)."""
    optim: Optim = Optim()
    """Optimisers of the run (of its only stage)."""
    stages: tuple[Stage, ...] = ()
    """Stages, run in order; empty: one stage of `steps` with `optim`."""
    before: tuple[Stage, ...] = ()
    """Stages ahead of these, for what the method needs learnt first."""
    encoder_weights: str = "none"
    """Where the encoder starts: 'none' (random), 'imagenet' (downloaded once
    by Keras), or a file of weights, also slim's TF1 checkpoint."""
    precision: Literal["float32", "bfloat16", "auto", "float16"] = "float32"
    """Of the network's layers; geometry and losses stay float32. 'auto' takes
    bfloat16 where the processor multiplies it natively; 'float16' is refused
    with the reason."""
    seed: int = 0
    """Seed of the initial weights and of dropout."""
    eval_every: int = 0
    """Steps between evaluations on the 'val' split; 0: only at the end."""
    save_every: int = 500
    """Steps between checkpoints."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl and TensorBoard scalars."""
    steps_per_call: int = 1
    """Optimiser steps inside one call of the compiled graph; more save time
    where a step takes milliseconds. What is computed is the same."""

    def all_stages(self) -> tuple[Stage, ...]:
        """The stages to run; never empty."""
        run = self.stages or (Stage("train", self.steps, self.optim),)
        return self.before + run

    def stage_at(self, step: int) -> Stage:
        """The stage that step number `step`, from 0, is in."""
        stages = self.all_stages()
        for stage in stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return stages[-1]
