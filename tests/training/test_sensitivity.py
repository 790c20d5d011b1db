"""Maps are hot where a method looks, and nowhere else."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.support.closeness import assert_close
from tf_hmr import joints, method
from tf_hmr.geometry import crop
from training import sensitivity
from training.evaluation import sensitivity_maps
from training.tasks import sensitivity as task

SIZE = 56
# The pixel that the method below looks at, in pixels of a crop of 224.
EYE_ROW, EYE_COLUMN = 40, 13
EYE_PX = np.array([EYE_ROW + 0.5, EYE_COLUMN + 0.5]) * 4
WRIST = joints.LSP14.index("left_wrist")


class OneEyed:
    """Errs by 30 mm in the left wrist; by 140 more when its pixel is grey."""

    joint_names, input_names = joints.LSP14, ("image",)

    def __init__(self, joints3d):
        index = list(joints.select(joints.LSP14, of=joints.KEYPOINTS))
        self.joints3d = joints3d[index, :3] + [0.2, 0.1, 5]
        self.joints3d[WRIST, 0] += 0.030

    def inputs(self, batch):
        return {"image": batch["image"]}

    def infer(self, inputs):
        images = inputs["image"].numpy()
        predicted_joints = np.tile(self.joints3d, (len(images), 1, 1))
        pixel = images[:, EYE_ROW, EYE_COLUMN, 0]
        predicted_joints[pixel == task.GREY, WRIST, 0] += 0.140
        nothing = tf.zeros(1)
        return method.Prediction(
            nothing,
            nothing,
            nothing,
            tf.constant(predicted_joints),
            nothing,
            nothing,
        )


@pytest.fixture
def person(rng):
    joints3d = np.ones((len(joints.KEYPOINTS), 4), np.float32)
    joints3d[:, :3] = rng.normal(0, 0.3, joints3d[:, :3].shape)
    image = np.full((SIZE, SIZE, 3), 200, np.float32)
    return {"image": image, "joints3d": joints3d}


def expected(square, stride):
    """(P, P) bool: whether a square there covers the pixel's middle."""
    is_within = (
        np.abs(task.square_centres(stride)[:, None] - EYE_PX) <= square / 2
    )
    return is_within[:, :1] & is_within[:, 1]


@pytest.mark.parametrize(("square", "stride"), [(40, 20), (32, 32)])
def test_the_map_is_hot_where_the_square_hides_what_is_seen(
    person, square, stride
):
    seeing = OneEyed(person["joints3d"])
    ((image, plain, grown),) = task.maps(seeing, [person], square, stride)
    assert (image == person["image"]).all()
    assert_close("float32_mm", plain[WRIST], 30)
    hot = expected(square, stride)
    assert hot.any() and not hot.all()
    assert_close("float32_mm", grown[..., WRIST], 140 * hot)
    other_joints = np.delete(grown, WRIST, axis=-1)
    assert_close("float32_mm", other_joints, np.zeros_like(other_joints))


def test_without_labels_a_joint_is_held_to_itself(person):
    seeing = OneEyed(person.pop("joints3d"))
    ((_, plain, grown),) = task.maps(seeing, [person], 40, 20)
    assert_close("float32_mm", plain, np.zeros(14))
    assert_close("float32_mm", grown[..., WRIST].max(), 140)


def test_squares_have_their_size_and_reach_every_pixel():
    image = np.zeros((112, 112, 3), np.uint8)
    crops = task.covered(image, 40, 20)
    count = len(task.square_centres(20))
    assert count == 11 and crops.shape == (count**2, 112, 112, 3)
    grey = (crops == task.GREY).all(axis=-1)
    inner = grey.reshape(count, count, 112, 112)[1:-1, 1:-1]
    sides = inner.any(axis=2).sum(axis=-1), inner.any(axis=3).sum(axis=-1)
    assert all(np.isin(side, (20, 21)).all() for side in sides)
    assert grey.any(axis=0).all()
    # The second is right of the first, the next row below.
    assert np.nonzero(grey[1])[1].mean() > np.nonzero(grey[0])[1].mean()
    assert np.nonzero(grey[count])[0].mean() > np.nonzero(grey[0])[0].mean()


def test_heat_is_drawn_where_the_map_is_hot():
    grown = np.zeros((4, 4))
    grown[0, 3] = 80
    black = np.zeros((32, 32, 3), np.uint8)
    picture = sensitivity_maps.heat(black, grown, 80).astype(int).sum(axis=2)
    assert picture[28, -28] > 3 * picture[-28, 28]
    assert (picture[-28:, :28] == picture[-1, 0]).all()
    cold = sensitivity_maps.heat(black, 0 * grown, 0)
    assert len(np.unique(cold.reshape(-1, 3), axis=0)) == 1


def test_from_the_command_line_to_pictures(
    model_folder, tiny_records, tmp_path
):
    out = tmp_path / "records"
    words = ["--weights", str(model_folder), "--out", str(out)]
    source = ["--records", str(tiny_records / "synthetic_v1")]
    few = ["--people", "3", "--stride", "75"]
    assert sensitivity.main([*words, *source, *few]) == 0
    facts = json.loads((out / "sensitivity.json").read_text())
    assert (facts["people"], facts["places"]) == (3, 9)
    stored = np.load(out / "maps.npz")
    assert stored["grown_mm"].shape == (3, 3, 3, 14)
    assert np.abs(stored["grown_mm"]).max() > 1, "an untrained one answers"
    mean = stored["grown_mm"].mean(axis=0)[..., WRIST]
    assert_close(
        "float32_mm", facts["joints"]["left_wrist"]["most_grown_mm"], mean.max()
    )
    for name in ("maps", "people"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 5


def test_a_photo_is_cropped_at_its_box(model, tmp_path):
    photo = tmp_path / "photo.png"
    random = np.random.default_rng(1)
    pixels = random.integers(0, 255, (90, 120, 3)).astype(np.uint8)
    cv2.imwrite(str(photo), pixels[..., ::-1])
    flags = sensitivity.Sensitivity(model, tmp_path, photo=photo)
    boxed = dataclasses.replace(flags, box=(20, 10, 60, 70))
    (example,) = task.photo_examples(boxed, model)
    box = crop.square_box(boxed.box, model.config.crop_scale)
    expected = crop.crop_image(pixels, box, model.image_size)
    assert (example["image"] == expected).all()
    ((_, plain, grown),) = task.maps(model, [example], 60, 75)
    assert not plain.any() and grown.max() > 1
    (full_example,) = task.photo_examples(flags, model)
    assert (full_example["image"] != example["image"]).any()
    outside = dataclasses.replace(flags, box=(500, 0, 9, 9))
    with pytest.raises(ValueError, match="outside the image"):
        list(task.photo_examples(outside, model))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--records or --photo"),
        (["--photo", "a.jpg", "--records", "b"], "--records or --photo"),
        (["--photo", "a.jpg", "--stride", "0"], "above 0"),
        (["--photo", "a.jpg"], "No model in nowhere"),
    ],
)
def test_errors_are_one_line(words, message, tmp_path, capsys):
    words = ["--weights", "nowhere", "--out", str(tmp_path / "out"), *words]
    assert sensitivity.main(words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
