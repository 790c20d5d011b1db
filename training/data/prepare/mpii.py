"""MPII Human Pose: photographs of people with 16 joints.

`annotations/mpii_human_pose_v1_u12_1.mat` and `images/`, as the archives of
the publisher unpack; or `annot/{train,valid,trainval}.json` of
microsoft/human-pose-estimation.pytorch with the same images. SPIN trains on
the people of train.json (its datasets/preprocess/mpii.py), so by its rules
those of valid.json, who are measured, are left out of the other splits.
"""

import dataclasses
import json
from pathlib import Path
from typing import Literal, NamedTuple

from tf_hmr.geometry import crop
from training.data.formats import requirements
from training.data.readers import frames, hmr_boxes, writing
from training.data.readers import mpii as mpii_files
from training.data.records import schema

NAME = "mpii"
MAT = "annotations/mpii_human_pose_v1_u12_1.mat"
ANNOTATIONS_FILE = (
    "MPII's annotations, version 1.2, of mpii_human_pose_v1_u12_2.zip"
)
SOURCE = "MPI Informatics, http://human-pose.mpi-inf.mpg.de"

_PEOPLE_PER_TASK = 16
_HMR_JOINTS = tuple(
    name for name in mpii_files.MPII16 if name not in ("pelvis", "thorax")
)
# Relative to MPII's scale, so that no feet are cut off.
_SHIFT_DOWN_PX, _ENLARGEMENT = 15, 1.25
_SPIN_ROOM = 1.2


@dataclasses.dataclass
class Options(writing.Options):
    """Reads MPII's annotated people.

    --root holds annotations/ and images/.
    """

    split: Literal["train", "valid", "trainval"] = "train"
    """The Matlab file has the joints of all splits; annot/valid.json lists the
    people of valid."""
    labels: Literal["mat", "json"] = "mat"
    """The publisher's Matlab file, or annot/SPLIT.json."""
    rules: Literal["hmr", "spin", "everyone"] = "hmr"
    """hmr: people with nobody near (as the Matlab file says) and an annotated
    ankle or torso; the box is the square that HMR scales to 150 px. spin: all
    16 joints are annotated, and nobody of annot/valid.json trains; the box
    follows MPII's scale. everyone: as spin, with any annotated joints, and
    people of annot/valid.json too."""


class Task(NamedTuple):
    """Some of the people."""

    folder: Path
    rules: str
    people: list[mpii_files.Person]
    measured: frozenset[mpii_files.Position] = frozenset()
    """Positions of people who are measured, and left out."""


def run(options: Options) -> None:
    """Writes the records."""
    people = _people(options)
    folder = options.root / "images"
    if not folder.is_dir():
        raise requirements.missing_file(
            folder, "the pictures, of mpii_human_pose_v1.tar.gz", SOURCE
        )
    measured = _measured(options)
    tasks = [
        Task(
            folder,
            options.rules,
            people[start : start + _PEOPLE_PER_TASK],
            measured,
        )
        for start in range(0, len(people), _PEOPLE_PER_TASK)
    ]
    writing.write(NAME, options, tasks, read)


def read(task: Task):
    """Reads the people of a task."""
    for person in task.people:
        name = f"{Path(person.image).stem}-{person.number}"
        if person.cause:
            yield writing.Skipped(name, person.cause)
            continue
        if mpii_files.position(person) in task.measured:
            yield writing.Skipped(name, "measured: in annot/valid.json")
            continue
        box_or_cause = RULES[task.rules](person)
        if isinstance(box_or_cause, str):
            yield writing.Skipped(name, box_or_cause)
            continue
        xy, annotated = person.joints[:, :2], person.joints[:, 2]
        example = frames.example(
            task.folder / person.image,
            keypoints=frames.by_name(mpii_files.MPII16, xy, annotated),
            box=box_or_cause,
            dataset=NAME,
            example_id=name,
        )
        if person.hidden is not None and isinstance(example, schema.Example):
            shrunk = float(example.box[2]) / box_or_cause[2]
            example.facts = _facts(person, shrunk)
        yield example


