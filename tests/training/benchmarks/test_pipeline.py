"""The benchmark of the pipeline: its two sides do the same work."""

import importlib.util

import numpy as np
import pytest

from training.benchmarks import _images, pipeline

SMALL = pipeline.Options(
    count=5, size=120, image_size=48, batch=4, batches=2, rounds=1
)


@pytest.fixture
def pictures(tmp_path):
    _images.write(tmp_path, SMALL.count, SMALL.size, SMALL.seed)
    return tmp_path


def test_without_pytorch_ours_is_timed_alone(monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "torch" else find_spec(name, *a),
    )
    # The next test's.
    monkeypatch.setattr(pipeline, "check_same", lambda *arguments: None)
    assert pipeline.run(SMALL) == {}
    output = capsys.readouterr().out
    assert output.count("ms CPU per image") == 3
    assert output.endswith("pip install -e '.[compare]'\n")


def test_the_sides_agree_and_are_told_when_they_do_not(pictures, monkeypatch):
    pipeline.check_same(pictures, SMALL)
    item = pipeline.PeerItems.item

    def shifted(self, *arguments):
        image, points = item(self, *arguments)
        return np.roll(image, 5, axis=2), points

    monkeypatch.setattr(pipeline.PeerItems, "item", shifted)
    with pytest.raises(ValueError, match="differ by .* gray levels"):
        pipeline.check_same(pictures, SMALL)


def test_the_peer_moves_keypoints_with_the_pixels(pictures):
    """Flip, turn, scale and shift: against a crop without them."""
    items = pipeline.PeerItems(pictures, 48, 5)
    plain, points = items.item(0, 0.0, 1.0, (0, 0), False)
    image, flipped_points = items.item(0, 0.0, 1.0, (0, 0), True)
    # Resampling does not commute with mirroring to the last gray level.
    assert np.abs(image[:, :, ::-1] - plain).max() < 3
    expected = points[items.mirror] * (-1, 1, 1)
    np.testing.assert_allclose(flipped_points, expected, atol=1e-6)
    _, rotated_points = items.item(0, 90.0, 2.0, (0, 0), False)
    visible = points[:, 2] > 0
    expected = 2 * np.stack([-points[:, 1], points[:, 0]], axis=1)
    np.testing.assert_allclose(
        rotated_points[visible, :2], expected[visible], atol=1e-6
    )
