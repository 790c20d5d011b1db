"""Recovers people's meshes from photos, videos and cameras, on the device.

Copy this file and a model's .tflite, .card.json and .mesh.npz. It needs Python
3.8, OpenCV 4.5, numpy, ai-edge-litert or tflite-runtime (numpy 1), or later.

    python run.py hmr.tflite photo.jpg --box 310 40 220 520 --out out
    python run.py hmr.tflite video.mp4 photos/ --boxes boxes.json --out out
    python run.py hmr.tflite 0 --show --delegate auto
    python run.py 0 --find FOLDER --serve 8000      (everybody; no box or model)

Each source gives NAME.jsonl, a line per frame and person, and NAME_overlay. In
a video the next crop follows the joints; a lost track restarts in its box.
Metres: x right, y down, z forward. Boxes: x, y, w, h in pixel edges; points
count from the first pixel's centre; keypoints_px are at the pelvis's depth.
"""

import argparse
import hashlib
import importlib
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # cv2 reads it at import.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "300000000")
import cv2
import numpy as np

SIGNATURE = "serving_default"
INPUTS = ("image", "box", "image_size", "intrinsics")  # All that cards list.
OUTPUTS = ("vertices", "joints", "keypoints", "rotmats", "betas", "camera")
MAX_PIXELS = 300_000_000  # Of a photo, as in tf_hmr.
PHOTOS = tuple(
    ".avif .bmp .jfif .jp2 .jpe .jpeg .jpg .png .ppm .tif .tiff .webp".split()
)
OTHER_PHOTOS = tuple(  # HEIC, RAW of cameras and others that are not read.
    ".3fr .arw .cr2 .cr3 .crw .dng .erf .gif .heic .heif .hif .iiq .jxl .jxr "
    ".kdc .mef .mos .mrw .nef .nrw .orf .pef .psd .raf .raw .rw2 .rwl .sr2 "
    ".srf .srw .tga .x3f".split()
)
MP4_BOXES = b"ftyp moov mdat free skip wide styp moof mfra sidx uuid".split()
TOO_LARGE = f"larger than {MAX_PIXELS // 10**6} megapixels"
NO_IMAGE = "not a readable image"
MARKER = re.compile(rb"\xff([^\x00\xff])")  # Of a JPEG.
SCAN_END = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
CONVERT = "convert it to JPEG or PNG"
HINT = "Expected edge.export's .tflite, .card.json, .mesh.npz whole; LiteRT 2"
BOXES = "[[x, y, w, h], ...] in pixels with w, h over 0"
ERRORS = (OSError, ValueError, TypeError, MemoryError, cv2.error)
ERRORS += (OverflowError, RecursionError)  # Of numbers in --boxes.
FOCAL_OVER_SIDE = 5000 / 224  # As in tf_hmr.
ROOM = 1.11  # A person's box over that of HMR's 19 joints, on synthetic_v1.
BOX_SHARE = 0.6  # Share of the joints' box in the next box; else the last box.
CAMERA_SCALES = (0.25, 4.0)  # Plausible: the crop shows 8 m to 0.5 m.
MIN_LIKENESS = 0.65  # Bhattacharyya coefficient with a person's past colours.
PATIENCE_S = 3.0  # The colours of a person lost for longer are forgotten.
# Least cutoffs in Hz, and rise with speed: of rotations, points and position.
FILTERS = ((1.0, 2.0), (1.0, 2.0), (1.0, 8.0))
MESH_BGR = np.array([219.0, 189.0, 166.0])
LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
MP4V, MJPG = (cv2.VideoWriter_fourcc(*name) for name in ("mp4v", "MJPG"))


