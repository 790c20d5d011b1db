"""Collections of human poses, for the adversary and for priors.

AMASS: .npz files with poses (N, 156) of SMPL-H, of which the first 66 numbers
are SMPL's joints without the hands (mkocabas/VIBE: lib/data_utils/
amass_utils.py), betas (16,), gender, mocap_framerate; newer ones with
root_orient (N, 3), pose_body (N, 63), mocap_frame_rate and the name of their
body model, of which SMPL-X's have the same joints and other betas: they get
zeros. MoSh: neutrSMPL_CMU,
neutrSMPL_H3.6 and neutrSMPL_jointLim of HMR, .pkl files with poses or
new_poses (N, 72) and betas (10,) (akanazawa/hmr: src/datasets/
smpl_to_tfrecords.py). CMU: .asf and .amc of mocap.cs.cmu.edu, 120 frames per
second, retargeted by this project.
"""

import collections
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tf_hmr import progress
from tf_hmr.body.data import BodyData
from tf_hmr.formats import array_files, atomic, listing, unpickle
from training.data.formats import acclaim, requirements
from training.data.readers import body_models, genders, retarget, writing
from training.data.readers import workers as processes
from training.data.records import mocap, reader_versions, records_folder

NAME = "poses"
KEPT_PER_SECOND = 10  # frames
REPORT = "prior.json"

_AHEAD = 4
_AMASS_BODY = 66  # numbers of a pose without the hands
_CMU_STEP = 120 // KEPT_PER_SECOND
_TEST_SUBJECTS = ("S9", "S11")  # HMR does not train on their poses.
_SUFFIXES = {"amass": ".npz", "mosh": ".pkl", "cmu": ".amc"}
_ORIGINS = {
    "amass": "SMPL-H bodies fitted to markers; betas of the file's gender",
    "mosh": "neutral SMPL bodies fitted to markers",
    "cmu": (
        "joint angles retargeted from the CMU's skeletons, no fitted bodies: "
        "twists are about right; betas are drawn from a unit normal"
    ),
}
_SOURCES = {
    "amass": "https://amass.is.tue.mpg.de (for research)",
    "mosh": "whoever has HMR's neutrSMPL archives; they are not offered now",
    "cmu": "http://mocap.cs.cmu.edu (free)",
}


@dataclasses.dataclass
class Options:
    """Reads poses without images into prior.npz of a records folder.

    --root holds files at any depth. --out may be a records folder whose body
    has the same topology; experiments name it as data.prior.
    """

    root: Path
    """Folder of the collection as its publisher ships it."""
    out: Path
    """Folder of prior.npz; created if missing."""
    kind: Literal["amass", "mosh", "cmu"]
    """amass: .npz; mosh: .pkl; cmu: .asf and .amc, retargeted."""
    step: int | None = None
    """Reads every n-th frame; by default 10 per second, all of MoSh."""
    body: Path = Path("open")
    """For cmu: the body to retarget to; poses have its topology."""
    workers: int | None = None
    """Number of reading processes; by default one per core."""


class Task(NamedTuple):
    """One file."""

    path: Path
    root: Path
    kind: str
    step: int | None
    rest: np.ndarray
    """(24, 3) joints of the resting body, for cmu."""


class FilePoses(NamedTuple):
    """Poses (n, 72), betas (n, 10) and gender of a file; or a skip cause."""

    pose: np.ndarray
    betas: np.ndarray
    gender: str = ""
    cause: str = ""
    zero_betas: str = ""
    """Name of the body model whose betas are left out, as not SMPL's."""


