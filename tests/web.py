"""Tests the page of edge/web, in Node and in headless Chromium.

    python -m tests.web
    python -m tests.web --only track finder

Makes the vectors of tests/support/phone_vectors and a site, in build/web, and
runs edge/web/tests on them. Without Node, npm or Chromium it says so and ends
well, unless CI is set: continuous integration has them.
"""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import tyro

from edge import film, site
from edge.conversion import card as cards
from tests.support import phone_vectors, photos, rendered_groups
from tests.support.paths import ROOT
from tf_hmr import inference, landmark_fitting
from tf_hmr.detection import finder
from tf_hmr.geometry import crop

WEB = ROOT / "edge" / "web"
BUILD = ROOT / "build" / "web"
PROGRAMS = {
    "node": ("node",),
    "npm": ("npm",),
    "Chromium": ("chromium", "chromium-browser", "google-chrome"),
}
_VIDEO_FPS = 5  # So that software draws each frame in time, or nearly.
_STILL_FRAMES = 50
"""Of the file that plays the camera, again and again: a person who walked
would have left by the time that the page is ready."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of tests.web."""

    only: tuple[str, ...] = ()
    """Some of the files edge/web/tests/NAME.test.js."""
    keep: bool = False
    """Take vectors and site that an earlier run made."""
    out: Path = BUILD
    """Folder for what is made."""


def programs() -> dict[str, str | None]:
    """Paths of the programs that the tests need; None where one is missing."""
    return {
        name: next(filter(None, map(shutil.which, words)), None)
        for name, words in PROGRAMS.items()
    }


def make(folder: Path) -> None:
    """Makes vectors, site and inputs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in phone_vectors.PARTS:
        print(f"Making the vectors: {part}", flush=True)
        phone_vectors.make(part, folder / "vectors" / part)
    print("Making the site", flush=True)
    network = folder / "vectors" / "networks" / "image_float32.tflite"
    site.write(site.Args(folder / "site", model=(network,)))
    _write_inputs(folder / "inputs")
    _write_bad_models(folder / "inputs", network)
    (folder / "made").touch()


def _write_inputs(folder: Path) -> None:
    """A photo with what Python makes of it, a camera's still, no picture."""
    folder.mkdir()
    image, _ = rendered_groups.person(1)
    photos.write(folder / "person.png", image)
    (answer,) = finder.Finder(crowds=False)(image)
    # The page draws by weak perspective, as the lifter itself sees people.
    points = landmark_fitting.keypoints(answer.points)
    box = crop.box_of_keypoints(points[:, :2], points[:, 2] > 0)
    (person,) = inference.recover(
        landmark_fitting.load_lifter(), image, [box], landmarks=[answer.points]
    )
    expected = {
        "joints_m": person.joints.tolist(),
        "keypoints_px": person.keypoints_px.tolist(),
    }
    (folder / "person.json").write_text(json.dumps(expected))
    photos.write(folder / "nobody.png", photos.image(160, 120))
    (folder / "no_picture.jpg").write_bytes(b"no picture")
    walk = film.Walk(film.Args(Path("walk.mp4"), frames=1))
    still = np.ascontiguousarray(walk.frame(20)[0][..., ::-1])
    jpeg = cv2.imencode(".jpg", still)[1].tobytes()
    (folder / "camera.mjpeg").write_bytes(_STILL_FRAMES * jpeg)
    height, width = still.shape[:2]
    video = cv2.VideoWriter(
        str(folder / "still.webm"),
        cv2.VideoWriter.fourcc(*"VP80"),
        _VIDEO_FPS,
        (width, height),
    )
    for _ in range(_STILL_FRAMES):
        video.write(still)
    video.release()


def _write_bad_models(folder: Path, network: Path) -> None:
    """Models that are not as their cards say, each with all three files."""
    content = network.read_bytes()
    card = json.loads(network.with_suffix(".card.json").read_text())
    mesh = cards.mesh_path(network).read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    other_mesh = io.BytesIO()
    np.savez(other_mesh, faces=np.int32([[0, 1, 10**5]]))
    lacking = {key: value for key, value in card.items() if key != "crop"}
    for name, parts in {
        "cut": (content[:-100], card, mesh),
        "flipped": (bytes(flipped), card, mesh),
        "lacking": (content, lacking, mesh),
        "other_body": (content, card, other_mesh.getvalue()),
        "no_zip": (content, card, b"noise" * 9),
    }.items():
        path = folder / f"{name}.tflite"
        path.write_bytes(parts[0])
        path.with_suffix(".card.json").write_text(json.dumps(parts[1]))
        cards.mesh_path(path).write_bytes(parts[2])


def run(folder: Path, names: tuple[str, ...], chromium: str) -> int:
    """Runs the tests in Node; returns the exit status."""
    if not (WEB / "node_modules" / ".package-lock.json").is_file():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB, check=True
        )
    files = [f"tests/{name}.test.js" for name in names]
    files = files or sorted(
        str(path.relative_to(WEB)) for path in WEB.glob("tests/*.test.js")
    )
    environment = os.environ | {
        "PHONE_VECTORS": str(folder / "vectors"),
        "SITE": str(folder / "site"),
        "INPUTS": str(folder / "inputs"),
        "PYTHON": sys.executable,
        "ROOT": str(ROOT),
        "SHOTS": str(folder),
        "CHROMIUM": chromium,
    }
    commands = (
        ["npx", "--no-install", "eslint", "."],
        # One file at a time: each has a browser of its own.
        ["node", "--test", "--test-concurrency=1", *files],
    )
    for command in commands:
        status = subprocess.run(command, cwd=WEB, env=environment).returncode
        if status:
            return status
    return 0


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    paths = programs()
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        print(
            f"The page is not tested: no {', no '.join(missing)} here. Install "
            "Node.js 20 and Chromium."
        )
        return 1 if os.environ.get("CI") == "true" else 0
    # Before the vectors, which take a minute.
    if not (args.keep and (args.out / "made").is_file()):
        make(args.out)
    return run(args.out, args.only, paths["Chromium"])


if __name__ == "__main__":
    parsed = tyro.cli(Args, prog="python -m tests.web", description=__doc__)
    sys.exit(main(parsed))
