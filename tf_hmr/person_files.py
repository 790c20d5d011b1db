"""Writes the files of one recovered person."""

import json
import pathlib

import numpy as np
import trimesh

from tf_hmr import inference, overlays, rendering
from tf_hmr.formats import atomic, image_writing
from tf_hmr.geometry import crop

FIGURE_HEIGHT = 512
"""Pixels; the figure's square panels and the side view are this high."""

CONVENTION = {
    "pixels": "the upright photo's; the centre of its first pixel is (0, 0)",
    "boxes": "x, y, w, h in pixel edges; the whole photo is 0, 0, W, H",
    "axes": "x right, y down, z forward, metres",
    "camera": "pixel = focal_px (X, Y) / Z + principal_point_px, where "
    "(X, Y, Z) = vertex + translation_m; joints_m and the npz's vertices are "
    "before the translation",
    "weak_camera": "crop position in [-1, 1] = s ((x, y) + (tx, ty)) within "
    "crop_box_px; keypoints_px are these, brought to the photo",
    "pose_rotvec": "rotation vectors relative to the parent, SMPL order, the "
    "first is global",
    "mesh_files": "glb and obj have y up and z backward: (x, -y, -z)",
}


def write(
    stem: pathlib.Path,
    image: np.ndarray,
    person: inference.Person,
    facts: dict,
    input_figure: np.ndarray | None = None,
) -> None:
    """Writes a person: figures (.png), meshes (.glb, .obj), .npz and .json.

    Args:
        stem: path and start of the names: STEM.png, STEM_overlay.png...
        image: (H, W, 3) uint8 RGB, the photo the person is in.
        person: the person.
        facts: further entries of the json (photo, weights, licence, ...).
        input_figure: shown beside the overlay; the photo when None.

    Raises:
        ValueError: the model's prediction cannot be drawn; nothing is
            written.
    """
    person.check()
    overlay = overlays.draw(image, [person])
    side = rendering.side_view(person.vertices, person.faces, FIGURE_HEIGHT)
    image_writing.write(_with_ending(stem, "_overlay.png"), overlay)
    image_writing.write(_with_ending(stem, "_side.png"), side)
    # Cropped as the model saw it, so that a small person is large enough.
    panels = [
        crop.crop_image(panel, person.crop_box, FIGURE_HEIGHT)
        for panel in (image if input_figure is None else input_figure, overlay)
    ]
    image_writing.write(_with_ending(stem, ".png"), np.hstack([*panels, side]))
    mesh = trimesh.Trimesh(
        person.vertices * np.float32([1, -1, -1]), person.faces, process=False
    )
    with atomic.replacing(_with_ending(stem, ".glb")) as part:
        mesh.export(part)
    with atomic.replacing(_with_ending(stem, ".obj")) as part:
        mesh.export(part, header=None)
    with atomic.replacing(_with_ending(stem, ".npz")) as part:
        np.savez_compressed(part, **_arrays(person))
    content = json.dumps(facts | parameters(person), indent=1, allow_nan=False)
    with atomic.replacing(_with_ending(stem, ".json")) as part:
        part.write_text(content + "\n", encoding="utf-8")


def parameters(person: inference.Person) -> dict:
    """Entries of the json: all numbers of a person but the mesh."""
    scale, tx, ty = person.camera.tolist()
    return {
        "image_size_px": list(person.image_size),
        "box_px": list(person.box),
        "crop_box_px": list(person.crop_box),
        "camera": {
            "focal_px": person.focal_px,
            "principal_point_px": list(person.principal_point),
            "translation_m": person.translation.tolist(),
        },
        "weak_camera": {"s": scale, "tx": tx, "ty": ty},
        "pose_rotvec": person.pose.tolist(),
        "betas": person.betas.tolist(),
        "joint_names": list(person.joint_names),
        "joints_m": person.joints.tolist(),
        "keypoints_px": person.keypoints_px.tolist(),
        "topology": person.topology,
        "convention": CONVENTION,
    }


def _arrays(person: inference.Person) -> dict[str, np.ndarray]:
    return {
        "vertices": person.vertices,
        "faces": person.faces,
        "joints": person.joints,
        "joint_names": np.array(person.joint_names),
        "keypoints_px": person.keypoints_px,
        "rotmats": person.rotmats,
        "pose": person.pose,
        "betas": person.betas,
        "weak_camera": person.camera,
        "translation": person.translation,
        "focal_px": np.float64(person.focal_px),
        "principal_point": np.array(person.principal_point),
        "image_size": np.array(person.image_size),
        "box": np.array(person.box),
        "crop_box": np.array(person.crop_box),
        "topology": np.array(person.topology),
    }


def _with_ending(stem: pathlib.Path, ending: str) -> pathlib.Path:
    # Not with_suffix: the stem of "photo.v2.jpg" holds a dot of its own.
    return stem.with_name(stem.name + ending)
