"""What tf_hmr.detection makes of photos, with every answer of its networks.

Detectors and landmark network are asked in one order; a runtime that asks for
other squares, or in another order, differs.
"""

from unittest import mock

import cv2
import numpy as np

from tests.support import photos, rendered_groups
from tests.support.paths import ROOT
from tests.support.phone_vectors.arrays import Folder
from tf_hmr import landmark_files, landmark_fitting
from tf_hmr.detection import finder, litert, merging, squares
from tf_hmr.formats import image_files
from tf_hmr.geometry import crop as crops

NETWORKS = {
    landmark_files.PEOPLE.name: "people",
    landmark_files.FACES.name: "faces",
    landmark_files.LANDMARKS.name: "landmarks",
}
_ELEMENTS = 100_000
"""Larger outputs than this are the landmark network's mask, or not used."""


def make(folder: Folder) -> None:
    """Writes all photos."""
    # Without the detector of persons, which a machine may not have.
    with _Recorder(folder) as recorder:
        find = finder.Finder(crowds=False)
        entries = [
            _entry(folder, find, recorder, name, image)
            for name, image in _images().items()
        ]
    folder.finish({"photos": entries})


def _images() -> dict[str, np.ndarray]:
    content = (ROOT / "docs" / "photos" / "cyclists.jpg").read_bytes()
    photo = image_files.decode(content)
    person = rendered_groups.person(1)[0]
    wide_image = np.full((97, 301, 3), 90, np.uint8)
    wide_image[:, 120:217] = cv2.resize(person, (97, 97))
    return {
        "person": person,
        "turned": np.ascontiguousarray(np.rot90(person, -1)),
        "group": rendered_groups.group(0).image,
        "cyclists": cv2.cvtColor(photo, cv2.COLOR_BGR2RGB),
        "small": wide_image,
        "nobody": photos.image(320, 200),
        "line": np.full((2, 900, 3), 128, np.uint8),
    }


class _Recorder:
    """Notes each call of a network, and the crop that it was given."""

    def __init__(self, folder: Folder):
        self.calls = []
        self._folder = folder
        self._last_crop = None
        self._names = {}
        self._patches = mock.patch.multiple(
            litert.Network,
            __init__=self._wrapped_init(litert.Network.__init__),
            __call__=self._wrapped_call(litert.Network.__call__),
        )
        self._crop = mock.patch.object(
            squares.Pyramid, "crop", self._wrapped_crop(squares.Pyramid.crop)
        )

    def __enter__(self):
        self._patches.start()
        self._crop.start()
        return self

    def __exit__(self, *_):
        self._crop.stop()
        self._patches.stop()

    def _wrapped_init(self, init):
        def noted(network, file, *arguments):
            init(network, file, *arguments)
            self._names[id(network)] = NETWORKS[file.name]

        return noted

    def _wrapped_crop(self, crop):
        def noted(pyramid, square, size):
            result = crop(pyramid, square, size)
            self._last_crop = (square, result)
            return result

        return noted

    def _wrapped_call(self, call):
        def noted(network, image):
            outputs = call(network, image)
            square, crop = self._last_crop
            self.calls.append(
                {
                    "network": self._names[id(network)],
                    "square": list(map(float, square)),
                    "crop": self._folder.add("crop", crop),
                    "outputs": [
                        self._folder.add("output", values)
                        for shape, values in outputs.items()
                        if np.prod(shape) < _ELEMENTS
                    ],
                }
            )
            return outputs

        return noted


def _entry(folder, find, recorder, name, image):
    recorder.calls = []
    people = find(image)
    return {
        "name": name,
        "image": folder.add("image", image),
        "calls": recorder.calls,
        "people": [_person(folder, answer) for answer in people],
    }


def _person(folder, answer):
    points = landmark_fitting.keypoints(answer.points)
    person = {
        "points": folder.add("points", answer.points),
        "presence": answer.presence,
        "quality": merging.quality(answer),
        "square": list(map(float, answer.square)),
        "next_square": list(map(float, answer.next_square)),
        "seen": landmark_fitting.visible_count(answer.points),
    }
    if person["seen"] < landmark_fitting.MIN_KEYPOINTS:
        return person
    box = crops.box_of_keypoints(points[:, :2], points[:, 2] > 0)
    scale = landmark_fitting.load_lifter().config.crop_scale
    square = crops.square_box(box, scale)
    rows = answer.points.copy()
    rows[:, :2] = crops.pixels_to_ndc(rows[:, :2], square)
    person |= {"box": box, "crop_box": square}
    person["lifter_input"] = folder.add("lifter_input", rows)
    return person
