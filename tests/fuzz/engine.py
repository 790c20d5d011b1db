"""Reads damaged files in a process of their own, and judges what happens."""

import collections
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import traceback
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz import mutations
from tests.fuzz.formats import Format
from tests.support import memory

SECONDS = 30  # A damaged file takes no longer, on a busy machine, too.
MEMORY = 256 << 20  # bytes more than the process had before the file
_LIMIT = 8 << 30  # bytes at which the process is refused more, to save others
_START_SECONDS = 300
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink")
_RUNS = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn"),
    *("subprocess.Popen", "socket.connect", "pickle.find_class"),
)


class Case(NamedTuple):
    """One damaged file: the number decides on everything."""

    format: str
    number: int


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        case: which.
        kind: "clean", "skipped", "error" or "forbidden".
        words: the error, or what is forbidden.
        damage: which file, and how.
    """

    case: Case
    kind: str
    words: str
    damage: str


def run(
    tables: tuple[str, ...],
    cases: Iterable[Case],
    seed: int,
    seconds: float = SECONDS,
) -> Iterator[Outcome]:
    """Outcomes of the cases, in order.

    A process that dies or does not answer is an outcome; the next case gets
    another process.

    Args:
        tables: of formats, as "module:NAME", which the process imports when
            a case is in none of those before it.
        cases: to run.
        seed: of all damages.
        seconds: that a case may take.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        worker = None
        for case in cases:
            worker = worker or _Worker(context, tables, Path(folder), seed)
            outcome = worker.outcome(case, seconds)
            if not worker.alive():
                worker = None
            yield outcome
        if worker:
            worker.stop()


class _Worker:
    """The parent's side of a process."""

    def __init__(self, context, tables, folder: Path, seed: int):
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(
            target=_work, args=(tables, folder, seed, child_pipe), daemon=True
        )
        self._process.start()
        child_pipe.close()

    def outcome(self, case: Case, seconds: float) -> Outcome:
        self._pipe.send(case)
        damage = "before the file was damaged"
        words = f"hangs: no answer after {seconds:g} s"
        limit: float = _START_SECONDS
        try:
            while self._pipe.poll(limit):
                message = self._pipe.recv()
                if isinstance(message, Outcome):
                    return message
                if isinstance(message, RuntimeError):
                    raise message
                damage, limit = message, seconds
            self._process.kill()
        except EOFError:
            words = "crash"
        self._process.join()
        if words == "crash":
            words = f"crash: the process ended with {self._process.exitcode}"
        return Outcome(case, "forbidden", words, damage)

    def alive(self) -> bool:
        return self._process.is_alive()

    def stop(self) -> None:
        self._pipe.close()
        self._process.join()


def _work(tables, folder: Path, seed: int, pipe: Any) -> None:
    """The process: good files once per format, then one case at a time."""
    sys.dont_write_bytecode = True
    # Libraries tell about damaged pictures from C.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    watch = _Watch()
    ready: set[str] = set()
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        try:
            file_format = _lookup(tables, case.format)
            root = folder / case.format
            if case.format not in ready:
                _prepare(file_format, root, folder / "out")
                ready.add(case.format)
                _limit_memory()
            outcome = _run_case(file_format, case, folder, seed, pipe, watch)
        except Exception:  # of the fuzz itself: the parent raises it
            outcome = RuntimeError(f"{case}: {traceback.format_exc()}")
        pipe.send(outcome)


def _lookup(tables: tuple[str, ...], name: str) -> Format:
    for table in tables:
        module, _, variable = table.partition(":")
        formats = getattr(importlib.import_module(module), variable)
        if name in formats:
            return formats[name]
    raise KeyError(name)


def _prepare(file_format: Format, root: Path, out: Path) -> None:
    """Good files, which are read once: a fuzz of nothing would find nothing.

    Raises:
        AssertionError: they are not good.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    file_format.write(root)
    _forget(out)
    read_count, _ = file_format.read(root, out)
    assert read_count, f"{root.name}: the files are not good to begin with"


def _limit_memory() -> None:
    """Saves the machine from a reader that fills the memory."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + _LIMIT
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _run_case(file_format, case, folder: Path, seed, pipe, watch) -> Outcome:
    root, out = folder / case.format, folder / "out"
    rng = np.random.default_rng(
        [seed, zlib.crc32(case.format.encode()), case.number]
    )
    pattern = file_format.targets[rng.integers(len(file_format.targets))]
    files = sorted(path for path in root.glob(pattern) if path.is_file())
    path = files[rng.integers(len(files))]
    before, canary = path.read_bytes(), folder / "canary"
    siblings = set(path.parent.iterdir())
    try:
        damage = mutations.damage(rng, path, canary)
        harmless = damage in mutations.HARMLESS
        damage = f"{path.relative_to(root)}, {damage}"
        pipe.send(damage)
        _forget(out)
        start = memory.start()
        with watch.over(out):
            kind, words = _judged(file_format, root, out)
        growth = memory.peak() - start
        if growth > MEMORY:
            kind, words = "forbidden", f"takes {growth >> 20} MiB of memory"
        if harmless and kind == "error":
            kind, words = "forbidden", f"refused, but harmless: {words}"
        if canary.exists():
            canary.rmdir()
            watch.found.insert(0, "ran code of the file")
        if watch.found:
            kind, words = "forbidden", watch.found[0]
    finally:
        path.write_bytes(before)
        for added in set(path.parent.iterdir()) - siblings:
            added.unlink()
    return Outcome(case, kind, words, damage)


def _judged(file_format: Format, root: Path, out: Path) -> tuple[str, str]:
    try:
        _, skipped = file_format.read(root, out)
    except (ValueError, OSError) as error:
        words = f"{type(error).__name__}: {error}".replace(str(root), "")
        # Of numpy, json or zipfile, which do not say where.
        if str(root) not in str(error) and root.name not in str(error):
            return "forbidden", f"an error that names no file: {words}"
        return "error", words
    except BaseException as error:
        return "forbidden", f"{type(error).__name__}: {error}"
    return ("skipped" if skipped else "clean"), ""


def _forget(out: Path) -> None:
    """Empties the folder of results, and what is kept of files in memory."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if not name.startswith(("training.data", "tf_hmr")):
            continue
        for value in vars(module).values():
            if hasattr(value, "cache_clear") and value.__module__ == name:
                value.cache_clear()


class _Watch:
    """Sees files that are changed, and programs that are started."""

    def __init__(self):
        self.found: list[str] = []
        self._allowed: Path | None = None
        sys.addaudithook(self._see)

    def over(self, allowed: Path) -> "_Watch":
        self._allowed, self.found = allowed, []
        return self

    def __enter__(self):
        self._active = True

    def __exit__(self, *_):
        self._active = False

    _active = False

    def _see(self, event: str, arguments: tuple) -> None:
        if not self._active:
            return
        if event in _RUNS:
            self.found.append(f"runs something: {event} {arguments[:2]}")
        writes = event == "open" and (arguments[2] or 0) & _WRITES
        if not writes and event not in _CHANGES:
            return
        path = arguments[0]
        if isinstance(path, int) or str(path) == os.devnull:
            return
        if not Path(os.fsdecode(path)).is_relative_to(self._allowed):
            self.found.append(f"changes files elsewhere: {event} {path}")


def counts(outcomes: Iterable[Outcome]) -> dict[str, collections.Counter]:
    """Number of outcomes by format and kind."""
    counters: dict[str, collections.Counter] = collections.defaultdict(
        collections.Counter
    )
    for outcome in outcomes:
        counters[outcome.case.format][outcome.kind] += 1
    return counters
