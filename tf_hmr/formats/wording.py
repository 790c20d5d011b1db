"""Wording of messages in one line."""

import re
from collections.abc import Sequence

_MOST = 5
# What TensorFlow puts around its words: the node, and the operation.
_NODES = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\]")


def few(texts: Sequence[str], separator: str = ", ", of: str = "") -> str:
    """Joins some texts; of many the first ones, and how many more there are.

    Args:
        texts: what a message tells.
        separator: put between them.
        of: what they are, for "and 3 more names".
    """
    excess = len(texts) - _MOST
    parts = list(texts[:_MOST])
    if excess > 0:
        parts.append(f"and {excess} more {of}".rstrip())
    return separator.join(parts)


def first_line(error: BaseException) -> str:
    """What an error of another library says first, for a message.

    Args:
        error: whose text may be long, or empty.

    Returns:
        Its first line, without the names of TensorFlow's nodes; the error's
        kind where it says nothing.
    """
    lines = _NODES.sub("", str(error)).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
