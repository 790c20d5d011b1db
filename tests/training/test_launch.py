"""The supervisor of a run's workers, with small processes in their place."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from training import launch
from training.engine import exit_status

# Ends as its file says, one word for each start: a status, or what it does.
WORKER = """
import os, signal, sys, time
path, index = sys.argv[1], int(sys.argv[2])
with open(f"{path}/starts-{index}", "a") as file:
    file.write("x")
start = os.path.getsize(f"{path}/starts-{index}")
word = sys.argv[3].split(",")[start - 1]
if word == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{path}/ready-{index}", "w").close()
    time.sleep(100)
if word == "waits":
    def save(*_):
        open(f"{path}/saved-{index}", "w").close()
        sys.exit(75)
    signal.signal(signal.SIGTERM, save)
    open(f"{path}/ready-{index}", "w").close()
    time.sleep(100)
if word == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(word))
"""


def starter(folder, *plans):
    """Starts one small process for each plan."""

    def start():
        return [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(folder), str(index), plan]
            )
            for index, plan in enumerate(plans)
        ]

    return start


def starts(folder, index=0):
    return len((folder / f"starts-{index}").read_text())


def test_two_that_complete_are_started_once(tmp_path):
    status = launch.supervise(starter(tmp_path, "0", "0"), restarts=3)
    assert status == exit_status.COMPLETE
    assert starts(tmp_path) == starts(tmp_path, 1) == 1


def test_all_are_started_again_when_one_is_killed(tmp_path, capfd):
    plans = (f"{exit_status.PEER_LOST},0", "killed,0")
    assert launch.supervise(starter(tmp_path, *plans), restarts=3) == 0
    assert starts(tmp_path) == starts(tmp_path, 1) == 2
    assert "worker 1 was killed by SIGKILL" in capfd.readouterr().err


def test_one_that_does_not_notice_is_made_to_leave(tmp_path):
    status = launch.supervise(
        starter(tmp_path, "deaf,0", "killed,0"), restarts=1, grace_s=1.0
    )
    assert status == exit_status.COMPLETE
    assert starts(tmp_path) == 2


def test_restarts_come_to_an_end(tmp_path, capfd):
    plan = "killed,killed,killed"
    status = launch.supervise(starter(tmp_path, plan), restarts=2)
    assert status == exit_status.PEER_LOST
    assert starts(tmp_path) == 3
    assert "no restart is left" in capfd.readouterr().err


def test_what_a_restart_cannot_mend_is_not_started_again(tmp_path):
    begun = time.monotonic()
    plans = (str(exit_status.FAILED), "deaf")
    status = launch.supervise(starter(tmp_path, *plans), restarts=3)
    assert status == exit_status.FAILED
    assert starts(tmp_path) == 1
    # The other, which would wait for ever, was not waited for.
    assert time.monotonic() - begun < launch.GRACE_S


@pytest.mark.parametrize("plan", ["waits", "deaf"])
def test_a_stop_reaches_the_workers(tmp_path, plan):
    def stop():
        while not all((tmp_path / f"ready-{i}").exists() for i in (0, 1)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=stop).start()
    status = launch.supervise(
        starter(tmp_path, plan, plan), restarts=3, stop_s=1.0
    )
    deaf = plan == "deaf"  # was killed before it had saved
    assert status == (exit_status.PEER_LOST if deaf else exit_status.STOPPED)
    assert starts(tmp_path) == 1
    saved = {path.name for path in tmp_path.glob("saved-*")}
    assert saved == ({"saved-0", "saved-1"} if plan == "waits" else set())
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
def test_a_stop_while_workers_start_reaches_them(tmp_path, number):
    start = starter(tmp_path, "waits", "waits")
    workers = []

    def interrupted_start():
        workers.extend(start())
        while not all((tmp_path / f"ready-{i}").exists() for i in (0, 1)):
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        return workers

    # As where nobody catches it: the default ends this process.
    previous = signal.signal(number, lambda *_: pytest.fail("not caught"))
    try:
        status = launch.supervise(interrupted_start, restarts=3)
    finally:
        signal.signal(number, previous)
        for worker in workers:
            worker.kill()
    assert status == exit_status.STOPPED
    assert (tmp_path / "saved-0").exists() and (tmp_path / "saved-1").exists()


def test_a_closed_terminal_that_nohup_hides_stops_nobody(tmp_path):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def start():
        os.kill(os.getpid(), signal.SIGHUP)
        return starter(tmp_path, "0", "0")()

    try:
        assert launch.supervise(start, restarts=0) == exit_status.COMPLETE
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_what_ends_before_any_worker_is_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    words = ["--workers", "2", "quick", "--workdir"]
    inside = str(tmp_path / "file" / "run")
    assert launch.main([*words, inside]) == exit_status.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training.launch: ") and inside in line

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.fit.parse", interrupt)
    assert launch.main([*words, "x"]) == exit_status.INTERRUPTED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training.launch: Stopped")


def test_gpus_are_those_a_scheduler_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,GPU-7")
    code = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    workers = launch.Workers([sys.executable, "-c", code], 3, tmp_path, 1)
    assert launch.supervise(workers.start, restarts=0) == 0
    visible_devices = [
        (tmp_path / f"worker-{i}.log").read_text().strip() for i in (1, 2)
    ]
    assert visible_devices == ["5", "GPU-7"]
    with pytest.raises(SystemExit):
        launch.parse(["--workers", "2", "--gpus-each", "2", "hmr"])
    assert "need 4" in capsys.readouterr().err


def test_each_worker_knows_all_and_itself(tmp_path):
    code = "import os; print(os.environ['TF_CONFIG'])"
    code += "; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"
    workers = launch.Workers([sys.executable, "-c", code], 3, tmp_path, 2)
    assert launch.supervise(workers.start, restarts=0) == 0
    for index in (1, 2):
        config, gpus = (
            (tmp_path / f"worker-{index}.log").read_text().splitlines()
        )
        config = json.loads(config)
        assert config["task"] == {"type": "worker", "index": index}
        assert len(set(config["cluster"]["worker"])) == 3
        assert gpus == {1: "2,3", 2: "4,5"}[index]


def test_lines_for_several_machines_are_what_a_shell_takes(capsys):
    hosts = "--hosts=a:12345,b:12346"
    assert launch.main([hosts, "hmr", "--workdir", "my runs/x"]) == 0
    output_lines = capsys.readouterr().out.splitlines()
    assert output_lines[0] == "# on a:12345"
    words = shlex.split(output_lines[3])
    name, _, value = words[0].partition("=")
    assert name == "TF_CONFIG"
    assert json.loads(value)["task"]["index"] == 1
    assert words[-3:] == ["hmr", "--workdir", "my runs/x"]
    assert launch.main([hosts, "--index", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["task"]["index"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hosts", "a,b:1"], "port"),
        (["--hosts", "a:1", "--index", "1"], "--index 1"),
        (["--workers", "0"], "at least 1"),
        ([], "--workers"),
    ],
)
def test_wrong_words_are_told(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        launch.main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_wrong_experiment_is_told_before_any_worker(capsys):
    assert launch.main(["--workers", "2", "quack"]) == exit_status.FAILED
    assert "There are" in capsys.readouterr().err
