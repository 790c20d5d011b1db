"""Writes the files of the people of one video, frame by frame.

STEM.jsonl has a line per frame and person, as edge/run.py writes them, and
STEM_overlay.mp4 shows everybody with a number. Frames that were written stay
readable when a video breaks off.
"""

import json
import pathlib
from collections.abc import Mapping

import cv2
import numpy as np

from tf_hmr import keypoint_fitting, overlays

_CODECS = ((".mp4", "mp4v"), (".avi", "MJPG"))  # MJPG comes with every OpenCV.
_DECIMALS = 6


class Writer:
    """The files of one video; a context manager that closes them.

    Attributes:
        overlay_path: of the overlay.
    """

    def __init__(self, stem: pathlib.Path, fps: float, size: tuple[int, int]):
        """Opens the files.

        Args:
            stem: path and start of the names.
            fps: frames per second of the overlay.
            size: its width and height.

        Raises:
            OSError: a file cannot be written.
        """
        self._lines = stem.with_name(f"{stem.name}.jsonl").open(
            "w",
            buffering=1,
            encoding="utf-8",  # By line.
        )
        for ending, codec in _CODECS:
            path = stem.with_name(f"{stem.name}_overlay{ending}")
            code = cv2.VideoWriter_fourcc(*codec)
            self._video = cv2.VideoWriter(str(path), code, fps, size)
            self.overlay_path = path
            if self._video.isOpened():
                return
        self._lines.close()
        raise OSError(f"{path}: this OpenCV cannot write videos.")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_) -> None:
        self._lines.close()
        self._video.release()

    def write(
        self,
        frame: int,
        seconds: float,
        image: np.ndarray,
        people: Mapping[int, keypoint_fitting.FittedPerson],
        states: Mapping[int, str],
        ms: Mapping[str, float],
    ) -> None:
        """Writes one frame.

        Args:
            frame: its number.
            seconds: its time in the video.
            image: (H, W, 3) uint8 RGB.
            people: by number; those who cannot be drawn are left out.
            states: "start", "tracked", or "lost" of those without a body.
            ms: milliseconds by stage.
        """
        for number, state in states.items():
            line = {"frame": frame, "time_s": seconds, "state": state}
            if number in people:
                line |= _numbers(people[number])
            line |= {
                "ms": {n: round(v, 3) for n, v in ms.items()},
                "track": number,
            }
            self._lines.write(json.dumps(line, allow_nan=False) + "\n")
        bodies = [fit.person for fit in people.values()]
        overlay = overlays.draw(image, bodies, list(people))
        overlays.label(overlay, bodies, list(people))
        self._video.write(cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))


def _numbers(fit: keypoint_fitting.FittedPerson) -> dict:
    """What a line says of a body, by the keys of edge/run.py."""
    person = fit.person
    values = {
        "reprojection_px_at_224": fit.error,
        "box_px": person.box,
        "crop_box_px": person.crop_box,
        "pose_rotvec": person.pose,
        "betas": person.betas,
        "joints_m": person.joints,
        "keypoints_px": person.keypoints_px,
        "focal_px": person.focal_px,
        "principal_point_px": person.principal_point,
        "translation_m": person.translation,
    }
    rounded = {
        name: np.round(np.float64(value), _DECIMALS).tolist()
        for name, value in values.items()
    }
    return {
        "image_size_px": list(person.image_size),
        **rounded,
        "topology": person.topology,
    }
