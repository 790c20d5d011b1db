import pickle
from collections import OrderedDict

import numpy as np
import pytest
import scipy.sparse

from tests.support import memory, smpl_files
from tests.support.closeness import assert_close
from tf_hmr.formats import unpickle

# Each would leave a trace (a file at {trace}) or read one, if it were called.
HOSTILE = {
    "os.system": "touch {trace}",
    "posix.system": "touch {trace}",
    "subprocess.call": "touch {trace}",
    "builtins.eval": "open({trace!r}, 'w')",
    "__builtin__.eval": "open({trace!r}, 'w')",
    "builtins.getattr": "os",
    "numpy.testing.runstring": "open({trace!r}, 'w')",
    "numpy.load": "{trace}",
    "numpy.fromfile": "{trace}",
    "operator.attrgetter": "system",
    "scipy.sparse.load_npz": "{trace}",
    "chumpy.ch.depends_on": "x",
    "tf_hmr.formats.unpickle.load": "{trace}",
}


def a_call(callable_name: str, argument: str, protocol: int) -> bytes:
    """Opcodes that call `callable_name(argument)`."""
    module, name = callable_name.rsplit(".", 1)
    text = argument.encode("unicode_escape")
    if protocol < 4:
        return f"c{module}\n{name}\n".encode() + b"(V" + text + b"\ntR"
    words = b"".join(b"V" + word.encode() + b"\n" for word in (module, name))
    return words + b"\x93(V" + text + b"\ntR"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickle_is_refused_by_name(tmp_path, name, protocol):
    trace = tmp_path / "trace"
    call = a_call(name, HOSTILE[name].format(trace=str(trace)), protocol)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(
        b"\x80" + bytes([protocol]) + b"}Vweights\n" + call + b"s."
    )
    with pytest.raises(ValueError, match=f"asks for {name},") as refusal:
        unpickle.load(path)
    assert "nothing of the file was run" in str(refusal.value)
    assert not trace.exists()


def test_a_hostile_pickle_of_the_standard_library_would_have_run(tmp_path):
    # The opcodes above are real: Python's own reader obeys them.
    trace = tmp_path / "trace"
    call = a_call("builtins.eval", f"open({str(trace)!r}, 'w').close()", 2)
    pickle.loads(b"\x80\x02}Vweights\n" + call + b"s.")
    assert trace.exists()


def test_methods_of_admitted_classes_are_refused(tmp_path):
    path = tmp_path / "body.pkl"
    call = a_call("numpy.ndarray.tofile", "x", 4)
    call = call.replace(b"Vnumpy.ndarray\nVtofile", b"Vnumpy\nVndarray.tofile")
    path.write_bytes(b"\x80\x04}Vweights\n" + call + b"s.")
    with pytest.raises(ValueError, match=r"asks for numpy\.ndarray\.tofile,"):
        unpickle.load(path)


def test_objects_behind_a_crafted_dtype_are_refused(tmp_path):
    # Flags of 0 hide from numpy that the bytes are pointers.
    dumped = smpl_files.python2_dict("weights", np.zeros(4))
    path = tmp_path / "body.pkl"
    path.write_bytes(dumped.replace(b"U\x02f8", b"U\x02O8"))
    with pytest.raises(ValueError, match="dtype 'O8'"):
        unpickle.load(path)


def test_a_pickle_cannot_alter_classes(tmp_path):
    # BUILD on a class sets its attributes: here csc_matrix.toarray.
    path = tmp_path / "body.pkl"
    path.write_bytes(
        b"\x80\x02}Va\ncscipy.sparse\ncsc_matrix\n(N}Vtoarray\nK\x01stbs."
    )
    before = scipy.sparse.csc_matrix.toarray
    stand_in = unpickle.load(path)["a"]
    assert stand_in.toarray == 1  # the attack is real, its target is not
    assert scipy.sparse.csc_matrix.toarray is before
    assert unpickle.load(path)["a"] is not stand_in


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_matrices_come_back(tmp_path, rng, protocol):
    dense = rng.normal(size=(5, 7)) * (rng.random((5, 7)) < 0.4)
    content = OrderedDict(
        floats=dense,
        fortran=np.asfortranarray(dense),
        big_endian=dense.astype(">f4"),
        ids=np.arange(6, dtype=np.uint32),
        scalar=np.float64(0.5),
        nested={"list": [np.ones(2), "text", 3]},
        csc=scipy.sparse.csc_matrix(dense),
        csr=scipy.sparse.csr_matrix(dense),
        coo=scipy.sparse.coo_matrix(dense),
    )
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    read = unpickle.load(path)
    assert list(read) == list(content)
    for name in ("floats", "fortran", "big_endian", "ids"):
        assert_close("exact", read[name], content[name])
        assert read[name].dtype == content[name].dtype
    for name in ("csc", "csr", "coo"):
        assert read[name].format == name
        assert_close("exact", read[name].toarray(), dense)
    assert read["scalar"] == 0.5
    assert_close("exact", read["nested"]["list"][0], np.ones(2))
    assert read["nested"]["list"][1:] == ["text", 3]


