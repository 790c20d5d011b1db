import dataclasses
import logging

import numpy as np
import pytest

import tf_hmr
from tests.support import photos, rendered_groups
from tf_hmr import keypoint_fitting, landmark_files, recovery, sightings
from tf_hmr.detection import merging


@pytest.fixture(scope="module")
def seek():
    return sightings.Seeker(crowds=False)


@pytest.fixture(scope="module")
def lift():
    return recovery.Recoverer("lift")


@pytest.fixture(scope="module")
def group(seek):
    """The photo of a group, and who is seen in it."""
    image = rendered_groups.group(0).image
    return image, seek(image)


def size_of(image):
    return image.shape[1], image.shape[0]


def test_people_are_numbered_from_the_largest(group):
    _, sighting = group
    sizes = [merging.size(answer) for answer in sighting.people.values()]
    assert list(sighting.people) == list(range(len(sizes)))
    assert len(sizes) >= 3 and sizes == sorted(sizes, reverse=True)
    assert sighting.omissions == []


def test_of_many_people_the_largest_are_taken(group, seek):
    image, sighting = group
    few = sightings.Seeker(2, crowds=False)(image)
    for number in (0, 1):
        np.testing.assert_array_equal(
            few.people[number].points, sighting.people[number].points
        )
    (line,) = few.omissions
    count = len(sighting.people)
    assert f"{count} people were found; the 2 largest are taken" in line
    assert f"{count - 2} left out (--max-people)" in line
    with pytest.raises(ValueError, match="At most 0 people"):
        sightings.Seeker(0)


def test_a_box_of_nobody_is_named(seek):
    image, truth = rendered_groups.person(1)
    boxes = {4: rendered_groups.box_of(truth), 7: (0, 0, 20, 20)}
    sighting = seek.look(image, boxes)
    assert list(sighting.people) == [4]
    (line,) = sighting.omissions
    assert line.startswith("person 7: there seems to be nobody in the box (0")


def test_bodies_meet_the_landmarks(group, lift):
    image, sighting = group
    size = size_of(image)
    (recovered,) = lift([sighting], [size])
    assert set(recovered.people) == set(sighting.people)
    for number, fitted in recovered.people.items():
        person = fitted.person
        assert fitted.error < 15
        assert person.focal_px == recovery.FOCAL_OVER_SIDE * max(size)
        box = recovery.box_of(sighting.people[number])
        middle = np.array(box[:2]) + np.array(box[2:]) / 2
        centre = person.keypoints_px.mean(axis=0)
        assert np.linalg.norm(centre - middle) < 0.3 * max(box[2:])


def test_photos_are_recovered_together_as_alone(group, lift):
    image, sighting = group
    size = size_of(image)
    one = sighting._replace(people={5: sighting.people[1]})
    nobody = sightings.Sighting({}, [])
    (single,) = lift([one], [size])
    together = lift([sighting, nobody, one], [size] * 3)
    assert [list(r.people) for r in together[1:]] == [[], [5]]
    np.testing.assert_allclose(
        together[2].people[5].person.vertices,
        single.people[5].person.vertices,
        atol=1e-5,  # Metres; matrix products of other sizes round otherwise.
    )


def test_who_has_no_body_is_named_and_the_others_stay(group, lift, monkeypatch):
    image, sighting = group
    first = sighting.people[0]
    points = first.points.copy()
    points[:, 5] = 0
    people = dict(sighting.people)
    people[9] = dataclasses.replace(first, points=points)
    original = type(lift._bodies).__call__

    def spoil(self, tasks):
        results = original(self, tasks)
        broken = dataclasses.replace(
            results[1].person, betas=results[1].person.betas * np.nan
        )
        results[1] = keypoint_fitting.FittedPerson(broken, np.nan)
        results[2] = results[2]._replace(error=recovery.MAX_ERROR_PX + 6)
        return results

    monkeypatch.setattr(type(lift._bodies), "__call__", spoil)
    (recovered,) = lift([sighting._replace(people=people)], [size_of(image)])
    assert set(recovered.people) == set(sighting.people) - {1, 2}
    few, not_finite, distant = recovered.omissions
    assert few.startswith("person 9: only 0 joints are seen, at least")
    assert not_finite.startswith("person 1: no body was found")
    assert distant.startswith(
        "person 2: the body lies 31 px from the landmarks"
    )


def test_recover_takes_a_photo_alone(caplog):
    image, truth = rendered_groups.person(1)
    (person,) = tf_hmr.recover(image, how="lift")
    hips = [person.joint_names.index(f"{s}_hip") for s in ("left", "right")]
    expected = truth.keypoints[:, :2].mean(axis=0)
    assert np.linalg.norm(person.keypoints_px[hips].mean(0) - expected) < 30
    box = rendered_groups.box_of(truth)
    (same,) = tf_hmr.recover(image, boxes=[box], how="lift", focal_px=900.0)
    assert same.focal_px == 900
    with caplog.at_level(logging.WARNING):
        assert tf_hmr.recover(photos.image(90, 80), how="lift") == []


def test_recover_with_a_model_is_as_before(model):
    image = photos.image(90, 80)
    (person,) = tf_hmr.recover(model, image, boxes=[(10, 10, 50, 60)])
    assert person.box == (10, 10, 50, 60)
    with pytest.raises(ValueError, match="Give a photo after the model"):
        tf_hmr.recover(model)
    with pytest.raises(ValueError, match="The first of two arguments"):
        tf_hmr.recover("a.jpg", "b.jpg")


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match="expected one of fit, lift"):
        recovery.Recoverer("guess")


def test_a_missing_network_is_told_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_HMR_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=landmark_files.COMMAND):
        tf_hmr.recover(photos.image(90, 80))
