"""The thread that reads photos and looks for people in them."""

import logging
import subprocess
import sys

import pytest

from tests.support import photos
from tf_hmr import __main__ as cli
from tf_hmr.formats import image_files
from tf_hmr.tasks import photo_reading

COUNT = 6
BOX = (2.0, 3.0, 20.0, 30.0)


@pytest.fixture
def paths(tmp_path):
    return [
        photos.write(tmp_path / f"{n}.png", photos.image(40 + n, 50))
        for n in range(COUNT)
    ]


@pytest.fixture
def read(monkeypatch):
    """Paths that were read, in their order."""
    read, read_photo = [], image_files.read_photo

    def recorded(path):
        read.append(path)
        return read_photo(path)

    monkeypatch.setattr(image_files, "read_photo", recorded)
    return read


def reader_of(paths):
    """A reader that looks for nobody, as all people have boxes."""
    failures = cli.Failures()
    args = cli.Args(tuple(paths), box=BOX)
    return photo_reading.Reader(args, None, failures), failures


def wait_for(reader):
    """Returns when the thread has done what was submitted."""
    reader._thread.submit(int).result()


def test_photos_come_in_their_order(paths, read):
    reader, failures = reader_of(paths)
    reader.begin(paths[0])
    sizes = [photo.image.shape for photo in reader.photos(paths)]
    assert sizes == [(50, 40 + n, 3) for n in range(COUNT)]
    assert read == paths
    assert not failures.count


def test_a_photo_that_fails_is_named_and_the_others_come(paths, caplog):
    paths[1].write_bytes(b"no photo")
    paths[3].unlink()
    reader, failures = reader_of(paths)
    with caplog.at_level(logging.ERROR):
        seen = [photo.path for photo in reader.photos(paths)]
    assert seen == [paths[n] for n in (0, 2, 4, 5)]
    assert failures.count == 2
    for line, n in zip(caplog.messages, (1, 3), strict=True):
        assert str(paths[n]) in line


def test_some_photos_are_looked_at_ahead_and_no_more(paths, read):
    reader, _ = reader_of(paths)
    seen = reader.photos(paths)
    for number in range(COUNT):
        assert next(seen).path == paths[number]
        if number + photo_reading.AHEAD < COUNT:
            wait_for(reader)
            assert len(read) == 1 + number + photo_reading.AHEAD


def test_who_stops_early_leaves_the_rest_unread(paths, read):
    reader, _ = reader_of(paths)
    seen = reader.photos(paths)
    next(seen)
    seen.close()
    assert len(read) <= 1 + photo_reading.AHEAD
    with pytest.raises(RuntimeError, match="after shutdown"):
        reader.begin(paths[-1])


def test_it_starts_without_tensorflow():
    code = (
        "import sys, tf_hmr.tasks.photo_reading; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert not subprocess.run([sys.executable, "-c", code]).returncode
