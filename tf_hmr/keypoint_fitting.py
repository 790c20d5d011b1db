"""Fits people to 2D keypoints alone, in the camera of their photo."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import inference, joints
from tf_hmr.body.data import BodyData
from tf_hmr.body.model import Body
from tf_hmr.geometry import camera, crop, rotations
from tf_hmr.smplify import fitter as smplify
from tf_hmr.smplify import initialization, over_time, priors, schedules

SIDE = 224
"""Side in pixels of the crop in which a person is fitted. SMPLify's weights
hold for people of about this size."""

ROOM = 1.2
"""Side of the crop over the longer side of the keypoints' box."""

MIN_KEYPOINTS = 4
"""A person with fewer keypoints cannot be fitted."""

STARTS = 4
"""Starts fitted for each person; the fit of least energy is kept."""

MAX_BATCH = 64
"""Most bodies that are fitted together."""


class Task(NamedTuple):
    """A person to fit.

    Attributes:
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y in pixels of the
            photo and confidence.
        size: width and height of the photo.
        focal_px: focal length of its camera; None for
            inference.FOCAL_OVER_SIDE times its longer side.
        start: pose (J, 3), as rotation vectors, and betas (P,) to start from,
            and the translation (3,) if it is known; None tries several.
        keypoints_3d: (29, 4) metres and weight, as smplify.Fitter takes them,
            for schedules that weigh them; all tasks or none have them.
    """

    keypoints: np.ndarray
    size: tuple[int, int]
    focal_px: float | None = None
    start: tuple[np.ndarray, ...] | None = None
    keypoints_3d: np.ndarray | None = None


class FittedPerson(NamedTuple):
    """A fitted person.

    Attributes:
        person: in the camera of the photo.
        error: mean distance of the input keypoints from the body's, weighted
            by confidence, in pixels of the crop of SIDE.
    """

    person: inference.Person
    error: float


class PosedBody(NamedTuple):
    """A body in the frame of a photo's camera.

    Attributes:
        rotmats: (J, 3, 3) as of inference.Person, and the further ones.
        pose: (J, 3) the same as rotation vectors.
        betas: (P,).
        joints: (K, 3) metres, before the translation.
        vertices: (V, 3) metres, likewise.
        translation: (3,) metres.
    """

    rotmats: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    vertices: np.ndarray
    translation: np.ndarray


class _Crop(NamedTuple):
    """A task, in pixels of its crop."""

    box: crop.Box
    keypoints: np.ndarray
    focal: float
    centre: np.ndarray
    start: tuple[np.ndarray, ...] | None
    keypoints_3d: np.ndarray | None


