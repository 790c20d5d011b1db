"""The tour: people are made, a model learns, is measured, and is put to use.

    python -m training.demo --workdir runs/demo

Every part is a command that anyone could type; it is shown before it runs.
When the demo is started again, people that are rendered and steps that are
trained are not repeated; measuring, pictures and export take a minute and are.
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

from training import visualization
from training.data.records import schema, shards
from training.engine import loop, run_log

EXAMPLES = 6


@dataclasses.dataclass(frozen=True)
class Demo:
    """Command line of `training.demo`."""

    workdir: Path = Path("runs/demo")
    """Everything is made in this folder."""
    count: int = 20000
    """How many people to render for training."""
    size: int = 144
    """Side of their pictures in pixels."""
    steps: int = 0
    """Training steps; 0 takes those of the experiment 'quick'."""


class StepError(RuntimeError):
    """A command of the tour failed."""


def demo(flags: Demo) -> list[Path]:
    """Runs the tour; returns the pictures it made.

    Raises:
        StepError: a command failed; names it.
    """
    base, data = flags.workdir, flags.workdir / "data"
    start = time.monotonic()

    def run(title: str, module: str, *words) -> None:
        minutes = (time.monotonic() - start) / 60
        command = [sys.executable, "-m", module, *map(str, words)]
        shown = " ".join(["python", *command[1:]])
        print(f"\n[{minutes:4.1f} min] {title}\n  {shown}", flush=True)
        if subprocess.run(command).returncode:
            raise StepError(f"This command failed: {shown}")

    train, test = data / "synthetic", data / "synthetic_v1"
    run(
        "Rendering people to learn from",
        "training.prepare",
        *("synthetic", "--out", train),
        *("--count", flags.count, "--size", flags.size),
    )
    run(
        "Rendering people to be tested on, none of them among the first",
        "training.prepare",
        *("synthetic", "--out", test, "--protocol", "synthetic_v1"),
    )
    run(
        "Learning (HMR, the small variant)",
        "training.fit",
        *("quick", "--workdir", base, "--records", data),
        *(("--steps", flags.steps) if flags.steps else ()),
    )
    run(
        "Measuring, beside always answering with the mean pose",
        "training.evaluate",
        *("--weights", base, "--records", data, "--protocol", "synthetic_v1"),
    )
    curve = draw_curve(base)
    photos, boxes = write_photos(test, base / "photos")
    run(
        "Pictures to bodies",
        "tf_hmr",
        *photos,
        *("--boxes", boxes, "--weights", base, "--out", base / "people"),
    )
    model = base / "model.tflite"
    run(
        "One file for phones and boards",
        "edge.export",
        *("--weights", base, "--out", model),
    )
    run(
        "That file, without TensorFlow",
        "edge.run",
        *(model, photos[0], "--box", *_box(boxes, photos[0])),
        *("--out", base / "edge"),
    )
    minutes = (time.monotonic() - start) / 60
    print(f"\nDone in {minutes:.1f} minutes. Look at:")
    made = [train / "train.png", curve, base / "results" / "synthetic_v1.png"]
    made += sorted((base / "people").glob("*.png"))
    made += sorted((base / "edge").glob("*.png"))
    for path in made:
        print(f"  {path}")
    return made


def draw_curve(workdir: Path) -> Path:
    """Error on the validation people against the minutes of training."""
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
            shown: (minutes, [line[key] for line in lines])
            for key, shown in names.items()
        },
        {shown: mean[key] for key, shown in names.items()},
        workdir / "results" / "curve.png",
        ylabel="error on synthetic people (mm)",
    )


def write_photos(folder: Path, out: Path) -> tuple[list[Path], Path]:
    """Some test people as JPEG files, and a COCO file of their boxes."""
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
    """Command line; 0 when all pictures are made."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Demo,
        prog="python -m training.demo",
        description=__doc__,
        args=arguments,
    )
    try:
        made = demo(flags)
    except StepError as error:
        print(f"training.demo: {error}", file=sys.stderr)
        return 1
    unreadable = [path for path in made if cv2.imread(str(path)) is None]
    if unreadable:
        print(f"training.demo: not made: {unreadable}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
