"""The recipes: what the papers state, and what they come to in a batch."""

import dataclasses
import importlib
import json
import re
import shlex

import numpy as np
import pytest

from tests.support import record_samples, resolved_experiments
from training import config, fit
from training.data.pipeline import order
from training.recipes import hmr_recipe

# akanazawa/hmr's released checkpoint is model.ckpt-667589.
RELEASED_STEP = 667_589


def test_the_release_is_75_epochs_and_the_paper_55():
    release, paper = (
        fit.load_experiment("hmr"),
        fit.load_experiment("hmr_55_epochs"),
    )
    assert release.steps == pytest.approx(RELEASED_STEP, rel=1e-3)
    assert paper.steps == pytest.approx(release.steps * 55 / 75, abs=1)


def test_half_of_each_batch_has_3d_labels():
    data = fit.load_experiment("hmr").data
    layout = order.Layout([s.share for s in data.sources], data.batch_size)
    labelled = np.array([s.labels == "all" for s in data.sources])
    rows = np.bincount(layout.sources) / layout.cycle
    assert rows[labelled].sum() == pytest.approx(32, abs=0.1)
    # LSP's 1,000 images are less than a row of a batch, and still seen as
    # often as any other image without 3D labels.
    expected_rows = [hmr_recipe.WITHOUT_3D[s.records] for s in data.sources[2:]]
    expected_rows = 32 * np.array(expected_rows) / sum(expected_rows)
    np.testing.assert_allclose(rows[2:], expected_rows, rtol=1 / 8)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("hmr", "hmr"),
        ("hmr_unpaired", "hmr"),
        ("hkmr", "hmr"),
        ("spin", "spin"),
        ("hkmr_mf", "spin"),
        ("quick", ""),
    ],
)
def test_sources_name_the_rules_of_their_paper(name, rules):
    data = fit.load_experiment(name).data
    assert {source.rules for source in data.sources} == {rules}


def test_unpaired_sees_no_3d_label():
    for name in ("hmr_unpaired", "hmr_no_adversary"):
        data = fit.load_experiment(name).data
        assert {source.labels for source in data.sources} == {"2d"}
    assert fit.load_experiment("hmr_unpaired").data.prior
    no_adversary = fit.load_experiment("hmr_no_adversary")
    assert not no_adversary.method.adversary and not no_adversary.data.prior


@pytest.mark.parametrize("name", ["spin", "hkmr_mf"])
def test_spins_mix_and_steps_are_its_codes(name):
    """nkolot/SPIN: datasets/mixed_dataset.py, utils/train_options.py."""
    experiment = fit.load_experiment(name)
    shares = {s.records: s.share for s in experiment.data.sources}
    wild = [shares[records] for records in hmr_recipe.WITHOUT_3D]
    assert shares["h36m"] == 0.3 and shares["mpi-inf-3dhp"] == 0.1
    assert sum(wild) == pytest.approx(0.6)
    sizes = np.array(list(hmr_recipe.WITHOUT_3D.values()))
    np.testing.assert_allclose(wild, 0.6 * sizes / sizes.sum())
    # Fifty times Human3.6M, 64 pictures a step.
    assert experiment.steps == pytest.approx(243_896, abs=1)
    assert experiment.data.batch_size == 64
    assert experiment.optim == config.Optim(lr=5e-5, weight_decay=0.0)
    augment = experiment.data.augment
    assert augment.rotation_deg == 30 and augment.flip == 0.5
    assert augment.rotation_probability == 0.4 and augment.colour == 0.4


@pytest.mark.parametrize("small", ["", "_quick"])
def test_hkmr_mf_is_hkmr_with_what_spin_has(small):
    """Its losses, fits and crops; the last estimate alone, and no prior."""
    spin, combined = (
        fit.load_experiment(f"{name}{small}").method
        for name in ("spin", "hkmr_mf")
    )
    assert combined.prior == "none" and not combined.sum_outer
    assert not fit.load_experiment(f"hkmr_mf{small}").before
    assert combined.supervision == "spin"
    shared = ("crop_scale", "encoder", "fits", "fit_steps")
    weights = ("keypoints_2d", "joints_3d", "rotmats", "betas", "camera_scale")
    for field in (*shared, *weights, "joints_in_loss"):
        assert getattr(combined, field) == getattr(spin, field), field