class PeopleFitter:
    """Fits people with one body; compiles once per batch size."""

    def __init__(
        self,
        data: BodyData,
        prior: priors.Mixture,
        schedule: schedules.Schedule = schedules.KEYPOINTS,
        jit: bool = True,
        batch_size: int | None = None,
    ):
        """Makes a fitter; errors are those of smplify.Fitter.

        Args:
            data: the body.
            prior: over its poses.
            schedule: stages and weights.
            jit: compile with XLA, once per batch size.
            batch_size: bodies in each call of it, padded, so that one size is
                compiled; None: as many as there are, up to MAX_BATCH.
        """
        self.fitter = smplify.Fitter(data, prior, schedule, jit)
        self._batch_size = batch_size
        self._data = data
        # The mean pose of Bogo et al. 2016 is neither standing nor sitting:
        # the means of the mixture's Gaussians are tried, too.
        self._poses = np.concatenate([prior.mean_pose()[None], prior.means])
        self._names = self.fitter.joint_names
        self._body = Body(data, self._names, jit=False)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the keypoints that the body has."""
        return self._names

    def __call__(
        self,
        tasks: Sequence[Task],
        progress: Callable[[int, int], None] = lambda count, total: None,
        frames: over_time.Frames | None = None,
    ) -> list[FittedPerson]:
        """Fits people together.

        Args:
            tasks: the people.
            progress: called after each batch with the number of starts in it
                and the number of all starts.
            frames: the tasks are one person in the frames of a video, no more
                than a batch, with a start of each.

        Returns:
            One person for each task, in their order.

        Raises:
            ValueError: a person has fewer than MIN_KEYPOINTS keypoints of this
                body.
        """
        crops = [self._crop(task) for task in tasks]
        rows, starts = self._starts(crops)
        parts = []
        step = self._batch_size or MAX_BATCH
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            batch = [crops[row] for row in rows[part]]
            parts.append(self._fit(batch, starts[part], frames))
            progress(len(batch), len(rows))
        fits = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        energy = fits[-1]
        people = []
        for row, task in enumerate(tasks):
            candidates = np.flatnonzero(np.array(rows) == row)
            # Without a finite energy at all the first one shows that.
            energies = np.nan_to_num(energy[candidates], nan=np.inf)
            best = candidates[np.argmin(energies)]
            pose, betas, translation = (columns[best] for columns in fits[:3])
            parameters = smplify.Parameters(
                pose[None], betas[None], translation[None]
            )
            people.append(self._fitted_person(task, crops[row], parameters))
        return people

    def _crop(self, task: Task) -> _Crop:
        keypoints = np.array(task.keypoints, np.float64)
        missing = [n not in self._names for n in joints.KEYPOINTS]
        keypoints[missing, 2] = 0
        visible = keypoints[:, 2] > 0
        if visible.sum() < MIN_KEYPOINTS:
            raise ValueError(
                f"A person has {visible.sum()} keypoints that this body has, "
                f"expected at least {MIN_KEYPOINTS}. Leave this person out."
            )
        box = crop.box_of_keypoints(keypoints[:, :2], visible)
        box = crop.square_box(box, ROOM)
        affine = crop.crop_affine(box, SIDE)
        keypoints[:, :2] = keypoints[:, :2] @ affine[:, :2].T + affine[:, 2]
        focal = focal_length(task) * affine[0, 0]
        centre = affine[:, :2] @ camera.image_centre(task.size) + affine[:, 2]
        return _Crop(
            box,
            keypoints.astype(np.float32),
            focal,
            centre,
            task.start,
            task.keypoints_3d,
        )

    def _starts(self, crops: list[_Crop]):
        """The best starts of each person.

        Returns:
            (n,) indices of the crops, and (n, 3 J + P + 3) poses, betas and
            translations.
        """
        if any(person_crop.start is None for person_crop in crops):
            rest, pelvis = self._keypoints(self._poses)
        rows, starts = [], []
        for row, person_crop in enumerate(crops):
            if person_crop.start is not None:
                starts.append(self._given_start(person_crop))
                rows.append(row)
                continue
            candidates = []
            for orientation in initialization.orientations(
                person_crop.keypoints, rest[0]
            ):
                rotation = Rotation.from_rotvec(orientation).as_matrix()
                for pose, points in zip(self._poses, rest, strict=True):
                    posed = (points - pelvis) @ rotation.T + pelvis
                    translation, error = initialization.estimate_translation(
                        person_crop.keypoints,
                        posed,
                        person_crop.focal,
                        person_crop.centre,
                    )
                    candidates.append((error, orientation, pose, translation))
            candidates.sort(key=lambda candidate: candidate[0])
            betas = np.zeros(self._data.num_betas)
            for _, orientation, pose, translation in candidates[:STARTS]:
                starts.append(
                    np.concatenate([orientation, pose, betas, translation])
                )
                rows.append(row)
        return rows, np.array(starts, np.float32)

    def _given_start(self, person_crop: _Crop) -> np.ndarray:
        """(3 J + P + 3,) pose, betas and translation of the crop's start."""
        pose, betas, *translation = map(np.ravel, person_crop.start)
        if translation:
            return np.concatenate([pose, betas, *translation])
        posed, _ = self._keypoints(pose[None, 3:], pose[:3], betas)
        translation, _ = initialization.estimate_translation(
            person_crop.keypoints,
            posed[0].astype(np.float32),
            person_crop.focal,
            person_crop.centre,
        )
        return np.concatenate([pose, betas, translation])

    def _keypoints(
        self,
        poses: np.ndarray,
        orientation: np.ndarray | None = None,
        betas: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints of a body in several poses.

        Args:
            poses: (M, 3 (J - 1)) rotation vectors.
            orientation: (3,) of all; None: none.
            betas: (P,) of all; None: the mean body's.

        Returns:
            (M, 29, 3), 0 for keypoints that the body does not have; and its
            pelvis (3,), about which it turns.
        """
        orientation = np.zeros(3) if orientation is None else orientation
        betas = np.zeros(self._data.num_betas) if betas is None else betas
        count = len(poses)
        pose = np.hstack([np.tile(orientation, (count, 1)), poses])
        pose = pose.reshape(count, -1, 3)
        body_keypoints, skeleton = self._body.keypoints(
            rotations.rotvec_to_rotmat(pose.astype(np.float32)),
            np.tile(betas, (count, 1)).astype(np.float32),
        )
        keypoints = np.zeros((count, len(joints.KEYPOINTS), 3))
        indices = list(joints.select(self._names, joints.KEYPOINTS))
        keypoints[:, indices] = body_keypoints
        return keypoints, skeleton[0, 0].numpy()

    def _fit(
        self,
        crops: list[_Crop],
        starts: np.ndarray,
        frames: over_time.Frames | None,
    ) -> list[np.ndarray]:
        """Fits one batch of starts: pose, betas, translation and energy."""
        count = len(crops)
        # Padded to a power of two, because each new batch size is compiled.
        size = self._batch_size or 1 << (count - 1).bit_length()
        padding = size - count
        crops = crops + crops[-1:] * padding
        starts = np.concatenate([starts, np.repeat(starts[-1:], padding, 0)])
        ends = np.cumsum([3 * self._data.num_joints, self._data.num_betas])
        parameters = np.split(starts, ends, axis=1)
        keypoints_3d = [person_crop.keypoints_3d for person_crop in crops]
        fit = self.fitter(
            smplify.Parameters(*parameters),
            np.stack([person_crop.keypoints for person_crop in crops]),
            np.float32([person_crop.focal for person_crop in crops]),
            np.float32([person_crop.centre for person_crop in crops]),
            keypoints_3d=(
                None if keypoints_3d[0] is None else np.stack(keypoints_3d)
            ),
            frames=frames and over_time.padded(frames, padding),
        )
        fields = (fit.pose, fit.betas, fit.translation, fit.energy)
        return [np.asarray(field)[:count] for field in fields]

    def _fitted_person(
        self, task: Task, person_crop: _Crop, parameters: smplify.Parameters
    ) -> FittedPerson:
        rotmats = rotations.rotvec_to_rotmat(parameters.pose.reshape(1, -1, 3))
        mesh = self._body(rotmats, parameters.betas)
        body = PosedBody(
            rotmats[0].numpy(),
            parameters.pose.reshape(-1, 3),
            parameters.betas[0],
            mesh.joints[0].numpy(),
            mesh.vertices[0].numpy(),
            parameters.translation[0],
        )
        return in_photo(task, person_crop.box, body, self._names, self._data)


def in_photo(
    task: Task,
    crop_box: crop.Box,
    body: PosedBody,
    joint_names: Sequence[str],
    data: BodyData,
) -> FittedPerson:
    """A person as the photo's camera sees the body.

    Args:
        task: the person's keypoints, and the camera.
        crop_box: the square around them.
        body: in the frame of the camera.
        joint_names: of its joints.
        data: what it is a body of.
    """
    focal, principal = focal_length(task), camera.image_centre(task.size)
    # At a depth of 0 there is no projection; Person.check says so.
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = camera.project_perspective(
            body.joints + body.translation, focal, principal
        )
        weak = _weak_camera(body.translation, crop_box, focal, principal)
    labels = task.keypoints[list(joints.select(joint_names, joints.KEYPOINTS))]
    person = inference.Person(
        box=crop.box_of_keypoints(labels[:, :2], labels[:, 2]),
        crop_box=crop_box,
        image_size=task.size,
        camera=weak,
        translation=body.translation,
        focal_px=float(focal),
        principal_point=principal,
        rotmats=body.rotmats,
        pose=body.pose,
        betas=body.betas,
        joints=body.joints,
        keypoints_px=pixels,
        vertices=body.vertices,
        joint_names=tuple(joint_names),
        faces=data.faces,
        topology=data.topology,
    )
    error_px = mean_distance(pixels, task.keypoints, joint_names)
    return FittedPerson(person, error_px * SIDE / crop_box[2])


def mean_distance(
    pixels: np.ndarray, keypoints: np.ndarray, joint_names: Sequence[str]
) -> float:
    """Mean distance in pixels of a body's keypoints from those of a photo.

    Args:
        pixels: (K, 2) of the body.
        keypoints: (29, 3) in joints.KEYPOINTS order: x, y and confidence,
            which weighs the mean.
        joint_names: the K names.
    """
    labels = keypoints[list(joints.select(joint_names, joints.KEYPOINTS))]
    weight = np.where(labels[:, 2] > 0, labels[:, 2], 0)
    distances = np.linalg.norm(pixels - labels[:, :2], axis=1)
    distances = np.where(weight > 0, distances, 0)
    return float(np.sum(weight * distances) / weight.sum())


def focal_length(task: Task) -> float:
    """Focal length of a task's camera, pixels."""
    return task.focal_px or inference.FOCAL_OVER_SIDE * max(task.size)


def _weak_camera(translation, crop_box, focal, principal) -> np.ndarray:
    """Weak perspective (s, tx, ty) of the crop that matches the camera."""
    x, y, side, _ = crop_box
    depth = translation[2]
    # The crop's middle relative to the principal point, in pixels.
    middle = np.array([x + side / 2, y + side / 2]) - 0.5 - principal
    shift = translation[:2] - middle * depth / focal
    return np.array([2 * focal / (side * depth), *shift], np.float32)
