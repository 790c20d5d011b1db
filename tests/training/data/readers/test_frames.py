"""Pictures and video frames as records store them, labels moved along."""

import dataclasses

import cv2
import numpy as np
import pytest

from tests.support import photos, record_samples
from tf_hmr import joints
from tf_hmr.geometry import crop
from training.data.pipeline import pixels
from training.data.readers import frames, writing
from training.data.records import schema

# Where the small picture of record_samples lies in a large one.
CORNER = np.array([700, 410])
SIZE = (1400, 1100)


def fields(points, box, **more):
    named = {"keypoints": points, "box": box, "example_id": "id"}
    return named | {"dataset": "samples"} | more


@pytest.fixture(scope="module")
def large():
    """A large picture with a dot at each keypoint, parts, and labels."""
    points = record_samples.keypoints(np.random.default_rng(3))
    image, labels = record_samples.draw(points)
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    parts = np.zeros(SIZE[::-1], np.uint8)
    (left, top), (height, width) = CORNER, labels.shape
    picture[top : top + height, left : left + width] = image
    parts[top : top + height, left : left + width] = labels
    points[:, :2] += CORNER
    box = np.array(record_samples.BOX) + [*CORNER, 0, 0]
    return picture, parts, points, box


def write(path, picture):
    path.write_bytes(record_samples.jpeg(picture))
    return path


def test_a_small_jpeg_is_stored_byte_for_byte(tmp_path):
    sample = record_samples.example(1)
    path = tmp_path / "a.jpg"
    path.write_bytes(sample.image)
    labels = fields(sample.keypoints, sample.box, intrinsics=sample.intrinsics)
    example = frames.example(path, **labels)
    assert example.image == sample.image
    assert (example.width, example.height) == (sample.width, sample.height)
    np.testing.assert_array_equal(example.keypoints, sample.keypoints)


def test_a_large_picture_is_cut_and_its_labels_move_along(large, tmp_path):
    picture, parts, points, box = large
    camera = (900.0, 901.0, 700.0, 550.0)
    for source in (write(tmp_path / "a.jpg", picture), picture[..., ::-1]):
        example = frames.example(
            source, parts, **fields(points, box, intrinsics=camera)
        )
        side = frames.ROOM * max(box[2:])
        assert side <= example.width <= side + 2
        view = crop.square_box((0, 0, example.width, example.height))
        image = pixels.decode_jpeg(
            example.image, (example.width, example.height)
        )
        image = crop.crop_image(image, view, 256)
        keypoints = example.keypoints.copy()
        keypoints[:, :2] = crop.pixels_to_ndc(keypoints[:, :2], view)
        radius = record_samples.RADIUS * 256 / view[2]
        errors = record_samples.dot_errors(image, keypoints, radius)
        assert len(errors) == len(points) and errors.max() < 0.35  # of 256
        # The camera still sees the same rays.
        rays = (points[:, :2] - camera[2:]) / camera[:2]
        focal, centre = example.intrinsics[:2], example.intrinsics[2:]
        np.testing.assert_allclose(
            example.keypoints[:, :2], rays * focal + centre, atol=0.001
        )
        labels = cv2.imdecode(np.frombuffer(example.parts, np.uint8), -1)
        column, row = np.rint(example.keypoints[:, :2]).astype(int).T
        colours = (
            record_samples.LEFT_PART,
            record_samples.RIGHT_PART,
            record_samples.MIDDLE_PART,
        )
        expected = np.array(colours)[record_samples.SIDES]
        np.testing.assert_array_equal(labels[row, column], expected)


def test_what_is_still_large_is_shrunk(large):
    picture, parts, points, box = large
    wide = np.array([300, 100, 800, 900.0])
    camera = (900.0, 901.0, 700.0, 550.0)
    labels = fields(points, wide, intrinsics=camera)
    example = frames.example(picture[..., ::-1], parts, **labels)
    assert max(example.width, example.height) == frames.LARGEST_PX
    rays = (points[:, :2] - camera[2:]) / camera[:2]
    expected = rays * example.intrinsics[:2] + example.intrinsics[2:]
    np.testing.assert_allclose(example.keypoints[:, :2], expected, atol=0.001)
    image = pixels.decode_jpeg(example.image, (example.width, example.height))
    lit = image.max(axis=-1) > 100
    column, row = np.rint(example.keypoints[:, :2]).astype(int).T
    assert lit[row, column].all() and lit.mean() < 0.05
    corner = example.box[:2] - 0.5
    ray = (corner - example.intrinsics[2:]) / example.intrinsics[:2]
    expected = (wide[:2] - 0.5 - camera[2:]) / camera[:2]
    np.testing.assert_allclose(ray, expected, atol=1e-5)


