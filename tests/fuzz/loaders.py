"""Files that are no datasets: bodies, boxes, records, weights."""

import json
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse

from tests.fuzz import photo_chain
from tests.fuzz.formats import Format
from tests.support import (
    box_files,
    photos,
    record_samples,
    smpl_files,
    torch_writer,
)
from tf_hmr import boxes
from tf_hmr.body import files as body_files
from tf_hmr.body.data import BodyData
from tf_hmr.formats import (
    image_files,
    keras_files,
    listing,
    torch_files,
    unpickle,
)
from training.data.records import mocap, schema, shards


def _pickles(root: Path) -> None:
    matrix = scipy.sparse.csc_matrix(np.eye(4))
    content = {
        "poses": np.random.default_rng(1).normal(size=(6, 72)),
        "J_regressor": matrix,
        "names": ["a", "b"],
        "count": 3,
    }
    smpl_files.write_pickle(root / "body.pkl", content)
    data = smpl_files.python2_dict("poses", np.eye(5))
    (root / "python2.pkl").write_bytes(data)


def _read_pickles(root: Path, out: Path) -> tuple[int, int]:
    return len(
        [unpickle.load(path) for path in listing.files(root, "*.pkl")]
    ), 0


def _body(root: Path) -> None:
    (root / "body.npz").write_bytes(body_files.OPEN_BODY.read_bytes())


def _read_body(root: Path, out: Path) -> tuple[int, int]:
    BodyData.load(root / "body.npz")
    return 1, 0


def _boxes(root: Path) -> None:
    openpose = box_files.openpose(
        box_files.body25(10, 20, 80, 200), box_files.body25(90, 20, 70, 190)
    )
    box_files.save(root / "openpose.json", openpose)
    annotations = [
        {"image_id": 1, "bbox": [1, 2, 30, 40], "category_id": 1},
        {"image_id": 2, "bbox": [5, 2, 30, 40], "category_id": 1, "score": 0.8},
    ]
    coco = box_files.coco({1: "a.jpg", 2: "b.jpg"}, annotations)
    box_files.save(root / "coco.json", coco)
    (root / "list.json").write_text(json.dumps([[1, 2, 30, 40], [5, 6, 7, 8]]))


def _read_boxes(root: Path, out: Path) -> tuple[int, int]:
    return len([boxes.read(path) for path in listing.files(root, "*.json")]), 0


def _records(root: Path) -> None:
    record_samples.folder(root / "samples", 4, shard_size=2)


def _read_records(root: Path, out: Path) -> tuple[int, int]:
    stored = shards.Records(root / "samples", "train")
    good = bad = 0
    for number in range(len(stored)):
        try:
            schema.check(schema.decode(stored.read(number)))
            good += 1
        except shards.DamagedRecord:
            bad += 1
    mocap.read(root / "samples")
    return good, bad


def _weights(root: Path) -> None:
    with h5py.File(root / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv", b"norm"]
        for layer, names in (("conv", ["kernel"]), ("norm", ["beta", "gamma"])):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{n}:0".encode() for n in names]
            for name in names:
                group[f"{name}:0"] = np.arange(6.0).reshape(2, 3)


def _read_weights(root: Path, out: Path) -> tuple[int, int]:
    path = root / "weights.h5"
    return bool(keras_files.read_layers(path)), not keras_files.read_datasets(
        path
    )


def _torch(root: Path) -> None:
    arrays = {"a.weight": np.arange(6.0).reshape(2, 3), "a.bias": np.ones(2)}
    content = {"model": torch_writer.tensors(arrays), "epoch": 3}
    torch_writer.write_zip(root / "zip.pt", content)
    torch_writer.write_pickles(root / "pickles.pt", content)


def _read_torch(root: Path, out: Path) -> tuple[int, int]:
    contents = [torch_files.load(path) for path in listing.files(root, "*.pt")]
    for content in contents:
        model = content.get("model") if isinstance(content, dict) else None
        for value in model.values() if isinstance(model, dict) else ():
            if isinstance(value, torch_files.Tensor):
                value.numpy()
    return len(contents), 0


def _photos(root: Path) -> None:
    for end in ("png", "jpg", "tif", "webp", "bmp"):
        photos.write(root / f"photo.{end}", photos.image(60, 50))


def _read_photos(root: Path, out: Path) -> tuple[int, int]:
    paths = listing.files(root, "*")
    return len([image_files.read_photo(path) for path in paths]), 0


LOADERS = {
    "pickle": Format(_pickles, ("*.pkl",), _read_pickles),
    "body": Format(_body, ("*.npz",), _read_body),
    "boxes": Format(_boxes, ("*.json",), _read_boxes),
    "records": Format(
        _records,
        ("*/*.tfrecord", "*/*.npy", "*/report.json", "*/prior.npz"),
        _read_records,
    ),
    "weights": Format(_weights, ("*.h5",), _read_weights),
    "torch": Format(_torch, ("*.pt",), _read_torch),
    "photos": Format(_photos, ("*",), _read_photos),
    **photo_chain.LOADERS,
}
