r"""Compares our layers with what SMPLR's own code computed, array by array.

    python -m tests.smplr_golden tests/golden/smplr/golden.npz --seed 1
    python -m tests.smplr_golden other.npz --seed 7

The weights are drawn by the file's seed (tests/golden/smplr/README.md). Prints
the largest difference of each array and its tolerance; the exit status is 1
where one is beyond, and where the file has an array that nothing is compared
with.
"""

import dataclasses
import fnmatch
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tyro

from tests.support import smplr_files
from tf_hmr import joints
from tf_hmr.body.model import Body
from tf_hmr.convert import smplr_names
from tf_hmr.formats import foreign_weights
from tf_hmr.geometry import bones
from tf_hmr.networks import (
    denoiser,
    reversed_smpl,
    soft_argmax,
    volume_losses,
    volume_targets,
    volumetric_hourglass,
)
from training.engine import schedules

# The first pattern that fits. From tests/golden/smplr/README.md.
TOLERANCES = {
    "in_*": 1e-7,
    "image_check": 1e-5,
    "kintree": 0,
    "bones": 2e-6,
    "normals": 2e-6,
    "smpl_*": 2e-6,
    "train_shn_out": 1e-4,
    "train_shn_p3d": 1e-4,
    "train_shn_*moving*": 1e-5,
    "train_*moving*": 1e-6,
    "train_*_out": 5e-5,
    "dae_out": 5e-5,
    "shape_out": 5e-5,
    "pose_out": 5e-5,
    "all_shape": 1e-4,
    "all_pose": 1e-4,
    "all_joints_x": 5e-5,
    "sp_joints_x": 1e-7,
    "sp_shape": 5e-5,
    "sp_pose": 5e-5,
    "sp_*": 5e-4,
    "all_*": 5e-4,
    "shn_stem": 5e-5,
    "shn_res_3": 5e-5,
    "shn_sum_1": 5e-5,
    "shn_hg": 5e-4,
    "shn_features": 2e-4,
    "shn_out": 1e-4,
    "shn_p3d_exact": 2e-5,
    "shn_p3d": 1e-3,
    "shn_loss_stack": 2e-6,
    "target_joint": 5e-7,
    "target_max": 5e-7,
    "target_sum": 1e-6,
    "target_limb": 5e-10,
    "target_argmax": 0,
    # Float32 of indices up to 64, and of a rate of 0.01.
    "voxels": 1e-5,
    "lr_*": 1e-8,
}
SIZES = (64, 64, 16)  # Columns, rows, bins.
BINS, POINTS = 16, 41
STACKS = 5
EPOCHS = 200


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of tests.smplr_golden."""

    file: tyro.conf.Positional[Path]
    """An .npz like tests/golden/smplr/golden.npz."""
    seed: int = 1
    """What its weights and inputs were drawn with."""


class Comparison:
    """Differences of a file's arrays from ours."""

    def __init__(self, file: Path):
        """Opens the file."""
        with np.load(file) as arrays:
            self.expected = dict(arrays)
        self.expected.pop("seed", None)
        self.compared: dict[str, float] = {}

    def add(self, name: str, ours, rows: int | None = None) -> None:
        """Compares one array; a wrong shape and NaN are infinitely far.

        Args:
            name: of the array; ignored if the file has none.
            ours: what our layers give.
            rows: of the file's array to compare; all by default.
        """
        expected = self.expected.get(name)
        if expected is None:
            return
        if rows is not None:
            expected = expected[:rows]
        ours = np.asarray(ours, np.float64)
        difference = np.inf
        if ours.shape == expected.shape and np.isfinite(ours).all():
            difference = np.abs(ours - expected).max(initial=0)
        self.compared[name] = float(difference)

    def add_statistics(self, sources, prefix: str, step: int) -> None:
        """Compares moving means and variances, every so many numbers."""
        for source in sources:
            *scope, last = source.names[0].split("/")
            if last.startswith("moving"):
                name = f"{prefix}{'.'.join(scope[-1:])}.{last}"
                self.add(name, source.variable.numpy()[::step])

    def lines(self) -> Iterator[tuple[str, bool]]:
        """A line for each array of the file, and whether it is good."""
        for name in self.expected:
            if name not in self.compared:
                yield f"{name}: not compared", False
                continue
            bound, difference = tolerance(name), self.compared[name]
            is_close = difference <= bound
            verdict = "" if is_close else "  BEYOND"
            yield f"{name}: {difference:.2e} of {bound:.0e}{verdict}", is_close


def tolerance(name: str) -> float:
    """The bound of an array by its name."""
    for pattern, bound in TOLERANCES.items():
        if fnmatch.fnmatchcase(name, pattern):
            return bound
    return 0.0