def test_hkmrs_defaults_are_the_papers():
    """Tables 2 and 3: three outer steps, four passes; L1 of the joints."""
    experiment = fit.load_experiment("hkmr")
    method = experiment.method
    assert (method.outer_steps, method.inner_passes) == (3, 4)
    assert method.joint_hierarchy and not method.forward_only
    assert method.loss_3d == "absolute" and method.sum_outer
    assert method.prior == "vae" and experiment.before[0].part == "pose_vae"
    hmr = fit.load_experiment("hmr")
    assert experiment.data == hmr.data and experiment.steps == hmr.steps
    with_discriminator = fit.load_experiment("hkmr_discriminator")
    assert with_discriminator.method == dataclasses.replace(
        method, prior="discriminator"
    )
    assert not with_discriminator.before


@pytest.mark.parametrize("name", fit.names())
def test_commands_of_a_docstring_are_understood(name):
    module = importlib.import_module(f"training.experiments.{name}")
    text = module.__doc__.replace("\\\n", " ")
    commands = re.findall(r"python -m training\.fit (.+)", text)
    assert commands
    for command in commands:
        experiment, _ = fit.parse(shlex.split(command))
        assert type(experiment.method) is type(module.EXPERIMENT.method)


@pytest.mark.parametrize("name", fit.names())
def test_missing_records_name_dataset_path_and_command(name, tmp_path, capsys):
    words = [name, f"--workdir={tmp_path / 'run'}", f"--records={tmp_path}"]
    assert fit.main(words) == 1
    error = capsys.readouterr().err
    first = fit.load_experiment(name).data.sources[0].records
    assert f"training.prepare {first}" in error
    assert str(tmp_path / first) in error
    assert not (tmp_path / "run").exists()


def test_where_only_the_poses_are_missing_their_command_is_told(
    tmp_path, capsys
):
    data = fit.load_experiment("hmr").data
    for source in data.sources:
        record_samples.folder(tmp_path / source.records, 1)
    words = ["hmr", f"--workdir={tmp_path / 'run'}", f"--records={tmp_path}"]
    assert fit.main(words) == 1
    error = capsys.readouterr().err
    assert "training.prepare poses --root" in error
    assert f"--out {tmp_path / data.prior}" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quick", ["--method.fits", "none", "--method.regressor=hmr"]),
        ("quick", ["--method.fit_steps", "100", "--method.focal=0"]),
        ("quick", ["--method.fit-prior", "", "--method.camera-scale", "0.0"]),
        ("spin", ["--method.regressor", "spin", "--method.adversary=0"]),
        ("spin_quick", ["--method.loss-3d=absolute"]),
        ("spin_quick", ["--method.adversary_hidden", "256"]),
    ],
)
def test_flags_that_left_a_method_are_understood_at_their_default(name, words):
    changed, _ = fit.parse([name, *words, "--method.hidden=8"])
    plain = fit.load_experiment(name)
    method = dataclasses.replace(plain.method, hidden=8)
    assert changed == dataclasses.replace(plain, method=method)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        (
            "quick",
            ["--method.regressor", "spin"],
            r"regressor='spin'.*training\.fit spin",
        ),
        ("hmr", ["--method.fits=improved"], "fits='improved'.*fit spin"),
        ("quick", ["--method.fit-steps=50"], "fit_steps='50'.*hkmr_mf"),
        ("spin", ["--method.adversary", "1.0"], "adversary='1.0'.*fit hmr"),
        ("spin_quick", ["--method.supervision"], "supervision=''"),
    ],
)
def test_flags_that_left_a_method_are_refused_at_other_values(
    name, words, message, tmp_path, capsys
):
    assert fit.main([name, *words, f"--workdir={tmp_path / 'run'}"]) == 1
    _loading, line = capsys.readouterr().err.splitlines()
    assert line.startswith("training.fit: ") and re.search(message, line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", fit.names())
def test_resolved_values_are_the_stored_ones(name):
    """What a change of a recipe changes is read in the diff of these files."""
    stored = (resolved_experiments.FOLDER / f"{name}.json").read_text()
    assert resolved_experiments.text(name) == stored, (
        "if this is wanted: python -m tests.support.resolved_experiments"
    )


def test_an_experiment_is_printed_whole_and_not_trained(capsys, tmp_path):
    folder = tmp_path / "run"
    words = ["quick", "--print-config", f"--workdir={folder}", "--steps=7"]
    assert fit.main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = json.loads(resolved_experiments.text("quick"))
    assert printed == expected | {"steps": 7}
    assert not folder.exists()