def run(options: Options) -> None:
    """Writes prior.npz, its report and its contact sheet.

    Raises:
        FileNotFoundError: no file of this kind was found.
        ValueError: the folder's records are of another body; or no file has
            poses.
    """
    from training.data.readers import pose_sheet

    writing.check(options)
    body = BodyData.load(options.body)
    topology = body.topology if options.kind == "cmu" else "smpl"
    _check_records(options.out, topology)
    rest_joints = body.J_regressor @ body.v_template
    pattern = f"**/*{_SUFFIXES[options.kind]}"
    tasks = [
        Task(path, options.root, options.kind, options.step, rest_joints)
        for path in listing.files(options.root, pattern)
    ]
    if not tasks:
        path = options.root / f"*{_SUFFIXES[options.kind]}"
        contents = f"files of {options.kind}, at any depth"
        raise requirements.missing_file(path, contents, _SOURCES[options.kind])
    (pose, betas, gender), report = _read_all(options, tasks)
    prior = mocap.Prior(pose, betas, topology, gender)
    report = {
        "origin": _origin(options.kind, report["zero_betas"], len(prior.pose)),
        "topology": topology,
        "count": len(prior.pose),
        "command": writing.command(NAME, options),
        **reader_versions.facts(NAME),
    } | report
    with records_folder.locked(options.out):
        mocap.write(options.out, prior)
        with atomic.replacing(options.out / REPORT) as part:
            part.write_text(json.dumps(report, indent=1) + "\n")
        pose_sheet.write(options.out / "prior.png", prior.pose, rest_joints)
    print(f"{len(prior.pose)} poses in {options.out}, shown in prior.png")
    for cause, count in report["skipped"].items():
        print(f"  {count} files left out: {cause}")


def _origin(kind: str, zero_betas: Mapping[str, int], count: int) -> str:
    """Sentence on the poses' source.

    Args:
        kind: of the collection.
        zero_betas: number of poses without betas, by body model.
        count: number of all poses.
    """
    if not zero_betas:
        return _ORIGINS[kind]
    names = ", ".join(body_models.NAMES[model] for model in sorted(zero_betas))
    without = f"{names} bodies fitted to markers; zeros for betas, as theirs"
    without += " are not SMPL's"
    is_all = sum(zero_betas.values()) == count
    return without if is_all else f"{_ORIGINS[kind]}; {without}"


def _check_records(out: Path, topology: str) -> None:
    path = out / "report.json"
    records_topology = (
        json.loads(path.read_text())["topology"] if path.exists() else ""
    )
    if records_topology not in ("", topology):
        raise ValueError(
            f"{out} holds records of the body {records_topology!r}, these "
            f"poses are of {topology!r}. Choose another --out."
        )


def _read_all(options: Options, tasks: list[Task]):
    """Poses, betas and genders of all files, and fields of the report."""
    workers = options.workers or processes.cores()
    parts, skipped = [], collections.Counter()
    counts_by_gender, skipped_files = collections.Counter(), []
    zero_betas: collections.Counter = collections.Counter()
    bar = progress.bar(title="poses", total=len(tasks), unit="file")
    with bar, processes.pool(workers) as pool:
        poses_by_file = processes.in_order(pool, read, tasks, _AHEAD * workers)
        for task, file_poses in zip(tasks, poses_by_file, strict=True):
            bar.update()
            if file_poses.cause:
                skipped[file_poses.cause] += 1
                skipped_files.append(str(task.path.relative_to(options.root)))
                continue
            gender_number = mocap.GENDERS.get(file_poses.gender, 0.0)
            count = len(file_poses.pose)
            gender_numbers = np.full(count, gender_number)
            parts.append((file_poses.pose, file_poses.betas, gender_numbers))
            counts_by_gender[file_poses.gender] += count
            if file_poses.zero_betas:
                zero_betas[file_poses.zero_betas] += count
    if not parts:
        raise ValueError(
            f"No file of {options.root} gave a pose: {dict(skipped)}. Is it a "
            f"folder of {options.kind}?"
        )
    report = {
        "files": len(tasks),
        "genders": counts_by_gender,
        "zero_betas": zero_betas,
        "skipped": skipped,
    }
    arrays = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return arrays, report | {"skipped_files": skipped_files}


