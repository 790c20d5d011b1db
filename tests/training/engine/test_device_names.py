"""What may stand after --devices."""

import pytest

from training.engine import device_names


@pytest.mark.parametrize(
    ("text", "kind", "numbers"),
    [
        ("auto", "auto", []),
        ("cpu", "cpu", []),
        ("cpu:2", "cpu", [2]),
        ("gpu", "gpu", []),
        ("gpu:0,2", "gpu", [0, 2]),
    ],
)
def test_names_of_devices_are_read(text, kind, numbers):
    assert device_names.parse(text) == (kind, numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tpu", "Write auto, cpu"),
        ("", "Write auto, cpu"),
        ("auto:0", "Write auto, cpu"),
        ("cpu:0", "after the colon"),
        ("cpu:1,2", "after the colon"),
        ("gpu:-1", "after the colon"),
        ("gpu:0,0", "after the colon"),
        ("gpu:one", "after the colon"),
    ],
)
def test_other_names_are_refused_with_those_there_are(text, words):
    with pytest.raises(ValueError, match=words):
        device_names.parse(text)
