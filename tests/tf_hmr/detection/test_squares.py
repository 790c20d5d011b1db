import numpy as np
import pytest

from tests.support.closeness import assert_close
from tf_hmr.detection import squares


def dot(width, height, x, y, deviation):
    """A bright dot on black, at x, y of pixel centres."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    squared = (columns - x) ** 2 + (rows - y) ** 2
    value = 255 * np.exp(-squared / (2 * deviation**2))
    return np.repeat(np.uint8(value)[..., None], 3, axis=2)


@pytest.mark.parametrize("rim", [(50, 20), (90, 60), (50, 130), (20, 25)])
def test_the_rim_is_straight_above_the_middle(rim):
    square = squares.of_circle((50, 60), rim)
    # In an image of side 2 ROOM the circle's radius is 1.
    to_photo = square.to_photo(2)
    above = to_photo @ [1, 1 - 1 / squares.ROOM, 1]
    assert_close("float64", above, rim)
    assert_close("float64", to_photo @ [1, 1, 1], (50, 60))


def test_a_box_lies_in_its_square():
    x, y, side, angle = squares.of_box((10, 20, 30, 80))
    assert (x, y, angle) == (25, 60, 0)
    assert side > 80


@pytest.fixture
def scattered():
    """Squares of many centres, sides and angles."""
    rng = np.random.default_rng(5)
    low, high = (-50, -50, 8, -np.pi), (700, 500, 900, np.pi)
    return [squares.Square(*rng.uniform(low, high)) for _ in range(200)]


def test_a_rounded_square_is_the_nearest_of_its_grid(scattered):
    for square in scattered:
        rounded = square.rounded()
        assert rounded.rounded() == rounded
        assert all((4 * number).is_integer() for number in rounded[:3])
        differences = np.abs(np.subtract(rounded, square))
        assert (differences[:3] <= 1 / 8).all()
        assert differences[3] <= np.pi / 2048


def test_rounding_of_float32_gives_the_same_rounded_square(scattered):
    rng = np.random.default_rng(6)
    for square in scattered:
        other = np.array(square) + rng.uniform(-1, 1, 4) * [*3 * [1e-5], 1e-7]
        assert squares.Square(*other).rounded() == square.rounded()


def test_a_rounded_square_has_a_side_and_keeps_quarter_turns():
    assert squares.Square(3, 4, 0.01).rounded().side > 0
    for turns in range(-2, 3):
        angle = turns * np.pi / 2
        assert squares.Square(3, 4, 5, angle).rounded().angle == angle


@pytest.mark.parametrize(
    "side, angle", [(60, 0), (90, 0.7), (300, -2.0), (800, 3.0)]
)
def test_a_crop_shows_places_where_to_photo_says(side, angle):
    at = np.array([402.3, 251.6])
    image = dot(640, 430, *at, deviation=max(2, side / 25))
    square = squares.Square(at[0] + 0.1 * side, at[1] - 0.2 * side, side, angle)
    crop = squares.Pyramid(image).crop(square, 128)[..., 0].astype(float)
    rows, columns = np.mgrid[:128, :128] + 0.5
    weights = crop / crop.sum()
    middle = [(weights * columns).sum(), (weights * rows).sum()]
    measured = square.to_photo(128) @ [*middle, 1] - 0.5
    # A quarter of a pixel of the crop: 8 bits and interpolation.
    assert np.linalg.norm(measured - at) < side / 128 / 4


def test_outside_the_photo_is_black():
    image = np.full((40, 30, 3), 200, np.uint8)
    crop = squares.Pyramid(image).crop(squares.Square(15, 20, 60), 60)
    assert (crop[:9] == 0).all() and (crop[:, :14] == 0).all()
    assert (crop[11:49, 16:44] == 200).all()


def test_a_fine_pattern_becomes_grey():
    image = np.zeros((512, 512, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    crop = squares.Pyramid(image).crop(squares.Square(256, 256, 300, 0.3), 64)
    assert np.ptp(crop.astype(int)) < 26  # A tenth; without a filter, 255.


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 2)])
def test_photos_of_a_line(size):
    image = np.full((*size, 3), 90, np.uint8)
    crop = squares.Pyramid(image).crop(
        squares.Square(size[1] / 2, size[0] / 2, max(size)), 64
    )
    assert crop.shape == (64, 64, 3) and crop.max() > 0


def test_an_inverse_brings_points_back():
    affine = squares.Square(12, 34, 56, 0.7).to_photo(100)
    point = np.array([3.0, 70.0])
    back = squares.inverse(affine) @ [*(affine @ [*point, 1]), 1]
    assert_close("float64", back, point)
