"""Files that `python -m tf_hmr` and `tf_hmr.landmark_files` read.

The networks that find people must be there (`make networks`).
"""

import contextlib
import functools
import hashlib
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from tests.fuzz.formats import Format, reader
from tests.support import rendered_groups
from tf_hmr import inference, landmark_files, recovery, sightings
from tf_hmr.detection import landmarks as detection
from tf_hmr.formats import image_files, image_writing, listing
from training.data.records import records_folder
from training.data.synthetic import people

_NETWORKS = {
    name: np.random.default_rng(number).bytes(3000)
    for number, name in enumerate(("people", "landmarks", "persons"))
}


def _network(name: str, member: str, **fields) -> landmark_files.NetworkFile:
    content = _NETWORKS[name]
    digest = hashlib.sha256(content).hexdigest()
    return landmark_files.NetworkFile(
        f"{name}.tflite", member, digest, len(content), **fields
    )


_OF_WHEEL = tuple(
    _network(name, f"mediapipe/{name}.tflite")
    for name in ("people", "landmarks")
)
_PERSONS = _network("persons", "package/assets.data", first=184, crowds=True)


def _wheel(root: Path) -> None:
    for name, compression in (
        ("stored", zipfile.ZIP_STORED),
        ("deflated", zipfile.ZIP_DEFLATED),
    ):
        with zipfile.ZipFile(root / f"{name}.whl", "w", compression) as wheel:
            wheel.writestr("mediapipe/__init__.py", "raise SystemExit")
            for file in _OF_WHEEL:
                content = _NETWORKS[file.name.partition(".")[0]]
                wheel.writestr(file.member, content)


def _read_wheel(root: Path, out: Path) -> tuple[int, int]:
    count = 0
    for path in listing.files(root, "*.whl"):
        with _cache(out):
            count += len(landmark_files.fetch(path))
    return count, 0


def _tarball(root: Path) -> None:
    content = bytes(_PERSONS.first) + _NETWORKS["persons"] + bytes(50)
    with tarfile.open(root / "package.tgz", "w:gz") as tarball:
        for name, data in (("package/a.js", b"x"), (_PERSONS.member, content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tarball.addfile(member, io.BytesIO(data))


def _read_tarball(root: Path, out: Path) -> tuple[int, int]:
    def downloaded(folder: Path) -> Path:
        return root / "package.tgz"

    with (
        _cache(out),
        mock.patch.object(landmark_files, "OF_WHEEL", ()),
        mock.patch.object(landmark_files, "_downloaded_tarball", downloaded),
    ):
        return len(landmark_files.fetch(crowds=True)), 0


def _cached(root: Path) -> None:
    folder = root / "landmark_networks"
    folder.mkdir()
    for file in _OF_WHEEL:
        name = file.name.partition(".")[0]
        (folder / file.name).write_bytes(_NETWORKS[name])


def _read_cached(root: Path, out: Path) -> tuple[int, int]:
    with _cache(root):
        return len([landmark_files.read(file) for file in _OF_WHEEL]), 0


@contextlib.contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """The networks above, and the folder that they are kept in."""
    with (
        mock.patch.multiple(
            landmark_files,
            OF_WHEEL=_OF_WHEEL,
            PERSONS=_PERSONS,
            folder=lambda: folder / "landmark_networks",
        ),
        mock.patch.object(tempfile, "tempdir", str(folder)),
    ):
        yield


def _people(root: Path) -> None:
    """A person who fills the photo, so that one look at it is enough."""
    image, truth = rendered_groups.person(1)
    x, y, width, height = map(round, rendered_groups.box_of(truth))
    side = max(width, height) // 8
    rows = slice(max(y - side, 0), y + height + side)
    columns = slice(max(x - side, 0), x + width + side)
    for end in ("jpg", "png"):
        image_writing.write(root / f"person.{end}", image[rows, columns])


def _read_people(root: Path, out: Path) -> tuple[int, int]:
    """As `python -m tf_hmr PHOTO --method lift`, but for its files."""
    count = omissions = 0
    seek, recover = _seeker(), _recoverer()
    for path in listing.files(root, "*"):
        image = image_files.read_photo(path)
        sighting = seek(image)
        (recovered,) = recover([sighting], [inference.image_size(image)])
        count += len(recovered.people)
        omissions += len(sighting.omissions) + len(recovered.omissions)
    return count, omissions


# Outside of tf_hmr, whose caches a case begins without.
@functools.cache
def _seeker() -> sightings.Seeker:
    return sightings.Seeker(crowds=False)


@functools.cache
def _recoverer() -> recovery.Recoverer:
    return recovery.Recoverer("lift")


@functools.cache
def _landmarks() -> detection.LandmarkNetwork:
    return detection.LandmarkNetwork()


def _records(root: Path) -> None:
    """Rendered people, each in a file of its own."""
    writer = records_folder.Writer(root, "train", shard_size=1)
    for example in people.frozen().examples(0, 2):
        writer.write(example)
    writer.finish(None, "tests")


LOADERS = {
    "landmark-wheel": Format(_wheel, ("*.whl",), _read_wheel),
    "landmark-tarball": Format(_tarball, ("*.tgz",), _read_tarball),
    "landmark-cache": Format(_cached, ("*/*.tflite",), _read_cached),
    "people": Format(_people, ("*",), _read_people),
    "landmarks": Format(
        _records,
        ("*.tfrecord", "*.npy", "report.json"),
        reader("landmarks", ("prepare.landmarks", "_network", _landmarks)),
    ),
}
