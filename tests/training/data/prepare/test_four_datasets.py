"""From raw files of four of HMR's six datasets to a run, by the commands.

What a researcher does who has Human3.6M with MoSh's bodies, MPI-INF-3DHP, LSP,
COCO and AMASS, on files of people whose truth is known.
"""

import collections
import subprocess
import sys

import cv2
import numpy as np
import pytest
import scipy.sparse

from tests.support import smpl_files
from tests.support.datasets import (
    coco_files,
    h36m_files,
    lsp_files,
    mpi_inf_3dhp_files,
    people,
    poses_files,
)
from tests.support.paths import ROOT
from tf_hmr import joints
from tf_hmr.body import topology
from tf_hmr.body.data import BodyData
from training import config, fit
from training.data.pipeline import reading
from training.data.readers import mpi_inf_3dhp
from training.data.records import records_folder, schema
from training.data.synthetic import people as synthetic
from training.engine import run_log, workdir

pytestmark = pytest.mark.slow

# Pictures in HMR's records (akanazawa/hmr: src/data_loader.py), of those that
# have 3D labels, and of those that have not.
IMAGES = (
    {"h36m": 312_188, "mpi-inf-3dhp": 147_221},
    {"lsp": 1_000, "coco": 79_344},
)
SETS = tuple(name for kind in IMAGES for name in kind)
BATCH, STEPS = 16, 80
BODY = "neutral_smpl_with_cocoplus_reg.pkl"
FILM = ("Directions 1", "54138969")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder of the datasets as they unpack, and of SMPL's body."""
    root = tmp_path_factory.mktemp("raw")
    for number, subject in enumerate(("S1", "S5", "S6", "S7", "S8")):
        scenes = [people.scene(700 + 4 * number + k) for k in range(4)]
        h36m_files.write(root / "h36m", scenes, subject, *FILM)
        h36m_files.write_mosh(root / "mosh", scenes, subject, *FILM)
    for subject in range(1, 9):
        for sequence in (1, 2):
            write_3dhp(root / "mpi-inf-3dhp", subject, sequence)
    lsp_files.write_lsp(root / "lsp", map(people.scene, range(600, 610)))
    scenes = [people.scene(620 + k, 1 + k % 2) for k in range(12)]
    coco_files.write(root / "coco", scenes)
    for subject in range(3):
        pose, betas, _ = synthetic.People(subject, "train").bodies(0, 40)
        path = root / f"poses/subject_{subject}/walk_poses.npz"
        poses_files.write_amass(path, pose, betas[0])
    body = BodyData.load("open")
    cocoplus = scipy.sparse.csc_matrix(body.regressor(joints.COCOPLUS19))
    content = smpl_files.arrays(body) | {"cocoplus_regressor": cocoplus}
    smpl_files.write_pickle(root / BODY, content)
    return root


def write_3dhp(root, subject, sequence):
    """One camera sees somebody; the films of the others are short."""
    number = 800 + 4 * subject + 2 * sequence
    scenes = [people.scene(number), people.scene(number + 1)]
    folder = mpi_inf_3dhp_files.write_train(root, scenes, subject, sequence)
    for camera in mpi_inf_3dhp.CAMERAS[1:]:
        path = folder / f"imageSequence/video_{camera}.avi"
        people.write_video(path, scenes[:1])


def command(*words):
    """What `python -m` says."""
    process = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, (
        words,
        process.stdout,
        process.stderr[-3000:],
    )
    return process.stdout


@pytest.fixture(scope="module")
def records_path(raw, tmp_path_factory):
    """A folder of their records, and of poses."""
    out = tmp_path_factory.mktemp("records")
    more = {"h36m": ("--mosh", raw / "mosh"), "poses": ("--kind", "amass")}
    for name in (*SETS, "poses"):
        words = (name, "--root", raw / name, "--out", out / name)
        command("training.prepare", *words, *more.get(name, ()))
    words = ("mpi-inf-3dhp", "--root", raw / "mpi-inf-3dhp", "--split", "val")
    command("training.prepare", *words, "--out", out / "mpi-inf-3dhp")
    return out