class Model:
    """The three files of edge.export: network, card and mesh."""

    reads = INPUTS

    def __init__(
        self, path, threads=1, gpu=False, cache="", float32=False, focal=0.0
    ):
        path = Path(path)
        card = json.loads(path.with_suffix(".card.json").read_text("utf-8"))
        self.inputs, self.focal = tuple(card["inputs"]), focal
        unknown = sorted(set(self.inputs) - set(self.reads))
        if unknown:
            raise ValueError(f"it reads {unknown}, not only {self.reads}")
        image = card["inputs"].get("image", {"shape": (1, 256)})
        self.size = int(image["shape"][1])
        self.crop_scale = float(card["crop"]["scale"])
        self.topology = str(card["topology"])
        if not (self.size > 0 and 0 < self.crop_scale < math.inf):
            raise ValueError("its card's image shape or crop scale is not > 0")
        mesh_path = str(path.with_suffix(".mesh.npz"))
        if not zipfile.is_zipfile(mesh_path):
            raise ValueError("its .mesh.npz is damaged")
        mesh = dict(np.load(mesh_path))
        for name in {"faces", "lite_faces", "lite_vertices"} & set(mesh):
            array = mesh[name]
            if array.dtype.kind not in "iu" or array.min(initial=0) < 0:
                raise ValueError(f"{name} of its .mesh.npz are no indices")
        self.faces = mesh["faces"]
        if "lite_faces" in mesh:
            self.faces = mesh["lite_vertices"][mesh["lite_faces"]]
        if self.faces.shape[1:] != (3,) or not len(self.faces):
            raise ValueError("the faces of its .mesh.npz are no triangles")
        if path.stat().st_size != card["bytes"]:  # tflite-runtime would crash.
            raise ValueError(f"not the {card['bytes']} bytes that it was")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if card.get("sha256", digest) != digest:  # Older cards have none.
            raise ValueError("damaged, its sha256 is not that of its card")
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
        """Outputs of a (S, S, 3) RGB crop, of a square in a frame of `size`."""
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
    """All inputs by name, as in tf_hmr/method_inputs.py; focal 0 is unknown."""
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
        for name, example in examples.items():
            flat = output_buffers[name].read(example.size, np.float32)
            outputs[name] = flat.reshape(1, *example.shape)
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
        self.filters = [OneEuro(least_hz, rise) for least_hz, rise in FILTERS]
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
            geometry = (square, size, model.focal_px(size))
            record.update(self.placement(outputs, *geometry, seconds))
            low, high = pixels.min(axis=0) + 0.5, pixels.max(axis=0) + 0.5
            sides = np.maximum(ROOM * (high - low), 1.0)
            joints_box = np.append((low + high - sides) / 2, sides)
            share = BOX_SHARE if person_box else 1.0
            self.box = list(share * joints_box + (1 - share) * np.array(box))
        ms = np.round(1000 * np.diff([*times, time.perf_counter()]), 3)
        return dict(record, ms=dict(zip(("crop", "model", "smooth"), ms)))

    def label(self, image):
        """Whoever has a box needs no number."""

    def _lost_reason(self, outputs, crop, visible_share, seconds):
        """Why the person is lost: no person, or another one; "" if tracked."""
        not_finite = [n for n in OUTPUTS if not np.isfinite(outputs[n]).all()]
        s, tx, ty = outputs["camera"]
        if not_finite or s <= 0:
            return f"{not_finite} not finite, or a scale of 0 or less ({s})"
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

    def placement(self, outputs, square, size, focal, seconds):
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
            raw = zip(self.filters, (rotations, points, position))
            rotations, points, position = (f(v, elapsed) for f, v in raw)
            self.count += 1
            betas = self.betas = self.betas + (betas - self.betas) / self.count
        position = np.append(position[:2], math.exp(position[2]))
        depth = position[2]
        pixels = (points[:, :2] + position[:2]) * focal / depth + centre - 0.5
        count, self.previous_s = len(outputs["joints"]), seconds
        self.mesh = points[count:], pixels[count:], depth
        rotmats = np.float64(rotations).reshape(-1, 3, 3)
        rotvecs = [cv2.Rodrigues(rotmat)[0] for rotmat in rotmats]  # Nearest.
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


