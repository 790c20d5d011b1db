"""Plausible human poses without motion capture.

A behaviour (standing, walking, sitting, ...) draws the legs and the trunk, a
mode the arms; every joint stays inside its range of motion, and poses in which
limbs enter the body are rejected. Ranges agree with the clinical tables of
the AAOS and the AMA; the wrists are kept tighter.

Angles are degrees of swing and twist, R = exp(swing) exp(twist), in the
frame of the resting body (x to its left, y up, z forward), for the LEFT side;
the right side is the mirror image (x, -y, -z).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body.data import BodyData
from training.data.synthetic import kinematics

SAMPLER_VERSION = 1  # Raise it when a change alters the poses of a seed.

_TOLERANCE_M = 0.020  # Depth at which touching counts as entering.
_BATCH = 32  # Fewest candidates per round of rejection.
_INDEX = {name: index for index, name in enumerate(joints.SMPL24)}
_SIDES = ("left_", "right_")


class Spread(NamedTuple):
    """A beta distribution stretched over low..high."""

    low: float
    high: float
    a: float
    b: float

    def draw(self, rng: np.random.Generator, size) -> np.ndarray:
        """Draws samples of shape `size`, degrees."""
        return self.low + (self.high - self.low) * rng.beta(
            self.a, self.b, size
        )


class _Arm(NamedTuple):
    share: float
    mean: tuple[float, float, float]  # of the shoulder, degrees
    deviation: tuple[float, float, float]
    elbow: Spread  # flexion, positive


_ARMS = {
    "down": _Arm(0.36, (5, -8, -74), (15, 14, 8), Spread(2, 90, 1.2, 3.5)),
    "forward": _Arm(
        0.20, (0, -62, -28), (22, 22, 22), Spread(2, 130, 1.5, 1.8)
    ),
    # Folded, or the hand at the face.
    "fold": _Arm(0.12, (18, -25, -58), (20, 18, 14), Spread(70, 143, 2, 1.5)),
    "side": _Arm(0.12, (-10, -8, -8), (25, 15, 25), Spread(0, 120, 1, 2.2)),
    "up": _Arm(0.08, (-50, -18, 52), (22, 18, 18), Spread(0, 120, 1.2, 2)),
    "back": _Arm(0.05, (12, 22, -62), (15, 9, 14), Spread(0, 80, 1.2, 2)),
    # The shoulder's full range; the spread is replaced by a uniform one.
    "free": _Arm(0.07, (0, 0, 0), (0, 0, 0), Spread(0, 140, 1, 1.3)),
}


class _Legs(NamedTuple):
    """hip (n, 2, 3), knee (n, 2) and ankle (n, 2) flexion; left, right."""

    hip: np.ndarray
    knee: np.ndarray
    ankle: np.ndarray


def _standing_legs(rng: np.random.Generator, n: int) -> _Legs:
    hip = rng.normal((-3, 6, 1), (7, 8, 4), (n, 2, 3))
    knee = np.abs(rng.normal(3, 7, (n, 2)))
    return _Legs(hip, knee, np.zeros((n, 2)))


def _stand(rng: np.random.Generator, n: int) -> _Legs:
    legs = _standing_legs(rng, n)
    # One leg in three poses is relaxed or takes a step.
    relaxed = np.flatnonzero(rng.random(n) < 0.35)
    side = rng.integers(0, 2, len(relaxed))
    step = Spread(5, 55, 1, 2.5).draw(rng, len(relaxed))
    legs.hip[relaxed, side, 0] -= step
    legs.knee[relaxed, side] += Spread(5, 80, 1.2, 2).draw(rng, len(relaxed))
    return legs


def _walk(rng: np.random.Generator, n: int) -> _Legs:
    """A gait cycle: hips in counter-phase, knees bent in the swing."""
    phase = rng.uniform(0, 2 * np.pi, (n, 1)) + np.array([0, np.pi])
    stride = Spread(12, 45, 1.5, 2).draw(rng, (n, 1))
    legs = _standing_legs(rng, n)
    legs.hip[..., 0] = -6 - stride * np.sin(phase) + rng.normal(0, 4, (n, 2))
    swing = 1.3 * stride * np.clip(np.cos(phase), 0, 1) ** 1.5
    stance = 8 + 0.25 * stride * (1 - np.cos(2 * phase))
    knee = np.clip(stance + swing + rng.normal(0, 5, (n, 2)), 0, 130)
    ankle = 8 * np.cos(phase + 0.6) + rng.normal(0, 4, (n, 2))
    return _Legs(legs.hip, knee, np.clip(ankle, -18, 30))


def _sit(rng: np.random.Generator, n: int) -> _Legs:
    flexion = Spread(60, 105, 2, 2).draw(rng, (n, 1))
    spread = rng.normal(8, 9, (n, 1))
    hip = np.stack(
        [
            rng.normal(0, 7, (n, 2)) - flexion,
            rng.normal(5, 12, (n, 2)),
            rng.normal(0, 6, (n, 2)) + spread,
        ],
        axis=-1,
    )
    knee = Spread(35, 120, 3, 2).draw(rng, (n, 1)) + rng.normal(0, 12, (n, 2))
    return _Legs(hip, np.clip(knee, 0, 135), np.zeros((n, 2)))


def _squat(rng: np.random.Generator, n: int) -> _Legs:
    bend = Spread(30, 135, 1.6, 1.6).draw(rng, (n, 1))
    spread = rng.normal(10, 9, (n, 1))
    flexion = bend * rng.uniform(0.6, 0.95, (n, 2)) + rng.normal(0, 8, (n, 2))
    hip = np.stack(
        [
            -np.clip(flexion, 0, 118),
            rng.normal(10, 10, (n, 2)),
            rng.normal(0, 5, (n, 2)) + spread,
        ],
        axis=-1,
    )
    knee = np.clip(bend + rng.normal(0, 8, (n, 2)), 0, 138)
    ankle = -np.clip(0.18 * bend + rng.normal(0, 4, (n, 2)), -10, 20)
    return _Legs(hip, knee, ankle)


def _bend(rng: np.random.Generator, n: int) -> _Legs:
    legs = _standing_legs(rng, n)
    legs.hip[..., 0] -= Spread(0, 70, 1.2, 2).draw(rng, (n, 2))
    return legs._replace(knee=legs.knee + Spread(0, 50, 1, 2).draw(rng, (n, 2)))


def _free(rng: np.random.Generator, n: int) -> _Legs:
    limits = kinematics.LIMITS["hip"]
    hip = np.stack(
        [
            Spread(*limits.x, 2.2, 1.2).draw(rng, (n, 2)),
            0.7 * rng.uniform(*limits.y, (n, 2)),
            Spread(*limits.z, 1.5, 1.8).draw(rng, (n, 2)),
        ],
        axis=-1,
    )
    knee = Spread(0, 138, 1, 1.6).draw(rng, (n, 2))
    return _Legs(hip, knee, np.zeros((n, 2)))


def _lunge(rng: np.random.Generator, n: int) -> _Legs:
    legs = _standing_legs(rng, n)
    rows, front = np.arange(n), rng.integers(0, 2, n)
    back = 1 - front
    legs.hip[rows, front, 0] = -Spread(45, 100, 2, 2).draw(rng, n)
    legs.hip[rows, back, 0] = Spread(-10, 24, 2, 2).draw(rng, n)
    legs.knee[rows, front] = Spread(50, 110, 2, 2).draw(rng, n)
    legs.knee[rows, back] = Spread(5, 110, 1.2, 2).draw(rng, n)
    legs.ankle[rows, back] = rng.uniform(-5, 20, n)
    return legs


class _Behaviour(NamedTuple):
    share: float
    legs: Callable[[np.random.Generator, int], _Legs]


BEHAVIOURS = {
    "stand": _Behaviour(0.33, _stand),
    "walk": _Behaviour(0.20, _walk),
    "sit": _Behaviour(0.12, _sit),
    "squat": _Behaviour(0.11, _squat),
    "bend": _Behaviour(0.10, _bend),
    "free": _Behaviour(0.10, _free),
    "lunge": _Behaviour(0.04, _lunge),
}


class PoseSampler:
    """Draws poses for a body, without those whose limbs enter it."""

    def __init__(self, data: BodyData):
        """Measures the body.

        Args:
            data: the body whose mean shape the poses must not enter.
        """
        self._rest = kinematics.smpl24_rest(data)
        self._penetration = kinematics.SelfPenetration(data)

    def sample(
        self, rng: np.random.Generator, count: int
    ) -> tuple[np.ndarray, float]:
        """Draws poses.

        Args:
            rng: random generator.
            count: number of poses.

        Returns:
            Rotation vectors (count, 24, 3), radians, the pelvis at zero, and
            the share of candidates that were accepted.
        """
        accepted, candidates = [], 0
        while sum(len(poses) for poses in accepted) < count:
            angles = draw_angles(rng, max(_BATCH, 2 * count))
            rotations = kinematics.swing_twist_rotations(angles)
            matrices = rotations.as_matrix().reshape(*angles.shape, 3)
            free = self._penetration.depth(matrices) < _TOLERANCE_M
            accepted.append(rotations.as_rotvec().reshape(angles.shape)[free])
            candidates += len(free)
        poses = np.concatenate(accepted)
        return poses[:count], len(poses) / candidates

    def orient(self, rng: np.random.Generator, poses: np.ndarray) -> Rotation:
        """Draws orientations in a y-up world; unturned bodies face +z.

        Mostly upright with the weight over the feet, more often facing the
        camera; one in twenty in any orientation, as of lying people.

        Args:
            rng: random generator.
            poses: (N, 24, 3) rotation vectors, the pelvis at zero.

        Returns:
            N rotations of the pelvis.
        """
        count = len(poses)
        yaw = np.where(
            rng.random(count) < 0.6,
            rng.normal(0, 55, count),
            rng.uniform(-180, 180, count),
        )
        pitch, roll = rng.normal(0, 6, (2, count))
        wobble = Rotation.from_euler(
            "YXZ", np.stack([yaw, pitch, roll], axis=1), degrees=True
        )
        matrices = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix()
        balanced = kinematics.balance(
            matrices.reshape(*poses.shape, 3), self._rest
        )
        upright = (wobble * balanced).as_quat()
        random_quat = rng.normal(size=(count, 4))  # Uniform once normalised.
        lying = rng.random(count) < 0.05
        return Rotation.from_quat(
            np.where(lying[:, None], random_quat, upright)
        )


def draw_angles(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws swing and twist (count, 24, 3) in degrees, inside the limits."""
    names = list(BEHAVIOURS)
    behaviour = rng.choice(
        len(names), count, p=[kind.share for kind in BEHAVIOURS.values()]
    )
    angles = np.zeros((count, kinematics.JOINTS, 3))
    legs = _draw_legs(rng, behaviour)
    walking = behaviour == names.index("walk")
    _bend_trunk(rng, angles, np.array(names)[behaviour])
    for side, prefix in enumerate(_SIDES):
        angles[:, _INDEX[prefix + "hip"]] = legs.hip[:, side]
        knee = angles[:, _INDEX[prefix + "knee"]]
        knee[:, 0], knee[:, 1] = legs.knee[:, side], rng.normal(0, 3, count)
        ankle = angles[:, _INDEX[prefix + "ankle"]]
        ankle += rng.normal(0, (6, 4, 5), (count, 3))
        ankle[:, 0] += legs.ankle[:, side]
        angles[:, _INDEX[prefix + "foot"], 0] = rng.normal(-2, 6, count)
    _move_arms(rng, angles, legs, walking)
    right = [i for name, i in _INDEX.items() if name.startswith("right_")]
    angles[:, right, 1:] *= -1
    return np.clip(angles, *kinematics.angle_limits())


