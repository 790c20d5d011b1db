"""Tracks of run.py through frames, with the answers that they were given.

A network's answers differ between runtimes, and the next square follows from
them: what is compared is what a track makes of recorded answers.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge import film, run
from tests.support import blob_people
from tests.support.phone_vectors.arrays import Folder
from tests.support.phone_vectors.landmark_model import LandmarkModel

FRAMES = 30
DRAWN_FRAMES = (0, 14, 29)
"""Frames of the walk of which the drawing is there too."""

REASON_KINDS = {
    "not finite": "no_answer",
    "of joints in the frame": "implausible",
    "other colours": "other_colours",
}


@dataclasses.dataclass
class Scene:
    """Frames and the model that sees them.

    Attributes:
        name: of the track.
        model: as run.Track wants it.
        images: (H, W, 3) uint8 RGB.
        times_s: one for each image.
        start_box: as of run.Track.
        smooth: as of run.Track.
        drawn_frames: numbers of those whose drawing is wanted.
    """

    name: str
    model: object
    images: Sequence[np.ndarray]
    times_s: Sequence[float]
    start_box: Sequence[float] | None
    smooth: bool = True
    drawn_frames: Sequence[int] = ()


class _Recorder:
    """A model that remembers its last crop and answer."""

    def __init__(self, model):
        self._model = model
        self.size, self.crop_scale = model.size, model.crop_scale
        self.focal_px = model.focal_px
        self.last = None

    def __call__(self, crop, square=None, size=None):
        outputs = self._model(crop, square, size)
        outputs = {n: np.float32(outputs[n]) for n in run.OUTPUTS}
        self.last = {"square": square, "crop": crop, "outputs": outputs}
        return outputs


class _Answering(blob_people.Model):
    """Blocks, of whom the last answer is altered."""

    def __init__(self, changes, after=0):
        super().__init__(noise=0.01)
        self._changes, self._after = changes, after

    def __call__(self, crop, square=None, size=None):
        outputs = super().__call__(crop)
        if self._after:
            self._after -= 1
            return outputs
        return outputs | self._changes


def make(folder: Folder) -> None:
    """Writes all tracks."""
    scenes = [_walk(), _blocks(), *_odd_answers(), _rotations()]
    folder.finish({"tracks": [_record(folder, scene) for scene in scenes]})


def _record(folder: Folder, scene: Scene) -> dict:
    """The entry of one scene, tracked by run.py."""
    recorder = _Recorder(scene.model)
    track = run.Track(scene.start_box, scene.smooth)
    frames = []
    for number, image in enumerate(scene.images):
        if isinstance(scene.model, LandmarkModel):
            scene.model.frame = image
        seconds = scene.times_s[number]
        record = track.update(recorder, image, seconds)
        del record["ms"]
        frame = {
            "image": folder.add("image", image),
            "time_s": seconds,
            "square": recorder.last["square"],
            "crop": folder.add("crop", recorder.last["crop"]),
            "outputs": folder.add_all(recorder.last["outputs"]),
            "record": record,
            "next_box": track.box,
            "mesh": None,
        }
        if "reason" in record:
            (frame["reason_kind"],) = [
                kind
                for words, kind in REASON_KINDS.items()
                if words in record["reason"]
            ]
        if track.mesh:
            vertices, pixels, depth = track.mesh
            frame["mesh"] = folder.add_all(
                {
                    "vertices": np.float64(vertices),
                    "pixels": np.float64(pixels),
                }
            )
            frame["mesh"]["depth"] = float(depth)
        if number in scene.drawn_frames:
            canvas = np.zeros_like(image)
            run.draw(canvas, *track.mesh[:2], scene.model.faces)
            frame["drawn"] = folder.add("drawn", canvas[..., ::-1])
        frames.append(frame)
    model = scene.model
    return {
        "name": scene.name,
        "model": {
            "size": model.size,
            "crop_scale": model.crop_scale,
            "inputs": list(getattr(model, "inputs", ("image",))),
            "topology": model.topology,
        },
        "start_box": scene.start_box,
        "smooth": scene.smooth,
        "faces": folder.add("faces", np.int32(model.faces)),
        "frames": frames,
    }


def _walk() -> Scene:
    """A rendered walker, as BlazePose and the lifter see it."""
    walk = film.Walk(film.Args(Path("walk.mp4"), frames=FRAMES))
    frames = list(walk.frames())
    box = frames[0][1][0].box.tolist()
    images = [image for image, _ in frames]
    times_s = [number / walk.args.fps for number in range(FRAMES)]
    model = LandmarkModel()
    return Scene("walk", model, images, times_s, box, drawn_frames=DRAWN_FRAMES)


def _blocks() -> Scene:
    """Somebody who is tracked, leaves, is back, leaves, and is forgotten."""
    rng = np.random.default_rng(2)
    people = [(60 + 3 * number, 80, 70) for number in range(12)]
    scenes = [[who] for who in people] + 5 * [[]] + 5 * [[people[0]]] + 8 * [[]]
    images = [blob_people.frame(scene, rng)[..., ::-1] for scene in scenes]
    times_s = [number / blob_people.FPS for number in range(len(images))]
    # After the patience, whoever is there is taken.
    times_s[26:] = [t + run.PATIENCE_S for t in times_s[26:]]
    model = blob_people.Model(noise=0.02)
    start_box = blob_people.box(*people[0])
    return Scene("blocks", model, images, times_s, start_box)


def _standing(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    frames = [blob_people.frame([(90, 80, 70)], rng) for _ in range(count)]
    return [frame[..., ::-1] for frame in frames]


def _odd_answers():
    """A track for each answer that is no person, after one that is."""
    nan, camera = np.float32(np.nan), np.float32([0.9, 0.0, 0.0])
    plain = blob_people.Model()(_standing(1)[0][:64, :64])
    nan_vertices = plain["vertices"].copy()
    nan_vertices[5, 1] = nan
    changes = {
        "not finite": {"vertices": nan_vertices, "betas": np.full(10, nan)},
        "scale 0": {"camera": np.float32([0.0, 0.0, 0.0])},
        "negative scale": {"camera": np.float32([-0.3, 0.0, 0.0])},
        "too far": {"camera": np.float32([0.1, 0.0, 0.0])},
        "too near": {"camera": np.float32([9.0, 0.0, 0.0])},
        "out of the frame": {"keypoints": plain["keypoints"] + 9},
        "half in the frame": {
            "keypoints": plain["keypoints"] * 3,
            "camera": camera,
        },
    }
    box = blob_people.box(90, 80, 70)
    for name, change in changes.items():
        for after in (0, 1):
            model = _Answering(change, after)
            label = f"{name}, {'later' if after else 'at once'}"
            yield Scene(label, model, _standing(3), (0.0, 0.04, 0.08), box)
    model = blob_people.Model(noise=0.02)
    times_s = (0.0, 0.04, 0.04, 0.2)  # One stands still.
    yield Scene("whole frame", model, _standing(4), times_s, None)
    yield Scene("unsmoothed", model, _standing(3), times_s[:3], box, False)


def _rotations() -> Scene:
    """Rotations whose vectors are hard to tell: none, half turns, no rotations.

    A method answers rotations; their smoothing does not leave them ones.
    """
    rng = np.random.default_rng(4)
    axes = np.concatenate([np.eye(3), -np.eye(3), rng.normal(0, 1, (6, 3))])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = (0.0, 1e-7, 1e-3, 1.0, 3.1, np.pi - 1e-6, np.pi, 3.2)
    rotmats = [
        cv2.Rodrigues(axes[row % len(axes)] * angles[row % len(angles)])[0]
        for row in range(24)
    ]
    rotmats = np.array(rotmats)
    rotmats[18:] += rng.normal(0, 0.15, rotmats[18:].shape)
    model = _Answering({"rotmats": np.float32(rotmats)})
    box = blob_people.box(90, 80, 70)
    return Scene("rotations", model, _standing(1), (0.0,), box, False)
