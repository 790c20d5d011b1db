"""Which answers about squares of a photo are people, and which are one person.

Windows and detectors overlap, so most people are seen in several squares. Boxes
do not tell people who stand before each other from one who is seen twice;
landmarks do: two answers about one person place most joints alike. An answer
that mixes two people, the trunk of one and the legs of another, shares joints
with both, and is left out as if it were seen twice. A limb or a head that is
taken for a small person lies on the mask of the person it belongs to.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from tf_hmr import joints
from tf_hmr.detection import landmarks, squares

MIN_QUALITY = 0.8
"""An answer of less is left out: on rendered groups four of five answers of
this quality are right."""

SHARED = 0.35
"""Two answers that place this share of their joints alike are one person's."""

ON_MASK = 0.65
"""An answer of which this share of the visible joints lies on a larger
person's mask is a part of that person."""

_ALIKE = 0.1  # Distance of joints placed alike over the smaller person's size.
_PART = 0.8  # A part is smaller than this share of the person.
_FEW = 3  # With fewer joints inside the photo all count.
_CLEAREST = 6  # Joints whose visibility counts.

# Logistic regression of being right (most visible joints within a tenth of the
# person's size) on the answers of `Quality`, from 45 rendered groups.
_WEIGHTS = (0.35, 0.81, -1.53, -0.77, 1.35)
_BIAS = -10.1
_MOST_PRESENCE = 0.999  # Beyond it the logit says nothing more.
_LEAST_MOVE = 0.005

_NAMES = (
    "nose",
    *(
        f"{side}_{name}"
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
)
_JOINTS = list(joints.select(_NAMES, joints.BLAZEPOSE33))


def quality(answer: landmarks.Landmarks) -> float:
    """Estimates the probability that an answer is one person's.

    Five signs of it: the network's own presence, how visible the clearest
    joints are, how well the points in metres, seen from far away, fit those in
    pixels, how little the next square moves, and the share of the visible
    joints on the mask.
    """
    if not np.isfinite(answer.points).all():
        return 0.0
    presence = min(max(answer.presence, 1 - _MOST_PRESENCE), _MOST_PRESENCE)
    clearest = np.sort(answer.visible[_JOINTS])[-_CLEAREST:].mean()
    move = math.hypot(
        answer.next_square.x - answer.square.x,
        answer.next_square.y - answer.square.y,
    )
    signs = (
        special.logit(presence),
        clearest,
        math.log(max(_mismatch(answer), 1e-3)),
        math.log(move / answer.square.side + _LEAST_MOVE),
        _share_on_mask(answer, answer),
    )
    value = float(np.dot(_WEIGHTS, signs)) + _BIAS
    return float(special.expit(value)) if math.isfinite(value) else 0.0


def select(
    answers: Sequence[landmarks.Landmarks],
) -> list[landmarks.Landmarks]:
    """Chooses one answer for each person, the best person first.

    Args:
        answers: about squares of one photo.
    """
    qualities = [quality(answer) for answer in answers]
    order = np.argsort(-np.array(qualities), kind="stable")
    people: list[landmarks.Landmarks] = []
    for row in order:
        answer = answers[row]
        if qualities[row] < MIN_QUALITY:
            break
        if answer.presence < landmarks.MIN_PRESENCE:
            continue
        if all(_shared(answer, person) < SHARED for person in people):
            people.append(answer)
    return [
        person
        for rank, person in enumerate(people)
        if not any(
            _is_part(person, owner, better=rank < owner_rank)
            for owner_rank, owner in enumerate(people)
            if owner_rank != rank
        )
    ]


def _shared(
    answer: landmarks.Landmarks, reference: landmarks.Landmarks
) -> float:
    """The share of joints that two answers place alike."""
    inside = np.minimum(answer.inside, reference.inside)[_JOINTS] > 0.5
    if inside.sum() < _FEW:
        inside[:] = True
    distances = np.linalg.norm(
        answer.pixels[_JOINTS] - reference.pixels[_JOINTS], axis=1
    )
    extent = min(
        np.linalg.norm(np.ptp(each_answer.pixels[_JOINTS], axis=0))
        for each_answer in (answer, reference)
    )
    return float((distances[inside] < _ALIKE * extent).mean())


def _is_part(
    answer: landmarks.Landmarks, owner: landmarks.Landmarks, better: bool
) -> bool:
    """Whether an answer is a part of another person, or that person again."""
    ratio = size(answer) / max(size(owner), 1e-6)
    is_smaller = ratio < _PART
    is_again = ratio < 1 / _PART and not better
    return (is_smaller or is_again) and _share_on_mask(answer, owner) > ON_MASK


def size(answer: landmarks.Landmarks) -> float:
    """Diagonal in pixels of the box of the joints inside the photo."""
    inside = answer.inside[_JOINTS] > 0.5
    if inside.sum() < _FEW:
        inside[:] = True
    return float(np.linalg.norm(np.ptp(answer.pixels[_JOINTS][inside], axis=0)))


def _share_on_mask(
    answer: landmarks.Landmarks, owner: landmarks.Landmarks
) -> float:
    """The share of an answer's visible joints on the mask of another."""
    rows, columns = owner.mask.shape
    to_mask = squares.inverse(owner.square.to_photo(columns))
    edges = answer.pixels[_JOINTS] + 0.5
    cells = np.floor(edges @ to_mask[:, :2].T + to_mask[:, 2]).astype(int)
    inside = ((cells >= 0) & (cells < (columns, rows))).all(axis=1)
    x, y = np.clip(cells, 0, (columns - 1, rows - 1)).T
    weights = (answer.visible * answer.inside)[_JOINTS]
    return float(
        (weights * inside * owner.mask[y, x]).sum() / (weights.sum() + 1e-6)
    )


def _mismatch(answer: landmarks.Landmarks) -> float:
    """How badly points in metres fit those in pixels, over the person's size.

    The root mean square distance after the best scale and shift, of visible
    joints: of one network about one person, both agree.
    """
    weights = answer.visible[_JOINTS] + 1e-3
    weights = weights / weights.sum()
    metres = answer.metres[_JOINTS, :2].astype(np.float64)
    pixels = answer.pixels[_JOINTS].astype(np.float64)
    metres = metres - weights @ metres
    extent = np.linalg.norm(np.ptp(pixels, axis=0))
    pixels = pixels - weights @ pixels
    scale = (weights @ (metres * pixels)).sum() / max(
        (weights @ (metres * metres)).sum(), 1e-12
    )
    squared = (weights @ (scale * metres - pixels) ** 2).sum()
    return math.sqrt(squared) / max(extent, 1e-6)
