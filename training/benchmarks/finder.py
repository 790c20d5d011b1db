"""Counts who is found in rendered photos, and what is found wrongly.

    python -m training.benchmark finder
    python -m training.benchmark finder --groups 40 --crowds False

Photos are SYNTHETIC: groups of one to eight people, every fourth photo a
portrait that the border cuts (training.data.synthetic.groups), and the first
people of synthetic_v1, one in each photo. A person counts of whom the photo
shows half of the limbs' joints and the nose, at 50 pixels or more. An answer is
right when it puts most of them within a tenth of the person's size, with left
and right taken for each other or not; a person is matched once. An answer that
is right about a person who is matched already is a double, others are wrong.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from tf_hmr import joints, progress
from tf_hmr.detection import finder, landmarks
from tf_hmr.formats import image_files
from training.data.synthetic import groups, people

MATCH_DISTANCE = 0.1
"""A joint is placed right within this share of the person's size."""

RIGHT = 0.5
"""An answer is right when it places more than this share of joints right."""

MIN_VISIBLE, MIN_SIZE_PX = 0.5, 50
"""Who counts: share of the joints that the photo shows, and size."""

NAMES = ("nose", *groups.LIMBS)
_IN_KEYPOINTS = list(joints.select(NAMES, joints.KEYPOINTS))
_IN_LANDMARKS = list(joints.select(NAMES, joints.BLAZEPOSE33))
_OTHER_SIDE = {"left": "right", "right": "left"}
_SWAPPED = list(
    joints.select(
        [
            "_".join(_OTHER_SIDE.get(word, word) for word in name.split("_"))
            for name in NAMES
        ],
        NAMES,
    )
)


@dataclasses.dataclass
class Options:
    """People found in rendered photos."""

    groups: int = 60
    """Photos of groups and portraits."""
    people: int = 96
    """Photos of the first people of synthetic_v1."""
    seed: int = 2
    """Seed of the groups; the rules of `merging` were chosen on seed 1."""
    crowds: bool | None = None
    """Whether the detector of persons helps; by default where its file is."""
    threads: int = 1
    """Threads of each network."""


class Score(NamedTuple):
    """Counts of one photo, or of several.

    Attributes:
        people: who count.
        found_people: of these, those with a right answer.
        doubles: right answers about people who have one already.
        wrong: answers that are right about nobody.
    """

    people: int
    found_people: int
    doubles: int
    wrong: int


def run(options: Options) -> tuple[Score, Score]:
    """Measures and prints; returns the scores of groups and of synthetic_v1.

    Raises:
        ValueError: there are no groups, or no people.
    """
    for name in ("groups", "people"):
        if (count := getattr(options, name)) < 1:
            raise ValueError(f"--{name} {count}: expected 1 or more.")
    find = finder.Finder(options.threads, options.crowds)
    sampler = groups.Groups(options.seed)
    numbers = range(options.groups)
    photos = (sampler(n, portrait=n % 4 == 3) for n in numbers)
    of_groups = _measure(find, photos, options.groups, "groups")
    singles = map(_single, people.frozen().examples(0, options.people))
    of_people = _measure(find, singles, options.people, "synthetic_v1")
    return of_groups, of_people


def score(
    truth: Sequence[groups.PersonOfGroup],
    answers: Sequence[landmarks.Landmarks],
) -> Score:
    """Compares answers with the truth about one photo."""
    shares = np.zeros((len(answers), len(truth)))
    for row, answer in enumerate(answers):
        for column, person in enumerate(truth):
            shares[row, column] = share_right(person, answer)
    rows, columns = linear_sum_assignment(-shares)
    pairs = {
        row: column
        for row, column in zip(rows, columns, strict=True)
        if shares[row, column] > RIGHT
    }
    counted = [n for n, person in enumerate(truth) if counts(person)]
    rest = [row for row in range(len(answers)) if row not in pairs]
    doubles = sum(bool((shares[row] > RIGHT).any()) for row in rest)
    return Score(
        len(counted),
        len(set(counted) & set(pairs.values())),
        doubles,
        len(rest) - doubles,
    )


def counts(person: groups.PersonOfGroup) -> bool:
    """Whether a person can be asked for: the photo shows enough of it."""
    visible_share = person.keypoints[_IN_KEYPOINTS, 2].mean()
    return bool(visible_share >= MIN_VISIBLE and person.size_px >= MIN_SIZE_PX)


def share_right(
    person: groups.PersonOfGroup, answer: landmarks.Landmarks
) -> float:
    """The share of a person's shown joints that an answer places right."""
    labels = person.keypoints[_IN_KEYPOINTS]
    visible = labels[:, 2] > 0
    if not visible.any():
        return 0.0
    points = answer.pixels[_IN_LANDMARKS]
    shares = []
    for candidate in (points, points[_SWAPPED]):
        distances = np.linalg.norm(candidate - labels[:, :2], axis=1)
        shares.append(
            (distances < MATCH_DISTANCE * person.size_px)[visible].mean()
        )
    return float(max(shares))


def _single(example) -> groups.Group:
    image = image_files.decode(example.image)
    person = groups.PersonOfGroup(
        np.array(example.keypoints), np.array(example.joints3d)[:, :3]
    )
    return groups.Group(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), [person])


def _measure(
    find: Callable, photos: Iterable[groups.Group], count: int, name: str
) -> Score:
    scores, seconds = [], 0.0
    for group in progress.bar(photos, name, total=count, unit="photo"):
        start = time.process_time()
        answers = find(group.image)
        seconds += time.process_time() - start
        scores.append(score(group.people, answers))
    total = Score(*(sum(column) for column in zip(*scores, strict=True)))
    print(
        f"{name}: {total.found_people} of {total.people} people found in "
        f"{count} photos, {total.doubles} doubles, {total.wrong} wrong; "
        f"{1000 * seconds / count:.0f} ms of processors a photo"
    )
    return total
