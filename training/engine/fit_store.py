"""Bodies fitted to the keypoints of examples, kept from step to step.

Kept by dataset and example id, in the frame of the picture as it is stored:
the rotation and the flip of a crop are undone when a fit is written and done
when it is read (nkolot/SPIN: train/fits_dict.py). A file of all of them
belongs to each checkpoint, so that a run that continues has the fits of its
step; every worker holds the same.
"""

import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_hmr import joints, method
from tf_hmr.formats import array_files
from tf_hmr.geometry import rotations
from training.data.pipeline import augment
from training.data.records import parsing
from training.engine import cluster

FOLDER = "fits"
POSE, BETAS = 3 * len(joints.SMPL24), 10
# Name of the dataset in the records of training.prepare spin-npz.
_SPIN_NPZ = "spin-npz"
_EXPECTED = f"keys (n,) int64 and fits (n, {POSE + BETAS}): pose and betas"


def path_of(workdir: Path, step: int) -> Path:
    """The file that belongs to the checkpoint of a step."""
    return workdir / FOLDER / f"fits-{step}.npz"


class FitStore:
    """The fits of all examples; (82,) numbers each, pose and betas."""

    def __init__(self, start: Sequence[str] = ()):
        """Begins with the fits of files.

        Args:
            start: each a fits-*.npz of another run, or STEM=FILE.npy, SPIN's
                static fits (N, 82) of the people in STEM.npz.

        Raises:
            FileNotFoundError, ValueError: a file is not there or no such.
        """
        self._lock = threading.Lock()
        self._clear()
        for word in start:
            self.update(*_started(word))

    def _clear(self) -> None:
        self._rows: dict[int, int] = {}
        self._fits = np.zeros((0, POSE + BETAS), np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fits (B, 82), and 1 (B,) where there is one, else 0."""
        with self._lock:
            rows = [self._rows.get(key, -1) for key in keys.tolist()]
            known = np.array(rows, np.int64) >= 0
            found = np.zeros((len(keys), POSE + BETAS), np.float32)
            found[known] = self._fits[np.array(rows, np.int64)[known]]
        return found, known.astype(np.float32)

    def update(self, keys: np.ndarray, fits: np.ndarray) -> None:
        """Keeps fits (n, 82); of an example's several ones the last."""
        with self._lock:
            for key in keys.tolist():
                self._rows.setdefault(key, len(self._rows))
            if len(self._rows) > len(self._fits):
                # Twice as many, so that not every step copies all of them.
                room = np.zeros((2 * len(self._rows), POSE + BETAS), np.float32)
                room[: len(self._fits)] = self._fits
                self._fits = room
            for key, fit in zip(keys.tolist(), fits, strict=True):
                self._fits[self._rows[key]] = fit

    def save(self, workdir: Path, step: int) -> None:
        """Writes the file of a step, whole or not at all."""
        path = path_of(workdir, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("part.npz")
        keys, fits = self._arrays()
        np.savez(part, keys=keys, fits=fits)
        os.replace(part, path)

    def digest(self) -> int:
        """20 bits of all keys and fits, as many as cluster.agree can compare.

        Other fits have the same ones with a chance of 1e-6.
        """
        keys, fits = self._arrays()
        return zlib.crc32(fits, zlib.crc32(keys)) % 2**20

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        keys = np.fromiter(self._rows, np.int64, len(self._rows))
        return keys, self._fits[: len(keys)]

    def load(self, workdir: Path, step: int) -> None:
        """Takes the fits of a step in the place of all there are.

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
        """In the step: the fits of a batch, turned and mirrored as it is."""
        keys = batch["example_key"]
        rows, kept = tf.numpy_function(
            self.look_up, [keys], (tf.float32, tf.float32)
        )
        rows = tf.ensure_shape(rows, [*keys.shape, POSE + BETAS])
        rotvecs = tf.reshape(rows[:, :POSE], (-1, len(joints.SMPL24), 3))
        rotmats = augment.rotmats(
            _drawn(batch), rotations.rotvec_to_rotmat(rotvecs)
        )
        kept = tf.ensure_shape(kept, keys.shape)
        return method.Fits(rotmats, rows[:, POSE:], kept)

    def write(self, keys, fits, better) -> tf.Tensor:
        """In the step: keeps `fits` (G, 82) where `better` (G,) is 1.

        Returns:
            () 0, to wait for.
        """

        def keep(keys, fits, better):
            chosen = better > 0
            self.update(keys[chosen], fits[chosen])
            return np.int32(0)

        done = tf.numpy_function(keep, [keys, fits, better], tf.int32)
        return tf.ensure_shape(done, ())


def refuse_apart(digests: Sequence[int], start: Sequence[str]) -> None:
    """Workers must begin with the same fits: each updates its own copy.

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
    """Removes the files of steps that have no checkpoint any more."""
    whole = {path_of(workdir, step) for step in steps}
    for path in (workdir / FOLDER).glob("fits-*.npz"):
        if path not in whole:
            path.unlink()


def rows(batch: dict[str, tf.Tensor], fits: method.Fits) -> tf.Tensor:
    """Fits as a crop shows them -> (B, 82) as the stored picture does."""
    rotmats = augment.undone_rotmats(_drawn(batch), fits.rotmats)
    pose = tf.reshape(rotations.rotmat_to_rotvec(rotmats), (-1, POSE))
    return tf.concat([pose, fits.betas], axis=1)


def gathered(
    batch: dict[str, tf.Tensor], found: method.Fits, targets: dict
) -> tuple[tuple[tf.Tensor, ...], dict[str, tf.Tensor]]:
    """In a replica: what all replicas found, in the order of the batch.

    Args:
        batch: of this replica.
        found: its new fits.
        targets: what its method made of it.

    Returns:
        The arguments of `write`; and the mean, over the whole batch, of what
        targets tells of fits, with `fits_better`, the share that is replaced.
    """
    told = {k: targets[k] for k in targets if k.startswith("fits_")}
    told["fits_better"] = found.kept
    columns = tf.concat(
        [rows(batch, found), tf.stack(list(told.values()), axis=1)], axis=1
    )
    keys = batch["example_key"]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        # What a worker's pipeline yields is on no device, which a gather
        # asks for.
        keys = tf.identity(keys)
        keys, columns = context.all_gather([keys, columns], axis=0)
    fits, told_columns = tf.split(columns, [POSE + BETAS, len(told)], axis=1)
    means = tf.unstack(tf.reduce_mean(told_columns, axis=0))
    better = told_columns[:, list(told).index("fits_better")]
    return (keys, fits, better), dict(zip(told, means, strict=True))


def _drawn(batch: dict[str, tf.Tensor]) -> augment.Augmentation:
    nothing = augment.nothing(tf.shape(batch["flip"])[0])
    return nothing._replace(
        flip=batch["flip"], rotation_rad=batch["rotation_rad"]
    )


def _started(word: str) -> tuple[np.ndarray, np.ndarray]:
    """Keys (n,) and fits (n, 82) of a word of data.fits."""
    stem, equals, file = word.partition("=")
    if not equals:
        return _read(Path(word))
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
    if set(stored) != {"keys", "fits"}:
        raise ValueError(
            f"{path} holds {sorted(stored)}, expected {_EXPECTED}. {cure}"
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
    whole = fits.ndim == 2 and fits.shape[1] == POSE + BETAS
    numbers = np.issubdtype(fits.dtype, np.floating)
    if not (whole and numbers and np.isfinite(fits).all()):
        raise ValueError(
            f"{path}: fits are {fits.dtype} of the shape {fits.shape}, "
            f"expected {expected}, all finite."
        )
