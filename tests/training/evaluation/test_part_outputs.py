"""training.evaluate --output: parts of one model, each scored alone."""

import json

import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr import method
from training import evaluate
from training.evaluation import evaluator, part_outputs, predictors, protocols

pytestmark = pytest.mark.usefixtures("fit_without_xla")


@pytest.fixture(scope="module")
def folder(body, tmp_path_factory):
    """A model folder of an untrained SMPLR."""
    model = method.create(
        "smplr",
        body,
        image_size=64,
        stacks=1,
        width=8,
        bins=4,
        levels=1,
        stem=(8, 8, 8),
        hidden=16,
    )
    path = tmp_path_factory.mktemp("smplr")
    method.save(model, path)
    return path


def command(folder, records, *words) -> int:
    return evaluate.main(
        [
            *("--weights", str(folder), "--records", str(records)),
            *("--protocol", "synthetic_smplr", *words),
        ]
    )


@pytest.fixture(scope="module")
def results(folder, tiny_records):
    names = ("cnn", "shape", "proc")
    assert command(folder, tiny_records, "--output", *names) == 0
    path = folder / "results"
    assert len(list(path.glob("*.json"))) == 3
    return {
        name: json.loads((path / f"synthetic_smplr-{name}.json").read_text())
        for name in names
    }


def test_each_part_has_a_result_of_its_own(results):
    for name, content in results.items():
        assert content["output"] == name and content["measured"] == 12
        assert content["protocol"] == "synthetic_smplr"
        metrics = content["metrics"]
        assert {"mpjpe_mm", "landmarks_mm", "bone_length_mm"} <= set(metrics)
        assert all(np.isfinite(value) for value in metrics.values())
        # Points have no surface, and that is no deviation.
        assert ("pve_mm" in metrics) == (name != "cnn")
        assert content["deviations"] == []
    mpjpe = {k: v["metrics"]["mpjpe_mm"] for k, v in results.items()}
    # True rotations leave the error of untrained shapes alone.
    assert mpjpe["shape"] < 100 < mpjpe["cnn"]


def test_a_moved_body_is_scored_about_two_pelvises(results):
    content = results["proc"]
    about_points = content["metrics"]
    about_pelvis = content["metrics_about_own_pelvis"]
    assert about_points["mpjpe_mm"] != about_pelvis["mpjpe_mm"]
    assert about_points["pve_mm"] != about_pelvis["pve_mm"]
    # What no origin changes is the same.
    for name in ("pa_mpjpe_mm",):
        assert about_pelvis[name] == pytest.approx(about_points[name], abs=1e-3)
    assert "metrics_about_own_pelvis" not in results["cnn"]


def test_about_its_own_pelvis_it_is_the_bodys_answer(
    folder, body_data, tiny_records
):
    """As the whole method is scored, which turns its body likewise."""
    from training import config
    from training.data.pipeline import batches

    model = predictors.Model.load(folder, body_data, _strategy())
    output = part_outputs.PartOutput(model, "proc")
    source = config.Source(str(tiny_records / "synthetic_v1"), split="test")
    dataset = batches.eval_dataset(source, 12, 64)
    protocol = protocols.get("synthetic_smplr")
    summaries = []
    for predictor, names in (
        (output, output.own_joint_names),
        (model, model.joint_names),
    ):
        context = evaluator.make_context(model.body, names)
        scores = evaluator.Scores(protocol, context)
        for batch, predicted in predictor.stream(dataset):
            scores.add(batch, predicted)
        summaries.append(scores.summary())
    for name, value in summaries[1].items():
        assert_close("float32_mm", summaries[0][name], value)


def _strategy():
    import tensorflow as tf

    return tf.distribute.get_strategy()


def test_an_output_that_a_method_has_not_is_one_line(
    folder, model_folder, tiny_records, capsys
):
    for path, expected in (
        (folder, "no such output. It has: ['cnn', 'denoised', 'shape'"),
        (model_folder, "'hmr'"),
    ):
        capsys.readouterr()
        assert command(path, tiny_records, "--output", "wings") == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("training.evaluate: --output wings")
        assert expected in line


def test_predictions_of_a_file_have_no_parts(tmp_path, tiny_records, capsys):
    words = ["--predictions", str(tmp_path / "p.npz"), "--output", "cnn"]
    assert evaluate.main(words) == 1
    assert "--predictions has none" in capsys.readouterr().err


def test_people_without_a_pose_are_refused_by_name(folder, body_data):
    model = predictors.Model.load(folder, body_data, _strategy())
    output = part_outputs.PartOutput(model, "shape")
    batch = {
        "has_pose": np.array([1.0, 0.0]),
        "example_id": np.array([b"one", b"two"]),
    }
    with pytest.raises(ValueError, match="labelled rotmats, which 'two'"):
        output.inputs(batch)
