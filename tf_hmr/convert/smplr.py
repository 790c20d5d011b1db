"""Converts checkpoints of the original SMPLR (TensorFlow 1).

Its four networks are four checkpoints; see smplr_names for their variables.
"""

from pathlib import Path
from typing import NamedTuple

from tf_hmr import method
from tf_hmr.body import pair_data, pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.convert import report, smplr_names
from tf_hmr.formats import foreign_weights, tf1_checkpoint
from tf_hmr.methods import smplr

CONFIG = smplr.Config(convention="code")
_GRAPHS = {
    "shn": "the volumetric hourglass with limbs, of five stacks",
    "dae": "the denoising autoencoder",
    "shape": "the network of the shape",
    "pose": "the network of the pose",
}


_ONE_BODY = (
    "SMPLR was trained with SMPL's female and male bodies, chosen by the "
    "gender that it predicts; taken: {!r}. Betas of another body are another "
    "person. Give --body FEMALE,MALE."
)


class Checkpoints(NamedTuple):
    """The prefixes of the four checkpoints; some may be the same."""

    shn: Path
    dae: Path
    shape: Path
    pose: Path


def convert(
    checkpoints: Checkpoints, body: str | Path | BodyData
) -> tuple[method.Method, report.Report]:
    """Builds the method with the weights of meysam-madadi/SMPLR.

    Args:
        checkpoints: prefixes, as TensorFlow names them.
        body: as pair_data.load takes it, or the data.

    Returns:
        SMPLR with the weights, and a report of what was read and dropped.

    Raises:
        FileNotFoundError: there is no such checkpoint or body.
        ValueError: a checkpoint is damaged, none of its network, or lacks a
            variable.
    """
    stored = {
        name: tf1_checkpoint.Checkpoint(path)
        for name, path in checkpoints._asdict().items()
    }
    if not isinstance(body, BodyData):
        body = pair_data.load(body)
    posed = pairs.make(body, lambda one: Body(one, jit=False))
    model = method.build(CONFIG, posed)
    parts = sources(model)
    for name, part in parts.items():
        _check(name, stored[name], part)
    for name, part in parts.items():
        foreign_weights.assign(part, stored[name].read)
    expected = {name for part in parts.values() for name in _expected(part)}
    left_over = {
        name
        for checkpoint in stored.values()
        for name in checkpoint.shapes
        if name not in expected
    }
    training_state = {
        f"{name} of {checkpoint.prefix}"
        for checkpoint in stored.values()
        for name in checkpoint.training_state
    }
    return model, report.Report(
        read={name: len(_expected(part)) for name, part in parts.items()},
        constants=[],
        training_state=sorted(training_state),
        left_over=sorted(left_over),
        notes=[] if body.male else [_ONE_BODY.format(body.name)],
    )


def sources(model: smplr.Model) -> dict[str, smplr_names.Sources]:
    """The source of each variable, by the names of the four graphs."""
    return {
        "shn": smplr_names.of_hourglass(model.encoder.hourglass),
        "dae": smplr_names.of_denoiser(model.regressor.denoiser),
        "shape": smplr_names.of_shape(model.regressor.shape),
        "pose": smplr_names.of_pose(model.regressor.pose),
    }


def _check(
    name: str,
    stored: tf1_checkpoint.Checkpoint,
    part: smplr_names.Sources,
) -> None:
    """Refuses a checkpoint of anything else.

    Raises:
        ValueError: names a few of the differences.
    """
    problems = foreign_weights.problems(
        _expected(part), stored.shapes, report_extra=False
    )
    if problems:
        raise ValueError(
            f"{stored.prefix} is no whole checkpoint of SMPLR's {name}: "
            f"{foreign_weights.summary(problems)}. Give as --{name} the one "
            f"of {_GRAPHS[name]} that meysam-madadi/SMPLR's training wrote."
        )


def _expected(part: smplr_names.Sources) -> dict[str, tuple[int, ...]]:
    return foreign_weights.expected_shapes(part)
