"""The vectors that phones are held to: run.py's own, of every state."""

import numpy as np
import pytest

from edge import run
from tests.support.closeness import assert_close
from tests.support.phone_vectors import arrays, tracks


@pytest.fixture(scope="module")
def crops(phone_vectors_of):
    return phone_vectors_of("crops")


@pytest.fixture(scope="module")
def recorded(phone_vectors_of):
    return phone_vectors_of("tracks")


def test_crops_and_inputs_are_run_s(crops):
    content = arrays.load(crops)
    assert len(content["crops"]) == 24
    for entry in content["crops"]:
        image = arrays.read(crops, entry["image"])
        crop = run.crop_image(image, tuple(entry["square"]), entry["size"])
        np.testing.assert_array_equal(crop, arrays.read(crops, entry["crop"]))
    for entry in content["inputs"]:
        inputs = run.inputs_of(
            np.zeros(0), entry["square"], entry["size"], entry["focal"]
        )
        for name in ("box", "image_size", "intrinsics"):
            assert_close("relative_float32", entry[name], inputs[name])


class Recorded:
    """A model that answers as it did."""

    def __init__(self, folder, entry):
        self._folder, self.frame = folder, None
        self.size = entry["model"]["size"]
        self.crop_scale = entry["model"]["crop_scale"]

    def focal_px(self, size):
        return run.FOCAL_OVER_SIDE * max(size)

    def __call__(self, crop, square, size):
        assert square == tuple(self.frame["square"])
        expected = arrays.read(self._folder, self.frame["crop"])
        np.testing.assert_array_equal(crop, expected)
        return {
            name: arrays.read(self._folder, entry)
            for name, entry in self.frame["outputs"].items()
        }


def test_recorded_answers_give_the_recorded_tracks(recorded):
    for entry in arrays.load(recorded)["tracks"]:
        model = Recorded(recorded, entry)
        track = run.Track(entry["start_box"], entry["smooth"])
        for frame in entry["frames"]:
            model.frame = frame
            image = arrays.read(recorded, frame["image"])
            record = track.update(model, image, frame["time_s"])
            del record["ms"]
            assert set(record) == set(frame["record"])
            for key, value in record.items():
                np.testing.assert_equal(
                    np.array(frame["record"][key]), np.array(value)
                )
            assert track.box == frame["next_box"]
            if track.mesh:
                pixels = arrays.read(recorded, frame["mesh"]["pixels"])
                np.testing.assert_array_equal(pixels, track.mesh[1])


def test_every_state_and_reason_is_there(recorded):
    entries = arrays.load(recorded)["tracks"]
    frames = [frame for entry in entries for frame in entry["frames"]]
    states = {frame["record"]["state"] for frame in frames}
    assert states == {"start", "tracked", "lost"}
    kinds = {f["reason_kind"] for f in frames if "reason_kind" in f}
    assert kinds == set(tracks.REASON_KINDS.values())
    walk = entries[0]
    assert (walk["name"], len(walk["frames"])) == ("walk", 30)
    assert [f["record"]["state"] for f in walk["frames"][1:]] == (
        29 * ["tracked"]
    )
    drawn_frames = [f for f in walk["frames"] if "drawn" in f]
    for frame in drawn_frames:
        share = (arrays.read(recorded, frame["drawn"]) > 0).any(axis=-1).mean()
        assert 0.01 < share < 0.1
