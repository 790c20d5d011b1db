"""Files of a folder, without those that systems put beside them."""

import pytest

from edge.conversion import calibration
from tests.support import box_files, photos
from tf_hmr import __main__ as commands
from tf_hmr.convert import report
from tf_hmr.formats import keypoint_files, listing, tf1_checkpoint

APPLEDOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
SYSTEMS = ("._a.jpg", ".DS_Store", ".hidden.jpg", "Thumbs.db", "desktop.ini")


@pytest.fixture
def folder(tmp_path):
    """A folder with a photo, below one whose name begins with a dot."""
    photo_folder = tmp_path / ".data" / "photos"
    photo_folder.mkdir(parents=True)
    for name in SYSTEMS:
        (photo_folder / name).write_bytes(APPLEDOUBLE)
    photos.write(photo_folder / "a.jpg", photos.image(60, 50))
    return photo_folder


def test_names_of_systems_are_passed_over(folder):
    for name in ("b", ".trash", "b/.c"):
        (folder / name).mkdir()
        (folder / name / "b.jpg").touch()
    a, b = folder / "a.jpg", folder / "b/b.jpg"
    assert listing.files(folder, "*.jpg") == [a]
    assert listing.files(folder, "*") == [a, folder / "b"]
    assert listing.files(folder, "**/*.jpg") == [a, b]
    assert listing.files(folder, "*/*.jpg", "*.jpg", "a.*") == [a, b]
    assert listing.files(folder / "nothing", "*") == []


def test_photos(folder):
    failures = commands.Failures()
    assert commands.list_photos((folder,), failures) == [folder / "a.jpg"]
    assert calibration._photos(folder) == [folder / "a.jpg"]


def test_keypoints(folder):
    content = box_files.openpose(box_files.body25(10, 20, 80, 200))
    box_files.save(folder / "a_keypoints.json", content)
    (folder / "._a_keypoints.json").write_bytes(APPLEDOUBLE)
    (person,) = keypoint_files.read(folder)
    assert person.photo == "a"


def test_checkpoints(tmp_path):
    for name in ("model.ckpt-1.index", "._model.ckpt-1.index"):
        (tmp_path / name).write_bytes(APPLEDOUBLE)
    assert tf1_checkpoint._prefix(tmp_path) == tmp_path / "model.ckpt-1"


def test_a_folder_with_nothing_else_is_empty(tmp_path):
    for name in SYSTEMS:
        (tmp_path / name).write_bytes(APPLEDOUBLE)
    report.check_out(tmp_path)
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match=r"it holds \['mine'\]"):
        report.check_out(tmp_path)


def test_links_to_folders_are_entered_once(tmp_path):
    """Data sets are often links to other disks."""
    root, disk = tmp_path / "root", tmp_path / "disk"
    for folder in (root / "a", disk / "inner"):
        folder.mkdir(parents=True)
        (folder / "x.npz").touch()
    (root / "linked").symlink_to(disk)
    (root / "again").symlink_to(disk / "inner")
    (root / ".hidden").symlink_to(disk)
    (root / "loop").symlink_to(root)
    (disk / "inner" / "back").symlink_to(tmp_path)
    (root / "self").symlink_to("self")
    (root / "nowhere").symlink_to("nothing")
    (root / "same").symlink_to(root / "a")
    paths = listing.files(root, "**/*.npz")
    assert paths == [root / "a/x.npz", root / "again/x.npz"]
    (root / "again").unlink()
    paths = listing.files(root, "**/*.npz")
    assert paths == [root / "a/x.npz", root / "linked/inner/x.npz"]


def test_links_to_nothing_are_listed(tmp_path):
    """So that their readers name them."""
    (tmp_path / "a.jpg").symlink_to("nothing.jpg")
    assert listing.files(tmp_path, "**/*.jpg") == [tmp_path / "a.jpg"]
