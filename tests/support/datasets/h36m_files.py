"""Writes a small Human3.6M: positions, films, rectangles and fitted bodies."""

import json
from pathlib import Path

import cdflib.cdfwrite
import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from tests.support import smpl_files
from tests.support.datasets import people
from training.data.readers import h36m_smpl

# Where the joints stand among the 32 of the files, by the files' own names
# (una-dinosauria/3d-pose-baseline: src/data_utils.py).
H36M32_INDICES = {
    **{"pelvis": (0, 11), "spine": (12,), "thorax": (13,), "neck": (24,)},
    **{"right_hip": (1,), "right_knee": (2,), "right_ankle": (3,)},
    **{"left_hip": (6,), "left_knee": (7,), "left_ankle": (8,)},
    **{"neck_nose": (14,), "head_top": (15,)},
    **{"left_shoulder": (17,), "left_elbow": (18,), "left_wrist": (19,)},
    **{"right_shoulder": (25,), "right_elbow": (26,), "right_wrist": (27,)},
}
MARGIN = 6  # pixels between a person and the rectangle


def write(
    root: Path,
    scenes,
    subject="S1",
    name="Directions 1",
    camera="54138969",
    frames_per_scene=5,
    pictures="film",
) -> str:
    """Writes a sequence whose every 5th frame shows the next scene.

    Args:
        root: folder of the dataset.
        scenes: of people.scene, one person each, all of one size.
        subject: as S1.
        name: of the sequence.
        camera: its id.
        frames_per_scene: how many frames show each scene.
        pictures: "film", "spin" or "mmhuman3d": how the frames are stored.

    Returns:
        The stem of the sequence's files.
    """
    film = f"{name}.{camera}"
    frame_scenes = [scene for scene in scenes for _ in range(frames_per_scene)]
    for kind, axes in (("D3_Positions_mono", 3), ("D2_Positions", 2)):
        path = root / subject / "MyPoseFeatures" / kind / f"{film}.cdf"
        write_cdf(
            path, np.stack([points(scene, axes) for scene in frame_scenes])
        )
    masks = root / subject / "MySegmentsMat/ground_truth_bb" / f"{film}.mat"
    write_masks(masks, [rectangle(scene) for scene in frame_scenes])
    if pictures == "film":
        people.write_video(
            root / subject / "Videos" / f"{film}.mp4", frame_scenes
        )
        return film
    stem = f"{subject}_{film.replace(' ', '_')}"
    folder = root / "images"
    if pictures == "mmhuman3d":
        folder = root / subject / "images" / stem
    for number in range(0, len(frame_scenes), frames_per_scene):
        path = folder / f"{stem}_{number + 1:06d}.jpg"
        people.write_image(path, frame_scenes[number].image)
    return film


def points(scene, axes: int) -> np.ndarray:
    """(32, axes) mm or pixels; joints that nobody asks for are far away."""
    positions = np.tile([9e3, -8e3, 5e4], (32, 1))
    if axes == 2:
        positions = scene.view.project(positions)
    (person,) = scene.people
    for name, indices in H36M32_INDICES.items():
        value = person.keypoints[name]
        if axes == 3:
            value = 1000 * person.joints3d[name]
        positions[list(indices)] = value
    return positions


def rectangle(scene) -> np.ndarray:
    """(H, W) uint8, 1 in the person's box with its margin."""
    x, y, w, h = scene.people[0].box.astype(int)
    mask = np.zeros(scene.image.shape[:2], np.uint8)
    low = max(y - MARGIN, 0), max(x - MARGIN, 0)
    mask[low[0] : y + h + MARGIN, low[1] : x + w + MARGIN] = 1
    return mask


def write_cdf(path: Path, values: np.ndarray, name="Pose") -> Path:
    """(frames, points, axes) as a variable (1, frames, numbers)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = values.reshape(1, len(values), -1).astype(np.float64)
    file = cdflib.cdfwrite.CDF(path, delete=True)
    variable = {"Variable": name, "Data_Type": 45, "Num_Elements": 1}
    variable |= {"Rec_Vary": True, "Dim_Sizes": list(flat.shape[1:])}
    file.write_var(variable, var_data=flat)
    file.close()
    return path


def write_masks(path: Path, masks) -> Path:
    """Cells (N, 1) of masks, as Matlab 7.3 stores them: axes reversed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        kind = h5py.special_dtype(ref=h5py.Reference)
        cells = file.create_dataset("Masks", (len(masks), 1), kind)
        for row, mask in enumerate(masks):
            dataset = file.create_dataset(f"#refs#/m{row}", data=mask.T)
            cells[row, 0] = dataset.ref
    return path


def write_mosh(folder: Path, scenes, subject, name, camera) -> Path:
    """MoSh's pickle: one pose per scene, turned upside down."""
    half = Rotation.from_rotvec([np.pi, 0, 0])
    poses = np.stack([scene.people[0].pose.ravel() for scene in scenes])
    poses = poses.astype(np.float64)
    global_rotations = Rotation.from_rotvec(poses[:, :3]) * half.inv()
    poses[:, :3] = global_rotations.as_rotvec()
    index = h36m_smpl.CAMERAS.index(camera)
    path = folder / subject / f"{name}_cam{index}_aligned.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"new_poses": poses, "betas": scenes[0].people[0].betas}
    return smpl_files.write_pickle(path, content)


def write_neural_annot(root: Path, folder: Path, scenes, camera) -> None:
    """NeuralAnnot's bodies of S1, Directions 1, in a world of its own."""
    world = Rotation.from_euler("xyz", [80, 20, -130], degrees=True)
    frames = {}
    for row, scene in enumerate(scenes):
        person = scene.people[0]
        pose = person.pose.astype(np.float64).copy()
        pose[0] = (world.inv() * Rotation.from_rotvec(pose[0])).as_rotvec()
        frames[str(5 * row)] = {
            "pose": pose.ravel().tolist(),
            "shape": person.betas.astype(float).tolist(),
            "trans": [0.1, 0.2, 0.3],
        }
    folder.mkdir(parents=True, exist_ok=True)
    head = folder / "Human36M_subject1"
    fits = {"2": {"1": frames}}
    Path(f"{head}_SMPL_NeuralAnnot.json").write_text(json.dumps(fits))
    number = str(h36m_smpl.CAMERAS.index(camera) + 1)
    # The other cameras look elsewhere.
    cameras = {str(n): {"R": np.eye(3).tolist()} for n in range(1, 5)}
    cameras[number]["R"] = world.as_matrix().tolist()
    Path(f"{head}_camera.json").write_text(json.dumps(cameras))
    rows = [
        ("", "", "S1", "S5", "S11"),
        ("2", "1", "Directions 1", "Directions 2", "Directions 1"),
        ("2", "2", "Directions", "Directions 1", "Directions"),
    ]
    table = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    text = f"<metadata><mapping>{table}</mapping></metadata>"
    (root / "metadata.xml").write_text(text)
