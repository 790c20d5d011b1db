"""The pipeline: the same batches whatever start, devices and damage."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from tests.support import pipeline_batches, record_samples
from tests.support.closeness import TOLERANCES, assert_close
from tf_hmr.geometry import crop
from training import config
from training.data.pipeline import batches as pipeline
from training.data.pipeline import labels, order, reading
from training.data.records import (
    mocap,
    parsing,
    records_folder,
    schema,
    shard_index,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record_samples.folder(
        tmp_path_factory.mktemp("records") / "samples",
        pipeline_batches.COUNT,
        shard_size=4,
    )


@pytest.fixture(scope="module")
def first_batches(folder):
    """The first seven of two sources: several passes over either."""
    return pipeline_batches.batches(pipeline_batches.two_sources(folder), 7)


@pytest.fixture(scope="module")
def first_without_prior(folder):
    """The first six, without unpaired poses."""
    data = pipeline_batches.two_sources(folder, prior="")
    return pipeline_batches.batches(data, 6)


def test_every_pass_is_another_order_of_all_items():
    item_order = order.Order(9, (1, 2))
    passes = item_order(np.arange(27)).reshape(3, 9)
    assert (np.sort(passes, axis=1) == np.arange(9)).all()
    assert len({tuple(row) for row in passes}) == 3
    assert (item_order(np.arange(7, 20)) == passes.ravel()[7:20]).all()
    assert (order.Order(9, (1, 3))(np.arange(9)) != passes[0]).any()


def test_a_batch_is_shared_out_exactly_and_evenly():
    layout = order.Layout((0.5, 0.3, 0.2), 10)
    assert layout.counts == (5, 3, 2)
    assert np.bincount(layout.sources).tolist() == [5, 3, 2]
    halves = np.split(layout.sources, 2)
    assert all(2 <= np.bincount(half)[0] <= 3 for half in halves)
    for source, count in enumerate(layout.counts):
        # Three steps take the source's first 3 x count places, each once.
        dealt = [layout.rows(step, np.arange(10)) for step in range(3)]
        source_rows = [
            positions[row_sources == source] for row_sources, positions in dealt
        ]
        assert sorted(np.concatenate(source_rows)) == list(range(3 * count))
    assert order.Layout((1, 1, 1), 8).counts == (3, 3, 2)
    # Small sources do not crowd the rows of the first device.
    few = order.Layout((0.7, 0.1, 0.1, 0.1), 10)
    for half in np.split(few.sources, 2):
        shares = np.bincount(half, minlength=4) - np.array(few.counts) / 2
        assert (np.abs(shares) <= 1).all()
    with pytest.raises(ValueError, match="positive"):
        order.Layout((1.0, 0.0), 4)


def test_a_share_below_one_row_is_dealt_over_several_batches():
    layout = order.Layout((0.97, 0.03), 4)
    dealt = [layout.rows(step, np.arange(4)) for step in range(200)]
    sources, positions = (
        np.concatenate(part) for part in zip(*dealt, strict=True)
    )
    assert np.bincount(sources).tolist() == [776, 24]
    for source in (0, 1):
        source_rows = positions[sources == source]
        assert sorted(source_rows) == list(range(len(source_rows)))
    per_batch = [np.sum(row_sources == 1) for row_sources, _ in dealt]
    assert max(per_batch) == 1


def test_a_run_that_starts_at_a_step_sees_that_step(folder, first_batches):
    data = pipeline_batches.two_sources(folder)
    through = first_batches
    for offset, batch in enumerate(pipeline_batches.batches(data, 4, start=3)):
        pipeline_batches.assert_same(batch, through[3 + offset])
    assert (through[3]["image"] != through[4]["image"]).any()


def test_sources_of_one_size_have_orders_of_their_own(tmp_path):
    """Else the same pairs of records would meet in every pass."""
    folder = record_samples.folder(tmp_path / "samples", 12, shard_size=6)
    data = pipeline_batches.two_sources(folder, prior="")
    feed = reading.Feed(data)
    rows = np.arange(data.batch_size)
    ids = [
        schema.decode(serialized).example_id.removeprefix("id")
        for step in range(2)
        for serialized in feed.read(step, rows)
    ]
    # The first source has the first six records, the second the others.
    sources = np.tile(feed.layout.sources, 2)
    first, second = (np.array(ids, int)[sources == source] for source in (0, 1))
    assert sorted(first) == list(range(6))
    assert sorted(second) == list(range(6, 12))
    assert (first != second - 6).any()


def test_every_record_comes_once_in_each_pass(folder):
    source = config.Source(str(folder))
    data = pipeline_batches.two_sources(
        folder, sources=(source,), batch_size=pipeline_batches.COUNT
    )
    ids_of_batches = [
        batch["example_id"] for batch in pipeline_batches.batches(data, 3)
    ]
    for ids in ids_of_batches:
        assert set(ids) == {
            f"id{n}".encode() for n in range(pipeline_batches.COUNT)
        }
    assert (ids_of_batches[0] != ids_of_batches[1]).any()


def test_batches_hold_exactly_their_shares_of_labels(first_batches):
    of_shards = {
        f"id{n}".encode(): (n // 4) % 2 == 0
        for n in range(pipeline_batches.COUNT)
    }  # even shards show 3D labels
    for batch in first_batches:
        labelled = np.array([of_shards[name] for name in batch["example_id"]])
        assert labelled.sum() == 3
        for name in ("has_pose", "has_betas", "has_joints3d"):
            assert (batch[name] == labelled).all(), name
        assert (batch["keypoints"][..., 2] == 1).all()
        assert (batch["joints3d"][~labelled] == 0).all()
        assert (batch["joints3d"][labelled][..., 3] == 1).all()
        assert (batch["betas"][~labelled] == 0).all()
        assert (batch["betas"][labelled] != 0).any(axis=1).all()
        identity = np.broadcast_to(np.eye(3), (3, 24, 3, 3))
        assert_close("exact", batch["rotmats"][~labelled], identity)
        assert np.abs(batch["rotmats"][labelled] - identity).max() > 0.3


def test_dots_in_the_batch_lie_at_its_keypoints(folder):
    data = pipeline_batches.two_sources(
        folder, augment=config.Augment(rotation_deg=20.0, flip=0)
    )
    errors = [
        record_samples.dot_errors(image, points, 2.0)
        for batch in pipeline_batches.batches(data, 3)
        for image, points in zip(
            batch["image"], batch["keypoints"], strict=True
        )
    ]
    errors = np.concatenate(errors)
    assert len(errors) > 150
    assert errors.max() <= TOLERANCES["dot_px"].absolute


@pytest.mark.parametrize(("pipelines", "replicas"), [(2, 2), (1, 3)])
def test_devices_read_disjoint_parts_of_one_batch(
    folder, first_batches, pipelines, replicas
):
    data = pipeline_batches.two_sources(folder)
    global_batches = first_batches[1:4]
    local = replicas // pipelines
    parts = [
        pipeline_batches.batches(
            data,
            3 * local,
            start=1,
            context=tf.distribute.InputContext(pipelines, number, replicas),
        )
        for number in range(pipelines)
    ]
    for step in range(3):
        joined = [
            part[step * local + replica]
            for part in parts
            for replica in range(local)
        ]
        for name, expected in global_batches[step].items():
            value = np.concatenate([batch[name] for batch in joined])
            if name == "example_id":
                assert (value == expected).all()
            else:
                assert_close("other_batch_shape", value, expected)


def test_a_batch_must_divide_among_the_devices(folder):
    context = tf.distribute.InputContext(1, 0, 4)
    with pytest.raises(ValueError, match="6 does not divide among 4"):
        pipeline_batches.batches(
            pipeline_batches.two_sources(folder), 1, context=context
        )


def test_genders_are_numbers_and_hidden_with_the_other_labels(
    first_batches, tmp_path
):
    genders = ("female", "male", "neutral", "male", "female", "female")
    changes = {n: {"gender": gender} for n, gender in enumerate(genders)}
    path = record_samples.spoilt(tmp_path / "samples", 6, changes)
    numbers = [-1, 1, 0, 1, -1, -1]
    poses = mocap.read(path)
    unpaired = np.float32([-1, 0, 1])
    mocap.write(path, poses._replace(gender=unpaired))
    for visible in ("all", "2d"):
        source = config.Source(str(path), labels=visible)
        data = pipeline_batches.two_sources(path, sources=(source,))
        (batch,) = pipeline_batches.batches(data, 1)
        index = [int(name[2:]) for name in batch["example_id"]]
        expected = np.float32(numbers)[index] * (visible == "all")
        assert_close("exact", batch["gender"], expected)
        assert sorted(set(batch["prior_gender"])) == [-1, 0, 1]
    assert not first_batches[0][
        "prior_gender"
    ].any()  # An older file tells none.


def test_unpaired_poses_are_real_ones_and_a_function_of_the_step(
    folder, first_batches, first_without_prior
):
    real = mocap.read(folder)
    data = pipeline_batches.two_sources(folder)
    betas_of_batches = [batch["prior_betas"] for batch in first_batches[:5]]
    rows = np.concatenate(betas_of_batches)  # 60 rows: two passes over 30
    distance = np.abs(rows[:, None] - real.betas[None]).max(axis=-1)
    assert (distance.min(axis=1) == 0).all()
    assert (np.bincount(distance.argmin(axis=1)) == 2).all()
    batch = pipeline_batches.batches(data, 1, start=2)[0]
    assert_close("exact", batch["prior_betas"], betas_of_batches[2])
    assert batch["prior_rotmats"].shape == (12, 24, 3, 3)
    identity = np.broadcast_to(np.eye(3), (12, 3, 3))
    assert_close("exact", batch["prior_rotmats"][:, 0], identity)
    at = distance[24:36].argmin(axis=1)
    trace = np.trace(batch["prior_rotmats"], axis1=2, axis2=3)[:, 1:]
    angle = np.linalg.norm(real.pose.reshape(-1, 24, 3)[at, 1:], axis=-1)
    assert_close("trace", trace, 1 + 2 * np.cos(angle))
    batch_without_prior = first_without_prior[0]
    assert not [name for name in batch_without_prior if "prior" in name]


def test_training_batches_carry_parts_when_asked(folder):
    data = pipeline_batches.two_sources(folder, parts=True)
    for batch in pipeline_batches.batches(data, 2):
        labelled = batch["has_parts"] > 0
        assert labelled.sum() == 3
        assert (batch["parts"][~labelled] == 0).all()
        assert (batch["parts"][labelled].max(axis=(1, 2)) > 0).all()


def test_datasets_share_the_graph_of_their_labels(folder):
    """To trace it takes half of the time in which a dataset is made."""
    source = config.Source(str(folder))
    graphs = (labels.augmented, parsing.parse_in_graph)
    pipeline.eval_dataset(source, 3, 64)
    counts = [g.experimental_get_tracing_count() for g in graphs]
    pipeline.eval_dataset(source, 2, 48)
    assert [g.experimental_get_tracing_count() for g in graphs] == counts


def test_evaluation_yields_every_record_once_and_untouched(folder):
    dataset = pipeline.eval_dataset(
        config.Source(str(folder)), 4, pipeline_batches.SIZE
    )
    eval_batches = [
        {name: value.numpy() for name, value in batch.items()}
        for batch in dataset
    ]
    ids = np.concatenate(
        [batch["example_id"] for batch in eval_batches]
    ).tolist()
    assert ids == [f"id{n}".encode() for n in range(pipeline_batches.COUNT)]
    assert [len(batch["image"]) for batch in eval_batches] == [4, 4, 3]
    square = crop.square_box(record_samples.BOX, 1.2)
    for number in (0, 5, 10):
        example = record_samples.example(number)
        batch, row = eval_batches[number // 4], number % 4
        assert_close("box_px", batch["stored_box"][row], square)
        expected = crop.pixels_to_ndc(example.keypoints[:, :2], square)
        assert_close("ndc", batch["keypoints"][row, :, :2], expected)
        for name in ("joints3d", "betas", "translation"):
            expected = getattr(example, name)
            assert_close("stored_float32", batch[name][row], expected)
        stored = batch["stored_intrinsics"][row]
        assert_close("stored_float32", stored, example.intrinsics)
        assert batch["stored_gender"][row] == b"female"
        assert batch["gender"][row] == mocap.GENDERS["female"]
        radius = record_samples.RADIUS * pipeline_batches.SIZE / square[2]
        errors = record_samples.dot_errors(
            batch["image"][row], batch["keypoints"][row], radius
        )
        assert len(errors) > 20
        assert errors.max() <= TOLERANCES["dot_px"].absolute
        parts = batch["parts"][row]
        assert set(np.unique(parts)) <= {
            0,
            record_samples.LEFT_PART,
            record_samples.RIGHT_PART,
            record_samples.MIDDLE_PART,
        }
        uv = batch["keypoints"][row, :, :2]
        at = np.round((uv + 1) * pipeline_batches.SIZE / 2 - 0.5).astype(int)
        inside = ((at >= 0) & (at < pipeline_batches.SIZE)).all(axis=1)
        assert (parts[at[inside, 1], at[inside, 0]] > 0).all()


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda data: data[: len(data) // 2], "JPEG is cut short"),
        (lambda data: data[:2] + data[600:], "JPEG does not decode"),
    ],
)
def test_a_bad_image_keeps_its_place(
    first_without_prior, tmp_path, caplog, spoil, cause
):
    image = spoil(record_samples.example(2).image)
    bad = pipeline_batches.damaged_copy(tmp_path, 2, image)
    with caplog.at_level(logging.WARNING):
        read_batches = pipeline_batches.batches(
            pipeline_batches.two_sources(bad, prior="", max_bad_share=0.1), 6
        )
    hit = 0
    for expected, batch in zip(first_without_prior, read_batches, strict=True):
        rows = batch["example_id"] == b"id2"
        hit += rows.sum()
        assert (batch["image"][rows] == 0).all()
        assert (batch["keypoints"][rows] == 0).all()
        for name in ("has_pose", "has_betas", "has_joints3d"):
            assert (batch[name][rows] == 0).all()
        pipeline_batches.assert_same(
            {name: value[~rows] for name, value in batch.items()},
            {name: value[~rows] for name, value in expected.items()},
        )
    assert hit >= 2
    warnings = [r for r in caplog.records if "samples/id2" in r.getMessage()]
    assert len(warnings) == 1  # named once, though seen several times
    assert f"{{'{cause}': 1}} of 11" in warnings[0].getMessage()


def test_a_record_that_changed_on_disk_keeps_its_place(tmp_path, caplog):
    path = record_samples.folder(tmp_path / "samples", 6, shard_size=6)
    shard = path / "train-00000.tfrecord"
    ends = np.load(shard_index.path_of(shard))[:, 0]
    data = bytearray(shard.read_bytes())
    data[int(ends[2] + ends[3]) // 2] ^= 1
    shard.write_bytes(data)
    source = config.Source(str(path))
    dataset = pipeline.eval_dataset(
        source, 6, pipeline_batches.SIZE, max_bad_share=0.2
    )
    with caplog.at_level(logging.WARNING):
        (batch,) = dataset
    assert batch["example_id"].numpy().tolist() == [
        b"" if n == 3 else f"id{n}".encode() for n in range(6)
    ]
    assert (batch["has_pose"].numpy() == [1, 1, 1, 0, 1, 1]).all()
    assert (batch["has_parts"].numpy() == [1, 1, 1, 0, 1, 1]).all()
    assert f"{shard} record 3: damaged on disk" in caplog.text


def test_a_run_stops_when_too_many_records_are_bad(tmp_path):
    bad = pipeline_batches.damaged_copy(
        tmp_path, 2, record_samples.example(2).image[:900]
    )
    data = pipeline_batches.two_sources(bad, max_bad_share=0.05)
    with pytest.raises(
        tf.errors.UnknownError,
        match=r"1 of 11 records are bad.*0\.05.*cut short.*samples/id2",
    ):
        pipeline_batches.batches(data, 6)


def test_records_of_two_bodies_do_not_mix(folder, tmp_path):
    smpl_folder = tmp_path / "other"
    writer = records_folder.Writer(smpl_folder, "train")
    writer.write(record_samples.example(0, topology="smpl"))
    writer.finish()
    sources = (config.Source(str(folder)), config.Source(str(smpl_folder)))
    data = config.Data(sources=sources, prior="")
    with pytest.raises(ValueError, match=r"different bodies.*smpl"):
        pipeline_batches.batches(data, 1)
    keypoints_only = config.Source(str(smpl_folder), labels="2d")
    data = config.Data(sources=(sources[0], keypoints_only), prior="")
    assert pipeline.topology(data) == record_samples.TOPOLOGY
    data = config.Data(sources=(sources[1],), prior=str(folder))
    with pytest.raises(ValueError, match=r"different bodies.*\(prior\)"):
        pipeline.topology(data)
