"""Names of files made from texts of data, which nobody has checked."""

import hashlib
import unicodedata

_FORBIDDEN = frozenset('/\\:*?"<>|')  # by Linux or by Windows
_MAX_BYTES = 150  # A name has 255 with its number and ending.
_DIGEST = 8
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL"]
    + [f"{kind}{number}" for kind in ("COM", "LPT") for number in range(1, 10)]
)


def path_component(text: object) -> str:
    r"""Makes one safe component of a path of any text.

    It is never empty, hidden, ".." or a device of Windows; separators,
    control characters (escape sequences of terminals, turns of the writing
    direction, halves of surrogate pairs) and \ / : * ? " < > | become "_".
    A text that is safe stays as it is. Different texts may become one name.

    Args:
        text: a text, or a number, whose decimal text is taken.

    Returns:
        A name of 1 to 150 bytes in UTF-8.
    """
    name = "".join(
        "_" if char in _FORBIDDEN or _is_invisible(char) else char
        for char in str(text)
    )
    name = name.lstrip(". ").rstrip(". ")
    if not name:
        return "unnamed"
    if name.partition(".")[0].upper() in _DEVICES:
        name = f"_{name}"
    encoded = name.encode()
    if len(encoded) <= _MAX_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST]
    start = encoded[: _MAX_BYTES - _DIGEST - 1].decode(errors="ignore")
    return f"{start}-{digest}"


def _is_invisible(char: str) -> bool:
    # C: control, format, surrogate, private use; Zl, Zp: ends of lines.
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")
