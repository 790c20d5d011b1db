"""Converts a checkpoint of the original HMR (TensorFlow 1).

Names and shapes: akanazawa/hmr: src/models.py, src/trainer.py,
src/tf_smpl/batch_smpl.py (whose constants are variables, and therefore in
every checkpoint; they belong to the body's licence and are not converted).
"""

from pathlib import Path

import numpy as np

from tf_hmr import joints, method
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.convert import report
from tf_hmr.formats import foreign_weights, tf1_checkpoint
from tf_hmr.methods import hmr
from tf_hmr.networks import discriminator, resnet

BODY_CONSTANTS = (
    "v_template",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "lbs_weights",
    "cocoplus_regressor",
)
# A hundredth of a millimetre; the regressors' rows sum to 1 and are of
# points at most a few metres away.
SAME_METRES = 1e-5
SAME_WEIGHT = 1e-5


def convert(
    checkpoint: str | Path, body: str | Path | BodyData
) -> tuple[method.Method, report.Report]:
    """Builds the method with the weights of a checkpoint of akanazawa/hmr.

    Args:
        checkpoint: its prefix, as model.ckpt-667589.
        body: the one that the checkpoint was trained with: a path that
            `BodyData.load` takes, or the data.

    Returns:
        HMR with slim's ResNet-50, and a report of what was read and dropped.
        It has no adversary if the checkpoint has none.

    Raises:
        FileNotFoundError: there is no such checkpoint or body.
        ValueError: the checkpoint is damaged or none of HMR, lacks a
            variable, or was trained on another body.
    """
    stored = tf1_checkpoint.Checkpoint(checkpoint)
    if not isinstance(body, BodyData):
        body = BodyData.load(body)
    notes = _compare_bodies(stored, body)
    adversary = any(name.startswith("D/") for name in stored.shapes)
    if not adversary:
        notes.append(
            "The checkpoint has no discriminator (D/...): the model is made "
            "without one (adversary=0), enough for inference."
        )
    config = hmr.Config(
        encoder="resnet50_slim", adversary=1.0 if adversary else 0.0
    )
    model = method.build(config, Body(body, jit=False))
    parts = sources(model)
    all_sources = [source for part in parts.values() for source in part]
    expected = foreign_weights.expected_shapes(all_sources)
    problems = foreign_weights.problems(
        expected, stored.shapes, report_extra=False
    )
    if problems:
        raise ValueError(
            f"{stored.prefix} is no whole checkpoint of HMR: "
            f"{foreign_weights.summary(problems)}. Give one that "
            "akanazawa/hmr's training wrote, with a ResNet-50."
        )
    foreign_weights.assign(all_sources, stored.read)
    rest = stored.shapes.keys() - expected.keys()
    return model, report.Report(
        read={
            name: len(foreign_weights.expected_shapes(part))
            for name, part in parts.items()
        },
        constants=sorted(rest & set(BODY_CONSTANTS)),
        training_state=stored.training_state,
        left_over=sorted(rest - set(BODY_CONSTANTS)),
        notes=notes,
    )


def sources(model: hmr.Model) -> dict[str, list[foreign_weights.Source]]:
    """The source of each variable, by part: encoder, regressor, adversary.

    Kernels of 1x1 convolutions have two axes more there than our dense ones.
    """
    regressor = [foreign_weights.single(model.regressor.mean, "mean_param")]
    for name in ("fc1", "fc2", "fc3"):
        regressor += _dense(getattr(model.regressor, name), f"3D_module/{name}")
    parts = {
        "encoder": [
            foreign_weights.single(variable, name)
            for name, variable in resnet.slim_names(model.encoder).items()
        ],
        "regressor": regressor,
    }
    if model.adversary is not None:
        parts["adversary"] = _adversary(model.adversary)
    return parts


def _adversary(
    part: discriminator.Discriminator,
) -> list[foreign_weights.Source]:
    outputs = [
        f"D/pose_out_j{joint}" for joint in range(discriminator.BODY_JOINTS)
    ]
    return [
        *_dense(part.conv1, "D/D_conv1", convolution=True),
        *_dense(part.conv2, "D/D_conv2", convolution=True),
        foreign_weights.Source(
            part.joint_kernels,
            tuple(f"{name}/weights" for name in outputs),
            (part.joint_kernels.shape[1], 1),
        ),
        foreign_weights.Source(
            part.joint_biases,
            tuple(f"{name}/biases" for name in outputs),
            (1,),
        ),
        *_dense(part.all_fc1, "D/D_alljoints_fc1"),
        *_dense(part.all_fc2, "D/D_alljoints_fc2"),
        *_dense(part.all_out, "D/D_alljoints_out"),
        *_dense(part.shape_fc1, "D/shape_fc1/shape_fc1_1"),
        *_dense(part.shape_fc2, "D/shape_fc1/shape_fc1_2"),
        *_dense(part.shape_out, "D/shape_final"),
    ]


def _dense(
    layer, scope: str, convolution: bool = False
) -> list[foreign_weights.Source]:
    shape = tuple(layer.kernel.shape)
    return [
        foreign_weights.single(
            layer.kernel,
            f"{scope}/weights",
            (1, 1, *shape) if convolution else shape,
        ),
        foreign_weights.single(layer.bias, f"{scope}/biases"),
    ]


def _compare_bodies(
    stored: tf1_checkpoint.Checkpoint, body: BodyData
) -> list[str]:
    """Compares the body with the constants in the checkpoint.

    Returns:
        Notes on what could not be compared.

    Raises:
        ValueError: they differ; names the array and the cure.
    """
    notes = []
    expected = {
        "v_template": (body.v_template, SAME_METRES),
        "J_regressor": (body.J_regressor.T, SAME_WEIGHT),
        "cocoplus_regressor": (
            body.regressor(joints.COCOPLUS19).T,
            SAME_WEIGHT,
        ),
    }
    differences = []
    for name, (array, bound) in expected.items():
        if name not in stored.shapes:
            notes.append(
                f"The checkpoint does not hold {name}: whether it was trained "
                f"with the body {body.name!r} could not be checked by it."
            )
        elif difference := _difference(stored.read(name), array, bound):
            differences.append(f"{name} {difference}")
    if differences:
        raise ValueError(
            f"{stored.prefix} was trained with another body than "
            f"{body.name!r}: {'; '.join(differences)}. Its weights would pose "
            "the wrong body. Pass the body file that it was trained with as "
            "--body; akanazawa/hmr trains with "
            "neutral_smpl_with_cocoplus_reg.pkl of its models.tar.gz."
        )
    return notes


def _difference(stored: np.ndarray, expected: np.ndarray, bound: float) -> str:
    """Describes how two arrays differ; "" when they do not."""
    if stored.shape != expected.shape:
        return f"has shape {stored.shape}, not {expected.shape}"
    worst = float(np.abs(stored - expected).max())
    return f"differs by up to {worst:.3g}" if worst > bound else ""