@pytest.fixture(scope="module")
def run(raw, records_path, tmp_path_factory):
    """The workdir of a run on them, of the body that stands in for SMPL's."""
    folder = tmp_path_factory.mktemp("run")
    words = (
        *("hmr", "--workdir", folder),
        *("--records", *(records_path / name for name in SETS)),
        *("--body", raw / BODY, "--encoder-weights", "none"),
        *("--method.encoder", "small", "--method.image-size", 64),
        *("--method.hidden", 128, "--data.batch-size", BATCH),
        *("--steps", STEPS, "--optim.lr", 1e-3, "--log-every", 10),
        *("--eval-every", STEPS // 2, "--save-every", STEPS // 2),
    )
    with pytest.MonkeyPatch.context() as patch:
        faces = topology.TOPOLOGIES[topology.OPEN]
        patch.setattr(topology, "TOPOLOGIES", {"smpl": faces})
        assert fit.main(list(map(str, words))) == 0
    return folder


@pytest.mark.parametrize(
    ("name", "count"),
    [("h36m", 20), ("mpi-inf-3dhp", 28), ("lsp", 10), ("coco", 18)],
)
def test_the_records_are_whole_and_without_fault(records_path, name, count):
    split = records_folder.read_report(records_path / name)["splits"]["train"]
    assert split["count"] == split["labels"]["keypoints"] == count
    in_3d = count if name in IMAGES[0] else 0
    assert split["labels"]["joints3d"] == in_3d
    assert split["labels"]["pose"] == (20 if name == "h36m" else 0)
    report_text = command(
        "training.doctor", records_path / name, "--images", "--limit", 0
    )
    assert "none  " in report_text
    assert cv2.imread(str(records_path / name / "train.png")) is not None


def test_the_run_stores_by_which_rules_its_records_were_made(records_path, run):
    stored = workdir.noted(run)["training_records"]
    rules = {
        row["records"].rpartition("/")[2]: row.get("rules") for row in stored
    }
    assert rules == {
        **{"h36m": "hmr", "mpi-inf-3dhp": "hmr", "lsp": "hmr", "coco": "hmr"},
    }
    assert {row["dataset"] for row in stored} == rules.keys()


def test_batches_have_the_shares_of_the_paper(records_path, run):
    """Of the run's own sources; who is in a row is read from the records."""
    settled = workdir.noted(run)["sources"]
    sources = tuple(config.Source(**values) for values in settled)
    data = config.Data(sources, BATCH, prior=str(records_path / "poses"))
    dealt = reading.Feed(data)
    cycle, rows = dealt.layout.cycle, np.arange(BATCH)
    counts, in_3d = collections.Counter(), collections.Counter()
    for step in range(cycle):
        labelled = dealt.has_3d[step].astype(bool)
        assert labelled.sum() == pytest.approx(BATCH / 2, abs=1)
        for serialized, has_3d_labels in zip(
            dealt.read(step, rows), labelled, strict=True
        ):
            example = schema.decode(serialized)
            counts[example.dataset] += 1
            in_3d[example.dataset] += bool(has_3d_labels)
            assert not has_3d_labels or example.joints3d is not None
    assert in_3d == {name: counts[name] for name in IMAGES[0]} | dict.fromkeys(
        IMAGES[1], 0
    )
    for images in IMAGES:
        for name, count in images.items():
            expected_count = 0.5 * count / sum(images.values()) * cycle * BATCH
            assert counts[name] == pytest.approx(expected_count, rel=1 / 8)


def test_the_run_learns_from_all_of_them(run):
    lines = run_log.read_metrics(run / run_log.METRICS_FILE)
    train = [line for line in lines if line["kind"] == "train"]
    assert train[-1]["step"] == STEPS
    values = [v for line in lines for v in line.values() if v != line["kind"]]
    assert np.isfinite(values).all()
    for term in ("loss", "keypoints_2d", "joints_3d"):
        assert train[-1][term] < 0.9 * train[0][term], term
    assert train[0]["rotmats"] > 0 < train[0]["betas"]  # of MoSh
    measured = [line for line in lines if line["kind"] == "evaluation"]
    assert [line["step"] for line in measured] == [STEPS // 2, STEPS]
    assert (run / "best/model.weights.h5").is_file()
