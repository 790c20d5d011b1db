import dataclasses
import functools

import numpy as np
import pytest
from ai_edge_litert import interpreter

from tests.support import photos, rendered_groups
from tests.support.closeness import assert_close
from tf_hmr import joints
from tf_hmr.detection import (
    detectors,
    finder,
    landmarks,
    squares,
    windows,
)
from training.benchmarks import finder as benchmark


@pytest.fixture(scope="module")
def network():
    return landmarks.LandmarkNetwork()


@pytest.fixture(scope="module")
def find():
    """Without the detector of persons, which a machine may not have."""
    return finder.Finder(crowds=False)


def test_a_rendered_person_is_seen_in_its_box(network):
    image, truth = rendered_groups.person(1)
    square = squares.of_box(rendered_groups.box_of(truth))
    answer = network.look_twice(image, square)
    assert answer.presence > 0.9
    assert benchmark.share_right(truth, answer) > 0.8
    points = answer.points
    assert points.shape == (len(joints.BLAZEPOSE33), 7)
    assert (points[:, 5:] >= 0).all() and (points[:, 5:] <= 1).all()
    # Metres about the hips, which are as far apart as hips are.
    hips = answer.metres[
        [joints.BLAZEPOSE33.index(f"{s}_hip") for s in ("left", "right")]
    ]
    assert np.linalg.norm(hips.mean(axis=0)) < 0.05
    assert 0.1 < np.linalg.norm(hips[0] - hips[1]) < 0.35


def test_a_turned_photo_gives_turned_landmarks(network):
    image, truth = rendered_groups.person(1)
    square = squares.of_box(rendered_groups.box_of(truth))
    upright = network.look(image, square)
    # A quarter turn clockwise: what was at x, y is at H - 1 - y, x.
    height = len(image)
    rotated = network.look(
        np.ascontiguousarray(np.rot90(image, -1)),
        squares.Square(height - square.y, square.x, square.side, np.pi / 2),
    )
    x, y = upright.pixels.T
    expected = np.column_stack([height - 1 - y, x])
    assert_close("landmark_pixels", rotated.pixels, expected)
    x, y, z = upright.metres.T
    assert_close("landmark_metres", rotated.metres, np.column_stack([-y, x, z]))
    turn = rotated.next_square.angle - upright.next_square.angle
    assert abs(turn - np.pi / 2) < 0.01


def test_kernels_of_other_rounding_are_led_to_the_same_squares(monkeypatch):
    # Person 2, whose squares are not near the middle between two of the grid.
    image, truth = rendered_groups.person(2)
    start = squares.of_box(rendered_groups.box_of(truth))

    def pixels() -> np.ndarray:
        network, square, answers = landmarks.LandmarkNetwork(), start, []
        for _ in range(6):
            answers.append(network.look(image, square))
            square = answers[-1].next_square
        return np.array([answer.pixels for answer in answers])

    expected = pixels()
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    monkeypatch.setattr(
        interpreter,
        "Interpreter",
        functools.partial(
            interpreter.Interpreter, experimental_op_resolver_type=plain
        ),
    )
    assert_close("other_kernels_px", pixels(), expected)


def test_a_pyramid_is_the_photo(network):
    image, truth = rendered_groups.person(1)
    square = squares.of_box(rendered_groups.box_of(truth))
    of_image = network.look(image, square)
    of_pyramid = network.look(squares.Pyramid(image), square)
    np.testing.assert_array_equal(of_image.points, of_pyramid.points)


def test_rendered_people_are_found_without_a_box(find):
    truths, answers = [], []
    for index in (0, 1, 2):
        image, truth = rendered_groups.person(index)
        truths.append(truth)
        answers.append(find(image))
    scores = [
        benchmark.score([truth], people)
        for truth, people in zip(truths, answers, strict=True)
    ]
    assert sum(score.found_people for score in scores) == 3
    assert sum(score.doubles + score.wrong for score in scores) == 0


@pytest.mark.parametrize(
    "kind", [detectors.PeopleDetector, detectors.FaceDetector]
)
def test_squares_of_detectors_are_about_the_person(kind):
    detector = kind()
    count = 0
    for index in range(6):
        image, truth = rendered_groups.person(index)
        photo = squares.Pyramid(image)
        x, y, width, height = rendered_groups.box_of(truth)
        for square, score in detector(photo, [windows.full(photo.size)]):
            count += 1
            assert detector.min_score < score <= 1
            assert abs(square.x - x - width / 2) < 0.4 * max(width, height)
            assert abs(square.y - y - height / 2) < 0.4 * max(width, height)
            assert 0.6 < square.side / max(width, height) < 2.5
    assert count >= 2


