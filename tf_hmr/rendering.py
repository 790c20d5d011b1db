"""Draws meshes without a display: depth, labels, shading, skeletons.

Everything here is numpy and OpenCV's software rasteriser
(`cv2.triangleRasterize`, OpenCV 5); no window, GPU or TensorFlow is needed.
Vertices are in the camera frame (x right, y down, z forward, metres); pixels
follow OpenCV: the centre of the first pixel is (0, 0).
"""

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

from tf_hmr import joints

# OpenCV's camera is OpenGL's: y up, looking along -z.
_OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
_NEAR_M = 0.05  # Surfaces closer than this are behind the camera or its lens.

# Direction of the light of `shade`: over the photographer's left shoulder.
_LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
_AMBIENT = 0.35
_SIDE_MARGIN = 1.15  # Side of side_view's image over the body's extent.
_SIDE_DISTANCE = 8.0  # In body extents: far enough to look orthographic.

_LEFT, _RIGHT, _MIDDLE = (230, 85, 13), (33, 113, 181), (49, 163, 84)
_HIDDEN = (150, 150, 150)


@dataclasses.dataclass(frozen=True)
class View:
    """A pinhole camera and the size of its image.

    Attributes:
        width: pixels.
        height: pixels.
        focal_px: focal length in pixels, the same along x and y.
        centre: (cx, cy), the principal point in pixel-centre coordinates; it
            may lie outside the image, as it does in a crop.
    """

    width: int
    height: int
    focal_px: float
    centre: tuple[float, float]

    @classmethod
    def of_crop(cls, size: int, focal_px: float) -> "View":
        """A square image with the principal point in its middle."""
        return cls(size, size, focal_px, ((size - 1) / 2, (size - 1) / 2))

    def window(
        self, left: int, top: int, width: int, height: int, zoom: int = 1
    ) -> "View":
        """The view of a rectangle of this image, `zoom` times finer."""
        cx, cy = self.centre
        # Pixel edges, not centres, scale with the zoom: hence the halves.
        return View(
            width * zoom,
            height * zoom,
            self.focal_px * zoom,
            (
                (cx - left + 0.5) * zoom - 0.5,
                (cy - top + 0.5) * zoom - 0.5,
            ),
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixel coordinates (..., 2) of points (..., 3) in front of it."""
        plane = points[..., :2] / points[..., 2:3]
        return plane * self.focal_px + np.asarray(self.centre)


def depth(vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray:
    """Distance of the nearest surface along z.

    Args:
        vertices: (V, 3), camera frame, metres.
        faces: (F, 3) vertex indices; both sides of a face are drawn.
        view: the camera.

    Returns:
        (H, W) float32 metres, `inf` where nothing is drawn.
    """
    blank = np.zeros_like(vertices, dtype=np.float32)
    return _rasterize(vertices, faces, blank, view)[1]


def silhouette(
    vertices: np.ndarray, faces: np.ndarray, view: View
) -> np.ndarray:
    """(H, W) bool, true where the mesh covers the pixel's centre."""
    return np.isfinite(depth(vertices, faces, view))


def vertex_ids(
    vertices: np.ndarray,
    faces: np.ndarray,
    view: View,
    closed: bool = False,
) -> np.ndarray:
    """The first vertex of the face seen at each pixel.

    One pass that gives every per-vertex quantity (colour, part, ...) by
    indexing, piecewise constant over a face.

    Args:
        vertices: (V, 3), camera frame, metres; V < 2**24, for the id travels
            through OpenCV as a float32 colour.
        faces: (F, 3) vertex indices.
        view: the camera.
        closed: the mesh is closed, its faces counter-clockwise seen from
            outside: faces that look away are then skipped, which is faster.

    Returns:
        (H, W) int32, -1 where nothing is drawn.
    """
    colours = np.zeros((len(vertices), 3), np.float32)
    colours[:, 0] = np.arange(1, len(vertices) + 1)
    id_image = _rasterize(vertices, faces, colours, view, True, closed)[0]
    return id_image[..., 0].astype(np.int32) - 1


def part_labels(
    vertices: np.ndarray,
    faces: np.ndarray,
    vertex_labels: np.ndarray,
    view: View,
) -> np.ndarray:
    """Labels of the visible surface.

    Args:
        vertices: (V, 3), camera frame, metres.
        faces: (F, 3) vertex indices.
        vertex_labels: (V,) integers 0..254.
        view: the camera.

    Returns:
        (H, W) uint8: 0 for background, label + 1 on the mesh.
    """
    shifted = np.append(np.asarray(vertex_labels, np.int64) + 1, 0)
    # Id -1 (background) picks the appended 0.
    return shifted[vertex_ids(vertices, faces, view)].astype(np.uint8)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, mean of the faces weighted by their area."""
    corners = vertices[faces]
    normals = np.cross(
        corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    )
    sums = np.stack(
        [
            np.bincount(
                faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices)
            )
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.where(length > 0, length, 1.0)


def shade(
    vertices: np.ndarray,
    faces: np.ndarray,
    view: View,
    background: np.ndarray | None = None,
    colour: tuple[float, float, float] = (0.65, 0.74, 0.86),
    vertex_colours: np.ndarray | None = None,
    supersample: int = 2,
) -> np.ndarray:
    """Draws the mesh on an image, lit from over the photographer's shoulder.

    Args:
        vertices: (V, 3), camera frame, metres.
        faces: (F, 3), counter-clockwise seen from outside.
        view: the camera.
        background: (H, W, 3) uint8 RGB; white when None.
        colour: RGB in 0..1 of the whole mesh.
        vertex_colours: (V, 3) RGB in 0..1, instead of `colour`.
        supersample: samples per pixel and axis.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the background's size is not the view's.
    """
    size = (view.height, view.width)
    if background is None:
        background = np.full((*size, 3), 255, np.uint8)
    if background.shape != (*size, 3):
        raise ValueError(
            f"background has shape {background.shape}, the view draws "
            f"{(*size, 3)}. Resize the image, or make the view of its size."
        )
    light = vertex_normals(vertices, faces) @ _LIGHT
    light = _AMBIENT + (1 - _AMBIENT) * np.clip(light, 0, 1)
    albedo = np.asarray(colour if vertex_colours is None else vertex_colours)
    colours = np.clip(albedo * light[:, None], 0, 1)
    fine_view = view.window(0, 0, view.width, view.height, zoom=supersample)
    image, distance = _rasterize(vertices, faces, colours, fine_view)
    cover = np.isfinite(distance).astype(np.float32)
    # Uncovered samples are black, so the mean is already weighted by cover.
    image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    cover = cv2.resize(cover, size[::-1], interpolation=cv2.INTER_AREA)
    mixed = background * (1 - cover[..., None]) + 255 * image
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def side_view(vertices: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    """Draws the body from the image's left: (size, size, 3) uint8 RGB.

    The mesh turns a quarter about the camera's vertical axis, so what was
    near the camera is on the right. It fills the image; its distance and
    position in the photo do not matter.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float(np.max(high - low))
    x, y, z = np.moveaxis(vertices - (low + high) / 2, -1, 0)
    distance = _SIDE_DISTANCE * extent
    side_vertices = np.stack([-z, y, x + distance], axis=-1)
    focal_px = size * _SIDE_DISTANCE / _SIDE_MARGIN
    return shade(side_vertices, faces, View.of_crop(size, focal_px))


def skeleton(
    image: np.ndarray,
    keypoints_px: np.ndarray,
    names: Sequence[str],
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """Draws joints and bones: left warm, right blue, middle green.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        keypoints_px: (K, 2) pixels.
        names: K names of `joints.KEYPOINTS`.
        visible: (K,), joints that are 0 are drawn grey and without bones;
            all count as visible when None.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = np.ascontiguousarray(image).copy()
    points = np.asarray(keypoints_px, float)
    finite = np.isfinite(points).all(axis=1)
    # Far outside the image a coordinate would overflow OpenCV's integers.
    limit = 4 * max(image.shape)
    pixels = np.clip(np.nan_to_num(points), -limit, limit)
    pixels = [tuple(int(value) for value in np.rint(p)) for p in pixels]
    visible = np.ones(len(names)) if visible is None else np.asarray(visible)
    radius = max(1, round(min(image.shape[:2]) / 100))
    for start, end in joints.BONES:
        if start not in names or end not in names:
            continue
        a, b = names.index(start), names.index(end)
        if finite[a] and finite[b] and visible[a] and visible[b]:
            cv2.line(
                canvas,
                pixels[a],
                pixels[b],
                _side_colour(end),
                radius,
                cv2.LINE_AA,
            )
    for name, pixel, is_finite, is_visible in zip(
        names, pixels, finite, visible, strict=True
    ):
        if is_finite:
            joint_colour = _side_colour(name) if is_visible else _HIDDEN
            cv2.circle(canvas, pixel, radius, joint_colour, -1, cv2.LINE_AA)
    return canvas


def apply_weak_camera(
    vertices: np.ndarray,
    camera: np.ndarray,
    size: int,
    focal_px: float = 5000.0,
) -> np.ndarray:
    """Translates a mesh so that a pinhole draws it as a weak camera sees it.

    Drawn with `View.of_crop(size, focal_px)` it covers the crop as the weak
    perspective camera (s, tx, ty) projects it, up to perspective, which a long
    focal length makes small.

    Args:
        vertices: (V, 3), camera frame, metres.
        camera: (3,) s, tx, ty.
        size: side of the crop, pixels.
        focal_px: HMR's and SPIN's 5000 pixels by default.
    """
    # Imported here because it imports TensorFlow: the processes that render
    # training images with this module start ten times faster without it.
    from tf_hmr.geometry import camera as cameras

    translation = cameras.weak_to_translation(
        np.asarray(camera), focal_px, size
    )
    return vertices + np.asarray(translation)


def _side_colour(name: str) -> tuple[int, int, int]:
    if name.startswith("left_"):
        return _LEFT
    return _RIGHT if name.startswith("right_") else _MIDDLE


def _rasterize(
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray,
    view: View,
    flat: bool = False,
    closed: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) float32, 0 where empty, and depth (H, W), inf."""
    image = np.zeros((view.height, view.width, 3), np.float32)
    # The far plane marks empty pixels and must lie clearly behind the mesh;
    # the buffer holds inverse depths, exact only when the near one is close.
    z = vertices[:, 2]
    near_plane = max(_NEAR_M, 0.5 * float(z.min()))
    far_plane = max(2 * near_plane, 1.01 * float(z.max()) + 1.0)
    distance = np.full(image.shape[:2], far_plane, np.float32)
    # A principal point off the middle is a shear along z: x/z shifts by it.
    shear = np.eye(4)
    shear[0, 2] = (view.centre[0] - (view.width - 1) / 2) / view.focal_px
    shear[1, 2] = (view.centre[1] - (view.height - 1) / 2) / view.focal_px
    cv2.triangleRasterize(
        np.ascontiguousarray(vertices, np.float32),
        np.ascontiguousarray(faces, np.int32),
        np.ascontiguousarray(colours, np.float32),
        image,
        distance,
        (_OPENGL_AXES @ shear).astype(np.float32),
        2 * math.atan(view.height / (2 * view.focal_px)),
        near_plane,
        far_plane,
        _settings(flat, closed),
    )
    # OpenCV stores inverse depths, so empty pixels come back rounded.
    distance[distance > 0.995 * far_plane] = np.inf
    return image, distance


def _settings(flat: bool, closed: bool) -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(
        cv2.RASTERIZE_SHADING_FLAT if flat else cv2.RASTERIZE_SHADING_SHADED
    )
    # OpenCV flips the image, so "clockwise" culls the faces turned away.
    settings.setCullingMode(
        cv2.RASTERIZE_CULLING_CW if closed else cv2.RASTERIZE_CULLING_NONE
    )
    return settings
