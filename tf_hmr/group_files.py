"""Writes the files of all people of one photo.

STEM_people.png shows them over the photo, STEM.glb holds them in the photo's
camera, and STEM.html is a page that turns them, without a network.
"""

import base64
import importlib.resources
import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import trimesh

from tf_hmr import inference, overlays
from tf_hmr.formats import atomic, image_writing

PAGE_PX = 1600
"""Longer side of the photo within the page."""

_PAGE_QUALITY = 85
_STEP_M = 1e-4  # Vertices of the page are whole steps; 16 bits reach 3.2 m.
_MOST_STEPS = np.iinfo(np.int16).max


def write(
    stem: pathlib.Path, image: np.ndarray, people: Sequence[inference.Person]
) -> None:
    """Writes STEM_people.png, STEM.glb and STEM.html.

    Args:
        stem: path and start of the names.
        image: (H, W, 3) uint8 RGB, the photo.
        people: in one camera, all of one body; at least one.

    Raises:
        ValueError: a person cannot be drawn; nothing is written.
    """
    for person in people:
        person.check()
    image_writing.write(
        stem.with_name(f"{stem.name}_people.png"), overlays.draw(image, people)
    )
    with atomic.replacing(stem.with_name(f"{stem.name}.glb")) as part:
        scene(people).export(part)
    with atomic.replacing(stem.with_name(f"{stem.name}.html")) as part:
        part.write_text(page(image, people), encoding="utf-8")


def scene(people: Sequence[inference.Person]) -> trimesh.Scene:
    """The people in the photo's camera, y up: it stands at the origin."""
    meshes = trimesh.Scene()
    for number, person in enumerate(people):
        mesh = trimesh.Trimesh(
            person.camera_vertices * np.float32([1, -1, -1]),
            person.faces,
            process=False,
        )
        rgba = [*overlays.colour(number), 1.0]
        mesh.visual = trimesh.visual.TextureVisuals(
            material=trimesh.visual.material.PBRMaterial(
                baseColorFactor=rgba, metallicFactor=0.0, roughnessFactor=0.8
            )
        )
        name = f"person_{number}"
        meshes.add_geometry(mesh, node_name=name, geom_name=name)
    return meshes


def page(image: np.ndarray, people: Sequence[inference.Person]) -> str:
    """The page's text, with photo and meshes in it."""
    height, width = image.shape[:2]
    factor = min(1.0, PAGE_PX / max(width, height))
    small = cv2.resize(
        image,
        (max(1, round(width * factor)), max(1, round(height * factor))),
        interpolation=cv2.INTER_AREA,
    )
    _, jpeg = cv2.imencode(
        ".jpg",
        cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
        (cv2.IMWRITE_JPEG_QUALITY, _PAGE_QUALITY),
    )
    content = {
        "width": width,
        "height": height,
        "focal_px": people[0].focal_px,
        "centre": list(people[0].principal_point),
        "photo": f"data:image/jpeg;base64,{_text(jpeg)}",
        "faces": _text(people[0].faces.astype("<u4")),
        "people": [
            _person(number, person) for number, person in enumerate(people)
        ],
    }
    # What a script element holds must not look like its end.
    text = json.dumps(content, allow_nan=False).replace("<", "\\u003c")
    template = importlib.resources.files("tf_hmr") / "assets/viewer/viewer.html"
    return template.read_text(encoding="utf-8").replace("SCENE", text, 1)


def _person(number: int, person: inference.Person) -> dict:
    # About the body's middle, where 16 bits are most exact.
    middle = person.vertices.mean(axis=0)
    steps = np.rint((person.vertices - middle) / _STEP_M)
    steps = np.clip(steps, -_MOST_STEPS, _MOST_STEPS).astype("<i2")
    return {
        "colour": overlays.colour(number),
        "translation": (middle + person.translation).tolist(),
        "step_m": _STEP_M,
        "vertices": _text(steps),
    }


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array)).decode("ascii")
