"""Values of an experiment without a meaning: one line, before a run starts."""

import dataclasses

import pytest

from training import config, fit
from training.engine import devices

WRONG = {
    "--data.batch-size 0": "data.batch_size is 0, expected an integer of 1",
    "--data.batch-size -4": "data.batch_size is -4",
    "--data.seed -1": "data.seed is -1",
    "--data.seed 9223372036854775808": "data.seed is",
    "--data.prior-per-image -1": "data.prior_per_image is -1",
    "--data.max-bad-share nan": "data.max_bad_share is nan",
    "--data.augment.scale 0 0": "data.augment.scale.0 is 0",
    "--data.augment.scale 2 1": "data.augment.scale is",
    "--data.augment.flip 7": "data.augment.flip is 7",
    "--data.augment.shift nan": "data.augment.shift is nan",
    "--data.augment.rotation-deg 1e30": "data.augment.rotation_deg is 1e+30",
    "--data.sources.0.share 0": "data.sources.0.share is 0",
    "--data.sources.0.share nan": "data.sources.0.share is nan",
    "--data.sources.0.shards 0 0": "data.sources.0.shards.1 is 0",
    "--optim.accumulate 0": "optim.accumulate is 0",
    "--optim.accumulate -1": "optim.accumulate is -1",
    "--optim.lr nan": "optim.lr is nan",
    "--optim.lr -1": "optim.lr is -1",
    "--optim.clip-norm -1": "optim.clip_norm is -1",
    "--optim.warmup-steps -5": "optim.warmup_steps is -5",
    "--method.iterations 0": "method.iterations is 0",
    "--method.image-size -96": "method.image_size is -96",
    "--method.crop-scale nan": "method.crop_scale is nan",
    "--method.dropout 2": "method.dropout is 2",
    "--method.keypoints-2d nan": "method.keypoints_2d is nan",
    "--seed -1": "seed is -1",
    "--steps 0": "steps is 0 in every stage",
    "--steps -1": "steps is -1",
    "--save-every -1": "save_every is -1",
    "--log-every -1": "log_every is -1",
    "--eval-every -3": "eval_every is -3",
    "--steps-per-call 0": "steps_per_call is 0",
}


@pytest.mark.parametrize("flags", WRONG)
def test_a_value_without_a_meaning_starts_nothing(
    tmp_path, capsys, monkeypatch, flags
):
    monkeypatch.setattr(
        devices, "strategy", lambda *_: pytest.fail("it was started")
    )
    folder = tmp_path / "run"
    words = ["quick", f"--workdir={folder}", *flags.split()]
    assert fit.main(words) == 1
    _loading, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"training.fit: {WRONG[flags]}")
    assert not folder.exists()


@pytest.mark.parametrize("name", fit.names())
def test_every_experiment_passes(name):
    config.check(fit.load_experiment(name))


def test_a_run_may_have_no_step_of_its_own_beside_others():
    experiment = fit.load_experiment("quick")
    before = (config.Stage("before", steps=1),)
    config.check(dataclasses.replace(experiment, steps=0, before=before))
    stage = config.Stage("before", steps=-1)
    with pytest.raises(ValueError, match=r"before.0.steps is -1"):
        config.check(dataclasses.replace(experiment, before=(stage,)))
