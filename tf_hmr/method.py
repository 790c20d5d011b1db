"""The contract of a method, and its folder on disk.

A method is a `keras.Model` in a module `tf_hmr.methods.<name>` that holds
two public names: `Config` (a frozen dataclass, the paper's values as
defaults) and `Model` (a `Method`). There is no list of methods: a new module is
found by its name.
"""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_hmr import method_config, method_inputs
from tf_hmr.body import pair_data, pairs
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.formats import (
    atomic,
    hdf5_files,
    model_files,
    system_limits,
    wording,
)

CONFIG_FILE = model_files.CONFIG_FILE
WEIGHTS_FILE = model_files.WEIGHTS_FILE
find_folder = model_files.find_folder
Config = method_config.Config
names = method_config.names
name_of = method_config.name_of
make_config = method_config.make_config
migrate = method_config.migrate


class Prediction(NamedTuple):
    """Output of every method; the field names are the .tflite's outputs.

    Camera frame: x right, y down, z forward, metres.
    """

    rotmats: tf.Tensor
    """(B, 24, 3, 3) rotations relative to the parent, SMPL24 order."""
    betas: tf.Tensor
    """(B, 10) shape coefficients."""
    camera: tf.Tensor
    """(B, 3) weak perspective (s, tx, ty): keypoints = s (xy + t)."""
    joints: tf.Tensor
    """(B, J, 3) metres, named by `method.joint_names`."""
    keypoints: tf.Tensor
    """(B, J, 2) the joints in the crop, in [-1, 1]."""
    vertices: tf.Tensor | None
    """(B, V, 3) metres; None in training when no term needs them."""
    intermediate: dict[str, tf.Tensor] | None = None
    """Training only: further tensors that the terms need."""


OWN_PELVIS = "own_pelvis"
"""A joint of an output: the pelvis of the body itself."""


class Fits(NamedTuple):
    """Bodies fitted to the keypoints of examples, in their crops' frame."""

    rotmats: tf.Tensor
    """(B, 24, 3, 3)."""
    betas: tf.Tensor
    """(B, 10)."""
    kept: tf.Tensor
    """(B,) flags. Of stored fits: 1 where the example has one. Of new fits: 1
    where the fit replaces the stored one."""


class Term(NamedTuple):
    """One loss per example; the training loop reduces it over all devices."""

    total: tf.Tensor
    """(N,) summed error of each example."""
    count: tf.Tensor
    """(N,) number of summed numbers; 0 where the label is missing. It must not
    depend on the prediction: when a batch is processed in parts, the counts of
    all parts scale the gradient of the first."""
    weight: float
    """The loss is weight * sum(total) / sum(count) over all devices."""


class Learner(keras.Model):
    """A model that the loop trains: a method, or a part of one."""

    adversary: keras.Model | None = None

    @property
    def image_size(self) -> int:
        """Side of the square input crop in pixels; 0 if it sees no images."""
        return 0

    def inputs(self, batch: dict[str, tf.Tensor]) -> Any:
        """Selects the input of `call` from a batch: any nest of tensors."""
        raise NotImplementedError(f"{type(self).__name__} names no inputs.")

    def terms(self, batch, prediction) -> dict[str, Term]:
        """The losses over `player_variables`."""
        raise NotImplementedError(f"{type(self).__name__} defines no terms.")

    def adversary_terms(self, batch, prediction) -> dict[str, Term]:
        """The second player's losses over `adversary.trainable_variables`."""
        return {}

    def targets(self, batch, prediction, fits) -> dict[str, Any]:
        """Adds targets that are made inside the step; no gradient flows.

        Args:
            batch: a training batch of the pipeline.
            prediction: the prediction for it.
            fits: the stored Fits of its examples, if keeps_fits.

        Returns:
            The batch, and, if keeps_fits, new Fits as `fits`. Other `fits_*`
            entries, shape (B,), are logged as batch means.
        """
        return batch

    def prepare_targets(self) -> None:
        """Loads the files that `targets` needs, before the first step.

        Raises:
            FileNotFoundError: a required file is missing.
            ValueError: a file is not valid.
        """

    def initialize_from_poses(self, rotvecs: np.ndarray) -> None:
        """Takes what it needs of unpaired poses (N, J, 3), rotation vectors.

        Called once, before the first step of a new run with unpaired poses, of
        the method and of each of its parts. The roots have no meaning.
        """

    @property
    def needed_labels(self) -> tuple[str, ...]:
        """Kinds of labels, "2d", "parts" or "3d", that it cannot learn without.

        A run whose sources give none of one of them is refused.
        """
        return ()

    @property
    def makes_targets(self) -> bool:
        """Whether `targets` changes anything."""
        return type(self).targets is not Learner.targets

    @property
    def keeps_fits(self) -> bool:
        """Whether `targets` takes stored fits and returns new ones."""
        return False

    def player_variables(self) -> list[keras.Variable]:
        """Trainable variables without the adversary's."""
        if not self.adversary:
            return list(self.trainable_variables)
        excluded = {id(v) for v in self.adversary.trainable_variables}
        return [v for v in self.trainable_variables if id(v) not in excluded]

    def build(self, shape=None) -> None:
        """Marks the model as built; layers make variables when first called."""
        self.built = True


