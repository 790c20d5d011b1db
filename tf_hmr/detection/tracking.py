"""Follows everybody through a video, and keeps their numbers.

From frame to frame each person is looked at in the square that the answer
before asks for; now and then, and soon after somebody is lost, everybody is
found again. Landmarks tell which answers are one person's, as in a photo; who
a person is that was lost, or which of two people one answer shows where they
cross, is told by the colours of trunk and legs.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_hmr import joints
from tf_hmr.detection import finder, landmarks, merging, squares

PERIOD = 10
"""Frames after which everybody is found again."""

SOON = 3
"""Frames after which somebody who was just lost is looked for again."""

MIN_LIKENESS = 0.6
"""Bhattacharyya coefficient with a person's colours from which an answer may be
that person."""

PATIENCE_S = 60.0
"""A person who was away for longer gets a new number."""

_SEARCH_S = 1.0  # Seconds after a loss during which SOON applies.
_LEVELS = 6  # of each of red, green and blue
_RATE = 0.05  # of what a new frame adds to a person's colours
_STEP = 4  # every so many pixels of a mask are counted
_FEWEST = 12  # Pixels of which colours are a sign.

_SHOULDERS, _HIPS = (
    list(joints.select((f"left_{name}", f"right_{name}"), joints.BLAZEPOSE33))
    for name in ("shoulder", "hip")
)


class _Colours(NamedTuple):
    """Colours of trunk and legs: (2, 216) shares that sum to 1, or to 0."""

    shares: np.ndarray

    def likeness(self, colours: "_Colours") -> float:
        """0 for no colour in common, 1 for equal shares."""
        common = np.sqrt(self.shares * colours.shares).sum(axis=1)
        is_known = (self.shares.any(axis=1)) & (colours.shares.any(axis=1))
        return float(common[is_known].mean()) if is_known.any() else 1.0

    def mixed(self, colours: "_Colours") -> "_Colours":
        """These with a little of the others."""
        is_known = self.shares.any(axis=1) & colours.shares.any(axis=1)
        rate = np.where(self.shares.any(axis=1), _RATE * is_known, 1.0)[:, None]
        return _Colours((1 - rate) * self.shares + rate * colours.shares)


class _Track:
    """A person, in sight or not.

    Attributes:
        answer: the last one.
        colours: the person's.
        seen_s: time of the last answer.
        in_sight: whether the last frame showed the person.
    """

    def __init__(
        self, answer: landmarks.Landmarks, colours: _Colours, seconds: float
    ):
        self.answer, self.colours = answer, colours
        self.seen_s, self.in_sight = seconds, True

    def see(self, answer: landmarks.Landmarks, seconds: float) -> None:
        """Takes the answer of a frame."""
        self.answer, self.seen_s, self.in_sight = answer, seconds, True


class Tracker:
    """Follows the people of one video."""

    def __init__(
        self, find: finder.Finder, max_people: int = 20, period: int = PERIOD
    ):
        """Starts with nobody.

        Args:
            find: finds everybody in a frame.
            max_people: the most people that are followed, the first ones.
            period: frames after which everybody is found again.
        """
        self._find, self._max_people, self._period = find, max_people, period
        self._tracks: dict[int, _Track] = {}
        self._count = 0
        self._since_found = period

    def __call__(
        self, image: np.ndarray, seconds: float
    ) -> dict[int, landmarks.Landmarks]:
        """Sees the people of the next frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            seconds: time of the frame in the video.

        Returns:
            Answers by the person's number, which counts from 0 in the order of
            appearance.
        """
        photo = squares.Pyramid(image)
        self._forget(seconds)
        answers = self._look(photo)
        colours = {n: _colours(image, a) for n, a in answers.items()}
        for number in self._strangers(answers, colours):
            del answers[number]
        for number, track in self._tracks.items():
            track.in_sight = number in answers
        self._since_found += 1
        if self._since_found >= self._wait(seconds):
            self._since_found = 0
            self._find_more(photo, image, answers, colours, seconds)
        for number, answer in answers.items():
            track = self._tracks[number]
            track.see(answer, seconds)
            if not _meets(number, answers):
                track.colours = track.colours.mixed(colours[number])
        return dict(sorted(answers.items()))

    def _forget(self, seconds: float) -> None:
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if seconds - track.seen_s < PATIENCE_S
        }

    def _look(self, photo: squares.Pyramid) -> dict[int, landmarks.Landmarks]:
        """Answers about those who were in sight in the frame before."""
        answers = {}
        for number, track in self._tracks.items():
            if not track.in_sight:
                continue
            answer = self._find.network.look(photo, track.answer.next_square)
            if is_person(answer, photo.size):
                answers[number] = answer
        return answers

    def _strangers(
        self,
        answers: Mapping[int, landmarks.Landmarks],
        colours: Mapping[int, _Colours],
    ) -> set[int]:
        """Numbers whose answers are about another person.

        If two answers show one person, it is the number whose colours are less
        like the person's.
        """
        likeness = {
            number: self._tracks[number].colours.likeness(colours[number])
            for number in answers
        }
        strangers = {n for n, value in likeness.items() if value < MIN_LIKENESS}
        numbers = sorted(answers, key=likeness.get, reverse=True)
        for rank, number in enumerate(numbers):
            for better in numbers[:rank]:
                if better not in strangers and (
                    merging.shared(answers[number], answers[better])
                    >= merging.SHARED
                ):
                    strangers.add(number)
        return strangers

    def _wait(self, seconds: float) -> int:
        """Frames from one finding of everybody to the next."""
        is_searched = any(
            not track.in_sight and seconds - track.seen_s < _SEARCH_S
            for track in self._tracks.values()
        )
        return min(self._period, SOON) if is_searched else self._period

    def _find_more(self, photo, image, answers, colours, seconds) -> None:
        """Adds answers about people who come, or come back."""
        fresh = [
            answer
            for answer in self._find(photo, list(answers.values()))
            if is_person(answer, photo.size)
            and all(
                merging.shared(answer, tracked) < merging.SHARED
                for tracked in answers.values()
            )
        ]
        fresh_colours = [_colours(image, answer) for answer in fresh]
        returned = self._returned(fresh_colours, answers)
        for row, answer in enumerate(fresh):
            number = returned.get(row)
            if number is None:
                if len(answers) >= self._max_people:
                    continue
                number = self._count
                self._count += 1
                self._tracks[number] = _Track(
                    answer, fresh_colours[row], seconds
                )
            answers[number] = answer
            colours[number] = fresh_colours[row]

    def _returned(self, fresh_colours, answers) -> dict[int, int]:
        """Numbers of those out of sight, by row of the fresh answers."""
        pairs = [
            (track.colours.likeness(colours), row, number)
            for row, colours in enumerate(fresh_colours)
            for number, track in self._tracks.items()
            if number not in answers
        ]
        returned: dict[int, int] = {}
        for likeness, row, number in sorted(pairs, reverse=True):
            if likeness < MIN_LIKENESS:
                break
            if row not in returned and number not in returned.values():
                returned[row] = number
        return returned


def is_person(answer: landmarks.Landmarks, size: tuple[int, int]) -> bool:
    """Whether an answer is about somebody who can be followed.

    Args:
        answer: about a square of a frame.
        size: width and height of the frame.
    """
    return bool(
        answer.presence >= landmarks.MIN_PRESENCE
        and np.isfinite(answer.points).all()
        and finder.is_possible(answer.next_square, size)
    )


def _meets(number: int, answers: Mapping[int, landmarks.Landmarks]) -> bool:
    """Whether a person's box overlaps another one's."""
    low, high = _box(answers[number])
    return any(
        (
            np.minimum(high, _box(answer)[1]) > np.maximum(low, _box(answer)[0])
        ).all()
        for candidate, answer in answers.items()
        if candidate != number
    )


def _box(answer: landmarks.Landmarks) -> tuple[np.ndarray, np.ndarray]:
    return answer.pixels.min(axis=0), answer.pixels.max(axis=0)


def _colours(image: np.ndarray, answer: landmarks.Landmarks) -> _Colours:
    """Colours under a person's mask, level with the trunk and below it."""
    side = len(answer.mask)
    first = _STEP // 2
    rows, columns = np.nonzero(answer.mask[first::_STEP, first::_STEP] > 0.5)
    edges = np.column_stack([columns, rows]) * _STEP + first + 0.5
    to_photo = answer.square.to_photo(side)
    points = edges @ to_photo[:, :2].T + to_photo[:, 2]
    cells = np.floor(points).astype(int)
    inside = ((cells >= 0) & (cells < image.shape[1::-1])).all(axis=1)
    points, (x, y) = points[inside], cells[inside].T
    bins = image[y, x] // (256 // _LEVELS + 1) @ (_LEVELS**2, _LEVELS, 1)
    shoulders, hips = (
        answer.pixels[rows].mean(axis=0) for rows in (_SHOULDERS, _HIPS)
    )
    trunk = hips - shoulders
    # 0 at the shoulders, 1 at the hips; the head has the colours of many.
    along = (points - shoulders) @ trunk / max(trunk @ trunk, 1e-6)
    shares = np.zeros((2, _LEVELS**3))
    for part, is_part in enumerate(((along > 0) & (along < 1), along >= 1)):
        if is_part.sum() >= _FEWEST:
            counts = np.bincount(bins[is_part], minlength=_LEVELS**3)
            shares[part] = counts / counts.sum()
    return _Colours(shares)
