import dataclasses

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support.closeness import assert_close
from tests.support.reference_body import random_betas, random_rotmats
from tf_hmr import joints, rendering
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera
from training.data.records import schema
from training.data.synthetic import appearance
from training.data.synthetic import people as synthetic
from training.data.synthetic import rendering as render

INDEX = {name: index for index, name in enumerate(joints.KEYPOINTS)}
PLAIN = synthetic.Settings(size=160, occluded=0.0)


@pytest.fixture(scope="module")
def whole_body(body_data):
    """Body with all keypoints of a record."""
    return Body(body_data, joints.KEYPOINTS, jit=False)


@pytest.fixture(scope="module")
def people(body_data):
    """A few people with nothing before them."""
    sampler = synthetic.People(5, settings=PLAIN, data=body_data)
    return list(sampler.examples(0, 12))


def decode(data, flag):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def project(example, points):
    translated = points + example.translation
    fx, fy, cx, cy = example.intrinsics
    return camera.project_perspective(translated, (fx, fy), (cx, cy))


def posed(body, example):
    rotvecs = example.pose.reshape(24, 3)
    rotmats = Rotation.from_rotvec(rotvecs).as_matrix().astype(np.float32)
    return body(rotmats[None], example.betas[None])


def view_of(example):
    fx, _, cx, cy = example.intrinsics.tolist()
    return rendering.View(example.width, example.height, fx, (cx, cy))


def test_skinner_equals_the_body(body_data, whole_body, rng):
    rotmats = random_rotmats(rng, 7, spread=0.8)
    betas = 2 * random_betas(rng, 7)
    skinned = render.Skinner(body_data)(rotmats, betas)
    expected = whole_body(rotmats, betas)
    assert_close("body_metres", skinned.vertices, expected.vertices)
    assert_close("body_metres", skinned.joints, expected.joints)


def test_normals_for_light_are_nearly_those_of_the_mesh(body_data, rng):
    rotmats = random_rotmats(rng, 2, spread=0.3)
    skinned = render.Skinner(body_data)(rotmats, np.zeros((2, 10)))
    for vertices, normals in zip(
        skinned.vertices, skinned.normals, strict=True
    ):
        exact = rendering.vertex_normals(vertices, body_data.faces)
        cosine = np.sum(exact * normals, axis=1)
        cosine /= np.linalg.norm(normals, axis=1)
        assert np.degrees(np.arccos(np.median(cosine))) < 5


def test_keypoints_are_the_projected_joints(people):
    for example in people:
        assert (example.joints3d[:, 3] == 1).all()
        pixels = project(example, example.joints3d[:, :3])
        assert_close("recorded_px", example.keypoints[:, :2], pixels)


def test_pose_and_shape_give_the_joints_and_the_box(people, whole_body):
    for example in people:
        mesh = posed(whole_body, example)
        assert_close("recorded_metres", example.joints3d[:, :3], mesh.joints[0])
        pixels = project(example, np.asarray(mesh.vertices[0]))
        x, y, w, h = example.box
        box = np.array([(x, y), (x + w, y + h)]) - 0.5
        assert_close(
            "recorded_px",
            box,
            np.stack([pixels.min(axis=0), pixels.max(axis=0)]),
        )


def test_parts_are_those_of_the_body(people, whole_body, body_data):
    labels, _ = body_data.parts("part14")
    for example in people:
        mesh = posed(whole_body, example)
        vertices = np.asarray(mesh.vertices[0]) + example.translation
        expected = rendering.part_labels(
            vertices, body_data.faces, labels, view_of(example)
        )
        parts = decode(example.parts, cv2.IMREAD_UNCHANGED)
        assert parts.shape == (160, 160)
        intersection = (parts > 0) & (expected > 0)
        union = (parts > 0) | (expected > 0)
        assert intersection.sum() / union.sum() > 0.93
        # Where the two disagree is the border between parts.
        assert (parts == expected)[intersection].mean() > 0.93


