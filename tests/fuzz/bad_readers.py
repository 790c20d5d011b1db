"""Readers that do what none may do."""

import os
import pickle
import time

import numpy as np

from tests.fuzz.formats import Format


def _write(root):
    (root / "a.pkl").write_bytes(pickle.dumps({"numbers": list(range(50))}, 2))


def _dies(root, out):
    os.kill(os.getpid(), 11)


def _hangs(root, out):
    time.sleep(1000)


def _fills_the_memory(root, out):
    return np.ones(1 << 34, np.uint8).sum(), 0


def _takes_much_memory(root, out):
    room = np.zeros(3 << 27, np.uint8)
    room[::4096] = 1  # a byte of each page
    return len(room), 0


def _raises_a_key_error(root, out):
    raise KeyError("poses")


def _raises_namelessly(root, out):
    raise ValueError("Expected a number.")


def _runs_the_file(root, out):
    try:
        pickle.loads((root / "a.pkl").read_bytes())
    except Exception as error:
        raise ValueError(f"{root} is damaged") from error
    return 1, 0


def _writes_elsewhere(root, out):
    (root / "b").write_text("x")
    return 1, 0


def _starts_a_program(root, out):
    return os.system("true") + 1, 0


def _first_good(read):
    """Good files are good: it goes wrong from the second time on."""

    def reads(root, out):
        if not (root / "seen").exists():
            (root / "seen").mkdir()
            return 1, 0
        return read(root, out)

    return Format(_write, ("a.pkl",), reads)


BAD = {
    read.__name__: _first_good(read)
    for read in (
        *(_dies, _hangs, _fills_the_memory, _takes_much_memory),
        _raises_a_key_error,
        *(_raises_namelessly, _runs_the_file, _writes_elsewhere),
        _starts_a_program,
    )
}
NONE = {"n": Format(_write, ("a.pkl",), lambda root, out: (0, 0))}