def _draw_legs(rng: np.random.Generator, behaviour: np.ndarray) -> _Legs:
    count = len(behaviour)
    legs = _Legs(
        np.zeros((count, 2, 3)), np.zeros((count, 2)), np.zeros((count, 2))
    )
    for index, kind in enumerate(BEHAVIOURS.values()):
        rows = np.flatnonzero(behaviour == index)
        samples = kind.legs(rng, len(rows))
        for angles, sampled in zip(legs, samples, strict=True):
            angles[rows] = sampled
    return legs


def _bend_trunk(
    rng: np.random.Generator, angles: np.ndarray, behaviour: np.ndarray
) -> None:
    """Shares one bend among the spine's joints; neck and head look ahead."""
    count = len(angles)
    bend = rng.normal((4, 0, 0), (7, 9, 7), (count, 3))
    forward = np.stack(
        [
            Spread(10, 65, 1.5, 1.5).draw(rng, count),
            *rng.normal(0, ((14,), (12,)), (2, count)),
        ],
        axis=-1,
    )
    anywhere = rng.uniform((-20, -35, -28), (60, 35, 28), (count, 3))
    leaning = Spread(-5, 30, 1.5, 2).draw(rng, count)
    bend = np.where((behaviour == "bend")[:, None], forward, bend)
    bend = np.where((behaviour == "free")[:, None], anywhere, bend)
    bend[:, 0] += np.where(np.isin(behaviour, ("sit", "squat")), leaning, 0)
    for name, share in (("spine1", 0.40), ("spine2", 0.35), ("spine3", 0.25)):
        wobble = rng.normal(0, 1.5, (count, 3))
        angles[:, _INDEX[name]] = share * bend + wobble
    look = rng.normal((2, 0, 0), (9, 18, 7), (count, 3))
    look[:, 0] -= 0.35 * np.maximum(bend[:, 0] - 15, 0)
    for name, share in (("neck", 0.45), ("head", 0.55)):
        wobble = rng.normal(0, 2, (count, 3))
        angles[:, _INDEX[name]] = share * look + wobble


