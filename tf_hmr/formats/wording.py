"""Wording of messages in one line."""

from collections.abc import Sequence

_MOST = 5


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
