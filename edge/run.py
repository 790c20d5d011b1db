"""A person's mesh from a photo, on the device. Copy this one file.

Needs numpy, OpenCV (4.5 or later) and a LiteRT runtime (ai-edge-litert, or
tflite-runtime with numpy below 2); no TensorFlow. Python 3.8 or later.

    python run.py hmr.tflite photo.jpg --box 310 40 220 520 --out out
    python -m edge.run hmr.tflite *.jpg --out out

Each photo gives NAME_overlay.png, NAME.npz and a line of json on stdout with
the milliseconds of each stage. hmr.card.json and hmr.faces.npy are read from
beside hmr.tflite; without faces the mesh is drawn as points.

Axes: x right, y down, z forward, metres. Boxes are x, y, w, h in pixel edges;
points count from the centre of the first pixel.
"""

import argparse
import contextlib
import json
import math
import sys
import time
from pathlib import Path

import cv2
import numpy as np

SIGNATURE = "serving_default"
INPUT = "image"
OUTPUTS = ("vertices", "joints", "keypoints", "rotmats", "betas", "camera")

# Used where no card says otherwise; tests hold them equal to tf_hmr's.
CROP_SCALE = 1.2
FOCAL_OVER_SIDE = 5000 / 224
HALVE_FROM = 4.0

COLOUR = np.array([166.0, 189.0, 219.0])  # Of the mesh, RGB.
LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
SUBPIXEL_BITS = 4


class Model:
    """A .tflite file with what lies beside it.

    Attributes:
        size: side of the square input in pixels.
        faces: (F, 3) int32 triangles, or None.
        crop_scale: side of the crop over the longer side of a person's box.
        names: names of the joints, or ().
        topology: which mesh the vertices are, or "".
    """

    def __init__(self, path, threads=1):
        path = Path(path)
        size, faces, self.crop_scale, self.names, self.topology = _card(path)
        _check_whole(path, size)
        self._runner = _signature_runner(path, threads)
        self.size = self._check_signature(path)
        self.faces = np.load(str(faces)) if faces.is_file() else None

    def _check_signature(self, path):
        inputs = self._runner.get_input_details()
        missing = set(OUTPUTS) - set(self._runner.get_output_details())
        if list(inputs) != [INPUT] or missing:
            raise ValueError(
                f"{path}: not a model of this project: inputs "
                f"{sorted(inputs)}, missing outputs {sorted(missing)}. "
                "Expected a file of edge.export."
            )
        shape, kind = inputs[INPUT]["shape"], inputs[INPUT]["dtype"]
        fits = len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
        if not fits or kind is not np.uint8:
            raise ValueError(
                f"{path}: its input is {tuple(shape)} of {kind.__name__}, "
                "expected (1, S, S, 3) of uint8."
            )
        return int(shape[1])

    def __call__(self, crop):
        """Outputs by name, without the batch axis, of a (S, S, 3) crop."""
        found = self._runner(**{INPUT: crop[None]})
        return {name: found[name][0] for name in OUTPUTS}


