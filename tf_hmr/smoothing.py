"""Smooths the bodies of a video as they come, by One-Euro filters.

Filters and cutoffs are those of the device's one file, edge/run.py.
"""

import dataclasses
import math

import numpy as np

from tf_hmr import inference
from tf_hmr.geometry import camera, rotations

CUTOFFS = {
    "rotmats": (1.0, 2.0),
    "points": (1.0, 2.0),
    "position": (1.0, 8.0),
}
"""Least cutoff in Hz, and its rise with speed, of each filter."""


class OneEuro:
    """A low-pass filter whose cutoff rises with speed (Casiez et al. 2012)."""

    def __init__(self, least_hz: float, rise: float):
        self._least_hz, self._rise = least_hz, rise
        self._value, self._speed = None, 0.0

    def __call__(self, value: np.ndarray, seconds: float) -> np.ndarray:
        """The filtered value, `seconds` after the last one."""
        change = value - (value if self._value is None else self._value)
        # A cutoff of f Hz keeps 1 / (1 + radians f) of the change.
        radians = 2 * math.pi * seconds
        # The speed itself has a fixed cutoff of 1 Hz.
        self._speed += (change / seconds - self._speed) / (1 + 1 / radians)
        speed = np.linalg.norm(self._speed, axis=-1, keepdims=True)
        cutoff_hz = self._least_hz + self._rise * speed
        self._value = value - change / (1 + radians * cutoff_hz)
        return self._value


class PersonSmoother:
    """Smooths one person; the shape is the mean of all frames so far."""

    def __init__(self):
        self._filters = {name: OneEuro(*two) for name, two in CUTOFFS.items()}
        self._seconds, self._betas, self._count = None, 0.0, 0

    def __call__(
        self, person: inference.Person, seconds: float
    ) -> inference.Person:
        """The smoothed body of the next frame.

        Args:
            person: as it is seen in this frame alone.
            seconds: time of the frame; rising from call to call.
        """
        elapsed = 1.0 if self._seconds is None else seconds - self._seconds
        elapsed, self._seconds = max(1e-3, elapsed), seconds
        x, y, z = np.float64(person.translation)
        points = np.concatenate([person.joints, person.vertices])
        # The depth is seen by its logarithm: a share of it is as likely near
        # as far away.
        raw = {
            "rotmats": person.rotmats.reshape(-1, 9),
            "points": points,
            "position": np.array([x, y, math.log(z)]),
        }
        smooth = {
            n: self._filters[n](value, elapsed) for n, value in raw.items()
        }
        x, y, log_z = smooth["position"]
        translation = np.float32([x, y, math.exp(log_z)])
        points = np.float32(smooth["points"])
        rotmats = rotations.nearest_rotmat(
            smooth["rotmats"].reshape(-1, 3, 3)
        ).astype(np.float32)
        self._count += 1
        self._betas = self._betas + (person.betas - self._betas) / self._count
        count = len(person.joints)
        return dataclasses.replace(
            person,
            translation=translation,
            rotmats=rotmats,
            pose=np.asarray(rotations.rotmat_to_rotvec(rotmats)),
            betas=np.float32(self._betas),
            joints=points[:count],
            vertices=points[count:],
            keypoints_px=np.float32(
                camera.project_perspective(
                    points[:count] + translation,
                    person.focal_px,
                    person.principal_point,
                )
            ),
        )