def compare_inputs(result: Comparison, inputs) -> None:
    """What was drawn here and there."""
    for name, value in inputs.items():
        result.add(name, value)
    image = inputs["image"]
    checked = [image.mean(), image.std(), image[1, 200, 100, 2]]
    result.add("image_check", checked)
    rows = range(1, 1 + POINTS)
    tree = [(-1, 0), *zip(joints.smplr41_parents(), rows, strict=True)]
    result.add("kintree", tree)


def compare_networks(result: Comparison, inputs, seed: int) -> None:
    """Denoiser, Psi, Omega and the bodies that follow from them."""
    network = _Networks(seed)
    points = tf.constant(inputs["in_joints"].reshape(-1, POINTS, 3))
    lengths, directions = network.features(points)
    result.add("dae_out", _flat(network.denoiser(points)))
    result.add("bones", lengths)
    result.add("normals", _flat(directions))
    result.add("shape_out", network.shape(lengths))
    result.add("pose_out", _flat(network.pose(directions)))
    bodies = _Bodies()
    chains = {"sp": points, "all": network.denoiser(points)}
    for prefix, clean_points in chains.items():
        lengths, directions = network.features(clean_points)
        shape, pose = network.shape(lengths), network.pose(directions)
        skeleton, vertices = bodies(pose, shape)
        result.add(f"{prefix}_joints_x", _flat(clean_points))
        result.add(f"{prefix}_shape", shape)
        result.add(f"{prefix}_pose", _flat(pose))
        result.add(f"{prefix}_J", skeleton)
        result.add(f"{prefix}_T", vertices[:, ::13])
    skeleton, vertices = bodies(inputs["in_rotations"], inputs["in_betas"])
    result.add("smpl_J", skeleton)
    result.add("smpl_T", vertices[:, ::13])
    result.add("smpl_T_mean", tf.reduce_mean(vertices, axis=1))
    # One step of training changes the statistics, so it comes last.
    points = tf.constant(inputs["in_train_joints"].reshape(-1, POINTS, 3))
    lengths, directions = network.features(points)
    outputs = {
        "dae": network.denoiser(points, training=True),
        "shape": network.shape(lengths, training=True),
        "pose": network.pose(directions, training=True),
    }
    for graph, output in outputs.items():
        result.add(f"train_{graph}_out", _flat(output))
        result.add_statistics(network.sources[graph], f"train_{graph}.", 8)


class _Networks:
    """The three networks with drawn weights, without dropout."""

    def __init__(self, seed: int):
        self.denoiser = denoiser.Denoiser(rate=0.0)
        self.shape = reversed_smpl.ShapeRegressor()
        self.pose = reversed_smpl.PoseRegressor()
        points = tf.zeros((1, POINTS, 3))
        lengths, directions = self.features(points)
        self.denoiser(points), self.shape(lengths), self.pose(directions)
        self.sources = {
            "dae": smplr_names.of_denoiser(self.denoiser),
            "shape": smplr_names.of_shape(self.shape),
            "pose": smplr_names.of_pose(self.pose),
        }
        for graph, sources in self.sources.items():
            _load(sources, graph, seed)

    def features(self, points):
        lengths, directions = bones.lengths_and_directions(points)
        return lengths - smplr_files.BONE_TEMPLATE, directions


class _Bodies:
    """The original's body function: gender chooses one of two bodies."""

    def __init__(self):
        self._bodies = [Body(data, jit=False) for data in smplr_files.bodies()]

    def __call__(self, matrices, numbers):
        """Skeleton and vertices about the posed pelvis."""
        betas, gender = numbers[:, :10], numbers[:, 10:, np.newaxis]
        female, male = [body(matrices, betas) for body in self._bodies]
        skeleton = tf.where(gender >= 0.0, male.skeleton, female.skeleton)
        vertices = tf.where(gender >= 0.0, male.vertices, female.vertices)
        return skeleton - skeleton[:, :1], vertices - skeleton[:, :1]


def compare_targets(result: Comparison, points) -> None:
    """Volumes that the original is trained on."""
    positions = tf.constant(points / smplr_files.CUBE_M)
    result.add("voxels", volume_targets.voxels(positions, SIZES)[:, 0])
    columns, rows, bins = volume_targets.gaussians(positions, SIZES)
    volumes = [
        rows[:, :, None, None]
        * columns[:, None, :, None]
        * bins[:, None, None, :],
        volume_targets.code_limbs(positions, SIZES),
    ]
    result.add("target_joint", volumes[0][0].numpy()[..., [0, 22, 40]])
    result.add("target_limb", volumes[1].numpy()[:, 1::3, 2::3, ::2])
    volume = np.concatenate(volumes, axis=-1)
    flat = volume.reshape(2, -1, volume.shape[-1])
    result.add("target_sum", flat.sum(1, dtype=np.float64))
    result.add("target_max", flat.max(1))
    largest = np.unravel_index(flat.argmax(1), volume.shape[1:4])
    result.add("target_argmax", np.stack(largest, axis=-1))


