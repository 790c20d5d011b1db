"""Appearance of people and their surroundings: paint, light, backgrounds.

Colours are RGB, in 0..1 on vertices and uint8 in images. Everything is drawn
from the generator that a function takes, in a fixed order.
"""

import dataclasses

import cv2
import numpy as np

from tf_hmr.body import parts
from tf_hmr.body.data import BodyData

VERSION = 1  # Raise it when a change alters the images of a seed.

_LIGHT_SKIN = np.array([0.96, 0.80, 0.69])
_DARK_SKIN = np.array([0.24, 0.14, 0.09])
_TILE = 640  # Side of the tile of noise; larger images repeat it.


@dataclasses.dataclass(frozen=True)
class Garments:
    """Extent of clothes: along a limb, 0 its root, 1 wrist or ankle.

    Attributes:
        sleeves: of the top; None for a bare torso.
        legs: of the trousers.
        hem: lower end of the top, metres above the pelvis.
        waist: upper end of the trousers, metres above the pelvis.
        shoes: whether they are worn.
        hair: reach of the hair down from the crown, metres; 0 is bald.
        neckline: depth of the cut of the top in front, metres below the neck.
        printed: whether the top has a print on the chest.
    """

    sleeves: float | None
    legs: float
    hem: float
    waist: float
    shoes: bool
    hair: float
    neckline: float
    printed: bool

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Garments":
        """Draws an outfit: mostly shirts, trousers or shorts, and shoes."""
        return cls(
            sleeves=(
                None
                if rng.random() < 0.07
                else float(rng.choice([0.02, 0.3, 0.45, 1.02]))
            ),
            legs=float(rng.choice([0.15, 0.3, 0.5, 0.9, 1.02])),
            hem=rng.uniform(-0.10, 0.05),
            waist=rng.uniform(0.0, 0.08),
            shoes=rng.random() < 0.88,
            hair=0.0 if rng.random() < 0.08 else rng.uniform(0.05, 0.30),
            neckline=rng.uniform(-0.02, 0.16),
            printed=rng.random() < 0.4,
        )


