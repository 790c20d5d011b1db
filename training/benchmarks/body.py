"""Times the body, forward and backward, against PyTorch's smplx.lbs.

    python -m training.benchmark body

Both sides pose the same open body from rotation vectors and betas, and
backpropagate the same gradients of vertices and joints. They run in turns, on
one core with one thread, in this process; a row is the median of its rounds.
Seconds are the process's CPU time: on one thread that is the time on an idle
machine, and other programs do not disturb it. smplx is the field's usual body
code; it and PyTorch come with `pip install -e '.[compare]'`. The last line is
`ratio N.N`: smplx's time over ours, whole mesh.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from training.benchmarks import _peers

Pair = tuple[np.ndarray, np.ndarray]
"""Gradients with respect to betas (B, 10) and rotation vectors (B, 24, 3)."""

# Relative to the largest entry; both sides are float32.
_SAME_GRADIENT = 1e-4


@dataclasses.dataclass
class Options:
    """Seconds of the body's forward and backward pass on one thread."""

    batch: int = 64
    """Bodies per call."""
    rounds: int = 15
    """Measurements of each side, in turns; the median counts."""
    calls: int = 3
    """Calls per measurement."""
    seed: int = 0
    """Seed of the poses and shapes."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Inputs and output gradients of both sides."""

    rotvecs: np.ndarray  # (B, 24, 3)
    betas: np.ndarray  # (B, 10)
    vertex_gradients: np.ndarray  # (B, V, 3)
    skeleton_gradients: np.ndarray  # (B, 24, 3)


def run(options: Options) -> float | None:
    """Measures and prints; returns the ratio, None without PyTorch or smplx.

    Raises:
        ValueError: the two sides disagree on the gradients.
    """
    _peers.one_core()
    from tf_hmr.body.data import BodyData

    data = BodyData.load("open")
    task = _task(options, data.num_vertices)
    sides = {"tf_hmr, whole mesh": _ours(data, task, mesh=True)}
    sides["tf_hmr, keypoints only"] = _ours(data, task, mesh=False)
    peer = _smplx(data, task)
    if peer:
        sides = {"smplx.lbs, whole mesh": peer} | sides
        _check_same(sides["tf_hmr, whole mesh"](), peer())
    times = _peers.in_turns(sides, options.rounds, options.calls)
    print(f"forward + backward, batch {options.batch}, one thread")
    slowest = max(times.values())
    for name, seconds in times.items():
        print(
            f"{name:24s} {1e3 * seconds:8.1f} ms CPU "
            f"{options.batch / seconds:8.0f} bodies/s "
            f"{slowest / seconds:6.1f} x"
        )
    if not peer:
        return None
    ratio = times["smplx.lbs, whole mesh"] / times["tf_hmr, whole mesh"]
    print(f"ratio {ratio:.1f}")
    return ratio


def _task(options: Options, vertices: int) -> Task:
    rng = np.random.default_rng(options.seed)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return rng.normal(0, scale, (options.batch, *shape)).astype(np.float32)

    return Task(
        rotvecs=normal(24, 3, scale=0.4),
        betas=normal(10),
        vertex_gradients=normal(vertices, 3),
        skeleton_gradients=normal(24, 3),
    )


def _ours(data, task: Task, mesh: bool) -> Callable[[], Pair]:
    import tensorflow as tf

    from tf_hmr.body.model import Body
    from tf_hmr.geometry import rotations

    body = Body(data)
    at_skeleton = tf.constant(task.skeleton_gradients)
    if mesh:
        upstream = (tf.constant(task.vertex_gradients), at_skeleton)
    else:
        count = len(body.joint_names)
        upstream = (tf.ones([len(task.betas), count, 3]), at_skeleton)

    @tf.function
    def gradients(betas, rotvecs):
        with tf.GradientTape() as tape:
            tape.watch((betas, rotvecs))
            rotmats = rotations.rotvec_to_rotmat(rotvecs)
            if mesh:
                posed = body(rotmats, betas)
                outputs = (posed.vertices, posed.skeleton)
            else:
                outputs = body.keypoints(rotmats, betas)
        return tape.gradient(outputs, (betas, rotvecs), upstream)

    betas, rotvecs = tf.constant(task.betas), tf.constant(task.rotvecs)
    return lambda: tuple(g.numpy() for g in gradients(betas, rotvecs))


def _smplx(data, task: Task) -> Callable[[], Pair] | None:
    """Gradients with vchoutas/smplx: smplx/lbs.py, or None without it."""
    if not _peers.smplx_is_installed():
        return None
    import torch
    from smplx.lbs import lbs

    tensor = _peers.tensor
    constants = _peers.lbs_constants(data)
    upstream = (
        tensor(task.vertex_gradients),
        tensor(task.skeleton_gradients),
    )

    def gradients() -> Pair:
        betas = tensor(task.betas).requires_grad_()
        rotvecs = tensor(task.rotvecs).requires_grad_()
        flat = rotvecs.reshape(len(rotvecs), -1)
        torch.autograd.backward(lbs(betas, flat, *constants), upstream)
        return betas.grad.numpy(), rotvecs.grad.numpy()

    return gradients


def _check_same(our_gradients: Pair, peer_gradients: Pair) -> None:
    for name, ours, peers in zip(
        ("betas", "rotvecs"), our_gradients, peer_gradients, strict=True
    ):
        quantity = f"The gradients for {name}"
        _peers.check_same(
            quantity, ours, peers, _SAME_GRADIENT, "tf_hmr.body.model"
        )
