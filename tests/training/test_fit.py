"""The researcher's three commands on a few small people."""

import dataclasses
import gc
import json
import subprocess
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.support import tiny_run
from tests.support.closeness import assert_close
from tests.support.paths import ROOT
from tf_hmr import landmark_files
from tf_hmr import method as methods
from tf_hmr.body.model import Body
from training import config, evaluate, fit, visualization
from training.data.pipeline import statistics
from training.engine import run_log, workdir
from training.evaluation import evaluator
from training.evaluation import results as scores
from training.tasks import initial_weights, validation

pytestmark = pytest.mark.usefixtures("fit_without_xla")


@pytest.fixture(scope="module")
def run(fit_without_xla, tiny_records, tmp_path_factory):
    """A workdir after six steps."""
    folder = tmp_path_factory.mktemp("run")
    words = ["quick", f"--workdir={folder}", f"--records={tiny_records}"]
    assert fit.main([*words, "--steps=6", *tiny_run.TINY]) == 0
    return folder


def test_a_run_leaves_what_is_promised(run):
    lines = run_log.read_metrics(run / run_log.METRICS_FILE)
    train = [line["step"] for line in lines if line["kind"] == "train"]
    measured = [line["step"] for line in lines if line["kind"] == "evaluation"]
    assert train == [2, 4, 6] and measured == [4, 6]
    for name in ("best/config.json", "best/model.weights.h5"):
        assert (run / name).is_file()
    environment = json.loads((run / workdir.ENVIRONMENT_FILE).read_text())
    assert {"commit", "command", "tensorflow"} <= set(environment)
    assert list((run / "tensorboard").iterdir())


def test_the_same_command_has_nothing_left_to_do(run, tiny_records):
    before = (run / run_log.METRICS_FILE).read_text()
    words = ["quick", f"--workdir={run}", f"--records={tiny_records}"]
    assert fit.main([*words, "--steps=6", *tiny_run.TINY]) == 0
    assert (run / run_log.METRICS_FILE).read_text() == before


def test_another_configuration_is_refused(run, tiny_records, capsys):
    words = ["quick", f"--workdir={run}", f"--records={tiny_records}"]
    assert fit.main([*words, "--steps=6", *tiny_run.TINY, "--optim.lr=1"]) == 1
    error = capsys.readouterr().err
    assert "optim.lr" in error and "--workdir" in error


def test_evaluations_leave_no_descriptors_and_no_threads(
    tiny_records, monkeypatch
):
    """A long run measures its method hundreds of times."""
    monkeypatch.setattr(
        evaluator,
        "measure",
        lambda method, dataset, protocol: types.SimpleNamespace(
            summary=lambda: {"mpjpe_mm": float(sum(1 for _ in dataset))}
        ),
    )
    monkeypatch.setattr(
        evaluator, "predictions", lambda *_: iter([({"image": []}, None)])
    )
    monkeypatch.setattr(visualization, "sheet", lambda rows: None)
    source = config.Source(str(tiny_records / "synthetic"))
    evaluate = validation.evaluation(config.Data(sources=(source,)), None)
    method = types.SimpleNamespace(
        image_size=16, config=types.SimpleNamespace(crop_scale=1.2, crop_m=0.0)
    )

    def resources() -> tuple[int, int]:
        gc.collect()
        return tuple(
            len(list(Path(f"/proc/self/{name}").iterdir()))
            for name in ("fd", "task")
        )

    assert evaluate(method).score == 1.0
    evaluate(method)
    before = resources()
    # One thread or descriptor that an evaluation leaves is too many.
    for _ in range(8):
        evaluate(method)
    after = resources()
    assert after[0] <= before[0] and after[1] <= before[1] + 4


def test_missing_records_name_the_command(tmp_path, capsys):
    words = [f"--workdir={tmp_path / 'run'}", f"--records={tmp_path}"]
    assert fit.main(words) == 1
    error = capsys.readouterr().err
    assert "training.prepare synthetic" in error
    assert str(tmp_path / "synthetic") in error
    assert not (tmp_path / "run").exists()


def test_unknown_experiment_lists_what_there_is(capsys):
    assert fit.main(["quack"]) == 1
    assert "hmr" in capsys.readouterr().err


