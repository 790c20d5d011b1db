"""Writes a small MPI-INF-3DHP: films with mat files, and test pictures."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

from tests.support.datasets import people
from training.data.prepare import mpi_inf_3dhp
from training.data.readers import mpi_inf_3dhp as mpi_inf_3dhp_films

UNIVERSAL = 1.07  # the universal skeleton over the person's own
MARGIN_PX = 25  # from joints nobody asks for, which are outside


def write_train(
    root: Path, scenes, subject=1, sequence=1, camera=0, pictures="film"
) -> Path:
    """Writes a sequence of which one camera sees the scenes, one a frame.

    Args:
        root: folder of the dataset.
        scenes: of people.scene, one person each, all of one size.
        subject: number of it.
        sequence: 1 or 2.
        camera: which one; the others see nobody.
        pictures: "film" or "extracted".

    Returns:
        Folder of the sequence.
    """
    folder = root / f"S{subject}" / f"Seq{sequence}"
    folder.mkdir(parents=True, exist_ok=True)
    count = len(scenes)
    cells = {}
    for name, axes in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3)):
        column = np.empty((14, 1), object)
        for number in range(14):
            elsewhere_points = np.full((count, 28 * axes), -900.0)
            column[number, 0] = elsewhere_points
        joint_points = np.stack([points(scene, axes) for scene in scenes])
        factor = UNIVERSAL if name == "univ_annot3" else 1
        column[camera, 0] = factor * joint_points.reshape(count, -1)
        cells[name] = column
    cells["frames"] = np.arange(count)[:, None]
    cells["cameras"] = np.arange(14)[:, None]
    scipy.io.savemat(folder / "annot.mat", cells, do_compression=True)
    write_calibration(folder / "camera.calibration", scenes[0], camera)
    if pictures == "film":
        people.write_video(folder / f"imageSequence/video_{camera}.avi", scenes)
        return folder
    for number, scene in enumerate(scenes, start=1):
        name = f"imageFrames/video_{camera}/frame_{number:06d}.jpg"
        people.write_image(folder / name, scene.image)
    return folder


def points(scene, axes: int, names=mpi_inf_3dhp_films.JOINTS) -> np.ndarray:
    """(joints, axes) pixels or mm; the joints nobody asks for lie outside."""
    (person,) = scene.people
    labels = person.keypoints if axes == 2 else person.joints3d
    factor = 1 if axes == 2 else 1000
    nowhere = np.full(axes, -MARGIN_PX)
    return np.array([factor * labels.get(name, nowhere) for name in names])


def write_calibration(path: Path, scene, camera: int) -> Path:
    """14 cameras; all but one are of another kind."""
    fx, fy, cx, cy = scene.intrinsics
    height, width = scene.image.shape[:2]
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number in range(14):
        matrix = np.eye(4)
        if number == camera:
            matrix[[0, 1, 0, 1], [0, 1, 2, 2]] = fx, fy, cx, cy
        lines += [
            f"name          {number}",
            "  sensor      10 10",
            f"  size        {width} {height}",
            "  animated    0",
            "  intrinsic   " + " ".join(f"{x:.9g}" for x in matrix.flat) + " ",
            "  extrinsic   " + " ".join(f"{x:g}" for x in np.eye(4).flat) + " ",
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_test(root: Path, number: int, scenes, valid, activity) -> Path:
    """Writes a test sequence; returns its file of annotations."""
    folder = root / "mpi_inf_3dhp_test_set" / f"TS{number}"
    folder.mkdir(parents=True, exist_ok=True)
    names = mpi_inf_3dhp.TEST_JOINTS
    path = folder / "annot_data.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, axes in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3)):
            joint_points = np.stack(
                [points(scene, axes, names) for scene in scenes]
            )
            factor = UNIVERSAL if name == "univ_annot3" else 1
            file[name] = factor * joint_points[:, None]
        file["valid_frame"] = np.array(valid, np.float64)[:, None]
        file["activity_annotation"] = np.array(activity, float)[:, None]
        file["bb_crop"] = np.zeros((len(scenes), 34))
    for frame, scene in enumerate(scenes, start=1):
        name = f"imageSequence/img_{frame:06d}.jpg"
        people.write_image(folder / name, scene.image)
    return path
