"""Turns a recording of the device into animated meshes and motion files.

    python -m tf_hmr.clip out/video.jsonl --glb video.glb --bvh video.bvh

Reads the .jsonl of `edge.run`. The .glb holds every track with mesh, skeleton
and motion, the .bvh the motion alone, one file for each track (video.bvh,
video-1.bvh, ...). Both are y up, in metres, at an even frame rate: frames in
which a track was lost are interpolated. A track keeps one shape, the mean of
its betas. In the .glb all tracks share the video's clock, and a person who
comes later stands still at the first position until then; a .bvh starts when
its track does.
"""

import dataclasses
import json
import logging
import pathlib
import sys
from typing import NamedTuple

import numpy as np
import tyro
from scipy.spatial.transform import Rotation, Slerp

from tf_hmr.body import pair_data
from tf_hmr.body.data import BodyData
from tf_hmr.formats import bvh, gltf

_TO_Y_UP = np.diag([1.0, -1.0, -1.0])  # From x right, y down, z forward.
_log = logging.getLogger("tf_hmr.clip")

MAX_FRAMES = 1_000_000
"""Most frames of a track: eleven hours at 25 a second."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Options of the command line."""

    lines: tyro.conf.Positional[pathlib.Path]
    """The .jsonl of edge.run."""
    glb: pathlib.Path | None = None
    """Animated meshes to write."""
    bvh: pathlib.Path | None = None
    """Motion to write."""
    body: str = "open"
    """Body that the model was trained on: 'open', a path to its file, or
    FEMALE,MALE for SMPLR trained on two."""


class Motion(NamedTuple):
    """One track at an even frame rate, y up, metres.

    seconds (T,) since the first frame of any track; rotmats (T, J, 3, 3)
    relative to the parent, the first one global; betas (P,); translations
    (T, 3) from the body's frame.
    """

    seconds: np.ndarray
    rotmats: np.ndarray
    betas: np.ndarray
    translations: np.ndarray


class _Row(NamedTuple):
    """Numbers of one line; the names are the line's keys."""

    time_s: float
    pose_rotvec: np.ndarray  # (J, 3)
    betas: np.ndarray  # (P,)
    translation_m: np.ndarray  # (3,)


