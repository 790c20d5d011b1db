"""Bodies fitted to 2D keypoints alone, by SMPLify.

Examples:

    python -m tf_hmr.fit_keypoints --keypoints openpose/ --images photos/
    python -m tf_hmr.fit_keypoints --keypoints a_keypoints.json --images a.jpg
    python -m tf_hmr.fit_keypoints --keypoints coco.json --out out
    python -m tf_hmr.fit_keypoints --keypoints openpose/ --body SMPL_NEUTRAL.pkl
        --prior gmm_08.pkl

Reads OpenPose's json (a file, or a folder of NAME_keypoints.json), COCO's
annotations or COCO's list of results. Person 0 of photo NAME becomes
NAME_0.png (keypoints, overlay and side view), NAME_0_overlay.png,
NAME_0_side.png, NAME_0.glb, NAME_0.obj, NAME_0.npz and NAME_0.json, like the
files of `python -m tf_hmr`. Without photos, bodies are drawn on grey.
"""

import dataclasses
import logging
import pathlib
import sys
from typing import Literal

import tyro

from tf_hmr.body import files as body_files
from tf_hmr.formats import keypoint_files
from tf_hmr.geometry import camera

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class Args:
    """Options of the command line."""

    keypoints: pathlib.Path
    """Json of OpenPose or COCO, or a folder of OpenPose's files."""
    out: pathlib.Path = pathlib.Path("out")
    """Folder for the results; made if missing."""
    images: pathlib.Path | None = None
    """The photo, or the folder of the photos, to draw on."""
    body: str = "open"
    """'open', or a path to a body file."""
    prior: pathlib.Path | None = None
    """Pose prior: SMPLify's gmm_08.pkl, or an .npz of `training.prepare
    pose-gmm`; None for the open body's own."""
    schedule: Literal["keypoints", "original", "spin"] = "keypoints"
    """How to fit: 'keypoints' until the keypoints are met, 'original' as Bogo
    et al. 2016, 'spin' as in SPIN's training loop."""
    focal_px: float | None = None
    """Focal length of the camera in pixels, if known."""


def main(args: Args) -> int:
    """Runs the command; returns its exit status, 0 when nothing failed."""
    try:
        camera.check_focal(args.focal_px)
        body_files.find(args.body)
        people = keypoint_files.read(args.keypoints)
        for path in (args.images, args.prior):
            if path is not None and not path.exists():
                raise FileNotFoundError(f"{path}: no such file or folder.")
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    # Not at the top: it imports TensorFlow.
    from tf_hmr.tasks import fit_keypoints as task

    return task.run(args, people)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(
            tyro.cli(
                Args,
                prog="python -m tf_hmr.fit_keypoints",
                description=__doc__,
            )
        )
    )
