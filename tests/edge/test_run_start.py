"""How the device's one file starts: delegates, the cache; edge.film."""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest

from edge import export, film, steadiness
from edge import run as device
from tests.support.closeness import assert_close
from tests.support.paths import ROOT

JETSON = ROOT / "edge" / "jetson"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Runs the command; returns its status and how the model was made."""
    model_options = []
    monkeypatch.setattr(
        device, "Model", lambda *options: model_options.append(options[1:])
    )

    def command(*flags):
        status = device.main(["m.tflite", "--out", str(tmp_path), *flags])
        return status, model_options

    return command


def trial(monkeypatch, status, stderr=""):
    """Stands in for the process that tries the GPU; returns its commands."""
    commands = []

    def run(command, **options):
        commands.append(command)
        if status:
            raise subprocess.CalledProcessError(
                status, command, stderr=stderr.encode()
            )

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_auto_takes_the_gpu_where_the_trial_lives(started, monkeypatch, capsys):
    commands = trial(monkeypatch, 0)
    assert started("--delegate", "auto") == (0, [(2, True, "", False, 0.0)])
    ((python, file, *rest),) = commands
    assert (python, file) == (sys.executable, device.__file__)
    assert rest == ["m.tflite", "--delegate", "gpu"]
    assert capsys.readouterr().err == ""


def test_auto_tries_what_is_asked_for_and_leaves_nothing(
    monkeypatch, tmp_path, capsys
):
    commands = trial(monkeypatch, 1)
    monkeypatch.chdir(tmp_path)
    device.main(["m.tflite", "--delegate", "auto", "--gpu-float32"])
    assert commands[0][-1] == "--gpu-float32"
    # What the trial itself does.
    monkeypatch.setattr(device, "Model", lambda *_: None)
    assert device.main(["m.tflite", "--delegate", "gpu"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_hangs_is_given_up(started, monkeypatch, capsys):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert started("--delegate", "auto") == (0, [(2, False, "", False, 0.0)])
    (line,) = capsys.readouterr().err.splitlines()
    assert "timed out after 120 seconds" in line


def test_tflite_runtime_has_no_cache_and_runs(tflite, monkeypatch, capsys):
    from ai_edge_litert import interpreter

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("t"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    device.Model(tflite, cache="weights")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "tflite-runtime has no cache: no --cache"


def test_a_camera_that_is_not_there_is_one_line_of_ours(tflite, tmp_path):
    completed = subprocess.run(
        [sys.executable, device.__file__, tflite, "97", "--out", tmp_path],
        capture_output=True,
        text=True,
    )
    lines = [
        x for x in completed.stderr.splitlines() if not x.startswith("INFO")
    ]
    assert completed.returncode == 1
    assert len(lines) == 1 and lines[0].startswith("97: no such film or camera")


@pytest.mark.parametrize(
    ("status", "stderr", "why"),
    [
        (-6, "terminate called\n", "SIGABRT"),
        (1, "INFO: x\nm cannot be run here: no adapter\nINFO: y", "no adapter"),
    ],
)
def test_auto_falls_back_with_one_line(
    started, monkeypatch, capsys, status, stderr, why
):
    trial(monkeypatch, status, stderr)
    assert started("--delegate", "auto") == (0, [(2, False, "", False, 0.0)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("CPU, as the GPU fails: ") and why in line
    assert "INFO" not in line


def test_flags_reach_the_model(started):
    flags = "--delegate gpu --gpu-float32 --threads 4 --cache file --focal 900"
    status, options = started(*flags.split())
    assert (status, options) == (0, [(4, True, "file", True, 900.0)])


def test_cache_gives_the_same_and_fills_its_file(tflite, tmp_path, rng):
    crop = rng.integers(0, 256, (64, 64, 3), np.uint8)
    expected = device.Model(tflite)(crop)
    for _ in ("cold", "cached"):
        cached = device.Model(tflite, cache=tmp_path / "weights")
        for name, value in cached(crop).items():
            assert_close("tflite_metres", value, expected[name])
    assert (tmp_path / "weights").stat().st_size > 1e6


def test_film_shows_the_people_that_its_json_names(tmp_path):
    args = film.Args(
        tmp_path / "walk.avi", frames=3, fps=5, size=(160, 90), people=2
    )
    assert film.main(args) == 0
    truth = json.loads((tmp_path / "walk.json").read_text())
    video = cv2.VideoCapture(str(args.out))
    pictures = [video.read()[1] for _ in range(3)]
    assert pictures[2].shape == (90, 160, 3) and not video.read()[0]
    scene = film.Walk(args)
    for number, people in enumerate(truth["frames"]):
        assert len(people) == 2
        picture, _ = scene.frame(number)
        difference = picture[..., ::-1].astype(float) - pictures[number]
        assert np.abs(difference).mean() < 6, "the film is what is described"
        for person in people:
            x, y, w, h = person["box"]
            points = np.array(person["keypoints_px"])
            assert np.all(points > (x - 1, y - 1))
            assert np.all(points < (x + w + 1, y + h + 1))
    first, last = (np.array(truth["frames"][k][0]["box"]) for k in (0, -1))
    assert last[0] > first[0] + 3, "it walks to the right"
    assert truth["boxes"][0] == truth["frames"][0][0]["box"]
    # Somebody stands in the box: it differs from the frame without them.
    empty = scene._background.astype(float)
    x, y, w, h = (int(v) for v in first)
    inside = np.abs(scene.frame(0)[0] - empty)[y : y + h, x : x + w]
    assert inside.mean() > 3 * np.abs(scene.frame(0)[0] - empty)[:9].mean()


def test_boxes_of_a_film_end_where_its_people_do(tmp_path, monkeypatch):
    """In pixel edges; in the mean, as outlines fall between pixels."""
    monkeypatch.setattr(film, "NOISE", 0.0)
    scene = film.Walk(film.Args(tmp_path / "film.avi", frames=8, fps=4))
    offsets = []
    for picture, (person,) in scene.frames():
        rows, columns = (picture != scene._background).any(axis=-1).nonzero()
        drawn_middle = [(v.min() + v.max() + 1) / 2 for v in (columns, rows)]
        x, y, w, h = person.box
        offsets.append(np.array([x + w / 2, y + h / 2]) - drawn_middle)
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.25


def walked_lines(tmp_path, lag, noise, lost_frames=(), count=40):
    """A film's truth and lines that are `lag` frames late and noisy."""
    args = film.Args(tmp_path / "w.avi", frames=count, size=(160, 90))
    film.write(args)
    frames = json.loads((tmp_path / "w.json").read_text())["frames"]
    rng, lines = np.random.default_rng(0), []
    for number in range(count):
        (person,) = frames[max(0, number - lag)]
        joints = np.array(person["joints"])
        line = {
            "frame": number,
            "track": 0,
            "state": "lost" if number in lost_frames else "tracked",
            "joints_m": (joints + rng.normal(0, noise, (19, 3))).tolist(),
            "keypoints_px": person["keypoints_px"],
            "translation_m": [0, 0, 0],
        }
        lines.append(json.dumps(line))
    (tmp_path / "w.jsonl").write_text("\n".join(lines))
    return steadiness.Args(tmp_path / "w.json", tmp_path / "w.jsonl")


