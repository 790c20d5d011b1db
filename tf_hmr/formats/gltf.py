"""Writes animated people as one binary glTF (.glb) with mesh and skeleton.

glTF 2.0, sections 3.7 (skins), 3.11 (animations) and 4 (the binary file); it
is written by hand because trimesh writes no skins. glTF is y up, in metres,
and quaternions are x, y, z, w.

A skin is SMPL's linear blend skinning. It has no pose-dependent correctives:
those are not a linear function of a joint's angle, and glTF knows no other.
"""

import json
import pathlib
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from tf_hmr.formats import atomic

INFLUENCES = 4
"""Most joints that move a vertex; the smallest weights are dropped."""

COLOUR = (0.65, 0.74, 0.86)
"""RGB in 0..1 of the bodies."""

_FLOAT, _UINT32, _UINT8 = 5126, 5125, 5121  # glTF's numbers of the types.
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_TYPES = {"float32": _FLOAT, "uint32": _UINT32, "uint8": _UINT8}


class Actor(NamedTuple):
    """One person's body and motion, y up, metres.

    name; vertices (V, 3) and joints (J, 3) at rest; joint_names (J,), root
    first; parents (J,) index of each joint's parent, -1 for the root; weights
    (V, J); faces (F, 3); rotmats (T, J, 3, 3) relative to the parent;
    positions (T, 3) of the root; seconds (T,).
    """

    name: str
    vertices: np.ndarray
    joints: np.ndarray
    joint_names: Sequence[str]
    parents: Sequence[int]
    weights: np.ndarray
    faces: np.ndarray
    rotmats: np.ndarray
    positions: np.ndarray
    seconds: np.ndarray


class _File:
    """A glTF under construction: its json and its binary buffer."""

    def __init__(self):
        self.json = {"asset": {"version": "2.0", "generator": "tf_hmr.clip"}}
        self.buffer = bytearray()

    def add(self, kind: str, **fields) -> int:
        """Appends to a top-level list; returns the index."""
        entries = self.json.setdefault(kind, [])
        entries.append(fields)
        return len(entries) - 1

    def array(self, values: np.ndarray, dtype: str) -> int:
        """Stores (N, C) or (N,) values; returns the accessor's index."""
        values = np.ascontiguousarray(values, dtype)
        rows = values.reshape(len(values), -1)
        self.buffer.extend(b"\0" * (-len(self.buffer) % 4))
        view = self.add(
            "bufferViews",
            buffer=0,
            byteOffset=len(self.buffer),
            byteLength=rows.nbytes,
        )
        self.buffer.extend(rows.tobytes())
        return self.add(
            "accessors",
            bufferView=view,
            componentType=_TYPES[dtype],
            count=len(rows),
            type=_KINDS[rows.shape[1]],
            # The standard requires these for positions and times.
            min=rows.min(axis=0).tolist(),
            max=rows.max(axis=0).tolist(),
        )

    def bytes(self) -> bytes:
        """The .glb: a header, the json and the buffer, padded to 4 bytes."""
        self.buffer.extend(b"\0" * (-len(self.buffer) % 4))
        self.json["buffers"] = [{"byteLength": len(self.buffer)}]
        text = json.dumps(self.json, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self.buffer), b"BIN\0") + self.buffer
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def write(path: pathlib.Path, actors: list[Actor]) -> None:
    """Writes people in one scene with one animation."""
    file = _File()
    roots, channels, samplers = [], [], []
    for actor in actors:
        root, mesh = _body(file, actor)
        roots += [root, mesh]
        _motion(file, actor, root, channels, samplers)
    file.add("animations", name="clip", channels=channels, samplers=samplers)
    file.json["scene"] = file.add("scenes", nodes=roots)
    with atomic.replacing(path) as part:
        part.write_bytes(file.bytes())


def _body(file: _File, actor: Actor) -> tuple[int, int]:
    """Adds skeleton, skin and mesh; returns the nodes of root and mesh."""
    first = len(file.json.get("nodes", ()))
    for joint, name in enumerate(actor.joint_names):
        parent = actor.joints[actor.parents[joint]] if joint else 0.0
        offset = (actor.joints[joint] - parent).tolist()
        children = [
            first + child
            for child, parent in enumerate(actor.parents)
            if parent == joint
        ]
        extra = {"children": children} if children else {}
        file.add("nodes", name=name, translation=offset, **extra)
    binds = np.tile(np.eye(4), (len(actor.joints), 1, 1))
    binds[:, :3, 3] = -actor.joints
    skin = file.add(
        "skins",
        joints=list(range(first, first + len(actor.joints))),
        # Column by column.
        inverseBindMatrices=file.array(binds.transpose(0, 2, 1), "float32"),
    )
    influences = np.argsort(-actor.weights, axis=1)[:, :INFLUENCES]
    weights = np.take_along_axis(actor.weights, influences, axis=1)
    weights = weights / weights.sum(axis=1, keepdims=True)
    surface = trimesh.Trimesh(actor.vertices, actor.faces, process=False)
    attributes = {
        "POSITION": file.array(actor.vertices, "float32"),
        "NORMAL": file.array(surface.vertex_normals, "float32"),
        "JOINTS_0": file.array(np.where(weights > 0, influences, 0), "uint8"),
        "WEIGHTS_0": file.array(weights, "float32"),
    }
    indices = file.array(actor.faces.ravel(), "uint32")
    # glTF's default is a metal, which is black where nothing is reflected.
    material = file.add(
        "materials",
        pbrMetallicRoughness={
            "baseColorFactor": [*COLOUR, 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": 0.8,
        },
    )
    primitive = {
        "attributes": attributes,
        "indices": indices,
        "material": material,
    }
    mesh = file.add("meshes", name=actor.name, primitives=[primitive])
    return first, file.add("nodes", name=actor.name, mesh=mesh, skin=skin)


def _motion(file: _File, actor: Actor, first: int, channels, samplers) -> None:
    """Appends the channels and samplers that turn and move the skeleton."""
    times = file.array(actor.seconds, "float32")

    def animate(node: int, path: str, values: np.ndarray) -> None:
        target = {"node": node, "path": path}
        channels.append({"sampler": len(samplers), "target": target})
        samplers.append(
            {"input": times, "output": file.array(values, "float32")}
        )

    animate(first, "translation", actor.positions)
    for joint in range(len(actor.joints)):
        quats = Rotation.from_matrix(actor.rotmats[:, joint]).as_quat()
        # Players interpolate along the straight line: keep to one side.
        flips = np.sum(quats[1:] * quats[:-1], axis=1) < 0
        signs = np.append(1, np.cumprod(np.where(flips, -1, 1)))
        animate(first + joint, "rotation", quats * signs[:, None])
