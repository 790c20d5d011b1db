"""Evaluation protocols as data, and the interfaces of measures.

A protocol is about accuracy; speed is measured by benchmarks. The package
`protocols` holds the protocols and finds them by name.
"""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_hmr import metrics

if TYPE_CHECKING:  # For names of types, TensorFlow is not imported.
    from tf_hmr.body.model import Body


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """The rules in words, each with section or repo:path of its source."""

    split: str
    """The images: subjects, sequences, cameras."""
    frames: str
    """The selected frames, and how many the source counts."""
    joints: str
    """The compared joints, or the surface."""
    root: str
    """The origin subtracted from both sides; "none" for no subtraction."""
    regressor: str
    """Source of the predicted and of the true joints."""
    alignment: str
    """Alignment before the error is computed, and how errors are averaged."""
    source: str
    """Paper and section, repo:path."""
    ours: str = ""
    """Our decisions where the source leaves something open."""


class Occlusion(typing.Protocol):
    """Changes the images before the method sees them."""

    variants: tuple[str, ...]
    """Every example is measured once per variant, with equal weight."""

    def apply(
        self, batch: Mapping[str, np.ndarray], variant: str
    ) -> np.ndarray:
        """The occluded images (B, S, S, 3) of a numpy batch."""


class Predictions(NamedTuple):
    """Predictions of a batch as numpy; None for fields not predicted.

    The fields of method.Prediction, and a translation.
    """

    rotmats: np.ndarray | None = None
    """(B, J, 3, 3)."""
    betas: np.ndarray | None = None
    """(B, P)."""
    camera: np.ndarray | None = None
    """(B, 3) weak perspective of the crop."""
    joints: np.ndarray | None = None
    """(B, J, 3) metres, named by EvaluationContext.joint_names."""
    keypoints: np.ndarray | None = None
    """(B, J, 2) of the crop, in [-1, 1]."""
    vertices: np.ndarray | None = None
    """(B, V, 3) metres."""
    translation: np.ndarray | None = None
    """(B, 3) metres: joints and vertices plus it are in the frame of the
    image's camera. None where only `camera` locates the person."""


class EvaluationContext(NamedTuple):
    """What a measure needs to know about the predictions."""

    body: "Body"
    """The method's body, whose vertices are predicted."""
    joint_names: tuple[str, ...]
    """Names of the rows of Predictions.joints and .keypoints."""
    labelled: Callable[[Mapping[str, np.ndarray]], Any]
    """Bodies that the labels of a batch describe: ground_truth.Mesh, posed
    once per batch."""


class Measure(typing.Protocol):
    """Class `Measure` of a module training/evaluation/metrics/<name>.py."""

    def __init__(self, protocol: "Protocol", context: EvaluationContext): ...

    def add(
        self, batch: Mapping[str, np.ndarray], predictions: Predictions
    ) -> None:
        """Adds a batch of batches.eval_dataset; all leaves are numpy.

        Fields that a predictions file does not hold are None in `predictions`.
        """

    def summary(self) -> dict[str, float]:
        """The metrics so far, for `metrics` of the results."""


def all_examples(example_id: str) -> bool:
    """Selects all records."""
    return True


def matching(pattern: str) -> Callable[[str], bool]:
    """Selects records whose example_id contains a match of the pattern."""
    compiled = re.compile(pattern)
    return lambda example_id: compiled.search(example_id) is not None


def excluding(pattern: str) -> Callable[[str], bool]:
    """Selects records whose example_id contains no match of the pattern."""
    compiled = re.compile(pattern)
    return lambda example_id: compiled.search(example_id) is None


def grouped(pattern: str) -> Callable[[str], str]:
    """Groups example_ids by the first capture group of the pattern."""
    compiled = re.compile(pattern)

    def group(example_id: str) -> str:
        match = compiled.search(example_id)
        return match[1] if match else ""

    return group


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules of one evaluation."""

    name: str
    """Name of the protocol in results and on the command line."""
    records: str
    """Name of the records folder below --records."""
    splits: tuple[str, ...]
    """Splits that hold these images; the first that exists is read."""
    prepare: str
    """Arguments of `python -m training.prepare` that make the records."""
    other_readers: tuple[str, ...] = ()
    """Other readers whose records of these people are accepted as well."""
    measures: tuple[str, ...]
    """Modules of training.evaluation.metrics."""
    description: Description
    """The rules in words."""
    headline: tuple[str, ...]
    """Keys of the metrics that the source prints."""
    count: int | None = None
    """Number of examples by the source or the frozen records; a result over
    fewer is not complete. None: as many as the split holds."""
    includes: Callable[[str], bool] = all_examples
    """Whether the record of an example_id belongs to the protocol."""
    group: Callable[[str], str] | None = None
    """The action of an example_id, for a table by action."""
    sequence: Callable[[str], str] | None = None
    """The video of an example_id, where the source also prints the mean over
    actions of the videos' means."""
    box_rules: str = ""
    """The --rules that the records must be made with; "" for any."""
    joints: tuple[str, ...] = ()
    """The joints whose errors are averaged."""
    root: tuple[str, ...] = metrics.MID_HIP
    """Both sides are translated so that the mean of these is the origin."""
    pred_root: tuple[str, ...] = ()
    """Root of the predicted side where it differs from `root`."""
    regressor: str = "cocoplus"
    """Predicted joints: "cocoplus" the method's own; "h36m" the rows of
    J_regressor_h36m on its vertices; "smpl" the 24 joints of the skeleton."""
    truth: tuple[str, ...] = ("records",)
    """Sources of true joints; the first that an example has is used, and any
    but the first is a deviation: "records" for stored joints, or a regressor
    on the labelled body: "cocoplus", "h36m", "smpl"."""
    perspective: bool = False
    """Rotate predicted poses to the ray through the centre of the crop."""
    true_root: bool = False
    """Turn predicted joints to the labelled global rotation, so that errors are
    those of limbs and shape; people without a labelled pose are left out."""
    occlusion: Occlusion | None = None
    """Occluder in front of the person."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further options of the measures."""
    synthetic: bool = False
    """Our own rendered records: not comparable with any paper."""
