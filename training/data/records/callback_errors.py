"""Errors of Python callbacks in a tf.data pipeline, told apart by class.

TensorFlow passes on the text of an exception that a callback raises, not the
exception. So those with a message for the user note themselves.
"""

from typing import ClassVar


class CallbackError(Exception):
    """An error that ends a run with its message."""

    latest: ClassVar["CallbackError | None"] = None

    def __init__(self, message: str):
        super().__init__(message)
        CallbackError.latest = self


def cause_of(error: Exception) -> CallbackError | None:
    """The CallbackError that TensorFlow's error reports; None for others."""
    cause = CallbackError.latest
    if cause is not None and str(cause) in str(error):
        return cause
    return None
