"""Bodies of landmarks, by the lifter that ships and by fits from there on."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import landmark_people
from tests.support.closeness import assert_close
from tf_hmr import joints, keypoint_fitting, landmark_fitting, metrics
from tf_hmr.geometry import camera
from tf_hmr.smplify import schedules

SHORT = dataclasses.replace(
    schedules.LANDMARKS,
    stages=tuple(
        dataclasses.replace(stage, steps=15)
        for stage in schedules.LANDMARKS.stages
    ),
    camera_steps=15,
)
FOCAL = 600.0
LIMBS = [
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]


@pytest.fixture(scope="module")
def lifter(body_data):
    return landmark_fitting.load_lifter(body_data)


@pytest.fixture(scope="module")
def fitter(lifter):
    return landmark_fitting.PeopleFitter(lifter, schedule=SHORT)


@pytest.fixture(scope="module")
def tasks(body_data) -> list[landmark_fitting.Task]:
    """Two people in one photo, of exact landmarks."""
    rng = np.random.default_rng(8)
    return [
        landmark_fitting.Task(
            landmark_people.of_pose(
                body_data,
                landmark_people.standing(rng),
                np.array([x, 0.2, depth]),
                FOCAL,
            ),
            landmark_people.SIZE,
            FOCAL,
        )
        for x, depth in ((-0.6, 5.0), (0.8, 6.0))
    ]


def pa_mm(people, tasks) -> np.ndarray:
    """Error of each person's limbs from those of exact landmarks."""
    index = list(joints.select(LIMBS, of=joints.BLAZEPOSE33))
    errors = []
    for fitted, task in zip(people, tasks, strict=True):
        person = fitted.person
        rows = list(joints.select(LIMBS, of=person.joint_names))
        errors.append(
            metrics.pa_mpjpe_mm(person.joints[rows], task.landmarks[index, 2:5])
        )
    return np.array(errors)


def test_exact_landmarks_are_lifted_to_about_their_body(lifter, tasks):
    people = landmark_fitting.PeopleLifter(lifter)(tasks)
    rotmats, betas = lifter.mean_body()
    points, _ = lifter.body.keypoints(rotmats[None], betas[None])
    mean_person = people[0].person
    mean_person = dataclasses.replace(mean_person, joints=points[0].numpy())
    mean_people = [people[0]._replace(person=mean_person)] * len(tasks)
    assert (pa_mm(people, tasks) < 0.8 * pa_mm(mean_people, tasks)).all()
    for fitted in people:
        fitted.person.check()
        assert fitted.error < 15
        assert fitted.person.focal_px == FOCAL
        # About as far as it is.
        assert 4 < fitted.person.translation[2] < 8


def test_a_fit_is_nearer_to_the_landmarks_than_its_start(lifter, fitter, tasks):
    lifted = landmark_fitting.PeopleLifter(lifter)(tasks)
    fits = fitter(tasks)
    assert (pa_mm(fits, tasks) < pa_mm(lifted, tasks)).all()
    for before, after in zip(lifted, fits, strict=True):
        after.person.check()
        assert after.error < 0.8 * before.error


def test_landmarks_that_contradict_each_other_leave_the_lifted_body(
    lifter, fitter, tasks
):
    """One leg's landmarks lie where the other person's are."""
    mixed = np.array(tasks[0].landmarks)
    leg = list(
        joints.select(
            ["left_knee", "left_ankle", "left_heel", "left_foot_index"],
            of=joints.BLAZEPOSE33,
        )
    )
    mixed[leg] = tasks[1].landmarks[leg]
    people = [tasks[0]._replace(landmarks=mixed), tasks[1]]
    fitted = fitter(people)
    lifted = landmark_fitting.PeopleLifter(lifter)(people)
    limit = landmark_fitting.MAX_FIT_ERROR_PX
    assert lifted[0].error > limit
    assert_close("exact", fitted[0].person.vertices, lifted[0].person.vertices)
    assert fitted[1].error < lifted[1].error < limit


def test_only_a_fit_that_comes_much_nearer_replaces_the_lifted_body(
    lifter, tasks, monkeypatch
):
    fitter = landmark_fitting.PeopleFitter(lifter)
    (person,) = landmark_fitting.PeopleLifter(lifter)(tasks[:1])
    fit_errors = {4.0: 3.8, 6.0: 5.0, 8.0: 7.5, 14.0: 10.5}
    lifted = [person._replace(error=error) for error in (3.7, *fit_errors)]
    fits = [person._replace(error=error) for error in fit_errors.values()]
    monkeypatch.setattr(fitter, "_lift", lambda tasks: lifted)
    monkeypatch.setattr(fitter, "_fitter", lambda fit_tasks, progress: fits)
    people = fitter(tasks[:1] * 5)
    errors = [fitted.error for fitted in people]
    assert errors == [3.7, 4.0, 5.0, 8.0, 14.0]