class Wardrobe:
    """Paints skin, hair and clothes on the vertices of a body.

    The vertices that a garment covers are chosen on the resting body, so its
    borders move with the surface.
    """

    def __init__(self, data: BodyData):
        """Finds the body's limbs, feet, eyes and scalp.

        Args:
            data: the body.
        """
        skin = data.v_template
        joint_positions = data.J_regressor @ skin
        rest = dict(zip(data.joint_names, joint_positions, strict=True))
        owner = np.argmax(data.weights, axis=1)
        nearest = parts.nearest_ancestors(data.joint_names, data.parents)

        def owned_by(*names: str) -> np.ndarray:
            joint_indices = [
                i for i, name in enumerate(nearest) if name.endswith(names)
            ]
            return np.isin(owner, joint_indices)

        self._skin = skin
        self._above_pelvis = skin[:, 1] - rest["pelvis"][1]
        self._arms = owned_by("shoulder", "elbow", "wrist", "hand")
        self._legs = owned_by("hip", "knee", "ankle", "foot")
        self._trunk = owned_by("pelvis", "spine1", "spine2", "spine3", "collar")
        self._head = owned_by("neck", "head")
        neck = rest["neck"]
        self._below_neck = neck[1] - skin[:, 1]
        self._front = self._trunk & (skin[:, 2] > neck[2])
        # A V narrows downwards; a print covers the middle of the chest.
        self._v_side = np.abs(skin[:, 0]) / 0.6
        chest = np.abs(self._below_neck - 0.17) < 0.08
        self._chest = self._front & chest & (np.abs(skin[:, 0]) < 0.09)
        self._along_arm = _along(skin, rest, "shoulder", "wrist", axis=0)
        self._along_leg = _along(skin, rest, "hip", "ankle", axis=1)
        ankle = rest["left_ankle"][1]
        self._feet = owned_by("ankle", "foot") & (skin[:, 1] < ankle + 0.01)
        eyes = data.regressor(("left_eye", "right_eye")) @ skin
        self._below_crown = skin[:, 1].max() - skin[:, 1]
        forward = skin[:, 2] - rest["head"][2]
        forehead = (skin[:, 1] > eyes[0, 1] + 0.045) | (forward < 0.0)
        # Ears stay free: they stand out sideways.
        near_skull = np.abs(skin[:, 0]) < 0.079
        self._scalp = self._head & forehead & near_skull
        distance = np.linalg.norm(skin[:, None] - eyes[None], axis=-1)
        self._eyes = distance.min(axis=1) < 0.013
        mouth = eyes.mean(axis=0) - [0, 0.068, 0]
        offset = np.abs(skin - mouth)
        self._mouth = (
            (offset[:, 0] < 0.024) & (offset[:, 1] < 0.008) & (forward > 0.06)
        ) & self._head

    def paint(self, rng: np.random.Generator, garments: Garments) -> np.ndarray:
        """Draws colours without light.

        Args:
            rng: draws the colours and patterns.
            garments: clothes that the person wears.

        Returns:
            (V, 3) float32 RGB in 0..1.
        """
        tone = _DARK_SKIN + rng.random() ** 0.7 * (_LIGHT_SKIN - _DARK_SKIN)
        tone = tone * rng.uniform(0.93, 1.07, 3)
        colours = np.empty(self._skin.shape, np.float32)
        colours[:] = tone
        colours[self._mouth] = tone * (0.85, 0.6, 0.6)
        colours[self._eyes] = rng.uniform(0.05, 0.25)
        hair = rng.uniform(0.1, 1.0) * np.array([0.75, 0.55, 0.35])
        hair = hair * rng.uniform(0.4, 1.1) * rng.uniform(0.9, 1.1, 3)
        colours[self._scalp & (self._below_crown < garments.hair)] = hair
        trousers = self._trunk & (self._above_pelvis < garments.waist)
        trousers |= self._legs & (self._along_leg < garments.legs)
        self._dress(rng, colours, trousers)
        if garments.sleeves is not None:
            top = self._trunk & (self._above_pelvis > garments.hem)
            top |= self._arms & (self._along_arm < garments.sleeves)
            open_at = self._below_neck + self._v_side < garments.neckline
            top &= ~(self._front & open_at)
            self._dress(rng, colours, top)
            if garments.printed:
                colours[top & self._chest] = clothes_colour(rng)
        if garments.shoes:
            colours[self._feet] = clothes_colour(rng) * 0.6
        return colours

    def _dress(
        self, rng: np.random.Generator, colours: np.ndarray, worn: np.ndarray
    ) -> None:
        """Paints one garment: plain, or in two colours."""
        first, second = clothes_colour(rng), clothes_colour(rng)
        kind = rng.random()
        if kind < 0.45:
            colours[worn] = first
            return
        points = self._skin[worn]
        wave = rng.uniform(40, 160)
        if kind < 0.65:  # Horizontal or upright stripes.
            mix = np.sin(wave * points[:, int(rng.random() < 0.7)]) > 0
        elif kind < 0.8:  # Checks.
            mix = np.sin(wave * points[:, 0]) * np.sin(wave * points[:, 1]) > 0
        else:  # Dye, or camouflage.
            waves = rng.normal(0, wave / 4, (3, 4)).astype(np.float32)
            mix = np.sin(points @ waves + rng.uniform(0, 6.3, 4)).mean(axis=1)
            mix = 0.5 + mix
        mix = np.clip(mix, 0, 1).astype(np.float32)[:, None]
        colours[worn] = first + mix * rng.uniform(0.2, 1.0) * (second - first)


def clothes_colour(rng: np.random.Generator) -> np.ndarray:
    """Draws RGB (3,) of clothes: any hue, more often dull than bright."""
    return _hsv(rng.random(), rng.beta(1.1, 2.2), rng.beta(1.8, 1.4))


def muted_colour(rng: np.random.Generator) -> np.ndarray:
    """Draws RGB (3,) of surroundings: little saturation."""
    return _hsv(rng.random(), 0.5 * rng.beta(1.2, 3.0), rng.beta(1.8, 1.8))