_LINE_ERRORS = (
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


def read(path: pathlib.Path) -> tuple[dict[int, Motion], str]:
    """Reads the tracks of a .jsonl, and the topology of their mesh.

    A last line that was cut off is left out, with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no line of edge.run, its numbers are not finite,
            the times of a track do not rise, or no person is in the file.
    """
    rows, topology = {}, ""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            if line["state"] != "lost":
                track_rows = rows.setdefault(line["track"], [])
                row = _row(line)
                _check_follows(row, next(iter(rows.values())), track_rows)
                track_rows.append(row)
                topology = line["topology"]
        except _LINE_ERRORS as error:
            broken = isinstance(error, json.JSONDecodeError)
            if number == len(lines) > 1 and broken:
                _log.warning("%s: the last line is cut off; left out.", path)
                continue
            cause = error if type(error) is ValueError else repr(error)
            raise ValueError(
                f"{path}: line {number} is no line of edge.run ({cause})."
            ) from None
    if not rows:
        raise ValueError(f"{path}: no frame shows a person.")
    start = min(track_rows[0].time_s for track_rows in rows.values())
    try:
        motions = {
            track: _motion(track_rows, start)
            for track, track_rows in rows.items()
        }
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return motions, topology


def _row(line: dict) -> _Row:
    """The numbers of a line.

    Raises:
        KeyError, OverflowError, TypeError, ValueError: they are not those of
            edge.run.
    """
    values = {key: np.array(line[key], np.float64) for key in _Row._fields}
    shapes = {key: value.shape for key, value in values.items()}
    num_joints, num_betas = len(line["pose_rotvec"]), len(line["betas"])
    expected = _Row((), (num_joints, 3), (num_betas,), (3,))._asdict()
    for key, value in values.items():
        if shapes[key] != expected[key] or not value.size:
            raise ValueError(
                f"{key} has shape {shapes[key]}, expected {expected[key]}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{key} is not finite")
    return _Row(**values | {"time_s": float(values["time_s"])})


def _check_follows(
    row: _Row, first_rows: list[_Row], track_rows: list[_Row]
) -> None:
    """Refuses a row that does not continue its file and its track."""
    if track_rows and row.time_s <= track_rows[-1].time_s:
        raise ValueError(
            f"time_s {row.time_s:g} is not after {track_rows[-1].time_s:g} of "
            "the track's line before, expected rising times"
        )
    for key in ("pose_rotvec", "betas"):
        shapes = {len(getattr(r, key)) for r in (*first_rows[:1], row)}
        if len(shapes) > 1:
            raise ValueError(f"{key} has another length than in the first line")


def _motion(rows: list[_Row], start: float) -> Motion:
    """Interpolates even frames between those in which the track was seen.

    Args:
        rows: rows of the track.
        start: time at which the video's clock is 0.

    Raises:
        ValueError: the frames would be more than MAX_FRAMES.
    """
    times, rotvecs, betas, translations = map(np.array, zip(*rows, strict=True))
    count = 1
    if len(times) > 1:
        frame_s = np.median(np.diff(times))
        span_s = times[-1] - times[0]
        if span_s > MAX_FRAMES * frame_s:
            raise ValueError(
                f"a track lasts {span_s:g} s at {frame_s:g} s a frame, "
                f"expected at most {MAX_FRAMES} frames. Is a time_s wrong?"
            )
        count = max(2, 1 + round(span_s / frame_s))
    even_times = np.linspace(times[0], times[-1], count)
    rotmats = np.empty((count, rotvecs.shape[1], 3, 3))
    for joint in range(rotvecs.shape[1]):
        turns = Rotation.from_rotvec(rotvecs[:, joint])
        interpolated = Slerp(times, turns)(even_times) if count > 1 else turns
        rotmats[:, joint] = interpolated.as_matrix()
    translations = [
        np.interp(even_times, times, column) for column in translations.T
    ]
    rotmats[:, 0] = _TO_Y_UP @ rotmats[:, 0]
    return Motion(
        even_times - start,
        rotmats,
        betas.mean(axis=0),
        np.stack(translations, axis=-1) @ _TO_Y_UP,
    )


def write(args: Args) -> list[pathlib.Path]:
    """Writes the requested files; returns their paths.

    Raises:
        FileNotFoundError, ValueError: as `read`; or no output was requested,
            or the body has another topology or number of joints.
    """
    if not (args.glb or args.bvh):
        raise ValueError("Say what to write: --glb FILE, --bvh FILE or both.")
    motions, topology = read(args.lines)
    num_betas = next(iter(motions.values())).betas.size
    if pair_data.is_pair(args.body):
        num_betas -= 1  # The last one is the gender.
    data = pair_data.load(args.body, num_betas)
    data.check_same_topology(topology, f"The bodies of {args.lines}")
    for motion in motions.values():
        _check_joints(motion, data, args.lines)
    actors = []
    written_files = [args.glb] if args.glb else []
    for track, motion in motions.items():
        own, betas = pair_data.choose(data, motion.betas)
        vertices = own.v_template + own.shapedirs @ betas
        rest = own.J_regressor @ vertices
        skeleton = bvh.Skeleton(rest, data.joint_names, data.parents)
        # The pelvis turns in place; the translation comes after.
        pelvis = _TO_Y_UP @ rest[0] + motion.translations
        actors.append(
            gltf.Actor(
                f"track {track}",
                vertices,
                *skeleton,
                own.weights,
                own.faces,
                motion.rotmats,
                pelvis,
                motion.seconds,
            )
        )
        if args.bvh:
            name = args.bvh.stem + (f"-{track}" if track else "")
            path = args.bvh.with_name(name + args.bvh.suffix)
            times = motion.seconds
            frame_s = times[1] - times[0] if len(times) > 1 else 0.04
            bvh.write(path, skeleton, motion.rotmats, pelvis, frame_s)
            written_files.append(path)
    if args.glb:
        gltf.write(args.glb, actors)
    return written_files


def _check_joints(motion: Motion, data: BodyData, path: pathlib.Path) -> None:
    count = motion.rotmats.shape[1]
    if count != data.num_joints:
        raise ValueError(
            f"The bodies of {path} have {count} joints, but the body "
            f"{data.name!r} has {data.num_joints}. Give --body the one that "
            "the model was trained on."
        )


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        files = write(args)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    print("\n".join(str(path) for path in files))
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m tf_hmr.clip", description=__doc__))
    )
