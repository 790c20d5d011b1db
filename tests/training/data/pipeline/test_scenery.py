"""Other backgrounds and objects: the picture changes, no label moves."""

import dataclasses

import cv2
import numpy as np
import pytest

from tests.support import pipeline_batches, record_samples
from tests.support.closeness import assert_close
from tf_hmr.geometry import crop_pixels
from training import config
from training.data.pipeline import augment, pixels, scenery
from training.data.pipeline.batches import train_dataset

STRONG = config.Augment(
    scale=(0.9, 1.1), shift=0.05, rotation_deg=30, rotation_probability=1.0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """People with dots at their keypoints, whose masks are rectangles."""
    labels = np.zeros((record_samples.HEIGHT, record_samples.WIDTH), np.uint8)
    labels[35:105, 50:110] = record_samples.LEFT_PART
    changes = {"parts": record_samples.png(labels)}
    path = tmp_path_factory.mktemp("records") / "samples"
    return record_samples.spoilt(path, 6, dict.fromkeys(range(6), changes))


def batch_of(folder, **changes) -> dict[str, np.ndarray]:
    options, warp = dataclasses.replace(STRONG, **changes), "host"
    source = config.Source(str(folder))
    data = config.Data(
        (source,), 6, options, prior="", parts=True, seed=3, warp=warp
    )
    dataset = train_dataset(data.sources, data, 96)
    return {k: v.numpy() for k, v in next(iter(dataset)).items()}


@pytest.fixture(scope="module")
def plain(folder):
    return batch_of(folder)


@pytest.mark.parametrize(
    "changes", [{"background": 1.0}, {"objects": 1.0}], ids=str
)
def test_no_label_moves(folder, plain, changes):
    """Points, poses, parts and cameras are those without, and pixels are not.

    All of them are turned, mirrored and scaled.
    """
    batch = batch_of(folder, **changes)
    assert set(batch) == set(plain)
    assert len(np.unique(plain["parts"])) == 3  # Left is right when mirrored.
    for name in set(plain) - {"image", "example_id"}:
        assert np.abs(batch[name] - plain[name]).max() == 0, name
    assert len(set(plain["flip"])) == 2
    changed = np.abs(batch["image"].astype(int) - plain["image"]).max(axis=3)
    for row, image in enumerate(changed):
        inside = plain["parts"][row] > 0
        # Edges of the mask are mixed, and a JPEG's blocks blur.
        middle = cv2.erode(inside.astype(np.uint8), np.ones((5, 5))) > 0
        outside = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7))) == 0
        if "background" in changes:
            assert image[middle].max() <= 8
            assert (image[outside] > 8).mean() > 0.5
        else:
            covered = (image > 8).mean()
            assert 0.001 < covered < 0.9
            hidden = (image[middle] > 40).mean()
            assert hidden <= scenery.LARGEST_HIDDEN + 0.1


def test_the_same_step_has_the_same_scenery(folder):
    changes = {"background": 1.0, "objects": 1.0}
    first, second = (batch_of(folder, **changes) for _ in "ab")
    assert_close("exact", first["image"], second["image"])
    images = first["image"].reshape(6, -1)
    assert len({image.tobytes() for image in images}) == 6


def test_a_share_of_the_pictures_changes():
    options = config.Augment(background=0.3, objects=0.7)
    flags = augment.draw(options, [0, 1], 5000).scenery.numpy()
    assert flags[:, 0].mean() == pytest.approx(0.3, abs=0.03)
    assert flags[:, 1].mean() == pytest.approx(0.7, abs=0.03)
    assert len(set(flags[:, 2])) > 4990
    # Independent draws, and the others are as without.
    share_of_both = (flags[:, 0] & flags[:, 1]).mean()
    assert share_of_both == pytest.approx(0.21, abs=0.03)
    plain_draw = augment.draw(config.Augment(), [0, 1], 5000)
    scenery_draw = augment.draw(options, [0, 1], 5000)
    assert_close("exact", plain_draw.shift, scenery_draw.shift)


PERSON = np.zeros((60, 80), np.uint8)
PERSON[15:50, 30:50] = 255
IMAGE = np.full((60, 80, 3), (255, 0, 255), np.uint8)


def picture(path, colour, size=(50, 40)):
    image = np.full((size[1], size[0], len(colour)), colour, np.uint8)
    cv2.imwrite(str(path), image)
    return path


