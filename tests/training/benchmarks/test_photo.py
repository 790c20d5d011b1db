import pytest

from training.benchmarks import photo


def test_a_stage_within_another_is_its_own():
    seconds = 0.0

    def take(more):
        nonlocal seconds
        seconds += more

    take(5)
    clock = photo.StageClock("imports", lambda: seconds)
    take(1)
    clock.begin("other")
    draw = clock.counts("drawing", take)

    def write():
        take(0.5)
        draw(8)
        take(0.25)

    write = clock.counts("files", write)
    take(2)
    write()
    draw(16)
    take(4)
    clock.end()
    assert clock.seconds == {
        "imports": 6,
        "other": 6,
        "files": 0.75,
        "drawing": 24,
    }


def test_a_stage_that_fails_ends():
    numbers = iter(range(20))
    clock = photo.StageClock("other", lambda: float(next(numbers)))

    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        clock.counts("files", fail)()
    clock.begin("drawing")
    clock.end()
    assert clock.seconds["files"] == 1


@pytest.mark.parametrize("stage", photo.STAGES)
def test_functions_of_stages_exist(stage):
    assert all(callable(getattr(*pair)) for pair in photo.functions_of(stage))


@pytest.mark.slow
def test_a_run_has_all_stages(capsys, tmp_path):
    from tests.support import rendered_groups
    from tf_hmr.formats import image_writing

    image, _ = rendered_groups.person(1)
    image_writing.write(tmp_path / "photo.png", image)
    options = photo.Options(tmp_path / "photo.png", ("lift",), repeats=1)
    (times,) = photo.run(options)["lift"]
    assert {*times.stages} == {"imports", "other", *photo.STAGES} - {"fitting"}
    assert min(times.stages.values()) >= 0
    assert times.wall > 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("lift: wall ")


def test_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--repeats 0"):
        photo.run(photo.Options(tmp_path / "photo.jpg", repeats=0))