def test_a_group_is_found_and_nobody_twice(find):
    group = rendered_groups.group(0)
    score = benchmark.score(group.people, find(group.image))
    assert score.people >= 4
    assert score.found_people >= score.people // 2
    assert score.doubles == 0 and score.wrong <= 1


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.full((2, 900, 3), 128, np.uint8),
        photos.image(320, 200),
    ],
    ids=["a pixel", "a line", "blots"],
)
def test_photos_of_nobody(find, image):
    assert find(image) == []


@pytest.fixture
def truth():
    """The person of `rendered_groups.answer(100, 50, 200)`."""
    answer = rendered_groups.answer(100, 50, 200)
    keypoints = np.zeros((len(joints.KEYPOINTS), 3))
    for row, name in enumerate(joints.KEYPOINTS):
        if name in benchmark.NAMES:
            keypoints[row, :2] = answer.pixels[joints.BLAZEPOSE33.index(name)]
            keypoints[row, 2] = 1
        else:
            keypoints[row, :2] = answer.pixels[0]
    return benchmark.groups.PersonOfGroup(keypoints, keypoints)


def test_scores_count_doubles_and_wrong_answers(truth):
    answer = rendered_groups.answer(100, 50, 200)
    distant = rendered_groups.answer(400, 50, 200)
    assert benchmark.score([truth], [answer]) == (1, 1, 0, 0)
    assert benchmark.score([truth], [answer, answer, distant]) == (1, 1, 1, 1)
    assert benchmark.score([truth], [distant]) == (1, 0, 0, 1)
    assert benchmark.score([truth], []) == (1, 0, 0, 0)
    assert benchmark.score([truth, truth], [answer]) == (2, 1, 0, 0)
    assert benchmark.score([], [answer]) == (0, 0, 0, 1)


def shifted(answer, names, pixels):
    points = answer.points.copy()
    points[[joints.BLAZEPOSE33.index(name) for name in names], 0] += pixels
    return dataclasses.replace(answer, points=points)


def test_an_answer_is_right_that_places_most_joints(truth):
    answer = rendered_groups.answer(100, 50, 200)
    tenth = benchmark.MATCH_DISTANCE * truth.size_px
    for count, score in ((6, (1, 1, 0, 0)), (7, (1, 0, 0, 1))):
        names = benchmark.NAMES[:count]
        assert len(benchmark.NAMES) == 13
        near_answer = shifted(answer, names, 0.9 * tenth)
        assert benchmark.score([truth], [near_answer]) == (1, 1, 0, 0)
        # Half a photo to the right, where no other joint is.
        far_answer = shifted(answer, names, 4 * tenth)
        assert benchmark.score([truth], [far_answer]) == score


def test_left_and_right_may_be_taken_for_each_other(truth):
    answer = rendered_groups.answer(100, 50, 200)
    points = answer.points[list(joints.mirror(joints.BLAZEPOSE33))]
    swapped = dataclasses.replace(answer, points=points)
    assert benchmark.share_right(truth, swapped) == 1


@pytest.mark.parametrize("change", ["hidden", "small"])
def test_who_is_hidden_or_small_is_not_asked_for_and_not_wrong(truth, change):
    answer = rendered_groups.answer(100, 50, 200)
    keypoints = truth.keypoints.copy()
    if change == "hidden":
        keypoints[
            list(joints.select(benchmark.NAMES, joints.KEYPOINTS))[:7], 2
        ] = 0
    else:
        scale = 0.99 * benchmark.MIN_SIZE_PX / truth.size_px
        keypoints[:, :2] *= scale
        points = answer.points.copy()
        points[:, :2] *= scale
        answer = dataclasses.replace(answer, points=points)
    person = dataclasses.replace(truth, keypoints=keypoints)
    assert benchmark.score([person], [answer]) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", ["groups", "people"])
def test_a_benchmark_of_nobody_is_refused(name):
    with pytest.raises(ValueError, match=f"--{name} 0: expected 1"):
        benchmark.run(benchmark.Options(**{name: 0}))
