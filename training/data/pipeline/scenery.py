"""Other surroundings and objects in pictures of people; labels stay.

Madadi et al. 2020 (SMPLR), section 4.4.1: the background of the stored mask is
replaced, and objects are placed before the person, as in Sarandi et al.,
Synthetic Occlusion Augmentation, 2018. Both happen to the pixels of the stored
picture, before a crop is cut out of it, turned and mirrored, so that no label
can move.

Backgrounds and objects are made up (training/data/synthetic/appearance.py), or
the pictures of a folder, in which nobody should be seen.
"""

import functools
from pathlib import Path

import cv2
import numpy as np

from tf_hmr.formats import image_files, listing
from tf_hmr.formats.jpeg_data import BadImage
from training import config
from training.data.records import part_codes
from training.data.synthetic import appearance

LARGEST_HIDDEN = 0.5
"""Share of the person that an object may hide at most."""
_TRIES = 5
_LARGEST_PX = 480  # Of a picture of a folder, once it is read.
_MOST_PICTURES = 128  # That are held in memory.
# Longer side of a cut-out over that of the person, or of the picture.
_EXTENT = (0.15, 0.5)


def is_on(options: config.Augment) -> bool:
    """Whether pictures get other backgrounds or objects."""
    return options.background > 0 or options.objects > 0


class Scenery:
    """Changes pictures."""

    def __init__(self, options: config.Augment):
        """Lists the pictures of the folders.

        Raises:
            FileNotFoundError: a folder is missing or holds no picture.
        """
        self._backgrounds, self._objects = (
            pictures(Path(folder), field) if share and folder else []
            for share, folder, field in (
                (options.background, options.backgrounds, "backgrounds"),
                (options.objects, options.object_pictures, "object_pictures"),
            )
        )

    def __call__(
        self, image: np.ndarray, mask: np.ndarray | None, draws: np.ndarray
    ) -> np.ndarray:
        """Replaces the background and adds an object, as drawn.

        Args:
            image: (h, w, 3) uint8 RGB.
            mask: (h, w) uint8, 255 on the person; None where not known, and
                the background stays.
            draws: (3,) integers: whether to replace the background, whether
                to add an object, and the seed of both.

        Returns:
            (h, w, 3) uint8 RGB.
        """
        replaces, adds, seed = (int(number) for number in draws)
        rng = np.random.default_rng(seed)
        if replaces and mask is not None and mask.any():
            image = _blend(self._background(rng, mask.shape), image, mask)
        if adds:
            image = self._with_object(rng, image, mask)
        return image

    def _background(self, rng, shape) -> np.ndarray:
        height, width = shape
        if self._backgrounds:
            picture = _pick(rng, self._backgrounds)[..., :3]
            return _filled(rng, picture, width, height)
        side = max(width, height)
        return appearance.background(rng, side)[:height, :width]

    def _with_object(self, rng, image, mask) -> np.ndarray:
        """Adds an object, unless each of a few would hide too much."""
        height, width = image.shape[:2]
        box, person = np.array([0, 0, width, height]), None
        if mask is not None and mask.any():
            person = mask >= 128
            box = np.array(cv2.boundingRect(person.astype(np.uint8)))
        for _ in range(_TRIES):
            cover, colours = self._object(rng, max(width, height), box)
            cover = cover[:height, :width]
            hidden = 0
            if person is not None:
                hidden = np.count_nonzero((cover >= 128) & person)
                hidden = hidden / max(1, np.count_nonzero(person))
            if hidden <= LARGEST_HIDDEN:
                return _blend(image, colours[:height, :width], cover)
        return image

    def _object(self, rng, side: int, box) -> tuple[np.ndarray, np.ndarray]:
        """Cover (side, side), 255 where it hides, and RGB (side, side, 3)."""
        if not self._objects:
            return appearance.occluder(rng, side, box)
        picture = _pick(rng, self._objects)
        if picture.shape[2] == 3:
            # Without a shape of its own: a made-up one, of its texture.
            cover, _ = appearance.occluder(rng, side, box)
            return cover, _filled(rng, picture, side, side)
        return _cut_out(rng, picture, side, box)


