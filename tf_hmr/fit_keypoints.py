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

import cv2
import numpy as np
import tqdm
import tyro

from tf_hmr import inference, joints, keypoint_fitting, person_files, rendering
from tf_hmr.body.data import BodyData
from tf_hmr.formats import image_files, keypoint_files
from tf_hmr.geometry import camera
from tf_hmr.smplify import priors, schedules

_MARGIN = 1.1  # Side of an image of unknown size over its keypoints' extent.
_GREY = 200
_SCHEDULES = {
    "keypoints": schedules.KEYPOINTS,
    "original": schedules.ORIGINAL,
    "spin": schedules.SPIN,
}

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
        people = _select_fittable(keypoint_files.read(args.keypoints))
        data = BodyData.load(args.body)
        prior = _prior(args, data)
        photos = [_photo(args.images, person) for person in people]
        args.out.mkdir(parents=True, exist_ok=True)
        fitter = keypoint_fitting.PeopleFitter(
            data, prior, _SCHEDULES[args.schedule]
        )
        fits = _fit(fitter, args, people, photos)
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
    for person, photo, fit in zip(people, photos, fits, strict=True):
        try:
            _write(args.out, person, photo, fit, facts)
        except (OSError, ValueError, cv2.error) as error:
            failures += 1
            name = f"{person.photo}: person {person.number}"
            _log.error("%s: %s", name, " ".join(str(error).split()))
    errors = [fit.error for fit in fits]
    print(
        f"{len(fits)} people in {args.out}; keypoints are met to "
        f"{np.mean(errors):.1f} px at {keypoint_fitting.SIDE} px "
        f"(worst {np.max(errors):.1f})"
    )
    return 1 if failures else 0


def _select_fittable(
    people: list[keypoint_files.Person2D],
) -> list[keypoint_files.Person2D]:
    """Leaves out people with too few keypoints, with a warning for each.

    Raises:
        ValueError: nobody is left.
    """
    fittable = []
    for person in people:
        count = int((person.keypoints[:, 2] > 0).sum())
        if count >= keypoint_fitting.MIN_KEYPOINTS:
            fittable.append(person)
            continue
        _log.warning(
            "%s: person %d is left out, with %d keypoints; at least %d are "
            "needed.",
            person.photo,
            person.number,
            count,
            keypoint_fitting.MIN_KEYPOINTS,
        )
    if not fittable:
        raise ValueError(
            "The keypoints name no person who can be fitted, expected people "
            f"with {keypoint_fitting.MIN_KEYPOINTS} keypoints or more. Is it "
            "the file that the detector wrote?"
        )
    return fittable


def _prior(args: Args, data: BodyData) -> priors.Mixture:
    if args.prior is None and data.topology != priors.load().topology:
        raise ValueError(
            f"The body {data.name!r} has topology {data.topology!r}, of which "
            "no pose prior ships with the package. Give --prior gmm_08.pkl of "
            "SMPLify's download, or one of `python -m training.prepare "
            "pose-gmm`."
        )
    return priors.load(args.prior)


def _photo(images: pathlib.Path | None, person) -> pathlib.Path | None:
    """The path of a person's photo; None without photos.

    Raises:
        FileNotFoundError: the folder has no photo of that name.
    """
    if images is None or images.is_file():
        return images
    names = [person.file_name] if person.file_name else []
    names += [person.photo + suffix for suffix in image_files.SUFFIXES]
    for name in names:
        if (images / name).is_file():
            return images / name
    raise FileNotFoundError(
        f"{images} holds no photo {person.photo} with one of the endings "
        f"{', '.join(image_files.SUFFIXES)}. Leave --images out to draw on "
        "grey."
    )


def _fit(fitter, args, people, photos) -> list[keypoint_fitting.FittedPerson]:
    tasks = []
    for person, photo in zip(people, photos, strict=True):
        size = person.size
        if photo is not None:
            height, width = inference.read_photo(photo).shape[:2]
            size = (width, height)
        size = size or _extent(person.keypoints)
        tasks.append(
            keypoint_fitting.Task(person.keypoints, size, args.focal_px)
        )
    with tqdm.tqdm(total=len(tasks), unit="start", disable=None) as bar:

        def progress(count: int, total: int) -> None:
            bar.total = total
            bar.update(count)

        return fitter(tasks, progress)


def _extent(keypoints: np.ndarray) -> tuple[int, int]:
    """Width and height of an image that holds the keypoints."""
    bottom_right = keypoints[keypoints[:, 2] > 0, :2].max(axis=0)
    width, height = np.ceil(_MARGIN * np.maximum(bottom_right, 1)).astype(int)
    return int(width), int(height)


def _write(
    folder, person, photo, fit: keypoint_fitting.FittedPerson, facts
) -> None:
    width, height = fit.person.image_size
    if photo is None:
        image = np.full((height, width, 3), _GREY, np.uint8)
    else:
        image = inference.read_photo(photo)
    stem = folder / f"{person.photo}_{person.number}"
    entries = {
        "photo": photo.name if photo else person.photo,
        "person": person.number,
        "reprojection_px_at_224": fit.error,
        "keypoints_given": {
            name: label
            for name, label in zip(
                joints.KEYPOINTS, person.keypoints.tolist(), strict=True
            )
            if label[2] > 0
        },
    }
    input_keypoints = np.where(
        person.keypoints[:, 2:] > 0, person.keypoints[:, :2], np.nan
    )
    input_figure = rendering.skeleton(image, input_keypoints, joints.KEYPOINTS)
    person_files.write(stem, image, fit.person, facts | entries, input_figure)


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
