"""Times the preparation of records from photographs, and its memory.

    python -m training.benchmark prepare

Writes a set of 500 px JPEGs in COCO's layout and prepares it with two
processes, then one of ten times the people. The rate is that of the additional
people, so that the start of a run does not count. The last line is `images/s of
two cores N`.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tf_hmr import joints
from training.data.pipeline import pixels
from training.data.synthetic import people as synthetic

_IMAGES = 32  # Distinct images; the set repeats them.
_TIMES = 10
_GRAIN = 11  # gray levels


@dataclasses.dataclass
class Options:
    """Images per second of prepare coco, and its memory."""

    count: int = 400
    """People of the smaller set."""
    size: int = 500
    """Side of the images in pixels."""


class Run(NamedTuple):
    """Wall seconds, CPU seconds, and peak MiB of the largest process."""

    wall: float
    cpu: float
    peak_mib: float


def run(options: Options) -> float:
    """Measures and prints; returns images per second of two cores."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kib = write_images(root / "train2014", options.size)
        small, large = (
            measure(root, count)
            for count in (options.count, _TIMES * options.count)
        )
    added = (_TIMES - 1) * options.count
    cpu = (large.cpu - small.cpu) / added
    counts = (options.count, _TIMES * options.count)
    for count, measured in zip(counts, (small, large), strict=True):
        print(
            f"{count} people of {options.size} px, {kib:.0f} KiB each: "
            f"{measured.wall:.1f} s, {measured.cpu:.1f} s of CPU, "
            f"{measured.peak_mib:.0f} MiB at most in a process"
        )
    print(
        f"{1000 * cpu:.2f} ms of CPU per image, "
        f"{added / (large.wall - small.wall):.0f} images/s by the clock, "
        f"{large.peak_mib - small.peak_mib:+.0f} MiB for {_TIMES} times the "
        "people"
    )
    print(f"images/s of two cores {2 / cpu:.0f}")
    return 2 / cpu


def write_images(folder: Path, size: int) -> float:
    """Writes the distinct images; returns the mean KiB of a file."""
    folder.mkdir(parents=True)
    people = synthetic.People(3, settings=synthetic.Settings(size=size))
    labels = []
    for number, example in enumerate(people.examples(0, _IMAGES)):
        path = folder / f"COCO_train2014_{number:012d}.jpg"
        path.write_bytes(_with_grain(example, number))
        labels.append(_annotation(example))
    (folder.parent / "labels.json").write_text(json.dumps(labels))
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return sum(sizes) / len(sizes) / 1024


def measure(root: Path, count: int) -> Run:
    """Prepares a set of `count` people in a process of its own."""
    labels = json.loads((root / "labels.json").read_text())
    content = {"images": [], "annotations": []}
    for number in range(count):
        label = labels[number % len(labels)]
        file = f"COCO_train2014_{number:012d}.jpg"
        path = root / "train2014" / file
        if not path.exists():
            original = f"COCO_train2014_{number % len(labels):012d}.jpg"
            os.link(root / "train2014" / original, path)
        entry = {"id": number, "file_name": file}
        content["images"].append(entry | label["picture"])
        entry = {"id": number, "image_id": number, "category_id": 1}
        content["annotations"].append(entry | label["annotation"])
    path = root / "annotations" / "person_keypoints_train2014.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    command = [sys.executable, "-m", "training.prepare", "coco"]
    command += ["--workers", "2"]
    command += ["--root", str(root), "--out", str(root / f"out{count}")]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"prepare ended with status {process.returncode}")
    seconds = time.perf_counter() - start
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss / 1024)


def _with_grain(example, number: int) -> bytes:
    """JPEG with noise that makes the file as large as a photograph's."""
    image = pixels.decode_jpeg(example.image, (example.width, example.height))
    grain = np.random.default_rng(number).normal(0, _GRAIN, image.shape)
    noisy = np.clip(image + grain, 0, 255).astype(np.uint8)
    setting = cv2.IMWRITE_JPEG_QUALITY, 90
    return cv2.imencode(".jpg", noisy[..., ::-1], setting)[1].tobytes()


def _annotation(example) -> dict:
    """A person as in COCO, with a mask of as many corners as usual."""
    indices = list(joints.select(joints.COCO17, joints.KEYPOINTS))
    points = example.keypoints[indices].copy()
    points[:, 2] = 2
    x, y, w, h = (float(number) for number in example.box)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 1
    outline = outline * (w / 2, h / 2) + (x, y)
    return {
        "picture": {"width": example.width, "height": example.height},
        "annotation": {
            "bbox": [x, y, w, h],
            "num_keypoints": len(points),
            "keypoints": points.ravel().tolist(),
            "segmentation": [outline.ravel().tolist()],
        },
    }