def silhouette(png: bytes, size: tuple[int, int], window) -> np.ndarray | None:
    """The person's mask in the pixels of a window of the image.

    Args:
        png: parts of a record.
        size: (W, H) of its image.
        window: crop_pixels.Window, as of pixels.decode_window.

    Returns:
        (h, w) uint8, 0 to 255 at edges; None without parts.

    Raises:
        BadImage: the parts are damaged, or of another size than the image.
    """
    if not png:
        return None
    codes = image_files.decode_unchecked(png, cv2.IMREAD_UNCHANGED)
    if codes is None or codes.ndim != 2 or codes.dtype != np.uint8:
        raise BadImage("parts are no 8 bit gray PNG")
    if codes.shape != (size[1], size[0]):
        raise BadImage("parts differ in size from the image")
    mask = np.where(part_codes.silhouette(codes), np.uint8(255), np.uint8(0))
    reduction = int(window.reduction[0])
    reduced = (-(-size[0] // reduction), -(-size[1] // reduction))
    if reduction > 1:
        mask = cv2.resize(mask, reduced, interpolation=cv2.INTER_AREA)
    left, top, right, bottom = map(int, (*window.low, *window.high))
    mask = mask[top:bottom, left:right]
    width, height = map(int, window.size)
    if mask.shape != (height, width):
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(mask)


def pictures(folder: Path, field: str) -> list[Path]:
    """Pictures of a folder and the folders in it.

    Args:
        folder: the folder.
        field: of config.Augment, for the message.

    Raises:
        FileNotFoundError: there is no such folder, or no picture in it.
    """
    paths = []
    if folder.is_dir():
        paths = [
            path
            for path in listing.files(folder, "**/*")
            if path.suffix.lower() in image_files.SUFFIXES
        ]
    if not paths:
        problem = "holds no picture" if folder.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"data.augment.{field}: {folder} {problem}, expected files such as "
            f"{', '.join(image_files.SUFFIXES[:3])}. Name a folder of pictures "
            "without people, or leave it empty for made-up ones."
        )
    return paths


def _pick(rng: np.random.Generator, paths: list[Path]) -> np.ndarray:
    """Reads one of the pictures: RGB, or RGB and alpha.

    Raises:
        ValueError: several that were drawn are damaged.
    """
    for _ in range(_TRIES):
        path = paths[int(rng.integers(len(paths)))]
        try:
            return _read(path)
        except (OSError, BadImage, ValueError) as error:
            cause = f"{path}: {error}"
    raise ValueError(
        f"{_TRIES} pictures in a row cannot be read, the last is {cause}. "
        "Remove damaged files."
    )


@functools.lru_cache(maxsize=_MOST_PICTURES)
def _read(path: Path) -> np.ndarray:
    image = image_files.decode(path.read_bytes(), cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8:
        image = cv2.convertScaleAbs(
            image, alpha=255.0 / np.iinfo(image.dtype).max
        )
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    elif image.shape[2] == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
    else:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    shrink = _LARGEST_PX / max(image.shape[:2])
    if shrink < 1:
        size = [max(1, round(shrink * n)) for n in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image


def _filled(rng, picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A random part of a picture, mirrored half of the time, of a size."""
    tall, wide = picture.shape[:2]
    largest = min(wide / width, tall / height)
    scale = largest * rng.uniform(0.6, 1.0)
    w, h = (max(1, int(scale * side)) for side in (width, height))
    x, y = rng.integers(wide - w + 1), rng.integers(tall - h + 1)
    part = picture[y : y + h, x : x + w]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)


def _cut_out(rng, picture: np.ndarray, side: int, box):
    """A cut-out somewhere in a box: cover (side, side) and colours."""
    x, y, width, height = (float(number) for number in box)
    tall, wide = picture.shape[:2]
    scale = max(width, height) * rng.uniform(*_EXTENT) / max(wide, tall)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    middle = (x + rng.random() * width, y + rng.random() * height)
    turn = cv2.getRotationMatrix2D(
        ((wide - 1) / 2, (tall - 1) / 2), rng.uniform(-30, 30), scale
    )
    turn[:, 2] += np.array(middle) - ((wide - 1) / 2, (tall - 1) / 2)
    moved = cv2.warpAffine(
        np.ascontiguousarray(picture), turn, (side, side), flags=cv2.INTER_AREA
    )
    return moved[..., 3], moved[..., :3]


def _blend(below, above, weight) -> np.ndarray:
    """(h, w, 3) uint8: `above` where weight (h, w) is 255, else `below`."""
    weight = weight[..., np.newaxis].astype(np.uint16)
    mixed = (below * (255 - weight) + above * weight + 127) // 255
    return mixed.astype(np.uint8)
