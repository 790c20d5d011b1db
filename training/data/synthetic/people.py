"""People of a body model in rendered images, with labels of every kind.

Person `index` of a `seed` always has the same image and labels, in any process
and beside any other people, so nothing needs to be downloaded or stored. Each
split draws from seeds of its own: no training seed, whatever its value, yields
a person of the test split.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr.body.data import BodyData
from training.data.records import schema
from training.data.synthetic import appearance, kinematics, poses
from training.data.synthetic import rendering as render

DATASET = "synthetic"
BLOCK = 32  # People whose poses are drawn, and bodies computed, together.

# First word of every seed sequence. Sequences of different first words are
# different, so the splits are disjoint for all seeds.
_SPLITS = {"train": 1, "val": 2, "test": 3, "prior": 4}
_BODIES, _IMAGES = 1, 2  # Second word: what is drawn.
_GENDERS = ("female", "male")  # Order of BodyData.beta_mean_gender.
_UPRIGHT = Rotation.from_rotvec([np.pi, 0, 0])  # y up to y down.


@dataclasses.dataclass(frozen=True)
class Settings:
    """Parameters of the images.

    Attributes:
        size: side of the square image, pixels.
        margin: side of the image over the longer side of the person's box.
            1.77 is the reach of augmentation: a crop of 1.2 times the box,
            over a scale of 0.8, moved either way by 9 % of its side.
        distance_m: nearest and farthest person; their logarithm is uniform.
            The focal length follows from the distance and the margin.
        pitch_deg: mean and deviation of how far the camera looks down.
        roll_deg: deviation of the camera's tilt.
        bearing_deg: deviation of the person's direction from the optical
            axis, sideways and up, which puts the box off the middle of the
            photo that the image is cut from.
        occluded: share of people with an object in front of them.
        hidden: largest share of a person that an occluder may cover; one that
            would cover more is left out.
    """

    size: int = 256
    margin: float = 1.77
    distance_m: tuple[float, float] = (2.2, 12.0)
    pitch_deg: tuple[float, float] = (6.0, 12.0)
    roll_deg: float = 3.0
    bearing_deg: tuple[float, float] = (8.0, 5.0)
    occluded: float = 0.2
    hidden: float = 0.4

    def __post_init__(self):
        if self.size < 16 or self.margin < 1:
            raise ValueError(
                f"size {self.size} must be at least 16 and margin "
                f"{self.margin} at least 1, or the person is cut off."
            )
        if not 1.5 <= self.distance_m[0] <= self.distance_m[1]:
            raise ValueError(
                f"distance_m {self.distance_m} must rise and start at 1.5 or "
                "more: a nearer person reaches behind the camera."
            )


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A set of people that never changes, for evaluation.

    Attributes:
        name: of the protocol.
        split: the split whose seeds it draws from.
        seed: of its people.
        count: number of people, indices 0 to count - 1.
        settings: parameters of the images, every value written out.
        versions: `versions()` when it was defined.
    """

    name: str
    split: str
    seed: int
    count: int
    settings: Settings
    versions: Mapping[str, int | str]

    def check(self) -> None:
        """Refuses to make other people under the same name.

        Raises:
            ValueError: this version of tf_hmr no longer makes them.
        """
        for component, current in versions().items():
            if self.versions[component] != current:
                raise ValueError(
                    f"{self.name} was defined with {component} "
                    f"{self.versions[component]}, this is {current}. Use the "
                    "version of tf_hmr that has it, or define a new protocol."
                )


SYNTHETIC_V1 = Frozen(
    name="synthetic_v1",
    split="test",
    seed=20261120,
    count=1000,
    settings=Settings(
        size=256,
        margin=1.77,
        distance_m=(2.2, 12.0),
        pitch_deg=(6.0, 12.0),
        roll_deg=3.0,
        bearing_deg=(8.0, 5.0),
        occluded=0.2,
        hidden=0.4,
    ),
    versions={"pose_sampler": 1, "appearance": 1, "topology": "open-v1"},
)


class _Camera(NamedTuple):
    """World to camera, and the person's position in the camera's frame."""

    rotation: Rotation
    position: np.ndarray


class _Block(NamedTuple):
    """BLOCK people in the camera's frame, the first axis of all arrays."""

    rotvecs: np.ndarray
    betas: np.ndarray
    genders: list[str]
    translations: np.ndarray
    posed: render.Posed
    rngs: list[np.random.Generator]


