"""Another paper is a method's file and an experiment's file, nothing else.

The CLIFF-like method of docs/extend.md reads the crop's box, the image's size
and the camera's intrinsics beside the image. Its two files are put where any
paper's lie; then every command takes it.
"""

import json

import numpy as np
import pytest

import tf_hmr.methods
from edge import export
from edge import run as device
from tests.support import doc_code, photos, plain_body
from tests.support.closeness import assert_close
from tf_hmr import __main__ as cli
from tf_hmr import inference, method
from tf_hmr.formats import image_files
from training import evaluate, experiments, fit
from training.engine import run_log
from training.tasks import fit as fit_task

NAME = "cliff_like"
BOX = (90.0, 20.0, 60.0, 120.0)


@pytest.fixture(scope="module", autouse=True)
def _added(tmp_path_factory):
    """Both files lie where their packages look."""
    folder = tmp_path_factory.mktemp("added")
    packages = (tf_hmr.methods, experiments)
    with (
        doc_code.added("extend.md", packages, folder),
        pytest.MonkeyPatch.context() as patch,
    ):
        # A body as a plain graph: XLA would compile it for longer than all of
        # this takes.
        for module in (fit_task, method):
            patch.setattr(module, "Body", plain_body.make)
        yield


@pytest.fixture(scope="module")
def workdir(tiny_records, tmp_path_factory):
    """After training.fit; the last layers are then no longer all but zero."""
    folder = tmp_path_factory.mktemp("cliff")
    words = [NAME, f"--workdir={folder}", f"--records={tiny_records}"]
    words += ["--steps=4", "--data.batch-size=8", "--eval-every=2"]
    assert fit.main([*words, "--log-every=1", "--optim.lr=0.02"]) == 0
    return folder


@pytest.fixture(scope="module")
def model(workdir):
    return method.load(workdir, jit=False)


@pytest.fixture(scope="module")
def tflite(workdir, tmp_path_factory):
    """After edge.export, which holds it against Keras."""
    path = tmp_path_factory.mktemp("file") / f"{NAME}.tflite"
    assert export.main(export.Args(workdir, path, crops=3)) == 0
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "street.png"
    photos.write(path, photos.image(200, 150))
    return path


def test_it_is_found_by_its_place():
    assert NAME in method.names() and NAME in fit.names()


def test_it_trains(workdir, model):
    lines = run_log.read_metrics(workdir / run_log.METRICS_FILE)
    steps = [line["step"] for line in lines if line["kind"] == "train"]
    assert steps == [1, 2, 3, 4]
    assert method.name_of(model.config) == NAME


def test_it_is_evaluated(workdir, tiny_records, tmp_path):
    words = ["--weights", workdir, "--protocol", "synthetic_v1"]
    words += ["--records", tiny_records / "synthetic_v1", "--out", tmp_path]
    assert evaluate.main([str(word) for word in words]) == 0
    (results,) = tmp_path.glob("*.json")
    content = json.loads(results.read_text())
    assert content["method"] == NAME
    assert content["metrics"]["mpjpe_mm"] > 0


def test_it_recovers_people_of_a_photo(workdir, photo, tmp_path):
    args = cli.Args((photo,), workdir, tmp_path / "out", box=BOX)
    assert cli.main(args) == 0
    assert (tmp_path / "out" / "street_0.json").is_file()


def test_the_place_of_the_crop_counts(model, photo):
    """The same pixels at another place in a larger photo are another pose."""
    image = image_files.read_photo(photo)
    wide = np.pad(image, ((0, 0), (0, 400), (0, 0)), mode="edge")
    person = inference.recover(model, image, [BOX])[0]
    wide_person = inference.recover(model, wide, [BOX])[0]
    assert np.abs(person.pose - wide_person.pose).max() > 1e-4


def test_its_card_names_the_inputs(tflite):
    card = json.loads(tflite.with_suffix(".card.json").read_text())
    shapes = {name: row["shape"] for name, row in card["inputs"].items()}
    assert shapes == {
        "image": [1, 64, 64, 3],
        "box": [1, 4],
        "image_size": [1, 2],
        "intrinsics": [1, 4],
    }
    assert card["inputs"]["image"]["dtype"] == "uint8"
    assert "pixels of the upright photo" in card["inputs"]["box"]["meaning"]


def test_the_device_answers_as_keras_does(model, tflite, photo, tmp_path):
    flags = [str(tflite), str(photo), "--out", str(tmp_path)]
    flags += ["--box", *map(str, BOX), "--no-overlay", "--no-smooth"]
    assert device.main(flags) == 0
    (text,) = (tmp_path / "street.jsonl").read_text().splitlines()
    line = json.loads(text)
    assert line["state"] == "start", line
    (person,) = inference.recover(model, photo, [BOX])
    assert_close("tflite_metres", line["joints_m"], person.joints)
    assert_close("tflite_metres", line["betas"], person.betas)
    assert_close("same_camera", line["translation_m"], person.translation)
