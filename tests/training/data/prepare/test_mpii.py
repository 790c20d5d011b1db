"""MPII: structs with missing and empty fields, json, both sets of rules."""

import json

import cv2
import numpy as np
import pytest

from tests.support.datasets import mpii_files, people
from tf_hmr import joints
from training.data.prepare import mpii
from training.data.readers import frames, writing
from training.data.readers import mpii as raw
from training.data.records import schema, shards

MPII_ROWS = list(joints.select(raw.MPII16, joints.KEYPOINTS))
WRIST = joints.KEYPOINTS.index("left_wrist")


def test_joints_have_the_order_of_mpii():
    spelled = (
        "r ankle,r knee,r hip,l hip,l knee,l ankle,pelvis,thorax,neck,"
        "head_top,r wrist,r elbow,r shoulder,l shoulder,l elbow,l wrist"
    )
    spelled = spelled.replace("r ", "right_").replace("l ", "left_")
    assert raw.MPII16 == tuple(spelled.split(","))


@pytest.fixture(scope="module")
def scenes():
    sizes = ((200, 160), (900, 260), (200, 160))
    return [
        people.scene(n, count, size)
        for n, count, size in zip((8, 9, 14), (1, 1, 2), sizes, strict=True)
    ]


@pytest.fixture(scope="module")
def root(scenes, tmp_path_factory):
    root = mpii_files.write(tmp_path_factory.mktemp("mpii"), scenes)
    mpii_files.write_json(root, [], "valid")  # nobody is measured
    return root


def read_all(root, monkeypatch, **changes):
    people = []

    def write(name, options, tasks, read):
        assert name == "mpii"
        people.extend(person for task in tasks for person in read(task))

    monkeypatch.setattr(writing, "write", write)
    mpii.run(mpii.Options(root, root / "out", **changes))
    return people


def test_labels_are_the_truth(root, scenes, monkeypatch):
    small, large, *skipped = read_all(root, monkeypatch)
    truth = scenes[0].people[0].points(raw.MPII16)
    np.testing.assert_allclose(small.keypoints[MPII_ROWS, :2], truth, atol=0.01)
    assert small.keypoints[:, 2].sum() == 16, "hidden ones are labels"
    name = root / "images/000000001.jpg"
    assert small.image == name.read_bytes()
    assert [person.cause for person in skipped] == ["somebody else is near"] * 2
    assert [person.example_id for person in skipped][1] == "000000003-2"
    # The picture of 900 px is cut; labels and pixels move alike.
    assert max(large.width, large.height) <= frames.LARGEST_PX
    truth = scenes[1].people[0].points(raw.MPII16)
    displacement = large.keypoints[MPII_ROWS, :2] - truth
    np.testing.assert_allclose(displacement - displacement[0], 0, atol=0.01)
    shift = np.rint(-displacement[0]).astype(int)
    np.testing.assert_allclose(-displacement[0], shift, atol=0.01)
    image = cv2.imdecode(np.frombuffer(large.image, np.uint8), 1)[..., ::-1]
    same = scenes[1].image[shift[1] :, shift[0] :]
    same = same[: large.height, : large.width]
    assert np.abs(image.astype(int) - same).mean() < 8


def test_box_of_hmr_is_the_extent_of_its_14_joints(root, scenes, monkeypatch):
    example = read_all(root, monkeypatch)[0]
    truth = scenes[0].people[0].points(joints.LSP14)
    low, high = truth.min(axis=0), truth.max(axis=0)
    middle = example.box[:2] + example.box[2:] / 2 - 0.5
    np.testing.assert_allclose(middle, (low + high) / 2, atol=0.01)
    np.testing.assert_allclose(
        example.box[2:], np.linalg.norm(high - low), atol=0.01
    )


def test_box_of_spin_follows_the_scale(root, scenes, monkeypatch):
    people = read_all(root, monkeypatch, rules="spin")
    assert len(people) == 4
    assert all(isinstance(person, schema.Example) for person in people)
    x, y, w, h = scenes[0].people[0].box
    middle = people[0].box[:2] + people[0].box[2:] / 2
    expected = x + w / 2, y + h / 2 + 15 * h / 200
    np.testing.assert_allclose(middle, expected, atol=0.01)
    np.testing.assert_allclose(people[0].box[2:] * 1.2, 1.25 * h, rtol=1e-5)


def hide_joints(*names):
    """A person without some joints; without a list of them if all go."""

    def change(rect):
        points = rect["annopoints"]["point"]
        visible = [p for p in points[0] if raw.MPII16[p["id"]] not in names]
        rows = [{k: p[k] for k in p.dtype.names} for p in visible]
        rect["annopoints"] = {"point": mpii_files.structs(rows)}

    return change