def _card(path):
    """Bytes, faces, crop scale, joint names and topology of a .tflite."""
    card = path.with_suffix(".card.json")
    if not card.is_file():
        faces = path.with_name(path.stem + ".faces.npy")
        return None, faces, CROP_SCALE, (), ""
    try:
        told = json.loads(card.read_text("utf-8"))
        size, scale = int(told["bytes"]), float(told["crop"]["scale"])
        faces, names = path.with_name(told["faces"]), tuple(told["joint_names"])
        if not 0 < scale < math.inf:
            raise ValueError(f"crop scale {scale}")
        return size, faces, scale, names, str(told["topology"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{card}: cut off, or no card of edge.export ({error!r}). Copy it "
            "again from beside the model, or export the model again."
        ) from None


def _check_whole(path, expected):
    """Refuses what is no .tflite, or has not the bytes that are expected."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model.")
    with open(str(path), "rb") as file:
        head = file.read(8)
    if head[4:] != b"TFL3":
        raise ValueError(f"{path}: not a .tflite file (it does not say TFL3).")
    # tflite-runtime dies of a file that is cut off; its size tells before.
    size = path.stat().st_size
    if expected not in (None, size):
        raise ValueError(
            f"{path}: {size} bytes, but its card says {expected}: it is cut "
            "off, or the card belongs to another file."
        )


def _signature_runner(path, threads):
    """The file's signature, with one clear error when it cannot be run."""
    try:
        interpreter = _interpreter()(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter.get_signature_runner(SIGNATURE)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: this .tflite cannot be run; it is cut off, or made for "
            f"another runtime ({error})."
        ) from error


def _interpreter():
    with contextlib.suppress(ImportError):
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    with contextlib.suppress(ImportError):
        from tflite_runtime.interpreter import Interpreter

        return Interpreter
    raise ValueError("No LiteRT runtime. Try: pip install ai-edge-litert")


# The crop: the same rule, number by number, as tf_hmr/crop.py.


def check_box(box, image_size):
    """Refuses a box that is no box, or lies outside the photo (W, H)."""
    (x, y, w, h), (width, height) = box, image_size
    if not all(math.isfinite(v) for v in box) or w <= 0 or h <= 0:
        raise ValueError(f"box {box} is not x, y, w, h with w > 0 and h > 0")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(
            f"box {box} lies outside the photo of {width} x {height} pixels"
        )


def square_box(box, scale=1.0):
    """The square around a box's centre, its longer side times `scale`."""
    x, y, w, h = (float(v) for v in box)
    side = max(w, h) * scale
    return (x + (w - side) / 2, y + (h - side) / 2, side, side)


def crop_image(image, box, size):
    """(size, size, 3) of a square box; its outside repeats the border."""
    x, y, side = box[0], box[1], box[2]
    while side > HALVE_FROM * size:
        image, x, y = _halved(*_seen_part(image, x, y, side))
        side = side / 2
    # At least one sample per pixel, then the mean of whole blocks.
    blocks = math.ceil(side / size - 1e-6) or 1
    fine = (size * blocks, size * blocks)
    scale = fine[0] / side
    shift = [scale * (0.5 - v) - 0.5 for v in (x, y)]
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    pixels = cv2.warpAffine(
        image, matrix, fine, None, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    )
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)


def _seen_part(image, x, y, side):
    """The pixels around a box, and the box's corner among them."""
    margin = side / 16 + 2
    bounds = []
    for start, length in ((x, image.shape[1]), (y, image.shape[0])):
        low = max(0, math.floor(start - margin))
        high = min(length, math.ceil(start + side + margin))
        bounds.append((low, high))
    (left, right), (top, bottom) = bounds
    return image[top:bottom, left:right], x - left, y - top


