"""The documented training of the lifter, for a few steps."""

import numpy as np
import pytest

from tests.support import landmark_people
from tf_hmr import method
from training import fit
from training.data.records import records_folder
from training.data.synthetic import people
from training.engine import run_log

PEOPLE, STEPS = 8, 40
FLAGS = (
    "--method.hidden=64",
    "--method.dropout=0",
    "--method.noise=0",
    "--method.missing=0",
    f"--data.batch-size={PEOPLE}",
    f"--steps={STEPS}",
    "--steps-per-call=10",
    "--log-every=10",
    f"--save-every={STEPS}",
    "--optim.warmup-steps=0",
    "--eval-every=0",
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """People whose landmarks are exact, as `training.prepare` writes them."""
    root = tmp_path_factory.mktemp("records")
    writer = records_folder.Writer(root / "landmarks", "train")
    for example in people.frozen().examples(0, PEOPLE):
        writer.write(landmark_people.of_example(example))
    writer.finish(None, "tests")
    return root


@pytest.mark.usefixtures("fit_without_xla")
def test_a_few_steps_lower_the_loss_and_leave_a_lifter(records, tmp_path):
    words = ["lifter", f"--workdir={tmp_path}", f"--records={records}"]
    assert fit.main([*words, *FLAGS]) == 0
    lines = run_log.read_metrics(tmp_path / run_log.METRICS_FILE)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == STEPS // 10
    assert np.isfinite(losses).all()
    # The first of them is that of the tenth step, which has learnt already.
    assert losses[-1] < 0.8 * losses[0]
    lifter = method.load(tmp_path, jit=False)
    assert lifter.input_names == ("landmarks",)
    assert lifter.config.hidden == 64
