"""A checkpoint of the original SPIN (PyTorch) to a model folder.

Names and shapes: nkolot/SPIN: models/hmr.py, utils/saver.py. The body is not
in a checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path

from tf_hmr import method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.convert import report
from tf_hmr.formats import foreign_weights, torch_files
from tf_hmr.methods import spin
from tf_hmr.networks import resnet_v15

MODEL = "model"
# Weights to predict with, or to go on from by labels: fits are an experiment's.
CONFIG = spin.Config(fits="none")
_COUNTER = ".num_batches_tracked"
_LAYERS = ("fc1", "fc2", "decpose", "decshape", "deccam")
_GIVEN = ("init_pose", "init_shape", "init_cam")


def convert(
    checkpoint: str | Path, body: str | Path | BodyData
) -> tuple[method.Method, report.Report]:
    """The method with the weights of a checkpoint of nkolot/SPIN.

    Args:
        checkpoint: a file of torch.save, such as model_checkpoint.pt.
        body: what the checkpoint was trained with: a path that
            `BodyData.load` takes, or the data.

    Returns:
        SPIN with the weights, and what was read and dropped.

    Raises:
        FileNotFoundError: there is no such checkpoint or body.
        ValueError: the checkpoint is damaged or none of SPIN, lacks a
            variable, or holds one that is not finite.
    """
    tensors, others = _tensors(Path(checkpoint))
    if not isinstance(body, BodyData):
        body = BodyData.load(body)
    model = method.build(CONFIG, Body(body, jit=False))
    parts = sources(model)
    every = [source for part in parts.values() for source in part]
    wanted = foreign_weights.expected_shapes(every)
    there = {name: tensor.shape for name, tensor in tensors.items()}
    found = foreign_weights.problems(wanted, there, all_of_it=False)
    if found:
        raise ValueError(
            f"{checkpoint} is no whole checkpoint of SPIN: {'; '.join(found)}. "
            "Give one that nkolot/SPIN's training wrote, such as "
            "model_checkpoint.pt of its data archive."
        )
    foreign_weights.assign(every, torch_files.weights_of(checkpoint, tensors))
    rest = sorted(tensors.keys() - wanted.keys())
    counters = [name for name in rest if name.endswith(_COUNTER)]
    return model, report.Report(
        read={
            name: len(foreign_weights.expected_shapes(part))
            for name, part in parts.items()
        },
        constants=[],
        training_state=counters + others,
        left_over=sorted(set(rest) - set(counters)),
        notes=[
            "A checkpoint of SPIN does not say which body it was trained with "
            f"(SPIN's is SMPL's neutral one); taken: {body.name!r}."
        ],
    )


def _tensors(path: Path) -> tuple[dict[str, torch_files.Tensor], list[str]]:
    """The network's tensors by name, and what is there beside the network."""
    content = torch_files.load(path)
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected the dictionary "
            f"of a checkpoint of SPIN, with the network as {MODEL!r}."
        )
    state = content.get(MODEL, content)
    others = [] if state is content else [k for k in content if k != MODEL]
    if not isinstance(state, Mapping):
        raise ValueError(
            f"{MODEL!r} of {path} is a {type(state).__name__}, expected a "
            "state_dict: tensors by name."
        )
    tensors = {
        str(name): value
        for name, value in state.items()
        if isinstance(value, torch_files.Tensor)
    }
    return tensors, sorted(map(str, others))


def sources(model: spin.Model) -> dict[str, list[foreign_weights.Source]]:
    """Where each variable comes from, by part: encoder and regressor."""
    encoder = [
        _source(variable, name)
        for name, variable in resnet_v15.torch_names(model.encoder).items()
    ]
    regressor = [
        _source(getattr(model.regressor, name), name) for name in _GIVEN
    ]
    for name in _LAYERS:
        layer = getattr(model.regressor, name)
        regressor.append(_source(layer.kernel, f"{name}.weight"))
        regressor.append(_source(layer.bias, f"{name}.bias"))
    return {"encoder": encoder, "regressor": regressor}


def _source(variable, name: str) -> foreign_weights.Source:
    """What is given has one row, and is turned in vain."""
    shape = tuple(variable.shape)
    if name not in _GIVEN:
        shape = torch_files.shape_there(shape)
    return foreign_weights.single(variable, name, shape)