def test_steadiness_knows_lag_and_shaking(tmp_path):
    exact = steadiness.run(walked_lines(tmp_path, 0, 0.0))
    late = steadiness.run(walked_lines(tmp_path, 3, 0.01))
    for figures in exact.values():
        assert figures["lag_ms"] == 0 and figures["error"] < 1e-9
        true = figures["true_acceleration"]
        assert figures["acceleration"] == pytest.approx(true)
    for figures in late.values():
        assert figures["lag_ms"] == pytest.approx(3 * 1000 / 25, abs=11)
    shaken = late["joints, m"]
    assert shaken["acceleration"] > 3 * shaken["true_acceleration"]
    assert shaken["error"] > 0.015


def test_a_constant_error_is_no_delay():
    """A body that is behind by as much as it walks in four frames."""
    frames = np.arange(40.0)
    walk = 0.1 * frames + 0.05 * np.sin(frames)
    true = walk[:, None, None] * np.ones((1, 19, 3))
    figures = steadiness.compare(true - 0.4, true, 25)
    assert figures["lag_ms"] == 0
    assert figures["error"] == pytest.approx(0.4 * np.sqrt(3))


def test_steadiness_refuses_a_lost_track(tmp_path, caplog):
    args = walked_lines(tmp_path, 0, 0.0, lost_frames=(7,))
    assert steadiness.main(args) == 1
    assert "lost in [7]" in caplog.text


