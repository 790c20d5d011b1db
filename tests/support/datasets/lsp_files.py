"""Writes small Leeds Sports Pose datasets: joints.mat and pictures."""

from pathlib import Path

import numpy as np
import scipy.io

from tests.support.datasets import people
from tf_hmr import joints
from tf_hmr.body import parts as body_parts

LSP_SIZE = 2000
CODES = ("left_arm", "right_arm", "head", "left_leg", "right_leg", "torso")


def write_lsp(root: Path, scenes, first: int = 1) -> Path:
    """LSP: (3, 14, 2000), flag 1 where hidden, images/im%04d.jpg.

    Only the pictures `first`, first + 1, ... are there.
    """
    labels = np.zeros((3, 14, LSP_SIZE))
    for number, scene in enumerate(scenes, start=first):
        labels[:2, :, number - 1] = points(scene).T
        labels[2, joints.LSP14.index("left_wrist"), number - 1] = 1
        name = f"im{number:04d}.jpg"
        people.write_image(root / "images" / name, scene.image)
    return write_joints(root, labels)


def write_lsp_ext(root: Path, scenes) -> Path:
    """LSP Extended: (14, 3, N), flag 1 where visible, images/im%05d.jpg."""
    labels = np.zeros((14, 3, len(scenes)))
    for number, scene in enumerate(scenes, start=1):
        labels[:, :2, number - 1] = points(scene)
        labels[:, 2, number - 1] = 1
        hidden = joints.LSP14.index("left_wrist")
        labels[hidden, :, number - 1] = -40, -30, 0
        name = f"im{number:05d}.jpg"
        people.write_image(root / "images" / name, scene.image)
    return write_joints(root, labels)


def write_hr_lspet(root: Path, scenes) -> Path:
    """HR-LSPET: (14, 3, N) and im%05d.png in one folder, with gaps."""
    labels = np.zeros((14, 3, len(scenes)))
    for number, scene in enumerate(scenes):
        labels[:, :2, number] = points(scene)
        name = f"im{2 * number + 1:05d}.png"
        people.write_image(root / name, scene.image)
    return write_joints(root, labels)


def write_joints(root: Path, labels: np.ndarray) -> Path:
    """joints.mat with any content."""
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "joints.mat", {"joints": labels})
    return root


def points(scene) -> np.ndarray:
    """(14, 2) of the first person."""
    return scene.people[0].points(joints.LSP14)


def write_parts(folder: Path, scenes, first: int, codes=CODES) -> Path:
    """UPi-S1h: silhouettes and parts; a strip of them is not judged."""
    for number, scene in enumerate(scenes, start=first):
        mask, six = drawn_parts(scene)
        coded = np.zeros(mask.shape, np.uint8)
        for code, name in enumerate(codes, start=1):
            coded[six == name] = code
        coded[::20] = 255
        stem = f"im{number:04d}"
        name = f"{stem}_part_segmentation.png"
        people.write_image(folder / name, np.dstack([coded] * 3))
        silhouette = np.dstack([mask.astype(np.uint8)] * 3)
        people.write_image(folder / f"{stem}_segmentation.png", silhouette)
    return folder


def drawn_parts(scene) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) bool, and (H, W) names of the six parts or ""."""
    (person,) = scene.people
    names = [""]
    for name in body_parts.PARTS["part14"]:
        side, _, limb = name.partition("_")
        arm = limb in ("upper_arm", "forearm", "hand")
        names.append(f"{side}_{'arm' if arm else 'leg'}" if limb else name)
    return person.mask, np.array(names)[person.parts]