def _move_arms(
    rng: np.random.Generator,
    angles: np.ndarray,
    legs: _Legs,
    walking: np.ndarray,
) -> None:
    count = len(angles)
    shoulder, flexion = _draw_arms(rng, count)
    # Arms swing against the leg of their side, that is with the other one.
    swinging = walking & (rng.random(count) < 0.8)
    swing = 0.8 * (legs.hip[:, ::-1, 0] + 6)  # Negative is forward.
    shoulder_swing = np.stack(
        [
            rng.normal(5, 15, (count, 2)),
            swing - 4,
            -72 + 0.25 * np.abs(swing) + rng.normal(0, 5, (count, 2)),
        ],
        axis=-1,
    )
    running = rng.random((count, 1)) < 0.3
    bent = np.where(
        running,
        rng.uniform(60, 105, (count, 1)),
        rng.uniform(8, 40, (count, 1)),
    )
    flexion_swing = bent - 0.3 * swing + rng.normal(0, 6, (count, 2))
    shoulder = np.where(swinging[:, None, None], shoulder_swing, shoulder)
    flexion = np.where(swinging[:, None], flexion_swing, flexion)
    for side, prefix in enumerate(_SIDES):
        _set_arm(rng, angles, prefix, shoulder[:, side], flexion[:, side])


