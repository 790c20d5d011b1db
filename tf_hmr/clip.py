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

from tf_hmr.body.data import BodyData
from tf_hmr.formats import bvh, gltf

_TO_Y_UP = np.diag([1.0, -1.0, -1.0])  # From x right, y down, z forward.
_log = logging.getLogger("tf_hmr.clip")


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
    """Body that the model was trained on: 'open', or a path to its file."""


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


def read(path: pathlib.Path) -> tuple[dict[int, Motion], str]:
    """Reads the tracks of a .jsonl, and the topology of their mesh.

    A last line that was cut off is left out, with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no line of edge.run, or no person is in it.
    """
    rows, topology = {}, ""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            if line["state"] != "lost":
                rows.setdefault(line["track"], []).append(line)
                topology = line["topology"]
        except (KeyError, TypeError, ValueError) as error:
            broken = isinstance(error, json.JSONDecodeError)
            if number == len(lines) > 1 and broken:
                _log.warning("%s: the last line is cut off; left out.", path)
                continue
            raise ValueError(
                f"{path}: line {number} is no line of edge.run ({error!r})."
            ) from None
    if not rows:
        raise ValueError(f"{path}: no frame shows a person.")
    start = min(track_rows[0]["time_s"] for track_rows in rows.values())
    motions = {
        track: _motion(track_rows, start) for track, track_rows in rows.items()
    }
    return motions, topology


def _motion(lines: list[dict], start: float) -> Motion:
    """Interpolates even frames between those in which the track was seen.

    Args:
        lines: lines of the track.
        start: time at which the video's clock is 0.
    """
    times, rotvecs, betas, translations = (
        np.array([line[key] for line in lines])
        for key in ("time_s", "pose_rotvec", "betas", "translation_m")
    )
    count = 1
    if len(times) > 1:
        frame_s = np.median(np.diff(times))
        count = max(2, 1 + round((times[-1] - times[0]) / frame_s))
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
    data = BodyData.load(args.body, num_betas)
    data.check_same_topology(topology, f"The bodies of {args.lines}")
    for motion in motions.values():
        _check_joints(motion, data, args.lines)
    actors = []
    written_files = [args.glb] if args.glb else []
    for track, motion in motions.items():
        vertices = data.v_template + data.shapedirs @ motion.betas
        rest = data.J_regressor @ vertices
        skeleton = bvh.Skeleton(rest, data.joint_names, data.parents)
        # The pelvis turns in place; the translation comes after.
        pelvis = _TO_Y_UP @ rest[0] + motion.translations
        actors.append(
            gltf.Actor(
                f"track {track}",
                vertices,
                *skeleton,
                data.weights,
                data.faces,
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
