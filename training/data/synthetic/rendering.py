"""Posing and drawing many people fast, without TensorFlow.

`Skinner` is the SMPL formula for batches in numpy and scipy's sparse
matrices: the processes that make training images start in a fraction of the
time TensorFlow needs. A test compares it with `tf_hmr.body.model.Body`.
"""

from typing import NamedTuple

import cv2
import numpy as np
import scipy.sparse

from tf_hmr import joints, rendering
from tf_hmr.body.data import BodyData
from training.data.synthetic import kinematics

_SUPERSAMPLE = 2  # Samples per pixel and axis: antialiased edges.


class Posed(NamedTuple):
    """N people, in the frame of their global rotation.

    vertices (N, V, 3) and joints (N, K, 3), in metres, the joints in the order
    of joints.KEYPOINTS; the pelvis stays at its rest position. normals
    (N, V, 3) of about unit length, for shading.
    """

    vertices: np.ndarray
    normals: np.ndarray
    joints: np.ndarray


class Skinner:
    """Computes vertices of poses and shapes, as Body does, in float32.

    Attributes:
        data: the body.
        faces: (F, 3) int32.
    """

    def __init__(self, data: BodyData):
        """Prepares the body's arrays as sparse matrices.

        Args:
            data: the body.
        """
        self.data = data
        self.faces = np.ascontiguousarray(data.faces, np.int32)
        count = len(data.v_template)
        self._template = data.v_template.reshape(-1, 1)
        self._shapedirs = data.shapedirs.reshape(3 * count, -1)
        # 4 % of the open body's correctives and 10 % of the weights are not 0.
        self._posedirs = scipy.sparse.csr_matrix(
            data.posedirs.reshape(len(data.posedirs), -1).T
        )
        self._weights = scipy.sparse.csr_matrix(data.weights)
        self._regressor = scipy.sparse.csr_matrix(
            data.regressor(joints.KEYPOINTS)
        )
        self._rest = data.J_regressor @ data.v_template
        self._rest_dirs = np.einsum(
            "jv,vcp->jcp", data.J_regressor, data.shapedirs
        )
        self._normals = rendering.vertex_normals(
            data.v_template, self.faces
        ).astype(np.float32)

    def __call__(self, rotmats: np.ndarray, betas: np.ndarray) -> Posed:
        """Poses people.

        Args:
            rotmats: (N, J, 3, 3), parent-relative, the first one global, in
                the order of the body's joint_names.
            betas: (N, P).
        """
        people = len(rotmats)
        rotmats = np.asarray(rotmats, np.float32)
        betas = np.asarray(betas, np.float32)
        feature = (rotmats[:, 1:] - np.eye(3, dtype=np.float32)).reshape(
            people, -1
        )
        # People are the last axis throughout: every operation is then a long
        # contiguous one, and a sparse matrix applies to all people at once.
        shaped = self._template + self._shapedirs @ betas.T
        shaped += self._posedirs @ np.ascontiguousarray(feature.T)
        shaped = shaped.reshape(-1, 3, people)
        rest = self._rest + np.einsum("jcp,np->njc", self._rest_dirs, betas)
        rotations, positions = kinematics.forward(
            rotmats, rest, self.data.parents
        )
        shift = positions - np.einsum("njab,njb->nja", rotations, rest)
        moves = np.concatenate([rotations, shift[..., None]], axis=-1)
        moves = np.moveaxis(moves, 0, -1).reshape(self.data.num_joints, -1)
        moves = (self._weights @ moves).reshape(-1, 3, 4, people)
        rotated = np.einsum("vabn,vbn->van", moves[:, :, :3], shaped)
        vertices = rotated + moves[:, :, 3]
        # Blended rotations shrink normals a little, too little to be visible.
        normals = np.einsum("vabn,vb->van", moves[:, :, :3], self._normals)
        keypoints = self._regressor @ vertices.reshape(len(vertices), -1)
        keypoints = keypoints.reshape(-1, 3, people)
        return Posed(
            *(_people_first(x) for x in (vertices, normals, keypoints))
        )


