import cv2
import numpy as np
import pytest

from tests.support import photos
from tests.support.closeness import assert_close
from tf_hmr import inference, joints, rendering
from training import visualization

SIZE = 96


@pytest.fixture
def crop():
    return photos.image(64, 64)


@pytest.fixture
def prediction(model, crop):
    return inference.example(model({"image": crop[None].astype(np.float32)}), 0)


def panels_of(picture):
    """The three panels of an overlay, without the gaps."""
    step = (picture.shape[1] - SIZE) // 2
    return [picture[:, i * step : i * step + SIZE] for i in range(3)]


def test_overlay_shows_input_mesh_and_side(crop, prediction, body_data):
    picture = visualization.overlay(
        crop, prediction, body_data.faces, size=SIZE
    )
    assert picture.dtype == np.uint8
    input_panel, mesh, side = panels_of(picture)
    expected = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(input_panel, expected)
    changed = (mesh != input_panel).any(axis=-1)
    # Every predicted joint but those in the skin lies within the mesh.
    inside = [
        prediction_place(prediction, name)
        for name in ("left_hip", "right_hip", "left_knee", "right_elbow")
    ]
    assert all(changed[y, x] for x, y in inside)
    assert 0.05 < changed.mean() < 0.6
    expected = rendering.side_view(prediction.vertices, body_data.faces, SIZE)
    np.testing.assert_array_equal(side, expected)


def prediction_place(prediction, name):
    """(x, y) of a joint in a panel."""
    ndc = prediction.keypoints[joints.COCOPLUS19.index(name)]
    return np.rint((ndc + 1) / 2 * SIZE - 0.5).astype(int)


def test_overlay_takes_float_images(crop, prediction, body_data):
    of_bytes = visualization.overlay(
        crop, prediction, body_data.faces, size=SIZE
    )
    floats = crop.astype(np.float32)
    of_floats = visualization.overlay(
        floats, prediction, body_data.faces, size=SIZE
    )
    np.testing.assert_array_equal(of_bytes, of_floats)


def test_truth_is_drawn_where_it_is_and_only_when_visible(
    prediction, body_data
):
    grey = np.full((64, 64, 3), 128, np.uint8)
    truth = np.zeros((len(joints.KEYPOINTS), 3), np.float32)
    truth[joints.KEYPOINTS.index("nose")] = (0.5, -0.25, 1)
    truth[joints.KEYPOINTS.index("left_wrist")] = (-0.5, 0.5, 0)
    plain, marked = (
        panels_of(
            visualization.overlay(grey, prediction, body_data.faces, t, SIZE)
        )[0]
        for t in (None, truth)
    )
    # Further from grey than the faint fringe of OpenCV's smooth circles.
    difference = np.abs(plain.astype(int) - marked).max(axis=-1)
    rows, columns = np.nonzero(difference > 40)
    # ndc (0.5, -0.25) of 96 px is pixel (71.5, 35.5).
    assert_close("pixel", [columns.mean(), rows.mean()], [71.5, 35.5])
    assert np.ptp(columns) <= 4


def test_example_picks_one_of_a_batch(model, rng):
    images = rng.uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)
    batch = model({"image": images})
    one = inference.example(batch, 2)
    for name in ("rotmats", "betas", "camera", "vertices", "keypoints"):
        np.testing.assert_array_equal(
            getattr(one, name), getattr(batch, name).numpy()[2]
        )


def test_percentiles_pick_the_right_examples(rng):
    errors = rng.permutation(np.arange(1.0, 101.0))
    rows = visualization.percentile_rows(errors, (1, 15, 30, 60, 90, 95, 100))
    assert {p: errors[row] for p, row in rows.items()} == {
        p: float(p) for p in rows
    }


def test_percentiles_pass_over_missing_errors():
    errors = np.array([np.nan, 5.0, np.nan, 3.0])
    assert visualization.percentile_rows(errors, (0, 50, 51, 100)) == {
        0: 3,
        50: 3,
        51: 1,
        100: 1,
    }
    with pytest.raises(ValueError, match="finite"):
        visualization.percentile_rows(np.array([np.nan]))


def test_percentile_sheet_draws_each_example_once_in_order():
    errors = np.arange(100.0, 0.0, -1.0)
    drawn_rows = []

    def draw(row):
        drawn_rows.append(row)
        return np.full((20, 30, 3), row, np.uint8)

    sheet = visualization.percentile_sheet(errors, draw)
    assert [errors[row] for row in drawn_rows] == [15, 30, 60, 90, 95]
    sheet_rows = [sheet[y, 15, 0] for y in range(len(sheet))]
    positions = [sheet_rows.index(row) for row in drawn_rows]
    assert positions == sorted(positions)


def test_sheet_keeps_pictures_and_fills_with_white():
    red = np.full((10, 300, 3), (200, 0, 0), np.uint8)
    blue = np.full((20, 200, 3), (0, 0, 200), np.uint8)
    rows = [("first", red), ("second", blue), ("third", red)]
    sheet = visualization.sheet(rows, "title", columns=2)
    for colour, count in (((200, 0, 0), 2 * 3000), ((0, 0, 200), 4000)):
        assert (sheet == colour).all(axis=-1).sum() == count
    strip = sheet[: 2 * visualization._CAPTION_PX, :300]
    assert (strip < 128).any(), "no caption is written"
    assert (sheet[-20:, -200:] == 255).all(), "the spare cell is not white"
    with pytest.raises(ValueError, match="at least one"):
        visualization.sheet([])


def test_long_captions_shrink_into_their_strip():
    strip = visualization.caption("a caption that is far too long " * 4, 200)
    assert strip.shape[1] == 200
    ink = np.nonzero((strip < 200).any(axis=(0, 2)))[0]
    assert 150 < ink.max() < 200


def test_curve_draws_lines_and_baselines(tmp_path):
    points = {"MPJPE": ([1, 2, 3], [300, 200, 150])}

    def read_curve(baselines, name):
        path = visualization.curve(points, baselines, tmp_path / "new" / name)
        return cv2.imread(str(path))

    plain = read_curve({}, "a.png")
    assert plain.shape[0] > 400
    assert plain.std() > 5
    with_line = read_curve({"MPJPE": 250.0}, "b.png")
    changed = (plain != with_line).any(axis=-1)
    assert changed.sum(axis=1).max() > plain.shape[1] / 3