def test_a_cached_crop_keeps_dots_and_labels_in_their_places(large):
    """Cut by a reader and then once more: the labels follow the pixels."""
    picture, parts, points, box = large
    camera = (900.0, 901.0, 700.0, 550.0)
    stored = frames.example(
        picture[..., ::-1], parts, **fields(points, box, intrinsics=camera)
    )
    cached = frames.cached_crop(stored, 250)
    assert max(cached.width, cached.height) == 250
    image = pixels.decode_jpeg(cached.image, (cached.width, cached.height))
    column, row = np.rint(cached.keypoints[:, :2]).astype(int).T
    assert (image.max(axis=-1)[row, column] > 100).all()
    labels = cv2.imdecode(np.frombuffer(cached.parts, np.uint8), -1)
    colours = (
        record_samples.LEFT_PART,
        record_samples.RIGHT_PART,
        record_samples.MIDDLE_PART,
    )
    expected = np.array(colours)[record_samples.SIDES]
    np.testing.assert_array_equal(labels[row, column], expected)
    # The camera still sees the same rays.
    rays = (points[:, :2] - camera[2:]) / camera[:2]
    focal, centre = cached.intrinsics[:2], cached.intrinsics[2:]
    np.testing.assert_allclose(
        cached.keypoints[:, :2], rays * focal + centre, atol=0.002
    )
    # And the cut says where it lies in the picture of the dataset.
    assert cached.original_size.tolist() == list(SIZE)
    scale = cached.cut[2:] / [cached.width, cached.height]
    in_picture = cached.cut[:2] + (cached.keypoints[:, :2] + 0.5) * scale - 0.5
    np.testing.assert_allclose(in_picture, points[:, :2], atol=0.01)


def test_a_cut_of_a_cut_says_where_it_lies_in_the_photo():
    """A small person amid a picture that is half as large as its cut was."""
    size = np.array([record_samples.WIDTH, record_samples.HEIGHT])
    corner = np.array([300, 200])
    stored = dataclasses.replace(
        record_samples.example(0),
        box=np.array([70.0, 50.0, 20.0, 30.0]),
        cut=np.array([*corner, *(2 * size)]),
        original_size=np.array([1000, 800]),
    )
    cached = frames.cached_crop(stored, frames.LARGEST_PX)
    assert cached.width < size[0] and cached.height < size[1]
    scale = cached.cut[2:] / [cached.width, cached.height]
    in_photo = cached.cut[:2] + (cached.keypoints[:, :2] + 0.5) * scale
    expected = corner + 2 * (stored.keypoints[:, :2] + 0.5)
    np.testing.assert_allclose(in_photo, expected, atol=1e-3)


def test_a_cached_crop_of_damaged_bytes_is_refused(large):
    picture, parts, points, box = large
    stored = frames.example(picture[..., ::-1], parts, **fields(points, box))
    stored.image = stored.image[:100]
    with pytest.raises(pixels.BadImage):
        frames.cached_crop(stored, 250)


def test_a_small_png_is_encoded_whole(tmp_path):
    sample = record_samples.example(1)
    image = pixels.decode_jpeg(sample.image, (sample.width, sample.height))
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), image[..., ::-1])
    example = frames.example(path, **fields(sample.keypoints, (50, 50, 20, 20)))
    assert (example.width, example.height) == (sample.width, sample.height)
    np.testing.assert_array_equal(example.keypoints, sample.keypoints)
    decoded = pixels.decode_jpeg(example.image, (sample.width, sample.height))
    assert (
        np.abs(decoded.astype(int) - image).mean() < 4
    )  # small saturated dots


def test_keypoints_outside_are_invisible(large):
    picture, _, points, box = large
    moved_points = points.copy()
    moved_points[3, 0], moved_points[4, 1] = -0.6, SIZE[1] - 0.4
    moved_points[5, 0] = -0.4
    example = frames.example(picture, **fields(moved_points, box))
    assert example.keypoints[3:6, 2].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "content", "box", "cause"),
    [
        ("a.jpg", None, (0, 0, 9, 9), "the picture's file is missing"),
        ("a.jpg", b"", (0, 0, 9, 9), "picture does not decode"),
        ("a.jpg", b"\xff\xd8\xff", (0, 0, 9, 9), "JPEG does not decode"),
        ("a.png", b"\x89PNG\r\n", (0, 0, 9, 9), "picture does not decode"),
        ("", None, (0, 0, 9, 9), "the video lacks the frame"),
        ("good", None, (0, 0, 0, 9), "the box is empty or not finite"),
        ("good", None, (0, np.nan, 9, 9), "the box is empty or not finite"),
        ("good", None, (999, 0, 9, 9), "the box lies outside the picture"),
    ],
)
def test_who_cannot_be_stored_is_left_out(tmp_path, name, content, box, cause):
    source = tmp_path / name if name else None
    if content is not None:
        source.write_bytes(content)
    if name == "good":
        source.write_bytes(record_samples.example(1).image)
    skipped = frames.example(source, **fields(None, box))
    assert skipped == writing.Skipped("id", cause)


