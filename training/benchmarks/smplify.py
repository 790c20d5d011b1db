"""Times SMPLify fits against PyTorch's Adam over smplx.

    python -m training.benchmark smplify

Both sides run the in-loop schedule of SPIN, 100 steps of the camera's stage and
100 of the body's, on the same keypoints from the same start, with the same
energies. The peer poses the whole mesh with smplx.lbs, regresses the keypoints
from it, and steps with torch.optim.Adam, as nkolot/SPIN does. All sides run on
one core with one thread; ours are medians of rounds, in CPU time. The last
lines are `per body N.N`, batch 1 over the batch, and `ratio N.N`, the peer's
time over ours; smplx and PyTorch come with `pip install -e '.[compare]'`.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from training.benchmarks import _peers

FOCAL_PX, SIDE = 5000.0, 224
# Relative: the sides sum in different orders in 200 steps of float32.
_SAME_ENERGY = 0.02


@dataclasses.dataclass
class Options:
    """Seconds of fits of 100 and 100 steps on one thread."""

    batch: int = 64
    """Bodies per call."""
    rounds: int = 3
    """Measurements of each side, in turns; the median counts."""
    seed: int = 0
    """Seed of the poses and shapes."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Task of both sides: start (B, ...) and keypoints (B, 29, 3)."""

    pose: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray

    def first(self) -> "Task":
        """The first body alone."""
        return Task(*(value[:1] for value in vars(self).values()))


def run(options: Options) -> float | None:
    """Measures and prints; returns the peer's ratio, None without the peer.

    Raises:
        ValueError: the energies of the two sides disagree.
    """
    _peers.one_core()
    from tf_hmr.body.data import BodyData
    from tf_hmr.smplify import fitter as smplify
    from tf_hmr.smplify import priors

    data, prior = BodyData.load("open"), priors.load()
    fitter = smplify.Fitter(data, prior)
    task = _task(fitter, data, prior, options)
    sides = {
        "tf_hmr, batch": _ours(fitter, task),
        "tf_hmr, batch 1": _ours(fitter, task.first()),
    }
    energies = sides["tf_hmr, batch"]()
    peer = _peer(fitter, data, prior, task)
    times = {}
    if peer:
        # Once: it takes minutes, and has nothing to compile.
        start = time.process_time()
        peer_energies = peer()
        times["PyTorch and smplx"] = time.process_time() - start
        _peers.check_same(
            "The energies",
            energies,
            peer_energies,
            _SAME_ENERGY,
            "tf_hmr.smplify",
        )
    times = _peers.in_turns(sides, options.rounds) | times
    print(f"200 steps, batch {options.batch}, one thread")
    for name, seconds in times.items():
        count = 1 if name.endswith(" 1") else options.batch
        print(
            f"{name:18s} {1e3 * seconds:9.1f} ms CPU "
            f"{1e3 * seconds / count:8.2f} ms per body"
        )
    ours = times["tf_hmr, batch"]
    print(f"per body {times['tf_hmr, batch 1'] * options.batch / ours:.1f}")
    if not peer:
        return None
    ratio = times["PyTorch and smplx"] / ours
    print(f"ratio {ratio:.1f}")
    return ratio


def _task(fitter, data, prior, options: Options) -> Task:
    """Bodies near the prior's mean pose, with exact keypoints."""
    from tf_hmr.body.model import Body
    from tf_hmr.geometry import camera, rotations

    rng, count = np.random.default_rng(options.seed), options.batch
    mean = np.concatenate([[np.pi, 0, 0], prior.mean_pose()])
    true_pose = (mean + rng.normal(0, 0.2, (count, 72))).astype(np.float32)
    betas = rng.normal(0, 1, (count, data.num_betas)).astype(np.float32)
    depth = 2 * FOCAL_PX / (SIDE * 0.9)
    translation = np.tile(np.float32([0, 0, depth]), (count, 1))
    body = Body(data, fitter.joint_names, jit=False)
    rotmats = rotations.rotvec_to_rotmat(true_pose.reshape(count, -1, 3))
    points = body.keypoints(rotmats, betas)[0].numpy() + translation[:, None]
    pixels = camera.project_perspective(points, FOCAL_PX, (SIDE - 1) / 2)
    ones = np.ones_like(pixels[..., :1])
    start = np.tile(mean.astype(np.float32), (count, 1))
    keypoints = np.concatenate([pixels, ones], axis=2)
    return Task(start, np.zeros_like(betas), translation, keypoints)


def _ours(fitter, task: Task) -> Callable[[], np.ndarray]:
    from tf_hmr.smplify import fitter as smplify

    start = smplify.Parameters(task.pose, task.betas, task.translation)
    centre = ((SIDE - 1) / 2,) * 2
    return lambda: fitter(
        start, task.keypoints, FOCAL_PX, centre
    ).energy.numpy()