ANKLES = ("left_ankle", "right_ankle")
HIPS = ("left_hip", "right_hip")
HEAD = "head_top"


@pytest.mark.parametrize(
    ("change", "rules", "cause"),
    [
        (lambda rect: rect.pop("annopoints"), "hmr", "no joints"),
        (
            lambda rect: rect.update(annopoints=mpii_files.EMPTY),
            "hmr",
            "no joints",
        ),
        (hide_joints(*raw.MPII16[1:]), "hmr", "fewer than 2 joints"),
        # HMR does not know the pelvis.
        (
            hide_joints(*{*raw.MPII16} - {"pelvis", "left_ankle"}),
            "hmr",
            "fewer than 2 joints",
        ),
        (
            hide_joints(*ANKLES, *HIPS),
            "hmr",
            "too close: no ankle and no torso",
        ),
        (hide_joints("spine", "pelvis"), "spin", "not all 16 joints"),
        (
            lambda rect: rect.update(objpos=mpii_files.EMPTY),
            "spin",
            "neither centre nor scale",
        ),
        (lambda rect: rect.pop("scale"), "spin", "neither centre nor scale"),
    ],
)
def test_who_is_left_out_and_why(
    scenes, tmp_path, monkeypatch, change, rules, cause
):
    mpii_files.write(tmp_path, scenes[:1], lambda rects: change(rects[0][0]))
    mpii_files.write_json(tmp_path, [], "valid")
    (person,) = read_all(tmp_path, monkeypatch, rules=rules)
    assert person == writing.Skipped("000000001-1", cause)


@pytest.mark.parametrize(
    ("hidden_joints", "pair", "px"),
    [
        (ANKLES, (HEAD, HIPS), 75),
        ((*ANKLES, HEAD), (None, HIPS), 56),
    ],
)
def test_people_cut_off_are_judged_by_the_torso(
    scenes, tmp_path, monkeypatch, hidden_joints, pair, px
):
    change = hide_joints(*hidden_joints)
    mpii_files.write(tmp_path, scenes[:1], lambda rects: change(rects[0][0]))
    (person,) = read_all(tmp_path, monkeypatch)
    at = scenes[0].people[0].keypoints
    tops = [pair[0] or hip.replace("hip", "shoulder") for hip in HIPS]
    lengths = [
        np.linalg.norm(at[top] - at[hip])
        for top, hip in zip(tops, HIPS, strict=True)
    ]
    np.testing.assert_allclose(
        person.box[2:], np.mean(lengths) * 150 / px, rtol=1e-5
    )


def test_json_is_read(scenes, tmp_path, monkeypatch):
    root = mpii_files.write_json(tmp_path, scenes, "valid")
    options = {"labels": "json", "split": "valid"}
    people = read_all(root, monkeypatch, **options)
    assert [person.example_id for person in people] == [
        "000000001-1",
        "000000002-1",
        "000000003-1",
        "000000003-2",
    ]
    labelled_rows = [index for index in MPII_ROWS if index != WRIST]
    names = [name for name in raw.MPII16 if name != "left_wrist"]
    truth = scenes[2].people[1].points(names)
    np.testing.assert_allclose(
        people[3].keypoints[labelled_rows, :2], truth, atol=0.01
    )
    assert not people[3].keypoints[WRIST].any()


ODD_ENTRIES = {
    "a row of one number": lambda entry: entry["joints"].__setitem__(3, [5]),
    "no center": lambda entry: entry.pop("center"),
    "a center of NaN": lambda entry: entry.update(center=[float("nan"), 2.0]),
    "a text for a scale": lambda entry: entry.update(scale="tall"),
}


@pytest.mark.parametrize("kind", ODD_ENTRIES)
def test_an_odd_entry_is_left_out_alone(scenes, tmp_path, monkeypatch, kind):
    root = mpii_files.write_json(tmp_path, scenes, "valid")
    path = root / "annot/valid.json"
    entries = json.loads(path.read_text())
    ODD_ENTRIES[kind](entries[0])
    path.write_text(json.dumps([None, *entries]))
    options = {"labels": "json", "split": "valid"}
    people = read_all(root, monkeypatch, **options)
    causes = [getattr(person, "cause", "") for person in people]
    assert [cause[:9] for cause in causes] == ["odd entry"] * 2 + [""] * 3
    assert people[-1].example_id == "000000003-2"
    path.write_text(json.dumps(entries[:1]))
    with pytest.raises(ValueError, match=r"valid.json is not a list of MPII"):
        read_all(root, monkeypatch, **options)


