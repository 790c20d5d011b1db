"""Every tolerance for rounding and for other code, with its reason.

A test that compares two numbers names a row. Bounds of another kind (of a
statistic, of a rate, of what a broken version would give) stay in their test,
with their reason beside them. A row that has to grow is a finding, not a
repair.
"""

from typing import Any, NamedTuple

import numpy as np


class Tolerance(NamedTuple):
    """Values a, b are close when |a - b| <= absolute + relative * |b|."""

    absolute: float
    relative: float
    reason: str


TOLERANCES = {
    "exact": Tolerance(0, 0, "copies and permutations change no bit"),
    "rotation": Tolerance(
        2e-6, 0, "unit entries and angles up to pi: a few float32 roundings"
    ),
    "rotation_gradient": Tolerance(
        2e-5, 0, "float32 chains of derivatives of order 1; twin exact to 1e-9"
    ),
    "gram_schmidt": Tolerance(
        1e-5, 0, "nearly parallel columns cancel digits of their difference"
    ),
    "learning_rate": Tolerance(
        1e-8, 1e-5, "a float32 exponential of numbers up to 12"
    ),
    "relative_float32": Tolerance(0, 1e-6, "a few float32 roundings"),
    "tf1_features": Tolerance(
        1e-4, 0, "float32 of 50 layers in TensorFlow 1.15; values up to 10"
    ),
    "tf1_outputs": Tolerance(
        1e-4, 0, "radians, metres, [-1, 1]; features at that, times fc3's 0.05"
    ),
    "tf1_discriminator": Tolerance(
        1e-3, 0, "products of 1024 float32 numbers of order 1"
    ),
    "torch_outputs": Tolerance(
        1e-4, 0, "rotations, betas, s: float32 of 50 layers in PyTorch"
    ),
    "torch_geometry": Tolerance(
        1e-5, 0, "float32 rotations; the original shifts angles by 1e-8"
    ),
    "other_resnet": Tolerance(
        1e-3, 1e-4, "batch statistics of 16 numbers, two kernels, 50 layers"
    ),
    "float64": Tolerance(1e-10, 1e-12, "float64 on both sides"),
    "reference_vector": Tolerance(
        1e-9, 0, "float64 figures of independent code, printed to 15 digits"
    ),
    "long_focal_pixels": Tolerance(
        1e-2, 0, "0.3 m of depth at 1e7 px focal: 3e-6 of 300 px, times ten"
    ),
    "first_order": Tolerance(0, 0.01, "the second order term is 1e-3 of it"),
    "dot_pixels": Tolerance(
        0.05,
        0,
        "gray levels are rounded at every step; a convention error"
        " shows as 0.1 px and more",
    ),
    "landmark_pixels": Tolerance(
        0.05,
        0,
        "equal crops but for a gray level; a wrong turn is 1 px or more",
    ),
    "landmark_metres": Tolerance(
        2e-3, 0, "as landmark_pixels; a wrong turn is decimetres"
    ),
    "other_kernels_px": Tolerance(
        2e-3,
        0,
        "kernels that sum in another order answer otherwise by 3e-4 px;"
        " where squares are not rounded, this grows to 0.4 px in six looks",
    ),
    "page_metres": Tolerance(
        6e-5, 0, "the page rounds to tenths of a millimetre"
    ),
    "gray_level": Tolerance(0.501, 0, "one rounding to whole gray levels"),
    "warp_gray_level": Tolerance(
        2, 0, "two bilinear kernels with fixed-point weights of 1/32"
    ),
    "loss": Tolerance(1e-5, 1e-6, "float32 sums of a few hundred numbers"),
    "fused_adam": Tolerance(
        1e-5, 2e-5, "1 - 0.999 is off by 1.3e-5 of it in float32, not in Keras"
    ),
    "same_run": Tolerance(
        1e-3,
        2e-3,
        "float32 sums in another order, fed back through a few steps of Adam,"
        " which turns the sign of a gradient near 0 into a whole step",
    ),
    "fed_back": Tolerance(
        1e-4, 1e-4, "as loss, fed back through what is kept over 200 steps"
    ),
    "batch_norm": Tolerance(
        2e-5, 1e-4, "float32 statistics of a few hundred numbers, two kernels"
    ),
    "batch_norm_bfloat16": Tolerance(
        4e-2, 2e-2, "outputs of order 3 keep 8 bits; statistics are float32"
    ),
    "relative_place": Tolerance(
        1e-5, 0, "a softmax whose other cells weigh less than e-50"
    ),
    "float32_mm": Tolerance(
        1e-2, 0, "0.01 mm: float32 joints metres away from the origin"
    ),
    "body_metres": Tolerance(
        1e-5, 0, "0.01 mm; float32 keeps 1.2e-7 of a two metre body per step"
    ),
    "same_sum_metres": Tolerance(
        1e-6, 0, "the same float32 sum in another order, values below 2 m"
    ),
    "body_gradient": Tolerance(
        1e-3, 1e-3, "central differences of a float64 twin, step 1e-4"
    ),
    "far_camera_px": Tolerance(
        2e-2, 0, "what is left of perspective at 25 km, and float32 there"
    ),
    "six_decimals": Tolerance(1e-6, 0, "the device's lines keep six"),
    "rounded_rotation": Tolerance(
        0.1, 0, "a rotation of 0.05 rad of noise, smoothed over 50 frames"
    ),
    "bvh_metres": Tolerance(
        1e-4, 0, "a BVH keeps six decimals of metres and of degrees"
    ),
    "mesh_file_metres": Tolerance(
        1e-6, 0, "an .obj keeps six decimals or more"
    ),
    "tflite_metres": Tolerance(
        1e-4, 0, "the bound of every float32 export: 0.1 mm on a vertex"
    ),
    "gpu_float32": Tolerance(
        1e-4, 0, "the same sums in another order; betas and s are up to 3"
    ),
    "other_int8_metres": Tolerance(
        1e-2, 0, "some activations round to the next of 256 steps, three times"
    ),
    "tflite_px": Tolerance(1e-2, 0, "0.1 mm at 100 px per metre"),
    "same_camera": Tolerance(
        0, 1e-4, "a depth of 50 m from a scale that is 1e-5 off"
    ),
    "pixel": Tolerance(0.75, 0, "drawing rounds to whole pixels"),
    "same_crop_px": Tolerance(
        1e-3, 0, "float32 of one network on equal crops, photo of 400 px"
    ),
    "ndc": Tolerance(
        2e-6, 0, "float32 roundings of pixels over a crop that is 2 wide"
    ),
    "other_batch_shape": Tolerance(
        1e-6, 1e-6, "vector and scalar lanes round sin and cos differently"
    ),
    "cached_crop_ndc": Tolerance(
        1e-4, 0, "float32 pixels of a cut of 60 px, over a crop that is 2 wide"
    ),
    "range_end": Tolerance(
        2e-3, 0, "extremes of 40,000 uniform draws over a range 2 wide"
    ),
    "trace": Tolerance(
        4e-6, 0, "three entries of a float32 rotation, and a float32 angle"
    ),
    "box_px": Tolerance(1e-4, 0, "float32 of pixels up to 200"),
    "dot_px": Tolerance(
        0.15, 0, "centre of a painted dot of 3 px after JPEG and resampling"
    ),
    "mirrored_body_metres": Tolerance(
        1e-3, 0, "the open body's two sides differ by less than a millimetre"
    ),
    "sampled_distance": Tolerance(
        2e-2, 0, "segments of length 2 in 200 steps: within half a step of each"
    ),
    "recorded_px": Tolerance(
        1e-2, 0, "float32 at 12 m: 1e-6 of it times 900 px of focal length"
    ),
    "recorded_metres": Tolerance(
        1e-5, 0, "as body_metres, the pose stored as float32"
    ),
    "pinned": Tolerance(1e-4, 0, "printed to five digits"),
    "pinned_pixels": Tolerance(
        4, 0, "a vertex on the edge of a pixel may round to either side"
    ),
    "pinned_part_gray": Tolerance(
        1, 0, "as pinned_gray, of 100 pixels, some of them on the rim"
    ),
    "pinned_gray": Tolerance(
        0.5, 0, "means of 4096 pixels; JPEG decoders differ by single levels"
    ),
    "drawn_depth": Tolerance(
        0, 1e-5, "float32 inverse depths between planes of 1 to 2"
    ),
    "sphere_normal": Tolerance(
        2e-2, 0, "642 flat facets of 8 degrees stand for the sphere"
    ),
    "compiled_gradient": Tolerance(
        1e-5, 1e-5, "float32 sums over all vertices in another order"
    ),
    "stored_float32": Tolerance(0, 0, "float32 is stored, not rounded"),
    "oracle_rotation": Tolerance(
        2e-6, 0, "unit entries in float32; the oracle shifts angles by 1e-7"
    ),
    "oracle_angle": Tolerance(
        2e-4, 0, "the oracle takes angles by acos of float32 near one"
    ),
    "oracle_metres": Tolerance(
        1e-5, 0, "both sides are float32 sums over 24 bones"
    ),
}


def assert_close(tolerance_name: str, actual: Any, expected: Any) -> None:
    """Fails unless `actual` is finite and within `tolerance_name`.

    Shapes must be equal: a broadcast would hide a wrong one.
    """
    tolerance = TOLERANCES[tolerance_name]
    actual = np.asarray(actual, np.float64)
    expected = np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, (
        f"{tolerance_name}: shape {actual.shape}, expected {expected.shape}"
    )
    assert np.isfinite(actual).all(), f"{tolerance_name}: a value is not finite"
    excess = np.abs(actual - expected) - tolerance.relative * np.abs(expected)
    worst = float(excess.max(initial=-np.inf))
    assert worst <= tolerance.absolute, (
        f"{tolerance_name}: off by {worst:.3g}, "
        f"allowed {tolerance.absolute:.3g} ({tolerance.reason})"
    )
