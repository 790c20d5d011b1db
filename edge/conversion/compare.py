"""Compares a .tflite with the Keras model that it was exported from.

The measure is the mesh: the mean distance of the vertices from those of Keras
in float32, over images that the quantizer has not seen. A float32 file must
agree at the worst vertex; every other precision has its own budget.
"""

import dataclasses

import numpy as np

from edge.conversion import tflite as convert
from edge.conversion.calibration import Images
from edge.conversion.precisions import PRECISIONS
from tf_hmr import joints, method, metrics

LARGEST_FLOAT32_M = 1e-4
"""Budget of the worst vertex of a float32 file, far above rounding errors."""

MPJPE_PERCENT = 1.0
"""Budget for the change of MPJPE, where the images have labels."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Errors of a file's outputs against those of its Keras model.

    Attributes:
        crops: the number of images.
        images: their origin, in words.
        vertices_mean_mm: mean distance of a vertex from Keras'.
        vertices_max_mm: distance of the worst vertex of the worst image.
        worst_crop_mean_mm: mean over the vertices of the worst image.
        largest: largest difference of each output, in its unit.
        mpjpe_mm: MPJPE of Keras and of the file against labels, about the
            middle of the hips; None without labels.
    """

    crops: int
    images: str
    vertices_mean_mm: float
    vertices_max_mm: float
    worst_crop_mean_mm: float
    largest: dict[str, float]
    mpjpe_mm: tuple[float, float] | None = None

    @property
    def mpjpe_percent(self) -> float:
        """Change of MPJPE in percent; 0 without labels."""
        if self.mpjpe_mm is None:
            return 0.0
        keras, file = self.mpjpe_mm
        return 100 * abs(file - keras) / keras


def run_tflite(
    content: bytes, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """OUTPUTS of N people, by LiteRT on the CPU.

    Args:
        content: the .tflite.
        inputs: `inputs` of calibration.Images.

    Raises:
        ValueError: the outputs of the .tflite are not the contract's.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=2)
    runner = interpreter.get_signature_runner()
    if set(runner.get_output_details()) != set(convert.OUTPUTS):
        raise ValueError(
            "The file's outputs are "
            f"{sorted(runner.get_output_details())}, expected "
            f"{sorted(convert.OUTPUTS)}. Export it again."
        )
    answers = [runner(**row) for row in convert.one_by_one(inputs)]
    return {
        name: np.concatenate([outputs[name] for outputs in answers])
        for name in convert.OUTPUTS
    }


def run_keras(
    model: method.Method, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """OUTPUTS of N people, in float32, for the inputs of calibration.Images."""
    predictions = [
        model(
            {n: np.float32(v[start : start + 16]) for n, v in inputs.items()},
            training=False,
        )
        for start in range(0, len(next(iter(inputs.values()))), 16)
    ]
    return {
        name: np.concatenate(
            [getattr(prediction, name) for prediction in predictions]
        )
        for name in convert.OUTPUTS
    }


def compare(outputs, expected, images: Images, joint_names) -> Measured:
    """Measures the outputs of a file against those of Keras, both by name.

    Args:
        outputs: arrays (N, ...) of the file.
        expected: arrays (N, ...) of Keras.
        images: the N people, with their labels.
        joint_names: names of the joints.
    """
    offsets = outputs["vertices"] - expected["vertices"]
    distances = np.linalg.norm(offsets, axis=-1)
    # NaN would never exceed the budget; infinity does.
    distances_mm = 1000 * np.where(np.isfinite(distances), distances, np.inf)
    largest = {}
    for name in convert.OUTPUTS:
        difference = np.abs(outputs[name] - expected[name])
        worst = float(np.max(difference))
        largest[name] = worst if np.isfinite(worst) else np.inf
    largest["vertices"] = float(distances_mm.max()) / 1000
    errors = None
    labelled = _labelled(images, joint_names)
    if labelled.any():
        errors = tuple(
            _mpjpe_mm(
                predicted[labelled], images.joints3d[labelled], joint_names
            )
            for predicted in (expected["joints"], outputs["joints"])
        )
    return Measured(
        crops=images.count,
        images=images.source,
        vertices_mean_mm=float(distances_mm.mean()),
        vertices_max_mm=float(distances_mm.max()),
        worst_crop_mean_mm=float(distances_mm.mean(axis=1).max()),
        largest=largest,
        mpjpe_mm=errors,
    )


def _labelled(images: Images, joint_names) -> np.ndarray:
    """(N,) whether all `joint_names` of a crop have labels."""
    if images.joints3d is None:
        return np.zeros(images.count, bool)
    index = joints.select(joint_names, of=joints.KEYPOINTS)
    return (images.joints3d[:, index, 3] > 0).all(axis=1)


def _mpjpe_mm(
    predicted_joints: np.ndarray, labels: np.ndarray, joint_names
) -> float:
    true_joints = labels[:, joints.select(joint_names, of=joints.KEYPOINTS), :3]
    errors = metrics.mpjpe_mm(
        metrics.align_root(predicted_joints, joint_names),
        metrics.align_root(true_joints, joint_names),
    )
    return float(errors.mean())


def excess(measured: Measured, precision: str) -> str:
    """Describes how a file exceeds its budget; "" if it does not."""
    sample = f"over {measured.crops} crops ({measured.images})"
    wrong = [n for n, d in measured.largest.items() if not np.isfinite(d)]
    if wrong:
        return (
            f"The file gives {', '.join(wrong)} that are not finite, {sample}."
        )
    if precision == "float32":
        worst = measured.largest["vertices"]
        if worst > LARGEST_FLOAT32_M:
            return (
                f"A vertex of the file is {worst:.2e} m from Keras', more "
                f"than {LARGEST_FLOAT32_M:g} m, {sample}."
            )
        return ""
    mean, limit = measured.vertices_mean_mm, PRECISIONS[precision].mean_mm
    if mean > limit:
        return (
            f"The file's vertices are {mean:.2f} mm from Keras' in the mean, "
            f"more than the {limit:g} mm of {precision}, {sample}."
        )
    if measured.mpjpe_percent > MPJPE_PERCENT:
        return (
            f"The file changes MPJPE by {measured.mpjpe_percent:.2f} %, more "
            f"than {MPJPE_PERCENT:g} %, {sample}."
        )
    return ""
