"""Errors of joints, vertices, keypoints and masks, as the papers count them.

NumPy, float64 inside. Inputs are metres in a camera frame, errors are
millimetres per example; the caller averages over the examples of a protocol.
Definitions follow akanazawa/hmr: src/benchmark/eval_util.py and nkolot/SPIN:
eval.py; a number is comparable only with the alignment that it names.
"""

from collections.abc import Sequence

import numpy as np

from tf_hmr import joints

MID_HIP = ("left_hip", "right_hip")

# Thresholds of MPI-INF-3DHP's mpii_compute_3d_pck.m: 0, 5, ... 150 mm.
AUC_THRESHOLDS_MM = np.arange(0.0, 150.0 + 1e-9, 5.0)


def align_root(
    points: np.ndarray,
    names: Sequence[str],
    root: Sequence[str] = MID_HIP,
) -> np.ndarray:
    """Joints relative to the mean of the root joints.

    HMR subtracts the middle of the hips (the default); SPIN the regressed
    pelvis (`root=("pelvis",)`). The two give different numbers.

    Args:
        points: (..., J, 3).
        names: (J,) names of the joints.
        root: names whose mean becomes the origin.

    Returns:
        (..., J, 3) float64.

    Raises:
        ValueError: a root joint is not among the names.
    """
    points = np.asarray(points, np.float64)
    root_indices = list(joints.select(root, of=names))
    return points - points[..., root_indices, :].mean(axis=-2, keepdims=True)


