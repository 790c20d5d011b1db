"""Pictures of kept fits: the body lies on the person whose fit it is."""

import dataclasses
import json
import runpy

import cv2
import numpy as np
import pytest

from training import config, draw_fits, fit
from training.data.pipeline import batches
from training.data.records import parsing, schema, shards
from training.engine import fit_store, workdir
from training.tasks import draw_fits as task

STEP, COUNT = 40, 3


@pytest.fixture(scope="module")
def run(tiny_records, body_data, tmp_path_factory):
    """A workdir that keeps the true bodies of some people as their fits."""
    folder = tmp_path_factory.mktemp("run")
    source = config.Source(str(tiny_records / "synthetic"), labels="2d")
    stored = shards.Records(source.records, source.split)
    people = [schema.decode(stored.read(i)) for i in range(len(stored))]
    keys = [
        parsing.example_key([p.dataset], [p.example_id]).numpy()[0]
        for p in people
    ]
    rows = np.array([[*p.pose.ravel(), *p.betas] for p in people], np.float32)
    store = fit_store.FitStore()
    # Not the first ones, so that a fit in another's place is seen.
    store.update(np.array(keys)[4:], rows[4:])
    store.save(folder, STEP)
    (folder / workdir.CHECKPOINTS).mkdir()
    (folder / workdir.CHECKPOINTS / f"ckpt-{STEP}.index").touch()
    settings = workdir.as_dict(fit.load_experiment("spin_quick"))
    (folder / workdir.CONFIG_FILE).write_text(json.dumps(settings))
    noted = {
        "sources": [dataclasses.asdict(source)],
        "topology": body_data.topology,
    }
    (folder / workdir.ENVIRONMENT_FILE).write_text(json.dumps(noted))
    return folder


def test_bodies_lie_on_their_people(run, monkeypatch, tmp_path, capsys):
    sheet_content, sheet = [], task.visualization.sheet

    def keep(rows, title, columns):
        sheet_content.extend([title, *rows])
        return sheet(rows, title, columns)

    monkeypatch.setattr(task.visualization, "sheet", keep)
    out = tmp_path / "new" / "fits.png"
    words = [str(run), f"--out={out}", f"--count={COUNT}"]
    assert draw_fits.main(words) == 0
    assert f"{COUNT} fits: {out}" in capsys.readouterr().out
    title, *rows = sheet_content
    assert title == f"step {STEP}: {COUNT} of 28 fits"
    noted = workdir.noted(run)["sources"][0]["records"]
    scale = fit.load_experiment("spin_quick").method.crop_scale
    side = task.SIDE
    source = config.Source(noted)
    (batch,) = batches.eval_dataset(
        source, COUNT, side, scale, rows=range(4, 4 + COUNT)
    ).as_numpy_iterator()
    for number, (caption, picture) in enumerate(rows):
        name, error_text = caption.split(": ")
        assert name == batch["example_id"][number].decode()
        # People are rendered from nearer than SPIN's camera is.
        assert float(error_text.split()[0]) < 4
        start = (picture.shape[1] - side) // 2
        drawing = picture[:, start : start + side].astype(int)
        changed = np.abs(drawing - batch["image"][number]).max(axis=2) > 8
        person = batch["parts"][number] > 0
        overlap = (changed & person).sum() / (changed | person).sum()
        assert overlap > 0.75
    sheet_image = cv2.imread(str(out))
    assert sheet_image.shape[0] > 2 * side and sheet_image.shape[1] > 6 * side


def test_another_body_than_the_runs_is_refused(
    run, body_data, tmp_path, monkeypatch, capsys
):
    other_body = dataclasses.replace(body_data, topology="smpl")
    bodies = task.BodyData
    monkeypatch.setattr(bodies, "load", lambda name: other_body)
    words = [str(run), f"--out={tmp_path / 'fits.png'}", "--body=mine"]
    assert draw_fits.main(words) == 1
    error = capsys.readouterr().err
    assert "'open-v1'" in error and "'smpl'" in error


@pytest.mark.parametrize("word", ["--out=fits.webm", "--count=0"])
def test_what_cannot_be_written_is_told(run, tmp_path, capsys, word):
    words = [str(run), f"--out={tmp_path / 'fits.png'}", word]
    assert draw_fits.main(words) == 1
    assert "Expected a .png and at least one" in capsys.readouterr().err


def test_a_run_without_fits_is_told(tmp_path, capsys):
    words = [str(tmp_path), f"--out={tmp_path / 'fits.png'}"]
    assert draw_fits.main(words) == 1
    assert "holds no fits" in capsys.readouterr().err


def test_the_former_name_runs_the_command(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fit_pictures", "--help"])
    with pytest.raises(SystemExit) as exit_info:
        runpy.run_module("training.fit_pictures", run_name="__main__")
    assert exit_info.value.code == 0
    assert "training.draw_fits" in capsys.readouterr().out