def compare_hourglass(
    result: Comparison, inputs, seed: int, stacks: int = STACKS
) -> None:
    """The volumetric network in both modes, or its first stacks alone."""
    network = volumetric_hourglass.VolumetricHourglass(stacks, rate=0.0)
    network(keras.Input((256, 256, 3)))
    sources = smplr_names.of_hourglass(network)
    _load(sources, "shn", seed)
    images = tf.constant(inputs["image"])
    _compare_stages(result, network, images)
    logits = tf.function(network, autograph=False)(images)
    strided = np.stack([_strided(x) for x in logits])
    result.add("shn_out", strided, stacks)
    points = np.stack([_metres(x) for x in logits])
    result.add("shn_p3d", points, stacks)
    result.add("shn_p3d_exact", points, stacks)
    positions = inputs["in_points"] / smplr_files.CUBE_M
    flags = np.ones(positions.shape[:2])
    losses = []
    for x in logits:
        total, count = volume_losses.sigmoid_code(x, positions, flags, BINS)
        losses.append(tf.reduce_sum(total) / tf.reduce_sum(count))
    result.add("shn_loss_stack", np.stack(losses), stacks)

    trained = tf.function(lambda x: network(x, training=True), autograph=False)
    logits = trained(images)
    strided = np.stack([_strided(x) for x in logits])
    result.add("train_shn_out", strided, stacks)
    if stacks == STACKS:
        result.add("train_shn_p3d", _metres(logits[-1]))
    result.add_statistics(sources, "train_shn_", 4)


def _compare_stages(result: Comparison, network, images) -> None:
    """Outputs of layers on the way."""
    x = network.conv(network.pad(images))
    result.add("shn_stem", x.numpy()[:, ::25, ::21, ::8])
    first, second, third = network.residuals
    x = third(second(network.pool(first(x))))
    result.add("shn_res_3", x.numpy()[:, ::13, ::11, ::16])
    hourglasses, features = [], []
    for number, stack in enumerate(network.stacks):
        hourglass = stack.hourglass(x)
        hourglasses.append(hourglass.numpy()[:, ::13, ::11, ::16])
        features.append(_bottom(stack.hourglass, x).numpy()[..., ::8])
        if stack.is_last:
            break
        x = stack(x)[2]
        if not number:
            result.add("shn_sum_1", x.numpy()[:, ::13, ::11, ::16])
    result.add("shn_hg", np.stack(hourglasses), len(hourglasses))
    result.add("shn_features", np.stack(features), len(features))


def _bottom(hourglass, x) -> tf.Tensor:
    """What the last residual of the innermost hourglass gives."""
    x = hourglass.low1(hourglass.pool(x))
    if isinstance(hourglass.low2, volumetric_hourglass.Hourglass):
        return _bottom(hourglass.low2, x)
    return hourglass.low3(hourglass.low2(x))


def _strided(logits) -> np.ndarray:
    """The logits that the file keeps."""
    columns, rows, bins = SIZES
    volume = logits.numpy().reshape(2, rows, columns, bins, -1)
    return volume[:, 3::13, 5::11, ::5, ::4]


def _metres(logits) -> np.ndarray:
    positions = soft_argmax.soft_argmax(logits, BINS, POINTS)
    return smplr_files.CUBE_M * positions.numpy()


def _flat(tensor) -> np.ndarray:
    return np.reshape(tensor, (len(tensor), -1))


def _load(sources, graph: str, seed: int) -> None:
    """Fills a network by the names of the original's variables."""
    stored = smplr_files.shapes(graph)
    expected = foreign_weights.expected_shapes(sources)
    problems = foreign_weights.problems(expected, stored, report_extra=False)
    assert not problems, foreign_weights.summary(problems)
    foreign_weights.assign(
        sources, lambda name: smplr_files.draw(name, stored[name], seed)
    )


def compare(file: Path, seed: int, stacks: int = STACKS) -> Comparison:
    """Compares every array of a file that our layers give, too.

    Args:
        file: an .npz.
        seed: of its weights and inputs.
        stacks: of the hourglass; fewer take less time.
    """
    result, inputs = Comparison(file), smplr_files.inputs(seed)
    compare_inputs(result, inputs)
    compare_networks(result, inputs, seed)
    compare_targets(result, inputs["in_points"])
    for name, curve in (("lr_smplr", "sigmoid"), ("lr_shn", "sigmoid_late")):
        middle = schedules.MIDDLES[curve]
        rate = schedules.Sigmoid(0.01, EPOCHS, middle, warmup=0)
        result.add(name, rate(tf.range(EPOCHS)))
    compare_hourglass(result, inputs, seed, stacks)
    return result


def main(args: Args) -> int:
    """0 where every array of the file is within its tolerance."""
    result = compare(args.file, args.seed)
    verdicts = []
    for line, is_good in result.lines():
        print(line)
        verdicts.append(is_good)
    print(f"{sum(verdicts)} of {len(verdicts)} arrays are within tolerance")
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(
        main(tyro.cli(Args, prog="tests.smplr_golden", description=__doc__))
    )
