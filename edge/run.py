"""Recovers people's meshes from photos, videos and cameras, on the device.

Copy this file and a model's .tflite, .card.json and .mesh.npz. It needs Python
3.8, OpenCV 4.5, numpy, ai-edge-litert or tflite-runtime (numpy below 2), or
later versions.

    python run.py hmr.tflite photo.jpg --box 310 40 220 520 --out out
    python run.py hmr.tflite film.mp4 photos/ --boxes boxes.json --out out
    python run.py hmr.tflite 0 --show --delegate auto

Each source gives NAME.jsonl, a line per frame and person, and NAME_overlay. In
a video the next crop follows the joints; a lost track restarts in its box.
Metres: x right, y down, z forward. Boxes: x, y, w, h in pixel edges; points
count from the first pixel's centre; keypoints_px are at the pelvis's depth.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # cv2 reads it at import.
import cv2
import numpy as np

SIGNATURE = "serving_default"
INPUTS = ("image", "box", "image_size", "intrinsics")  # All that cards list.
OUTPUTS = ("vertices", "joints", "keypoints", "rotmats", "betas", "camera")
PHOTOS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
HINT = "Expected edge.export's .tflite, .card.json, .mesh.npz whole; LiteRT 2"
BOXES = "[[x, y, w, h], ...] in pixels with w, h over 0"
ERRORS = (OSError, ValueError, TypeError, MemoryError, cv2.error)
ERRORS += (RecursionError,)  # json that is nested too deeply
FOCAL_OVER_SIDE = 5000 / 224  # As in tf_hmr.
ROOM = 1.11  # A person's box over that of HMR's 19 joints, on synthetic_v1.
BOX_SHARE = 0.6  # Share of the joints' box in the next box; else the last box.
CAMERA_SCALES = (0.25, 4.0)  # Plausible: the crop shows 8 m to 0.5 m.
# Least Bhattacharyya coefficient of a person's colours with their history.
MIN_LIKENESS = 0.65
PATIENCE_S = 3.0  # The colours of a person lost for longer are forgotten.
# Least cutoff in Hz of a OneEuro filter, and its rise with the speed.
ROTATION_FILTER = (1.0, 2.0)
POINT_FILTER = (1.0, 2.0)
POSITION_FILTER = (1.0, 8.0)
MESH_BGR = np.array([219.0, 189.0, 166.0])
LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
MP4V = cv2.VideoWriter_fourcc(*"mp4v")
MJPG = cv2.VideoWriter_fourcc(*"MJPG")


class Model:
    """The three files of edge.export: network, card and mesh."""

    def __init__(
        self, path, threads=1, gpu=False, cache="", float32=False, focal=0.0
    ):
        path = Path(path)
        card = json.loads(path.with_suffix(".card.json").read_text("utf-8"))
        self.inputs, self.focal = tuple(card["inputs"]), focal
        unknown = sorted(set(self.inputs) - set(INPUTS))
        if unknown:
            raise ValueError(
                f"it reads {', '.join(unknown)}; this file feeds "
                f"{', '.join(INPUTS)} alone"
            )
        self.size = int(card["inputs"]["image"]["shape"][1])
        self.crop_scale = float(card["crop"]["scale"])
        self.topology = str(card["topology"])
        with open(str(path.with_suffix(".mesh.npz")), "rb") as file:
            mesh = np.load(file)
            self.faces = mesh["faces"]
            if "lite_faces" in mesh:
                self.faces = mesh["lite_vertices"][mesh["lite_faces"]]
        if path.stat().st_size != card["bytes"]:  # tflite-runtime would crash.
            raise ValueError(f"not the {card['bytes']} bytes that it was")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            cache = cache and _say("tflite-runtime has no cache: no --cache")
            from tflite_runtime.interpreter import Interpreter
        interpreter = Interpreter(str(path), num_threads=threads)
        self._run = interpreter.get_signature_runner(SIGNATURE)
        black = np.zeros((self.size, self.size, 3), np.uint8)
        outputs = self(black)
        if self.faces.max() >= len(outputs["vertices"]):
            raise ValueError("its .mesh.npz is of another body")
        if gpu or cache:  # Only now: CompiledModel crashes on a broken file.
            options = (threads, gpu, cache, float32)
            self._run = _compiled(path, self.inputs, outputs, *options)
            self(black)

    def __call__(self, crop, square=None, size=None):
        """Outputs by name, without the batch axis, of a (S, S, 3) RGB crop.

        Args:
            crop: the image, S x S pixels.
            square: its box x, y, side, side in the frame; None: all of it.
            size: width and height of the frame in pixels; None: the crop's.
        """
        size = size or crop.shape[1::-1]
        square = square or (0.0, 0.0, *map(float, size))
        return self.answer(inputs_of(crop, square, size, self.focal))

    def answer(self, inputs):
        """Outputs by name from inputs by name, all without the batch axis."""
        batch = {name: inputs[name][None] for name in self.inputs}
        outputs = self._run(**batch)
        return {name: outputs[name][0] for name in OUTPUTS}

    def focal_px(self, size):
        """Focal length in pixels to place bodies with in a frame of `size`."""
        if self.focal or "intrinsics" in self.inputs:
            return self.focal or max(size)
        return FOCAL_OVER_SIDE * max(size)


def inputs_of(crop, square, size, focal=0.0):
    """All inputs that a card may list, by name; as in tf_hmr/method_inputs.py.

    Without a focal length in pixels it is the frame's longer side, as in the
    training on photos of unknown focal length.
    """
    corner, side_lengths = np.float64(square[:2]), np.float64(square[2:])
    centre = (np.array(size) - 2 * corner) / side_lengths - 1
    focal = 2 * (focal or max(size)) / side_lengths
    return {
        "image": crop,
        "box": np.float32(square),
        "image_size": np.float32(size),
        "intrinsics": np.float32([*focal, *centre]),
    }


def _compiled(path, input_names, examples, threads, gpu, cache, float32):
    """Function like a signature runner, on LiteRT 2's CompiledModel."""
    from ai_edge_litert import compiled_model as litert

    kind = litert.HardwareAccelerator["GPU" if gpu else "CPU"]
    cpu = litert.CpuOptions(threads, xnnpack_weight_cache_path=str(cache))
    options = litert.Options(kind, cpu, litert.GpuOptions(enforce_f32=float32))
    model = litert.CompiledModel.from_file(str(path), options=options)
    create_input = model.create_input_buffer_by_name
    input_buffers = {n: create_input(SIGNATURE, n) for n in input_names}
    create_output = model.create_output_buffer_by_name
    output_buffers = {n: create_output(SIGNATURE, n) for n in OUTPUTS}

    def run(**inputs):
        for name in input_names:
            input_buffers[name].write(inputs[name])
        model.run_by_name(SIGNATURE, input_buffers, output_buffers)
        outputs = {}
        for name in OUTPUTS:
            shape = examples[name].shape
            flat = output_buffers[name].read(examples[name].size, np.float32)
            outputs[name] = flat.reshape(1, *shape)
        return outputs

    return run


