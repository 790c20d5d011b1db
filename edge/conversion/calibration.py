"""Crops for calibration, and other crops for the check against Keras.

Calibration measures the ranges of activations. Without a dataset the crops are
of rendered people: for the check the first ones of the frozen protocol
synthetic_v1, on which nothing is trained; for calibration people of another
seed and split.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edge import run
from tf_hmr import inference, joints, method
from tf_hmr.formats import image_files, listing
from tf_hmr.geometry import crop
from training import config
from training.data.pipeline import batches as pipeline
from training.data.records import records_folder, schema
from training.data.synthetic import people as synthetic

# Splits for the check, in order of preference.
_HELD_OUT_FIRST = ("test", "val", "train")


class Images(NamedTuple):
    """N people as a method reads them."""

    inputs: dict[str, np.ndarray]
    """The method's inputs by name, (N, ...): image uint8, others float32."""
    source: str
    """Their origin, in words."""
    joints3d: np.ndarray | None = None
    """(N, K, 4) of joints.KEYPOINTS, metres, and valid 0 or 1; or None."""

    @property
    def count(self) -> int:
        """The number of people, N."""
        return len(next(iter(self.inputs.values())))

    def first(self, count: int) -> "Images":
        """The first `count` people."""
        labels = None if self.joints3d is None else self.joints3d[:count]
        inputs = {name: rows[:count] for name, rows in self.inputs.items()}
        return self._replace(inputs=inputs, joints3d=labels)


def held_out(model: method.Method, source: Path | None, count: int) -> Images:
    """Loads `count` people to check a file against Keras.

    Args:
        model: the method whose input size and crop rule the crops follow.
        source: a records folder, a folder of photos of one person each, or
            None for rendered people.
        count: the number of people; fewer if the source has fewer.

    Raises:
        FileNotFoundError, ValueError: `source` holds neither.
    """
    if source is None:
        frozen = synthetic.frozen()
        return _rendered(model, frozen.examples(0, count), "rendered people")
    if _is_records(source):
        return _recorded(model, source, 0, count, for_checking=True)
    photos = _photos(source)
    return _photographed(model, photos[: -(-len(photos) // 2)][:count], source)


def for_calibration(
    model: method.Method, source: Path | None, count: int, skip: int
) -> Images:
    """Loads `count` people to measure ranges on, disjoint from `held_out`'s.

    A folder of photos gives its first half, by name, to `held_out` and its
    second half here; with a single photo both are the same.

    Args:
        model: as for held_out.
        source: as for held_out.
        count: as for held_out.
        skip: the `count` that held_out was called with.
    """
    if source is None:
        people = synthetic.People(seed=0, split="val")
        return _rendered(model, people.examples(0, count), "rendered people")
    if _is_records(source):
        return _recorded(model, source, skip, count, for_checking=False)
    photos = _photos(source)
    second_half = photos[-(-len(photos) // 2) :] or photos
    return _photographed(model, second_half[:count], source)


def _is_records(folder: Path) -> bool:
    return (folder / "report.json").is_file()


def _rendered(
    model: method.Method, examples: Iterable[schema.Example], source: str
) -> Images:
    people, labels = [], []
    for example in examples:
        encoded = np.frombuffer(example.image, np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
        box = crop.square_box(example.box, model.config.crop_scale)
        people.append(
            inference.crop_inputs(
                model,
                image,
                [box],
                example.intrinsics,
                [_true_landmarks(example)],
            )
        )
        labels.append(example.joints3d)
    return Images(_concatenated(people), source, np.stack(labels))


def _true_landmarks(example: schema.Example) -> np.ndarray:
    """(33, 7) landmarks that are true keypoints; the others are not known."""
    names = joints.BLAZEPOSE_OF_KEYPOINT
    rows = list(joints.select(list(names), of=joints.KEYPOINTS))
    hips = joints.select(("left_hip", "right_hip"), of=joints.KEYPOINTS)
    metres = example.joints3d[:, :3]
    metres = metres - metres[list(hips)].mean(axis=0)
    landmarks = np.zeros((len(joints.BLAZEPOSE33), 7), np.float32)
    index = list(joints.select(list(names.values()), of=joints.BLAZEPOSE33))
    landmarks[index, :2] = example.keypoints[rows, :2]
    landmarks[index, 2:5] = metres[rows]
    landmarks[index, 5:] = 1
    return landmarks


def _concatenated(people: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenates the inputs of several people; images become uint8."""
    inputs = {
        name: np.concatenate([crops[name] for crops in people])
        for name in people[0]
    }
    if "image" in inputs:
        inputs["image"] = inputs["image"].astype(np.uint8)
    return inputs


def _recorded(
    model: method.Method,
    folder: Path,
    skip: int,
    count: int,
    for_checking: bool,
) -> Images:
    """The first examples of a split, a held-out split if there is one."""
    splits = records_folder.read_report(folder)["splits"]
    order = [split for split in _HELD_OUT_FIRST if splits.get(split)]
    split = order[0] if for_checking else order[-1]
    start = 0 if for_checking or split != order[0] else skip
    dataset = pipeline.eval_dataset(
        config.Source(records=str(folder), split=split),
        16,
        model.image_size,
        model.config.crop_scale,
    )
    dataset = dataset.unbatch().batch(1).skip(start).take(count)
    batches = [
        {name: value.numpy() for name, value in batch.items()}
        for batch in dataset
    ]
    if not batches:
        raise ValueError(
            f"{folder} has {splits[split]} examples in {split}, expected more "
            f"than {start}: give more records, or fewer --crops."
        )
    labels = np.concatenate([batch["joints3d"] for batch in batches])
    inputs = _concatenated([model.inputs(batch) for batch in batches])
    return Images(inputs, f"{folder.name}/{split}", labels)


def _photos(folder: Path) -> list[Path]:
    photos = [
        path
        for path in listing.files(folder, "*")
        if path.suffix.lower() in run.PHOTOS
    ]
    if not photos:
        raise FileNotFoundError(
            f"{folder} holds neither records (report.json) nor photos "
            f"({', '.join(run.PHOTOS)}). Name a records folder of "
            "training.prepare, or a folder of photos of one person each."
        )
    return photos


def _photographed(
    model: method.Method, photos: list[Path], folder: Path
) -> Images:
    people = []
    for path in photos:
        image = image_files.read_photo(path)
        box = crop.square_box((0, 0, image.shape[1], image.shape[0]))
        people.append(inference.crop_inputs(model, image, [box]))
    return Images(_concatenated(people), f"photos of {folder.name}")
