"""SIGTERM, as schedulers send it: a wish to stop, heard between steps."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Hears SIGTERM inside the block; a second one ends the process at once.

    Yields:
        Whether one has come. Always False outside of the main thread, where
        Python installs no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    heard = threading.Event()

    def handler(*_):
        heard.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield heard.is_set
    finally:
        # None: it was not Python that installed it.
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
