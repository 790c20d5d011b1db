"""How fast the body is, forward and backward, beside PyTorch's smplx.lbs.

    python -m training.benchmark body

Both sides pose the same open body from rotation vectors and betas, and carry
the same gradients of vertices and joints back to both. They run in turns, on
one core with one thread, in this process; a row is the median of its rounds.
Seconds are the process's CPU time: on one thread that is the time on an idle
machine, and other programs do not disturb it. smplx is the field's usual body
code; it and PyTorch come with `pip install -e '.[compare]'`. The last line is
`ratio N.N`: smplx's time over ours, whole mesh.
"""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

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
    """How often each side is measured, in turns; the median counts."""
    calls: int = 3
    """Calls per measurement."""
    seed: int = 0
    """Which poses and shapes."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What both sides compute."""

    rotvecs: np.ndarray  # (B, 24, 3)
    betas: np.ndarray  # (B, 10)
    vertex_gradients: np.ndarray  # (B, V, 3)
    skeleton_gradients: np.ndarray  # (B, 24, 3)


def run(options: Options) -> float | None:
    """Measures and prints; returns the ratio, None without PyTorch or smplx.

    Raises:
        ValueError: the two sides disagree on the gradients.
    """
    _one_core()
    from tf_hmr.body_data import BodyData

    data = BodyData.load("open")
    task = _task(options, data.num_vertices)
    sides = {"tf_hmr, whole mesh": _ours(data, task, mesh=True)}
    sides["tf_hmr, keypoints only"] = _ours(data, task, mesh=False)
    peer = _smplx(data, task)
    if peer:
        sides = {"smplx.lbs, whole mesh": peer} | sides
        _check_same(sides["tf_hmr, whole mesh"](), peer())
    times = _in_turns(sides, options)
    print(f"forward + backward, batch {options.batch}, one thread")
    slowest = max(times.values())
    for name, seconds in times.items():
        print(
            f"{name:24s} {1e3 * seconds:8.1f} ms CPU "
            f"{options.batch / seconds:8.0f} bodies/s "
            f"{slowest / seconds:6.1f} x"
        )
    if not peer:
        print("PyTorch or smplx is not installed: ours alone, no ratio.")
        print("To compare: pip install -e '.[compare]'")
        return None
    ratio = times["smplx.lbs, whole mesh"] / times["tf_hmr, whole mesh"]
    print(f"ratio {ratio:.1f}")
    return ratio


def _one_core() -> None:
    """One core and one thread for both sides, before either starts."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # PyTorch is measured on the CPU, so a GPU would be no comparison.
    tf.config.set_visible_devices([], "GPU")


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

    from tf_hmr import geometry
    from tf_hmr.body import Body

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
            rotmats = geometry.rotvec_to_rotmat(rotvecs)
            if mesh:
                posed = body(rotmats, betas)
                outputs = (posed.vertices, posed.skeleton)
            else:
                outputs = body.keypoints(rotmats, betas)
        return tape.gradient(outputs, (betas, rotvecs), upstream)

    betas, rotvecs = tf.constant(task.betas), tf.constant(task.rotvecs)
    return lambda: tuple(g.numpy() for g in gradients(betas, rotvecs))


def _smplx(data, task: Task) -> Callable[[], Pair] | None:
    """The same with vchoutas/smplx: smplx/lbs.py, or None without it."""
    try:
        import torch
        from smplx.lbs import lbs
    except ImportError:
        return None
    torch.set_num_threads(1)

    def tensor(array: np.ndarray):
        return torch.tensor(np.ascontiguousarray(array))

    constants = (
        tensor(data.v_template),
        tensor(data.shapedirs),
        tensor(data.posedirs.reshape(len(data.posedirs), -1)),
        tensor(data.J_regressor),
        torch.tensor(data.parents),
        tensor(data.weights),
    )
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


def _check_same(ours: Pair, theirs: Pair) -> None:
    for name, a, b in zip(("betas", "rotvecs"), ours, theirs, strict=True):
        error = float(np.abs(a - b).max() / np.abs(b).max())
        if not error <= _SAME_GRADIENT:
            raise ValueError(
                f"The gradients for {name} differ by {error:.1e} of the "
                f"largest, expected {_SAME_GRADIENT:.0e}: the two sides do "
                "not compute the same, so their times say nothing. Run the "
                "tests of tf_hmr.body."
            )


def _in_turns(
    sides: dict[str, Callable[[], Pair]], options: Options
) -> dict[str, float]:
    """Median seconds per call; every round measures each side once."""
    for call in sides.values():  # compiles and fills caches
        call()
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, call in sides.items():
            start = time.process_time()
            for _ in range(options.calls):
                call()
            measured[name].append(time.process_time() - start)
    return {
        name: statistics.median(times) / options.calls
        for name, times in measured.items()
    }
