import numpy as np

from tests.support.closeness import assert_close
from tf_hmr.detection import anchors, windows


def test_a_grid_runs_along_rows():
    expected = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert_close("float64", anchors.grid(2), expected)
    assert_close("float64", anchors.grid(2, 3)[::3], expected)


def test_anchors_of_scales_are_those_of_the_detection_api():
    boxes = anchors.of_scales((19, 10, 5, 3, 2, 1))
    assert boxes.shape == (1917, 4)
    first = [0.5 / 19, 0.5 / 19]
    assert_close("float64", boxes[0], [*first, 0.1, 0.1])
    wide, high = 0.2 * np.sqrt(2), 0.2 / np.sqrt(2)
    assert_close("float64", boxes[1], [*first, wide, high])
    # The last map: one cell, six shapes, the last between 0.95 and 1.
    assert_close("float64", boxes[-6], [0.5, 0.5, 0.95, 0.95])
    assert_close("float64", boxes[-1, 2:], [np.sqrt(0.95)] * 2)


def test_intersection_over_union():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [1, 1, 1, 1]])
    overlap = anchors.intersection_over_union(boxes[0], boxes)
    assert_close("float64", overlap, [1, 1 / 7, 0, 0])


def test_what_overlaps_is_a_group_of_its_best():
    boxes = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [3, 3, 3, 3]], float
    )
    scores = np.array([0.6, 0.9, 0.7, 0.5])
    groups = anchors.suppress(boxes, scores, 0.3)
    assert [group.tolist() for group in groups] == [[1, 0], [2], [3]]


def test_everybody_who_is_small_lies_whole_in_a_window(rng):
    size, side = (1000, 430), 300.0
    views = windows.cover(size, side)
    corners = np.array([(w.x - side / 2, w.y - side / 2) for w in views])
    assert (corners >= -1e-9).all()
    assert (corners + side <= np.array(size) + 1e-9).all()
    extent = side * windows.OVERLAP
    for low in rng.uniform(0, np.array(size) - extent, (200, 2)):
        is_in = (corners <= low) & (low + extent <= corners + side)
        assert is_in.all(axis=1).any()


def test_a_window_larger_than_the_photo_is_one():
    assert windows.cover((40, 30), 50) == [(20, 15, 50, 0)]
    assert windows.full((40, 30)) == (20, 15, 40, 0)
