"""Finds and follows everybody on the device: what --find of edge/run.py does.

`python -m edge.finder FOLDER` packs this module, the page and tf_hmr/detection
into one file, FOLDER/finder.zip, from which run.py imports them; there they run
on Python 3.8 with numpy, OpenCV and LiteRT.
"""

import argparse
import sys
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from edge import live_page
from tf_hmr.detection import finder, tracking

LIFTER = "lifter.tflite"
NETWORKS = "networks"
"""Names in the folder of edge.finder."""

FOCAL_OVER_SIDE = 1.2
"""As in tf_hmr/recovery.py: with it people stand as far apart as people do."""

MIN_LANDMARKS = 8
"""Fewer landmarks inside the frame give no body."""

_INSIDE = 0.5  # As in tf_hmr/methods/lifter.py.
_ROOM = 1.2
_LABEL_BGR = ((0, 0, 0), (255, 255, 255))


class Finding:
    """The networks of a folder.

    Attributes:
        model: the lifter, a Model of run.py.
        page: a live_page.Page if one is asked for, else None.
    """

    def __init__(self, device: types.ModuleType, args: argparse.Namespace):
        """Loads them, and opens the page.

        Args:
            device: the module run.py.
            args: of its command line.

        Raises:
            OSError, ValueError: a file is missing or damaged, or options do
                not go together.
        """
        for name in ("box", "boxes"):
            if getattr(args, name):
                raise ValueError(f"--find finds everybody: leave --{name} away")
        folder = Path(args.find)

        class Lifter(device.Model):
            reads = ("landmarks",)

            def __call__(self, *_):
                """Outputs for the landmarks of nobody."""
                return self.answer({"landmarks": np.zeros((33, 7), np.float32)})

        self.model = Lifter(str(folder / LIFTER), args.threads)
        self._find = finder.Finder(args.threads, folder=folder / NETWORKS)
        self._args = args
        self._track_class = _track_class(device, args.focal)
        self.page = None
        if args.serve is not None:
            self.page = live_page.Page(args.serve)
            address = f"Open {self.page.address} in a browser of this machine"
            print(address, file=sys.stderr, flush=True)

    def people(self) -> Callable[[np.ndarray, float], dict]:
        """What follows the people of one source: `follow` of run.py's run."""
        tracker = tracking.Tracker(self._find)
        tracks = {}

        def follow(image: np.ndarray, seconds: float) -> dict:
            start = time.perf_counter()
            answers = tracker(image, seconds)
            ms = 1000 * (time.perf_counter() - start) / max(1, len(answers))
            # Who was lost before is no longer named, and starts anew.
            gone = [n for n, track in tracks.items() if track.answer is None]
            for number in gone:
                del tracks[number]
            for number in sorted({*tracks, *answers}):
                if number not in tracks:
                    smooth = not self._args.no_smooth
                    tracks[number] = self._track_class(number, smooth)
                tracks[number].answer = answers.get(number)
                tracks[number].find_ms = round(ms, 3)
            return tracks

        return follow


def _track_class(device: types.ModuleType, focal: float) -> type:
    """Track of run.py, with landmarks in place of a crop."""

    class Followed(device.Track):
        """One person.

        Attributes:
            answer: landmarks in this frame; None: out of sight.
            find_ms: this person's share of the time of finding.
        """

        answer, find_ms = None, 0.0

        def __init__(self, number: int, smooth: bool):
            super().__init__(None, smooth)
            self._number = number

        def update(self, model, image: np.ndarray, seconds: float) -> dict:
            """Places the body; returns the record for .jsonl."""
            if self.answer is None:
                return self._lost("out of sight")
            size, times = image.shape[1::-1], [time.perf_counter()]
            points = self.answer.points.copy()
            inside = self.answer.inside > _INSIDE
            if inside.sum() < MIN_LANDMARKS:
                return self._lost(f"only {inside.sum()} landmarks in the frame")
            box = _box(points[inside])
            square = device.square_box(box, _ROOM)
            points[:, :2] += 0.5 - np.array(square[:2])
            points[:, :2] *= 2 / square[2]
            points[:, :2] -= 1
            outputs = model.answer({"landmarks": points})
            times.append(time.perf_counter())
            if not _is_body(outputs):
                return self._lost("no body that is finite")
            focal_px = focal or FOCAL_OVER_SIDE * max(size)
            record = {
                "state": "tracked" if self.box else "start",
                "box_px": box,
                "crop_box_px": square,
                "image_size_px": size,
                **self.placement(outputs, square, size, focal_px, seconds),
            }
            self.box = box
            times.append(time.perf_counter())
            ms = np.round(1000 * np.diff(times), 3)
            ms = dict(
                zip(("model", "smooth"), ms, strict=True), find=self.find_ms
            )
            return dict(record, ms=ms)

        def label(self, image: np.ndarray) -> None:
            """Writes the number above the head, on a BGR image."""
            scale = max(0.6, min(image.shape[:2]) / 600)
            pixels = self.mesh[1]
            x, y = np.clip(pixels[pixels[:, 1].argmin()], -1e4, 1e4)
            corner = (int(x), int(max(y - 6, 22 * scale)))
            for bgr, width in zip(_LABEL_BGR, (5, 2), strict=True):
                cv2.putText(
                    image,
                    str(self._number),
                    corner,
                    cv2.FONT_HERSHEY_SIMPLEX,
                    scale,
                    bgr,
                    max(1, round(width * scale)),
                )

        def _lost(self, reason: str) -> dict:
            self._start()
            ms = {"find": self.find_ms}
            return {"state": "lost", "reason": reason, "ms": ms}

    return Followed


def _box(points: np.ndarray) -> list:
    """Box x, y, w, h, in pixel edges, of points (N, 7)."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return [*(low + 0.5).tolist(), *(high - low).tolist()]


def _is_body(outputs: Mapping[str, np.ndarray]) -> bool:
    finite = all(np.isfinite(value).all() for value in outputs.values())
    return bool(finite and outputs["camera"][0] > 0)