def read(task: Task) -> FilePoses:
    """Reads the poses of a file."""
    try:
        file_poses = _READERS[task.kind](task)
    except array_files.PickledError:
        return FilePoses(None, None, cause="an array that is read is pickled")
    except _DAMAGE_ERRORS:
        return FilePoses(None, None, cause="the file is damaged")
    if not file_poses.cause and not (
        np.isfinite(file_poses.pose).all()
        and np.isfinite(file_poses.betas).all()
    ):
        return FilePoses(None, None, cause="a pose or betas are not finite")
    return file_poses


def _amass(task: Task) -> FilePoses:
    cure = f"Fetch it again from {_SOURCES['amass']}."
    content = array_files.read_npz(task.path, "a file of AMASS", cure)
    if "pose_body" in content:
        pose = np.concatenate(
            [content["root_orient"], content["pose_body"]], axis=1
        )
    elif "poses" in content:
        pose = content["poses"]
    else:  # shape.npz of each subject
        return FilePoses(None, None, cause="the file holds no poses")
    model = body_models.name_of(content)
    if model not in body_models.NAMES:
        return FilePoses(None, None, cause=f"poses of the model {model[:20]!r}")
    rate = content.get("mocap_framerate", content.get("mocap_frame_rate", 120))
    step = task.step or max(round(float(rate) / KEPT_PER_SECOND), 1)
    gender = "unknown"
    if "gender" in content:
        try:
            gender = genders.read(content["gender"])
        except ValueError as error:
            return FilePoses(None, None, cause=str(error))
    numbers = math.prod(pose.shape[1:])
    if pose.ndim < 2 or numbers < _AMASS_BODY:
        raise ValueError(f"{task.path} has poses {pose.shape}")
    pose = pose.reshape(len(pose), numbers)[::step, :_AMASS_BODY]
    hands = np.zeros((len(pose), 72 - _AMASS_BODY))
    pose = np.concatenate([pose, hands], axis=1)
    if model in body_models.OF_SMPL_BETAS:
        return _file_poses(pose, content["betas"], gender)
    return _file_poses(pose, np.zeros(10), gender)._replace(zero_betas=model)


def _mosh(task: Task) -> FilePoses:
    if not set(task.path.relative_to(task.root).parts).isdisjoint(
        _TEST_SUBJECTS
    ):
        return FilePoses(None, None, cause="a subject of Human3.6M's test")
    content = unpickle.load(task.path)
    key = "poses" if "poses" in content else "new_poses"
    if key not in content:
        return FilePoses(None, None, cause="the file holds no poses")
    pose = np.asarray(content[key])[:: task.step or 1]
    if pose.ndim > 1:  # Poses of other bodies would be cut anywhere.
        pose = pose.reshape(len(pose), 72)
    return _file_poses(pose.reshape(-1, 72), content["betas"], "neutral")


def _file_poses(pose: np.ndarray, betas, gender: str) -> FilePoses:
    betas = np.ravel(betas)[:10].astype(np.float32).reshape(10)
    shapes = np.tile(betas, (len(pose), 1))
    return FilePoses(pose.astype(np.float32), shapes, gender)


def _cmu(task: Task) -> FilePoses:
    # 01_02.amc belongs to 01.asf: the longest name that begins its own.
    skeleton_paths = [
        path
        for path in listing.files(task.path.parent, "*.asf")
        if task.path.stem.startswith(path.stem)
    ]
    if not skeleton_paths:
        return FilePoses(None, None, cause="no skeleton (.asf) lies beside it")
    skeleton = acclaim.read_skeleton(
        max(skeleton_paths, key=lambda p: len(p.stem))
    )
    motion = acclaim.read_motion(task.path, skeleton, task.step or _CMU_STEP)
    pose = retarget.to_smpl(skeleton, motion, task.rest)
    # Seeded by the name, so independent of other files.
    name = str(task.path.relative_to(task.root)).encode()
    betas = np.random.default_rng(list(name)).normal(size=10)
    return _file_poses(pose.reshape(-1, 72), betas, "unknown")


# Errors that reading a malformed file may raise.
_DAMAGE_ERRORS = (
    ValueError,
    OSError,
    MemoryError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
)
_READERS = {"amass": _amass, "mosh": _mosh, "cmu": _cmu}