class Method(Learner):
    """Base class: a `keras.Model` built from a frozen Config and a Body.

    `call(inputs, training)` takes a dictionary of the tensors that
    `input_names` names, as tf_hmr/method_inputs.py describes them. An encoder
    and a regressor are layers in attributes of these names: an export gives
    each its own number format.
    """

    input_names: ClassVar[tuple[str, ...]] = ("image",)
    """The inputs that `call` reads, names of method_inputs.INPUTS."""
    has_gender: ClassVar[bool] = False
    """Whether it predicts a gender, which chooses between two bodies."""
    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Those of them that `call` can do without, if they are not in
    `input_names`: an export leaves them out unless it is told not to."""

    def __init__(self, config: Config, body: Body):
        # Keras must not round boxes and intrinsics to a policy's bfloat16.
        name = type(self).__module__.rsplit(".", 1)[-1]
        super().__init__(name=name, autocast=False)
        self.config = config
        self.body = body
        self._inference = None

    outputs: ClassVar[tuple[str, ...]] = ()
    """Parts whose answers can be measured alone, by `output`; a method without
    parts has none."""

    def output(
        self,
        name: str,
        inputs: dict[str, tf.Tensor],
        labels: dict[str, tf.Tensor],
    ) -> Prediction:
        """The answer of one part alone, for evaluation.

        Args:
            name: of `outputs`.
            inputs: as of `call`.
            labels: those of `output_labels`, which stand in for other parts.

        Returns:
            A prediction whose joints are `output_joint_names`; a field that
            the part has no answer for is None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no outputs.")

    def output_labels(self, name: str) -> tuple[str, ...]:
        """Names of a batch's labels that `output` reads: rotmats, betas."""
        return ()

    def output_joint_names(self, name: str) -> tuple[str, ...]:
        """Names of the rows of an output's joints.

        Those of a body moved onto other points, which has both as an origin,
        hold `pelvis`, that of the points, and `OWN_PELVIS`.
        """
        return self.joint_names

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the rows of `Prediction.joints`."""
        return self.body.joint_names

    @property
    def image_size(self) -> int:
        """Side of the square input crop in pixels."""
        return self.config.image_size

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the outputs, for the card of an exported file."""
        return ()

    def inputs(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Selects the tensors of `input_names` from a batch."""
        return {name: batch[name] for name in self.input_names}

    def infer(self, inputs: dict[str, tf.Tensor]) -> Prediction:
        """Runs `call` without training, as a graph traced once per shape."""
        if self._inference is None:
            self._inference = tf.function(
                lambda x: self(x, training=False)._replace(intermediate=None),
                autograph=False,
            )
        return self._inference(inputs)

    def check_labels(self, labels: Collection[str], has_parts: bool) -> None:
        """Refuses training data whose labels the method cannot learn from.

        Args:
            labels: of the sources, as training/config.py: Source has them.
            has_parts: whether the batches have part labels.

        Raises:
            ValueError: names the field and the cure.
        """

    def initialize_from_mean(self, rotmats, betas) -> None:
        """Takes the pose (24, 3, 3) and shape (10,) to start from, upright.

        Called once, before the first step of a new run.
        """

    def build_all(self) -> None:
        """Makes every variable, so that weights and optimisers can load."""
        inputs = method_inputs.example(self.input_names, self.image_size)
        # Else the body would be compiled for one person.
        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            self(inputs)
        finally:
            tf.config.run_functions_eagerly(before)


def build(config: Config, body: Body) -> Method:
    """Builds the method of a Config, with every variable made.

    Raises:
        ValueError: there are two bodies, and the method has no gender; or as
            of the method.
    """
    name = name_of(config)
    model_class = method_config.module(name).Model
    if body.data.male is not None and not model_class.has_gender:
        raise ValueError(
            f"Two bodies were given, {body.data.name!r}, but {name!r} "
            "predicts no gender that chooses between them. Give one."
        )
    model = model_class(config, body)
    model.build_all()
    return model


def with_body(model: Method, body: Body) -> Method:
    """Copies a method around another function of the same body.

    For export, where `body` is a body.edge.EdgeBody, called like a Body. The
    copy reads the same inputs, optional ones included or not.
    """
    copy = build(model.config, body)
    copy.set_weights(model.get_weights())
    copy.input_names = model.input_names
    return copy


def create(name: str, body: Body, **values) -> Method:
    """Builds a method by name; `values` replace fields of its Config.

    Raises:
        ValueError: unknown name or field; the message lists the known ones.
    """
    return build(make_config(name, **values), body)


def save(method: Method, folder: str | Path) -> None:
    """Writes a model folder: config, weights, the body's topology tag.

    No array of the body is written. The weights are complete before the
    config names them, so a folder with a config is complete. The config has
    the checksum of the weights.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "method": name_of(method.config),
        "config": dataclasses.asdict(method.config),
        "topology": method.body.data.topology,
        "body": method.body.data.name,
        "joint_names": list(method.joint_names),
    }
    with atomic.replacing(folder / WEIGHTS_FILE) as part:
        method.save_weights(part)
        digest = model_files.digest(part)
        model_files.admit_both(folder, content, digest)
    model_files.write_config(folder, content, [digest])


