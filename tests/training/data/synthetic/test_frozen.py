"""synthetic_v1 is frozen: results on it must stay comparable.

What is pinned here was made when the protocol was defined. A test that fails
says that the people or pictures have changed: raise `poses.SAMPLER_VERSION` or
`appearance.VERSION` and define a new protocol, do not pin anew.
"""

import dataclasses

import cv2
import numpy as np
import pytest

from tests.support.closeness import assert_close
from training import commands
from training.data import prepare as datasets
from training.data.synthetic import appearance, poses
from training.data.synthetic import people as synthetic

PROTOCOL = synthetic.SYNTHETIC_V1
# By index. `visible` counts keypoints, `parts` pixels of the background and
# the 14 parts, `gray` is the mean of each part of 100 pixels and more, `rgb`
# and `blocks` are means of the decoded picture and of a grid of 4 x 4 over it.
# Something stands before 18 and 27.
PEOPLE = {
    0: {
        "box": [83.5205, 55.6836, 88.9590, 144.6328],
        "pose": [2.53596, 0.35720, -0.87036, 0.17927],
        "betas": [1.47308, -0.53269, -0.48295],
        "translation": [0.08878, 0.43424, 3.20398],
    },
    999: {
        "box": [84.4066, 55.6836, 87.1869, 144.6328],
        "pose": [-2.69590, -0.25937, 0.96639, -0.91647],
        "betas": [1.46451, -1.29723, -0.78415],
        "translation": [0.92560, 0.07795, 2.56454],
    },
}
# fmt: off
PICTURES = {
    0: {
        "visible": 29,
        "parts": [61752, 268, 995, 223, 35, 138, 47, 67, 43, 570, 424, 295,
                  396, 146, 137],
        "gray": {1: 122.8, 2: 110.1, 3: 129.4, 5: 133.9, 9: 101.8, 10: 78.9,
                 11: 95.5, 12: 97.1, 13: 92.2, 14: 76.1},
        "rgb": [109.7, 102.3, 103.1],
        "blocks": [[88.1, 94.5, 93.4, 89.7], [92.3, 101.4, 110.0, 121.2],
                   [99.7, 95.6, 89.8, 108.8], [141.7, 115.4, 107.3, 132.2]],
    },
    18: {
        "visible": 24,
        "parts": [61183, 407, 1695, 28, 568, 0, 271, 53, 120, 324, 289, 212,
                  187, 121, 78],
        "gray": {1: 126.5, 2: 72.0, 4: 110.8, 6: 120.7, 8: 139.2, 9: 73.2,
                 10: 68.5, 11: 126.2, 12: 143.5, 13: 71.2},
        "rgb": [178.5, 169.4, 170.3],
        "blocks": [[213.5, 197.4, 187.7, 201.5], [129.5, 163.1, 136.3, 198.4],
                   [176.4, 136.2, 145.4, 182.6], [190.9, 179.6, 161.8, 163.9]],
    },
    27: {
        "visible": 17,
        "parts": [62994, 379, 1123, 281, 225, 198, 113, 141, 75, 0, 7, 0, 0, 0,
                  0],
        "gray": {1: 89.1, 2: 68.5, 3: 95.3, 4: 97.4, 5: 109.4, 6: 105.3,
                 7: 102.1},
        "rgb": [161.5, 109.5, 150.6],
        "blocks": [[101.5, 81.5, 97.9, 128.1], [137.3, 97.0, 90.3, 128.1],
                   [164.1, 182.2, 149.0, 149.0], [202.7, 186.5, 172.3, 180.6]],
    },
    999: {
        "visible": 29,
        "parts": [61036, 405, 1269, 221, 225, 230, 161, 146, 148, 503, 354,
                  261, 342, 121, 114],
        "gray": {1: 113.5, 2: 86.6, 3: 115.9, 4: 140.1, 5: 147.9, 6: 149.9,
                 7: 136.2, 8: 154.9, 9: 128.6, 10: 132.6, 11: 155.3,
                 12: 152.4, 13: 37.6, 14: 34.8},
        "rgb": [44.3, 36.6, 42.3],
        "blocks": [[36.3, 23.0, 7.0, 7.2], [35.3, 63.7, 53.9, 5.1],
                   [43.3, 63.6, 92.5, 43.7], [31.2, 50.4, 52.7, 48.4]],
    },
}
# fmt: on


@pytest.fixture(scope="module")
def people():
    return synthetic.frozen()


def decode(data, flag):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def test_definition():
    assert (PROTOCOL.name, PROTOCOL.split) == ("synthetic_v1", "test")
    assert (PROTOCOL.seed, PROTOCOL.count) == (20261120, 1000)
    assert dataclasses.asdict(PROTOCOL.settings) == {
        "size": 256,
        "margin": 1.77,
        "distance_m": (2.2, 12.0),
        "pitch_deg": (6.0, 12.0),
        "roll_deg": 3.0,
        "bearing_deg": (8.0, 5.0),
        "occluded": 0.2,
        "hidden": 0.4,
    }
    assert PROTOCOL.versions == {
        "pose_sampler": 1,
        "appearance": 1,
        "topology": "open-v1",
    }
    assert set(PROTOCOL.versions) == set(synthetic.versions())


@pytest.mark.parametrize("index", PEOPLE)
def test_people(people, index):
    example = people.example(index)
    for name, expected in PEOPLE[index].items():
        actual = getattr(example, name)[: len(expected)]
        assert_close("pinned", actual, expected)


@pytest.mark.parametrize("index", PICTURES)
def test_pictures(people, index):
    example, expected = people.example(index), PICTURES[index]
    assert example.keypoints[:, 2].sum() == expected["visible"]
    parts = decode(example.parts, cv2.IMREAD_UNCHANGED)
    counts = np.bincount(parts.ravel(), minlength=15)
    assert_close("pinned_pixels", counts, expected["parts"])
    picture = decode(example.image, cv2.IMREAD_COLOR)[..., ::-1]
    gray = picture.mean(axis=-1)
    means = [gray[parts == part].mean() for part in expected["gray"]]
    assert_close("pinned_part_gray", means, [*expected["gray"].values()])
    assert_close("pinned_gray", picture.mean(axis=(0, 1)), expected["rgb"])
    blocks = picture.reshape(4, 64, 4, 64, 3).mean(axis=(1, 3, 4))
    assert_close("pinned_gray", blocks, expected["blocks"])


@pytest.mark.parametrize(
    ("module", "constant", "words"),
    [
        (poses, "SAMPLER_VERSION", "pose_sampler 1, this is 2"),
        (appearance, "VERSION", "appearance 1, this is 2"),
    ],
)
def test_another_version_makes_no_other_people(
    monkeypatch, tmp_path, capsys, module, constant, words
):
    monkeypatch.setattr(module, constant, 2)
    with pytest.raises(ValueError, match=f"synthetic_v1 .* {words}"):
        synthetic.frozen()
    command = ["synthetic", "--protocol", "synthetic_v1"]
    command += ["--out", str(tmp_path / "out")]
    assert commands.main(datasets, "training.prepare", command) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_body_makes_no_other_people(monkeypatch, body_data):
    other_body = dataclasses.replace(body_data, topology="mine")
    monkeypatch.setattr(synthetic, "_open_body", lambda: other_body)
    with pytest.raises(ValueError, match="topology open-v1, this is mine"):
        synthetic.frozen()