def per_joint_error_mm(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distance of each joint or vertex, without any alignment.

    Args:
        pred: (..., J, 3) metres.
        true: (..., J, 3) metres.

    Returns:
        (..., J) millimetres.

    Raises:
        ValueError: the shapes differ or are not (..., J, 3).
    """
    pred, true = _pair(pred, true)
    return 1000.0 * np.linalg.norm(pred - true, axis=-1)


def mpjpe_mm(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean per joint position error, no alignment: call `align_root` first.

    Args:
        pred: (N, J, 3) metres.
        true: (N, J, 3) metres.

    Returns:
        (N,) millimetres.
    """
    return per_joint_error_mm(pred, true).mean(axis=-1)


def pa_mpjpe_mm(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """MPJPE after `procrustes`: the error of the pose's form alone.

    Args:
        pred: (N, J, 3) metres.
        true: (N, J, 3) metres.

    Returns:
        (N,) millimetres.
    """
    return mpjpe_mm(procrustes(pred, true), true)


def pve_mm(pred_vertices: np.ndarray, true_vertices: np.ndarray) -> np.ndarray:
    """Mean per vertex error, no alignment.

    As mkocabas/VIBE: lib/utils/eval_utils.py compute_error_verts, where both
    meshes come from SMPL without a translation.

    Args:
        pred_vertices: (N, V, 3) metres.
        true_vertices: (N, V, 3) metres.

    Returns:
        (N,) millimetres.
    """
    return mpjpe_mm(pred_vertices, true_vertices)


def procrustes(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Moves the source onto the target by the best similarity transform.

    Least squares over rotation, scale and translation; reflections are
    excluded (by flipping the sign of the last singular vector), because a
    mirrored body must not score as a correct one.

    Args:
        source: (..., J, 3).
        target: (..., J, 3).

    Returns:
        (..., J, 3) float64, the aligned source.

    Raises:
        ValueError: shapes differ, or a number is not finite.
    """
    source, target = _pair(source, target)
    for name, values in (("source", source), ("target", target)):
        finite = np.isfinite(values).all(axis=(-2, -1))
        if not finite.all():
            first = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"The {name} has {np.sum(~finite)} poses with NaN or infinite "
                f"joints, the first at {first}. Leave out what is not labelled."
            )
    source_mean = source.mean(axis=-2, keepdims=True)
    target_mean = target.mean(axis=-2, keepdims=True)
    centred = source - source_mean
    covariance = np.swapaxes(centred, -1, -2) @ (target - target_mean)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    u[..., :, 2] *= sign[..., np.newaxis]
    singular[..., 2] *= sign
    spread = np.square(centred).sum(axis=(-2, -1))
    # A source with all its joints in one point has no scale: it lands on the
    # target's mean.
    scale = singular.sum(axis=-1) / np.where(spread > 0, spread, 1.0)
    return scale[..., np.newaxis, np.newaxis] * (centred @ (u @ vt)) + (
        target_mean
    )


def pck3d(errors_mm: np.ndarray, threshold_mm: float = 150.0) -> float:
    """Percentage of errors strictly below a threshold (MPI-INF-3DHP).

    Args:
        errors_mm: any shape, root-relative joint errors.
        threshold_mm: 150 in the papers.

    Returns:
        Percent of all entries.

    Raises:
        ValueError: there are no errors, or one is NaN.
    """
    return 100.0 * float((_errors(errors_mm) < threshold_mm).mean())


def auc3d(errors_mm: np.ndarray) -> float:
    """Area under the PCK curve: its mean at 0, 5, ... 150 mm, in percent.

    As the official script counts, a perfect result scores 96.77, because no
    error is strictly below the first threshold, 0.

    Args:
        errors_mm: any shape, root-relative joint errors.

    Returns:
        Percent.

    Raises:
        ValueError: there are no errors, or one is NaN.
    """
    errors = np.sort(_errors(errors_mm).ravel())
    below = np.searchsorted(errors, AUC_THRESHOLDS_MM, side="left")
    return 100.0 * float(below.mean()) / errors.size


def torso_diameter(keypoints: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Distance from left shoulder to right hip: a normaliser for `pck2d`.

    As classner/up: pose/evaluate_pose.py (Sapp and Taskar 2013).

    Args:
        keypoints: (N, K, 2) true keypoints.
        names: (K,) names of the keypoints.

    Returns:
        (N,) in the keypoints' unit.
    """
    ends = list(joints.select(("left_shoulder", "right_hip"), of=names))
    ends = np.asarray(keypoints, np.float64)[:, ends]
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)


def box_side(boxes: np.ndarray) -> np.ndarray:
    """Longer side of (N, 4) boxes x, y, w, h: a normaliser for `pck2d`."""
    return np.asarray(boxes, np.float64)[:, 2:4].max(axis=-1)


def pck2d(
    pred: np.ndarray,
    true: np.ndarray,
    visible: np.ndarray,
    size: np.ndarray,
    fraction: float = 0.2,
) -> float:
    """Percentage of visible keypoints within a fraction of a length.

    The mean over keypoints of each keypoint's percentage over examples; a
    distance equal to the threshold counts as correct, as in classner/up:
    pose/evaluate_pose.py.

    Args:
        pred: (N, K, 2).
        true: (N, K, 2), same unit; may be NaN where not visible.
        visible: (N, K) flags.
        size: (N,) normaliser in that unit: `torso_diameter` or `box_side`.
        fraction: of the normaliser; 0.2 is the usual one.

    Returns:
        Percent.

    Raises:
        ValueError: nothing is visible, or a normaliser is not positive.
    """
    visible = np.asarray(visible) > 0
    size = np.asarray(size, np.float64)
    has_visible = visible.any(axis=1)
    if not has_visible.any():
        raise ValueError("No keypoint is visible; PCK needs at least one.")
    if not (size[has_visible] > 0).all():
        raise ValueError(
            "Expected positive normalisers, got "
            f"{size[has_visible][~(size[has_visible] > 0)][0]}. Leave out the "
            "examples whose torso is not visible, or normalise by box_side."
        )
    pred, true = np.asarray(pred, np.float64), np.asarray(true, np.float64)
    distance = np.linalg.norm(pred - true, axis=-1)
    correct = (distance <= fraction * size[:, np.newaxis]) & visible
    num_visible = visible.sum(axis=0)
    is_seen = num_visible > 0
    return 100.0 * float(
        (correct.sum(axis=0)[is_seen] / num_visible[is_seen]).mean()
    )


class SegmentationCounts:
    """Pixel counts pooled over a whole set, as nkolot/SPIN: eval.py pools.

    For silhouettes use two classes and add `mask > 0`; for LSP parts seven
    (background and six).
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.counts = np.zeros((num_classes, num_classes), np.int64)
        """Pixels by (true class, predicted class), ignored ones left out."""
        self.ignored = np.zeros(num_classes, np.int64)
        """Ignored pixels by predicted class."""

    def add(
        self, pred: np.ndarray, true: np.ndarray, ignore: int | None = 255
    ) -> None:
        """Counts the pixels of one or more label images.

        Args:
            pred: integer labels, any shape.
            true: integer labels of the same shape.
            ignore: true label of pixels that F1 leaves out; None for none.

        Raises:
            ValueError: shapes differ, or a label is not a class.
        """
        pred, true = np.asarray(pred), np.asarray(true)
        if pred.shape != true.shape:
            raise ValueError(
                f"Expected label images of one shape, got predicted "
                f"{pred.shape} and true {true.shape}."
            )
        pred, true = pred.astype(np.int64), true.astype(np.int64)
        counted = np.full(true.shape, True)
        if ignore is not None:
            counted = true != ignore
        dropped, pred, true = pred[~counted], pred[counted], true[counted]
        for name, labels in (
            ("predicted", np.append(pred, dropped)),
            ("true", true),
        ):
            wrong = labels[(labels < 0) | (labels >= self.num_classes)]
            if wrong.size:
                raise ValueError(
                    f"Expected {name} labels 0..{self.num_classes - 1}, got "
                    f"{np.unique(wrong)[:8].tolist()}."
                )
        pairs = np.bincount(
            true * self.num_classes + pred, minlength=self.counts.size
        )
        self.counts += pairs.reshape(self.counts.shape)
        self.ignored += np.bincount(dropped, minlength=self.num_classes)

    @property
    def accuracy(self) -> float:
        """Fraction of pixels with the right class.

        The reference code relabels ignored pixels as background here, while
        its F1 leaves them out; published accuracies contain that.
        """
        correct = np.trace(self.counts) + self.ignored[0]
        return float(correct / (self.counts.sum() + self.ignored.sum()))

    @property
    def f1(self) -> np.ndarray:
        """(classes,) F1; NaN for a class neither true nor predicted."""
        true_positives = np.diag(self.counts)
        sums = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        f1 = 2.0 * true_positives / np.maximum(sums, 1)
        return np.where(sums > 0, f1, np.nan)

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the classes that occur, background included."""
        return float(np.nanmean(self.f1))


def silhouette_iou(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of each pair of silhouettes.

    Args:
        pred: (..., H, W); above 0 is the body.
        true: (..., H, W).

    Returns:
        (...) in [0, 1]; 1 when both are empty.

    Raises:
        ValueError: the shapes differ.
    """
    pred, true = np.asarray(pred) > 0, np.asarray(true) > 0
    if pred.shape != true.shape:
        raise ValueError(
            f"Expected silhouettes of one shape, got predicted {pred.shape} "
            f"and true {true.shape}."
        )
    intersection = (pred & true).sum(axis=(-2, -1))
    union = (pred | true).sum(axis=(-2, -1))
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def _pair(pred: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Casts both to float64 and checks that they share a shape (..., J, 3)."""
    pred, true = np.asarray(pred, np.float64), np.asarray(true, np.float64)
    if pred.shape != true.shape or pred.ndim < 2 or pred.shape[-1] != 3:
        raise ValueError(
            "Expected two arrays of one shape (..., J, 3), got "
            f"{pred.shape} and {true.shape}. Choose common joints with "
            "joints.select."
        )
    return pred, true


def _errors(errors_mm: np.ndarray) -> np.ndarray:
    errors = np.asarray(errors_mm, np.float64)
    if not errors.size or np.isnan(errors).any():
        raise ValueError(
            f"Expected at least one error and no NaN, got {errors.size} with "
            f"{np.isnan(errors).sum()} NaN."
        )
    return errors