def load(
    folder: str | Path,
    body: str | Path | BodyData = "open",
    jit: bool = True,
) -> Method:
    """Loads the method of a model folder (or of a workdir's `best`).

    Args:
        folder: a model folder or a workdir.
        body: "open", a path or two, as pair_data.load takes it, or the data.
        jit: False gives the plain graph that an export needs.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model was trained on a body of another topology; its
            config has a value without meaning; its weights are damaged, not
            finite, or of another model.
    """
    folder = find_folder(folder)
    content = model_files.read_config(folder)
    if not isinstance(body, BodyData):
        body = pair_data.load(body)
    if content["topology"] != body.topology:
        raise ValueError(
            f"{folder} was trained on topology {content['topology']!r} "
            f"(body {content['body']!r}), but the body given has "
            f"{body.topology!r}. Pass the body it was trained on."
        )
    model_files.check_digest(folder)
    try:
        name, values = migrate(content["method"], content["config"])
        config = make_config(name, **values)
        names = content["joint_names"]
        posed = pairs.make(body, lambda one: Body(one, names, jit=jit))
        method = build(config, posed)
    except (ValueError, FileNotFoundError) as error:
        text = " ".join(str(error).split())
        raise type(error)(f"{folder / CONFIG_FILE}: {text}") from error
    try:
        hdf5_files.check(folder / WEIGHTS_FILE)
        method.load_weights(folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        system_limits.check(error, folder / WEIGHTS_FILE)
        first = wording.first_line(error)
        raise ValueError(
            f"{folder / WEIGHTS_FILE} does not fit the model that "
            f"{CONFIG_FILE} beside it describes, or is damaged ({first}). "
            "Train it again, or use the version of the code that wrote it."
        ) from error
    variables = [(v.path, v.value) for v in method.variables]
    model_files.check_finite(variables, folder / WEIGHTS_FILE)
    return method
