"""How fast training pictures are made, beside a PyTorch DataLoader with OpenCV.

    python -m training.benchmark pipeline

Both sides read the same JPEGs of about 500 x 500 pixels and 62 KB, quality
90: rendered people, under noise of several scales that makes them as large as
photographs of that size are. Both cut 224 pixel crops with random rotation,
scale, shift and flip, move the keypoints along with left and right swapped,
and give float32 batches of 64. The peer does what loaders of this field do:
two workers, one cv2.imread and one cv2.warpAffine per item, channels first.
It does not antialias; ours does, and makes every 3D label besides.

The sides run in turns. Seconds are CPU time of all processes of a side, per
image, without the start of a pass, which a short pass measures; a row is the
median of its turns. "Host part" is what is left for the
processor where the warp runs in the step (`--data.warp step`). The last lines
are `ratio host N.N` and `ratio host part N.N`: the peer's time over ours.
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

from tf_hmr import joints
from training import config
from training.benchmarks import _images as pictures

_PEER = "PyTorch DataLoader + cv2"
_HOST, _PART, _WHOLE = (
    "tf_hmr, warp on the host",
    "tf_hmr, host part",
    "tf_hmr, warp in the step",
)


@dataclasses.dataclass
class Options(pictures.Options):
    """CPU time per training picture, and pictures per second."""


Pass = Callable[[int], tuple[float, float]]
"""Makes so many batches; seconds of CPU time and seconds."""
_SHORT = 2
"""Batches of the pass that measures what a start takes."""


def run(options: Options) -> dict[str, float]:
    """Measures and prints; returns the ratios, without PyTorch none.

    Raises:
        ValueError: the two sides do not make the same picture.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        kilobytes = pictures.write(
            folder, options.count, options.size, options.seed
        )
        check_same(folder, options)
        sides = _ours(folder, options)
        peer = None
        if importlib.util.find_spec("torch"):
            peer = Peer(folder, options)
            sides = {_PEER: peer} | sides
        try:
            measured = _in_turns(sides, options)
        finally:
            if peer:
                peer.close()
    print(
        f"{options.count} JPEGs of {options.size} px, {kilobytes:.0f} KB each "
        f"-> crops of {options.image_size} px in batches of {options.batch}"
    )
    return _told(measured, options.batch * options.batches)


def _told(measured: dict[str, list], images: int) -> dict[str, float]:
    """Prints the rows and the ratios of turns of `images`; the ratios."""
    cpu, wall = (
        {
            name: statistics.median(turn[k] for turn in turns) / images
            for name, turns in measured.items()
        }
        for k in (0, 1)
    )
    for name in measured:
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
        "host part": cpu[_PEER] / cpu[_PART],
    }
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio:.1f}")
    return ratios


class PeerItems:
    """What a DataLoader reads: an image and its keypoints by number."""

    def __init__(self, folder: pathlib.Path, image_size: int, length: int):
        self.folder, self.side, self.length = folder, image_size, length
        labels = np.load(folder / "labels.npz")
        self.boxes, self.points = labels["boxes"], labels["points"]
        self.mirror = np.array(joints.mirror(joints.KEYPOINTS))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        angle = 0.0
        if random.random() < pictures.AUGMENT.rotation_probability:
            angle = pictures.AUGMENT.rotation_deg * random.gauss(0, 1)
        reach = pictures.AUGMENT.shift
        shift = [random.uniform(-reach, reach) for _ in range(2)]
        scale = random.uniform(*pictures.AUGMENT.scale)
        flip = random.random() < pictures.AUGMENT.flip
        return self.item(number % len(self.boxes), angle, scale, shift, flip)

    def item(self, number, angle, scale, shift, flip):
        """Picture (3, S, S) float32 0..255 and keypoints (K, 3), ndc."""
        image = cv2.imread(str(self.folder / f"{number:05d}.jpg"))
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        x, y, side, _ = self.boxes[number]
        centre = np.array([x, y]) + side * (0.5 + np.array(shift)) - 0.5
        zoom, turn = scale * self.side / side, math.radians(angle)
        cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
        linear = np.array([[cos, -sin], [sin, cos]])
        if flip:
            linear[0] = -linear[0]
        middle = (self.side - 1) / 2
        matrix = np.column_stack([linear, middle - linear @ centre])
        picture = cv2.warpAffine(
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
        picture = picture.transpose(2, 0, 1).astype(np.float32)
        return picture, points.astype(np.float32)


class Peer:
    """The peer's passes, in a process that never calls TensorFlow."""

    def __init__(self, folder: pathlib.Path, options: Options):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, folder, options)
        self._process = context.Process(target=_peer, args=arguments)
        self._process.start()
        theirs.close()

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
            # The default on Linux, but not in a process that was spawned.
            multiprocessing_context="fork",
        )
        for images, _ in loader:
            assert images.shape == shape
        del loader
        pipe.send((_cpu_s() - cpu, time.perf_counter() - wall))


def _cpu_s() -> float:
    """Of this process and of its children that have ended, as workers have."""
    return sum(os.times()[:4])


def _ours(folder: pathlib.Path, options: Options) -> dict[str, Pass]:
    import tensorflow as tf

    from training.data.pipeline import warp

    # The peer is measured without a GPU.
    with tf.device("cpu"):
        host, step = (
            pictures.batches(
                folder, options.batch, options.image_size, warp=how
            )
            for how in ("host", "step")
        )

    def take(dataset, finish: Callable, count: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), _cpu_s()
        with tf.device("cpu"):
            for batch in dataset.take(count):
                finish(batch)
        return _cpu_s() - cpu, time.perf_counter() - wall

    def whole(batch) -> None:
        image = warp.finish(batch, options.image_size)["image"]
        assert image.dtype == tf.float32

    return {
        _HOST: functools.partial(take, host, whole),
        _PART: functools.partial(take, step, lambda batch: None),
        _WHOLE: functools.partial(take, step, whole),
    }


def check_same(folder: pathlib.Path, options: Options) -> None:
    """Both sides, without augmentation, on every picture of a batch.

    Raises:
        ValueError: they differ by more than antialiasing.
    """
    from training.data.pipeline import warp

    plain = config.Augment(scale=(1.0, 1.0), shift=0.0, flip=0.0)
    made = pictures.batches(
        folder, options.batch, options.image_size, augment=plain
    )
    batch = next(iter(made))
    batch = warp.finish(batch, options.image_size)
    items = PeerItems(folder, options.image_size, options.count)
    for row, name in enumerate(batch["example_id"].numpy()[:8]):
        image, points = items.item(int(name), 0.0, 1.0, (0, 0), False)
        grays = np.abs(
            batch["image"][row].numpy() - image.transpose(1, 2, 0)
        ).mean()
        moved = np.abs(batch["keypoints"][row].numpy() - points).max()
        if not (grays < 8 and moved < 1e-3):
            raise ValueError(
                f"Picture {int(name)}: the sides differ by {grays:.1f} gray "
                f"levels and {moved:.1e} of half a crop in the keypoints, "
                "expected less than 8 and 1e-3: they do not do the same work, "
                "so their times say nothing. Run the tests of training.data."
            )


def _in_turns(sides: dict[str, Pass], options: Options) -> dict[str, list]:
    """Every round measures each side once; the first round does not count."""
    measured = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name, take in sides.items():
            start = take(_SHORT)
            long = take(_SHORT + options.batches)
            if number:
                found = tuple(b - a for a, b in zip(start, long, strict=True))
                measured[name].append(found)
    return measured