def read_photo(path):
    """BGR image of a file, upright; ValueError if tf_hmr would refuse it."""
    data = Path(path).read_bytes()
    (height, width), variants = (0, 0), [data]
    expansion = math.inf  # The most pixels that a byte can hold.
    if data[:2] == b"\xff\xd8":
        (height, width), variants = _jpeg_pictures(data)
        expansion = 512
    elif data[:4] == b"\x89PNG" and len(data) >= 26:
        width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
        channels = {2: 3, 4: 2, 6: 4}.get(kind, 1)
        expansion = 8 * 1032 / max(depth * channels, 1)
        offset, kind = 8, b""
        while kind != b"IEND" and offset + 8 <= len(data):
            length, kind = struct.unpack_from(">I4s", data, offset)
            offset += 12 + length
        if offset > len(data):  # OpenCV would take memory for it first.
            raise ValueError("PNG is cut short")
    elif data[4:8] == b"ftyp":
        _check_heif(data)
    if height * width > MAX_PIXELS:
        raise ValueError(TOO_LARGE)
    if height * width > expansion * len(data):
        raise ValueError("picture has too few bytes for its size")
    for variant in variants:
        image, complaint = _decode(variant)
        if not complaint:
            break
    if image is None or complaint:
        raise ValueError("JPEG is damaged" if complaint else NO_IMAGE)
    return image


def _jpeg_pictures(data):
    """Height and width of a JPEG, and its picture alone: as jpeg_data.py."""
    offset, size, header, coded, kind = 2, b"", bytearray(data[:2]), 0, 0
    while kind != 0xD9:
        match = (SCAN_END if kind == 0xDA else MARKER).search(data, offset)
        if not match:
            raise ValueError("JPEG is cut short")
        kind, start, offset = match.group(1)[0], match.end() - 2, match.end()
        if kind != 1 and not 0xD0 <= kind <= 0xD9:  # Others have a length.
            if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
                size = size or data[offset + 3 : offset + 7]
            offset += int.from_bytes(data[offset : offset + 2], "big")
        coded = coded or (start if kind in (0xDA, 0xD9) else 0)
        header += b"" if coded else data[start:offset]
    if len(size) < 4:
        raise ValueError(NO_IMAGE)
    body = data[coded:start]
    short = body.rstrip(b"\0")
    zeros = len(body) - len(short)
    counts = (zeros, *range(min(3, zeros)))
    pictures = [header + short + bytes(n) + b"\xff\xd9" for n in counts]
    return struct.unpack(">HH", size), pictures


def _check_heif(data):
    """Refuses HEIC, and AVIF that its file says to turn or to mirror."""
    length = int.from_bytes(data[:4], "big")
    brands, start = data[8:length], data.find(b"meta", length)
    is_avif = re.search(b"avi[fs]", brands)
    if not is_avif and re.search(b"hei[cxms]|hevc|m[is]f1", brands):
        raise ValueError("HEIC is not read: " + CONVERT)
    end = start + int.from_bytes(data[max(start - 4, 0) : start], "big")
    if re.search(b"\0\0\0\x09(irot[^\0]|imir)", data[start:end], re.DOTALL):
        raise ValueError("AVIF that is to be turned is not read: " + CONVERT)


def _decode(data):
    """The image or None, and libjpeg's complaint, which OpenCV only prints."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            buffer = np.frombuffer(data, np.uint8)
            image = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
        except cv2.error as error:  # Empty, or beyond OpenCV's own limit.
            if "CV_IO_MAX_IMAGE" in str(error):
                raise ValueError(TOO_LARGE) from None
            image = None
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
        log.seek(0)
        complaint = re.search(b"Corrupt JPEG data|Premature end", log.read())
    return image, complaint


class Clock:
    """Seconds of a video's frames since its first, by the video's own clock."""

    def __init__(self, fps):
        self.fps, self.start_s, self.count, self.last_s = fps, None, 0, -1 / fps

    def __call__(self, position_ms):
        """Time of the next frame, whose position OpenCV says."""
        if self.start_s is None:
            self.start_s = position_ms / 1000
        elapsed = position_ms / 1000 - self.start_s
        if abs(elapsed - self.count / self.fps) < 1e-3:  # The clock's rounding.
            elapsed = self.count / self.fps
        if not self.last_s < elapsed < math.inf:  # It says nothing.
            elapsed = self.last_s + 1 / self.fps
        self.count, self.last_s = self.count + 1, elapsed
        return elapsed


def is_cut(path):
    """Whether a video ends before the boxes or chunks that it should hold."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(max(0, size - 1024))
        if not file.read().strip(b"\0"):  # Room for what never came.
            return True
        file.seek(0)
        head, end = file.read(64), 0
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_length(head) > size
        length = _box_length(head)
        if length is None:
            return True
        while length is not None and end <= size:
            end += length or size - end
            file.seek(min(end, size))
            length = _box_length(file.read(16))
    return end > size + 1


