"""Runs and model folders of before SPIN was a method of its own.

tests/data/old_runs/README.md says how they were made.
"""

import dataclasses
import functools
import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tests.support.paths import DATA
from tf_hmr import method
from tf_hmr.smplify import in_the_loop
from training import fit
from training.engine import run_log, workdir

FOLDER = DATA / "old_runs"
METHODS = {"quick": "hmr", "spin_quick": "spin", "hkmr_quick": "hkmr"}
# What the runs changed of their experiments, beside the sizes of all.
CHANGED = {
    "quick": ["--method.hidden=8", "--method.adversary-hidden=8"],
    "spin_quick": ["--method.hidden=8", "--method.fit-steps=2"],
    "hkmr_quick": [
        *("--method.hidden=4", "--method.embedding=4"),
        *("--method.vae-hidden=8", "--method.vae-latent=2"),
        "--before.0.steps=2",
    ],
}
SMALL = [
    *("--method.image-size=32", "--method.encoder-width=4"),
    *("--method.encoder-depths", "1", "1", "--method.layout-channels=2"),
    *("--data.batch-size=4", "--steps=8", "--eval-every=4", "--save-every=4"),
    *("--log-every=1", "--precision=float32"),
]
# Their adversaries learned as fast as the encoder.
RATE = "--optim.lr-adversary=0.001"
SMALL.append(RATE)


@pytest.fixture(params=METHODS)
def name(request) -> str:
    return request.param


@pytest.fixture
def run(name, tmp_path):
    """The workdir of an old run."""
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as file:
        file.extractall(tmp_path)
    return tmp_path


def assert_predicts(model, key: str) -> None:
    """The model gives what the old code gave, by the key in the file."""
    images = np.random.default_rng(5).integers(0, 256, (2, 32, 32, 3))
    prediction = model({"image": images.astype(np.float32)})
    fields = method.Prediction._fields[:6]
    with np.load(FOLDER / "predictions.npz") as file:
        expected = {field: file[f"{key}/{field}"] for field in fields}
    for field, value in expected.items():
        ours = getattr(prediction, field)
        if field == "vertices":
            ours = ours[:, ::97]
        assert_close("body_metres", ours, value)


def test_its_model_folder_predicts_what_it_did(name, run):
    model = method.load(run, jit=False)
    assert method.name_of(model.config) == METHODS[name]
    assert_predicts(model, f"{name}/best")


@pytest.mark.parametrize("name", ["quick", "spin_quick"], indirect=True)
def test_its_checkpoint_is_restored(name, run, body):
    """By TensorFlow alone; the loop does it with optimisers and fits, below."""
    experiment, _ = fit.parse([name, *SMALL, *CHANGED[name]])
    model = method.build(experiment.method, body)
    saved = tf.train.Checkpoint(method=model)
    path = run / workdir.CHECKPOINTS / "ckpt-5"
    saved.restore(str(path)).assert_existing_objects_matched()
    assert_predicts(model, f"{name}/ckpt-5")


def test_its_configuration_is_todays(name, run):
    experiment, _ = fit.parse([name, *SMALL, *CHANGED[name]])
    written = (run / workdir.CONFIG_FILE).read_bytes()
    assert workdir.settled(run, experiment)["topology"] == "open-v1"
    other_experiment, _ = fit.parse([name, *SMALL])
    with pytest.raises(ValueError, match=r"method\.hidden: \d in the folder"):
        workdir.settled(run, other_experiment)
    assert (run / workdir.CONFIG_FILE).read_bytes() == written


def test_a_run_of_before_sources_had_rules_goes_on(tmp_path):
    experiment = fit.load_experiment("spin")
    sources = [dataclasses.asdict(source) for source in experiment.data.sources]
    choices = {"sources": sources, "topology": "smpl", "precision": "float32"}
    workdir.claim(tmp_path, experiment, choices)
    for name in (workdir.CONFIG_FILE, workdir.ENVIRONMENT_FILE):
        content = json.loads((tmp_path / name).read_text())
        stored = content.get("data", content)["sources"]
        assert [source.pop("rules") for source in stored] == ["spin"] * 6
        (tmp_path / name).write_text(json.dumps(content))
    settled = workdir.settled(tmp_path, experiment)
    workdir.check_same_data(tmp_path, settled, choices)
    shares = [dataclasses.replace(experiment.data.sources[0], share=0.5)]
    other_experiment = dataclasses.replace(
        experiment,
        data=dataclasses.replace(experiment.data, sources=tuple(shares)),
    )
    with pytest.raises(ValueError, match=r"data\.sources"):
        workdir.settled(tmp_path, other_experiment)


def test_its_slow_adversary_is_named(name, run):
    today = [option for option in SMALL if option != RATE]
    experiment, _ = fit.parse([name, *today, *CHANGED[name]])
    message = r"optim\.lr_adversary: 0\.001 in the folder, 0\.01 asked for\n"
    with pytest.raises(ValueError, match=message + "Continue with the same"):
        workdir.settled(run, experiment)


def test_a_field_that_left_with_another_value_is_named(tmp_path):
    with zipfile.ZipFile(FOLDER / "quick.zip") as file:
        file.extractall(tmp_path)
    path = tmp_path / workdir.CONFIG_FILE
    content = json.loads(path.read_text())
    content["method"]["fits"] = "improved"
    path.write_text(json.dumps(content))
    experiment, _ = fit.parse(["quick", *SMALL, *CHANGED["quick"]])
    message = r"experiment\.json.*no longer has fits='improved'.*fit spin"
    with pytest.raises(ValueError, match=message):
        workdir.settled(tmp_path, experiment)


@pytest.mark.slow  # A minute each.
@pytest.mark.parametrize("name", ["quick", "spin_quick"], indirect=True)
def test_it_goes_on_where_it_stopped(name, run, tiny_records, monkeypatch):
    """Weights, optimisers, fits and dropout: the losses are the old code's."""
    # XLA would take half a minute.
    plain = functools.partial(in_the_loop.smplify.Fitter, jit=False)
    monkeypatch.setattr(in_the_loop.smplify, "Fitter", plain)
    words = [name, *SMALL, *CHANGED[name]]
    folders = [f"--workdir={run}", f"--records={tiny_records}"]
    assert fit.main([*words, *folders]) == 0
    lines = [
        line
        for line in run_log.read_metrics(run / run_log.METRICS_FILE)
        if line["kind"] == "train"
    ]
    assert [line["step"] for line in lines] == list(range(1, 9))
    expected = run_log.read_metrics(FOLDER / f"{name}_continued.jsonl")
    for line, old in zip(lines[5:], expected, strict=True):
        names = sorted(old.keys() - {"kind"})
        assert_close(
            "same_run", [line[k] for k in names], [old[k] for k in names]
        )
