"""Faults planted into copies of good records are found by their names."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import record_samples
from tf_hmr import joints
from training import doctor
from training.data.checks import bones, faults, label_pairs
from training.data.records import records_folder, schema, shards

COPIES = 2
PERIOD = 4  # one in so many is changed
HALF = Rotation.from_rotvec([np.pi, 0, 0])
MIRROR = list(joints.mirror(joints.KEYPOINTS))


@pytest.fixture(scope="module")
def good(tiny_records):
    """64 people, each of tiny_records twice."""
    stored = shards.Records(tiny_records / "synthetic", "train")
    read = [schema.decode(stored.read(n)) for n in range(len(stored))]
    return [
        dataclasses.replace(example, example_id=f"{copy}-{example.example_id}")
        for copy in range(COPIES)
        for example in read
    ]


@pytest.fixture
def examine(tmp_path, monkeypatch):
    """Writes examples and examines them: exit status, and share by fault."""
    monkeypatch.setattr(schema, "check", lambda example: None)

    def run(examples, *words, harm=None):
        writer = records_folder.Writer(tmp_path / "set", "train")
        for example in examples:
            writer.write(example)
        writer.finish()
        if harm:
            harm(tmp_path / "set" / "train-00000.tfrecord")
        report_path = tmp_path / "told.json"
        words = [str(tmp_path / "set"), "--json", str(report_path), *words]
        status = doctor.main(words)
        found_faults = json.loads(report_path.read_text())["train"]
        return status, {
            fault["fault"]: fault["share"]
            for fault in found_faults
            if fault["records"]
        }

    return run


def with_joints(example, change, **more):
    """Its joints3d (K, 3) changed."""
    points = np.array(example.joints3d)
    points[:, :3] = change(points[:, :3])
    return dataclasses.replace(example, joints3d=points, **more)


def with_global_rotation(example, turn):
    """Its global rotation changed."""
    pose = np.array(example.pose)
    pose[:3] = turn(Rotation.from_rotvec(pose[:3])).as_rotvec()
    return dataclasses.replace(example, pose=pose)


def without_labels(example, *labels):
    return dataclasses.replace(example, **dict.fromkeys(labels))


def only_keypoints(example):
    return without_labels(example, "joints3d", "pose", "betas", "intrinsics")


def reordered(example, old, new):
    """With the joints called `old` where `new` are."""
    order = list(range(len(joints.KEYPOINTS)))
    for to, of in zip(old, new, strict=True):
        order[joints.KEYPOINTS.index(to)] = joints.KEYPOINTS.index(of)
    changes = {"keypoints": example.keypoints[order]}
    if example.joints3d is not None:
        changes["joints3d"] = example.joints3d[order]
    return dataclasses.replace(example, **changes)


def arms_for_legs(example):
    names = [
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (("hip", "shoulder"), ("knee", "elbow"), ("ankle", "wrist"))
    ]
    arms, legs = zip(*names, strict=True)
    return reordered(example, arms + legs, legs + arms)


def next_joint(example):
    return reordered(example, joints.LSP14, joints.LSP14[1:] + ("right_ankle",))


def mirrored_keypoints(example):
    return dataclasses.replace(example, keypoints=example.keypoints[MIRROR])


def swapped_everywhere(example):
    return mirrored_keypoints(with_joints(example, lambda xyz: xyz[MIRROR]))


def set_rows(example, **values):
    """The first three rows of labels set, flags kept."""
    changes = {}
    for name, value in values.items():
        changes[name] = np.array(getattr(example, name))
        changes[name][:3, :-1] = value
    return dataclasses.replace(example, **changes)


def corners(example):
    """Corners of the box where its size should be."""
    box = np.array(example.box)
    box[2:] += box[:2]
    return dataclasses.replace(example, box=box)


def beyond(example):
    """Everything to the right by most of the picture."""
    shift = 0.7 * example.width
    points, camera = np.array(example.keypoints), np.array(example.intrinsics)
    points[:, 0] += shift
    camera[2] += shift
    return dataclasses.replace(
        example,
        keypoints=points,
        intrinsics=camera,
        box=example.box + [shift, 0, 0, 0],
    )


FAULTS = {
    "half a turn": (
        label_pairs.POSE_UPSIDE_DOWN,
        lambda e: with_global_rotation(e, lambda r: HALF * r),
    ),
    "half a turn as of MoSh": (
        label_pairs.POSE_UPSIDE_DOWN,
        lambda e: with_global_rotation(e, lambda r: r * HALF),
    ),
    "half a turn without joints3d": (
        label_pairs.POSE_UPSIDE_DOWN,
        lambda e: without_labels(
            with_global_rotation(e, lambda r: HALF * r), "joints3d"
        ),
    ),
    "y up": (
        label_pairs.JOINTS_UPSIDE_DOWN,
        lambda e: with_joints(e, lambda xyz: xyz * [1, -1, -1]),
    ),
    "y up without pose": (
        label_pairs.JOINTS_UPSIDE_DOWN,
        lambda e: without_labels(
            with_joints(e, lambda p: p * [1, -1, 1]), "pose"
        ),
    ),
    "z towards the camera": (
        label_pairs.DEPTH,
        lambda e: with_joints(e, lambda xyz: xyz * [1, 1, -1]),
    ),
    "z towards the camera without pose": (
        bones.MIRRORED,
        lambda e: without_labels(
            with_joints(e, lambda p: p * [1, 1, -1]), "pose"
        ),
    ),
    "sides of the keypoints": (label_pairs.SWAPPED, mirrored_keypoints),
    "sides of joints3d": (
        label_pairs.SWAPPED,
        lambda e: with_joints(e, lambda xyz: xyz[MIRROR]),
    ),
    "sides of both": (label_pairs.SWAPPED, swapped_everywhere),
    "sides of both without pose": (
        bones.MIRRORED,
        lambda e: without_labels(swapped_everywhere(e), "pose"),
    ),
    "millimetres": (
        bones.UNIT,
        lambda e: with_joints(e, lambda xyz: 1000 * xyz),
    ),
    "centimetres": (
        bones.UNIT,
        lambda e: with_joints(e, lambda xyz: 100 * xyz),
    ),
    "arms for legs": (bones.ORDER, arms_for_legs),
    "the next joint": (bones.ORDER, next_joint),
    "zero keypoints": (faults.ZERO, lambda e: set_rows(e, keypoints=0)),
    "zero joints3d": (faults.ZERO, lambda e: set_rows(e, joints3d=0)),
    "zero pose": (
        faults.ZERO,
        lambda e: dataclasses.replace(e, pose=np.zeros(72)),
    ),
    "nan": (faults.NOT_FINITE, lambda e: set_rows(e, joints3d=np.nan)),
    "beyond the edge": (faults.OUTSIDE, beyond),
    "another box": (
        faults.BOX,
        lambda e: dataclasses.replace(e, box=e.box + [60, 60, 0, 0]),
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_planted_fault_is_found_by_its_name(good, examine, case):
    name, plant = FAULTS[case]
    changed = [plant(e) if n % PERIOD == 0 else e for n, e in enumerate(good)]
    status, shares = examine(changed)
    assert status == 1
    # Seen from the side, left and right are in the same place.
    hidden = 0.1 if name in (label_pairs.SWAPPED, label_pairs.DEPTH) else 0
    assert shares[name] == pytest.approx(1 / PERIOD, abs=hidden / PERIOD + 1e-9)
    other_shares = sum(shares.values()) - shares[name]
    assert other_shares <= 1 / PERIOD - shares[name] + 1e-9, shares


@pytest.mark.parametrize("plant", [arms_for_legs, next_joint])
def test_order_of_a_dataset_of_keypoints(good, examine, plant):
    """One picture shows little, many do."""
    _, shares = examine([plant(only_keypoints(example)) for example in good])
    assert shares == {bones.ORDER: 1.0}


def test_corners_for_sizes_in_a_dataset(good, examine):
    _, shares = examine([corners(example) for example in good])
    assert shares == {faults.BOX: 1.0}


def test_faces_of_a_dataset_of_keypoints(good, examine):
    """People who show their faces, as annotators label them, and swapped."""

    def turn(example):
        names = ("left_eye", "right_eye", "nose")
        rows = list(joints.select(names, joints.KEYPOINTS))
        left, right, nose = example.keypoints[rows, :2].astype(float)
        across, down = left - right, nose - (left + right) / 2
        size = np.linalg.norm(across) / np.linalg.norm(down)
        return np.cross([*across, 0], [*down, 0])[2] * (size > 1)

    facing = [only_keypoints(example) for example in good if turn(example) > 0]
    crowd = [
        dataclasses.replace(example, example_id=f"{copy}-{example.example_id}")
        for copy in range(12)
        for example in facing
    ]
    assert len(crowd) > 100
    swapped = [mirrored_keypoints(example) for example in crowd]
    _, shares = examine(swapped)
    assert shares == {label_pairs.SWAPPED: 1.0}


def upside_down(example):
    """The picture, and all that is in it, turned by half a turn."""
    size = np.array([example.width, example.height])
    points, camera = np.array(example.keypoints), np.array(example.intrinsics)
    points[:, :2] = size - 1 - points[:, :2]
    camera[2:] = size - 1 - camera[2:]
    box = [*(size - example.box[:2] - example.box[2:]), *example.box[2:]]
    roll = Rotation.from_euler("z", np.pi)
    return with_joints(
        with_global_rotation(example, lambda r: roll * r),
        lambda xyz: xyz * [-1, -1, 1],
        keypoints=points,
        intrinsics=camera,
        box=box,
    )


GOOD = {
    "as they are": lambda e: e,
    "on their heads": upside_down,
    "another body": lambda e: dataclasses.replace(e, topology="smpl"),
    "no intrinsics": lambda e: without_labels(e, "intrinsics"),
    "no pose": lambda e: without_labels(e, "pose", "betas"),
    "no joints3d": lambda e: without_labels(e, "joints3d"),
    "keypoints alone": only_keypoints,
    "no keypoints": lambda e: without_labels(e, "keypoints"),
    "twice as tall": lambda e: with_joints(e, lambda xyz: 2 * xyz),
    "no labels": lambda e: without_labels(only_keypoints(e), "keypoints"),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_records_show_nothing(good, examine, capsys, case):
    assert examine([GOOD[case](example) for example in good]) == (0, {})
    assert "none  " in capsys.readouterr().out


def test_somebody_is_there_twice(good, examine):
    doubled = [*good, good[3], good[5]]
    _, shares = examine(doubled)
    assert shares == {faults.DUPLICATE: 2 / 66}


def test_a_changed_byte(good, examine):
    def harm(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)

    _, shares = examine(good, harm=harm)
    assert shares == {faults.DAMAGED: 1 / 64}


def labels_of(*shape):
    return record_samples.png(np.zeros(shape, np.uint8))


HARMED = {
    "picture cut short": ("image", lambda stored: stored[:-200]),
    "parts cut short": ("parts", lambda stored: stored[:40]),
    "parts that are no picture": ("parts", lambda stored: b"parts"),
    "parts of another size": ("parts", lambda _: labels_of(65, 64)),
    "parts in colour": ("parts", lambda _: labels_of(64, 64, 3)),
}


@pytest.mark.parametrize("case", HARMED)
def test_pictures_are_decoded_where_that_is_asked_for(good, examine, case):
    name, harm = HARMED[case]
    changes = {name: harm(getattr(good[7], name))}
    mixed = good[:7] + [dataclasses.replace(good[7], **changes)] + good[8:]
    _, shares = examine(mixed, "--images")
    assert shares == {faults.PICTURE: 1 / 64}


def test_the_limit_decides_on_the_exit_status(good, examine, tmp_path, capsys):
    bad = with_joints(good[9], lambda xyz: 1000 * xyz)
    mixed = good[:9] + [bad] + good[10:]
    status, _ = examine(mixed, "--limit", "0.02")
    assert status == 0
    assert doctor.main([str(tmp_path / "set"), "--limit", "0.01"]) == 1
    printed = capsys.readouterr().out
    assert f"1.56%  {bones.UNIT}" in printed
    assert f"the worst is {bad.example_id}" in printed
    sheet = cv2.imread(str(tmp_path / "set" / "train.doctor.png"))
    assert sheet.shape[0] > 192


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "No records of the dataset 'nowhere'"),
        (["set", "--split", "tset"], "has no split 'tset'"),
        (["set", "--limit", "3"], "--limit is 3, expected a share"),
    ],
)
def test_errors_are_one_line(
    good, examine, tmp_path, capsys, monkeypatch, words, message
):
    examine(good[:2])
    monkeypatch.chdir(tmp_path)
    assert doctor.main(words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
