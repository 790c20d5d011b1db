"""Codes of the part label images that people drew, as records hold them.

0 is background; 1 and more are one plus a label of the record's part_set.
"""

import cv2
import numpy as np

SOMEWHERE, NOT_JUDGED = 255, 254
"""A person whose part was not drawn; a background that does not count."""
IGNORE = 255
"""Value of `parts` at pixels that are not judged."""


def decode(png: bytes) -> np.ndarray:
    """Decodes the codes (H, W) uint8 of a record's `parts`.

    Raises:
        ValueError: the bytes are no 8 bit gray PNG.
    """
    codes = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.ndim != 2 or codes.dtype != np.uint8:
        raise ValueError(
            "The parts of a record are no 8 bit gray PNG. Its file may be "
            "damaged: prepare the records again."
        )
    return codes


def silhouette(codes: np.ndarray) -> np.ndarray:
    """Mask of the person, (H, W) bool."""
    return (codes > 0) & (codes != NOT_JUDGED)


def parts(codes: np.ndarray) -> np.ndarray:
    """Labels (H, W) uint8: 0, one plus a part's label, or IGNORE."""
    return np.where(codes >= NOT_JUDGED, IGNORE, codes).astype(np.uint8)
