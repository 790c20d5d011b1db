"""What SMPLR's own code computed, by its variables' names."""

import numpy as np
import pytest

from tests import smplr_golden
from tests.support.paths import GOLDEN

FILE = GOLDEN / "smplr" / "golden.npz"
# What only the later stacks of the hourglass give.
LATER = {
    "shn_sum_1",
    "train_shn_p3d",
    "train_shn_BatchNorm_208.moving_mean",
    "train_shn_BatchNorm_208.moving_variance",
}


def test_every_array_that_the_first_stack_reaches():
    result = smplr_golden.compare(FILE, 1, stacks=1)
    lines = dict(result.lines())
    bad = {line.split(":")[0] for line, is_good in lines.items() if not is_good}
    assert bad == LATER, "\n".join(lines)
    assert len(lines) == 65


@pytest.mark.slow
def test_every_array(capsys):
    assert smplr_golden.main(smplr_golden.Args(FILE)) == 0
    assert "65 of 65 arrays" in capsys.readouterr().out


def test_another_seed_and_unknown_arrays_are_beyond(
    tmp_path, monkeypatch, capsys
):
    """The inputs and every output of drawn weights differ."""
    for name in ("compare_hourglass", "compare_targets"):
        monkeypatch.setattr(smplr_golden, name, lambda *_: None)
    path = tmp_path / "other.npz"
    with np.load(FILE) as arrays:
        names = ("in_joints", "dae_out", "bones", "kintree")
        subset = {name: arrays[name] for name in names}
    np.savez(path, **subset, strange=np.ones(3))
    assert smplr_golden.main(smplr_golden.Args(path, seed=2)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("BEYOND" in line for line in lines) == 3
    assert "strange: not compared" in lines
    assert lines[-1] == "1 of 5 arrays are within tolerance"