def _box_length(head):
    """Bytes of an AVI or MP4 box; 0: to the file's end; None: another kind."""
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8
    if head[4:8] not in MP4_BOXES:
        return None
    length = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if length == 1 else length


def _matroska_length(head):
    """Length that a Matroska or WebM file should have; 0 if it is not said."""
    offset = head.find(b"\x18\x53\x80\x67") + 4  # Segment.
    if offset < 4 or not any(head[offset : offset + 1]):
        return 0
    count = 9 - head[offset].bit_length()  # Bytes of the length.
    marker = 1 << 7 * count
    length = int.from_bytes(head[offset : offset + count], "big") - marker
    return 0 if length == marker - 1 else offset + count + length


def frames(source):
    """Yields (seconds, BGR image, frames per second or 0 for a photo)."""
    is_file, api = os.path.isfile(source), cv2.CAP_ANY
    kind = os.path.splitext(source)[1].lower()
    # OpenCV reads GIF as a film.
    if is_file and kind in PHOTOS + OTHER_PHOTOS and kind != ".gif":
        yield 0.0, read_photo(source), 0
        return
    if "!" in source and not is_file:
        api = cv2.CAP_GSTREAMER
        if not re.search(r"GStreamer: *YES", cv2.getBuildInformation()):
            raise ValueError("this OpenCV is built without GStreamer")
    video = cv2.VideoCapture(int(source) if source.isdigit() else source, api)
    fps, start = video.get(cv2.CAP_PROP_FPS), time.monotonic()
    fps = fps if 0 < fps < 1000 else 25.0
    clock, image = Clock(fps), video.read()[1]
    shape = np.shape(image)
    while image is not None and image.shape == shape:
        seconds = clock(video.get(cv2.CAP_PROP_POS_MSEC))
        yield seconds if is_file else time.monotonic() - start, image, fps
        image = video.read()[1]
    if not clock.count:
        raise ValueError("no such film or camera, no photos, or not readable")
    fewer = clock.count < 0.98 * video.get(cv2.CAP_PROP_FRAME_COUNT) - 1
    why = "" if image is None else ": its size changed"
    if why or not is_file or fewer and is_cut(source):
        raise ValueError(f"broke off after {clock.count} frames{why}")


def run(model, source, stem, follow, save=True, show=False, page=None):
    """Writes one source's files; `follow` gives a frame's tracks by number."""
    video, written, run_start = None, 0, time.monotonic()
    with open(stem + ".jsonl", "w", buffering=1) as file:  # By line.
        for count, (seconds, image, fps) in enumerate(frames(source), 1):
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            tracks = follow(rgb, seconds)
            records = [t.update(model, rgb, seconds) for t in tracks.values()]
            draw_start = time.perf_counter()
            drawn = tracks.values() if save or show or page else []
            drawn = [track for track in drawn if track.mesh]
            for track in sorted(drawn, key=lambda track: -track.mesh[2]):
                draw(image, *track.mesh[:2], model.faces)
                track.label(image)
            draw_ms = round(1000 * (time.perf_counter() - draw_start), 3)
            for number, record in zip(tracks, records):
                record["ms"]["draw"] = draw_ms
                record.update(track=number, topology=model.topology)
                record = dict(frame=count - 1, time_s=seconds, **record)
                file.write(json.dumps(record, default=np.ndarray.tolist) + "\n")
            if save and not fps:
                write_png(stem + "_overlay.png", image)
            elif save:
                size, name = image.shape[1::-1], stem + "_overlay.mp4"
                video = video or cv2.VideoWriter(name, MP4V, fps, size)
                if not video.isOpened():  # MJPG comes with every OpenCV.
                    video.open(stem + "_overlay.avi", MJPG, fps, size)
                # A slow camera's frames are repeated, those of a file are not.
                due = count if os.path.isfile(source) else seconds * fps + 0.5
                while written < due:
                    video.write(image)
                    written += 1
            reasons = [r["reason"] for r in records if "reason" in r]
            if reasons and not fps:
                raise ValueError(reasons[0])
            if page:
                page(image)
            if show:
                cv2.imshow(stem, image)
                cv2.waitKey(1)
            if count % 100 == 0:
                pace = count / (time.monotonic() - run_start)
                _say(f"{source}: {count} frames, {pace:.1f} a second")
    print(f"{stem}.jsonl: {count} frames")


