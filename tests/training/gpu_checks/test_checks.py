"""The checks themselves, on a method that is traced in seconds."""

import dataclasses
import json
import os

import pytest
import tensorflow as tf

from tests.support import tiny_checks
from tf_hmr import method_config
from training import gpu_check
from training.gpu_checks import networks, processes, replicas, results, resume

ONE = ("--methods", "hmr", "--devices", "cpu:2", "--checks")
NETWORK = networks.Network("toy", "hmr", ())


@pytest.mark.parametrize(
    ("compare", "status"),
    [(tiny_checks.compare_replicas, 0), (tiny_checks.compare_doubled, 1)],
)
def test_a_replica_whose_gradient_counts_twice_is_found(
    compare, status, monkeypatch, tmp_path
):
    monkeypatch.setattr(replicas, "compare", compare)
    out = ("--out", str(tmp_path))
    assert gpu_check.main([*ONE, "see", "replicas", *out]) == status
    report = json.loads((tmp_path / results.JSON).read_text())
    assert report["device"] == "CPU"
    first, *later, control = report["replicas"]
    assert first["passed"] == (status == 0)
    assert control["expected_different"]
    if status:
        # Both losses of the first step are right; its gradients are not.
        assert first["gradients"] > 0.3
        page = (tmp_path / results.MARKDOWN).read_text()
        assert "CPU (FAILED)" in page
    else:
        assert first["gradients"] < 1e-4 and control["gradients"] > 0.3
        assert control["passed"] and all(row["passed"] for row in later)


@pytest.mark.parametrize("name", method_config.names())
def test_every_method_has_a_small_network(name):
    for network in networks.networks((name,), gpu_check.Args.check_image_size):
        strategy = tf.distribute.get_strategy()
        model = networks.build(strategy, network, "float32", xla=False)
        assert model.count_params() < 2e6
        # Two replicas draw different masks and noise.
        random_suffixes = ("dropout", "noise", "missing")
        assert not any(
            isinstance(value, float) and value
            for field, value in dataclasses.asdict(network.config).items()
            if field.endswith(random_suffixes)
        )


def _end(status):
    raise SystemExit(status)


def _fail(kind, text):
    raise {"value": ValueError, "memory": MemoryError}[kind](text)


def _variable(name):
    return os.environ.get(name)


def test_processes_pass_on_results_and_errors():
    changed = {"CHECKED": "1"}
    assert processes.call(_variable, "CHECKED", environment=changed) == "1"
    with pytest.raises(processes.NoMemoryError, match="too much"):
        processes.call(_fail, "memory", "too much\nand more")
    with pytest.raises(processes.CheckError, match="^the cure$"):
        processes.call(_fail, "value", "the cure\nand more")
    with pytest.raises(processes.CheckError, match="status 3"):
        processes.call(_end, 3)


@pytest.mark.slow  # Four to eight runs, each in a process of its own.
@pytest.mark.parametrize(
    ("train", "words"),
    [
        (tiny_checks.train, "bit for bit"),
        (tiny_checks.train_forgetful, "lacks some of the state"),
        (tiny_checks.train_restless, "with TF_DETERMINISTIC_OPS=1: the same"),
    ],
)
def test_a_killed_run_continues_or_the_cause_is_named(train, words):
    result = resume.check("cpu:1", NETWORK, 8, train=train)
    assert words in result.text
    assert result.passed == ("lacks" not in words)


@pytest.mark.slow  # Minutes: every check, compiled by XLA.
def test_every_check_passes_on_two_devices_of_a_cpu(tmp_path, capfd):
    words = [
        *("--devices", "cpu:2", "--methods", "hmr", "--out", str(tmp_path)),
        *("--check-image-size", "32", "--check-batch", "4"),
        *("--encoders", "small", "--image-size", "32", "--batches", "4"),
        *("--rounds", "1", "--input-batches", "2"),
    ]
    assert gpu_check.main(words) == 0
    report = json.loads((tmp_path / results.JSON).read_text())
    assert report["device"] == "CPU" and report["passed"]
    assert {row["tolerance"] for row in report["steps"]} == {
        "float32",
        "bfloat16",
    }
    assert len(report["step_rates"]) == 2 and len(report["inputs"]) == 5
    assert "bit for bit" in report["continuation"]["text"]
    page = (tmp_path / results.MARKDOWN).read_text()
    assert "GPU that" not in page and "Training on: CPU" in page