def test_evaluation_stands_beside_the_baselines(run, tiny_records, capsys):
    words = [f"--weights={run}", f"--records={tiny_records}"]
    assert evaluate.main([*words, "--batch-size=7"]) == 0
    output = capsys.readouterr().out
    path = run / "results" / "synthetic_v1.json"
    results = json.loads(path.read_text())
    assert results["measured"] == 12
    # The protocol has 1,000 people: these are some of them.
    assert results["complete"] is False
    incomplete_lines = [
        line for line in output.splitlines() if "NOT COMPLETE" in line
    ]
    assert len(incomplete_lines) == 1
    assert (
        "12 examples" in incomplete_lines[0] and "1000" in incomplete_lines[0]
    )
    complete_table = scores.table({**results, "complete": True})
    assert "NOT COMPLETE" not in complete_table
    assert "SYNTHETIC" in results["rule"]["split"]
    true_rotation = results["baselines"]["mean_pose_true_global_rotation"]
    mean = results["baselines"]["mean_pose"]
    assert true_rotation["mpjpe_mm"] < mean["mpjpe_mm"]
    # The global rotation is what PA takes away.
    assert true_rotation["pa_mpjpe_mm"] == pytest.approx(mean["pa_mpjpe_mm"])
    assert f"{results['metrics']['mpjpe_mm']:.1f}" in output
    assert cv2.imread(str(path.with_suffix(".png"))) is not None


def test_evaluation_without_a_model_is_one_line(tmp_path, capsys):
    assert evaluate.main([f"--weights={tmp_path}"]) == 1
    assert "training.fit" in capsys.readouterr().err


