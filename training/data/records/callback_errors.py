"""Errors of Python callbacks in a tf.data pipeline, told apart by class.

TensorFlow passes on the text of an exception that a callback raises, not the
exception. So those with a message for the user register themselves.
"""

import collections
from typing import ClassVar


class CallbackError(Exception):
    """An error that ends a run with its message."""

    # Callbacks run side by side: several may fail before one is reported.
    raised: ClassVar[collections.deque["CallbackError"]] = collections.deque(
        maxlen=1000
    )

    def __init__(self, message: str):
        super().__init__(message)
        CallbackError.raised.append(self)


def cause_of(error: Exception) -> CallbackError | None:
    """The CallbackError that TensorFlow's error reports; None for others."""
    text = str(error)
    causes = (cause for cause in CallbackError.raised if str(cause) in text)
    return next(causes, None)
