"""From 2D keypoints alone to people in the camera of their photo."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation

from tf_hmr import inference, joints
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, crop, rotations
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import initialization, priors, schedules

SIDE = 224
"""Pixels of the crop in which a person is fitted: SMPLify's weights are for
people of about its size."""

ROOM = 1.2
"""Side of the crop over the longer side of the keypoints' box."""

LEAST = 4
"""A person of fewer keypoints cannot be fitted."""

STARTS = 4
"""Starts of a person that are fitted; the fit of least energy is kept."""

MOST = 64
"""Bodies that are fitted together."""


class Task(NamedTuple):
    """A person to fit.

    Attributes:
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y in pixels of the
            photo and confidence.
        size: width and height of the photo.
        focal_px: of its camera; None for people.FOCAL_OVER_SIDE times its
            longer side.
    """

    keypoints: np.ndarray
    size: tuple[int, int]
    focal_px: float | None = None


class Found(NamedTuple):
    """A person that was fitted.

    Attributes:
        person: in the camera of the photo.
        error: mean distance of the keypoints that were given from the body's,
            weighted by confidence, in pixels of the crop of SIDE.
    """

    person: inference.Person
    error: float


class _Crop(NamedTuple):
    """A task in pixels of its crop."""

    box: crop.Box
    keypoints: np.ndarray
    focal: float
    centre: np.ndarray


