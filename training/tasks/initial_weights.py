"""The weights that a run starts with."""

from pathlib import Path

from tf_hmr import method as methods
from tf_hmr.body.data import BodyData
from tf_hmr.networks import encoder_weights
from training import config
from training.data.pipeline import reading, statistics
from training.data.records import mocap


def start(method: methods.Method, data: config.Data, weights: str) -> None:
    """Starts a new run at a mean pose and shape and the encoder's weights.

    Parts that learn poses alone take what they need of the unpaired ones.

    Raises:
        ValueError: the method has no encoder, or `weights` do not fit it.
    """
    mean = statistics.start(data, method.body.data)
    if mean is not None:
        method.initialize_from_mean(*mean)
    if reading.has_prior(data):
        poses = mocap.read(data.prior).pose
        rotvecs = poses.reshape(len(poses), -1, 3)
        for learner in (method, *parts(method).values()):
            learner.initialize_from_poses(rotvecs)
    if weights == "none":
        return
    encoder = getattr(method, "encoder", None)
    if encoder is None:
        raise ValueError(
            f"{method.name!r} has no encoder to load {weights!r} into. Pass "
            "--encoder-weights none."
        )
    encoder_weights.load(encoder, weights)


def copy(method: methods.Method, folder: Path, body: BodyData) -> None:
    """Copies the weights of a model, moving means of its layers included.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: it is another method, or one of other sizes.
    """
    model = methods.load(folder, body, jit=False)
    if type(model) is not type(method):
        raise ValueError(
            f"--start {folder} is {model.name!r}, the experiment trains "
            f"{method.name!r}. Expected a model of the same method."
        )
    weights = {variable.path: variable for variable in model.variables}
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    expected = {v.path: tuple(v.shape) for v in method.variables}
    if shapes != expected:
        names = sorted(shapes.items() ^ expected.items())[:1]
        raise ValueError(
            f"--start {folder} has other sizes than the experiment's "
            f"{method.name!r}, first in {names[0][0]}. Repeat the options of "
            "its training (config.json of its workdir)."
        )
    for variable in method.variables:
        variable.assign(weights[variable.path])


def check_parts(method: methods.Method, experiment: config.Experiment) -> None:
    """A part that learns alone must have a stage: it would stay random.

    Raises:
        ValueError: names the part that has none.
    """
    trained = {stage.part for stage in experiment.all_stages()}
    for name in parts(method):
        if name not in trained:
            raise ValueError(
                f"{method.name}.{name} would stay random: it learns in a stage "
                f"of its own. Put a config.Stage with part={name!r} among the "
                "experiment's `before`, or choose a method without it."
            )


def parts(method: methods.Method) -> dict[str, methods.Learner]:
    """Parts of a method that learn in stages of their own, by name."""
    return {
        name: part
        for name, part in vars(method).items()
        if isinstance(part, methods.Learner)
    }
