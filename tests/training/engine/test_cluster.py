"""What TF_CONFIG says, and what is said when it is wrong."""

import dataclasses
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
        worker = described(monkeypatch, launch.tf_config(hosts, index))
        assert worker.several and worker.index == index
        assert worker.chief == (index == 0)
    named = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for kind, index, rank in (("chief", 0, 0), ("worker", 1, 2)):
        task = {"type": kind, "index": index}
        content = json.dumps({"cluster": named, "task": task})
        assert described(monkeypatch, content).index == rank


def test_master_is_the_chief(monkeypatch):
    named = {"worker": ["b:1", "c:1"], "master": ["a:1"]}
    for kind, index, rank in (
        ("master", 0, 0),
        ("chief", 0, 0),
        ("worker", 0, 1),
        ("worker", "1", 2),
    ):
        task = {"type": kind, "index": index}
        content = json.dumps({"cluster": named, "task": task})
        worker = described(monkeypatch, content)
        assert worker.workers == ("a:1", "b:1", "c:1")
        assert (worker.index, worker.chief) == (rank, rank == 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"cluster": {}}',
        '{"environment": "cloud"}',
        launch.tf_config(["a:1"], 0),
        '{"cluster": {"chief": ["a:1"]},'
        ' "task": {"type": "chief", "index": 0}}',
    ],
)
def test_one_worker_is_its_own_chief(monkeypatch, content):
    worker = described(monkeypatch, content)
    assert worker.chief and not worker.several


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


@pytest.mark.parametrize(
    ("cluster_jobs", "task", "words"),
    [
        ({"worker": ["a:1"], "evaluator": ["b:1"]}, None, "evaluator"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, None, "'ps'"),
        ({"trainer": ["a:1", "b:1"]}, ("trainer", 0), "trainer"),
        ({"worker": ["a:1"]}, ("evaluator", 0), "'evaluator'"),
        ({"worker": ["a:1"]}, ("worker", 1), "index is 1"),
        ({"worker": ["a:1"]}, ("chief", 0), "'chief'"),
        ({"worker": ["a:1", "b:1"]}, ("worker", True), "expected an integer"),
        ({"worker": ["a:1", "b:1"]}, ("worker", 0.5), "expected an integer"),
        ({"worker": ["a:1", "b:1"]}, (["worker"], 0), "type"),
        ({"worker": ["a:1", "a:1"]}, None, "'a:1' twice"),
        ({"chief": ["a:1"], "worker": ["a:1"]}, None, "'a:1' twice"),
        ({"chief": ["a:1", "b:1"]}, ("chief", 0), "several chiefs"),
        ({"chief": ["a:1"], "master": ["b:1"]}, ("chief", 0), "its jobs"),
        ({"worker": "a:1"}, None, "no list of"),
        ({"worker": {"0": "a:1", "1": "b:1"}}, None, "no list of"),
        ({"worker": [1, 2]}, None, "no list of"),
        ({"worker": ["a:1", ""]}, None, "no list of"),
        ({"worker": []}, None, "type 'worker'"),
        (["a:1", "b:1"], None, "no object"),
    ],
)
def test_a_wrong_cluster_is_never_taken_for_none(
    monkeypatch, cluster_jobs, task, words
):
    kind, index = task or ("worker", 0)
    content = {"cluster": cluster_jobs, "task": {"type": kind, "index": index}}
    with pytest.raises(cluster.ClusterError) as caught:
        described(monkeypatch, json.dumps(content))
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"sparseCluster": {"worker": {"0": "a:1"}},'
        ' "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}',
        '{"cluster": null}',
        "null",
        "[" * 200_000,
    ],
)
def test_what_names_no_task_is_one_short_line(monkeypatch, content):
    with pytest.raises(cluster.ClusterError, match="expected as") as caught:
        described(monkeypatch, content)
    assert len(str(caught.value)) < 1000


def test_two_cpu_devices_in_a_worker_are_refused(monkeypatch):
    from training.engine import devices

    monkeypatch.setenv("TF_CONFIG", launch.tf_config(["a:1", "b:1"], 0))
    with pytest.raises(ValueError, match="more workers"):
        devices.strategy("cpu:2")


def test_workers_that_differ_are_named(monkeypatch):
    """As where the second of three has another version of the code."""
    facts = {"configuration": {"lr": 1.0}, "code": "a", "data": ["r"]}
    differences = cluster.compare(None, facts)
    assert differences == {}
    cluster.check_same(differences)

    def agree_all(strategy, own_numbers):
        config, code, data = own_numbers
        return [own_numbers, [config, code ^ 1, data], own_numbers]

    monkeypatch.setattr(cluster, "agree_all", agree_all)
    different = cluster.compare(None, facts)
    assert list(different) == ["code"]
    first, second, third = different["code"].values()
    assert first == third != second
    with pytest.raises(cluster.ClusterError) as caught:
        cluster.check_same(different)
    line = str(caught.value)
    assert f"worker 1 {second}" in line and "the code" in line
    assert "configuration" not in line and "\n" not in line


def test_what_workers_share_is_what_trains(monkeypatch):
    from training import fit
    from training.engine import provenance
    from training.tasks import fit as task

    def facts(**changes):
        experiment = fit.load_experiment("quick")
        experiment = dataclasses.replace(experiment, **changes)
        choices = {"sources": [{"records": "/a/r"}], "topology": "open"}
        return task.shared_facts(experiment, choices)

    assert facts() == facts()
    assert facts()["configuration"] != facts(seed=5)["configuration"]
    assert len(facts()["code"]) == 64
    monkeypatch.setattr(provenance, "code_digest", lambda: "another")
    assert facts()["code"] == "another"
