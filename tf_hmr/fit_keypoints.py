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
NAME_0_side.png, NAME_0.glb, NAME_0.obj, NAME_0.npz and NAME_0.json, as those
of `python -m tf_hmr`. Without photos bodies stand on grey.
"""

import dataclasses
import logging
import pathlib
import sys
from typing import Literal

import cv2
import numpy as np
import tqdm
import tyro

from tf_hmr import inference, joints, keypoint_fitting, person_files, rendering
from tf_hmr.body.data import BodyData
from tf_hmr.formats import keypoint_files
from tf_hmr.smplify import priors, schedules

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_MARGIN = 1.1  # Of a picture whose size nobody says, around its keypoints.
_GREY = 200
_SCHEDULES = {
    "keypoints": schedules.KEYPOINTS,
    "original": schedules.ORIGINAL,
    "spin": schedules.SPIN,
}

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class Args:
    """What the command line says."""

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
    """How to fit: until the keypoints are met, as Bogo et al. 2016, or as
    SPIN's loop."""
    focal_px: float | None = None
    """Focal length of the camera in pixels, if known."""


def main(args: Args) -> int:
    """Runs the command; returns its exit status, 0 when nothing failed."""
    try:
        seen = _enough(keypoint_files.read(args.keypoints))
        data = BodyData.load(args.body)
        prior = _prior(args, data)
        photos = [_photo(args.images, each) for each in seen]
        args.out.mkdir(parents=True, exist_ok=True)
        fitter = keypoint_fitting.PeopleFitter(
            data, prior, _SCHEDULES[args.schedule]
        )
        found = _fit(fitter, args, seen, photos)
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    facts = {
        "fitted_to": str(args.keypoints),
        "schedule": args.schedule,
        "body": data.name,
        "licence": data.licence,
    }
    failures = 0
    for each, photo, one in zip(seen, photos, found, strict=True):
        try:
            _write(args.out, each, photo, one, facts)
        except (OSError, ValueError, cv2.error) as error:
            failures += 1
            name = f"{each.photo}: person {each.number}"
            _log.error("%s: %s", name, " ".join(str(error).split()))
    errors = [one.error for one in found]
    print(
        f"{len(found)} people in {args.out}; keypoints are met to "
        f"{np.mean(errors):.1f} px at {keypoint_fitting.SIDE} px "
        f"(worst {np.max(errors):.1f})"
    )
    return 1 if failures else 0


def _enough(seen: list[keypoint_files.Seen]) -> list[keypoint_files.Seen]:
    """The people with keypoints enough; a warning for each other one.

    Raises:
        ValueError: there is nobody.
    """
    kept = []
    for each in seen:
        count = int((each.keypoints[:, 2] > 0).sum())
        if count >= keypoint_fitting.LEAST:
            kept.append(each)
            continue
        _log.warning(
            "%s: person %d is left out, with %d keypoints; at least %d are "
            "needed.",
            *(each.photo, each.number, count, keypoint_fitting.LEAST),
        )
    if not kept:
        raise ValueError(
            "The keypoints name no person who can be fitted, expected people "
            f"with {keypoint_fitting.LEAST} keypoints or more. Is it the file "
            "that the detector wrote?"
        )
    return kept


def _prior(args: Args, data: BodyData) -> priors.Mixture:
    if args.prior is None and data.topology != priors.load().topology:
        raise ValueError(
            f"The body {data.name!r} has topology {data.topology!r}, of which "
            "no pose prior ships with the package. Give --prior gmm_08.pkl of "
            "SMPLify's download, or one of `python -m training.prepare "
            "pose-gmm`."
        )
    return priors.load(args.prior)


def _photo(images: pathlib.Path | None, seen) -> pathlib.Path | None:
    """The photo of a person.

    Raises:
        FileNotFoundError: the folder has none of its name.
    """
    if images is None or images.is_file():
        return images
    names = [seen.file_name] if seen.file_name else []
    names += [seen.photo + suffix for suffix in _SUFFIXES]
    for name in names:
        if (images / name).is_file():
            return images / name
    raise FileNotFoundError(
        f"{images} holds no photo {seen.photo} with one of the endings "
        f"{', '.join(_SUFFIXES)}. Leave --images out to draw on grey."
    )


def _fit(fitter, args, seen, photos) -> list[keypoint_fitting.Found]:
    tasks = []
    for each, photo in zip(seen, photos, strict=True):
        size = each.size
        if photo is not None:
            height, width = inference.read_photo(photo).shape[:2]
            size = (width, height)
        size = size or _extent(each.keypoints)
        tasks.append(keypoint_fitting.Task(each.keypoints, size, args.focal_px))
    with tqdm.tqdm(total=len(tasks), unit="start", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done)

        return fitter(tasks, progress)


def _extent(keypoints: np.ndarray) -> tuple[int, int]:
    """Width and height of a picture that holds the keypoints."""
    far = keypoints[keypoints[:, 2] > 0, :2].max(axis=0)
    width, height = np.ceil(_MARGIN * np.maximum(far, 1)).astype(int)
    return int(width), int(height)


def _write(folder, seen, photo, found: keypoint_fitting.Found, facts) -> None:
    width, height = found.person.image_size
    if photo is None:
        image = np.full((height, width, 3), _GREY, np.uint8)
    else:
        image = inference.read_photo(photo)
    stem = folder / f"{seen.photo}_{seen.number}"
    told = {
        "photo": photo.name if photo else seen.photo,
        "person": seen.number,
        "reprojection_px_at_224": found.error,
        "keypoints_given": {
            name: label
            for name, label in zip(
                joints.KEYPOINTS, seen.keypoints.tolist(), strict=True
            )
            if label[2] > 0
        },
    }
    given = np.where(seen.keypoints[:, 2:] > 0, seen.keypoints[:, :2], np.nan)
    drawn = rendering.skeleton(image, given, joints.KEYPOINTS)
    person_files.write(stem, image, found.person, facts | told, drawn)


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
