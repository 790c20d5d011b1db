"""Tours the code: people of photos, then a network that is trained and used.

    python -m training.demo --workdir runs/demo
    python -m training.demo --count 20000 --steps 4000      # make demo-long

Bodies of real and of rendered people come first, by the lifter that ships; then
a small network is trained on rendered people, evaluated, exported and run.
Every part is a command of its own, shown before it runs. When the demo is
started again, it keeps rendered people and trained steps; it repeats the rest.
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
PARTS = 9
PHOTOS = Path(__file__).parents[1] / "docs" / "photos"
EVALUATIONS = 8
"""Points of the learning curve."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """Command line of `training.demo`."""

    workdir: Path = Path("runs/demo")
    """Folder for all files of the demo."""
    count: int = 8000
    """Number of people to render for training."""
    size: int = 144
    """Side of their images in pixels."""
    steps: int = 1200
    """Training steps, with 32 images each."""


class StepError(RuntimeError):
    """Error of a command of the tour."""


class _Tour:
    """Runs commands, each under a line that says where the tour is."""

    def __init__(self):
        self._start, self._part = time.monotonic(), 0

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._start) / 60

    def run(self, title: str, module: str, *arguments) -> None:
        """Runs a command.

        Raises:
            StepError: it failed.
        """
        self._part += 1
        command = [sys.executable, "-m", module, *map(str, arguments)]
        command_line = " ".join(["python", *command[1:]])
        place = f"{self.minutes:4.1f} min, part {self._part} of {PARTS}"
        print(f"\n[{place}] {title}\n  {command_line}", flush=True)
        if subprocess.run(command).returncode:
            raise StepError(f"This command failed: {command_line}")


def demo(flags: Demo) -> list[Path]:
    """Runs the tour; returns the images that it made.

    Raises:
        StepError: a command failed; names it.
    """
    workdir, data, tour = flags.workdir, flags.workdir / "data", _Tour()
    train, test = data / "synthetic", data / "synthetic_v1"
    if PHOTOS.is_dir():  # Not in an installed package.
        tour.run(
            "Finding everybody in two photos, and their bodies",
            *("tf_hmr", PHOTOS, "--out", workdir / "photos"),
        )
    tour.run(
        "Rendering people to test on",
        *("training.prepare", "synthetic", "--out", test),
        *("--protocol", "synthetic_v1"),
    )
    photos, boxes = write_photos(test, workdir / "rendered")
    tour.run(
        "Bodies of some of them, by the lifter that ships",
        *("tf_hmr", *photos, "--boxes", boxes, "--method", "lift"),
        *("--out", workdir / "lifted"),
    )
    _show("Pictures up to here", _pictures_of_lifter(workdir))
    tour.run(
        "Rendering other people to train on",
        *("training.prepare", "synthetic", "--out", train),
        *("--count", flags.count, "--size", flags.size),
    )
    every = max(1, flags.steps // EVALUATIONS)
    tour.run(
        "Training (HMR, the small variant)",
        *("training.fit", "quick", "--workdir", workdir, "--records", data),
        *("--steps", flags.steps, "--eval-every", every),
    )
    weights = ["--weights", workdir]
    tour.run(
        "Evaluating, with the mean pose as a baseline",
        *("training.evaluate", *weights, "--records", data),
        *("--protocol", "synthetic_v1"),
    )
    curve = draw_curve(workdir)
    tour.run(
        "Bodies of the same rendered people, by the network just trained",
        *("tf_hmr", *photos, "--boxes", boxes, *weights),
        *("--out", workdir / "people"),
    )
    model = workdir / "model.tflite"
    tour.run(
        "Exporting one file for phones and boards",
        *("edge.export", *weights, "--out", model),
    )
    tour.run(
        "Running that file, without TensorFlow",
        *("edge.run", model, photos[0], "--box", *_box(boxes, photos[0])),
        *("--out", workdir / "edge"),
    )
    images = _pictures_of_lifter(workdir) + [
        train / "train.png",
        curve,
        workdir / "results" / "synthetic_v1.png",
    ]
    images += listing.files(workdir / "people", "*_people.png")
    images += listing.files(workdir / "edge", "*.png")
    _show(f"Done in {tour.minutes:.1f} minutes. Look at", images)
    return images


def _pictures_of_lifter(workdir: Path) -> list[Path]:
    return [
        path
        for folder in ("photos", "lifted")
        for path in listing.files(workdir / folder, "*_people.png")
    ]


def _show(title: str, images: list[Path]) -> None:
    print(
        f"\n{title}:", *(f"  {path}" for path in images), sep="\n", flush=True
    )


def draw_curve(workdir: Path) -> Path:
    """Plots the error on validation people against minutes of training."""
    from training.engine import model_selection, run_log

    lines = run_log.read_metrics(
        workdir / run_log.METRICS_FILE, model_selection.EVALUATION
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
