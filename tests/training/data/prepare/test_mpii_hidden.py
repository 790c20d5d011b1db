"""MPII's hidden joints, from the Matlab file to pixels of the photo."""

import json

import numpy as np
import pytest

from tests.support import record_samples
from tests.support.closeness import assert_close
from tests.support.datasets import mpii_files, people
from tf_hmr import joints
from training import config
from training.data.pipeline import batches
from training.data.prepare import mpii
from training.data.readers import mpii as raw
from training.data.readers import writing
from training.data.records import parsing, records_folder, schema
from training.evaluation import evaluator, protocol, protocols

SIZES = ((200, 160), (900, 260), (200, 160))
# Joint i of picture p has the (i + p) % 5 th of "1", "0", 1, 0, empty.
HIDDEN = [
    {raw.MPII16[i] for i in range(16) if (i + p) % 5 in (1, 3)}
    for p in (2, 2, 1)
]
LARGE_PX = 3.0


@pytest.fixture(scope="module")
def scenes():
    numbers = zip((8, 9, 14), (1, 1, 2), SIZES, strict=True)
    return [people.scene(n, count, size) for n, count, size in numbers]


@pytest.fixture(scope="module")
def records(scenes, tmp_path_factory):
    root = tmp_path_factory.mktemp("mpii")
    mpii_files.write(root, scenes)
    # The list leaves out the first picture and turns the last one's people.
    mpii_files.write_json(root, scenes, "valid")
    path = root / "annot/valid.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:0:-1]))
    options = mpii.Options(root, root / "out", split="valid", rules="everyone")
    return [person for task in tasks(options) for person in mpii.read(task)]


def tasks(options):
    all_tasks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "write", lambda n, o, t, r: all_tasks.extend(t))
        mpii.run(options)
    return all_tasks


def test_the_list_says_who_is_in_valid(records):
    names = [person.example_id for person in records]
    assert names == ["000000003-2", "000000003-1", "000000002-1"]


def test_hidden_joints_are_named_and_stay_labels(records):
    for person, hidden in zip(records, HIDDEN, strict=True):
        facts = json.loads(person.facts)
        assert set(facts["hidden"]) == hidden
        assert person.keypoints[:, 2].sum() == 16
        # The head's box of the fixture is 20 px wide and high.
        assert facts["head_px"] == pytest.approx(0.6 * 20 * 2**0.5)
    assert json.loads(records[0].facts)["shrunk"] == 1


def test_records_without_facts_are_what_they_were(records):
    old = record_samples.example(0)
    assert b"facts" not in schema.encode(old)
    assert schema.decode(schema.encode(old)).facts == ""
    decoded = schema.decode(schema.encode(records[0]))
    assert decoded.facts == records[0].facts != ""
    batch = parsing.parse([schema.encode(old), schema.encode(records[0])])
    assert batch["facts"].numpy().tolist() == [b"", decoded.facts.encode()]


@pytest.fixture(scope="module")
def batch(records, tmp_path_factory):
    """A picture, one that is cut, and that as if it had been shrunk."""
    folder = tmp_path_factory.mktemp("records")
    writer = records_folder.Writer(folder, "valid")
    for example in (records[0], records[2], smaller_copy(records[2])):
        writer.write(example)
    writer.finish()
    (tensors,) = batches.eval_dataset(
        config.Source(str(folder), split="valid"), 8, 64
    )
    return {key: value.numpy() for key, value in tensors.items()}


def units_of(batch):
    """(3,) pixels of the publisher's picture in half a crop's side."""
    return batch["box"][:, 2] / 2 * [1, 1, LARGE_PX]


def scores():
    rule = protocols.get("mpii_invisible_hkmr")
    return evaluator.Scores(
        rule, protocol.EvaluationContext(None, joints.LSP14, None)
    )


def answer(batch, pixels, units):
    """The true joints moved right by `pixels` of the publisher's picture."""
    index = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
    points = batch["keypoints"][:, index, :2].copy()
    points[..., 0] += pixels / units[:, np.newaxis]
    return protocol.Predictions(keypoints=points)


