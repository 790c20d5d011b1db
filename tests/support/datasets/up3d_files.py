"""Writes a small UP-3D: lists, photos, joints, fits, renderings."""

import pickle
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.support.datasets import people
from tf_hmr import joints

# Height, width of the fitted picture; y0, y1, x0, x1 of it in the photo.
FITTED = (60, 80, 12, 132, 30, 190)
HIDDEN = "left_wrist"


def write(root: Path, scenes, camera_turned: bool = False) -> Path:
    """All people in train.txt and trainval.txt, the first one in val.txt."""
    names = [f"{number:05d}" for number in range(len(scenes))]
    for name, scene in zip(names, scenes, strict=True):
        people.write_image(root / f"{name}_image.png", scene.image)
        write_labels(root / name, scene, camera_turned)
    for split, listed in (
        ("train", names),
        ("trainval", names),
        ("val", names[:1]),
    ):
        lines = "".join(f"/{name}_image.png\n" for name in listed)
        (root / f"{split}.txt").write_text(lines)
    return root


def write_labels(start: Path, scene, camera_turned: bool) -> None:
    """The joints with flags, the body as of Python 2, crop and rendering."""
    (person,) = scene.people
    points = np.vstack([person.points(joints.LSP14).T, np.ones(14)])
    points[2, joints.LSP14.index(HIDDEN)] = 0
    np.save(f"{start}_joints.npy", points)
    # The same person seen by a camera that is turned.
    turn = np.array([0.3, -0.2, 0.1]) * camera_turned
    first = Rotation.from_rotvec(turn).inv() * Rotation.from_rotvec(
        person.pose[0]
    )
    pose = np.vstack([first.as_rotvec(), person.pose[1:]])
    height, _, top, bottom, *_ = FITTED
    body = {
        "pose": pose.ravel(),
        "betas": person.betas.astype(np.float64),
        "trans": np.zeros(3),
        "rt": turn,
        "t": person.translation.astype(np.float64),
        "f": float(scene.view.focal_px * height / (bottom - top)),
        "j2d": points[:2].T,
    }
    with open(f"{start}_body.pkl", "wb") as file:
        pickle.dump(body, file, protocol=2)
    text = " ".join(map(str, FITTED))
    Path(f"{start}_fit_crop_info.txt").write_text(text)
    white = np.where(person.mask[..., None], scene.image // 2, 255)
    render = Path(f"{start}_render_light.png")
    people.write_image(render, white.astype(np.uint8))