def test_person_is_drawn_where_the_parts_are_with_a_smooth_edge(body_data):
    vertices = body_data.v_template * [1, -1, -1] + [0, 0, 5]
    view, _ = render.square_view(vertices, 120, 1.5)
    grey = np.full((120, 120, 3), 100, np.uint8)
    drawing = render.draw(
        grey,
        vertices,
        body_data.faces,
        view,
        np.full((len(vertices), 3), 0.9, np.float32),
        body_data.parts("part14")[0],
    )
    changed = (drawing.image != grey).any(axis=2)
    assert changed[drawing.parts > 0].all()
    full = (drawing.image == int(0.9 * 255)).all(axis=2)
    assert (drawing.parts[full] > 0).all()
    # Between them a rim of mixed pixels: antialiasing.
    rim = changed & ~full
    assert 0 < rim.sum() < changed.sum() / 2


def test_surroundings_last_for_the_widest_augmentation(people):
    for example in people:
        x, y, w, h = example.box
        middle, longest = np.array([x + w / 2, y + h / 2]), max(w, h)
        reach = longest * 1.2 / 0.8 * (0.5 + 0.09)
        assert (middle - reach >= -0.5).all()
        assert (middle + reach <= example.width + 0.5).all()


def test_bodies_are_upright_in_the_pictures(people):
    ankles = [INDEX["left_ankle"], INDEX["right_ankle"]]
    below = [
        example.keypoints[ankles, 1].mean()
        > example.keypoints[INDEX["thorax"], 1]
        for example in people
    ]
    assert np.mean(below) > 0.8


def test_cameras_vary():
    sampler = synthetic.People(1, settings=synthetic.Settings(size=32))
    examples = list(sampler.examples(0, 96))
    distance = np.array([example.translation[2] for example in examples])
    focal_px = np.array([example.intrinsics[0] for example in examples])
    centre = np.array([example.intrinsics[2:] for example in examples])
    assert distance.min() < 3 < 9 < distance.max()
    assert focal_px.max() / focal_px.min() > 3
    assert (centre.std(axis=0) > 3).all()
    genders = {example.gender for example in examples}
    assert genders == {"female", "male"}
    betas = np.stack([example.betas for example in examples])
    assert (betas.std(axis=0) > 0.5).all()


def test_a_person_is_the_same_in_any_company(body_data):
    settings = synthetic.Settings(size=48)
    one = synthetic.People(9, settings=settings, data=body_data)
    in_order = list(one.examples(0, 40))
    other_people = synthetic.People(9, settings=settings, data=body_data)
    for index in (37, 3, 3, 12):
        example = other_people.example(index)
        for field in dataclasses.fields(schema.Example):
            first = getattr(in_order[index], field.name)
            second = getattr(example, field.name)
            assert np.array_equal(first, second), field.name


def test_seeds_indices_and_splits_give_other_people(body_data):
    settings = synthetic.Settings(size=48)

    def first(seed, split, index=0):
        people = synthetic.People(seed, split, settings, body_data)
        return people.example(index)

    examples = [
        first(0, "train"),
        first(0, "train", 1),
        first(0, "train", synthetic.BLOCK),
        first(1, "train"),
        first(0, "val"),
        first(0, "test"),
    ]
    for field in ("image", "parts", "example_id"):
        assert len({getattr(example, field) for example in examples}) == len(
            examples
        )
    for field in ("pose", "betas", "translation"):
        values = np.stack([getattr(example, field) for example in examples])
        gaps = np.abs(values[:, None] - values[None]).max(axis=-1)
        assert gaps[~np.eye(len(examples), dtype=bool)].min() > 0.01, field


def test_no_seed_of_one_split_reaches_another():
    """Seed sequences of the splits differ in their first word, always."""
    words = {}
    for split in ("train", "val", "test", "prior"):
        people = synthetic.People(2**32 - 1, split)
        rng = people._rng(1, 2**32 - 1)
        entropy = rng.bit_generator.seed_seq.entropy
        assert len(entropy) == 4
        assert all(0 <= word < 2**32 for word in entropy)
        words[split] = entropy[0]
    assert len(set(words.values())) == 4


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_would_overflow_a_word_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed .* 2\*\*32"):
        synthetic.People(seed)


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'holdout'.*train, val, test"):
        synthetic.People(0, "holdout")


