"""A person in the frames of a video: one shape, and joints that move smoothly.

The acceleration of a joint at a frame is its second difference, by the times of
the frames; its square, times the time that the frame stands for, is a sum that
approximates an integral. So a video of twice the rate is as smooth as the same
motion at half of it, and a frame that is missing weighs as it should.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

MAX_GAP_S = 0.5
"""Frames farther apart are not held together."""


class Frames(NamedTuple):
    """What the rows of a fit are.

    Attributes:
        seconds: (B,) times of the frames, rising; a row that is no later than
            the one before is not held to it.
        moves: (B,) 1 for a frame that is fitted, 0 for one that stays as it
            starts and only holds its neighbours.
    """

    seconds: tf.Tensor
    moves: tf.Tensor


def padded(frames: Frames, count: int) -> Frames:
    """Adds rows that neither move nor hold others."""
    seconds, moves = (np.asarray(part, np.float32) for part in frames)
    return Frames(
        # Not later than the frame before: no step.
        np.concatenate([seconds, np.repeat(seconds[-1:], count)]),
        np.concatenate([moves, np.zeros(count, np.float32)]),
    )


def shared(betas: tf.Tensor, frames: Frames) -> tf.Tensor:
    """The mean of the betas (B, P) of frames that move, in each row."""
    weights = frames.moves[:, None] / tf.reduce_sum(frames.moves)
    mean = tf.reduce_sum(weights * betas, axis=0, keepdims=True)
    return tf.zeros_like(betas) + mean


def acceleration_energy(points: tf.Tensor, seconds: tf.Tensor) -> tf.Tensor:
    """Squared acceleration of each frame, summed over the joints.

    Args:
        points: (B, K, 3) metres.
        seconds: (B,) as in Frames.

    Returns:
        (B,) in m^2 / s^3: squared acceleration times the frame's time; 0 at
        both ends and beside gaps.
    """
    steps = seconds[1:] - seconds[:-1]
    is_step = (steps > 0) & (steps <= MAX_GAP_S)
    steps = tf.where(is_step, steps, 1.0)
    is_held = tf.cast(is_step[1:] & is_step[:-1], points.dtype)
    velocities = (points[1:] - points[:-1]) / steps[:, None, None]
    frame_s = (steps[1:] + steps[:-1]) / 2
    acceleration = (velocities[1:] - velocities[:-1]) / frame_s[:, None, None]
    energy = tf.reduce_sum(tf.square(acceleration), axis=(1, 2))
    return tf.pad(energy * frame_s * is_held, [[1, 1]])
