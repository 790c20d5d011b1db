"""What a source hides, batches of one source in turns, and missing labels."""

import numpy as np
import pytest

from tests.support import pipeline_batches, record_samples
from training import config
from training.data.pipeline import label_checks, order, sources

# The flags that batches have with each value of Source.labels.
EXPECTED = {
    "all": {"keypoints", "parts", "3d"},
    "2d+parts": {"keypoints", "parts"},
    "2d": {"keypoints"},
    "none": set(),
}
NAMES = tuple(EXPECTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    detected = {"openpose": np.full((25, 3), 20.0)}
    changes = dict.fromkeys(range(8), detected)
    return record_samples.spoilt(root / "samples", 8, changes, shard_size=2)


def mix(folder, names=NAMES, **changes) -> config.Data:
    mixed_sources = tuple(
        config.Source(str(folder), 1.0, labels, (number, len(names)))
        for number, labels in enumerate(names)
    )
    fields = {
        "sources": mixed_sources,
        "batch_size": 4,
        "prior": "",
        "parts": True,
    }
    fields["augment"] = config.Augment((1, 1), 0.0, flip=0.0)
    return config.Data(**(fields | changes))


def visible_labels(batch: dict) -> list[set[str]]:
    """The labels of each example that are not hidden."""
    kinds_of_rows = [set() for _ in batch["has_pose"]]
    for row, names in enumerate(kinds_of_rows):
        flags = {batch[f"has_{k}"][row] for k in ("pose", "betas", "joints3d")}
        assert len(flags) == 1
        if flags == {1}:
            names.add("3d")
            assert batch["betas"][row].any()
        if batch["has_parts"][row]:
            names.add("parts")
        assert batch["parts"][row].any() == bool(batch["has_parts"][row])
        if batch["keypoints"][row, :, 2].any():
            names.add("keypoints")
        else:
            assert not batch["keypoints"][row].any()
        has_detections = batch["openpose"][row].any()
        assert has_detections == ("keypoints" in names)
        assert batch["image"][row].any()
        assert (batch["intrinsics"][row, :2] > 0).all()
    return kinds_of_rows


def test_sources_show_what_they_are_told_to(folder):
    (batch,) = pipeline_batches.batches(mix(folder), 1)
    assert visible_labels(batch) == list(EXPECTED.values())


def test_a_label_that_is_missing_hides_no_other(tmp_path):
    labels = ("pose", "betas", "joints3d")
    missing = {row: {name: None} for row, name in enumerate(labels)}
    records = record_samples.spoilt(tmp_path / "x", 4, missing)
    data = mix(records, ("all",))
    (batch,) = pipeline_batches.batches(data, 1)
    rotmats = batch["rotmats"] - np.eye(3)
    batch_labels = {"pose": rotmats, **{n: batch[n] for n in labels[1:]}}
    for row, example_id in enumerate(batch["example_id"].tolist()):
        absent = missing.get(int(example_id.decode()[2:]), {})
        for name in labels:
            is_there = name not in absent
            assert batch[f"has_{name}"][row] == is_there
            assert batch_labels[name][row].any() == is_there


def test_sources_take_turns_by_their_shares(folder):
    names = ("all", "none")
    data = mix(folder, names, alternate=True, batch_size=2)
    batches = pipeline_batches.batches(data, 4)
    for step, batch in enumerate(batches):
        assert visible_labels(batch) == 2 * [EXPECTED[names[step % 2]]]
    # Each source's examples come once in a pass over its four records.
    for number in (0, 1):
        ids = [
            name
            for b in batches[number::2]
            for name in b["example_id"].tolist()
        ]
        assert len(set(ids)) == 4


def test_turns_repeat_and_a_run_may_start_anywhere():
    layout = order.Layout((3.0, 1.0), 5, alternate=True)
    rows = np.arange(5)
    turns, rows_of_source = [], {0: [], 1: []}
    for step in range(3 * layout.cycle):
        shares, positions = layout.rows(step, rows)
        assert len(set(shares)) == 1
        turns.append(int(shares[0]))
        rows_of_source[turns[-1]].extend(positions.tolist())
    assert turns.count(0) == 3 * turns.count(1)
    assert max(len(run) for run in "".join(map(str, turns)).split("1")) <= 4
    for positions in rows_of_source.values():
        assert positions == list(range(len(positions)))


def test_other_records_take_the_place_of_every_kind_of_source(folder):
    data = mix("a", ("none", "all", "2d+parts", "all"))
    resolved = sources.resolve(data, (str(folder),)).sources
    assert [s.labels for s in resolved] == ["all", "none", "2d+parts"]
    assert [s.share for s in resolved] == [2.0, 1.0, 1.0]
    assert [s.shards for s in resolved] == [(0, 3), (1, 3), (2, 3)]


def test_a_method_without_its_labels_is_refused(folder, tmp_path):
    all_kinds = ("2d", "parts", "3d")
    label_checks.check_labels(mix(folder), all_kinds)
    label_checks.check_labels(mix(folder, ("none",)), ())
    cases = {
        "2d": (mix(folder, ("none", "none")), "learns from keypoints.*'none'"),
        "parts": (mix(folder, ("2d",)), "body parts.*labels='2d.parts'"),
        "3d": (mix(folder, ("2d+parts",)), "3D labels.*labels='all'"),
    }
    for kind, (data, message) in cases.items():
        with pytest.raises(ValueError, match=message):
            label_checks.check_labels(data, (kind,))
    no_parts = record_samples.spoilt(tmp_path / "x", 1, {0: {"parts": b""}})
    with pytest.raises(ValueError, match="body parts"):
        label_checks.check_labels(mix(no_parts, ("2d+parts",)), ("parts",))
    with pytest.raises(ValueError, match="data.parts is off"):
        label_checks.check_labels(mix(folder, parts=False), ("parts",))
