"""Codes of the part label images that people drew, as records hold them.

People drew silhouette and parts apart, and the two disagree at some pixels; a
code holds both. 0 is background in both; 1 and more, on the silhouette, are one
plus a label of the record's part_set.
"""

import cv2
import numpy as np

SOMEWHERE, NOT_JUDGED = 255, 254
"""Pixels on and off the silhouette whose part is not judged."""
NO_PART = 253
"""Pixels on the silhouette that are background among the parts."""
OFF_SILHOUETTE = 128
"""Added to the code of a part that is drawn where the silhouette is not."""
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


def merge(silhouette: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Codes (H, W) uint8 of a silhouette and of parts.

    Args:
        silhouette: (H, W) bool, the pixels of the person.
        parts: (H, W) uint8: 0, one plus a part's label, or IGNORE.
    """
    codes = np.array(parts, np.uint8)
    is_part = (parts > 0) & (parts != IGNORE)
    codes[is_part & ~silhouette] += OFF_SILHOUETTE
    codes[silhouette & (parts == 0)] = NO_PART
    codes[parts == IGNORE] = NOT_JUDGED
    codes[silhouette & (parts == IGNORE)] = SOMEWHERE
    return codes


def silhouette(codes: np.ndarray) -> np.ndarray:
    """Mask of the person, (H, W) bool."""
    is_part_alone = (codes > OFF_SILHOUETTE) & (codes < NO_PART)
    return (codes > 0) & (codes != NOT_JUDGED) & ~is_part_alone


def parts(codes: np.ndarray) -> np.ndarray:
    """Labels (H, W) uint8: 0, one plus a part's label, or IGNORE."""
    labels = np.where(codes > OFF_SILHOUETTE, codes - OFF_SILHOUETTE, codes)
    labels[codes == NO_PART] = 0
    labels[codes >= NOT_JUDGED] = IGNORE
    return labels.astype(np.uint8)