def test_an_odd_person_of_the_matlab_file_is_left_out_alone(
    scenes, tmp_path, monkeypatch
):
    def harm(rects):
        rects[0][0]["annopoints"]["point"]["id"][0, 0] = 99

    root = mpii_files.write(tmp_path, scenes, harm)
    people = read_all(root, monkeypatch)
    causes = [getattr(person, "cause", "") for person in people]
    assert causes[0] == "odd fields" and "odd fields" not in causes[1:]
    assert len(people) == 4


def test_a_list_of_who_is_measured_is_read_to_its_last_entry(
    scenes, tmp_path, monkeypatch
):
    mpii_files.write(tmp_path, scenes)
    path = mpii_files.write_json(tmp_path, scenes, "valid") / "annot/valid.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), {}]))
    with pytest.raises(ValueError, match=r"1 of its entries cannot be read"):
        read_all(tmp_path, monkeypatch, rules="spin")


def test_damaged_and_missing_files_are_named(scenes, tmp_path):
    options = mpii.Options(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"u12_1.mat .*Request it from"):
        mpii.run(options)
    intact_path = (
        mpii_files.write(tmp_path / "whole", scenes[:1]) / mpii_files.MAT
    )
    path = tmp_path / mpii_files.MAT
    path.parent.mkdir()
    for size in (0, 200, 3000):
        path.write_bytes(intact_path.read_bytes()[:size])
        with pytest.raises(ValueError, match=r"u12_1.mat .*Fetch it again"):
            mpii.run(options)
    mpii_files.scipy.io.savemat(path, {"RELEASE": {"annolist": 3}})
    with pytest.raises(ValueError, match=r"u12_1.mat has not the layout"):
        mpii.run(options)
    path.write_bytes(intact_path.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"mpii_human_pose_v1.tar.gz"):
        mpii.run(options)
    with pytest.raises(FileNotFoundError, match=r"annot/valid.json"):
        mpii.run(mpii.Options(tmp_path, tmp_path / "out", split="valid"))


MEASURED = "measured: in annot/valid.json"


@pytest.mark.parametrize("split", ["train", "trainval"])
def test_by_spins_rules_nobody_trains_who_is_measured(
    scenes, tmp_path, monkeypatch, split
):
    """One of two people in a picture is; HMR trains on both."""
    mpii_files.write(tmp_path, scenes)
    path = mpii_files.write_json(tmp_path, scenes, "valid") / "annot/valid.json"
    listed = json.loads(path.read_text())
    listed[3]["center"][0] += 0.3  # the lists round differently
    path.write_text(json.dumps([listed[0], listed[3]]))
    people = read_all(tmp_path, monkeypatch, rules="spin", split=split)
    assert [person.example_id for person in people] == [
        *("000000001-1", "000000002-1", "000000003-1", "000000003-2")
    ]
    causes = [getattr(person, "cause", "") for person in people]
    assert causes == [MEASURED, "", "", MEASURED]
    by_hmr = read_all(tmp_path, monkeypatch, split=split)
    assert MEASURED not in [getattr(person, "cause", "") for person in by_hmr]
    valid = read_all(tmp_path, monkeypatch, rules="spin", split="valid")
    assert [person.example_id for person in valid] == [
        "000000001-1",
        "000000003-2",
    ]
    assert all(isinstance(person, schema.Example) for person in valid)


def test_the_list_of_who_is_measured_must_be_there(
    scenes, tmp_path, monkeypatch
):
    """But for train.json, which has none of them."""
    mpii_files.write(tmp_path, scenes)
    for labels in ({"split": "train"}, {"split": "trainval", "labels": "json"}):
        mpii_files.write_json(tmp_path, scenes, "trainval")
        with pytest.raises(FileNotFoundError, match=r"annot/valid\.json"):
            read_all(tmp_path, monkeypatch, rules="spin", **labels)
    mpii_files.write_json(tmp_path, scenes, "train")
    people = read_all(tmp_path, monkeypatch, rules="spin", labels="json")
    assert {person.cause for person in people} == {"not all 16 joints"}


def test_json_of_both_splits_leaves_the_measured_out(
    scenes, tmp_path, monkeypatch
):
    mpii_files.write_json(tmp_path, scenes, "trainval")
    mpii_files.write_json(tmp_path, scenes[:1], "valid")
    people = read_all(
        tmp_path, monkeypatch, rules="spin", labels="json", split="trainval"
    )
    causes = [person.cause for person in people]
    assert causes == [MEASURED, *3 * ["not all 16 joints"]]


def test_records_and_sheet(root, tmp_path):
    mpii.run(mpii.Options(root, tmp_path, rules="spin", workers=1))
    assert len(shards.Records(tmp_path, "train")) == 4
    assert cv2.imread(str(tmp_path / "train.png")).std() > 20