def test_steadiness_refuses_a_short_film(tmp_path, caplog):
    assert steadiness.main(walked_lines(tmp_path, 0, 0.0, count=9)) == 1
    assert "9 frames are too few" in caplog.text


def test_half_a_stride_later_a_walker_is_mirrored():
    angles = film.gait(1.0), film.gait(1.0 + np.pi)
    for joint in ("hip", "knee"):
        left, right = (
            film._INDEX[f"{side}_{joint}"] for side in ("left", "right")
        )
        assert angles[0][left, 0] == pytest.approx(angles[1][right, 0])
        assert angles[0][left, 0] != pytest.approx(angles[0][right, 0], abs=1)


def jetson_commands() -> list[list[str]]:
    """Command lines of the README's blocks and of the unit."""
    text = (JETSON / "README.md").read_text()
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    unit = (JETSON / "hmr.service").read_text().replace("\\\n", " ")
    start = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    return [shlex.split(line) for line in [*blocks.splitlines(), *start]]


def known_flags() -> dict[str, set[str]]:
    completed = subprocess.run(
        [sys.executable, device.__file__, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    fields = dataclasses.fields(export.Args)
    return {
        "run.py": set(re.findall(r"--[a-z][\w-]*", completed.stdout)),
        "edge.export": {"--" + f.name.replace("_", "-") for f in fields},
    }


def test_jetson_commands_have_the_flags_they_show():
    for word, program_flags in known_flags().items():
        commands = [words for words in jetson_commands() if word in words]
        assert len(commands) >= 2
        used_flags = {w for words in commands for w in words if w[:2] == "--"}
        assert used_flags <= program_flags, word


def test_jetson_names_the_files_it_has_and_no_opencv():
    words = {word for words in jetson_commands() for word in words}
    assert {"requirements.txt", "hmr.service"} <= words
    assert (JETSON / "hmr.service").is_file()
    lines = (JETSON / "requirements.txt").read_text().splitlines()
    requirements = [line for line in lines if not line.startswith("#")]
    assert {line.split()[0] for line in requirements} == {
        *("numpy", "tflite-runtime", "ai-edge-litert")
    }
    pipelines = [w for words in jetson_commands() for w in words if "!" in w]
    assert len(pipelines) == 2 and len(set(pipelines)) == 1


def test_a_restarted_service_keeps_what_it_recorded(tmp_path):
    """The unit's command, with a program that records what it is given."""
    (unit,) = [words for words in jetson_commands() if words[:1] == ["/bin/sh"]]
    program = tmp_path / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > told\n')
    program.chmod(0o755)
    # As systemd does it.
    words = [word.replace("$$", "$").replace("%%", "%") for word in unit]
    subprocess.run(words, cwd=tmp_path, check=True)
    arguments = (tmp_path / "told").read_text().splitlines()
    assert (
        arguments[:2] == ["run.py", "hmr.tflite"] and "appsink" in arguments[2]
    )
    assert re.fullmatch(
        r"out/\d{8}-\d{6}", arguments[arguments.index("--out") + 1]
    )
    assert {w for w in arguments if w[:2] == "--"} <= known_flags()["run.py"]
    text = (JETSON / "hmr.service").read_text()
    assert "SuccessExitStatus=130" in text and "User=" in text


def test_acceleration_is_per_second_squared():
    """A point that falls for two seconds, at 9.81 m/s2."""
    seconds = np.arange(50) / 25
    points = np.zeros((50, 1, 3))
    points[:, 0, 1] = 9.81 / 2 * seconds**2
    figures = steadiness.compare(2 * points, points, 25)
    assert figures["true_acceleration"] == pytest.approx(9.81)
    assert figures["acceleration"] == pytest.approx(2 * 9.81)
    assert figures["error"] == pytest.approx(points.mean() * 3)
