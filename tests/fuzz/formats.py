"""What is damaged: small sets of files, and the code that reads them."""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from tf_hmr.body.data import BodyData
from training.data.readers import writing


class Format(NamedTuple):
    """One kind of input.

    Attributes:
        write: makes a folder of good files.
        targets: patterns of the files to damage, each as likely.
        read: from the folder, and another for results, to how many things
            were good and how many were counted as skipped.
    """

    write: Callable[[Path], Any]
    targets: tuple[str, ...]
    read: Callable[[Path, Path], tuple[int, int]]


def reader(name: str, *patches: tuple[str, str, Any], **options: Any):
    """Runs a reader of training.prepare in this process.

    Its tasks are read as a worker process would; nothing is encoded.

    Args:
        name: of its module.
        patches: module below training.data, name, and value, so that a
            dataset may be small.
        options: of the reader; functions of the root for what is below it.
    """

    def read(root: Path, out: Path) -> tuple[int, int]:
        module = importlib.import_module(f"training.data.prepare.{name}")
        accepted = skipped = 0

        def take(name, options, tasks, read):
            nonlocal accepted, skipped
            for task in tasks:
                for person in map(writing.checked, read(task)):
                    good = not isinstance(person, writing.Skipped)
                    accepted, skipped = accepted + good, skipped + (not good)

        reader_options = {
            key: value(root) if callable(value) else value
            for key, value in options.items()
        }
        with contextlib.ExitStack() as stack:
            for module_name, attribute, value in (
                ("readers.writing", "write", take),
                ("readers.workers", "pool", _inline),
                *patches,
            ):
                owner = importlib.import_module(f"training.data.{module_name}")
                patch = mock.patch.object(owner, attribute, value)
                stack.enter_context(patch)
            module.run(module.Options(root=root, out=out, **reader_options))
        return accepted or (out / "prior.npz").exists(), skipped

    return read


@contextlib.contextmanager
def _inline(workers: int) -> Iterator:
    yield _Inline()


class _Inline(futures.Executor):
    """Runs tasks where they are submitted."""

    def submit(self, task, *arguments):
        future = futures.Future()
        future.set_result(task(*arguments))
        return future


@functools.cache
def scenes(count: int = 2, people_each: int = 1) -> tuple:
    """Small pictures: what is decoded takes most of the time."""
    from tests.support.datasets import people

    size = (120 * people_each, 120)
    return tuple(people.scene(60 + n, people_each, size) for n in range(count))


def _files(name: str):
    return importlib.import_module(f"tests.support.datasets.{name}_files")


def _coco(root: Path) -> None:
    _files("coco").write(root, scenes(3))


def _coco_like(root: Path) -> None:
    path = _files("coco").write(root, scenes(2))
    path.rename(root / "annotations.json")
    (root / "train2014").rename(root / "images")


def _openpose(root: Path) -> None:
    from tests.support.datasets import openpose_photos

    openpose_photos.write_openpose(root, scenes(2))


def _lsp(root: Path) -> None:
    with mock.patch.object(_files("lsp"), "LSP_SIZE", 6):
        _files("lsp").write_lsp(root, scenes())


def _h36m(root: Path, *fits: str) -> None:
    files = _files("h36m")
    files.write(root, scenes())
    camera = "54138969"
    if "mosh" in fits:
        name = "Directions 1"
        files.write_mosh(root / "mosh", scenes(), "S1", name, camera)
    if "neural_annot" in fits:
        files.write_neural_annot(root, root / "fits", scenes(), camera)


_S1 = ("prepare.h36m", "_SUBJECTS", {"train": ("S1",)})


def _hmr_tfrecords(root: Path) -> None:
    files = _files("hmr_tfrecords")
    scene = scenes(1)[0]
    rows = [
        files.features(scene.people[0], scene),
        files.features_3d(scene.people[0], scene),
    ]
    files.write(root / "train_000.tfrecord", rows)


def _mpi_inf_3dhp_test(root: Path) -> None:
    files = _files("mpi_inf_3dhp")
    for number in range(1, 7):
        frame_scenes = scenes(2 if number == 1 else 1)
        ones = [1] * len(frame_scenes)
        files.write_test(root, number, frame_scenes, ones, ones)


def _mpi_inf_3dhp(root: Path) -> None:
    for sequence in (1, 2):
        _files("mpi_inf_3dhp").write_train(
            root, scenes(), sequence=sequence, camera=7
        )


def _spin_npz(root: Path) -> None:
    from tests.support.datasets import spin_npz_files

    spin_npz_files.write(root, scenes(3))