def _halved(image, x, y):
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(
        image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
    )
    size = ((width + 1) // 2, (height + 1) // 2)
    return cv2.resize(even, size, interpolation=cv2.INTER_AREA), x / 2, y / 2


def to_pixels(ndc, box):
    """[-1, 1] of a square crop to pixels of the photo."""
    return (ndc + 1.0) * (box[2] / 2.0) + (box[0], box[1]) - 0.5


def full_image_camera(camera, box, image_size, focal_px):
    """(3,) metres: puts the mesh into the camera of the whole photo."""
    s, tx, ty = (float(v) for v in camera)
    per_px = 2.0 / (box[2] * s)
    x = box[0] + box[2] / 2 - image_size[0] / 2
    y = box[1] + box[2] / 2 - image_size[1] / 2
    return np.array([tx + per_px * x, ty + per_px * y, per_px * focal_px])


# Drawing, without a depth buffer: far triangles first.


def draw(image, found, box, faces):
    """The photo (RGB) with the mesh on it, or its points without faces."""
    canvas = np.ascontiguousarray(image.copy())
    vertices = found["vertices"].astype(np.float64)
    s, tx, ty = found["camera"].astype(np.float64)
    pixels = to_pixels(s * (vertices[:, :2] + (tx, ty)), box)
    limit = 4 * max(image.shape)  # OpenCV's integers would overflow.
    pixels = np.clip(pixels, -limit, limit)
    if faces is None:
        for x, y in np.rint(pixels).astype(int):
            cv2.circle(canvas, (int(x), int(y)), 1, COLOUR.tolist(), -1)
        return canvas
    corners = vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    normals = np.cross(sides[:, 0], sides[:, 1])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.where(length > 0, length, 1.0)
    light = 0.35 + 0.65 * np.clip(normals @ LIGHT, 0, 1)
    colours = (light[:, None] * COLOUR).tolist()
    order = np.argsort(-corners[:, :, 2].mean(axis=1))
    order = order[normals[order, 2] < 0]  # The others face away.
    points = np.rint(pixels * 2**SUBPIXEL_BITS).astype(np.int32)[faces]
    for face in order:
        cv2.fillConvexPoly(
            canvas, points[face], colours[face], cv2.LINE_8, SUBPIXEL_BITS
        )
    return canvas


# The command.


def read_photo(path):
    """(H, W, 3) uint8 RGB, turned by its EXIF orientation."""
    if not Path(path).is_file():
        raise FileNotFoundError("no such photo")
    data = np.fromfile(str(path), np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # Empty, or its header claims billions of pixels.
        image = None
    if image is None:
        raise ValueError("not a readable image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def check_found(found):
    """Refuses outputs that are no body in front of a camera."""
    wrong = [name for name in OUTPUTS if not np.isfinite(found[name]).all()]
    if wrong:
        raise ValueError(f"the model's {', '.join(wrong)} are not finite")
    if found["camera"][0] <= 0:
        raise ValueError("the model's camera has a scale of 0 or less")


class Stages:
    """Milliseconds of each stage, in order."""

    def __init__(self):
        self.ms = {}
        self._start = time.perf_counter()

    def done(self, name):
        """Ends the stage that runs since the last call."""
        now = time.perf_counter()
        self.ms[name] = round(1000 * (now - self._start), 3)
        self._start = now


def run_photo(model, path, box, out):
    """Writes the files of one photo; returns its line of json as a dict.

    A box of None is the whole photo; `out` is the start of the files' names.
    """
    stages = Stages()
    image = read_photo(path)
    image_size = (image.shape[1], image.shape[0])
    stages.done("read")
    if box is None:
        box = (0.0, 0.0) + tuple(float(v) for v in image_size)
        crop_box = square_box(box)
    else:
        check_box(box, image_size)
        crop_box = square_box(box, model.crop_scale)
    crop = crop_image(image, crop_box, model.size)
    stages.done("crop")
    found = model(crop)
    check_found(found)
    stages.done("model")
    overlay = draw(image, found, crop_box, model.faces)
    stages.done("draw")
    picture = cv2.imencode(".png", cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
    files = {"overlay": out + "_overlay.png", "npz": out + ".npz"}
    Path(files["overlay"]).write_bytes(picture[1].tobytes())
    np.savez(files["npz"], **arrays(model, found, box, crop_box, image_size))
    stages.done("write")
    box = [round(v, 2) for v in box]
    return {"photo": str(path), "box": box, "ms": stages.ms, "files": files}


def arrays(model, found, box, crop_box, image_size):
    """What the .npz holds; the keys are those of `python -m tf_hmr`."""
    focal_px = FOCAL_OVER_SIDE * max(image_size)
    content = {
        "vertices": found["vertices"],
        "joints": found["joints"],
        "joint_names": np.array(model.names),
        "keypoints_px": to_pixels(found["keypoints"], crop_box),
        "rotmats": found["rotmats"],
        "betas": found["betas"],
        "weak_camera": found["camera"],
        "translation": full_image_camera(
            found["camera"], crop_box, image_size, focal_px
        ),
        "focal_px": np.array(focal_px),
        "principal_point": (np.array(image_size) - 1) / 2,
        "image_size": np.array(image_size),
        "box": np.array(box),
        "crop_box": np.array(crop_box),
        "topology": np.array(model.topology),
    }
    if model.faces is not None:
        content["faces"] = model.faces
    return content


def named(paths):
    """(path, name) of each photo; a stem that is taken gets a number."""
    taken = {}
    for path in paths:
        stem = name = Path(path).stem
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken[name] = path
    return [(path, name) for name, path in taken.items()]


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help=".tflite file of edge.export")
    parser.add_argument("photos", nargs="+", help="image files")
    parser.add_argument(
        "--box",
        nargs=4,
        type=float,
        metavar=("X", "Y", "W", "H"),
        help="person's box in pixels of the upright photo; default: all of it",
    )
    parser.add_argument("--out", default="out", help="folder for the results")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    args = parser.parse_args(arguments)
    try:
        model = Model(args.model, args.threads)
        Path(args.out).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    failed = 0
    for path, name in named(args.photos):
        try:
            line = run_photo(model, path, args.box, str(Path(args.out) / name))
            print(json.dumps(line), flush=True)
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            failed = 1
            print(f"{path}: " + " ".join(str(error).split()), file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