def square_box(box, scale=1.0):
    """The square around a box's centre, its longer side times `scale`."""
    x, y, w, h = (float(v) for v in box)
    side = max(w, h) * scale
    return (x + (w - side) / 2, y + (h - side) / 2, side, side)


def crop_image(image, box, size):
    """Crop (size, size, 3) of a square box, as tf_hmr/geometry/crop.py."""
    x, y, side = box[:3]
    bilinear, replicate = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    while side > 4 * size:  # Halves the pixels around the box.
        reach = side / 16 + 2
        left, top = (max(0, math.floor(v - reach)) for v in (x, y))
        right, bottom = (math.ceil(v + side + reach) for v in (x, y))
        image = image[top:bottom, left:right]
        h, w = image.shape[:2]
        image = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, replicate)
        half = ((w + 1) // 2, (h + 1) // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
        x, y, side = (x - left) / 2, (y - top) / 2, side / 2
    fine = size * (math.ceil(side / size - 1e-6) or 1)  # A multiple.
    scale = fine / side
    a, b = (scale * (0.5 - v) - 0.5 for v in (x, y))
    matrix, fine = np.float64([[scale, 0, a], [0, scale, b]]), (fine, fine)
    image = cv2.warpAffine(image, matrix, fine, None, bilinear, replicate)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


class OneEuro:
    """A low-pass filter whose cutoff rises with speed (Casiez et al. 2012)."""

    def __init__(self, least_hz, rise):
        self.least_hz, self.rise = least_hz, rise
        self.value, self.speed = None, 0.0

    def __call__(self, value, seconds):
        change = value - (value if self.value is None else self.value)
        radians = 2 * math.pi * seconds  # A cutoff f keeps 1 / (1 + radians f).
        # The speed has a fixed cutoff of 1 Hz.
        self.speed += (change / seconds - self.speed) / (1 + 1 / radians)
        speed_norm = np.linalg.norm(self.speed, axis=-1, keepdims=True)
        cutoff_hz = self.least_hz + self.rise * speed_norm
        self.value = value - change / (1 + radians * cutoff_hz)
        return self.value


class Track:
    """Tracks one person, from `start_box` or else from the whole frame."""

    def __init__(self, start_box=None, smooth=True):
        self.start_box, self.smooth, self.colours = start_box, smooth, None
        self._start()

    def _start(self):
        self.box = self.mesh = self.previous_s = None
        self.filters = [
            OneEuro(*ROTATION_FILTER),
            OneEuro(*POINT_FILTER),
            OneEuro(*POSITION_FILTER),
        ]
        self.betas, self.count = 0.0, 0

    def update(self, model, image, seconds):
        """Tracks the person into a frame; returns the record for .jsonl."""
        size, times = image.shape[1::-1], [time.perf_counter()]
        person_box = self.box or self.start_box
        box = person_box or (0.0, 0.0, *map(float, size))
        overlaps = all(-w < v < n for v, w, n in zip(box, box[2:], size))
        if not (self.box or overlaps):
            raise ValueError(f"box {box} lies outside {size}")
        square = square_box(box, model.crop_scale if person_box else 1.0)
        crop = crop_image(image, square, model.size)
        times.append(time.perf_counter())
        outputs = model(crop, square, size)
        times.append(time.perf_counter())
        record = {"state": "tracked" if self.box else "start", "box_px": box}
        record.update(crop_box_px=square, image_size_px=size)
        pixels = (outputs["keypoints"] + 1) * square[2] / 2 + square[:2] - 0.5
        visible_share = ((pixels >= 0) & (pixels < size)).all(axis=1).mean()
        reason = self._lost_reason(outputs, crop, visible_share, seconds)
        if reason:
            self._start()
            record.update(state="lost", reason=reason)
        else:
            focal = model.focal_px(size)
            record.update(
                self._placement(outputs, square, size, focal, seconds)
            )
            low, high = pixels.min(axis=0) + 0.5, pixels.max(axis=0) + 0.5
            sides = np.maximum(ROOM * (high - low), 1.0)
            joints_box = np.append((low + high - sides) / 2, sides)
            share = BOX_SHARE if person_box else 1.0
            next_box = share * joints_box + (1 - share) * np.array(box)
            self.box = next_box.tolist()
        ms = np.round(1000 * np.diff([*times, time.perf_counter()]), 3)
        return dict(record, ms=dict(zip(("crop", "model", "smooth"), ms)))

    def _lost_reason(self, outputs, crop, visible_share, seconds):
        """Why the person is lost: no person, or another one; "" if tracked."""
        not_finite = [n for n in OUTPUTS if not np.isfinite(outputs[n]).all()]
        s, tx, ty = outputs["camera"]
        if not_finite or s <= 0:
            return (
                f"{not_finite} not finite, or a camera scale of 0 or less ({s})"
            )
        low, high = CAMERA_SCALES
        plausible = visible_share >= 0.5 and low < s < high
        if not (plausible if self.box else visible_share):
            share = f"{visible_share:.0%} of joints in the frame"
            return f"{share}, camera scale {s:.2f}"
        # Histogram of the colours under the vertices, six levels a channel.
        ndc = np.clip(s * (outputs["vertices"][:, :2] + (tx, ty)), -1, 0.999)
        x, y = ((ndc + 1) * len(crop) / 2).astype(int).T
        bins = crop[y, x] // 43 @ (36, 6, 1)
        colours = np.bincount(bins, minlength=216) / len(x)
        if self.colours is None or seconds > self.seen_s + PATIENCE_S:
            self.colours = colours
        likeness = np.sqrt(colours * self.colours).sum()
        if likeness < MIN_LIKENESS:
            return f"other colours ({likeness:.2f} alike)"
        self.colours = 0.98 * self.colours + 0.02 * colours
        self.seen_s = seconds
        return ""

    def _placement(self, outputs, square, size, focal, seconds):
        """Smoothed pose, shape and position in the frame, for the record."""
        centre = np.array(size) / 2
        s, tx, ty = (float(v) for v in outputs["camera"])
        px_m = square[2] * s / 2  # Pixels per metre.
        x, y = (np.array(square[:2]) + square[2] / 2 - centre) / px_m + (tx, ty)
        position = np.array([x, y, math.log(focal / px_m)])
        rotations, betas = outputs["rotmats"].reshape(-1, 9), outputs["betas"]
        points = np.concatenate([outputs["joints"], outputs["vertices"]])
        if self.smooth:
            elapsed = max(1e-3, seconds - self.previous_s) if self.box else 1.0
            rotation_filter, point_filter, position_filter = self.filters
            rotations = rotation_filter(rotations, elapsed)
            points = point_filter(points, elapsed)
            position = position_filter(position, elapsed)
            self.count += 1
            betas = self.betas = self.betas + (betas - self.betas) / self.count
        position = np.append(position[:2], math.exp(position[2]))
        depth = position[2]
        pixels = (points[:, :2] + position[:2]) * focal / depth + centre - 0.5
        count, self.previous_s = len(outputs["joints"]), seconds
        self.mesh = points[count:], pixels[count:], depth
        rotmats = np.float64(rotations).reshape(-1, 3, 3)
        # Rodrigues takes the nearest rotation first.
        rotvecs = [cv2.Rodrigues(rotmat)[0] for rotmat in rotmats]
        fields = {
            "pose_rotvec": np.reshape(rotvecs, (-1, 3)),
            "betas": betas,
            "joints_m": points[:count],
            "keypoints_px": pixels[:count],
            "focal_px": focal,
            "principal_point_px": centre - 0.5,
            "translation_m": position,
        }
        return {key: np.round(np.float64(v), 6) for key, v in fields.items()}


def draw(canvas, vertices, pixels, faces):
    """Paints a mesh on a BGR image to 1/16 pixel, far triangles first."""
    a, b, c = vertices.astype(np.float64)[faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
    light = 0.35 + 0.65 * np.clip(normals @ LIGHT, 0, 1)
    colours = (light[:, None] * MESH_BGR).tolist()
    order = np.argsort(-(a + b + c)[:, 2])
    points = np.rint(np.clip(pixels, -1e5, 1e5) * 16).astype(np.int32)[faces]
    for face in order[normals[order, 2] < 0]:  # Normals that face the camera.
        cv2.fillConvexPoly(canvas, points[face], colours[face], cv2.LINE_8, 4)


def frames(source):
    """Yields (seconds, BGR image, frames per second or 0 for a photo)."""
    is_file, api = os.path.isfile(source), cv2.CAP_ANY
    if is_file and source.lower().endswith(PHOTOS):
        image = cv2.imread(source)
        if image is None:
            raise ValueError("not a readable image")
        yield 0.0, image, 0
        return
    if "!" in source and not is_file:
        api = cv2.CAP_GSTREAMER
        if not re.search(r"GStreamer: *YES", cv2.getBuildInformation()):
            raise ValueError("this OpenCV is built without GStreamer")
    video = cv2.VideoCapture(int(source) if source.isdigit() else source, api)
    fps, start = video.get(cv2.CAP_PROP_FPS), time.monotonic()
    fps = fps if 0 < fps < 1000 else 25.0
    count, image = 0, video.read()[1]
    while image is not None:
        yield count / fps if is_file else time.monotonic() - start, image, fps
        count, image = count + 1, video.read()[1]
    if not count:
        raise ValueError("no such film or camera, no photos, or not readable")
    if not is_file or count < 0.98 * video.get(cv2.CAP_PROP_FRAME_COUNT) - 1:
        raise ValueError(f"broke off after {count} frames")


def run(model, source, stem, tracks, save=True, show=False):
    """Writes the files of one source, each frame as soon as it is done."""
    video, written, run_start = None, 0, time.monotonic()
    with open(stem + ".jsonl", "w", buffering=1) as file:  # By line.
        for count, (seconds, image, fps) in enumerate(frames(source), 1):
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            records = [track.update(model, rgb, seconds) for track in tracks]
            draw_start = time.perf_counter()
            meshes = [t.mesh for t in tracks if t.mesh and (save or show)]
            for mesh in sorted(meshes, key=lambda mesh: -mesh[2]):
                draw(image, *mesh[:2], model.faces)
            draw_ms = round(1000 * (time.perf_counter() - draw_start), 3)
            for number, record in enumerate(records):
                record["ms"]["draw"] = draw_ms
                record.update(track=number, topology=model.topology)
                record = dict(frame=count - 1, time_s=seconds, **record)
                file.write(json.dumps(record, default=np.ndarray.tolist) + "\n")
            if save and not fps:
                cv2.imencode(".png", image)[1].tofile(stem + "_overlay.png")
            elif save:
                size, name = image.shape[1::-1], stem + "_overlay.mp4"
                video = video or cv2.VideoWriter(name, MP4V, fps, size)
                if not video.isOpened():  # MJPG comes with every OpenCV.
                    video.open(stem + "_overlay.avi", MJPG, fps, size)
                # Repeats frames of a camera that is slower than fps.
                while written < seconds * fps + 0.5:
                    video.write(image)
                    written += 1
            reasons = [r["reason"] for r in records if "reason" in r]
            if reasons and not fps:
                raise ValueError(reasons[0])
            if show:
                cv2.imshow(stem, image)
                cv2.waitKey(1)
            pace = count / (time.monotonic() - run_start)
            if count % 100 == 0:
                _say(f"{source}: {count} frames, {pace:.1f} a second")
    print(f"{stem}.jsonl: {count} frames")


def _say(text):
    print(" ".join(str(text).split()), file=sys.stderr, flush=True)


def _gpu_works(args):
    """Tries the GPU in a process of its own, which may crash or hang."""
    command = [sys.executable, __file__, args.model, "--delegate", "gpu"]
    command += ["--gpu-float32"] * args.float32
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError as error:
        error_log = (error.stderr or b"").decode(errors="replace")
        messages = re.findall("here: .*", error_log) or [error]
        _say(f"CPU, as the GPU fails: {messages[0]}")
        return False
    return True


def _boxes(args, source):
    """Boxes that the tracks start in; None is the whole frame."""
    if not (args.box or args.boxes):
        return [None]
    # Bytes, as json reads a byte order mark only in them.
    rows = args.box or json.loads(Path(args.boxes).read_bytes())
    rows = dict(enumerate(rows if isinstance(rows, list) else []))
    boxes = {number: _box(row) for number, row in rows.items()}
    rest = [number for number in boxes if not boxes[number]]
    if len(rest) == len(boxes):
        raise ValueError(f"the boxes are not {BOXES}")
    if rest:
        _say(f"{source}: boxes {rest} are left out; expected {BOXES}")
    return [box for box in boxes.values() if box]


def _box(row):
    """The box of a row of a file; None if it is not one in pixels."""
    try:
        x, y, w, h = box = [float(v) for v in row if isinstance(row, list)]
    except (TypeError, ValueError, OverflowError):
        return None
    good = all(map(math.isfinite, box)) and w > 0 and h > 0
    # Shares of the frame end before.
    return box if good and max(abs(x), abs(y), w, h) > 1.5 else None


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help=".tflite file of edge.export")
    add("sources", nargs="*", help="photo, folder, video, camera 0, pipeline")
    add("--box", nargs=4, type=float, action="append", metavar=tuple("XYWH"))
    add("--boxes", help="json file [[x, y, w, h], ...], instead of many --box")
    add("--out", default="out", help="folder for the results")
    add("--delegate", choices=("cpu", "gpu", "auto"), default="cpu")
    add("--gpu-float32", action="store_true", dest="float32", help="no float16")
    add("--focal", type=float, default=0.0, help="focal length, pixels")
    add("--threads", type=int, default=2, help="CPU threads")
    add("--cache", default="", help="file for packed weights: faster start")
    add("--no-smooth", action="store_true", help="raw predictions, unfiltered")
    add("--no-overlay", action="store_true", help="only the .jsonl")
    add("--show", action="store_true", help="show the overlay in a window")
    args = parser.parse_args(arguments)
    gpu = args.delegate == "gpu" or args.delegate == "auto" and _gpu_works(args)
    try:
        options = (args.threads, gpu, args.cache, args.float32, args.focal)
        model = Model(args.model, *options)
    except Exception as error:  # Runtimes raise any kind.
        message = f"{type(error).__name__}: {error}"
        _say(f"{args.model} cannot be run here: {message}. {HINT}.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed, sources, stems = 0, [], []
    for source in args.sources:
        files = sorted(Path(source).glob("*")) if os.path.isdir(source) else []
        photos = [str(p) for p in files if p.suffix.lower() in PHOTOS]
        sources += photos or [source]
    for source in sources:
        stems.append(re.sub(r"[^\w.-]+", "_", Path(source).stem)[:80])
        while stems[-1] in stems[:-1]:
            stems[-1] += "-2"
        try:
            os.makedirs(args.out, exist_ok=True)
            stem = os.path.join(args.out, stems[-1])
            tracks = [
                Track(box, not args.no_smooth) for box in _boxes(args, source)
            ]
            run(model, source, stem, tracks, not args.no_overlay, args.show)
        except ERRORS as error:
            failed = 1
            _say(f"{source}: {error}")
        except KeyboardInterrupt:
            _say(f"{source}: stopped; {args.out} holds what was done")
            return 130
    return failed


if __name__ == "__main__":
    sys.exit(main())
