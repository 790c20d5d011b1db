import types

import cv2
import pytest

from training.benchmarks import video


def test_each_stage_is_a_function_that_the_command_calls(capsys):
    (times,) = video.run(
        video.Options(people=(1,), methods=("lift",), frames=4)
    ).values()
    assert {"finding", "following", "lifting", "smoothing"} <= set(times.stages)
    assert min(times.stages.values()) > 0
    assert times.seen == 1
    assert times.tenths is None
    assert "lift, 1 people (1.0 seen)" in capsys.readouterr().out


def test_the_functions_are_as_before_afterwards():
    for functions in video.STAGES.values():
        for module, path in functions:
            owner, name = video._function(module, path)
            assert not hasattr(getattr(owner, name), "__wrapped__")


def test_a_video_has_its_people_and_frames(tmp_path):
    video.write(tmp_path / "two.avi", 2, 3)
    capture = cv2.VideoCapture(str(tmp_path / "two.avi"))
    shapes = [capture.read()[1].shape for _ in range(3)]
    assert shapes == [(256, 512, 3)] * 3 and not capture.read()[0]


def test_a_tenth_of_the_calls_has_its_own_pace_and_memory(monkeypatch):
    """Ten times as slow and 50 MiB more in the last tenth, by a made clock."""
    calls, usage = video._Calls(), types.SimpleNamespace(ru_maxrss=0)
    seconds = 0.0
    monkeypatch.setattr(video.resource, "getrusage", lambda _: usage)
    monkeypatch.setattr(video.time, "process_time", lambda: seconds)
    recorded = calls.recording("writing", lambda: None)
    for frame in range(100):
        late = frame >= 90
        seconds += 0.2 if late else 0.02
        usage.ru_maxrss = 1024 * (150 if late else 100)
        recorded()
    assert calls.tenth(1) == pytest.approx((20, 100))
    assert calls.tenth(9) == pytest.approx((200, 150))


def test_numbers_without_meaning_are_refused():
    with pytest.raises(ValueError, match="--frames of 3"):
        video.run(video.Options(frames=2))
