"""What TF_CONFIG says, and what is said when it is wrong."""

import json

import pytest

from training import launch
from training.engine import cluster


def described(monkeypatch, content) -> cluster.Cluster:
    monkeypatch.setenv("TF_CONFIG", content)
    return cluster.read()


def test_workers_count_from_the_chief(monkeypatch):
    hosts = ["a:1", "b:1", "c:1"]
    for index in range(3):
        here = described(monkeypatch, launch.tf_config(hosts, index))
        assert here.several and here.index == index
        assert here.chief == (index == 0)
    named = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for kind, index, place in (("chief", 0, 0), ("worker", 1, 2)):
        task = {"type": kind, "index": index}
        content = json.dumps({"cluster": named, "task": task})
        assert described(monkeypatch, content).index == place


@pytest.mark.parametrize("content", ["", "{}", launch.tf_config(["a:1"], 0)])
def test_one_worker_is_its_own_chief(monkeypatch, content):
    here = described(monkeypatch, content)
    assert here.chief and not here.several


@pytest.mark.parametrize(
    "content",
    [
        "worker 0",
        "[1]",
        launch.tf_config(["a:1", "b:1"], 2),
        launch.tf_config(["a:1", "b:1"], -1),
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]},'
        ' "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"], "evaluator": ["c:1"]},'
        ' "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_shows_a_right_one(monkeypatch, content):
    with pytest.raises(ValueError, match="expected as") as caught:
        described(monkeypatch, content)
    assert content in str(caught.value)


def test_two_cpu_devices_in_a_worker_are_refused(monkeypatch):
    from training.engine import devices

    monkeypatch.setenv("TF_CONFIG", launch.tf_config(["a:1", "b:1"], 0))
    with pytest.raises(ValueError, match="more workers"):
        devices.strategy("cpu:2")
