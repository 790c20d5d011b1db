"""Graceful shutdown: SIGTERM is honoured between steps."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Catches SIGTERM inside the block; a second one ends the process.

    Yields:
        A function that says whether SIGTERM has come. Always False outside of
        the main thread, where Python installs no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received = threading.Event()

    def handler(*_):
        received.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield received.is_set
    finally:
        # None: the handler before was not installed by Python.
        signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)
