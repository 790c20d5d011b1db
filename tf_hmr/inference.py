"""Recovers people from a photo: crop, predict, place in the full image."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence

import numpy as np

from tf_hmr import method
from tf_hmr.formats import image_files
from tf_hmr.geometry import camera, crop, rotations

FOCAL_OVER_SIDE = 5000 / 224
"""Focal length over the photo's longer side: 5000 px at 224 px.

akanazawa/hmr: src/util/renderer.py renders with 500 px at 224 px; SPIN and
its successors with 5000 px at 224 px, which is nearer to the weak perspective
that the network predicts. A photo alone does not show its focal length.
"""

FAR_FROM_SQUARE = 1.5
"""Aspect ratio above which a whole photo is unlikely to be one person's box."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Person:
    """One recovered person.

    Camera frame: x right, y down, z forward, metres. Pixels are those of the
    upright photo; the centre of its first pixel is (0, 0).
    """

    box: tuple[float, float, float, float]
    """The requested box: x, y, w, h in pixel edges."""
    crop_box: tuple[float, float, float, float]
    """The square that the model saw, same convention; may leave the photo."""
    image_size: tuple[int, int]
    """Width and height of the photo."""
    camera: np.ndarray
    """(3,) weak perspective (s, tx, ty) within `crop_box`: s (xy + t)."""
    translation: np.ndarray
    """(3,) metres; `vertices + translation` stand in the photo's camera."""
    focal_px: float
    """Focal length of the photo's camera."""
    principal_point: tuple[float, float]
    """Its principal point in pixels: the photo's centre."""
    rotmats: np.ndarray
    """(J, 3, 3) parent-relative rotations in the order of the body's
    `data.joint_names`; the first is global."""
    pose: np.ndarray
    """(J, 3) the same as rotation vectors."""
    betas: np.ndarray
    """(P,) shape coefficients."""
    joints: np.ndarray
    """(K, 3) named by `joint_names`."""
    keypoints_px: np.ndarray
    """(K, 2) projected joints in the photo."""
    vertices: np.ndarray
    """(V, 3) before `translation`."""
    joint_names: tuple[str, ...]
    """Names of `joints` and `keypoints_px`."""
    faces: np.ndarray
    """(F, 3) triangles of `vertices`."""
    topology: str
    """Tag of the mesh that `vertices` and `betas` belong to."""

    @property
    def camera_vertices(self) -> np.ndarray:
        """(V, 3) vertices in the camera of the full photo, metres."""
        return self.vertices + self.translation

    def check(self) -> None:
        """Refuses a person that cannot be drawn: a network may answer anything.

        Raises:
            ValueError: a number is not finite, or the camera's scale is not
                positive; the message says which.
        """
        numbers = {
            name: getattr(self, name)
            for name in ("vertices", "joints", "camera", "rotmats", "betas")
        }
        not_finite = [n for n, v in numbers.items() if not np.isfinite(v).all()]
        if not_finite:
            raise ValueError(
                f"the model's {', '.join(not_finite)} are not finite. Expected "
                "numbers: are the weights those of a run that went well?"
            )
        # A positive scale may be so small that its inverse overflows.
        if self.camera[0] <= 0 or not np.isfinite(self.translation).all():
            raise ValueError(
                f"the model's camera has scale s = {self.camera[0]:g}, which "
                "puts the body behind the camera or at infinity. Expected "
                "s > 0: is the box that of a person, and was the model "
                "trained long enough?"
            )


def recover(
    model: method.Method,
    photo: str | pathlib.Path | np.ndarray,
    boxes: Sequence[Sequence[float]] | None = None,
    batch_size: int = 8,
    focal_px: float | None = None,
    landmarks: list[np.ndarray] | None = None,
) -> list[Person]:
    """Recovers the people of one photo.

    Args:
        model: a method with weights, as `tf_hmr.load` returns it.
        photo: a path, or (H, W, 3) uint8 RGB.
        boxes: (x, y, w, h) of each person in pixels of the upright photo.
            None takes the whole photo as the crop of one person, and warns
            when it is far from square.
        batch_size: most people in one call of the model.
        focal_px: focal length of the photo's camera, if known.
        landmarks: (33, 7) for each box, for a method that reads them: as in
            method_inputs.INPUTS, but x and y in pixels of the photo.

    Returns:
        One Person for each box, in their order.

    Raises:
        FileNotFoundError, ValueError: the photo cannot be read, or a box is
            not a box or lies outside the photo, or the focal length or the
            batch size is no positive number, or the method reads landmarks
            and there are none, or reads the labelled global rotation; the
            message says which.
    """
    camera.check_focal(focal_px)
    if batch_size < 1:
        raise ValueError(
            f"The batch size is {batch_size}, expected at least one person in "
            "a call of the model."
        )
    is_array = isinstance(photo, np.ndarray)
    image = photo if is_array else image_files.read_photo(photo)
    size = image_size(image)
    if boxes is None:
        boxes = [
            _whole_photo_box(size, "The photo" if is_array else str(photo))
        ]
        crop_boxes = [crop.square_box(boxes[0])]
    else:
        for box in boxes:
            crop.check_box(box, size)
        scale = model.config.crop_scale
        crop_boxes = [crop.square_box(box, scale) for box in boxes]
    intrinsics = _intrinsics(size, focal_px)
    if focal_px is None:
        focal_px = FOCAL_OVER_SIDE * max(size)
        if "intrinsics" in model.input_names:
            # Such a method predicts for this camera.
            focal_px = float(intrinsics[0])
    people = []
    for start in range(0, len(boxes), batch_size):
        batch_boxes = crop_boxes[start : start + batch_size]
        inputs = crop_inputs(
            model,
            image,
            batch_boxes,
            intrinsics,
            landmarks and landmarks[start : start + batch_size],
        )
        # Padded to a power of two, because each new batch size is traced.
        padding = (1 << (len(batch_boxes) - 1).bit_length()) - len(batch_boxes)
        inputs = {
            name: np.concatenate([rows, *[rows[-1:]] * padding])
            for name, rows in inputs.items()
        }
        prediction = model(inputs, training=False)
        for row, crop_box in enumerate(batch_boxes):
            row_prediction = example(prediction, row)
            box = boxes[start + row]
            people.append(
                person(model, row_prediction, box, crop_box, size, focal_px)
            )
    return people