def square_view(
    vertices: np.ndarray, size: int, margin: float
) -> tuple[rendering.View, np.ndarray]:
    """Computes the view of a square around a mesh, as cut from a photo.

    Args:
        vertices: (V, 3) in front of the camera, metres.
        size: side of the square, pixels.
        margin: its side over the longer side of the mesh's box.

    Returns:
        The view, with its principal point on the optical axis, and the mesh's
        box in it: (4,) x, y, w, h in pixel edges.
    """
    low, high = bounds(vertices[:, :2] / vertices[:, 2:])
    focal_px = size / (margin * float((high - low).max()))
    centre = (size - 1) / 2 - focal_px * (low + high) / 2
    view = rendering.View(size, size, focal_px, tuple(centre.tolist()))
    # Pixel edges are half a pixel from centres.
    corner = low * focal_px + centre + 0.5
    return view, np.concatenate([corner, (high - low) * focal_px])


class Drawing(NamedTuple):
    """Image (S, S, 3) uint8 RGB; parts (S, S) uint8, label + 1 or 0."""

    image: np.ndarray
    parts: np.ndarray


def draw(
    background: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    view: rendering.View,
    vertex_colours: np.ndarray,
    vertex_labels: np.ndarray,
) -> Drawing:
    """Draws one person, antialiased, and the visible part at each pixel.

    Args:
        background: (H, W, 3) uint8 RGB, of the view's size.
        vertices: (V, 3), camera frame, metres.
        faces: (F, 3) of a closed mesh.
        view: the camera.
        vertex_colours: (V, 3) RGB in 0..1, light included.
        vertex_labels: (V,) part of each vertex, 0..254.

    Returns:
        The drawing; a pixel has a part where at least half of it is covered.
    """
    image, parts = background.copy(), np.zeros(background.shape[:2], np.uint8)
    low, high = bounds(view.project(vertices))
    low, high = np.floor(low).astype(int) - 1, np.ceil(high).astype(int) + 2
    left, top = np.clip(low, 0, (view.width, view.height))
    right, bottom = np.clip(high, 0, (view.width, view.height))
    if right <= left or bottom <= top:
        return Drawing(image, parts)
    window = view.window(
        left, top, right - left, bottom - top, zoom=_SUPERSAMPLE
    )
    ids = rendering.vertex_ids(vertices, faces, window, closed=True)
    # Id -1 picks the last row: transparent black, part 0.
    paint = np.zeros((len(vertices) + 1, 4), np.uint8)
    paint[:-1, :3] = np.clip(255 * vertex_colours, 0, 255)
    paint[:-1, 3] = 255
    # Four bytes are gathered as one integer.
    fine = paint.view(np.uint32)[ids, 0][..., None].view(np.uint8)
    coarse = cv2.resize(
        fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA
    )
    cover = coarse[..., 3]
    region = image[top:bottom, left:right]
    rest = cv2.multiply(region, cv2.merge([255 - cover] * 3), scale=1 / 255)
    image[top:bottom, left:right] = cv2.add(
        rest, np.ascontiguousarray(coarse[..., :3])
    )
    labels = np.append(np.asarray(vertex_labels) + 1, 0).astype(np.uint8)[ids]
    labels = np.maximum(
        np.maximum(labels[0::2, 0::2], labels[0::2, 1::2]),
        np.maximum(labels[1::2, 0::2], labels[1::2, 1::2]),
    )
    parts[top:bottom, left:right] = np.where(cover >= 127, labels, 0)
    return Drawing(image, parts)


def bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest coordinates (D,) of points (N, D)."""
    # Along contiguous memory: ten times as fast as over the first axis.
    columns = np.ascontiguousarray(points.T)
    return columns.min(axis=1), columns.max(axis=1)


def _people_first(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))
