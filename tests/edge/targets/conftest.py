"""Models in all precisions, and what a target answers to crops of people."""

import pathlib

import pytest

from edge import export
from edge.conversion import (
    calibration,
    card,
    mixed_precision,
    quantize,
)
from edge.conversion import tflite as convert
from edge.conversion.precisions import PRECISIONS
from edge.targets import debian
from tests.support import device_runs
from tf_hmr import method

TRAINED = debian.ROOT / "runs" / "demo"


@pytest.fixture(scope="session")
def small(model, tflite, tmp_path_factory) -> device_runs.Exported:
    """The small network, by the plain recipes: its errors are small."""
    folder = tmp_path_factory.mktemp("precisions")
    content, model_card = tflite.read_bytes(), card.read(tflite)
    mesh = tflite.with_suffix(".mesh.npz").read_bytes()
    crops = calibration.for_calibration(model, None, 4, skip=0).inputs
    files = {"float32": tflite}
    for precision in PRECISIONS:
        recipe = quantize.Recipe(model, precision)
        ranges = quantize.ranges(content, recipe, crops)
        quantized = quantize.apply(content, recipe, ranges)
        files[precision] = path = folder / f"{precision}.tflite"
        path.write_bytes(quantized)
        path.with_suffix(".mesh.npz").write_bytes(mesh)
        card.write(
            path,
            model_card | {"precision": precision} | card.of_content(quantized),
        )
    return device_runs.exported(model, files, 3)


@pytest.fixture(scope="session")
def trained() -> device_runs.Exported:
    """The demo's network; its files are kept until it is trained again."""
    weights = TRAINED / "best" / "model.weights.h5"
    if not weights.is_file():
        pytest.skip(f"no {TRAINED.relative_to(debian.ROOT)}: make demo")
    folder = debian.BUILD / "demo"
    files = {name: folder / f"{name}.tflite" for name in device_runs.PRECISIONS}
    for precision, path in files.items():
        if not path.is_file() or path.stat().st_mtime < newest(weights):
            args = export.Args(TRAINED, path, precision)
            assert export.main(args) == 0
    return device_runs.exported(method.load(TRAINED, jit=False), files, 64)


def newest(weights: pathlib.Path) -> float:
    """When the network, or the code that exports it, was last written."""
    modules = (convert, export, mixed_precision, quantize)
    code = [pathlib.Path(module.__file__) for module in modules]
    return max(path.stat().st_mtime for path in (weights, *code))


@pytest.fixture(
    params=["small", pytest.param("trained", marks=pytest.mark.extra)]
)
def exported(request) -> device_runs.Exported:
    """The small network, and where it is asked for the trained one."""
    return request.getfixturevalue(request.param)


"""In `photo`, at no whole scale of a crop: so that it is resampled."""
