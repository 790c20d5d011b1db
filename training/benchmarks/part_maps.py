"""Times maps of a body's parts, forward and backward.

    python -m training.benchmark part-maps

Bodies are posed by points of their skin, drawn as part maps, and the gradients
of the maps' L1 distance to others reach rotations, shape and translation.
Seconds are the process's CPU time on one thread: the time on an idle machine.
The last line is `part_maps N.NN ms` for one picture.
"""

import dataclasses

import numpy as np

from training.benchmarks import _peers


@dataclasses.dataclass
class Options:
    """Milliseconds of one core for a picture's part maps and gradients."""

    batch: int = 32
    """Pictures per call."""
    count: int = 512
    """Points of the skin."""
    side: int = 24
    """Cells of a map along x and y."""
    rounds: int = 10
    """Measurements; the median counts."""
    jit: bool = False
    """Compile the body with XLA, as training does; it takes half a minute."""


def run(options: Options) -> float:
    """Measures and prints; returns the milliseconds of one picture."""
    _peers.one_core()
    import tensorflow as tf

    from tf_hmr.body import part_maps
    from tf_hmr.body.data import BodyData
    from tf_hmr.body.model import Body
    from tf_hmr.geometry import camera, rotations

    body = Body(BodyData.load("open"), jit=options.jit)
    renderer = part_maps.PartRenderer(body, options.count, options.side)
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float) -> tf.Tensor:
        values = rng.normal(0, scale, (options.batch, *shape))
        return tf.constant(values, tf.float32)

    rotvecs = normal(body.data.num_joints, 3, scale=0.3)
    betas = normal(body.num_betas, scale=1.0)
    translation = normal(3, scale=0.2) + [0.0, 0.0, 6.0]
    intrinsics = tf.tile([camera.ASSUMED_CROP_INTRINSICS], (options.batch, 1))

    def draw(pose, shape, translation) -> tf.Tensor:
        rotmats = rotations.rotvec_to_rotmat(pose)
        return renderer(rotmats, shape, translation, intrinsics)

    target = draw(rotvecs + normal(1, 3, scale=0.3), betas, translation)

    @tf.function(autograph=False)
    def gradients():
        variables = (rotvecs, betas, translation)
        with tf.GradientTape() as tape:
            tape.watch(variables)
            loss = tf.reduce_sum(part_maps.l1(draw(*variables), target))
        return tape.gradient(loss, variables)

    name = f"{options.count} points, {options.side} x {options.side}"
    seconds = _peers.in_turns({name: gradients}, options.rounds)[name]
    milliseconds = 1e3 * seconds / options.batch
    print(f"{name}, batch {options.batch}, forward + backward, one thread")
    print(f"part_maps {milliseconds:.2f} ms")
    return milliseconds
