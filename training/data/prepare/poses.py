"""Collections of human poses, for the adversary and for priors.

AMASS: .npz files with poses (N, 156) of SMPL-H, of which the first 66 numbers
are SMPL's joints but for the hands (mkocabas/VIBE: lib/data_utils/
amass_utils.py), betas (16,), gender, mocap_framerate; newer ones with
root_orient (N, 3), pose_body (N, 63) and mocap_frame_rate. MoSh: neutrSMPL_CMU,
neutrSMPL_H3.6 and neutrSMPL_jointLim of HMR, .pkl files with poses or
new_poses (N, 72) and betas (10,) (akanazawa/hmr: src/datasets/
smpl_to_tfrecords.py). CMU: .asf and .amc of mocap.cs.cmu.edu, 120 frames a
second, retargeted by this project.
"""

import collections
import dataclasses
import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import tqdm

from tf_hmr.body.data import BodyData
from tf_hmr.formats import array_files, unpickle
from training.data.formats import acclaim, requirements
from training.data.readers import retarget, writing
from training.data.readers import workers as processes
from training.data.records import mocap

NAME = "poses"
A_SECOND = 10  # frames that are kept
REPORT = "prior.json"

_AHEAD = 4
_CMU_STEP = 120 // A_SECOND
_TESTED = ("S9", "S11")  # HMR leaves their poses out.
_ENDS = {"amass": ".npz", "mosh": ".pkl", "cmu": ".amc"}
_ORIGINS = {
    "amass": "SMPL-H bodies fitted to markers; betas of the file's gender",
    "mosh": "neutral SMPL bodies fitted to markers",
    "cmu": (
        "joint angles retargeted from the CMU's skeletons, no fitted bodies: "
        "twists are about right; betas are drawn from a unit normal"
    ),
}
_WHOM = {
    "amass": "https://amass.is.tue.mpg.de (for research)",
    "mosh": "whoever has HMR's neutrSMPL archives; they are not offered now",
    "cmu": "http://mocap.cs.cmu.edu (free)",
}


@dataclasses.dataclass
class Options:
    """Reads poses without pictures into prior.npz of a folder of records.

    --root holds files at any depth. --out may be a folder of records whose
    body has the same topology; name it as data.prior of an experiment.
    """

    root: Path
    """Folder of the collection as its publisher ships it."""
    out: Path
    """Folder of prior.npz; made if needed."""
    kind: Literal["amass", "mosh", "cmu"]
    """amass: .npz; mosh: .pkl; cmu: .asf and .amc, retargeted."""
    step: int | None = None
    """Every which frame; by default 10 a second remain, of MoSh all."""
    body: Path = Path("open")
    """For cmu: the body to retarget to, whose topology the poses have."""
    workers: int | None = None
    """Processes that read; one per core by default."""


class Task(NamedTuple):
    """One file."""

    path: Path
    root: Path
    kind: str
    step: int | None
    rest: np.ndarray
    """(24, 3) joints of the resting body, for cmu."""


class Found(NamedTuple):
    """Poses (n, 72) and betas (n, 10), and whose; or why there are none."""

    pose: np.ndarray
    betas: np.ndarray
    gender: str = ""
    cause: str = ""


def run(options: Options) -> None:
    """Makes prior.npz, its report and its sheet.

    Raises:
        FileNotFoundError: no file of this kind is there.
        ValueError: the folder's records are of another body; or no file gave
            a pose.
    """
    from training.data.readers import pose_sheet

    data = BodyData.load(options.body)
    topology = data.topology if options.kind == "cmu" else "smpl"
    _check_records(options.out, topology)
    rest = data.J_regressor @ data.v_template
    tasks = [
        Task(path, options.root, options.kind, options.step, rest)
        for path in sorted(options.root.rglob(f"*{_ENDS[options.kind]}"))
    ]
    if not tasks:
        path = options.root / f"*{_ENDS[options.kind]}"
        what = f"files of {options.kind}, at any depth"
        raise requirements.missing_file(path, what, _WHOM[options.kind])
    (pose, betas, gender), report = _read_all(options, tasks)
    made = mocap.Prior(pose, betas, topology, gender)
    options.out.mkdir(parents=True, exist_ok=True)
    mocap.write(options.out, made)
    report = {
        "origin": _ORIGINS[options.kind],
        "topology": topology,
        "count": len(made.pose),
        "command": writing.command(NAME, options),
    } | report
    text = json.dumps(report, indent=1) + "\n"
    (options.out / REPORT).write_text(text)
    pose_sheet.write(options.out / "prior.png", made.pose, rest)
    print(f"{len(made.pose)} poses in {options.out}, shown in prior.png")
    for cause, count in report["skipped"].items():
        print(f"  {count} files left out: {cause}")