def test_python_2_byte_strings(tmp_path, rng):
    array = rng.normal(size=(4, 3))
    path = tmp_path / "python2.pkl"
    path.write_bytes(smpl_files.python2_dict("v_template", array))
    assert_close("exact", unpickle.load(path)["v_template"], array)


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpy_and_old_module_names(tmp_path, rng, monkeypatch, protocol):
    dense = rng.normal(size=(4, 6)) * (rng.random((4, 6)) < 0.5)
    content = {
        "shapedirs": smpl_files.chumpy(dense),
        "posedirs": smpl_files.chumpy_select(dense),
        "J_regressor": smpl_files.old_csc(scipy.sparse.csc_matrix(dense)),
    }
    smpl_files.pretend_old_modules(monkeypatch)
    path = smpl_files.write_pickle(tmp_path / "b.pkl", content, protocol)
    for name in (b"chumpy.ch", b"scipy.sparse.csc", b"numpy.core.multiarray"):
        assert name in path.read_bytes()
    monkeypatch.undo()
    read = unpickle.load(path)
    assert_close("exact", read["shapedirs"], dense)
    assert_close("exact", read["posedirs"], dense)
    assert_close("exact", read["J_regressor"].toarray(), dense)


def test_other_files_are_explained(tmp_path):
    path = tmp_path / "body.pkl"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="could not be read as a pickle"):
        unpickle.load(path)
    content = pickle.dumps({"weights": np.ones(100)}, 2)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="may be damaged"):
        unpickle.load(path)
    path.write_bytes(pickle.dumps([1, 2], 2))
    with pytest.raises(ValueError, match="holds a list, expected a dict"):
        unpickle.load(path)
    with pytest.raises(FileNotFoundError):
        unpickle.load(tmp_path / "absent.pkl")


@pytest.mark.parametrize("kind", ["csc", "csr"])
@pytest.mark.parametrize(
    ("attribute", "index", "value", "words"),
    [
        ("indices", 1, 10**6, "indices must be < "),
        ("indices", 1, 4, "indices must be < 4"),  # the first one outside
        ("indices", 2, -1, "indices must be >= 0"),
        ("indptr", 2, 10**6, "indptr must be a non-decreasing"),
        ("indptr", 2, -9, "indptr must be a non-decreasing"),
        ("indptr", -1, 10**6, "size of index and data"),
    ],
)
def test_sparse_matrices_that_point_outside_are_refused(
    tmp_path, kind, attribute, index, value, words
):
    matrix = getattr(scipy.sparse, f"{kind}_matrix")(np.ones((4, 4)))
    getattr(matrix, attribute)[index] = value
    path = smpl_files.write_pickle(tmp_path / "b.pkl", {"J_regressor": matrix})
    with pytest.raises(ValueError, match=f"b.pkl could not be read.*{words}"):
        unpickle.load(path)


@pytest.mark.parametrize("index", [-1, 4])
def test_coordinates_outside_are_refused(tmp_path, index):
    matrix = scipy.sparse.coo_matrix(np.eye(4))
    matrix.coords[0][2] = index
    path = smpl_files.write_pickle(tmp_path / "b.pkl", {"J_regressor": matrix})
    with pytest.raises(ValueError, match=r"b\.pkl.*axis 0 index"):
        unpickle.load(path)


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_sparse_matrices_too_large_to_write_out_are_refused(tmp_path, kind):
    side = 10**5  # dense, 80 GB
    one = ([1.0], ([0], [0]))
    matrix = getattr(scipy.sparse, f"{kind}_matrix")(one, (side, side))
    path = smpl_files.write_pickle(tmp_path / "b.pkl", {"weights": matrix})
    with pytest.raises(ValueError, match=r"b\.pkl.*shape \(100000, 100000\)"):
        unpickle.load(path)


def test_lists_that_share_their_entries_cannot_fill_the_memory(tmp_path):
    shared = [0.0]
    for _ in range(60):  # 2 ** 60 numbers, written out
        shared = [shared, shared]
    path = smpl_files.write_pickle(tmp_path / "b.pkl", {"weights": shared})
    with pytest.raises(ValueError, match=r"b\.pkl.*a container amounts to"):
        unpickle.load(path)
    array = np.zeros(10**6)
    path = smpl_files.write_pickle(path, {"weights": [array] * 100})
    with pytest.raises(ValueError, match="amounts to 100000001 values"):
        unpickle.load(path)


def test_shared_entries_are_converted_once(tmp_path):
    array = np.arange(3.0)
    content = {"a": [array, array], "b": {"c": array}}
    path = smpl_files.write_pickle(tmp_path / "b.pkl", content)
    read = unpickle.load(path)
    assert read["a"][0] is read["a"][1] is read["b"]["c"]
    assert_close("exact", read["a"][0], array)


def test_a_list_that_holds_itself_is_refused(tmp_path):
    circle = []
    circle.append(circle)
    path = smpl_files.write_pickle(tmp_path / "b.pkl", {"weights": circle})
    with pytest.raises(ValueError, match="a container holds itself"):
        unpickle.load(path)


@pytest.mark.parametrize(
    "opcode", [b"r\x00\x00\x00\x10", b"p268435456\n"], ids=["binary", "text"]
)
def test_an_index_of_the_memo_takes_no_memory(tmp_path, opcode):
    """Python's unpickler makes room for all entries below an index."""
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(b"\x80\x02}" + opcode + b".")

    def refused():
        with pytest.raises(ValueError, match="entry 1 of the memo"):
            unpickle.load(path)

    assert memory.peak_growth(refused) < 2**27
