"""Graceful shutdown: SIGTERM is honoured between steps."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

# The request that an outer block waits for, as its only entry.
_outer: list[threading.Event] = []


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Catches SIGTERM inside the block; a second one ends the process.

    A block within another one has the requests of that one.

    Yields:
        A function that says whether SIGTERM has come. Always False outside of
        the main thread, where Python installs no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    if _outer:
        yield _outer[0].is_set
        return
    received = threading.Event()

    def handler(*_):
        received.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    previous = signal.signal(signal.SIGTERM, handler)
    _outer.append(received)
    try:
        yield received.is_set
    finally:
        _outer.clear()
        # None: the handler before was not installed by Python.
        signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)
