"""Exports and times two body functions: the work of edge.body_benchmark."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation

from tf_hmr import joints
from tf_hmr.body import points as body_points
from tf_hmr.body.data import BodyData
from tf_hmr.body.edge import EdgeBody

if TYPE_CHECKING:
    from edge.body_benchmark import Args

NAMES = ("textbook", "ours")


def textbook(data: BodyData, joint_names):
    """Function of rotmats (1, J, 3, 3), betas (1, P): vertices, keypoints."""
    of_vertices, of_joints = (
        rows.astype(np.float32)
        for rows in body_points.keypoint_rows(data, joint_names)
    )
    posedirs = data.posedirs.reshape(len(data.posedirs), -1)

    def posed(rotmats, betas):
        shaped = data.v_template + tf.einsum(
            "bp,vcp->bvc", betas, data.shapedirs
        )
        rest = tf.einsum("jv,bvc->bjc", data.J_regressor, shaped)
        feature = tf.reshape(rotmats[:, 1:] - tf.eye(3), (1, -1))
        offsets = tf.reshape(feature @ posedirs, shaped.shape)
        motions = _homogeneous_motions(data.parents, rotmats, rest)
        homogeneous = tf.concat([rest, tf.ones_like(rest[..., :1])], 2)
        skeleton = (motions @ homogeneous[..., None])[:, :, :3, 0]
        weighted = data.weights @ tf.reshape(motions, (1, len(rest[0]), 16))
        weighted = tf.reshape(weighted, (1, data.num_vertices, 4, 4))
        points = tf.concat([shaped + offsets, tf.ones_like(shaped[..., :1])], 2)
        vertices = (weighted @ points[..., None])[:, :, :3, 0]
        keypoints = tf.einsum("kv,bvc->bkc", of_vertices, vertices)
        keypoints += tf.einsum("kj,bjc->bkc", of_joints, skeleton)
        return vertices, keypoints

    return posed


def _homogeneous_motions(parents, rotmats, rest):
    """Transforms (1, J, 4, 4) from rest to posed positions."""
    bones = rest - tf.gather(rest, np.maximum(parents, 0), axis=1)
    bones = tf.concat([rest[:, :1], bones[:, 1:]], axis=1)
    local = tf.concat([rotmats, bones[..., None]], axis=3)
    last = np.tile(np.float32([0, 0, 0, 1]), (1, len(parents), 1, 1))
    local = tf.concat([local, last], axis=2)
    world = [local[:, 0]]
    for joint, parent in list(enumerate(parents))[1:]:
        world.append(world[parent] @ local[:, joint])
    world = tf.stack(world, axis=1)
    rest = tf.concat([rest, tf.zeros_like(rest[..., :1])], axis=2)
    posed_origins = world @ rest[..., None]
    return world - tf.pad(posed_origins, ((0, 0), (0, 0), (0, 0), (3, 0)))


def converted(data: BodyData, joint_names) -> dict[str, bytes]:
    """The two files' contents by name."""
    edge = EdgeBody(data, joint_names)

    def ours(rotmats, betas):
        mesh = edge(rotmats, betas)
        return mesh.vertices, mesh.joints

    specs = [
        tf.TensorSpec((1, data.num_joints, 3, 3), name="rotmats"),
        tf.TensorSpec((1, data.num_betas), name="betas"),
    ]
    contents = {}
    for name, function in zip(
        NAMES, (textbook(data, joint_names), ours), strict=True
    ):
        graph = tf.function(function, input_signature=specs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [graph.get_concrete_function()], graph
        )
        contents[name] = converter.convert()
    return contents


def loaded(content: bytes, inputs: list[np.ndarray]):
    """An interpreter of one thread, its inputs set."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        shape = tuple(detail["shape"])
        (value,) = (value for value in inputs if value.shape == shape)
        interpreter.set_tensor(detail["index"], value)
    return interpreter


def outputs(interpreter) -> list[np.ndarray]:
    """Outputs of the last run, the largest first."""
    arrays = [
        interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_output_details()
    ]
    return sorted(arrays, key=np.size, reverse=True)


def random_inputs(content: bytes) -> list[np.ndarray]:
    """Rotations (1, J, 3, 3) and betas (1, P) for one of the files."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=content).get_input_details()
    by_rank = {len(detail["shape"]): detail["shape"] for detail in details}
    rng = np.random.default_rng(0)
    rotmats = Rotation.random(int(by_rank[4][1]), rng=rng).as_matrix()
    return [np.float32(rotmats[None]), np.float32(rng.normal(size=by_rank[2]))]


def measure(contents: dict[str, bytes], rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds (rounds,) of each file, run in turns.

    Args:
        contents: the files' contents, of `converted`.
        rounds: runs of each file.

    Raises:
        ValueError: the files disagree by more than 0.01 mm.
    """
    inputs = random_inputs(next(iter(contents.values())))
    runs = {name: loaded(c, inputs) for name, c in contents.items()}
    for run in runs.values():
        run.invoke()
    answers = [outputs(run) for run in runs.values()]
    for expected, answer in zip(*answers, strict=True):
        if not np.allclose(expected, answer, rtol=0, atol=1e-5):
            raise ValueError(
                "The two body functions disagree by "
                f"{np.abs(expected - answer).max():.1e} m, expected 1e-5 or "
                "less."
            )
    times = {name: np.zeros(rounds) for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run.invoke()
            times[name][number] = 1000 * (time.perf_counter() - start)
    return times


def run(args: Args) -> None:
    """Prints the medians, and the median ratio of runs in one round."""
    data = BodyData.load(args.body)
    contents = converted(data, joints.COCOPLUS19)
    if args.files is not None:
        args.files.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (args.files / f"body_{name}.tflite").write_bytes(content)
    times = measure(contents, args.rounds)
    for name, values in times.items():
        print(
            f"{name:>9}: {np.median(values):.3f} ms, least "
            f"{values.min():.3f} ms, {len(contents[name]) / 1e6:.1f} MB"
        )
    ratio = np.median(times["textbook"] / times["ours"])
    print(f"ours is {ratio:.2f} times as fast (median of {args.rounds} pairs)")
