"""The made-up method, which keeps fits of its examples."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.support import processes, toy_method
from tf_hmr import method as methods
from tf_hmr.geometry import rotations
from training.engine import cluster, fit_store

EXAMPLES = 7  # Fewer than a batch has rows: one is in both halves of it.


class Keeper(toy_method.Model):
    """Learns y plus what it has kept, and keeps what it has predicted."""

    keeps_fits = True

    def targets(self, batch, prediction, fits):
        rotation_columns = prediction.rotmats  # (B, 2)
        rotvecs = tf.tile(rotation_columns[:, None, :1], (1, 24, 3))
        rotmats = fits.rotmats @ rotations.rotvec_to_rotmat(0.1 * rotvecs)
        betas = 0.5 * fits.betas + tf.pad(rotation_columns, [[0, 0], [0, 8]])
        better = tf.cast(batch["x"][:, 0] > -0.5, tf.float32)
        fit_values = fits.betas[:, :2] + fits.rotmats[:, 3, :2, 0]
        return batch | {
            "y": batch["y"] + fit_values * fits.kept[:, None],
            "fits": methods.Fits(rotmats, betas, better),
            "fits_known": fits.kept,
        }


def make_dataset(spoil=None, pause_s=0.0, make=toy_method.make_dataset):
    plain = make(spoil, pause_s)

    def add(batch):
        name = batch["example_id"]
        hashes = tf.strings.to_hash_bucket_fast(name, 1000)
        return batch | {
            "example_key": hashes % EXAMPLES,
            "flip": tf.cast(hashes % 2, tf.float32),
            "rotation_rad": tf.cast(hashes, tf.float32) / 1000,
        }

    return lambda start, context: plain(start, context).map(add)


def train_here(folder: str, device_flag: str, length: str) -> None:
    """What each process of several workers runs."""
    toy_method.Model, toy_method.make_dataset = Keeper, make_dataset
    stores, store = [], fit_store.FitStore
    fit_store.FitStore = lambda *start: (
        stores.append(store(*start)) or stores[-1]
    )
    processes.train_here(folder, device_flag, length)
    worker_folder = f"{folder}-{cluster.read().index}"
    stores[0].save(Path(worker_folder), 0)


def kept(folder: Path, step: int = 12) -> dict[int, np.ndarray]:
    with np.load(fit_store.path_of(folder, step)) as file:
        return dict(zip(file["keys"].tolist(), file["fits"], strict=True))
