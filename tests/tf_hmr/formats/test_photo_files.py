"""Photos are found by the names that labels have for them."""

import pytest

from tf_hmr.formats import photo_files


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("p0.jpg", "p0.jpg"),
        ("images\\p0.jpg", "p0.jpg"),
        ("C:\\work\\images\\p0.jpg", "p0.jpg"),
        ("images/p0.jpg", "p0.jpg"),
        ("/data/elsewhere/p0.jpg", "p0.jpg"),
        ("./p0.jpg", "p0.jpg"),
        ("p0", "p0.jpg"),
        ("P0.JPG", "p0.jpg"),
        ("train/2.png", "train/2.png"),
        ("2", "train/2.png"),
        ("139", "000000000139.jpg"),
        ("400", "val/COCO_val2014_000000000400.jpg"),
        ("a.b", "a.b.webp"),
    ],
)
def test_one_photo_fits(tmp_path, name, file):
    touch(
        tmp_path,
        *("p0.jpg", "p1.jpg", "000000000139.jpg", "train/2.png"),
        *("val/COCO_val2014_000000000400.jpg", "a.b.webp", "p0.txt"),
    )
    assert photo_files.find(tmp_path, name) == tmp_path / file


@pytest.mark.parametrize(
    "name", ["p7.jpg", "7", "", "..", "0", "x\0y", "p" * 999]
)
def test_what_is_missing_is_said(tmp_path, name):
    touch(tmp_path, "p0.jpg", "p1.jpg", "._p7.jpg", "p7.txt")
    with pytest.raises(FileNotFoundError, match=r"no photo for .*endings .jpg"):
        photo_files.find(tmp_path, name)


def test_several_that_fit_are_named(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "c/2.jpg")
    with pytest.raises(ValueError, match=r"2 photos.*'a/1.jpg', 'b/1.jpg'"):
        photo_files.find(tmp_path, "1.jpg")
    assert photo_files.find(tmp_path, "x/b/1.jpg") == tmp_path / "b/1.jpg"


def test_the_endings_have_an_order(tmp_path):
    touch(tmp_path, "p0.png", "p0.jpg")
    assert photo_files.find(tmp_path, "p0") == tmp_path / "p0.jpg"
    assert photo_files.find(tmp_path, "p0.png") == tmp_path / "p0.png"


def test_a_photo_that_was_added_is_found(tmp_path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(FileNotFoundError):
        photo_files.find(tmp_path, "x/B.jpg")
    touch(tmp_path, "b.jpg")
    assert photo_files.find(tmp_path, "x/B.jpg") == tmp_path / "b.jpg"
