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

from tf_hmr import joints
from tf_hmr.detection import landmarks, probability, squares

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
# person's size) on the signs of `quality`, from 60 rendered groups.
_WEIGHTS = (0.31, 0.48, -0.76, 1.08, 5.10, 1.37)
_BIAS = -7.67
_MOST_PRESENCE = 0.999  # Beyond it the logit says nothing more.
_LEAST_MOVE = 0.005
_NEAR = 0.06  # Half of a limb's width over the person's size, or more.
_SAMPLES = 32  # Rows and columns of the mask that are looked at.

_NAMES = (
    "nose",
    *(
        f"{side}_{name}"
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
)
_JOINTS = list(joints.select(_NAMES, joints.BLAZEPOSE33))
_SHOULDERS, _HIPS = (
    list(joints.select((f"left_{name}", f"right_{name}"), joints.BLAZEPOSE33))
    for name in ("shoulder", "hip")
)
# The head is a bone of one point.
_BONES = np.array(
    [
        joints.select(ends, joints.BLAZEPOSE33)
        for ends in (
            *joints.BONES,
            ("left_shoulder", "right_shoulder"),
            ("nose", "nose"),
        )
        if set(ends) <= set(joints.BLAZEPOSE33)
    ]
)


def quality(answer: landmarks.Landmarks) -> float:
    """Estimates the probability that an answer is one person's.

    Six signs of it: the network's own presence, how visible the clearest joints
    are, how little the next square moves, the share of the visible joints on
    the mask, the share of the mask that lies near the bones, and how upright
    the trunk is. The mask of two people, or of a person of whom an answer is a
    part, reaches far beyond the bones.
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
        probability.logit(presence),
        clearest,
        math.log(move / answer.square.side + _LEAST_MOVE),
        _share_on_mask(answer, answer),
        _mask_near_bones(answer),
        _uprightness(answer),
    )
    value = float(np.dot(_WEIGHTS, signs)) + _BIAS
    return float(probability.expit(value)) if math.isfinite(value) else 0.0


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
        if all(shared(answer, person) < SHARED for person in people):
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


def shared(
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


def _mask_near_bones(answer: landmarks.Landmarks) -> float:
    """The share of an answer's mask that lies near its bones."""
    side = len(answer.mask)
    step = max(1, side // _SAMPLES)
    first = step // 2
    rows, columns = np.nonzero(answer.mask[first::step, first::step] > 0.5)
    if not len(rows):
        return 0.0
    edges = np.column_stack([columns, rows]) * step + first + 0.5
    to_photo = answer.square.to_photo(side)
    points = edges @ to_photo[:, :2].T + to_photo[:, 2] - 0.5
    starts, ends = answer.pixels[_BONES].astype(np.float64).swapaxes(0, 1)
    bones = ends - starts
    offsets = points[:, None] - starts
    along = (offsets * bones).sum(axis=-1) / np.maximum(
        (bones * bones).sum(axis=-1), 1e-6
    )
    offsets -= np.clip(along, 0, 1)[..., None] * bones
    distances = np.linalg.norm(offsets, axis=-1).min(axis=1)
    extent = np.linalg.norm(np.ptp(answer.pixels[_JOINTS], axis=0))
    return float((distances < _NEAR * extent).mean())


def _uprightness(answer: landmarks.Landmarks) -> float:
    """Cosine of the trunk's turn in the photo: 1 upright, -1 head down."""
    trunk = answer.pixels[_HIPS].mean(axis=0)
    trunk = trunk - answer.pixels[_SHOULDERS].mean(axis=0)
    return float(trunk[1] / max(np.linalg.norm(trunk), 1e-6))