@pytest.mark.slow  # A minute; toy_method.py has the same of a made-up method.
@pytest.mark.parametrize(
    "two_device_command",
    [
        ["training.fit", "quick", "--devices=cpu:2"],
        ["training.launch", "--workers=2", "quick"],
    ],
    ids=["devices", "workers"],
)
def test_the_real_model_on_two_devices_is_on_one(
    two_device_command, tiny_records, tmp_path
):
    """Batch normalisation, pipeline, both players and the evaluation."""
    one = ["training.fit", "quick", "--devices=cpu:1"]
    started = {}
    for name, command in (("one", one), ("several", two_device_command)):
        words = [
            *(f"--workdir={tmp_path / name}", f"--records={tiny_records}"),
            *("--steps=4", "--precision=float32"),
            *tiny_run.TINY,
        ]
        started[name] = subprocess.Popen(
            [sys.executable, "-m", *command, *words],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
    lines = {}
    for name, process in started.items():
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
        path = tmp_path / name / run_log.METRICS_FILE
        lines[name] = run_log.read_metrics(path)
    assert len(lines["one"]) == len(lines["several"]) == 3
    for a, b in zip(*lines.values(), strict=True):
        names = sorted(a.keys() - {"kind", "images_per_s", "trained_s"})
        assert_close("same_run", [b[k] for k in names], [a[k] for k in names])


def test_a_mistyped_value_can_be_mended(tiny_records, tmp_path, capsys):
    """A start that failed leaves nothing that another value would change."""
    words = [f"--workdir={tmp_path}", f"--records={tiny_records}"]
    for size in (72, 104):
        sized = f"--method.image-size={size}"
        assert fit.main([*words, "--steps=1", sized]) == 1
        assert f"images of side {size}" in capsys.readouterr().err


def test_every_field_of_an_experiment_is_explained(capsys):
    """--help names each field with the docstring under it."""
    for name in fit.names():
        with pytest.raises(SystemExit) as stop:
            fit.parse([name, "--help"])
        assert stop.value.code == 0
        help_text = capsys.readouterr().out
        experiment = fit.load_experiment(name)
        for part in (
            experiment,
            experiment.data,
            experiment.optim,
            experiment.method,
        ):
            for field in dataclasses.fields(part):
                if field.name in ("stages", "before"):
                    continue  # Empty tuples of stages have no flags.
                assert field.name.replace("_", "-") in help_text, field.name


@pytest.fixture
def start_of(body_data):
    """Starts a stand-in of a method: (rotmats, betas), None for its own."""

    def start(data, **mean):
        means = []
        method = types.SimpleNamespace(
            body=types.SimpleNamespace(
                data=dataclasses.replace(body_data, **mean)
            ),
            initialize_from_mean=lambda *mean: means.append(mean),
        )
        initial_weights.start(method, data, "none")
        return means[0] if means else None

    return start


UPRIGHT = np.diag([1.0, -1.0, -1.0])


@pytest.mark.parametrize("labels", ["all", "2d"])
def test_the_bodys_own_mean_is_the_start_and_upright(
    labels, start_of, tiny_records
):
    """Also with labelled poses; 144 numbers, row by row."""
    turns = Rotation.random(24, random_state=3).as_matrix()
    betas = np.linspace(-1, 1, 10, dtype=np.float32)
    pose6d = turns[:, :, :2].reshape(144).astype("f4")
    source = config.Source(str(tiny_records / "synthetic"), labels=labels)
    data = config.Data((source,), prior="")
    rotmats, shape = start_of(data, mean_pose6d=pose6d, mean_betas=betas)
    assert_close("exact", rotmats[0], UPRIGHT)
    assert_close("rotation", rotmats[1:], turns[1:])
    assert_close("exact", shape, betas)


def test_the_labels_mean_pose_starts_upright(start_of, tiny_records):
    """Whatever the headings of the people come to on average."""
    source = config.Source(str(tiny_records / "synthetic"))
    rotmats, betas = start_of(config.Data((source,), prior=""))
    mean = statistics.mean_pose((source,))
    assert np.abs(mean[0][0] - UPRIGHT).max() > 0.1
    assert_close("exact", rotmats[0], UPRIGHT)
    assert_close("exact", rotmats[1:], mean[0][1:])
    assert_close("exact", betas, mean[1])


def test_without_any_mean_a_method_keeps_its_own_start(start_of, tiny_records):
    source = config.Source(str(tiny_records / "synthetic"), labels="2d")
    assert start_of(config.Data((source,), prior="")) is None


@pytest.mark.slow
def test_a_run_starts_with_a_models_weights(run, tiny_records, tmp_path):
    """And the labels' mean pose is measured beside it."""
    words = ["quick", f"--workdir={tmp_path}", f"--records={tiny_records}"]
    words += ["--steps=4", f"--start={run}", "--optim.lr=0"]
    words += ["--optim.lr-adversary=0", *tiny_run.TINY]
    assert fit.main(words) == 0
    before, after = (
        methods.load(folder, jit=False).variables for folder in (run, tmp_path)
    )
    for old, new in zip(before, after, strict=True):
        if "moving" in old.path:
            continue  # They follow the batches without a learning rate.
        assert_close("exact", new.numpy(), old.numpy())
    (line,) = [
        line
        for line in run_log.read_metrics(tmp_path / run_log.METRICS_FILE)
        if line["kind"] == "evaluation"
    ]
    assert line["mean_pose_pa_mpjpe_mm"] > 0
    noted = json.loads((tmp_path / workdir.ENVIRONMENT_FILE).read_text())
    assert noted["start"] == str(run)


def test_start_copies_every_variable(run, body_data):
    model = methods.load(run, jit=False)
    other_model = methods.build(
        model.config, Body(body_data, model.joint_names)
    )
    for variable in other_model.variables:
        variable.assign(variable + 1)
    initial_weights.copy(other_model, run, body_data)
    for old, new in zip(model.variables, other_model.variables, strict=True):
        assert_close("exact", new.numpy(), old.numpy())


def test_a_start_of_other_sizes_or_methods_is_refused(run, body_data):
    config_of_run = methods.load(run, jit=False).config
    wider = dataclasses.replace(config_of_run, hidden=48)
    wider_model = methods.build(wider, Body(body_data))
    with pytest.raises(ValueError, match="other sizes"):
        initial_weights.copy(wider_model, run, body_data)
    lifter = methods.load(landmark_files.LIFTER, jit=False)
    with pytest.raises(ValueError, match="the experiment trains 'lifter'"):
        initial_weights.copy(lifter, run, body_data)


def test_the_labels_mean_pose_is_measured_beside_a_model(model, tiny_records):
    source = config.Source(str(tiny_records / "synthetic"))
    data = config.Data((source,), prior="")
    faces = model.body.data.faces
    plain = validation.evaluation(data, faces)(model).values
    values = validation.evaluation(data, faces, with_mean=True)(model).values
    added = {n for n in values if n.startswith("mean_pose_")}
    assert set(values) - added == set(plain)
    # A pose of its own: neither the model's error, nor none.
    error_mm = values["mean_pose_pa_mpjpe_mm"]
    assert 10 < error_mm < 300 and error_mm != values["pa_mpjpe_mm"]