class People:
    """The people of one split and seed.

    Attributes:
        settings: parameters of the images.
        split: "train", "val" or "test".
        seed: of the people.
    """

    def __init__(
        self,
        seed: int,
        split: str = "train",
        settings: Settings | None = None,
        data: BodyData | None = None,
    ):
        """Prepares the sampler.

        Args:
            seed: 0 to 2**32 - 1.
            split: "train", "val", "test", or "prior" for poses alone.
            settings: parameters of the images.
            data: the body; the open body when None.

        Raises:
            ValueError: an unknown split, or a seed out of range.
        """
        if split not in _SPLITS:
            raise ValueError(
                f"Unknown split {split!r}; there are {', '.join(_SPLITS)}."
            )
        self.seed, self.split = _word(seed, "seed"), split
        self.settings = settings or Settings()
        data = data or _open_body()
        self._data = data
        self._poses = poses.PoseSampler(data)
        self._skinner = render.Skinner(data)
        self._wardrobe = appearance.Wardrobe(data)
        self._labels = data.parts("part14")[0]
        self._block = functools.lru_cache(maxsize=2)(self._make_block)

    def example(self, index: int) -> schema.Example:
        """Makes person `index` as a record; cheap for neighbours of the last.

        Raises:
            ValueError: the index is negative or above 2**32 - 1.
        """
        number, row = divmod(_word(index, "index"), BLOCK)
        return self._draw(self._block(number), row, index)

    def examples(self, start: int, stop: int) -> Iterator[schema.Example]:
        """Yields people start, ..., stop - 1; the same as `example` of each."""
        for index in range(start, stop):
            yield self.example(index)

    def bodies(
        self, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws people without images.

        Returns:
            Poses (n, 24, 3) with the pelvis at 0, betas (n, P) and genders
            (n,), "female" or "male".
        """
        first, last = start // BLOCK, -(-stop // BLOCK)
        blocks = [self._bodies(number) for number in range(first, last)]
        skip = start - first * BLOCK
        arrays = [
            np.concatenate([block[i] for block in blocks]) for i in (0, 2, 3)
        ]
        return tuple(array[skip : skip + stop - start] for array in arrays)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        # Four words of 32 bits, SeedSequence's pool: shorter sequences would
        # be padded with zeros and could then coincide.
        words = [_SPLITS[self.split], purpose, self.seed, index]
        return np.random.default_rng(np.random.SeedSequence(words))

    def _bodies(self, number: int) -> tuple:
        """Draws poses, orientations, betas and genders of a block."""
        rng = self._rng(_BODIES, number)
        rotvecs, _ = self._poses.sample(rng, BLOCK)
        orientations = self._poses.orient(rng, rotvecs)
        betas, genders = _draw_shapes(rng, self._data)
        return rotvecs, orientations, betas, genders

    def _make_block(self, number: int) -> _Block:
        rotvecs, orientations, betas, genders = self._bodies(number)
        rngs = [
            self._rng(_IMAGES, number * BLOCK + row) for row in range(BLOCK)
        ]
        cameras = [_draw_camera(rng, self.settings) for rng in rngs]
        to_camera = Rotation.concatenate([c.rotation for c in cameras])
        rotvecs[:, 0] = (to_camera * orientations).as_rotvec()
        rotmats = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_matrix()
        rotmats = rotmats.reshape(*rotvecs.shape, 3)
        posed = self._skinner(kinematics.of_body(rotmats, self._data), betas)
        # The camera points at the middle of the body, not at its pelvis.
        middle = posed.joints.mean(axis=1)
        translations = np.stack([c.position for c in cameras]) - middle
        translations = translations.astype(np.float32)
        return _Block(rotvecs, betas, genders, translations, posed, rngs)

    def _draw(self, block: _Block, row: int, index: int) -> schema.Example:
        rng = _copy(block.rngs[row])
        settings, translation = self.settings, block.translations[row]
        vertices = block.posed.vertices[row] + translation
        view, box = render.square_view(vertices, settings.size, settings.margin)
        surroundings = appearance.background(rng, settings.size)
        garments = appearance.Garments.sample(rng)
        colours = self._wardrobe.paint(rng, garments)
        colours *= appearance.light(rng, block.posed.normals[row])
        image, parts = render.draw(
            surroundings,
            vertices,
            self._skinner.faces,
            view,
            colours,
            self._labels,
        )
        keypoints = view.project(block.posed.joints[row] + translation)
        mask = None
        if rng.random() < settings.occluded:
            image, parts, mask = appearance.occlude(
                rng, image, parts, box, settings.hidden
            )
        image = appearance.develop(rng, image)
        return schema.Example(
            image=_jpeg(image, int(rng.integers(75, 96))),
            height=settings.size,
            width=settings.size,
            box=box,
            keypoints=with_visibility(keypoints, mask, settings.size),
            joints3d=_with_ones(block.posed.joints[row]),
            pose=block.rotvecs[row],
            betas=block.betas[row],
            gender=block.genders[row],
            parts=_png(parts),
            translation=translation,
            intrinsics=[view.focal_px, view.focal_px, *view.centre],
            dataset=DATASET,
            example_id=f"{self.split}-{self.seed}-{index:07d}",
            topology=self._data.topology,
        )


def versions() -> dict[str, int | str]:
    """Versions of the code and data that a person depends on."""
    return {
        "pose_sampler": poses.SAMPLER_VERSION,
        "appearance": appearance.VERSION,
        "topology": _open_body().topology,
    }


@functools.cache
def _open_body() -> BodyData:
    return BodyData.load("open")


def sample(seed: int, index: int) -> schema.Example:
    """Person `index` of the training split with the default settings."""
    return _people(seed).example(index)


@functools.lru_cache(maxsize=2)
def _people(seed: int) -> People:
    return People(seed)


def frozen(protocol: Frozen = SYNTHETIC_V1) -> People:
    """The people of a frozen protocol; indices 0 to protocol.count - 1.

    Raises:
        ValueError: this version of tf_hmr no longer makes them.
    """
    protocol.check()
    return People(protocol.seed, protocol.split, protocol.settings)


def _word(value: int, name: str) -> int:
    if not 0 <= value < 2**32:
        raise ValueError(f"{name} {value} must be in 0 .. 2**32 - 1.")
    return int(value)


def _copy(rng: np.random.Generator) -> np.random.Generator:
    """Copies a generator with its state: a block can be drawn twice."""
    fresh = np.random.PCG64()
    fresh.state = rng.bit_generator.state
    return np.random.Generator(fresh)


def _draw_shapes(
    rng: np.random.Generator, data: BodyData
) -> tuple[np.ndarray, list[str]]:
    """Draws betas (BLOCK, P) and genders; without statistics, normal betas."""
    dims = data.shapedirs.shape[-1]
    noise = rng.normal(size=(BLOCK, dims))
    gender_indices = rng.integers(0, 2, BLOCK)
    if data.beta_mean_gender is None or data.beta_cov_gender is None:
        return noise, ["neutral"] * BLOCK
    factor = np.linalg.cholesky(data.beta_cov_gender.astype(np.float64))
    betas = np.einsum("nij,nj->ni", factor[gender_indices], noise)
    betas += data.beta_mean_gender[gender_indices]
    return betas, [_GENDERS[gender] for gender in gender_indices]


def _draw_camera(rng: np.random.Generator, settings: Settings) -> _Camera:
    pitch = np.clip(rng.normal(*settings.pitch_deg), -30, 60)
    roll = rng.normal(0, settings.roll_deg)
    # Looking down tips the world's up, -y here, towards the camera.
    tilt = Rotation.from_euler("zx", [roll, pitch], degrees=True)
    bearing = np.clip(rng.normal(0, settings.bearing_deg), -25, 25)
    ray = np.array([*np.tan(np.deg2rad(bearing)), 1.0])
    log_nearest, log_farthest = np.log(settings.distance_m)
    distance = np.exp(rng.uniform(log_nearest, log_farthest))
    return _Camera(tilt * _UPRIGHT, distance * ray / np.linalg.norm(ray))


def with_visibility(
    keypoints: np.ndarray, mask: np.ndarray | None, size: int
) -> np.ndarray:
    """Appends 1 to points in the image that no object hides, else 0.

    Joints behind the person's own body count as visible: people who label
    photographs mark them too.

    Args:
        keypoints: (K, 2) pixels.
        mask: (size, size) bool, the pixels of an object before the person; or
            None.
        size: side of the image, pixels.

    Returns:
        (K, 3) x, y and 1 or 0.
    """
    pixel = np.rint(keypoints).astype(int)
    visible = np.all((pixel >= 0) & (pixel < size), axis=1)
    if mask is not None:
        column, row = np.clip(pixel, 0, size - 1).T
        visible &= ~mask[row, column]
    return np.concatenate([keypoints, visible[:, None]], axis=1)


def _with_ones(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.ones_like(points[:, :1])], axis=1)


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[
        1
    ].tobytes()


def _png(parts: np.ndarray) -> bytes:
    # Few labels in large areas: the quickest setting is small enough.
    return cv2.imencode(".png", parts, (cv2.IMWRITE_PNG_COMPRESSION, 1))[
        1
    ].tobytes()
