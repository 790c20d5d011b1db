"""Reads datasets of HDF5 files, checked before memory is taken for them.

HDF5 may name another file as the place of a dataset's bytes, and may state a
shape of any size for bytes that it does not hold.
"""

import math
import mmap
import struct
from pathlib import Path

import h5py
import numpy as np

from tf_hmr.formats import system_limits

DAMAGE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    MemoryError,
)
"""What h5py raises for damaged files."""
# Compressed arrays of real files are at most some 20 times their bytes in the
# file; zeros and masks, which may be more, are small.
_MAX_TIMES = 100
_SMALL = 2**26  # bytes
_COLLECTION = b"GCOL\x01\0\0\0"


def read(file: h5py.File, node: h5py.Dataset) -> np.ndarray:
    """Reads a dataset, all of whose bytes are in the file.

    Args:
        file: that was opened.
        node: of the file, as its group or reference gives it.

    Raises:
        ValueError: it is no dataset, its bytes are in another file, or its
            shape needs far more memory than the file has bytes.
    """
    _check(file, node)
    return np.asarray(node[()])


def open_file(path: Path) -> h5py.File:
    """Opens a file for reading, whose texts of free length cannot hang HDF5.

    It walks the objects of a collection of texts by their sizes, without end
    where the free object says 0 (HDF5 1.14.6: H5HGcache.c).

    Raises:
        ValueError: a collection of texts is damaged.
        OSError: it is no HDF5 file.
    """
    with path.open("rb") as file:
        if file.seek(0, 2):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _check_collections(data)
    return h5py.File(path)


def check(path: Path) -> None:
    """Checks all datasets of a file without reading them.

    Raises:
        ValueError: see `read`; the message names file and dataset.
    """
    links: list[str] = []
    nodes: list[h5py.Dataset] = []

    def visit_link(name: str, link) -> None:
        if isinstance(link, h5py.ExternalLink):
            links.append(name)

    def visit(_, node) -> None:
        if isinstance(node, h5py.Dataset):
            nodes.append(node)

    try:
        with open_file(path) as file:
            file.visititems_links(visit_link)
            if links:
                raise ValueError(f"{links[0]} is a link to another file")
            file.visititems(visit)
            for node in nodes:
                _check(file, node)
    except DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> ValueError:
    """The error for a file that could not be read.

    Raises:
        OSError: it could not be opened, as too many files are open.
    """
    system_limits.check(error, path)
    return ValueError(
        f"{path} could not be read as HDF5 ({error}): it is cut short, "
        "damaged, or takes data from other files. Copy or download it again."
    )


def _check(file: h5py.File, node: h5py.Dataset) -> None:
    if not isinstance(node, h5py.Dataset):
        raise ValueError(f"{node.name} is no dataset")
    elsewhere = node.external or node.is_virtual
    if elsewhere or node.file.filename != file.filename:
        raise ValueError(f"the bytes of {node.name} are in another file")
    size = math.prod(node.shape or ()) * node.dtype.itemsize
    stored = node.id.get_storage_size()
    if size > max(_SMALL, _MAX_TIMES * stored):
        raise ValueError(
            f"{node.name} of the shape {node.shape} would take {size} bytes "
            f"of memory, and the file has {stored} of it"
        )


def _check_collections(data: mmap.mmap) -> None:
    """Walks each collection's objects; sizes are of 8 bytes, as h5py's are.

    HDF5 file format 3.0, III.E: a head of 16 bytes ends with the collection's
    size; each object has a head of 16 bytes with its number and its size, and
    number 0 is the free rest, whose size includes the head.
    """
    start = data.find(_COLLECTION)
    while start >= 0:
        (size,) = struct.unpack_from(
            "<Q", data[start : start + 16].ljust(16, b"\0"), 8
        )
        offset, end = start + 16, min(start + size, len(data))
        while offset + 16 <= end:
            number, length = struct.unpack_from("<H6xQ", data, offset)
            if number == 0 and length < 16:
                raise ValueError(f"a collection of texts ends at byte {offset}")
            offset += length if number == 0 else 16 + (length + 7) // 8 * 8
        start = data.find(_COLLECTION, start + 16)
