"""What a result means: the rules of a protocol as data.

"Protocol" is about accuracy; speed is measured by benchmarks. The protocols
are in the package `protocols`, which finds them by name.
"""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_hmr import metrics
from tf_hmr.body.model import Body


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """The rules in words, each with section or repo:path of its source."""

    split: str
    """Whose pictures: subjects, sequences, cameras."""
    frames: str
    """Which of them, and how many the source counts."""
    joints: str
    """What is compared: which joints, or the surface."""
    root: str
    """What is subtracted from either side; "none" where nothing is."""
    regressor: str
    """Where the predicted and the true joints come from."""
    alignment: str
    """What is fitted before the error is taken, and how errors are averaged."""
    source: str
    """Paper and section, repo:path."""
    ours: str = ""
    """What the source leaves open, as decided here."""


class Occlusion(typing.Protocol):
    """Changes the pictures before the method sees them."""

    variants: tuple[str, ...]
    """Every example is measured once with each, and all count alike."""

    def apply(
        self, batch: Mapping[str, np.ndarray], variant: str
    ) -> np.ndarray:
        """The images (B, S, S, 3) of a numpy batch with something in front."""


class Predictions(NamedTuple):
    """Predictions of a batch as numpy; None for what is not predicted.

    The fields of method.Prediction, and a translation.
    """

    rotmats: np.ndarray | None = None
    """(B, J, 3, 3)."""
    betas: np.ndarray | None = None
    """(B, P)."""
    camera: np.ndarray | None = None
    """(B, 3) weak perspective of the crop."""
    joints: np.ndarray | None = None
    """(B, J, 3) metres, named by Given.joint_names."""
    keypoints: np.ndarray | None = None
    """(B, J, 2) of the crop, in [-1, 1]."""
    vertices: np.ndarray | None = None
    """(B, V, 3) metres."""
    translation: np.ndarray | None = None
    """(B, 3) metres: joints and vertices plus it are in the frame of the
    picture's camera. None where only `camera` says where the person is."""


class EvaluationContext(NamedTuple):
    """What a measure knows of the predictions beside the rules."""

    body: Body
    """The method's body, whose vertices are predicted."""
    joint_names: tuple[str, ...]
    """The rows of Prediction.joints and .keypoints."""
    labelled: Callable[[Mapping[str, np.ndarray]], Any]
    """Bodies that the labels of a batch describe: labelled.Mesh with has,
    vertices, skeleton; posed once per batch."""


class Measure(typing.Protocol):
    """Class `Measure` of a module training/evaluation/metrics/<name>.py."""

    def __init__(self, protocol: "Protocol", given: EvaluationContext): ...

    def add(self, batch: Mapping[str, np.ndarray], found: Predictions) -> None:
        """Counts a batch of pipeline.eval_dataset; all leaves are numpy.

        What a predictions file does not hold is None in `found`.
        """

    def summary(self) -> dict[str, float]:
        """The figures so far, for `metrics` of the results."""


def all_examples(example_id: str) -> bool:
    """Chooses all records."""
    return True


def matching(pattern: str) -> Callable[[str], bool]:
    """Chooses the records in whose example_id the pattern is found."""
    compiled = re.compile(pattern)
    return lambda example_id: compiled.search(example_id) is not None


def excluding(pattern: str) -> Callable[[str], bool]:
    """Chooses the records in whose example_id the pattern is not found."""
    compiled = re.compile(pattern)
    return lambda example_id: compiled.search(example_id) is None


def grouped(pattern: str) -> Callable[[str], str]:
    """Groups by what the pattern's first bracket matches in an example_id."""
    compiled = re.compile(pattern)

    def group(example_id: str) -> str:
        found = compiled.search(example_id)
        return found[1] if found else ""

    return group


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules under which errors are counted."""

    name: str
    """The name a result carries."""
    records: str
    """Name of the records folder below --records."""
    splits: tuple[str, ...]
    """Splits that hold these pictures; the first that is there is read."""
    prepare: str
    """What makes the records: the words after `python -m training.prepare`."""
    also: tuple[str, ...] = ()
    """Other readers whose records of these people serve as well."""
    measures: tuple[str, ...]
    """What is measured: modules of training.evaluation.metrics."""
    description: Description
    """The rules in words."""
    headline: tuple[str, ...]
    """Keys of the metrics that the source prints for it."""
    count: int | None = None
    """How many examples it has by its source or by its frozen records; a
    result over fewer is not complete. None: as many as the split holds."""
    chosen: Callable[[str], bool] = all_examples
    """Which records of the split, by example_id."""
    group: Callable[[str], str] | None = None
    """The action of an example_id, for a table by action."""
    sequence: Callable[[str], str] | None = None
    """The film of an example_id, where the source also prints the mean over
    actions of the films' means."""
    box_rules: str = ""
    """The --rules that the records are to be made with; "" for any."""
    joints: tuple[str, ...] = ()
    """The joints whose errors are averaged."""
    root: tuple[str, ...] = metrics.MID_HIP
    """Both sides are moved so that the mean of these is the origin."""
    pred_root: tuple[str, ...] = ()
    """The predicted side's root where it is another one."""
    regressor: str = "cocoplus"
    """Predicted joints: "cocoplus" the method's own; "h36m" the rows of
    J_regressor_h36m on its vertices; "smpl" the 24 joints of the skeleton."""
    truth: tuple[str, ...] = ("records",)
    """True joints, the first source that an example has: "records" those
    stored, or a regressor's on the labelled body: "cocoplus", "h36m",
    "smpl"."""
    perspective: bool = False
    """Turn predicted poses by the ray through the middle of the crop."""
    occlusion: Occlusion | None = None
    """What is put in front of the person."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """More that a measure of this protocol asks for."""
    synthetic: bool = False
    """Rendered records of ours: not comparable with any paper."""