def test_pixels_are_those_of_the_publishers_picture(batch):
    """5 px in the photo read 5 px, also where a third of it is stored."""
    units = units_of(batch)
    measured = scores()
    measured.add(batch, answer(batch, 5.0, units))
    summary = measured.summary()
    assert_close("recorded_px", summary["mpjpe_px"], 5.0)
    # Half of a head of 17 px is 8.5 px.
    assert summary["pck"] == 100 == summary["pck02_box"]
    counts = [len(HIDDEN[p] & {*joints.LSP14}) for p in (0, 2, 2)]
    details = measured.details()
    assert details["hidden_joints"] == sum(counts)
    assert details["people_with_hidden_joints"] == 3
    far_scores = scores()
    far_scores.add(batch, answer(batch, 9.0, units))
    assert far_scores.summary()["pck"] == 0
    assert_close("recorded_px", far_scores.ranking()[1], [9.0] * 3)
    third = scores()
    moved_answer = answer(batch, 5.0, units)
    moved_answer.keypoints[0, :, 1] += 9 / units[0]
    third.add(batch, moved_answer)
    expected = counts[0] * np.hypot(5, 9) + 5 * sum(counts[1:])
    assert_close(
        "recorded_px", third.summary()["mpjpe_px"], expected / sum(counts)
    )
    right = 100 * sum(counts[1:]) / sum(counts)
    assert third.summary()["pck"] == pytest.approx(right)


def smaller_copy(example):
    """As if a picture three times as large had been stored at this size."""
    facts = json.loads(example.facts)
    facts["shrunk"] /= LARGE_PX
    fields = vars(example) | {"facts": json.dumps(facts), "example_id": "x"}
    return schema.Example(**fields)


def test_only_hidden_joints_count(batch):
    wrong = answer(batch, 0.0, units_of(batch))
    for person, hidden in zip(
        wrong.keypoints, (HIDDEN[0], HIDDEN[2], HIDDEN[2]), strict=True
    ):
        person[[name not in hidden for name in joints.LSP14]] += 1
    measured = scores()
    measured.add(batch, wrong)
    assert_close("recorded_px", measured.summary()["mpjpe_px"], 0.0)


def test_what_is_missing_is_named(batch):
    empty = scores()
    with pytest.raises(ValueError, match="--split valid --rules everyone"):
        empty.summary()
    with pytest.raises(ValueError, match="give the predictions' keypoints"):
        empty.add(batch, protocol.Predictions())
    no_head = json.dumps({"hidden": ["neck"], "head_px": 0.0, "shrunk": 1})
    facts = np.array([no_head.encode(), b"", b""], object)
    keypoints = batch["keypoints"].copy()
    measured = scores()
    measured.add(batch | {"facts": facts}, answer(batch, 1.0, units_of(batch)))
    assert "pck" not in measured.summary()
    assert measured.details()["without_a_head_box"] == 1
    keypoints[0, joints.KEYPOINTS.index("neck")] = 0
    outside = scores()
    predictions = answer(batch, 1.0, units_of(batch))
    outside.add(batch | {"facts": facts, "keypoints": keypoints}, predictions)
    assert outside.details()["outside_the_picture"] == 1


def test_the_list_is_needed(scenes, tmp_path):
    mpii_files.write(tmp_path, scenes[:1])
    options = mpii.Options(tmp_path, tmp_path / "out", split="valid")
    with pytest.raises(FileNotFoundError, match=r"valid\.json"):
        mpii.run(options)


def test_the_box_is_that_of_the_annotated_joints(batch):
    """All far from the crop's middle, where joints without a label lie."""
    points = batch["keypoints"].copy()
    annotated = points[..., 2] > 0
    assert not annotated.all()
    points[..., :2] = np.where(
        annotated[..., None], 0.7 + 0.1 * points[..., :2], 0.0
    )
    moved_batch = batch | {"keypoints": points}
    sides = np.array(
        [
            np.ptp(person[rows, :2], axis=0).max()
            for person, rows in zip(points, annotated, strict=True)
        ]
    )
    units = units_of(batch)
    for share, expected in ((0.19, 100), (0.21, 0)):
        measured = scores()
        measured.add(
            moved_batch,
            answer(moved_batch, share * sides[:, None] * units[:, None], units),
        )
        assert measured.summary()["pck02_box"] == expected