def test_a_person_aside_is_the_one_in_the_middle_turned_with_the_ray(
    lifter, body_data
):
    """The camera turns by 25 degrees; what it sees of a person is the same."""
    pose = landmark_people.standing(np.random.default_rng(8))
    camera_turn = Rotation.from_euler("yx", [-20, 15], degrees=True)
    far = np.array([0.0, 0.0, 40.0])
    size = (800, 600)
    middle = landmark_people.of_pose(body_data, pose, far, FOCAL, size)
    aside = middle.copy()
    centre = np.array(camera.image_centre(size))
    rays = np.pad((middle[:, :2] - centre) / FOCAL, ((0, 0), (0, 1)))
    rays[:, 2] = 1
    rays = camera_turn.apply(rays)
    aside[:, :2] = camera.project_perspective(rays, FOCAL, centre)
    people = landmark_fitting.PeopleLifter(lifter)(
        [
            landmark_fitting.Task(landmarks, size, FOCAL)
            for landmarks in (middle, aside)
        ]
    )
    points = [
        fitted.person.joints + fitted.person.translation for fitted in people
    ]
    distances = np.linalg.norm(camera_turn.apply(points[0]) - points[1], axis=1)
    assert np.linalg.norm(points[0] - points[1], axis=1).min() > 10
    assert distances.mean() < 0.1
    assert people[1].error == pytest.approx(people[0].error, 0.1)


def test_people_who_are_lifted_well_are_not_fitted(lifter, tasks, monkeypatch):
    fitter = landmark_fitting.PeopleFitter(lifter)
    lifted = [
        person._replace(error=1.0)
        for person in landmark_fitting.PeopleLifter(lifter)(tasks)
    ]
    monkeypatch.setattr(fitter, "_lift", lambda tasks: lifted)
    monkeypatch.delattr(fitter, "_fitter")
    assert fitter(tasks) == lifted


def test_a_photo_twice_as_large_shows_the_same_people(lifter, tasks):
    lift = landmark_fitting.PeopleLifter(lifter)
    larger = []
    for task in tasks:
        landmarks = task.landmarks.copy()
        # The centre of the first pixel is (0, 0), not its corner.
        landmarks[:, :2] = 2 * landmarks[:, :2] + 0.5
        width, height = task.size
        larger.append(
            landmark_fitting.Task(landmarks, (2 * width, 2 * height), 2 * FOCAL)
        )
    for before, after in zip(lift(tasks), lift(larger), strict=True):
        assert_close("body_metres", after.person.joints, before.person.joints)
        assert_close(
            "body_metres", after.person.translation, before.person.translation
        )
        assert after.error == pytest.approx(before.error, 1e-3)


def test_the_error_is_that_of_the_crop(lifter, tasks):
    """The mean distance of what is seen, at 224 pixels, by hand."""
    for fitted, task in zip(
        landmark_fitting.PeopleLifter(lifter)(tasks), tasks, strict=True
    ):
        person, points = (
            fitted.person,
            landmark_fitting.keypoints(task.landmarks),
        )
        distances = [
            np.linalg.norm(pixels - points[joints.KEYPOINTS.index(name), :2])
            for name, pixels in zip(
                person.joint_names, person.keypoints_px, strict=True
            )
            if points[joints.KEYPOINTS.index(name), 2] > 0
        ]
        side = person.crop_box[2]
        assert fitted.error == pytest.approx(224 * np.mean(distances) / side)


def test_a_fit_starts_from_the_lifter_and_weighs_its_joints(
    lifter, tasks, monkeypatch
):
    fitter = landmark_fitting.PeopleFitter(lifter)
    lifted = landmark_fitting.PeopleLifter(lifter)(tasks)
    received = []

    def fit(fit_tasks, progress):
        received.extend(fit_tasks)
        return lifted

    monkeypatch.setattr(fitter, "_fitter", fit)
    fitter(tasks)
    for fit_task, before, task in zip(received, lifted, tasks, strict=True):
        person = before.person
        assert_close("exact", fit_task.start[0], person.pose)
        assert_close("exact", fit_task.start[1], person.betas)
        assert (fit_task.size, fit_task.focal_px) == (task.size, FOCAL)
        for name, point in zip(person.joint_names, person.joints, strict=True):
            row = fit_task.keypoints_3d[joints.KEYPOINTS.index(name)]
            assert_close("exact", row, [*point, 1])