def _surreal(root: Path) -> None:
    from tests.support.datasets import people, surreal_files

    frame_scenes = [people.scene(n, 1, surreal_files.SCENE) for n in (51, 52)]
    surreal_files.write(root, frame_scenes)


def _poses() -> tuple[np.ndarray, np.ndarray]:
    """Rotation vectors (4, 24, 3) and betas (10,)."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 0.3, (4, 24, 3)), rng.normal(size=10)


def _amass(root: Path) -> None:
    for name in ("first", "second"):
        _files("poses").write_amass(root / f"{name}_poses.npz", *_poses())


def _mosh(root: Path) -> None:
    for name in ("first", "second"):
        _files("poses").write_mosh(root / f"{name}.pkl", *_poses())


def _cmu(root: Path) -> None:
    data = BodyData.load("open")
    rest = data.J_regressor @ data.v_template
    _files("poses").write_asf(root / "01.asf")
    for number in (1, 2):
        path = root / f"01_{number:02d}.amc"
        _files("poses").write_amc(path, _poses()[0], rest)


_NO_SHEET = ("readers.pose_sheet", "write", lambda *_: None)
_LABELS_AND_PICTURES = ("*.mat", "**/*.jpg")
READERS = {
    "coco": Format(_coco, ("annotations/*.json", "*/*.jpg"), reader("coco")),
    "coco-like": Format(_coco_like, ("*.json", "*/*.jpg"), reader("coco_like")),
    "openpose": Format(_openpose, ("*/*.json", "*/*.jpg"), reader("coco_like")),
    "lsp": Format(_lsp, _LABELS_AND_PICTURES, reader("lsp")),
    "lsp-ext": Format(
        lambda root: _files("lsp").write_lsp_ext(root, scenes()),
        _LABELS_AND_PICTURES,
        reader("lsp_ext"),
    ),
    "hr-lspet": Format(
        lambda root: _files("lsp").write_hr_lspet(root, scenes()),
        ("*.mat", "*.png"),
        reader("hr_lspet"),
    ),
    "mpii": Format(
        lambda root: _files("mpii").write(root, scenes()),
        ("annotations/*.mat",),
        reader("mpii"),
    ),
    "mpii-json": Format(
        lambda root: _files("mpii").write_json(root, scenes()),
        ("annot/*.json",),
        reader("mpii", labels="json"),
    ),
    "h36m": Format(
        _h36m, ("**/*.cdf", "**/*.mat", "**/*.mp4"), reader("h36m", _S1)
    ),
    "h36m-mosh": Format(
        lambda root: _h36m(root, "mosh"),
        ("mosh/**/*.pkl",),
        reader("h36m", _S1, mosh=lambda root: root / "mosh"),
    ),
    "h36m-neural-annot": Format(
        lambda root: _h36m(root, "neural_annot"),
        ("fits/*.json", "metadata.xml"),
        reader("h36m", _S1, neural_annot=lambda root: root / "fits"),
    ),
    "3dpw": Format(
        lambda root: _files("pw3d").write(root, scenes(2, 2)),
        ("**/*.pkl",),
        reader("3dpw", split="test"),
    ),
    "mpi-inf-3dhp": Format(
        _mpi_inf_3dhp,
        ("S1/Seq1/*.mat", "S1/Seq1/*.calibration", "S1/Seq1/**/*.avi"),
        reader(
            "mpi_inf_3dhp",
            ("prepare.mpi_inf_3dhp", "_SUBJECTS", {("train", "hmr"): (1,)}),
            ("readers.mpi_inf_3dhp", "CAMERAS", (7,)),
        ),
    ),
    "mpi-inf-3dhp-test": Format(
        _mpi_inf_3dhp_test,
        ("*/TS1/*.mat",),
        reader("mpi_inf_3dhp", split="test"),
    ),
    "hmr-tfrecords": Format(
        _hmr_tfrecords, ("*.tfrecord",), reader("hmr_tfrecords")
    ),
    "amass": Format(
        _amass, ("*.npz",), reader("poses", _NO_SHEET, kind="amass")
    ),
    "mosh": Format(_mosh, ("*.pkl",), reader("poses", _NO_SHEET, kind="mosh")),
    "cmu": Format(
        _cmu, ("*.asf", "*.amc"), reader("poses", _NO_SHEET, kind="cmu")
    ),
    "spin-npz": Format(
        _spin_npz,
        ("*.npz",),
        reader("spin_npz", npz=lambda root: root / "some_train.npz"),
    ),
    "surreal": Format(_surreal, ("**/*.mat", "**/*.mp4"), reader("surreal")),
    "up3d": Format(
        lambda root: _files("up3d").write(root, scenes()),
        ("*.npy", "*.pkl", "*.txt", "*.png"),
        reader("up3d"),
    ),
}
