"""People whose truth is known, for files in the datasets' layouts.

A scene is an image of one or several rendered people of the open body, all
seen by one pinhole camera. Writers store what their dataset stores of it; the
readers' labels are then compared with it.
"""

import dataclasses
import functools
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints, rendering
from tf_hmr.body.data import BodyData
from training.data.synthetic import appearance, kinematics
from training.data.synthetic import people as synthetic
from training.data.synthetic import rendering as render

_SHARE = 0.78  # of its column or of the height that a person fills


@dataclasses.dataclass(frozen=True)
class Person:
    """One person of a scene, in its camera's frame.

    Attributes:
        keypoints: x, y pixels of each of joints.KEYPOINTS.
        joints3d: (3,) metres of each of joints.KEYPOINTS, as the camera sees
            it: the translation is in them.
        smpl_joints: (3,) metres of each of joints.SMPL24, likewise.
        vertices: (V, 3) metres, likewise.
        pose: (24, 3) rotation vectors, the first one in the camera frame.
        betas: (10,).
        gender: "female" or "male".
        translation: (3,) metres that `pose` and `betas` do not give.
        box: (4,) x, y, w, h of the visible mask, pixel edges.
        mask: (H, W) bool where the person is seen.
        parts: (H, W) uint8, one plus the part14 label, 0 elsewhere.
    """

    keypoints: dict[str, np.ndarray]
    joints3d: dict[str, np.ndarray]
    smpl_joints: dict[str, np.ndarray]
    vertices: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    gender: str
    translation: np.ndarray
    box: np.ndarray
    mask: np.ndarray
    parts: np.ndarray

    def points(self, names: tuple[str, ...]) -> np.ndarray:
        """(n, 2) pixels of the named joints."""
        return np.array([self.keypoints[name] for name in names])

    def points3d(self, names: tuple[str, ...]) -> np.ndarray:
        """(n, 3) metres of the named joints."""
        return np.array([self.joints3d[name] for name in names])


@dataclasses.dataclass(frozen=True)
class Scene:
    """An image, (H, W, 3) uint8 RGB, its camera and who is in it."""

    image: np.ndarray
    view: rendering.View
    people: tuple[Person, ...]

    @property
    def intrinsics(self) -> np.ndarray:
        """(4,) fx, fy, cx, cy in pixels; pixel centres are integers."""
        return np.array([self.view.focal_px] * 2 + [*self.view.centre])


@functools.lru_cache(maxsize=32)
def scene(number: int, people: int = 1, size=(200, 160)) -> Scene:
    """Scene `number`: the same whenever it is asked for.

    Args:
        number: which; each has people, clothes and surroundings of its own.
        people: how many, side by side.
        size: (W, H) of the image.
    """
    rng = np.random.default_rng((11, number))
    width, height = size
    # Off the middle: a reader that assumes the middle is found out.
    centre = width / 2 + 3.25, height / 2 - 2.5
    view = rendering.View(width, height, 1.4 * max(size), centre)
    image = appearance.background(rng, max(size))[:height, :width]
    image = np.ascontiguousarray(image)
    pose, betas, _ = synthetic.People(number, "test").bodies(0, people)
    pose[:, 0] = [_facing(rng).as_rotvec() for _ in range(people)]
    rotmats = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()
    rotmats = rotmats.reshape(-1, 24, 3, 3)
    posed = _skinner()(rotmats, betas)
    skeletons = kinematics.forward(rotmats, _rest(betas))[1]
    members = []
    for i in range(people):
        move = _translation_into_column(posed.vertices[i], view, i, people)
        vertices = posed.vertices[i] + move
        image, parts = _draw(rng, image, view, vertices, posed.normals[i])
        mask = parts > 0
        points = (posed.joints[i] + move).astype(np.float64)
        members.append(
            Person(
                _by_name(joints.KEYPOINTS, view.project(points)),
                _by_name(joints.KEYPOINTS, points),
                _by_name(joints.SMPL24, skeletons[i] + move),
                vertices,
                pose[i],
                betas[i],
                "female" if i % 2 else "male",
                move,
                np.array(cv2.boundingRect(mask.astype(np.uint8)), float),
                mask,
                parts,
            )
        )
    return Scene(image, view, tuple(members))


def write_image(path: Path, image: np.ndarray) -> Path:
    """Writes RGB in the format that the name's end says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def write_video(path: Path, scenes) -> Path:
    """Writes their pictures as frames, coded as the name's end says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = {".mp4": "mp4v", ".avi": "XVID"}[path.suffix]
    size = scenes[0].image.shape[1::-1]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, size)
    for scene in scenes:
        video.write(scene.image[..., ::-1])
    video.release()
    return path


def _facing(rng: np.random.Generator) -> Rotation:
    """Upright in a frame whose y points down, turned by up to 60 degrees."""
    turn = Rotation.from_euler("y", rng.uniform(-60, 60), degrees=True)
    tilt = Rotation.from_euler("zx", rng.normal(0, 8, 2), degrees=True)
    return tilt * Rotation.from_rotvec([np.pi, 0, 0]) * turn


def _translation_into_column(
    vertices, view: rendering.View, i: int, people: int
) -> np.ndarray:
    """Moves a body so that it fills most of its column of the image."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    spans = (high - low)[:2] * view.focal_px
    room = _SHARE * np.array([view.width / people, view.height])
    # The nearest skin decides how large the person looks at most.
    depth = float((spans / room).max()) - low[2]
    middle = (low + high)[:2] / 2
    column = (i + 0.5) * view.width / people, view.height / 2
    ray = (np.array(column) - view.centre) / view.focal_px
    return np.append(ray * depth - middle, depth)


def _draw(rng, image, view, vertices, normals):
    wardrobe = _wardrobe()
    colours = wardrobe.paint(rng, appearance.Garments.sample(rng))
    colours *= appearance.light(rng, normals)
    labels = _body().parts("part14")[0]
    return render.draw(image, vertices, _skinner().faces, view, colours, labels)


def _rest(betas: np.ndarray) -> np.ndarray:
    data = _body()
    dirs = np.einsum("jv,vcp->jcp", data.J_regressor, data.shapedirs)
    rest = data.J_regressor @ data.v_template
    return rest + np.einsum("jcp,np->njc", dirs, betas)


def _by_name(names, values) -> dict[str, np.ndarray]:
    return dict(zip(names, np.asarray(values, np.float64), strict=True))


@functools.cache
def _body() -> BodyData:
    return BodyData.load("open")


@functools.cache
def _skinner() -> render.Skinner:
    return render.Skinner(_body())


@functools.cache
def _wardrobe() -> appearance.Wardrobe:
    return appearance.Wardrobe(_body())