def test_backgrounds_are_pictures_of_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    picture(tmp_path / "deep" / "one.png", (10, 200, 30))
    scene = scenery.Scenery(
        config.Augment(background=1, backgrounds=str(tmp_path))
    )
    composite = scene(IMAGE, PERSON, np.array([1, 0, 5]))
    assert (composite[PERSON > 0] == (255, 0, 255)).all()
    assert (composite[PERSON == 0] == (30, 200, 10)).all()
    # Not asked for, or no mask.
    assert (scene(IMAGE, PERSON, np.array([0, 0, 5])) == IMAGE).all()
    assert (scene(IMAGE, None, np.array([1, 0, 5])) == IMAGE).all()


@pytest.mark.parametrize("alpha", [True, False])
def test_objects_are_pictures_of_a_folder(tmp_path, alpha):
    colour = (10, 200, 30, 255) if alpha else (10, 200, 30)
    picture(tmp_path / "ball.png", colour)
    scene = scenery.Scenery(
        config.Augment(objects=1, object_pictures=str(tmp_path))
    )
    visible_objects = 0
    for seed in range(12):
        composite = scene(IMAGE, PERSON, np.array([0, 1, seed]))
        # At its edges the object is mixed with the picture.
        covered = (composite == (30, 200, 10)).all(axis=2)
        assert covered[PERSON > 0].mean() <= scenery.LARGEST_HIDDEN
        assert (composite == IMAGE).all(axis=2).mean() > 0.2
        visible_objects += covered.any()
    assert visible_objects >= 8


def test_a_folder_without_pictures_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    for path, problem in (
        (tmp_path, "holds no picture"),
        (tmp_path / "no", "is no folder"),
    ):
        with pytest.raises(FileNotFoundError, match=problem) as raised:
            scenery.Scenery(config.Augment(background=1, backgrounds=str(path)))
        assert "data.augment.backgrounds" in str(raised.value)
        assert "\n" not in str(raised.value)
    # A folder that is not used is not looked at.
    scenery.Scenery(config.Augment(backgrounds=str(tmp_path / "no")))


def test_damaged_pictures_are_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    scene = scenery.Scenery(
        config.Augment(background=1, backgrounds=str(tmp_path))
    )
    with pytest.raises(ValueError, match="bad.png"):
        scene(IMAGE, PERSON, np.array([1, 0, 5]))


def test_a_mask_of_another_size_is_counted_and_named(tmp_path, caplog):
    """As a damaged record: its place in the batch is black and unlabelled."""
    small = record_samples.png(np.ones((20, 20), np.uint8))
    path = record_samples.spoilt(tmp_path / "bad", 6, {2: {"parts": small}})
    options = config.Augment(background=1.0)
    data = config.Data(
        (config.Source(str(path)),), 6, options, prior="", max_bad_share=1.0
    )
    batch = next(iter(train_dataset(data.sources, data, 96)))
    row = batch["example_id"].numpy().tolist().index(b"id2")
    assert batch["image"].numpy()[row].max() == 0
    assert batch["has_pose"].numpy()[row] == 0
    assert "parts differ in size from the image" in caplog.text


def test_a_mask_follows_a_reduced_picture():
    """A picture that is four times as large as its crop."""
    codes = np.zeros((400, 600), np.uint8)
    codes[100:300, 200:320] = 3
    to_ndc = np.array([[[2 / 400, 0, -1.5], [0, 2 / 400, -1.0]]])
    windows = crop_pixels.visible_window(to_ndc, np.array([[600, 400]]), 50)
    window = crop_pixels.Window(*(field[0] for field in windows))
    mask = scenery.silhouette(record_samples.png(codes), (600, 400), window)
    image = np.repeat(codes[..., None] * 80, 3, axis=2)
    decoded = pixels.decode_window(
        record_samples.jpeg(image), (600, 400), window
    )
    assert mask.shape == decoded.shape[:2]
    assert ((mask > 128) == (decoded[..., 0] > 120)).mean() > 0.99
    assert int(window.reduction[0]) > 1


def test_a_service_is_refused(folder):
    data = pipeline_batches.two_sources(folder, prior="")
    data = dataclasses.replace(
        data, service="localhost:1", augment=config.Augment(objects=1.0)
    )
    with pytest.raises(ValueError, match=r"data\.service"):
        train_dataset(data.sources, data, 96)


@pytest.mark.parametrize(("share", "is_added"), [(0.45, True), (0.55, False)])
def test_an_object_hides_half_of_the_person_at_most(
    monkeypatch, share, is_added
):
    cover = np.zeros((80, 80), np.uint8)
    # The person is 35 pixels high.
    cover[: 15 + round(share * 35)] = 255
    colours = np.full((80, 80, 3), 7, np.uint8)
    monkeypatch.setattr(
        scenery.appearance, "occluder", lambda *_: (cover, colours)
    )
    scene = scenery.Scenery(config.Augment(objects=1))
    composite = scene(IMAGE, PERSON, np.array([0, 1, 5]))
    assert (composite != IMAGE).any() == is_added