def write_png(path, image):
    """Writes a picture whole, or leaves the old one."""
    part = Path(path + ".part")
    try:
        part.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
    boxes = [_box(row) for row in rows] if isinstance(rows, list) else []
    rest = [number for number, box in enumerate(boxes) if not box]
    if len(rest) == len(boxes):
        raise ValueError(f"the boxes are not {BOXES}")
    if rest:
        _say(f"{source}: boxes {rest} are left out; expected {BOXES}")
    return [box for box in boxes if box]


def _box(row):
    """The box of a row of a file; None if it is not one in pixels."""
    try:
        x, y, w, h = box = [float(v) for v in row if isinstance(row, list)]
    except (TypeError, ValueError, OverflowError):
        return None
    low, high = 1e-3, 1e7  # Least and longest sides of a box.
    largest = max(map(abs, box)) if all(map(math.isfinite, box)) else 0
    # Shares of the frame end before 1.5.
    return box if 1.5 < largest <= high and min(w, h) >= low else None


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("model", help=".tflite file of edge.export; with --find a source")
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
    add("--find", metavar="FOLDER", help="of edge.finder: finds everybody")
    add("--serve", type=int, metavar="PORT", help="page of it, with --find")
    args = parser.parse_args(arguments)
    if not 0 <= args.focal < math.inf:
        _say(f"--focal {args.focal}: expected pixels, over 0")
        return 1
    gpu = args.delegate == "gpu" or args.delegate == "auto" and _gpu_works(args)
    try:
        if args.find:  # The second file.
            sys.path.insert(0, os.path.join(args.find, "finder.zip"))
            code = importlib.import_module("edge.finding")
            finding = code.Finding(sys.modules[__name__], args)
            model, args.sources = finding.model, [args.model, *args.sources]
        else:
            options = (args.threads, gpu, args.cache, args.float32, args.focal)
            model, finding = Model(args.model, *options), None
    except Exception as error:  # Runtimes raise any kind.
        message = f"cannot be run here: {type(error).__name__}: {error}"
        _say(f"{args.find or args.model} {message}. {HINT}.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed, sources, stems = 0, [], []
    for source in args.sources:
        is_folder, names = os.path.isdir(source), "[!.]*"  # No ._NAME of macOS.
        files = sorted(Path(source).glob(names)) if is_folder else []
        photos = [str(p) for p in files if p.suffix.lower() in PHOTOS]
        for path in (p for p in files if p.suffix.lower() in OTHER_PHOTOS):
            failed = 1
            _say(f"{path}: a {path.suffix[1:].upper()} is not read: {CONVERT}")
        sources += photos or [source]
    for source in sources:
        stems.append(re.sub(r"[^\w.-]+", "_", Path(source).stem)[:80])
        while stems[-1] in stems[:-1]:
            stems[-1] += "-2"
        try:
            os.makedirs(args.out, exist_ok=True)
            boxes = enumerate([] if finding else _boxes(args, source))
            boxed = {n: Track(box, not args.no_smooth) for n, box in boxes}
            follow = finding.people() if finding else lambda *_, b=boxed: b
            show = (not args.no_overlay, args.show, finding and finding.page)
            run(model, source, os.path.join(args.out, stems[-1]), follow, *show)
        except ERRORS as error:
            failed = 1
            _say(f"{source}: {error}")
        except KeyboardInterrupt:
            _say(f"{source}: stopped; {args.out} holds what was done")
            return 130
    return failed


if __name__ == "__main__":
    sys.exit(main())