def test_names_that_lead_to_no_file_are_left_out(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("loop.jpg", "folder.jpg"):
        fields = {"box": (0, 0, 9, 9), "dataset": "x", "example_id": name}
        skipped = frames.example(tmp_path / name, **fields)
        cause = "the picture's file cannot be opened"
        assert skipped == writing.Skipped(name, cause)


def test_a_large_jpeg_that_is_cut_short_is_left_out(large, tmp_path):
    picture, _, points, box = large
    path = tmp_path / "a.jpg"
    path.write_bytes(record_samples.jpeg(picture)[:-100])
    skipped = frames.example(path, **fields(points, box))
    assert skipped == writing.Skipped("id", "JPEG is cut short")


@pytest.mark.parametrize("size", [(96, 128), (900, 700)])
def test_whole_jpegs_of_phones_are_stored(tmp_path, size):
    jpegs = photos.whole_jpegs(photos.image(*size))
    for number, content in enumerate(jpegs.values()):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        person = frames.example(path, **fields(None, (10, 10, 50, 80)))
        person = writing.checked(person)
        assert isinstance(person, schema.Example)
        if max(size) <= frames.LARGEST_PX:
            assert person.image == content
        shape = person.width, person.height
        image = pixels.decode_jpeg(person.image, shape)
        assert image.shape == (*shape[::-1], 3)


@pytest.mark.parametrize("size", [(320, 400), (900, 700)])
def test_cut_and_damaged_jpegs_are_left_out_and_counted(tmp_path, size):
    bad = photos.bad_jpegs(photos.image(*size))
    for number, content in enumerate(bad.values()):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        person = frames.example(path, **fields(None, (10, 10, 50, 80)))
        assert writing.checked(person) in (
            writing.Skipped("id", "JPEG is cut short"),
            writing.Skipped("id", "JPEG is damaged"),
        )


def test_bombs_are_left_out(tmp_path):
    bombs = photos.jpeg_of_size(30_000, 30_000), photos.png_of_billions()
    for number, content in enumerate(bombs):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        person = frames.example(path, **fields(None, (10, 10, 50, 80)))
        assert isinstance(person, writing.Skipped)
        assert "300 megapixels" in person.cause


def numbered(count):
    """Frames that show their number as bars."""
    for number in range(count):
        frame = np.zeros((64, 176, 3), np.uint8)
        for bit in range(11):
            frame[:, 16 * bit : 16 * bit + 16] = 255 * (number >> bit & 1)
        yield frame


def shown_number(frame):
    bars = frame.reshape(64, 11, 16, 3).mean(axis=(0, 2, 3)) > 128
    return int((bars << np.arange(11)).sum())


@pytest.mark.parametrize(
    ("ending", "code"), [(".mp4", "mp4v"), (".avi", "MJPG"), (".avi", "XVID")]
)
def test_the_frames_asked_for_are_the_frames_given(tmp_path, ending, code):
    path = tmp_path / f"film{ending}"
    fourcc = cv2.VideoWriter.fourcc(*code)
    writer = cv2.VideoWriter(str(path), fourcc, 50, (176, 64))
    for frame in numbered(900):
        writer.write(frame)
    writer.release()
    for numbers in ([0, 5, 10], [7, 8], [400, 405, 899], [0, 650]):
        film_frames = frames.read_video(path, numbers)
        assert [shown_number(frame) for frame in film_frames] == numbers
    assert list(frames.read_video(path, [950, 960])) == [None, None]
    first, last = frames.read_video(path, [898, 900])
    assert shown_number(first) == 898 and last is None


def test_a_damaged_video_has_no_frames(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film" * 100)
    assert list(frames.read_video(path, [0, 5])) == [None, None]
    missing = frames.read_video(tmp_path / "none.avi", [3])
    assert list(missing) == [None]


def test_points_are_placed_by_name():
    names = ("left_knee", "tail", "nose")
    keypoints = frames.by_name(
        names, np.array([[1, 2], [3, 4], [5, 6]]), [1, 1, 0]
    )
    assert keypoints[joints.KEYPOINTS.index("left_knee")].tolist() == [1, 2, 1]
    assert keypoints[:, 2].sum() == 1
