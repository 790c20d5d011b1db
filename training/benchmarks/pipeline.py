"""Times the making of training images against PyTorch's DataLoader with OpenCV.

    python -m training.benchmark pipeline

Both sides read the same JPEGs of about 500 x 500 pixels and 62 KB, quality
90: rendered people, under noise of several scales that makes the files as large
as photographs of that size. Both cut 224 pixel crops with random rotation,
scale, shift and flip, transform the keypoints, left and right swapped by a
flip, and return float32 batches of 64. The peer works like loaders of this
field: two workers, one cv2.imread and one cv2.warpAffine per item, channels
first. It does not antialias; ours does, and also makes every 3D label.

The sides run in turns. Seconds are CPU time of all processes of a side, per
image, without the start of a pass, which a short pass measures; a row is the
median of its turns. "Host part" is the remaining work of the processor when the
warp runs in the step (`--data.warp step`). The last lines are `ratio host N.N`
and `ratio host part N.N`: the peer's time over ours.
PyTorch comes with `pip install -e '.[compare]'`.
"""

import dataclasses
import functools
import importlib.util
import math
import multiprocessing
import os
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np

from tf_hmr import joints, progress
from training import config
from training.benchmarks import _images

_PEER = "PyTorch DataLoader + cv2"
_HOST, _HOST_PART, _STEP = (
    "tf_hmr, warp on the host",
    "tf_hmr, host part",
    "tf_hmr, warp in the step",
)


@dataclasses.dataclass
class Options(_images.Options):
    """CPU time per training image, and images per second."""


Pass = Callable[[int], tuple[float, float]]
"""Makes so many batches; returns CPU seconds and wall seconds."""
_SHORT = 2
"""Batches of the pass that measures the time of a start."""


def run(options: Options) -> dict[str, float]:
    """Measures and prints; returns the ratios, {} without PyTorch.

    Raises:
        ValueError: the two sides do not make the same images.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kilobytes = _images.write(
            folder, options.count, options.size, options.seed
        )
        check_same(folder, options)
        sides = _ours(folder, options)
        peer = None
        if importlib.util.find_spec("torch"):
            peer = Peer(folder, options)
            sides = {_PEER: peer} | sides
        try:
            passes = _in_turns(sides, options)
        finally:
            if peer:
                peer.close()
    print(
        f"{options.count} JPEGs of {options.size} px, {kilobytes:.0f} KB each "
        f"-> crops of {options.image_size} px in batches of {options.batch}"
    )
    return _print_rows(passes, options.batch * options.batches)


def _print_rows(passes: dict[str, list], images: int) -> dict[str, float]:
    """Prints the rows and ratios of passes of `images`; returns the ratios."""
    cpu, wall = (
        {
            name: statistics.median(seconds[k] for seconds in side) / images
            for name, side in passes.items()
        }
        for k in (0, 1)
    )
    for name in passes:
        ratio = f"{cpu[_PEER] / cpu[name]:6.2f} x" if _PEER in cpu else ""
        print(
            f"{name:26s} {1e3 * cpu[name]:6.2f} ms CPU per image "
            f"{1 / wall[name]:6.0f} images/s {ratio}"
        )
    if _PEER not in cpu:
        print("PyTorch is not installed: ours alone, no ratio.")
        print("To compare: pip install -e '.[compare]'")
        return {}
    ratios = {
        "host": cpu[_PEER] / cpu[_HOST],
        "host part": cpu[_PEER] / cpu[_HOST_PART],
    }
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio:.1f}")
    return ratios


class PeerItems:
    """Map-style dataset for a DataLoader: images with their keypoints."""

    def __init__(self, folder: pathlib.Path, image_size: int, length: int):
        self.folder, self.side, self.length = folder, image_size, length
        labels = np.load(folder / "labels.npz")
        self.boxes, self.points = labels["boxes"], labels["points"]
        self.mirror = np.array(joints.mirror(joints.KEYPOINTS))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        angle = 0.0
        if random.random() < _images.AUGMENT.rotation_probability:
            angle = _images.AUGMENT.rotation_deg * random.gauss(0, 1)
        reach = _images.AUGMENT.shift
        shift = [random.uniform(-reach, reach) for _ in range(2)]
        scale = random.uniform(*_images.AUGMENT.scale)
        flip = random.random() < _images.AUGMENT.flip
        return self.item(number % len(self.boxes), angle, scale, shift, flip)

    def item(self, number, angle, scale, shift, flip):
        """Image (3, S, S) float32 0..255 and keypoints (K, 3), ndc."""
        image = cv2.imread(str(self.folder / f"{number:05d}.jpg"))
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        x, y, side, _ = self.boxes[number]
        centre = np.array([x, y]) + side * (0.5 + np.array(shift)) - 0.5
        zoom, radians = scale * self.side / side, math.radians(angle)
        cos, sin = zoom * math.cos(radians), zoom * math.sin(radians)
        linear = np.array([[cos, -sin], [sin, cos]])
        if flip:
            linear[0] = -linear[0]
        crop_centre = (self.side - 1) / 2
        matrix = np.column_stack([linear, crop_centre - linear @ centre])
        crop = cv2.warpAffine(
            image,
            matrix,
            (self.side, self.side),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        points = self.points[number].copy()
        points[:, :2] = points[:, :2] @ linear.T + matrix[:, 2]
        points[:, :2] = 2 * (points[:, :2] + 0.5) / self.side - 1
        points[points[:, 2] == 0] = 0
        if flip:
            points = points[self.mirror]
        crop = crop.transpose(2, 0, 1).astype(np.float32)
        return crop, points.astype(np.float32)


class Peer:
    """Runs the peer's passes in a process that never calls TensorFlow."""

    def __init__(self, folder: pathlib.Path, options: Options):
        context = multiprocessing.get_context("spawn")
        self._pipe, peer_pipe = context.Pipe()
        arguments = (peer_pipe, folder, options)
        self._process = context.Process(target=_peer, args=arguments)
        self._process.start()
        peer_pipe.close()

    def __call__(self, count: int) -> tuple[float, float]:
        self._pipe.send(count)
        return self._pipe.recv()

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()