@pytest.mark.parametrize(
    "wrong",
    [{"size": 8}, {"margin": 0.9}, {"distance_m": (0.5, 3.0)}],
)
def test_settings_that_cut_the_person_off_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        synthetic.Settings(**wrong)


def test_occluders_hide_keypoints_and_parts(body_data):
    settings = synthetic.Settings(size=96, occluded=1.0, hidden=0.4)
    bare = dataclasses.replace(settings, occluded=0.0)
    covered = synthetic.People(3, settings=settings, data=body_data)
    free = synthetic.People(3, settings=bare, data=body_data)
    hidden, left = 0, []
    for index in range(32):
        one, unoccluded = covered.example(index), free.example(index)
        assert (unoccluded.keypoints[:, 2] == 1).all()
        assert (one.keypoints[:, :2] == unoccluded.keypoints[:, :2]).all()
        hidden += int(np.sum(one.keypoints[:, 2] == 0))
        before = decode(unoccluded.parts, cv2.IMREAD_UNCHANGED)
        after = decode(one.parts, cv2.IMREAD_UNCHANGED)
        assert (after[after > 0] == before[after > 0]).all()
        left.append(np.count_nonzero(after) / np.count_nonzero(before))
        for x, y, visible in one.keypoints:
            row, column = round(float(y)), round(float(x))
            if not visible and before[row, column]:
                assert after[row, column] == 0
    assert hidden > 32, "on average more than one joint is hidden"
    assert min(left) >= 0.6
    assert np.mean(np.array(left) < 1) > 0.6


def test_joints_outside_the_picture_are_not_visible():
    points = np.array([(3.0, 4.0), (-0.6, 4.0), (9.6, 4.0), (4.0, 10.2)])
    keypoints = synthetic.with_visibility(points, None, 10)
    assert keypoints[:, 2].tolist() == [1, 0, 0, 0]


def test_clothes_skin_and_light_vary(body_data, rng):
    wardrobe = appearance.Wardrobe(body_data)
    painted = np.stack(
        [
            wardrobe.paint(rng, appearance.Garments.sample(rng))
            for _ in range(40)
        ]
    )
    assert painted.min() >= 0
    assert painted.max() <= 1.2
    owner = body_data.weights.argmax(axis=1)
    for joint in ("spine2", "left_hip", "left_ankle", "left_hand"):
        spot = np.flatnonzero(owner == joints.SMPL24.index(joint))[0]
        assert (painted[:, spot].std(axis=0) > 0.1).all(), joint
    normals = rng.normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    lit = np.stack([appearance.light(rng, normals) for _ in range(40)])
    assert lit.min() > 0.1
    assert lit.mean(axis=(1, 2)).std() > 0.05


def test_surroundings_are_dull_and_differ(rng):
    pictures = np.stack([appearance.background(rng, 64) for _ in range(60)])
    assert pictures.mean(axis=(1, 2, 3)).std() > 20
    spread = pictures.max(axis=-1).astype(int) - pictures.min(axis=-1)
    assert spread.mean() < 50, "little saturation"


def test_prior_poses_belong_to_nobody_in_a_picture(body_data):
    settings = synthetic.Settings(size=32)
    unpaired = synthetic.People(0, "prior", settings, body_data)
    rotvecs, betas, genders = unpaired.bodies(20, 100)
    assert rotvecs.shape == (80, 24, 3)
    assert betas.shape == (80, 10)
    assert (rotvecs[:, 0] == 0).all()
    bodies_again = unpaired.bodies(50, 51)
    assert (bodies_again[0][0] == rotvecs[30]).all()
    assert (bodies_again[1][0] == betas[30]).all()
    assert bodies_again[2][0] == genders[30] and set(genders) == {
        "female",
        "male",
    }
    paired = synthetic.People(0, "train", settings, body_data)
    paired_rotvecs, *_ = paired.bodies(20, 100)
    assert (
        np.abs(paired_rotvecs[:, None] - rotvecs[None]).max(axis=(2, 3)).min()
        > 0.1
    )
