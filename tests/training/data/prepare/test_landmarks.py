"""Landmarks of the people of other records."""

import dataclasses

import numpy as np
import pytest

from tf_hmr.detection import landmarks as detection
from training.data.prepare import landmarks
from training.data.readers import writing
from training.data.records import records_folder, schema, shards

SIDE = 256  # of the network's masks


class Network:
    """Answers the square that it looks at; sees nobody in some."""

    def __init__(self, blind=()):
        self.squares, self._blind = [], blind

    def look_twice(self, image, square):
        number = len(self.squares)
        self.squares.append(square)
        points = np.full((33, 7), number, np.float32)
        presence = 0.1 if number in self._blind else 0.9
        return detection.Landmarks(
            points, presence, square, square, np.zeros((SIDE, SIDE))
        )


@pytest.fixture
def use(monkeypatch):
    def use_network(network):
        monkeypatch.setattr(landmarks, "_network", lambda: network)
        return network

    return use_network


def task(root, **changes):
    full_task = landmarks.Task(root / "synthetic_v1", "test", 0, 12, False)
    return full_task._replace(**changes)


def test_labels_stay_and_landmarks_come(tiny_records, use):
    network = use(Network(blind=[3]))
    people = list(landmarks.read(task(tiny_records)))
    stored = shards.Records(tiny_records / "synthetic_v1", "test")
    for row, person in enumerate(people):
        before = schema.decode(stored.read(row))
        if row == 3:
            assert person == writing.Skipped(
                before.example_id, "BlazePose sees nobody"
            )
            continue
        assert (person.landmarks == row).all()
        plain = dataclasses.replace(person, landmarks=None)
        assert schema.encode(plain) == schema.encode(before)
        x, y, w, h = before.box
        square = network.squares[row]
        assert square[:2] == pytest.approx((x + w / 2, y + h / 2))
        assert square.angle == 0


def test_jitter_is_the_persons_own(tiny_records, use):
    """Whatever else is read, so that records do not depend on the workers."""
    network = use(Network())
    list(landmarks.read(task(tiny_records, jitter=True)))
    list(landmarks.read(task(tiny_records, start=5, stop=7, jitter=True)))
    assert network.squares[5:7] == network.squares[12:]
    plain = use(Network())
    list(landmarks.read(task(tiny_records)))
    assert all(
        jittered.angle
        and jittered.side != square.side
        and jittered.x != square.x
        for jittered, square in zip(
            network.squares, plain.squares, strict=False
        )
    )


def test_damaged_records_are_left_out(tiny_records, use, monkeypatch):
    use(Network())
    read = shards.Records.read

    def damaged(self, index):
        if index == 2:
            raise shards.DamagedRecord("test record 2")
        return read(self, index)

    monkeypatch.setattr(shards.Records, "read", damaged)
    people = list(landmarks.read(task(tiny_records)))
    assert people[2] == writing.Skipped("record 2", "damaged on disk")
    assert sum(isinstance(p, writing.Skipped) for p in people) == 1


def test_broken_images_are_left_out_and_named(tiny_records, use, monkeypatch):
    network = use(Network())
    decode = schema.decode

    def without_image(record):
        example = decode(record)
        return dataclasses.replace(example, image=example.image[:40])

    monkeypatch.setattr(schema, "decode", without_image)
    people = list(landmarks.read(task(tiny_records, start=4, stop=6)))
    assert all(isinstance(person, writing.Skipped) for person in people)
    stored = shards.Records(tiny_records / "synthetic_v1", "test")
    assert [person.example_id for person in people] == [
        decode(stored.read(row)).example_id for row in (4, 5)
    ]
    assert not network.squares


def test_jitter_moves_people_as_much_as_finders_do():
    box = np.array([10.0, 20.0, 50.0, 100.0])
    square = landmarks.squares.of_box(box)
    jittered_squares = np.array(
        [landmarks._jittered(square, box, row) for row in range(2000)]
    )
    spread = [
        *((jittered_squares[:, :2] - square[:2]).std(axis=0) / 100),
        np.log(jittered_squares[:, 2] / square.side).std(),
        jittered_squares[:, 3].std(),
    ]
    assert spread == pytest.approx([0.04, 0.04, 0.1, 0.15], rel=0.1)
    means = jittered_squares.mean(axis=0) - square
    assert np.abs(means / [100, 100, square.side, 1]).max() < 0.01


def test_a_number_of_people_that_there_are_not_is_refused(tiny_records, use):
    use(Network())
    options = landmarks.Options(
        tiny_records / "synthetic_v1", tiny_records / "no", "test", count=13
    )
    with pytest.raises(ValueError, match="Expected 1 to 12"):
        landmarks.run(options)


def test_the_network_sees_rendered_people(tiny_records, tmp_path):
    """The command's own code, one process, six people; eight of ten joints
    lie near the true ones."""
    options = landmarks.Options(
        tiny_records / "synthetic_v1",
        tmp_path,
        "test",
        workers=1,
        count=6,
    )
    landmarks.run(options)
    report = records_folder.read_report(tmp_path)["splits"]["test"]
    assert report["count"] + sum(report["skipped"].values()) == 6
    assert report["count"] >= 5
    from training import evaluate_landmarks
    from training.tasks import evaluate_landmarks as task

    people = task.read(evaluate_landmarks.Args(tmp_path))
    assert (people.distances < 0.1).mean() > 0.8