def _draw_arms(
    rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws shoulders (count, 2, 3) and elbow flexion (count, 2)."""
    table = list(_ARMS.values())
    mode = rng.choice(len(table), (count, 2), p=[arm.share for arm in table])
    alike = rng.random(count) < 0.5
    mode[alike, 1] = mode[alike, 0]
    mean = np.array([arm.mean for arm in table])[mode]
    deviation = np.array([arm.deviation for arm in table])[mode]
    shoulder = rng.normal(mean, deviation)
    limit = kinematics.LIMITS["shoulder"]
    low, high = np.array([limit.x, limit.y, limit.z]).T
    anywhere = 0.85 * rng.uniform(low, high, (count, 2, 3))
    is_free = mode == list(_ARMS).index("free")
    shoulder = np.where(is_free[..., None], anywhere, shoulder)
    low, high, a, b = np.array([arm.elbow for arm in table])[mode].T
    flexion = (low + (high - low) * rng.beta(a, b)).T
    # Of two arms in the same mode, most are half mirror images.
    mirrored = alike & (rng.random(count) < 0.6)
    weight = np.where(mirrored, rng.uniform(0.3, 1, count), 0)
    shoulder[:, 1] += weight[:, None] * (shoulder[:, 0] - shoulder[:, 1])
    flexion[:, 1] += weight * (flexion[:, 0] - flexion[:, 1])
    return shoulder, flexion


def _set_arm(
    rng: np.random.Generator,
    angles: np.ndarray,
    prefix: str,
    shoulder: np.ndarray,
    flexion: np.ndarray,
) -> None:
    count = len(angles)
    angles[:, _INDEX[prefix + "shoulder"]] = shoulder
    elbow = rng.normal((-38, 0, 0), (28, 0, 1), (count, 3))
    elbow[:, 1] = -flexion
    angles[:, _INDEX[prefix + "elbow"]] = elbow
    # The shoulder blade follows the upper arm.
    collar = rng.normal((0, 0, -3), (0, 3, 3), (count, 3))
    collar[:, 1] += 0.10 * (shoulder[:, 1] + 10)
    collar[:, 2] += 0.10 * (shoulder[:, 2] + 30)
    angles[:, _INDEX[prefix + "collar"]] = collar
    angles[:, _INDEX[prefix + "wrist"]] = rng.normal(
        (0, 0, 4), (6, 7, 16), (count, 3)
    )
    hand = rng.normal(0, (1, 1, 0), (count, 3))
    hand[:, 2] = -Spread(0, 60, 1.2, 3).draw(rng, count)
    angles[:, _INDEX[prefix + "hand"]] = hand