class PeopleFitter:
    """Fits people of one body; keeps what is compiled."""

    def __init__(
        self,
        data: BodyData,
        prior: priors.Mixture,
        schedule: schedules.Schedule = schedules.KEYPOINTS,
        jit: bool = True,
    ):
        """Takes what smplify.Fitter takes, and raises what it raises."""
        self.fitter = smplify.Fitter(data, prior, schedule, jit)
        self._data = data
        # Beside the mean pose of Bogo et al. 2016, which is neither standing
        # nor sitting, those of the mixture's Gaussians.
        self._poses = np.concatenate([prior.mean_pose()[None], prior.means])
        self._names = self.fitter.joint_names
        self._body = Body(data, self._names, jit=False)

    def __call__(
        self,
        tasks: Sequence[Task],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Found]:
        """Fits people together.

        Args:
            tasks: the people.
            progress: called with how many more starts have been fitted, and
                of how many.

        Returns:
            One for each task, in their order.

        Raises:
            ValueError: a person has fewer than LEAST keypoints of this body.
        """
        crops = [self._crop(task) for task in tasks]
        rows, starts = self._starts(crops)
        parts = []
        for first in range(0, len(rows), MOST):
            chosen = slice(first, first + MOST)
            seen = [crops[row] for row in rows[chosen]]
            parts.append(self._fit(seen, starts[chosen]))
            progress(len(seen), len(rows))
        fits = [np.concatenate(each) for each in zip(*parts, strict=True)]
        energy = fits[-1]
        found = []
        for row, task in enumerate(tasks):
            mine = np.flatnonzero(np.array(rows) == row)
            best = mine[np.nanargmin(energy[mine])]
            pose, betas, translation = (each[best] for each in fits[:3])
            at = smplify.Parameters(pose[None], betas[None], translation[None])
            found.append(self._found(task, crops[row], at))
        return found

    def _crop(self, task: Task) -> _Crop:
        keypoints = np.array(task.keypoints, np.float64)
        lacking = [n not in self._names for n in joints.KEYPOINTS]
        keypoints[lacking, 2] = 0
        seen = keypoints[:, 2] > 0
        if seen.sum() < LEAST:
            raise ValueError(
                f"A person has {seen.sum()} keypoints that this body has, "
                f"expected at least {LEAST}. Leave this person out."
            )
        box = crop.box_of_keypoints(keypoints[:, :2], seen)
        box = crop.square_box(box, ROOM)
        affine = crop.crop_affine(box, SIDE)
        keypoints[:, :2] = keypoints[:, :2] @ affine[:, :2].T + affine[:, 2]
        focal = _focal(task) * affine[0, 0]
        centre = affine[:, :2] @ camera.image_centre(task.size) + affine[:, 2]
        return _Crop(box, keypoints.astype(np.float32), focal, centre)

    def _starts(self, crops: list[_Crop]):
        """The task of each start, and its pose, betas and translation.

        Returns:
            (n,) tasks and (n, 3 J + P + 3) numbers.
        """
        rest, pelvis = self._keypoints()
        rows, starts = [], []
        for row, each in enumerate(crops):
            candidates = []
            for turned in initialization.orientations(each.keypoints, rest[0]):
                turn = Rotation.from_rotvec(turned).as_matrix()
                for pose, points in zip(self._poses, rest, strict=True):
                    posed = (points - pelvis) @ turn.T + pelvis
                    moved, error = initialization.place(
                        each.keypoints, posed, each.focal, each.centre
                    )
                    candidates.append((error, turned, pose, moved))
            candidates.sort(key=lambda candidate: candidate[0])
            betas = np.zeros(self._data.num_betas)
            for _, turned, pose, moved in candidates[:STARTS]:
                starts.append(np.concatenate([turned, pose, betas, moved]))
                rows.append(row)
        return rows, np.array(starts, np.float32)

    def _keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """(M, 29, 3) of the mean body in the poses of the start, 0 for what
        the body lacks, and its pelvis (3,), about which it turns.
        """
        pose = np.pad(self._poses, ((0, 0), (3, 0)))
        pose = pose.reshape(len(pose), -1, 3)
        found, skeleton = self._body.keypoints(
            rotations.rotvec_to_rotmat(pose.astype(np.float32)),
            tf.zeros([len(pose), self._data.num_betas]),
        )
        keypoints = np.zeros((len(pose), len(joints.KEYPOINTS), 3))
        places = list(joints.select(self._names, joints.KEYPOINTS))
        keypoints[:, places] = found
        return keypoints, skeleton[0, 0].numpy()

    def _fit(self, seen: list[_Crop], starts: np.ndarray) -> list[np.ndarray]:
        """Pose, betas, translation and energy of a few starts."""
        count = len(seen)
        # Padded to a power of two: every new batch size is compiled anew.
        spare = (1 << (count - 1).bit_length()) - count
        seen = seen + seen[-1:] * spare
        starts = np.concatenate([starts, np.repeat(starts[-1:], spare, 0)])
        ends = np.cumsum([3 * self._data.num_joints, self._data.num_betas])
        at = np.split(starts, ends, axis=1)
        fit = self.fitter(
            smplify.Parameters(*at),
            np.stack([each.keypoints for each in seen]),
            np.float32([each.focal for each in seen]),
            np.float32([each.centre for each in seen]),
        )
        wanted = (fit.pose, fit.betas, fit.translation, fit.energy)
        return [np.asarray(each)[:count] for each in wanted]

    def _found(self, task: Task, seen: _Crop, at: smplify.Parameters) -> Found:
        rotmats = rotations.rotvec_to_rotmat(at.pose.reshape(1, -1, 3))
        mesh = self._body(rotmats, at.betas)
        translation = at.translation[0]
        points = mesh.joints[0].numpy()
        focal, principal = _focal(task), camera.image_centre(task.size)
        pixels = camera.project_perspective(
            points + translation, focal, principal
        )
        given = task.keypoints[
            list(joints.select(self._names, joints.KEYPOINTS))
        ]
        weight = np.where(given[:, 2] > 0, given[:, 2], 0)
        off = np.linalg.norm(pixels - given[:, :2], axis=1)
        off = np.sum(weight * np.where(weight > 0, off, 0)) / weight.sum()
        person = inference.Person(
            box=crop.box_of_keypoints(given[:, :2], weight),
            crop_box=seen.box,
            image_size=task.size,
            camera=_weak(translation, seen, focal, principal),
            translation=translation,
            focal_px=float(focal),
            principal_point=principal,
            rotmats=rotmats[0].numpy(),
            pose=at.pose.reshape(-1, 3),
            betas=at.betas[0],
            joints=points,
            keypoints_px=pixels,
            vertices=mesh.vertices[0].numpy(),
            joint_names=self._names,
            faces=self._data.faces,
            topology=self._data.topology,
        )
        return Found(person, float(off) * SIDE / seen.box[2])


def _focal(task: Task) -> float:
    return task.focal_px or inference.FOCAL_OVER_SIDE * max(task.size)


def _weak(translation, seen: _Crop, focal, principal) -> np.ndarray:
    """(s, tx, ty) of the crop that looks like the camera of the photo."""
    x, y, side, _ = seen.box
    depth = translation[2]
    # Where the crop's middle is, in metres at the body's depth.
    middle = np.array([x + side / 2, y + side / 2]) - 0.5 - principal
    shift = translation[:2] - middle * depth / focal
    return np.array([2 * focal / (side * depth), *shift], np.float32)
