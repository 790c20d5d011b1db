"""Detectors: squares of a photo in which a person may be.

Each runs a network of landmark_files on windows of the photo. What overlaps
within a detector is one answer; whether answers of several detectors are one
person is told by their landmarks (`merging`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_hmr import landmark_files
from tf_hmr.detection import anchors, litert, probability, squares


class Candidate(NamedTuple):
    """A square that may hold a person.

    Attributes:
        square: around all of that person, inside the photo or not.
        score: the detector's, 0..1.
    """

    square: squares.Square
    score: float


class _Answers(NamedTuple):
    """N answers of a network in edges of a photo.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2.
        points: (N, K, 2) further points of the network.
        scores: (N,) probabilities.
    """

    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray


class Detector:
    """A network with anchors; subclasses say what its numbers mean."""

    file: landmark_files.NetworkFile
    min_score: float
    """Answers below this probability do not count."""
    most_overlap: float
    """Intersection over union from which two boxes are one person's."""

    def __init__(self, threads: int = 1, folder: Path | None = None):
        """Loads it; arguments and errors are those of litert.Network."""
        self._network = litert.Network(self.file, threads, folder)
        self._anchors = self._make_anchors()

    def __call__(
        self, photo: squares.Pyramid, windows: Sequence[squares.Square]
    ) -> list[Candidate]:
        """The candidates of one or more windows of a photo, the best first."""
        answers = _Answers(
            *map(
                np.concatenate,
                zip(*(self._look(photo, w) for w in windows), strict=True),
            )
        )
        groups = anchors.suppress(
            answers.boxes, answers.scores, self.most_overlap
        )
        return [
            Candidate(
                self._square(_Answers(*(field[group] for field in answers))),
                float(answers.scores[group[0]]),
            )
            for group in groups
        ]

    def _look(self, photo: squares.Pyramid, window: squares.Square) -> _Answers:
        """The likely answers of one window."""
        crop = photo.crop(window, self._network.size)
        outputs = self._network(np.float32(crop) / 127.5 - 1)
        answers = self._decode(outputs)
        corner = np.array([window.x, window.y]) - window.side / 2
        return answers._replace(
            boxes=answers.boxes * window.side + np.tile(corner, 2),
            points=answers.points * window.side + corner,
        )

    def _make_anchors(self) -> np.ndarray:
        """(A, ...) the network's anchors."""
        raise NotImplementedError

    def _decode(self, outputs: dict[tuple, np.ndarray]) -> _Answers:
        """Likely answers in shares of the window."""
        raise NotImplementedError

    def _square(self, group: _Answers) -> squares.Square:
        """The square of answers that are one, the best first."""
        raise NotImplementedError


class _MediaPipeDetector(Detector):
    """Answers are x, y, width, height and points in the network's pixels.

    The middle and the points are relative to an anchor of size 1.
    """

    num_points: int

    def _decode(self, outputs):
        count = len(self._anchors)
        scores = probability.expit(outputs[(count, 1)][:, 0])
        likely = scores > self.min_score
        cells = self._anchors[likely]
        rows = outputs[(count, 4 + 2 * self.num_points)][likely]
        rows = rows.reshape(-1, 2 + self.num_points, 2) / self._network.size
        middles, half = rows[:, 0] + cells, rows[:, 1] / 2
        return _Answers(
            np.hstack([middles - half, middles + half]),
            rows[:, 2:] + cells[:, None],
            scores[likely],
        )


class PeopleDetector(_MediaPipeDetector):
    """BlazePose's own detector: circles about the hips of people.

    Its training pictures show a person or two, and so it overlooks small
    people and those in a crowd.
    """

    file = landmark_files.PEOPLE
    min_score = 0.5
    most_overlap = 0.3
    num_points = 4

    def _make_anchors(self):
        return np.concatenate(
            [anchors.grid(28, 2), anchors.grid(14, 2), anchors.grid(7, 6)]
        )

    def _square(self, group):
        # MediaPipe's weighted suppression: the mean by score.
        weights = group.scores / group.scores.sum()
        middle, rim = np.einsum("n,nkc->kc", weights, group.points[:, :2])
        return squares.of_circle(middle, rim)


class FaceDetector(_MediaPipeDetector):
    """Faces, below which a body is expected."""

    file = landmark_files.FACES
    min_score = 0.6
    most_overlap = 0.3
    num_points = 6

    # In heights of the face: the middle of a standing body below that of its
    # face, and the side of the square around it.
    _drop, _side = 2.6, 8.2

    def _make_anchors(self):
        return anchors.grid(48)

    def _square(self, group):
        x1, y1, x2, y2 = group.boxes[0].tolist()
        height = max(x2 - x1, y2 - y1)
        middle = (y1 + y2) / 2 + self._drop * height
        return squares.Square((x1 + x2) / 2, middle, self._side * height)


class PersonDetector(Detector):
    """Persons of Open Images: also those from behind, seated or in a crowd.

    Its file is there only after `landmark_files --crowds`.
    """

    file = landmark_files.PERSONS
    min_score = 0.4
    most_overlap = 0.55

    _person, _num_classes = 4, 24
    # Divisors of the answers (the Detection API's box coder).
    _place_scale, _size_scale = 10.0, 5.0
    _room = 1.25

    def _make_anchors(self):
        return anchors.of_scales((19, 10, 5, 3, 2, 1))

    def _decode(self, outputs):
        count = len(self._anchors)
        logits = outputs[(count, self._num_classes)][:, self._person]
        scores = probability.expit(logits)
        likely = scores > self.min_score
        boxes = self._anchors[likely]
        rows = outputs[(count, 4)][likely]
        # Rows are y, x, height, width.
        offset = rows[:, [1, 0]] / self._place_scale
        # A person larger than some windows is an error of the network.
        growth = np.exp(np.minimum(rows[:, [3, 2]] / self._size_scale, 3))
        middles = boxes[:, :2] + offset * boxes[:, 2:]
        half = growth * boxes[:, 2:] / 2
        return _Answers(
            np.hstack([middles - half, middles + half]),
            np.zeros((len(boxes), 0, 2)),
            scores[likely],
        )

    def _square(self, group):
        x1, y1, x2, y2 = group.boxes[0].tolist()
        side = self._room * max(x2 - x1, y2 - y1)
        return squares.Square((x1 + x2) / 2, (y1 + y2) / 2, side)