def _peer(fitter, data, prior, task: Task) -> Callable | None:
    """Fit with PyTorch and vchoutas/smplx: smplx/lbs.py, or None."""
    if not _peers.smplx_is_installed():
        return None
    return _Peer(fitter, data, prior, task).fit


class _Peer:
    """Two optimisers of PyTorch, as nkolot/SPIN: smplify/smplify.py."""

    def __init__(self, fitter, data, prior, task: Task):
        from tf_hmr import joints
        from tf_hmr.body import points as body_points

        tensor = _peers.tensor
        self._task, self._schedule = task, fitter.schedule
        self._constants = _peers.lbs_constants(data)
        names = fitter.joint_names
        rows = body_points.keypoint_rows(data, names)
        self._of_vertices, self._of_joints = map(tensor, rows)
        indices = list(joints.select(names, joints.KEYPOINTS))
        self._pixels = tensor(task.keypoints[:, indices, :2])
        ignored = self._schedule.ignored
        self._counted = tensor([name not in ignored for name in names])
        self._torso = list(joints.select(self._schedule.torso, names))
        self._means = tensor(prior.means)
        self._precisions = tensor(np.linalg.inv(prior.covars))
        half_log_dets = 0.5 * np.linalg.slogdet(prior.covars)[1]
        constant = self._means.shape[1] / 2 * np.log(2 * np.pi)
        relative = half_log_dets - half_log_dets.min()
        log_weights = np.log(prior.weights) - constant - relative
        self._log_weights = tensor(log_weights)

    def fit(self) -> np.ndarray:
        """Energies (B,) after all steps."""
        tensor, task = _peers.tensor, self._task
        global_pose = tensor(task.pose[:, :3])
        body_pose = tensor(task.pose[:, 3:])
        betas, translation = tensor(task.betas), tensor(task.translation)
        depth = translation[:, 2].clone()
        schedule, (stage,) = self._schedule, self._schedule.stages

        def camera_energy():
            pixels = self._project(global_pose, body_pose, betas, translation)
            torso = pixels[:, self._torso]
            error = (torso - self._pixels[:, self._torso]) ** 2
            depth_change = translation[:, 2] - depth
            depth_penalty = schedule.camera_depth**2 * depth_change**2
            return error.sum(dim=(1, 2)) + depth_penalty

        def body_energy():
            return self._body_energy(
                global_pose, body_pose, betas, translation, stage
            )

        rate = schedule.camera_rate
        variables = [global_pose, translation]
        _descend(camera_energy, variables, schedule.camera_steps, rate)
        variables = [body_pose, betas, global_pose]
        _descend(body_energy, variables, stage.steps, stage.learning_rate)
        return body_energy().numpy()

    def _project(self, global_pose, body_pose, betas, translation):
        import torch
        from smplx.lbs import lbs

        pose = torch.cat([global_pose, body_pose], dim=1)
        vertices, joints = lbs(betas, pose, *self._constants)
        points = torch.einsum("kv,bvc->bkc", self._of_vertices, vertices)
        points = points + torch.einsum("kj,bjc->bkc", self._of_joints, joints)
        points = points + translation[:, None]
        return FOCAL_PX * points[..., :2] / points[..., 2:] + (SIDE - 1) / 2

    def _body_energy(self, global_pose, body_pose, betas, translation, stage):
        import torch

        pixels = self._project(global_pose, body_pose, betas, translation)
        square = (pixels - self._pixels) ** 2
        sigma = self._schedule.sigma**2
        robust = (sigma * square / (sigma + square)).sum(dim=2) * self._counted
        offsets = body_pose[:, None] - self._means
        quadratic = torch.einsum(
            "bmi,mij,bmj->bm", offsets, self._precisions, offsets
        )
        prior = (0.5 * quadratic - self._log_weights).min(dim=1).values
        # Left and right elbow about y, left and right knee about x, of SMPL's
        # 69 numbers (nkolot/SPIN: smplify/losses.py).
        signs = torch.tensor([1.0, -1.0, -1.0, -1.0])
        angles = torch.exp(body_pose[:, [52, 55, 9, 12]] * signs) ** 2
        return (
            robust.sum(dim=1)
            + stage.pose_prior**2 * prior
            + stage.angle_prior**2 * angles.sum(dim=1)
            + stage.shape_prior**2 * (betas**2).sum(dim=1)
        )


def _descend(energy, variables, steps: int, rate: float) -> None:
    import torch

    for variable in variables:
        variable.requires_grad_(True)
    optimizer = torch.optim.Adam(variables, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        energy().sum().backward()
        optimizer.step()
    for variable in variables:
        variable.requires_grad_(False)
