"""A small .npz as SPIN ships them."""

import numpy as np

from tests.support.datasets import people
from training.data.prepare import spin_npz as reader

ABSENT = ("neck_nose", "left_ear")


def arrays(scenes, h36m: bool = False) -> dict[str, np.ndarray]:
    """What SPIN stores of scenes; `h36m` has another top of the head."""
    columns = {name: [] for name in ("imgname", "center", "scale", "part", "S")}
    absent = {*ABSENT, "head_top" if h36m else "head_h36m"}
    for number, scene in enumerate(scenes):
        (person,) = scene.people
        x, y, w, h = person.box
        columns["imgname"].append(f"images/im{number:04d}.jpg")
        columns["center"].append([x + w / 2, y + h / 2])
        columns["scale"].append(1.2 * max(w, h) / 200)
        for name, points in (
            ("part", person.keypoints),
            ("S", person.joints3d),
        ):
            empty = np.zeros(2 if name == "part" else 3)
            rows = [
                [*empty, 0]
                if joint in absent
                else [*points[joint.replace("head_h36m", "head_top")], 1]
                for joint in reader.JOINTS24
            ]
            columns[name].append(rows)
    first = [scene.people[0] for scene in scenes]
    columns["pose"] = [person.pose.ravel() for person in first]
    columns["shape"] = [person.betas for person in first]
    columns["has_smpl"] = [1, 0, 1]
    columns["gender"] = [person.gender[0] for person in first]
    columns["openpose"] = np.zeros((len(scenes), 25, 3))
    return {name: np.array(rows) for name, rows in columns.items()}


def write(root, scenes, **changes):
    stored = {**arrays(scenes), **changes}
    path = root / "some_train.npz"
    np.savez(path, **{k: v for k, v in stored.items() if v is not None})
    for name, scene in zip(stored["imgname"], scenes, strict=True):
        people.write_image(root / name, scene.image)
    return path
