import dataclasses

import numpy as np
import pytest

from tests.support.rendered_groups import answer
from tf_hmr import joints
from tf_hmr.detection import merging


def mixed(upper, lower):
    """The trunk of one person and the legs of another."""
    legs = [
        row
        for row, name in enumerate(joints.BLAZEPOSE33)
        if name.endswith(("hip", "knee", "ankle", "heel", "foot_index"))
    ]
    points = upper.points.copy()
    points[legs] = lower.points[legs]
    mask = np.maximum(upper.mask, 0.0)
    return dataclasses.replace(upper, points=points, mask=mask, presence=0.97)


def test_people_beside_each_other_stay():
    people = [answer(100, 50, 200), answer(230, 60, 190)]
    assert {id(person) for person in merging.select(people)} == set(
        map(id, people)
    )


@pytest.fixture
def by_landmarks(monkeypatch):
    """People without a mask are people, so that landmarks alone tell."""
    monkeypatch.setattr(merging, "MIN_QUALITY", 0.1)


def unmasked(person):
    return dataclasses.replace(person, mask=person.mask * 0)


def test_a_person_seen_twice_is_one_the_better(by_landmarks):
    sure = unmasked(answer(100, 50, 200))
    unsure = unmasked(answer(104, 52, 198, presence=0.9))
    assert merging.select([unsure, sure]) == [sure]


def test_a_person_seen_with_swapped_sides_is_one():
    person = answer(100, 50, 200)
    swapped = [
        joints.BLAZEPOSE33.index(
            name.replace("left", "*")
            .replace("right", "left")
            .replace("*", "right")
        )
        for name in joints.BLAZEPOSE33
    ]
    duplicate = dataclasses.replace(
        person, points=person.points[swapped], presence=0.95
    )
    assert merging.select([duplicate, person]) == [person]


def test_an_answer_that_mixes_two_people_is_left_out(by_landmarks):
    first = unmasked(answer(100, 50, 200))
    second = unmasked(answer(170, 50, 200))
    people = merging.select([mixed(first, second), first, second])
    assert people == [first, second] or people == [second, first]


def test_a_small_person_on_the_body_of_a_larger_is_a_part_of_it():
    person, hand = answer(100, 50, 400), answer(110, 150, 60)
    assert merging.select([hand, person]) == [person]
    # In front of nobody it is a person.
    assert merging.select([hand]) == [hand]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"presence": 0.3},
        lambda a: {"points": a.points * np.float32(np.nan)},
        lambda a: {"next_square": a.square._replace(x=float("inf"))},
    ],
    ids=["absent", "not finite", "leaves"],
)
def test_answers_about_nobody_are_left_out(change):
    person = answer(100, 50, 200)
    assert merging.select([person]) == [person]
    assert merging.select([dataclasses.replace(person, **change(person))]) == []


def hidden(person):
    points = person.points.copy()
    points[:, 5] = 0.05
    return points


def with_more_mask(person, axis):
    """The mask reaches as far beyond the person on both sides."""
    mask = person.mask
    for shift in (-64, 64):
        mask = np.maximum(mask, np.roll(person.mask, shift, axis=axis))
    return mask


def head_down(person):
    """Turned by half about the middle of the square, and its mask with it."""
    points = person.points.copy()
    middle = np.float32([person.square.x, person.square.y]) - 0.5
    points[:, :2] = 2 * middle - points[:, :2]
    return {"points": points, "mask": person.mask[::-1, ::-1]}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"presence": 0.6},
        lambda a: {"points": hidden(a)},
        lambda a: {"mask": a.mask * 0},
        lambda a: {"mask": with_more_mask(a, axis=1)},
        lambda a: {"mask": with_more_mask(a, axis=0)},
        head_down,
        lambda a: {
            "next_square": a.square._replace(x=a.square.x + a.square.side / 5)
        },
    ],
    ids=["presence", "visible", "no mask", "wide", "high", "turned", "moves"],
)
def test_each_sign_lowers_the_odds(change):
    person = answer(100, 50, 200)
    changed = dataclasses.replace(person, **change(person))
    before, after = (merging.quality(a) for a in (person, changed))
    # By half: the weights are those of signs that tell something.
    assert after / (1 - after) < before / (1 - before) / 1.5


def test_size_counts_joints_inside_the_photo():
    person = answer(100, 50, 200)
    full_size = merging.size(person)
    points = person.points.copy()
    legs = [
        n
        for n, name in enumerate(joints.BLAZEPOSE33)
        if name.endswith(("knee", "ankle"))
    ]
    points[legs, 6] = 0
    portrait = dataclasses.replace(person, points=points)
    assert merging.size(portrait) < 0.6 * full_size
