"""Arrays of an .npz: read when asked for, checked before memory is taken."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from tf_hmr.formats import array_files


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def read(path):
    return array_files.read_npz(path, "three rows", "Make it again.")


def header(shape, descr="<f8", data=b""):
    file = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue() + data


def test_a_pickled_array_matters_only_where_it_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    code = np.array({"code": Code(tmp_path / "ran")}, object)
    np.savez(path, pose=np.eye(3), markers=code)
    arrays = read(path)
    assert set(arrays) == {"pose", "markers"}
    np.testing.assert_array_equal(arrays["pose"], np.eye(3))
    with pytest.raises(ValueError, match="markers of .*a.npz is pickled") as e:
        arrays["markers"]
    assert str(e.value).endswith("Expected three rows. Make it again.")
    assert not (tmp_path / "ran").exists()


def test_an_object_inside_of_a_structure_is_pickled_too(tmp_path):
    path = tmp_path / "a.npz"
    kind = np.dtype([("x", "f4"), ("name", "O")])
    np.savez(path, rows=np.array([(1, Code(tmp_path / "ran"))], kind))
    with pytest.raises(ValueError, match="rows of .*a.npz is pickled"):
        read(path)["rows"]
    assert not (tmp_path / "ran").exists()


def test_what_nobody_asks_for_takes_no_memory(tmp_path):
    path = tmp_path / "a.npz"
    large = 200 << 20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pose.npy", header((1,), data=bytes(8)))
        with archive.open("film.npy", "w") as file:
            file.write(header((large,), "|u1"))
            for _ in range(large >> 20):
                file.write(bytes(1 << 20))
    tracemalloc.start()
    arrays = read(path)
    assert arrays["pose"].tolist() == [0]
    assert "film" in arrays and len(arrays) == 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < large / 20


@pytest.mark.parametrize(
    ("shape", "descr", "size"),
    [
        ((1 << 28,), "<f8", 80),
        ((10**6, 10**7), "<f8", 80),
        ((9,), "<f8", 80),
        ((11,), "<f8", 80),
        ((10,), "<U30", 80),
        ((10,), "<f8", 81),
    ],
)
def test_a_header_that_is_not_of_its_size_is_refused_before_memory_is_taken(
    tmp_path, shape, descr, size
):
    member = header(shape, descr, bytes(size))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("pose.npy", member)
    (tmp_path / "a.npy").write_bytes(member)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"pose of .*a.npz .*bytes, and 8"):
        read(tmp_path / "a.npz")["pose"]
    with pytest.raises(ValueError, match=r"a.npy could.*bytes, and 8"):
        array_files.read_npy(tmp_path / "a.npy", "three rows", "")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 << 20


def test_a_member_that_claims_more_than_its_bytes_can_give_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    member = header((1 << 32,), "|u1", bytes(80))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pose.npy", member)
        # What the list at the file's end claims.
        info = archive.getinfo("pose.npy")
        info.file_size = len(member) - 80 + (1 << 32)
    with pytest.raises(ValueError, match=r"pose of .*a.npz .*cannot come of"):
        read(path)["pose"]
