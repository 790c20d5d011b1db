"""A person's mesh from photos, films and cameras, on the device.

Copy this file and a model's .tflite, .card.json, .mesh.npz. Needs Python 3.8,
OpenCV 4.5, numpy, ai-edge-litert or tflite-runtime (numpy below 2), or later.

    python run.py hmr.tflite photo.jpg --box 310 40 220 520 --out out
    python run.py hmr.tflite film.mp4 photos/ --boxes boxes.json --out out
    python run.py hmr.tflite 0 --show --delegate auto

Each source gives NAME.jsonl, a line per frame and person, and NAME_overlay. In
a film the next crop follows the joints; a lost track starts again in its box.
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

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # It is read at import.
import cv2
import numpy as np

SIGNATURE = "serving_default"
INPUTS = ("image", "box", "image_size", "intrinsics")  # What cards may ask for.
OUTPUTS = ("vertices", "joints", "keypoints", "rotmats", "betas", "camera")
PHOTOS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
WHOLE = "Expected edge.export's .tflite, .card.json, .mesh.npz whole; LiteRT 2"
ERRORS = (OSError, ValueError, TypeError, MemoryError, cv2.error)
FOCAL_OVER_SIDE = 5000 / 224  # As in tf_hmr.
ROOM = 1.11  # A person's box over that of HMR's 19 joints, on synthetic_v1.
FOLLOW = 0.6  # Share of the joints' box in the next one.
SCALES = (0.25, 4.0)  # Of a crop's camera: 8 m to 0.5 m are seen in it.
ALIKE = 0.65  # Least likeness (Bhattacharyya) of a person's colours to before.
PATIENCE_S = 3.0  # After so long those of a lost person are forgotten.
TURNS, POINTS, PLACE = (1.0, 2.0), (1.0, 2.0), (1.0, 8.0)  # Of OneEuro, Hz.
COLOUR = np.array([219.0, 189.0, 166.0])  # Of the mesh, BGR.
LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
MP4V, MJPG = (cv2.VideoWriter_fourcc(*code) for code in ("mp4v", "MJPG"))


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
        if path.stat().st_size != card["bytes"]:  # tflite-runtime would die.
            raise ValueError(f"not the {card['bytes']} bytes that it was")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            cache = cache and _say("tflite-runtime has no cache: no --cache")
            from tflite_runtime.interpreter import Interpreter
        interpreter = Interpreter(str(path), num_threads=threads)
        self._run = interpreter.get_signature_runner(SIGNATURE)
        black = np.zeros((self.size, self.size, 3), np.uint8)
        found = self(black)
        if self.faces.max() >= len(found["vertices"]):
            raise ValueError("its .mesh.npz is of another body")
        if gpu or cache:  # Only now: CompiledModel dies of a broken file.
            options = (threads, gpu, cache, float32)
            self._run = _compiled(path, self.inputs, found, *options)
            self(black)

    def __call__(self, crop, square=None, size=None):
        """Outputs by name, without the batch axis, of a (S, S, 3) RGB crop.

        It is `square`, x, y, side, side, of a frame of `size`, width and
        height in pixels; without them all of a frame of its own size.
        """
        size = size or crop.shape[1::-1]
        square = square or (0.0, 0.0, *map(float, size))
        return self.answer(inputs_of(crop, square, size, self.focal))

    def answer(self, inputs):
        """Outputs by name of inputs by name, all without the batch axis."""
        found = self._run(**{name: inputs[name][None] for name in self.inputs})
        return {name: found[name][0] for name in OUTPUTS}

    def focal_px(self, size):
        """Focal length that bodies are placed with in a frame of `size`."""
        if self.focal or "intrinsics" in self.inputs:
            return self.focal or max(size)
        return FOCAL_OVER_SIDE * max(size)


def inputs_of(crop, square, size, focal=0.0):
    """What a card may ask for, by name; as tf_hmr/method_inputs.py says.

    Without a focal length in pixels it is the frame's longer side, with which
    the network was trained where photos did not tell theirs.
    """
    corner, sides = np.float64(square[:2]), np.float64(square[2:])
    centre = (np.array(size) - 2 * corner) / sides - 1
    focal = 2 * (focal or max(size)) / sides
    return {
        "image": crop,
        "box": np.float32(square),
        "image_size": np.float32(size),
        "intrinsics": np.float32([*focal, *centre]),
    }


def _compiled(path, names, like, threads, gpu, cache, float32):
    """A call like a signature's runner, by LiteRT 2's CompiledModel."""
    from ai_edge_litert import compiled_model as litert

    kind = litert.HardwareAccelerator["GPU" if gpu else "CPU"]
    cpu = litert.CpuOptions(threads, xnnpack_weight_cache_path=str(cache))
    options = litert.Options(kind, cpu, litert.GpuOptions(enforce_f32=float32))
    model = litert.CompiledModel.from_file(str(path), options=options)
    fed = model.create_input_buffer_by_name
    given = {name: fed(SIGNATURE, name) for name in names}
    made = model.create_output_buffer_by_name
    into = {name: made(SIGNATURE, name) for name in OUTPUTS}

    def run(**inputs):
        for name in names:
            given[name].write(inputs[name])
        model.run_by_name(SIGNATURE, given, into)
        flat = {n: into[n].read(like[n].size, np.float32) for n in OUTPUTS}
        return {n: flat[n].reshape(1, *like[n].shape) for n in OUTPUTS}

    return run


def square_box(box, scale=1.0):
    """The square around a box's centre, its longer side times `scale`."""
    x, y, w, h = (float(v) for v in box)
    side = max(w, h) * scale
    return (x + (w - side) / 2, y + (h - side) / 2, side, side)