def crop_inputs(
    model: method.Method,
    image: np.ndarray,
    crop_boxes: Sequence[crop.Box],
    intrinsics: np.ndarray | None = None,
    landmarks: Sequence[np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Inputs of a method, from a photo and the crops of its people.

    Args:
        model: the method; its `input_names` are made.
        image: (H, W, 3) uint8 RGB.
        crop_boxes: N square boxes.
        intrinsics: (4,) fx, fy, cx, cy of the photo in pixels; default:
            camera.default_intrinsics.
        landmarks: N arrays, as in `recover`.

    Returns:
        (N, ...) float32 by name of method_inputs.INPUTS.

    Raises:
        ValueError: the method reads landmarks and there are none, or reads
            a label, which no photo has.
    """
    size = image_size(image)
    if intrinsics is None:
        intrinsics = camera.default_intrinsics(size)
    if "global_rotation" in model.input_names:
        raise ValueError(
            "The method reads the labelled global rotation of a body, which "
            "no photo has (true_root=True). Pass a model without it."
        )
    if "depth" in model.input_names:
        raise ValueError(
            "The method reads the labelled distance of a body, which no photo "
            "has (crop='truth'). Pass a model of crop='estimated'."
        )
    makers = {
        "image": lambda n: crop.crop_image(
            image, crop_boxes[n], model.image_size
        ),
        "box": lambda n: crop_boxes[n],
        "image_size": lambda n: size,
        "intrinsics": lambda n: camera.crop_intrinsics(
            intrinsics, crop_boxes[n]
        ),
        "landmarks": lambda n: _landmarks(landmarks, n, crop_boxes[n]),
    }
    return {
        name: np.stack(
            [np.float32(makers[name](n)) for n in range(len(crop_boxes))]
        )
        for name in model.input_names
    }


def _landmarks(landmarks, row: int, crop_box: crop.Box) -> np.ndarray:
    if landmarks is None:
        raise ValueError(
            "The method reads landmarks, and none were passed. Expected "
            "landmarks: (33, 7) of BlazePose for each box."
        )
    points = np.array(landmarks[row], np.float32)
    points[:, :2] = crop.pixels_to_ndc(points[:, :2], crop_box)
    return points


def _intrinsics(size: tuple[int, int], focal_px: float | None) -> np.ndarray:
    """Intrinsics (4,) of the photo, with its focal length if known."""
    intrinsics = camera.default_intrinsics(size)
    if focal_px is not None:
        intrinsics[:2] = focal_px
    return intrinsics


def _whole_photo_box(size: tuple[int, int], name: str) -> crop.Box:
    """The box of a whole photo; warns when it is far from square."""
    width, height = size
    if max(size) > FAR_FROM_SQUARE * min(size):
        _log.warning(
            "%s is %d x %d, far from square, and no box was given: the result "
            "is only good if one whole person fills it.",
            name,
            width,
            height,
        )
    return (0.0, 0.0, float(width), float(height))


def image_size(image: np.ndarray) -> tuple[int, int]:
    """Width and height of a photo.

    Raises:
        ValueError: it is not (H, W, 3) uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"Expected a photo (H, W, 3) of uint8 RGB, received {image.shape} "
            f"of {image.dtype}."
        )
    return image.shape[1], image.shape[0]


def example(prediction: method.Prediction, row: int) -> method.Prediction:
    """One example of a batch's prediction, in numpy."""
    fields = prediction._replace(intermediate=None)
    return method.Prediction(
        *(None if f is None else np.asarray(f)[row] for f in fields)
    )


def person(
    model: method.Method,
    prediction: method.Prediction,
    box: crop.Box,
    crop_box: crop.Box,
    size: tuple[int, int],
    focal_px: float,
) -> Person:
    """A Person from one example's prediction.

    Args:
        model: the method.
        prediction: of `example`.
        box: the person's.
        crop_box: the square that the model saw.
        size: width and height of the photo.
        focal_px: focal length of the photo's camera.
    """
    # A scale of 0 puts the body at infinity; Person.check says so.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        translation = camera.full_image_camera(
            prediction.camera, crop_box, size, focal_px
        )
    return Person(
        box=tuple(float(v) for v in box),
        crop_box=tuple(float(v) for v in crop_box),
        image_size=size,
        camera=prediction.camera,
        translation=np.asarray(translation, np.float32),
        focal_px=float(focal_px),
        principal_point=camera.image_centre(size),
        rotmats=prediction.rotmats,
        pose=rotations.rotmat_to_rotvec(prediction.rotmats).numpy(),
        betas=prediction.betas,
        joints=prediction.joints,
        keypoints_px=crop.ndc_to_pixels(prediction.keypoints, crop_box),
        vertices=prediction.vertices,
        joint_names=tuple(model.joint_names),
        faces=model.body.data.faces,
        topology=model.body.data.topology,
    )
