"""The recipes: what the papers state, and what they come to in a batch."""

import numpy as np
import pytest

from tests import record_samples
from training import fit
from training.data import order
from training.recipes import hmr_recipe

# akanazawa/hmr's released checkpoint is model.ckpt-667589.
RELEASED_STEP = 667_589


def test_the_release_is_75_epochs_and_the_paper_55():
    release, paper = fit.experiment("hmr"), fit.experiment("hmr_55_epochs")
    assert release.steps == pytest.approx(RELEASED_STEP, rel=1e-3)
    assert paper.steps == pytest.approx(release.steps * 55 / 75, abs=1)


def test_half_of_each_batch_has_3d_labels():
    data = fit.experiment("hmr").data
    layout = order.Layout([s.share for s in data.sources], data.batch_size)
    labelled = np.array([s.labels == "all" for s in data.sources])
    rows = np.bincount(layout.sources) / layout.cycle
    assert rows[labelled].sum() == pytest.approx(32, abs=0.1)
    # LSP's 1,000 images are less than a row of a batch, and still seen as
    # often as any other image without 3D labels.
    wanted = [hmr_recipe.WITHOUT_3D[s.records] for s in data.sources[2:]]
    wanted = 32 * np.array(wanted) / sum(wanted)
    np.testing.assert_allclose(rows[2:], wanted, rtol=1 / 8)


def test_unpaired_sees_no_3d_label():
    for name in ("hmr_unpaired", "hmr_no_adversary"):
        data = fit.experiment(name).data
        assert {source.labels for source in data.sources} == {"2d"}
    assert fit.experiment("hmr_unpaired").data.prior
    alone = fit.experiment("hmr_no_adversary")
    assert not alone.method.adversary and not alone.data.prior


@pytest.mark.parametrize("name", fit.names())
def test_missing_records_name_dataset_path_and_command(name, tmp_path, capsys):
    words = [name, f"--workdir={tmp_path / 'run'}", f"--records={tmp_path}"]
    assert fit.main(words) == 1
    error = capsys.readouterr().err
    first = fit.experiment(name).data.sources[0].records
    assert f"training.prepare {first}" in error
    assert str(tmp_path / first) in error
    assert not (tmp_path / "run").exists()


def test_where_only_the_poses_are_missing_their_command_is_told(
    tmp_path, capsys
):
    data = fit.experiment("hmr").data
    for source in data.sources:
        record_samples.folder(tmp_path / source.records, 1)
    words = ["hmr", f"--workdir={tmp_path / 'run'}", f"--records={tmp_path}"]
    assert fit.main(words) == 1
    error = capsys.readouterr().err
    assert "training.prepare poses --root" in error
    assert f"--out {tmp_path / data.prior}" in error
    assert not (tmp_path / "run").exists()
