"""Tours the code: renders people, trains a model, evaluates and uses it.

    python -m training.demo --workdir runs/demo

Every part is a command of its own, shown before it runs. When the demo is
started again, it keeps rendered people and trained steps; it repeats the
evaluation, figures and export, which take a minute.
"""

import dataclasses
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import tyro

from tf_hmr.formats import listing
from training import visualization
from training.data.records import schema, shards

EXAMPLES = 6


@dataclasses.dataclass(frozen=True)
class Demo:
    """Command line of `training.demo`."""

    workdir: Path = Path("runs/demo")
    """Folder for all files of the demo."""
    count: int = 20000
    """Number of people to render for training."""
    size: int = 144
    """Side of their images in pixels."""
    steps: int = 0
    """Training steps; 0: as in the experiment 'quick'."""


class StepError(RuntimeError):
    """Error of a command of the tour."""


def demo(flags: Demo) -> list[Path]:
    """Runs the tour; returns the images that it made.

    Raises:
        StepError: a command failed; names it.
    """
    workdir, data = flags.workdir, flags.workdir / "data"
    start = time.monotonic()

    def run(title: str, module: str, *arguments) -> None:
        minutes = (time.monotonic() - start) / 60
        command = [sys.executable, "-m", module, *map(str, arguments)]
        command_line = " ".join(["python", *command[1:]])
        print(f"\n[{minutes:4.1f} min] {title}\n  {command_line}", flush=True)
        if subprocess.run(command).returncode:
            raise StepError(f"This command failed: {command_line}")

    train, test = data / "synthetic", data / "synthetic_v1"
    render = ["training.prepare", "synthetic", "--out"]
    size = ["--count", flags.count, "--size", flags.size]
    run("Rendering people for training", *render, train, *size)
    run(
        "Rendering other people for testing",
        *render,
        test,
        "--protocol",
        "synthetic_v1",
    )
    fit = ["training.fit", "quick", "--workdir", workdir, "--records", data]
    steps = ["--steps", flags.steps] if flags.steps else []
    run("Training (HMR, the small variant)", *fit, *steps)
    weights = ["--weights", workdir]
    run(
        "Evaluating, with the mean pose as a baseline",
        "training.evaluate",
        *weights,
        "--records",
        data,
        "--protocol",
        "synthetic_v1",
    )
    curve = draw_curve(workdir)
    photos, boxes = write_photos(test, workdir / "photos")
    people = ["--boxes", boxes, *weights, "--out", workdir / "people"]
    run("Recovering bodies from photos", "tf_hmr", *photos, *people)
    model = workdir / "model.tflite"
    export = ["edge.export", *weights, "--out", model]
    run("Exporting one file for phones and boards", *export)
    box = ["--box", *_box(boxes, photos[0])]
    run(
        "Running that file, without TensorFlow",
        "edge.run",
        model,
        photos[0],
        *box,
        "--out",
        workdir / "edge",
    )
    minutes = (time.monotonic() - start) / 60
    print(f"\nDone in {minutes:.1f} minutes. Look at:")
    images = [
        train / "train.png",
        curve,
        workdir / "results" / "synthetic_v1.png",
    ]
    images += listing.files(workdir / "people", "*.png")
    images += listing.files(workdir / "edge", "*.png")
    for path in images:
        print(f"  {path}")
    return images


def draw_curve(workdir: Path) -> Path:
    """Plots the error on validation people against minutes of training."""
    from training.engine import loop, run_log

    lines = run_log.read_metrics(
        workdir / run_log.METRICS_FILE, loop.EVALUATION
    )
    results = json.loads(
        (workdir / "results" / "synthetic_v1.json").read_text()
    )
    minutes = [line["trained_s"] / 60 for line in lines]
    names = {"mpjpe_mm": "MPJPE", "pa_mpjpe_mm": "PA-MPJPE"}
    mean = results["baselines"]["mean_pose"]
    return visualization.curve(
        {
            label: (minutes, [line[key] for line in lines])
            for key, label in names.items()
        },
        {label: mean[key] for key, label in names.items()},
        workdir / "results" / "curve.png",
        ylabel="error on synthetic people (mm)",
    )


def write_photos(folder: Path, out: Path) -> tuple[list[Path], Path]:
    """Writes some test people as JPEG files, and a COCO file of their boxes."""
    stored = shards.Records(folder, "test")
    out.mkdir(parents=True, exist_ok=True)
    paths, images, annotations = [], [], []
    for number in range(EXAMPLES):
        example = schema.decode(stored.read(number))
        path = out / f"person{number}.jpg"
        path.write_bytes(example.image)
        paths.append(path)
        images.append({"id": number, "file_name": path.name})
        annotations.append(
            {
                "image_id": number,
                "category_id": 1,
                "bbox": np.asarray(example.box, float).tolist(),
            }
        )
    boxes = out / "boxes.json"
    boxes.write_text(json.dumps({"images": images, "annotations": annotations}))
    return paths, boxes


def _box(boxes: Path, photo: Path) -> list[float]:
    content = json.loads(boxes.read_text())
    ids = {image["file_name"]: image["id"] for image in content["images"]}
    return next(
        row["bbox"]
        for row in content["annotations"]
        if row["image_id"] == ids[photo.name]
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns 0 if all images are made."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Demo,
        prog="python -m training.demo",
        description=__doc__,
        args=arguments,
    )
    try:
        images = demo(flags)
    except StepError as error:
        print(f"training.demo: {error}", file=sys.stderr)
        return 1
    unreadable = [path for path in images if cv2.imread(str(path)) is None]
    if unreadable:
        print(f"training.demo: not made: {unreadable}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