def light(rng: np.random.Generator, normals: np.ndarray) -> np.ndarray:
    """Draws lights and computes the share that the skin reflects.

    An ambient light and two lamps, the stronger one mostly above and in
    front, each of its own tint.

    Args:
        rng: draws the lights.
        normals: (V, 3) in the camera frame.

    Returns:
        (V, 3) float32 factors of the colours.
    """
    ambient = rng.uniform(0.4, 0.75)
    key = rng.normal((0, -0.8, -0.8), 1.0)
    fill = rng.normal(size=3)
    directions = np.stack([key, fill], axis=1)
    directions /= np.linalg.norm(directions, axis=0)
    facing = np.clip(normals @ directions.astype(np.float32), 0, 1)
    tints = 1 + rng.normal(0, 0.07, (3, 3))
    strengths = np.array([1 - ambient, rng.uniform(0, 0.35)])[:, None]
    exposure = rng.uniform(0.9, 1.3)
    lamps = (exposure * strengths * tints[:2]).astype(np.float32)
    return facing @ lamps + (exposure * ambient * tints[2]).astype(np.float32)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws surroundings of no particular place: (size, size, 3) uint8 RGB.

    A wall or sky, often a floor, uneven as real surfaces are, and a few
    muted shapes with sharp edges, so that an edge alone is not a person.
    """
    grid = 48
    low = np.empty((grid, grid, 3), np.float32)
    low[:] = muted_colour(rng)
    if rng.random() < 0.6:
        low[int(grid * rng.uniform(0.4, 0.9)) :] = muted_colour(rng)
    for cells, strength in ((3, 0.12), (9, 0.07), (grid, 0.05)):
        amount = rng.uniform(0, strength)
        noise = rng.normal(0, amount, (cells, cells, 1)).astype(np.float32)
        low += _resize(noise, grid)[..., None]
    tint = rng.normal(0, 0.02, (3, 3, 3)).astype(np.float32)
    low += _resize(tint, grid)
    low = np.clip(255 * low, 0, 255).astype(np.uint8)
    image = cv2.resize(low, (size, size), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(0, 10)):
        _add_shape(rng, image)
    if rng.random() < 0.6:
        deviation = rng.uniform(0.4, 2.5) * size / 256
        image = cv2.GaussianBlur(image, (0, 0), deviation)
    return image


def occlude(
    rng: np.random.Generator,
    image: np.ndarray,
    parts: np.ndarray,
    box: np.ndarray,
    hidden: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Puts an object before the person, unless it would hide too much.

    Args:
        rng: draws the object.
        image: (S, S, 3) uint8 RGB.
        parts: (S, S) uint8, 0 outside the person.
        box: (4,) x, y, w, h of the person.
        hidden: the largest share of the person that may disappear.

    Returns:
        Image, parts (0 where covered) and the covered pixels (S, S) bool; or
        the first two unchanged and None.
    """
    cover, colours = occluder(rng, len(image), box)
    mask = cover >= 128
    person = parts > 0
    if np.count_nonzero(mask & person) > hidden * np.count_nonzero(person):
        return image, parts, None
    weight = cover[..., None].astype(np.uint16)
    mixed = (image * (255 - weight) + colours * weight + 127) // 255
    return mixed.astype(np.uint8), np.where(mask, 0, parts), mask