def _peer(pipe, folder: pathlib.Path, options: Options) -> None:
    from torch.utils import data

    cv2.setNumThreads(0)  # as is usual in workers
    shape = (options.batch, 3, options.image_size, options.image_size)
    while True:
        try:
            count = pipe.recv()
        except EOFError:
            return
        wall, cpu = time.perf_counter(), _cpu_s()
        loader = data.DataLoader(
            PeerItems(folder, options.image_size, count * options.batch),
            batch_size=options.batch,
            shuffle=True,
            num_workers=2,
            # Linux's default, but not in a spawned process.
            multiprocessing_context="fork",
        )
        for images, _ in loader:
            assert images.shape == shape
        del loader
        pipe.send((_cpu_s() - cpu, time.perf_counter() - wall))


def _cpu_s() -> float:
    """CPU time of this process and of its ended children, the workers."""
    return sum(os.times()[:4])


def _ours(folder: pathlib.Path, options: Options) -> dict[str, Pass]:
    import tensorflow as tf

    from training.data.pipeline import warp

    # The peer is measured without a GPU.
    with tf.device("cpu"):
        host, step = (
            _images.batches(
                folder, options.batch, options.image_size, warp=warp_location
            )
            for warp_location in ("host", "step")
        )

    def take(dataset, finish: Callable, count: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), _cpu_s()
        with tf.device("cpu"):
            for batch in dataset.take(count):
                finish(batch)
        return _cpu_s() - cpu, time.perf_counter() - wall

    def finish_step(batch) -> None:
        image = warp.finish(batch, options.image_size)["image"]
        assert image.dtype == tf.float32

    return {
        _HOST: functools.partial(take, host, finish_step),
        _HOST_PART: functools.partial(take, step, lambda batch: None),
        _STEP: functools.partial(take, step, finish_step),
    }


def check_same(folder: pathlib.Path, options: Options) -> None:
    """Compares both sides without augmentation on eight images of a batch.

    Raises:
        ValueError: they differ by more than antialiasing.
    """
    from training.data.pipeline import warp

    no_augmentation = config.Augment(scale=(1.0, 1.0), shift=0.0, flip=0.0)
    dataset = _images.batches(
        folder, options.batch, options.image_size, augment=no_augmentation
    )
    batch = next(iter(dataset))
    batch = warp.finish(batch, options.image_size)
    items = PeerItems(folder, options.image_size, options.count)
    for row, name in enumerate(batch["example_id"].numpy()[:8]):
        image, keypoints = items.item(int(name), 0.0, 1.0, (0, 0), False)
        gray_error = np.abs(
            batch["image"][row].numpy() - image.transpose(1, 2, 0)
        ).mean()
        offsets = batch["keypoints"][row].numpy() - keypoints
        keypoint_error = np.abs(offsets).max()
        if not (gray_error < 8 and keypoint_error < 1e-3):
            raise ValueError(
                f"Picture {int(name)}: the sides differ by {gray_error:.1f} "
                f"gray levels and {keypoint_error:.1e} of half a crop in the "
                "keypoints, expected less than 8 and 1e-3: they do not do the "
                "same work, so their times say nothing. Run the tests of "
                "training.data."
            )


def _in_turns(sides: dict[str, Pass], options: Options) -> dict[str, list]:
    """Measures each side once a round, without the first round."""
    passes = {name: [] for name in sides}
    for number in progress.bar(range(options.rounds + 1), "rounds"):
        for name, run_pass in sides.items():
            short_pass = run_pass(_SHORT)
            long_pass = run_pass(_SHORT + options.batches)
            if number:
                pairs = zip(short_pass, long_pass, strict=True)
                passes[name].append(tuple(b - a for a, b in pairs))
    return passes
