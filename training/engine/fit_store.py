"""Bodies fitted to the keypoints of examples, stored from step to step.

The keys are dataset and example id, the frame is that of the stored image: the
rotation and the flip of a crop are undone when a fit is written and redone
when it is read (nkolot/SPIN: train/fits_dict.py). A file of all fits belongs
to each checkpoint, so that a continued run has the fits of its step; every
worker holds the same.
"""

import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import method
from tf_hmr.formats import array_files, atomic, wording
from tf_hmr.geometry import rotations
from training.data.pipeline import augment
from training.data.records import parsing, schema
from training.engine import cluster

FOLDER = "fits"
# As records store pose and shape.
POSE, BETAS = 3 * schema.NUM_JOINTS, schema.NUM_BETAS
# Name of the dataset in the records of training.prepare spin-npz.
_SPIN_NPZ = "spin-npz"
_EXPECTED = f"keys (n,) int64 and fits (n, {POSE + BETAS}): pose and betas"


def path_of(workdir: Path, step: int) -> Path:
    """Path of the file that belongs to the checkpoint of a step."""
    return workdir / FOLDER / f"fits-{step}.npz"


class FitStore:
    """The fits of all examples; (82,) numbers each, pose and betas."""

    def __init__(self, start: Sequence[str] = ()):
        """Loads initial fits.

        Args:
            start: each a fits-*.npz of another run, or STEM=FILE.npy, SPIN's
                static fits (N, 82) of the people in STEM.npz.

        Raises:
            FileNotFoundError, ValueError: a file is missing, or holds no fits.
        """
        self._lock = threading.Lock()
        self._clear()
        for source in start:
            self.update(*_initial(source))

    def _clear(self) -> None:
        self._rows: dict[int, int] = {}
        self._fits = np.zeros((0, POSE + BETAS), np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fits (B, 82), and 1 (B,) where there is one, else 0."""
        with self._lock:
            rows = [self._rows.get(key, -1) for key in keys.tolist()]
            has_fit = np.array(rows, np.int64) >= 0
            fits = np.zeros((len(keys), POSE + BETAS), np.float32)
            fits[has_fit] = self._fits[np.array(rows, np.int64)[has_fit]]
        return fits, has_fit.astype(np.float32)

    def update(self, keys: np.ndarray, fits: np.ndarray) -> None:
        """Stores fits (n, 82); the last one of an example with several."""
        with self._lock:
            for key in keys.tolist():
                self._rows.setdefault(key, len(self._rows))
            if len(self._rows) > len(self._fits):
                # Twice as large, so that not every step copies all of them.
                larger = np.zeros(
                    (2 * len(self._rows), POSE + BETAS), np.float32
                )
                larger[: len(self._fits)] = self._fits
                self._fits = larger
            for key, fit in zip(keys.tolist(), fits, strict=True):
                self._fits[self._rows[key]] = fit

    def save(self, workdir: Path, step: int) -> None:
        """Writes the file of a step, whole or not at all."""
        path = path_of(workdir, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        keys, fits = self._arrays()
        with atomic.replacing(path) as part:
            np.savez(part, keys=keys, fits=fits)

    def digest(self) -> int:
        """Hashes all keys and fits to 20 bits, which cluster.agree can compare.

        Different fits have equal digests with a chance of 1e-6.
        """
        keys, fits = self._arrays()
        return zlib.crc32(fits, zlib.crc32(keys)) % 2**20

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        keys = np.fromiter(self._rows, np.int64, len(self._rows))
        return keys, self._fits[: len(keys)]

    def load(self, workdir: Path, step: int) -> None:
        """Replaces all fits by those of a step.

        Raises:
            ValueError: the file is missing or damaged.
        """
        path = path_of(workdir, step)
        if not path.is_file():
            raise ValueError(f"{path} is missing")
        keys, fits = _read(path)
        self._clear()
        self.update(keys, fits)

    def read(self, batch: dict[str, tf.Tensor]) -> method.Fits:
        """Reads, inside the step, fits of a batch as its crops show them."""
        keys = batch["example_key"]
        rows, has_fit = tf.numpy_function(
            self.look_up, [keys], (tf.float32, tf.float32)
        )
        rows = tf.ensure_shape(rows, [*keys.shape, POSE + BETAS])
        rotvecs = tf.reshape(rows[:, :POSE], (-1, schema.NUM_JOINTS, 3))
        rotmats = augment.rotmats(
            _augmentation(batch), rotations.rotvec_to_rotmat(rotvecs)
        )
        has_fit = tf.ensure_shape(has_fit, keys.shape)
        return method.Fits(rotmats, rows[:, POSE:], has_fit)

    def write(self, keys, fits, better) -> tf.Tensor:
        """Stores, inside the step, `fits` (G, 82) where `better` (G,) is 1.

        Returns:
            A scalar that exists once the fits are stored.
        """

        def store(keys, fits, better):
            self.update(keys[better > 0], fits[better > 0])
            return np.int32(0)

        written = tf.numpy_function(store, [keys, fits, better], tf.int32)
        return tf.ensure_shape(written, ())


def check_same(digests: Sequence[int], start: Sequence[str]) -> None:
    """Checks that all workers begin with the same fits; each has a copy.

    Args:
        digests: of each worker's store.
        start: the files of data.fits.

    Raises:
        ClusterError: they differ.
    """
    if len(set(digests)) > 1:
        raise cluster.ClusterError(
            "The workers begin with different fits. Those of a checkpoint are "
            f"in {FOLDER} of --workdir, which must be one folder that all of "
            f"them read; the first ones are data.fits, {list(start)}, which "
            "each reads on its own machine: copy the same files to all."
        )


def keep_only(workdir: Path, steps: Sequence[int]) -> None:
    """Removes the files of steps without a checkpoint."""
    in_use = {path_of(workdir, step) for step in steps}
    for path in (workdir / FOLDER).glob("fits-*.npz"):
        if path not in in_use:
            path.unlink()


def rows(batch: dict[str, tf.Tensor], fits: method.Fits) -> tf.Tensor:
    """Turns fits as crops show them to (B, 82) as stored images do."""
    rotmats = augment.undo_rotmats(_augmentation(batch), fits.rotmats)
    pose = tf.reshape(rotations.rotmat_to_rotvec(rotmats), (-1, POSE))
    return tf.concat([pose, fits.betas], axis=1)


def gather(
    batch: dict[str, tf.Tensor], new_fits: method.Fits, targets: dict
) -> tuple[tuple[tf.Tensor, ...], dict[str, tf.Tensor]]:
    """Gathers, inside a replica, the new fits of all replicas.

    Args:
        batch: of this replica.
        new_fits: of its examples.
        targets: of its method, whose `fits_*` entries (B,) are logged.

    Returns:
        The arguments of `write`, in the order of the batch; and means over
        all replicas' batches by name: of the `fits_*` entries, and
        `fits_better`, the share of examples whose fit is replaced.
    """
    logged = {k: targets[k] for k in targets if k.startswith("fits_")}
    logged["fits_better"] = new_fits.kept
    columns = tf.concat(
        [rows(batch, new_fits), tf.stack(list(logged.values()), axis=1)],
        axis=1,
    )
    keys = batch["example_key"]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        # Tensors of a worker's pipeline are on no device; a gather needs one.
        keys = tf.identity(keys)
        keys, columns = context.all_gather([keys, columns], axis=0)
    fits, values = tf.split(columns, [POSE + BETAS, len(logged)], axis=1)
    means = tf.unstack(tf.reduce_mean(values, axis=0))
    better = values[:, list(logged).index("fits_better")]
    return (keys, fits, better), dict(zip(logged, means, strict=True))


def _augmentation(batch: dict[str, tf.Tensor]) -> augment.Augmentation:
    """The rotation and the flip that the crops of a batch have."""
    identity = augment.identity(tf.shape(batch["flip"])[0])
    return identity._replace(
        flip=batch["flip"], rotation_rad=batch["rotation_rad"]
    )


def _initial(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Keys (n,) and fits (n, 82) of an entry of data.fits."""
    stem, equals, file = source.partition("=")
    if not equals:
        return _read(Path(source))
    path = Path(file)
    expected = f"SPIN's static fits of {stem}.npz, (N, {POSE + BETAS})"
    cure = "Fetch it again (nkolot/SPIN: fetch_data.sh)."
    fits = array_files.read_npy(path, expected, cure)
    _check(path, fits, expected)
    ids = [f"{stem}-{row:06d}" for row in range(len(fits))]
    keys = parsing.example_key(tf.fill([len(ids)], _SPIN_NPZ), tf.constant(ids))
    return keys.numpy(), fits.astype(np.float32)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    cure = "Give a fits-*.npz of a run, or STEM=FILE.npy of SPIN."
    stored = array_files.read_npz(path, _EXPECTED, cure)
    if not {"keys", "fits"} <= set(stored):
        raise ValueError(
            f"{path} holds {wording.few(sorted(stored))}, expected "
            f"{_EXPECTED}. {cure}"
        )
    keys, fits = stored["keys"], stored["fits"]
    _check(path, fits, _EXPECTED)
    if keys.shape != (len(fits),) or keys.dtype != np.int64:
        raise ValueError(
            f"{path}: keys are {keys.dtype} of the shape {keys.shape}, "
            f"expected {_EXPECTED}. {cure}"
        )
    return keys, fits.astype(np.float32)


def _check(path: Path, fits: np.ndarray, expected: str) -> None:
    right_shape = fits.ndim == 2 and fits.shape[1] == POSE + BETAS
    floats = np.issubdtype(fits.dtype, np.floating)
    if not (right_shape and floats and np.isfinite(fits).all()):
        raise ValueError(
            f"{path}: fits are {fits.dtype} of the shape {fits.shape}, "
            f"expected {expected}, all finite."
        )