def develop(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Imitates a camera: a little blur, contrast, brightness and grain.

    Args:
        rng: draws the amounts.
        image: (S, S, 3) uint8 RGB.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    size = len(image)
    if rng.random() < 0.4:
        deviation = rng.uniform(0.3, 1.1) * size / 256
        image = cv2.GaussianBlur(image, (0, 0), max(deviation, 0.3))
    contrast, brightness = rng.uniform(0.75, 1.15), rng.normal(0, 10)
    left, top = rng.integers(0, _TILE // 2, 2)
    rows = np.arange(top, top + size) % _TILE
    grain = rng.uniform(0, 0.15)
    noise = _NOISE[rows][:, (left + np.arange(size)) % _TILE]
    # The tile's middle is 128; contrast turns about the same grey.
    offset = 128 * (1 - contrast - grain) + brightness
    return cv2.addWeighted(image, contrast, noise, grain, offset)


def _make_noise() -> np.ndarray:
    """(T, T, 3) uint8, normal about 128 with a deviation of 32."""
    noise = np.random.default_rng(0).normal(128, 32, (_TILE, _TILE, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


# Drawn once: fresh noise for every image would cost as much as the person.
_NOISE = _make_noise()


def _along(
    skin: np.ndarray, rest: dict, start: str, end: str, axis: int
) -> np.ndarray:
    """Positions (V,) along a limb's axis, for left and right alike."""
    first, last = rest["left_" + start], rest["left_" + end]
    coordinates = np.abs(skin[:, axis]) if axis == 0 else skin[:, axis]
    return (coordinates - first[axis]) / (last[axis] - first[axis])


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    turns = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    drop = np.clip(np.minimum(turns, 4 - turns), 0, 1)
    return value * (1 - saturation * drop)


def _resize(grid: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def occluder(
    rng: np.random.Generator, size: int, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws an object in front of a person: a bar, a table edge, an ellipse.

    Args:
        rng: draws it.
        size: side of the image.
        box: (4,) x, y, w, h of the person, who is partly covered.

    Returns:
        Mask (size, size) uint8, 255 where it covers, and its colours
        (size, size, 3) uint8 RGB.
    """
    mask = np.zeros((size, size), np.uint8)
    x, y, width, height = box
    spot = np.array([x, y]) + rng.random(2) * (width, height)
    kind, extent = rng.random(), max(width, height)
    if kind < 0.25:  # A table, wall or car: all below a line.
        edge = y + height * rng.uniform(0.5, 1.0)
        ends = edge + rng.normal(0, 0.05, 2) * extent
        corners = [(0, ends[0]), (size, ends[1]), (size, size), (0, size)]
        cv2.fillPoly(mask, [_integers(corners)], 255, cv2.LINE_AA)
    elif kind < 0.6:  # A pole or a beam.
        angle = rng.uniform(0, np.pi)
        across = extent * rng.uniform(0.03, 0.12)
        half = size * rng.uniform(0.15, 1.0)
        shape = ((spot[0], spot[1]), (across, 2 * half), np.degrees(angle))
        corners = cv2.boxPoints(shape)
        cv2.fillPoly(mask, [_integers(corners)], 255, cv2.LINE_AA)
    else:  # A ball, a bag, a leaf.
        axes = extent * rng.uniform(0.05, 0.18, 2)
        cv2.ellipse(
            mask,
            (spot, 2 * axes, rng.uniform(0, 180)),
            255,
            -1,
            cv2.LINE_AA,
        )
    shade = np.empty((4, 4, 3), np.float32)
    shade[:] = clothes_colour(rng)
    shade += rng.normal(0, 0.08, (4, 4, 1)).astype(np.float32)
    shade = np.clip(255 * shade, 0, 255).astype(np.uint8)
    return mask, cv2.resize(shade, (size, size), interpolation=cv2.INTER_CUBIC)


def _add_shape(rng: np.random.Generator, image: np.ndarray) -> None:
    size = len(image)
    colour = tuple(255 * muted_colour(rng))
    kind = rng.random()
    middle = rng.uniform(-0.1, 1.1, 2) * size
    extent = size * rng.uniform(0.03, 0.3, 2)
    if kind < 0.45:  # Furniture, windows, doors: upright rectangles.
        low, high = _integers([middle - extent, middle + extent])
        cv2.rectangle(image, low.tolist(), high.tolist(), colour, -1)
    elif kind < 0.65:
        angle = rng.uniform(0, 180)
        cv2.ellipse(image, (middle, extent, angle), colour, -1, cv2.LINE_AA)
    elif kind < 0.85:  # Limb-like strokes, so that a stroke is not a limb.
        end = middle + rng.normal(0, 0.3 * size, 2)
        thickness = max(1, int(size * rng.uniform(0.005, 0.06)))
        cv2.line(
            image,
            _integers(middle).tolist(),
            _integers(end).tolist(),
            colour,
            thickness,
            cv2.LINE_AA,
        )
    else:
        corners = middle + rng.normal(0, 0.2 * size, (rng.integers(3, 7), 2))
        cv2.fillPoly(image, [_integers(corners)], colour, cv2.LINE_AA)


def _integers(points) -> np.ndarray:
    return np.rint(np.asarray(points)).astype(np.int32)
