"""Label images that people drew, in records: what each code says.

0 is background, 1 and more one plus a label of the record's part_set.
"""

import cv2
import numpy as np

SOMEWHERE, NOT_JUDGED = 255, 254
"""A person whose part was not drawn; a background that does not count."""
IGNORE = 255
"""Of `parts`: pixels that are not judged."""


def decode(png: bytes) -> np.ndarray:
    """(H, W) uint8 codes of a record's `parts`.

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
    """(H, W) bool: where the person is."""
    return (codes > 0) & (codes != NOT_JUDGED)


def parts(codes: np.ndarray) -> np.ndarray:
    """(H, W) uint8: 0, one plus a part's label, or IGNORE."""
    return np.where(codes >= NOT_JUDGED, IGNORE, codes).astype(np.uint8)