def _check_records(out: Path, topology: str) -> None:
    path = out / "report.json"
    told = json.loads(path.read_text())["topology"] if path.exists() else ""
    if told not in ("", topology):
        raise ValueError(
            f"{out} holds records of the body {told!r}, these poses are of "
            f"{topology!r}. Choose another --out."
        )


def _read_all(options: Options, tasks: list[Task]):
    """Poses, betas and genders of all files, and what the report says."""
    workers = options.workers or processes.cores()
    parts, skipped = [], collections.Counter()
    genders, damaged = collections.Counter(), []
    bar = tqdm.tqdm(total=len(tasks), unit="file", disable=None)
    with bar, processes.pool(workers) as pool:
        results = processes.in_order(pool, read, tasks, _AHEAD * workers)
        for task, found in zip(tasks, results, strict=True):
            bar.update()
            if found.cause:
                skipped[found.cause] += 1
                damaged.append(str(task.path.relative_to(options.root)))
                continue
            number = mocap.GENDERS.get(found.gender, 0.0)
            parts.append(
                (found.pose, found.betas, np.full(len(found.pose), number))
            )
            genders[found.gender] += len(found.pose)
    if not parts:
        raise ValueError(
            f"No file of {options.root} gave a pose: {dict(skipped)}. Is it a "
            f"folder of {options.kind}?"
        )
    report = {"files": len(tasks), "genders": genders, "skipped": skipped}
    arrays = [np.concatenate(each) for each in zip(*parts, strict=True)]
    return arrays, report | {"skipped_files": damaged}


def read(task: Task) -> Found:
    """The poses of a file."""
    try:
        found = _READERS[task.kind](task)
    except _DAMAGE:
        return Found(None, None, cause="the file is damaged")
    if not found.cause and not (
        np.isfinite(found.pose).all() and np.isfinite(found.betas).all()
    ):
        return Found(None, None, cause="a pose or betas are not finite")
    return found


def _amass(task: Task) -> Found:
    cure = f"Fetch it again from {_WHOM['amass']}."
    content = array_files.read_npz(task.path, "a file of AMASS", cure)
    if "pose_body" in content:
        pose = np.concatenate(
            [content["root_orient"], content["pose_body"]], axis=1
        )
    elif "poses" in content:
        pose = content["poses"]
    else:  # shape.npz of each subject
        return Found(None, None, cause="the file holds no poses")
    rate = content.get("mocap_framerate", content.get("mocap_frame_rate", 120))
    step = task.step or max(round(float(rate) / A_SECOND), 1)
    gender = np.ravel(content.get("gender", "unknown"))[0]
    if isinstance(gender, bytes):
        gender = gender.decode()
    pose = pose[::step, :66].reshape(-1, 66)
    pose = np.concatenate([pose, np.zeros((len(pose), 6))], axis=1)
    return _found(pose, content["betas"], str(gender))


def _mosh(task: Task) -> Found:
    if not set(task.path.relative_to(task.root).parts).isdisjoint(_TESTED):
        return Found(None, None, cause="a subject of Human3.6M's test")
    content = unpickle.load(task.path)
    key = "poses" if "poses" in content else "new_poses"
    if key not in content:
        return Found(None, None, cause="the file holds no poses")
    pose = np.asarray(content[key])[:: task.step or 1]
    return _found(pose.reshape(-1, 72), content["betas"], "neutral")


def _found(pose: np.ndarray, betas, gender: str) -> Found:
    betas = np.ravel(betas)[:10].astype(np.float32).reshape(10)
    shapes = np.tile(betas, (len(pose), 1))
    return Found(pose.astype(np.float32), shapes, gender)


def _cmu(task: Task) -> Found:
    # 01_02.amc belongs to 01.asf: the longest name that begins its own.
    near = [
        path
        for path in task.path.parent.glob("*.asf")
        if task.path.stem.startswith(path.stem)
    ]
    if not near:
        return Found(None, None, cause="no skeleton (.asf) lies beside it")
    skeleton = acclaim.read_skeleton(max(near, key=lambda p: len(p.stem)))
    motion = acclaim.read_motion(task.path, skeleton, task.step or _CMU_STEP)
    pose = retarget.to_smpl(skeleton, motion, task.rest)
    # Seeded by the name: the same whichever files are beside it.
    name = str(task.path.relative_to(task.root)).encode()
    betas = np.random.default_rng(list(name)).normal(size=10)
    return _found(pose.reshape(-1, 72), betas, "unknown")


# What reading a file of another form may end in.
_DAMAGE = (
    *(ValueError, OSError, MemoryError, KeyError, TypeError, IndexError),
    *(AttributeError, OverflowError),
)
_READERS = {"amass": _amass, "mosh": _mosh, "cmu": _cmu}