def crop_image(image, box, size):
    """(size, size, 3) of a square box, as tf_hmr/geometry/crop.py."""
    x, y, side = box[:3]
    bilinear, replicate = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    while side > 4 * size:  # The pixels around the box, halved.
        reach = side / 16 + 2
        left, top = (max(0, math.floor(v - reach)) for v in (x, y))
        right, bottom = (math.ceil(v + side + reach) for v in (x, y))
        image = image[top:bottom, left:right]
        h, w = image.shape[:2]
        image = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, replicate)
        half = ((w + 1) // 2, (h + 1) // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
        x, y, side = (x - left) / 2, (y - top) / 2, side / 2
    fine = size * (math.ceil(side / size - 1e-6) or 1)  # Means of whole blocks.
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
        step = value - (value if self.value is None else self.value)
        turn = 2 * math.pi * seconds  # A cutoff f keeps 1 / (1 + turn f).
        self.speed += (step / seconds - self.speed) / (1 + 1 / turn)  # 1 Hz.
        fast = np.linalg.norm(self.speed, axis=-1, keepdims=True)
        cutoff_hz = self.least_hz + self.rise * fast
        self.value = value - step / (1 + turn * cutoff_hz)
        return self.value


class Track:
    """One person from frame to frame; without `home`, from the whole frame."""

    def __init__(self, home=None, smooth=True):
        self.home, self.smooth, self.colours = home, smooth, None
        self._start()

    def _start(self):
        self.box = self.mesh = self.past_s = None
        self.filters = [OneEuro(*law) for law in (TURNS, POINTS, PLACE)]
        self.betas, self.count = 0.0, 0

    def update(self, model, image, seconds):
        """What the line of json says of this frame."""
        size, clock = image.shape[1::-1], [time.perf_counter()]
        known = self.box or self.home
        box = known or (0.0, 0.0, *map(float, size))
        meets = all(-w < v < n for v, w, n in zip(box, box[2:], size))
        if not (self.box or meets):
            raise ValueError(f"box {box} lies outside {size}")
        square = square_box(box, model.crop_scale if known else 1.0)
        crop = crop_image(image, square, model.size)
        clock.append(time.perf_counter())
        found = model(crop, square, size)
        clock.append(time.perf_counter())
        line = {"state": "tracked" if self.box else "start", "box_px": box}
        line.update(crop_box_px=square, image_size_px=size)
        pixels = (found["keypoints"] + 1) * square[2] / 2 + square[:2] - 0.5
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1).mean()
        trouble = self._trouble(found, crop, inside, seconds)
        if trouble:
            self._start()
            line.update(state="lost", reason=trouble)
        else:
            focal = model.focal_px(size)
            line.update(self._placed(found, square, size, focal, seconds))
            low, high = pixels.min(axis=0) + 0.5, pixels.max(axis=0) + 0.5
            sides = np.maximum(ROOM * (high - low), 1.0)
            new = np.append((low + high - sides) / 2, sides)
            share = FOLLOW if known else 1.0
            self.box = (share * new + (1 - share) * np.array(box)).tolist()
        ms = np.round(1000 * np.diff([*clock, time.perf_counter()]), 3)
        return dict(line, ms=dict(zip(("crop", "model", "smooth"), ms)))

    def _trouble(self, found, crop, inside, seconds):
        """Why this is no person, or not the one that was tracked, or ""."""
        wrong = [n for n in OUTPUTS if not np.isfinite(found[n]).all()]
        s, tx, ty = found["camera"]
        if wrong or s <= 0:
            return f"{wrong} not finite, or a camera scale of 0 or less ({s})"
        likely = inside >= 0.5 and SCALES[0] < s < SCALES[1]
        if not (likely if self.box else inside):
            return f"{inside:.0%} of joints in the frame, camera scale {s:.2f}"
        # Colours under the vertices, six levels of each channel.
        ndc = np.clip(s * (found["vertices"][:, :2] + (tx, ty)), -1, 0.999)
        x, y = ((ndc + 1) * len(crop) / 2).astype(int).T
        now = np.bincount(crop[y, x] // 43 @ (36, 6, 1), minlength=216) / len(x)
        if self.colours is None or seconds > self.seen_s + PATIENCE_S:
            self.colours = now
        alike = np.sqrt(now * self.colours).sum()
        if alike < ALIKE:
            return f"other colours ({alike:.2f} alike)"
        self.colours, self.seen_s = 0.98 * self.colours + 0.02 * now, seconds
        return ""

    def _placed(self, found, square, size, focal, seconds):
        centre = np.array(size) / 2
        s, tx, ty = (float(v) for v in found["camera"])
        px_m = square[2] * s / 2  # Pixels per metre.
        x, y = (np.array(square[:2]) + square[2] / 2 - centre) / px_m + (tx, ty)
        place = np.array([x, y, math.log(focal / px_m)])
        turns, betas = found["rotmats"].reshape(-1, 9), found["betas"]
        points = np.concatenate([found["joints"], found["vertices"]])
        if self.smooth:
            passed = max(1e-3, seconds - self.past_s) if self.box else 1.0
            values = zip(self.filters, (turns, points, place))
            turns, points, place = (f(value, passed) for f, value in values)
            self.count += 1
            betas = self.betas = self.betas + (betas - self.betas) / self.count
        place = np.append(place[:2], math.exp(place[2]))
        pixels = (points[:, :2] + place[:2]) * focal / place[2] + centre - 0.5
        n, self.past_s = len(found["joints"]), seconds
        self.mesh = points[n:], pixels[n:], place[2]
        # Rodrigues takes the nearest rotation first.
        turns = [cv2.Rodrigues(t.reshape(3, 3))[0] for t in np.float64(turns)]
        line = {"pose_rotvec": np.reshape(turns, (-1, 3)), "betas": betas}
        line.update(joints_m=points[:n], keypoints_px=pixels[:n])
        line.update(focal_px=focal, principal_point_px=centre - 0.5)
        line.update(translation_m=place)
        return {key: np.round(np.float64(v), 6) for key, v in line.items()}


def draw(canvas, vertices, pixels, faces):
    """Paints a mesh on BGR to 1/16 pixel, far triangles first (no z-buffer)."""
    a, b, c = vertices.astype(np.float64)[faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
    light = 0.35 + 0.65 * np.clip(normals @ LIGHT, 0, 1)
    colours = (light[:, None] * COLOUR).tolist()
    order = np.argsort(-(a + b + c)[:, 2])
    points = np.rint(np.clip(pixels, -1e5, 1e5) * 16).astype(np.int32)[faces]
    for face in order[normals[order, 2] < 0]:  # The others face away.
        cv2.fillConvexPoly(canvas, points[face], colours[face], cv2.LINE_8, 4)


def frames(source):
    """(seconds, BGR image, frames per second; 0 of a photo) of a source."""
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


def run(model, source, stem, tracks, keep=True, show=False):
    """Writes the files of one source, each frame as soon as it is done."""
    film, written, start = None, 0, time.monotonic()
    with open(stem + ".jsonl", "w", buffering=1) as file:  # Each line.
        for count, (seconds, image, fps) in enumerate(frames(source), 1):
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            lines = [track.update(model, rgb, seconds) for track in tracks]
            clock = time.perf_counter()
            meshes = [t.mesh for t in tracks if t.mesh and (keep or show)]
            for mesh in sorted(meshes, key=lambda mesh: -mesh[2]):
                draw(image, *mesh[:2], model.faces)
            drawn = round(1000 * (time.perf_counter() - clock), 3)
            for number, line in enumerate(lines):
                line["ms"]["draw"] = drawn
                line.update(track=number, topology=model.topology)
                line = dict(frame=count - 1, time_s=seconds, **line)
                file.write(json.dumps(line, default=np.ndarray.tolist) + "\n")
            if keep and not fps:
                cv2.imencode(".png", image)[1].tofile(stem + "_overlay.png")
            elif keep:
                size, name = image.shape[1::-1], stem + "_overlay.mp4"
                film = film or cv2.VideoWriter(name, MP4V, fps, size)
                if not film.isOpened():  # MJPG comes with every OpenCV.
                    film.open(stem + "_overlay.avi", MJPG, fps, size)
                while written < seconds * fps + 0.5:  # Cameras may be slower.
                    film.write(image)
                    written += 1
            lost = [line["reason"] for line in lines if "reason" in line]
            if lost and not fps:
                raise ValueError(lost[0])
            if show:
                cv2.imshow(stem, image)
                cv2.waitKey(1)
            pace = count / (time.monotonic() - start)
            if count % 100 == 0:
                _say(f"{source}: {count} frames, {pace:.1f} a second")
    print(f"{stem}.jsonl: {count} frames")


def _say(text):
    print(" ".join(str(text).split()), file=sys.stderr, flush=True)


def _gpu_works(args):
    """Tries the GPU in a process of its own, which may die or hang."""
    command = [sys.executable, __file__, args.model, "--delegate", "gpu"]
    command += ["--gpu-float32"] * args.float32
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError as error:
        told = (error.stderr or b"").decode(errors="replace")
        why = re.findall("here: .*", told) or [error]
        _say(f"CPU, as the GPU fails: {why[0]}")
        return False
    return True


def _boxes(args):
    """Where the tracks start; None is the whole frame."""
    if not (args.box or args.boxes):
        return [None]
    told = args.box or json.loads(Path(args.boxes).read_text("utf-8"))
    boxes = np.array(told, float)
    good = boxes.shape[1:] == (4,) and np.isfinite(boxes).all()
    if not good or (boxes[:, 2:] <= 0).any():
        raise ValueError("boxes are [[x, y, w, h], ...] with w, h over 0")
    return boxes.tolist()


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("model", help=".tflite file of edge.export")
    add("sources", nargs="*", help="photo, folder, film, camera 0, pipeline")
    add("--box", nargs=4, type=float, action="append", metavar=tuple("XYWH"))
    add("--boxes", help="json file [[x, y, w, h], ...], instead of many --box")
    add("--out", default="out", help="folder for the results")
    add("--delegate", choices=("cpu", "gpu", "auto"), default="cpu")
    add("--gpu-float32", action="store_true", dest="float32", help="no float16")
    add("--focal", type=float, default=0.0, help="camera's, in pixels")
    add("--threads", type=int, default=2, help="CPU threads")
    add("--cache", default="", help="file for packed weights: faster start")
    add("--no-smooth", action="store_true", help="as the model answers")
    add("--no-overlay", action="store_true", help="only the .jsonl")
    add("--show", action="store_true", help="in a window")
    args = parser.parse_args(arguments)
    gpu = args.delegate == "gpu" or args.delegate == "auto" and _gpu_works(args)
    try:
        options = (args.threads, gpu, args.cache, args.float32, args.focal)
        model = Model(args.model, *options)
    except Exception as error:  # Runtimes raise of every kind.
        what = f"{type(error).__name__}: {error}"
        _say(f"{args.model} cannot be run here: {what}. {WHOLE}.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed, sources, taken = 0, [], []
    for source in args.sources:
        inside = sorted(Path(source).glob("*")) if os.path.isdir(source) else []
        photos = [str(p) for p in inside if p.suffix.lower() in PHOTOS]
        sources += photos or [source]
    for source in sources:
        taken.append(re.sub(r"[^\w.-]+", "_", Path(source).stem)[:80])
        while taken[-1] in taken[:-1]:
            taken[-1] += "-2"
        try:
            os.makedirs(args.out, exist_ok=True)
            stem = os.path.join(args.out, taken[-1])
            tracks = [Track(box, not args.no_smooth) for box in _boxes(args)]
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
