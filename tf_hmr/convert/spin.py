"""Converts a checkpoint of the original SPIN (PyTorch).

Names and shapes: nkolot/SPIN: models/hmr.py, utils/saver.py. The body is not
in a checkpoint.
"""

from pathlib import Path

from tf_hmr import method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.convert import report
from tf_hmr.formats import foreign_weights, torch_files
from tf_hmr.methods import spin
from tf_hmr.networks import resnet_v15

# For prediction, or further training on labels: fits belong to an experiment.
CONFIG = spin.Config(fits="none")
_COUNTER = ".num_batches_tracked"
_LAYERS = ("fc1", "fc2", "decpose", "decshape", "deccam")
_INITIAL_ESTIMATES = ("init_pose", "init_shape", "init_cam")


def convert(
    checkpoint: str | Path, body: str | Path | BodyData
) -> tuple[method.Method, report.Report]:
    """Builds the method with the weights of a checkpoint of nkolot/SPIN.

    Args:
        checkpoint: a file of torch.save, such as model_checkpoint.pt.
        body: the one that the checkpoint was trained with: a path that
            `BodyData.load` takes, or the data.

    Returns:
        SPIN with the weights, and a report of what was read and dropped.

    Raises:
        FileNotFoundError: there is no such checkpoint or body.
        ValueError: the checkpoint is damaged or none of SPIN, lacks a
            variable, or holds one that is not finite.
    """
    if not isinstance(body, BodyData):
        body = BodyData.load(body)
    model = method.build(CONFIG, Body(body, jit=False))
    parts = sources(model)
    all_sources = [source for part in parts.values() for source in part]
    expected = foreign_weights.expected_shapes(all_sources)
    stored = torch_files.state_dict(checkpoint, expected)
    tensors = stored.tensors
    stored_shapes = {name: tensor.shape for name, tensor in tensors.items()}
    problems = foreign_weights.problems(
        expected, stored_shapes, report_extra=False
    )
    if problems:
        raise ValueError(
            f"{checkpoint} is no whole checkpoint of SPIN: "
            f"{foreign_weights.summary(problems)}{stored.note()}. Give one "
            "that nkolot/SPIN's training wrote, such as model_checkpoint.pt "
            "of its data archive."
        )
    foreign_weights.assign(
        all_sources, torch_files.weights_of(checkpoint, tensors)
    )
    rest = sorted(tensors.keys() - expected.keys())
    counters = [name for name in rest if name.endswith(_COUNTER)]
    notes = [
        "A checkpoint of SPIN does not say which body it was trained with "
        f"(SPIN's is SMPL's neutral one); taken: {body.name!r}."
    ]
    if stored.prefix:
        notes.append(f"Its names begin with {stored.prefix!r}, dropped here.")
    return model, report.Report(
        read={
            name: len(foreign_weights.expected_shapes(part))
            for name, part in parts.items()
        },
        constants=[],
        training_state=counters + stored.other_entries,
        left_over=sorted(set(rest) - set(counters)),
        notes=notes,
    )


def sources(model: spin.Model) -> dict[str, list[foreign_weights.Source]]:
    """The tensor of each variable, by part: encoder and regressor."""
    encoder = [
        _source(variable, name)
        for name, variable in resnet_v15.torch_names(model.encoder).items()
    ]
    regressor = [
        _source(getattr(model.regressor, name), name)
        for name in _INITIAL_ESTIMATES
    ]
    for name in _LAYERS:
        layer = getattr(model.regressor, name)
        regressor.append(_source(layer.kernel, f"{name}.weight"))
        regressor.append(_source(layer.bias, f"{name}.bias"))
    return {"encoder": encoder, "regressor": regressor}


def _source(variable, name: str) -> foreign_weights.Source:
    """Pairs a variable with its tensor.

    Initial estimates have shape (1, N) in both frameworks; only kernels are
    transposed.
    """
    shape = tuple(variable.shape)
    if name not in _INITIAL_ESTIMATES:
        shape = torch_files.shape_there(shape)
    return foreign_weights.single(variable, name, shape)
