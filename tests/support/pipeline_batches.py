"""Batches of the training pipeline over a few sample records."""

import numpy as np

from tests.support import record_samples
from tf_hmr import joints
from training import config
from training.data.pipeline import batches as pipeline
from training.data.pipeline import warp
from training.data.records import mocap, records_folder

SIZE = 64


COUNT = 11


K = len(joints.KEYPOINTS)


def two_sources(folder, **changes) -> config.Data:
    """Half a batch with all labels, half with keypoints only."""
    sources = tuple(
        config.Source(str(folder), 0.5, labels, (k, 2))
        for k, labels in enumerate(("all", "2d"))
    )
    fields = {"sources": sources, "batch_size": 6, "prior": str(folder)}
    fields |= {"seed": 5, "prior_per_image": 2}
    fields["augment"] = config.Augment(rotation_deg=20.0, colour=0.2)
    return config.Data(**(fields | changes))


def batches(data, count, start=0, context=None, side=SIZE):
    """What the step makes of each batch, before it goes on."""
    dataset = pipeline.train_dataset(data.sources, data, side, context, start)
    return [
        {
            name: value.numpy()
            for name, value in warp.finish(batch, side).items()
        }
        for batch in dataset.take(count)
    ]


def assert_same(batch: dict, other_batch: dict) -> None:
    assert batch.keys() == other_batch.keys()
    for name in batch:
        assert batch[name].dtype == other_batch[name].dtype, name
        np.testing.assert_array_equal(batch[name], other_batch[name], name)


def damaged_copy(tmp_path, number, image):
    """The folder of `folder`, with another image in one record."""
    path = tmp_path / "samples"
    writer = records_folder.Writer(path, "train", 4)
    for n in range(COUNT):
        changes = {"image": image} if n == number else {}
        writer.write(record_samples.example(n, **changes))
    writer.finish()
    poses = mocap.Prior(np.zeros((3, 72)), np.zeros((3, 10)), "open-v1")
    mocap.write(path, poses)
    return path
