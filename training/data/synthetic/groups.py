"""Photos of several rendered people, with the truth about each of them.

Group `index` of a `seed` is always the same. People stand, sit or lie beside
and behind each other on one ground; some are cut by the border, and nearer ones
hide farther ones. Nothing is trained on these photos: they measure who is found
in them.
"""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import rendering
from tf_hmr.body.data import BodyData
from training.data.synthetic import appearance, kinematics, poses
from training.data.synthetic import rendering as render

# First word of the seeds, unlike those of people.py.
_GROUPS = 5

_UPRIGHT = Rotation.from_rotvec([np.pi, 0, 0])  # y up to y down.
_FOCAL = 1.2  # Focal length over the photo's longer side: a phone's.
_CAMERA_HEIGHT_M = 1.5

LIMBS = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The joints by which a person is compared with the truth."""


@dataclasses.dataclass(frozen=True)
class PersonOfGroup:
    """What is true of one person of a group.

    Attributes:
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y in pixels, 1 where
            the photo shows the point, 0 where it is outside or behind
            somebody else.
        joints3d: (29, 3) metres in the camera's frame.
    """

    keypoints: np.ndarray
    joints3d: np.ndarray

    @property
    def size_px(self) -> float:
        """Diagonal of the box of all keypoints, also those outside."""
        return float(np.linalg.norm(np.ptp(self.keypoints[:, :2], axis=0)))


@dataclasses.dataclass(frozen=True)
class Group:
    """A photo of people.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        people: all who are drawn, the nearest first.
    """

    image: np.ndarray
    people: list[PersonOfGroup]


class Groups:
    """Groups of 1 to `most` people of one seed."""

    def __init__(
        self,
        seed: int,
        most: int = 8,
        longer_px: tuple[int, int] = (480, 1280),
        data: BodyData | None = None,
    ):
        """Prepares the sampler.

        Args:
            seed: of the groups.
            most: people of a photo.
            longer_px: least and greatest longer side of a photo.
            data: the body; the open body when None.
        """
        data = data or BodyData.load("open")
        self._seed, self._most, self._longer_px = seed, most, longer_px
        self._data = data
        self._poses = poses.PoseSampler(data)
        self._skinner = render.Skinner(data)
        self._wardrobe = appearance.Wardrobe(data)
        self._labels = data.parts("part14")[0]

    def __call__(self, index: int, portrait: bool = False) -> Group:
        """Draws group `index`.

        Args:
            index: 0 or more.
            portrait: one or two people so near that the border cuts them.
        """
        words = [_GROUPS, self._seed, index, int(portrait)]
        rng = np.random.default_rng(np.random.SeedSequence(words))
        count = int(rng.integers(1, 3 if portrait else self._most + 1))
        view = self._draw_view(rng)
        posed, positions = self._pose(rng, count, view, portrait)
        side = max(view.width, view.height)
        image = appearance.background(rng, side)
        owner = np.full((side, side), -1)
        square = dataclasses.replace(view, width=side, height=side)
        people = []
        # The farthest first: nearer ones are drawn over them.
        for row in np.argsort(-positions[:, 2]):
            vertices = posed.vertices[row] + positions[row]
            garments = appearance.Garments.sample(rng)
            colours = self._wardrobe.paint(rng, garments)
            colours *= appearance.light(rng, posed.normals[row])
            image, parts = render.draw(
                image,
                vertices,
                self._skinner.faces,
                square,
                colours,
                self._labels,
            )
            owner[parts > 0] = row
            points = posed.joints[row] + positions[row]
            people.append((row, points))
        image = appearance.develop(rng, image)[: view.height, : view.width]
        owner = owner[: view.height, : view.width]
        return Group(
            np.ascontiguousarray(image),
            [
                _truth(points, view, owner, row, positions[:, 2])
                for row, points in people[::-1]
            ],
        )

    def _draw_view(self, rng: np.random.Generator) -> rendering.View:
        longer = int(rng.integers(*self._longer_px, endpoint=True))
        shorter = int(longer / rng.uniform(1.0, 1.8))
        size = (longer, shorter) if rng.random() < 0.7 else (shorter, longer)
        width, height = size
        centre = ((width - 1) / 2, (height - 1) / 2)
        return rendering.View(width, height, _FOCAL * longer, centre)

    def _pose(self, rng, count: int, view: rendering.View, portrait: bool):
        """Poses people in the camera's axes and places them on the ground."""
        rotvecs, _ = self._poses.sample(rng, count)
        orientations = self._poses.orient(rng, rotvecs)
        pitch = np.clip(rng.normal(5, 6), -10, 25)
        tilt = Rotation.from_euler("x", pitch, degrees=True) * _UPRIGHT
        rotvecs[:, 0] = (tilt * orientations).as_rotvec()
        rotmats = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_matrix()
        rotmats = rotmats.reshape(*rotvecs.shape, 3)
        betas = rng.normal(size=(count, self._data.shapedirs.shape[-1]))
        posed = self._skinner(kinematics.of_body(rotmats, self._data), betas)
        # How far away 1.7 m fill the photo's height, and the room beside.
        fill = 1.7 * view.focal_px / view.height
        if portrait:
            distance = fill * rng.uniform(0.35, 0.7, count)
        else:
            distance = fill * np.exp(rng.uniform(0.1, 1.1, count))
        half_width = view.width / (2 * view.focal_px)
        middle = posed.joints.mean(axis=1)
        # Spread over the photo like people who make room for one another.
        slots = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
        across = rng.permutation(2.2 * slots - 1.1) * half_width
        positions = np.stack(
            [across * distance, np.zeros(count), distance], axis=-1
        )
        lowest = posed.vertices[..., 1].max(axis=1) - middle[:, 1]
        if portrait:
            head = middle[:, 1] - posed.vertices[..., 1].min(axis=1)
            top = -0.4 * view.height / view.focal_px * distance
            positions[:, 1] = top + head
        else:
            positions[:, 1] = _CAMERA_HEIGHT_M * 0.55 - lowest
            positions[:, 1] += np.tan(np.deg2rad(pitch)) * (
                distance.mean() - distance
            )
        return posed, (positions - middle).astype(np.float32)


def _truth(points, view, owner, row, depths) -> PersonOfGroup:
    pixels = view.project(points)
    column, line = np.rint(pixels).astype(int).T
    inside = (column >= 0) & (column < view.width)
    inside &= (line >= 0) & (line < view.height)
    hider = owner[
        np.clip(line, 0, view.height - 1), np.clip(column, 0, view.width - 1)
    ]
    # The pixel of a point may be the background: a joint near the outline.
    free = (hider < 0) | (hider == row) | (depths[hider] > depths[row])
    keypoints = np.column_stack([pixels, inside & free])
    return PersonOfGroup(keypoints, points)