def _facts(person: mpii_files.Person, shrunk: float) -> str:
    """JSON of a record's facts.

    hidden: names of joints annotated though they are not visible;
    head_px: length of the head in pixels of the publisher's image;
    shrunk: pixels of the stored image per pixel of the publisher's.
    """
    names = zip(mpii_files.MPII16, person.hidden, strict=True)
    hidden = [name for name, flag in names if flag]
    facts = {"hidden": hidden, "head_px": person.head_px, "shrunk": shrunk}
    return json.dumps(facts)


def _people(options: Options) -> list[mpii_files.Person]:
    listed_people = None
    if options.labels == "json" or options.split == "valid":
        listed_people = _listed_people(options.root, options.split)
    if options.labels == "json":
        return listed_people
    people = mpii_files.read_mat(options.root / MAT, ANNOTATIONS_FILE, SOURCE)
    return (
        people
        if listed_people is None
        else mpii_files.select_listed(people, listed_people)
    )


def _listed_people(root: Path, split: str) -> list[mpii_files.Person]:
    path = root / "annot" / f"{split}.json"
    if not path.exists():
        source = "microsoft/human-pose-estimation.pytorch (its README)"
        raise requirements.missing_file(
            path, "MPII's annotations as json", source
        )
    return mpii_files.read_json(path)


def _measured(options: Options) -> frozenset[mpii_files.Position]:
    """Positions of the people who may not train; none by other rules.

    train.json holds nobody of valid.json, so it is read without that list.
    """
    is_listed = options.labels == "json" and options.split == "train"
    if options.rules != "spin" or options.split == "valid" or is_listed:
        return frozenset()
    people = _listed_people(options.root, "valid")
    unreadable = [person for person in people if person.cause]
    if unreadable:
        raise ValueError(
            f"annot/valid.json names the people who may not train, and "
            f"{len(unreadable)} of its entries cannot be read: expected "
            f"{mpii_files.ENTRY} of each. Fetch it again."
        )
    return frozenset(map(mpii_files.position, people)) - {None}


def _hmr(person: mpii_files.Person) -> crop.Box | str:
    """akanazawa/hmr: src/datasets/mpii_to_tfrecords.py parse_people."""
    if person.joints is None:
        return "no joints"
    if person.single is False:
        return "somebody else is near"
    points = {
        name: (x, y)
        for name, (x, y, annotated) in zip(
            mpii_files.MPII16, person.joints, strict=True
        )
        if annotated and name in _HMR_JOINTS
    }
    if len(points) < 2:
        return "fewer than 2 joints"
    return hmr_boxes.mpii(points) or "too close: no ankle and no torso"


def _spin(person: mpii_files.Person) -> crop.Box | str:
    """nkolot/SPIN: datasets/preprocess/mpii.py.

    Its file has sizes after the correction of
    microsoft/human-pose-estimation.pytorch: lib/dataset/mpii.py.
    """
    if person.joints is None:
        return "no joints"
    inside = person.joints[:, :2] + 1 > 0
    if not (person.joints[:, 2].all() and inside.all()):
        return "not all 16 joints"
    return _all_people(person)


def _all_people(person: mpii_files.Person) -> crop.Box | str:
    """The box of MPII's centre and scale."""
    if person.joints is None:
        return "no joints"
    if person.centre is None or not person.scale > 0:
        return "neither centre nor scale"
    side = 200 * person.scale * _ENLARGEMENT / _SPIN_ROOM
    x, y = person.centre + (0, _SHIFT_DOWN_PX * person.scale)
    return x + 0.5 - side / 2, y + 0.5 - side / 2, side, side


RULES = {"hmr": _hmr, "spin": _spin, "everyone": _all_people}