def test_a_batch_size_pads_and_splits_and_changes_nothing(
    lifter, fitter, tasks
):
    counts = []
    padded = landmark_fitting.PeopleFitter(lifter, batch_size=4, schedule=SHORT)
    six = [*tasks, *tasks, *tasks]
    people = padded(six, lambda count, total: counts.append((count, total)))
    assert counts == [(4, 6), (2, 6)]
    for fitted, task in zip(people, [*fitter(tasks)] * 3, strict=True):
        assert_close("body_metres", fitted.person.joints, task.person.joints)


def test_nobody_gives_nobody(lifter, fitter):
    assert landmark_fitting.PeopleLifter(lifter)([]) == []
    assert fitter([]) == []


def test_who_shows_too_little_is_refused(lifter, fitter, tasks):
    landmarks = tasks[0].landmarks.copy()
    visible = landmark_people.ROWS[: landmark_fitting.MIN_KEYPOINTS - 1]
    hidden = np.setdiff1d(np.arange(len(landmarks)), visible)
    landmarks[hidden, 5] = 0.1
    assert landmark_fitting.visible_count(landmarks) == len(visible)
    for recover in (landmark_fitting.PeopleLifter(lifter), fitter):
        with pytest.raises(ValueError, match="Leave this person out"):
            recover([tasks[0]._replace(landmarks=landmarks)])


@pytest.mark.parametrize("parts", [("head", "arm"), ("leg",), ("arm",)])
def test_a_part_of_a_person_gives_a_finite_body(lifter, fitter, tasks, parts):
    """A portrait, legs, one arm: the photo shows no more."""
    words = {
        "head": ("nose", "eye", "ear"),
        "arm": ("left_shoulder", "left_elbow", "left_wrist", "left_index"),
        "leg": ("knee", "ankle", "heel", "foot_index"),
    }
    landmarks = tasks[0].landmarks.copy()
    if parts == ("arm",):
        # Three keypoints are too few; the shoulders' other one shows, too.
        words["arm"] += ("right_shoulder",)
    visible = [
        any(word in name for part in parts for word in words[part])
        for name in joints.BLAZEPOSE33
    ]
    landmarks[~np.array(visible), 5:] = 0.05
    task = tasks[0]._replace(landmarks=landmarks)
    for recover in (landmark_fitting.PeopleLifter(lifter), fitter):
        (fitted,) = recover([task])
        fitted.person.check()
        assert np.isfinite(fitted.error)


def test_hidden_landmarks_are_no_keypoints_of_the_image(tasks):
    landmarks = tasks[0].landmarks.copy()
    wrist = joints.BLAZEPOSE33.index("left_wrist")
    landmarks[wrist, 5] = landmark_fitting.MIN_CONFIDENCE - 0.05
    row = joints.KEYPOINTS.index("left_wrist")
    assert landmark_fitting.keypoints(landmarks)[row, 2] == 0
    # Seen, but as likely as not outside of the photo.
    landmarks[wrist, 5:] = 0.5
    assert landmark_fitting.keypoints(landmarks)[row, 2] == 0
    landmarks[wrist, 5:] = 0.6
    assert landmark_fitting.keypoints(landmarks)[row, 2] == np.float32(0.36)
    toe = joints.KEYPOINTS.index("right_big_toe")
    foot = joints.BLAZEPOSE33.index("right_foot_index")
    assert_close(
        "exact",
        landmark_fitting.keypoints(landmarks)[toe, :2],
        landmarks[foot, :2],
    )


def test_tasks_with_a_start_take_one_start(body_data, monkeypatch):
    rows = []

    class Recorder:
        joint_names = tuple(
            n for n in joints.KEYPOINTS if n in body_data.keypoint_regressor
        )

        def __init__(self, *_):
            pass

        def __call__(self, start, keypoints, *_, **options):
            rows.append((len(keypoints), options["keypoints_3d"] is None))
            energy = np.zeros(len(keypoints), np.float32)
            return keypoint_fitting.smplify.Fit(*start, energy, energy)

    monkeypatch.setattr(keypoint_fitting.smplify, "Fitter", Recorder)
    rng = np.random.default_rng(1)
    pose = landmark_people.standing(rng)
    landmarks = landmark_people.of_pose(
        body_data, pose, np.array([0, 0.2, 5.0]), FOCAL
    )
    points = landmark_fitting.keypoints(landmarks)
    fitter = keypoint_fitting.PeopleFitter(
        body_data, keypoint_fitting.priors.load()
    )
    task = keypoint_fitting.Task(points, landmark_people.SIZE, FOCAL)
    fitter([task])
    start = task._replace(
        start=(pose, np.zeros(10)),
        keypoints_3d=landmark_people.keypoints_3d(landmarks),
    )
    (fitted,) = fitter([start])
    assert rows == [(keypoint_fitting.STARTS, True), (1, False)]
    # The true pose: its place follows, and nothing is left to fit.
    assert_close("body_metres", fitted.person.pose, np.float32(pose))
    assert fitted.error < 3
