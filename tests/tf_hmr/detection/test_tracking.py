"""People keep their numbers: rendered walkers, and answers made by hand."""

import dataclasses

import numpy as np
import pytest

from tests.support import rendered_groups, walkers
from tf_hmr import joints
from tf_hmr.detection import finder, squares, tracking

_LIMBS = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "hip", "knee")
)
_ROWS = list(joints.select(_LIMBS, joints.BLAZEPOSE33))
_TRUE_ROWS = list(joints.select(_LIMBS, joints.COCOPLUS19))
_FRAMES = 76


def walker_of(answer, people):
    """The walker whose joints an answer places right, or None."""
    distances = [
        np.median(
            np.linalg.norm(
                answer.pixels[_ROWS] - person.keypoints_px[_TRUE_ROWS], axis=1
            )
        )
        for person in people
    ]
    # A tenth of a walker's height in this scene.
    return int(np.argmin(distances)) if min(distances) < 16 else None


@pytest.fixture(scope="module")
def followed():
    """The walker of each number, frame by frame."""
    track = tracking.Tracker(finder.Finder(2, crowds=False))
    return [
        {
            number: walker_of(answer, people)
            for number, answer in track(image, n / walkers.FPS).items()
        }
        for n, (image, people) in enumerate(walkers.frames(_FRAMES, 3))
    ]


def test_who_cross_keep_their_numbers(followed):
    names = followed[0]
    assert sorted(names.values()) == [0, 1, 2]
    for frame, people in enumerate(followed):
        for number, walker in people.items():
            # At the edge of the picture landmarks are a guess.
            assert walker in (names[number], None), (frame, people)
    crossing = [sorted(people.values()) for people in followed[26:40]]
    assert crossing == [[0, 1]] * 14
    hidden = [people for people in followed[14:26] if len(people) < 2]
    assert len(hidden) < 10


def test_who_leaves_and_comes_back_keeps_the_number(followed):
    names = followed[0]
    (third,) = (number for number, walker in names.items() if walker == 2)
    present = [third in people for people in followed]
    assert present[:4] == [True] * 4
    assert not any(present[26:58]), "is outside the picture"
    assert followed[-1] == {third: 2}


def test_each_person_is_seen_in_most_frames(followed):
    for walker, frames in ((0, 46), (1, 50)):
        present = [walker in people.values() for people in followed[:frames]]
        assert np.mean(present) > 0.8


class Answers:
    """Stands for finder and network: answers about a frame, made by hand.

    Attributes:
        people: x of everybody in the frame.
        looks: how often everybody was found.
    """

    def __init__(self, image):
        self.people, self.looks, self._image = [], 0, image
        self.network = self

    def __call__(self, photo, known=()):
        self.looks += 1
        return [self._answer(x) for x in self.people]

    def look(self, photo, square):
        nearest = min(self.people, key=lambda x: abs(x - square.x), default=0)
        presence = float(abs(nearest - square.x) < 60)
        return self._answer(nearest, presence)

    def _answer(self, x, presence=1.0):
        return rendered_groups.answer(x, 40, 200, presence)


def painted(*stripes):
    """A frame (300, 900, 3) with people of one colour: (x, colour)."""
    image = np.full((300, 900, 3), 128, np.uint8)
    for x, colour in stripes:
        image[:, max(0, x - 50) : x + 50] = colour
    return image


RED, BLUE = (200, 20, 20), (20, 20, 200)


def follow(track, answers, stripes, seconds):
    answers.people = [x for x, _ in stripes]
    return track(painted(*stripes), seconds)


@pytest.fixture
def answers():
    return Answers(None)


@pytest.mark.parametrize("second", [BLUE, RED])
def test_two_numbers_never_share_a_person(answers, second):
    """Also of two in the same clothes."""
    track = tracking.Tracker(answers)
    assert set(follow(track, answers, [(200, RED), (500, second)], 0)) == {0, 1}
    # Both squares reach the only one who is there.
    track._tracks[1].answer = dataclasses.replace(
        track._tracks[1].answer, next_square=squares.Square(220, 150, 260)
    )
    assert set(follow(track, answers, [(210, RED)], 0.1)) == {0}
    assert set(follow(track, answers, [(210, RED), (520, second)], 0.2)) == {0}
    # Whoever is lost is soon looked for.
    for step in range(tracking.SOON):
        people = [(210, RED), (520, second)]
        numbers = follow(track, answers, people, 0.3 + step / 10)
    assert set(numbers) == {0, 1}
    assert abs(numbers[1].square.x - 520) < 1


def test_a_number_that_jumped_to_another_person_is_lost(answers):
    track = tracking.Tracker(answers)
    follow(track, answers, [(200, RED)], 0)
    assert follow(track, answers, [(210, BLUE)], 0.1) == {}


def test_everybody_is_found_every_so_many_frames(answers):
    track = tracking.Tracker(answers, period=4)
    for frame in range(9):
        follow(track, answers, [(200, RED)], frame / 10)
    assert answers.looks == 3  # frames 0, 4 and 8


def test_of_too_many_people_the_first_are_followed(answers):
    track = tracking.Tracker(answers, max_people=2)
    people = [(150, RED), (450, BLUE), (750, RED)]
    assert set(follow(track, answers, people, 0)) == {0, 1}


def test_who_was_away_for_long_gets_a_new_number(answers):
    track = tracking.Tracker(answers, period=1)
    follow(track, answers, [(200, RED)], 0)
    follow(track, answers, [], 0.1)
    later = tracking.PATIENCE_S
    assert set(follow(track, answers, [(600, RED)], later - 1)) == {0}
    follow(track, answers, [], later)
    assert set(follow(track, answers, [(600, RED)], 2.1 * later)) == {1}
