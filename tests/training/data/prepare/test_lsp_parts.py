"""Six drawn parts in records: their names, what is not judged, old records."""

import cv2
import numpy as np
import pytest

from tests.support import record_samples
from tests.support.datasets import lsp_files, people
from tf_hmr.body import parts as body_parts
from training.data.pipeline import pixels
from training.data.prepare import lsp
from training.data.readers import lsp_parts
from training.data.records import parsing, part_codes, schema, shards

NAMES = ("", *body_parts.PARTS["part6"])


@pytest.fixture(scope="module")
def scenes():
    return [people.scene(n, size=(200, 160)) for n in (5, 6, 7)]


@pytest.fixture
def root(scenes, tmp_path):
    return lsp_files.write_lsp(tmp_path / "lsp", scenes, first=1001)


def options(root, tmp_path, **changes):
    values = {"split": "test", "parts": tmp_path / "upi", "workers": 1}
    return lsp.Options(root, tmp_path / "out", **(values | changes))


def test_parts_keep_their_names_in_records(scenes, root, tmp_path):
    lsp_files.write_parts(tmp_path / "upi", scenes[:2], first=1001)
    lsp.run(options(root, tmp_path))
    stored = shards.Records(tmp_path / "out", "test")
    examples = [schema.decode(stored.read(row)) for row in range(3)]
    assert [example.has("parts") for example in examples] == [True, True, False]
    assert [example.part_set for example in examples] == ["part6", "part6", ""]
    for example, scene in zip(examples, scenes[:2], strict=False):
        mask, six = lsp_files.drawn_parts(scene)
        labels = cv2.imdecode(np.frombuffer(example.parts, np.uint8), -1)
        judged = np.ones(mask.shape, bool)
        judged[::20] = False
        assert (np.array(NAMES)[labels[judged]] == six[judged]).all()
        strip = np.where(mask, part_codes.SOMEWHERE, part_codes.NOT_JUDGED)
        assert (labels[~judged] == strip[~judged]).all()
        silhouette = (labels > 0) & (labels != part_codes.NOT_JUDGED)
        assert (silhouette == mask).all(), "the silhouette is not lost"
    assert (tmp_path / "out" / "test.png").exists()
    # Who reads part14 does not see them.
    batch = parsing.parse([stored.read(0), schema.encode(_rendered())])
    assert batch["has_parts"].numpy().tolist() == [0, 1]
    assert batch["part_set"].numpy().tolist() == [b"part6", b""]


def test_silhouette_and_parts_are_stored_apart(scenes, tmp_path):
    """Where the two drawings disagree, each says what it was drawn to say."""
    scene = scenes[0]
    lsp_files.write_parts(tmp_path, [scene], first=1001)
    paths = [
        tmp_path / f"im1001_{name}.png"
        for name in ("segmentation", "part_segmentation")
    ]
    mask, coded = (cv2.imread(str(path), 0) for path in paths)
    rows, columns = np.nonzero((coded > 0) & (coded < 255))
    middle = len(rows) // 2
    # Half of the parts is off the silhouette, and a corner of the silhouette
    # has no part.
    mask[rows[:middle], columns[:middle]] = 0
    mask[1:9, 1:9], coded[1:9, 1:9] = 1, 0
    for path, drawing in zip(paths, (mask, coded), strict=True):
        people.write_image(path, np.dstack([drawing] * 3))
    codes = lsp_parts.read(tmp_path, 1001)
    codes = part_codes.decode(record_samples.png(codes))
    assert (part_codes.silhouette(codes) == (mask > 0)).all()
    parts = part_codes.parts(codes)
    assert (parts[coded == 255] == part_codes.IGNORE).all()
    names = np.array([*NAMES, ""])[np.where(parts == 255, len(NAMES), parts)]
    drawn_names = np.array(["", *lsp_files.CODES, ""])[
        np.where(coded == 255, len(lsp_files.CODES) + 1, coded)
    ]
    assert (names == drawn_names).all()
    assert middle > 100 and (parts[1:9, 1:9] == 0).all()


def _rendered():
    return record_samples.example(0)


def test_records_without_the_field_are_what_they_were():
    assert b"part_set" not in schema.encode(_rendered())
    assert schema.decode(schema.encode(_rendered())).part_set == ""
    named = record_samples.example(0, part_set="part7")
    with pytest.raises(ValueError, match="part_set is no division"):
        schema.encode(named)


def test_swapped_sides_are_refused(scenes, root, tmp_path):
    # Of the numbering in classner/up: up_tools/model.py.
    other_codes = (
        "head",
        "torso",
        "right_arm",
        "left_arm",
        "right_leg",
        "left_leg",
    )
    mirrored = [lsp_files.CODES[i] for i in (1, 0, 2, 4, 3, 5)]
    for codes in (other_codes, mirrored):
        lsp_files.write_parts(tmp_path / "upi", scenes, 1001, codes)
        with pytest.raises(ValueError, match=r"only \d+ lie in the arm or leg"):
            lsp.run(options(root, tmp_path))


def test_a_folder_without_parts_is_named(scenes, root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"im1001_segmentation.png"):
        lsp.run(options(root, tmp_path))
    lsp_files.write_parts(tmp_path / "upi", scenes, first=1001)
    with pytest.raises(FileNotFoundError, match="--parts with --split test"):
        lsp.run(options(root, tmp_path, split="train"))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the parts do not decode"),
        (record_samples.png(np.full((160, 200), 9, np.uint8)), "other labels"),
        (record_samples.png(np.zeros((9, 9), np.uint8)), "differ in size"),
    ],
)
def test_damaged_parts_are_left_out(scenes, tmp_path, content, cause):
    lsp_files.write_parts(tmp_path, scenes[:1], first=1001)
    path = tmp_path / "im1001_part_segmentation.png"
    path.write_bytes(content)
    with pytest.raises(pixels.BadImage, match=cause):
        lsp_parts.read(tmp_path, 1001)
    labels = np.zeros((1, 14, 3))
    task = lsp.Task(tmp_path, "hmr", tmp_path, range(1001, 1002), labels)
    (left_out,) = lsp.read(task)
    assert cause in left_out.cause
