"""docs/extend.md: each example does what the page says, as it stands there.

The method has tests of its own, test_new_method.py.
"""

import concurrent.futures
import json
import types

import numpy as np
import pytest

import training.data.prepare
import training.evaluation.metrics
from edge.conversion import compare, precisions, quantize
from tests.support import doc_code, photos
from tests.support.paths import ROOT
from tf_hmr import joints
from training import commands, doctor, evaluate
from training.claims import __main__ as claims
from training.claims import decisions, rules
from training.data.readers import workers
from training.data.records import shards
from training.evaluation import protocols

PAGE = "extend.md"
CODE = doc_code.blocks(PAGE)
PEOPLE = 2
WRIST_M = 0.05
"""How far the predictions' left wrists are off."""
BY_PLACE = (
    training.data.prepare,
    training.evaluation.metrics,
    protocols,
)


@pytest.fixture(scope="module", autouse=True)
def _added(tmp_path_factory):
    folder = tmp_path_factory.mktemp("added")
    with doc_code.added(PAGE, BY_PLACE, folder):
        protocols._by_name.cache_clear()
        yield
    protocols._by_name.cache_clear()


def test_every_file_on_the_page_is_new_or_a_table():
    tables = ("edge/conversion/precisions.py", "training/claims/rules.py")
    for path in CODE:
        assert (ROOT / path).exists() == (path in tables), path


@pytest.fixture(scope="module")
def metres():
    """(P, 14, 3) of the studio's people, in the camera's frame."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (PEOPLE, 14, 3)) + (0, 0, 4.0)


@pytest.fixture(scope="module")
def records(metres, tmp_path_factory):
    """After `training.prepare studio`; the last person lacks a joint."""
    root = tmp_path_factory.mktemp("studio")
    pixels = 80 + 30 * metres[..., :2]
    people = [
        {
            "image": "a.jpg",
            "box": [40, 40, 80, 80],
            "joints_px": pixels[number][: 14 - number // PEOPLE].tolist(),
            "joints_m": metres[number % PEOPLE].tolist(),
        }
        for number in range(PEOPLE)
    ]
    people.append(people[0] | {"joints_px": people[0]["joints_px"][:13]})
    photos.write(root / "images" / "a.jpg", photos.image(160, 160))
    (root / "people.json").write_text(json.dumps(people))
    words = ["studio", "--root", str(root), "--out", str(root / "studio")]
    with pytest.MonkeyPatch.context() as patch:
        # New processes would not find the added files.
        threads = concurrent.futures.ThreadPoolExecutor
        patch.setattr(workers, "pool", threads)
        package = training.data.prepare
        words += ["--split", "test"]
        assert commands.main(package, "training.prepare", words) == 0
    return root


def test_the_dataset_is_read(records, metres, capsys):
    stored = shards.Records(records / "studio", "test")
    assert len(stored) == PEOPLE
    report = json.loads((records / "studio" / "report.json").read_text())
    assert report["splits"]["test"]["skipped"] == {"not 14 joints": 1}
    folder = [str(records / "studio"), "--limit=1"]
    assert doctor.main(folder) == 0
    assert f"{PEOPLE} records" in capsys.readouterr().out


def test_the_dataset_is_listed(capsys):
    assert commands.main(training.data.prepare, "training.prepare", ["-h"]) == 0
    assert "A studio's photos with LSP's 14 joints" in capsys.readouterr().out


def test_the_protocol_measures_the_wrists(records, metres, tmp_path):
    pred = metres.astype(np.float32)
    pred[:, joints.LSP14.index("left_wrist"), 0] += WRIST_M
    ids = [f"person{number:05d}" for number in range(PEOPLE)]
    file = tmp_path / "predictions.npz"
    np.savez(file, example_id=ids, joints3d=pred, joint_names=joints.LSP14)
    words = ["--predictions", file, "--protocol", "studio_wrists"]
    words += ["--records", records, "--out", tmp_path]
    assert evaluate.main([str(word) for word in words]) == 0
    metrics = json.loads((tmp_path / "studio_wrists.json").read_text())[
        "metrics"
    ]
    one_wrist = pytest.approx(1000 * WRIST_M, abs=0.01)  # float32 at 4 m
    assert 2 * metrics["wrists_mm"] == one_wrist
    assert 14 * metrics["mpjpe_mm"] == one_wrist


@pytest.fixture
def tables(monkeypatch):
    """The rows of the page in their tables."""
    for module, names in (
        (precisions, ["PRECISIONS"]),
        (rules, ["CLAIMS", "CONFIGURATIONS"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, dict(getattr(module, name)))
        path = f"{module.__name__.replace('.', '/')}.py"
        exec(CODE[path], vars(module))  # As at the end of the file.
    monkeypatch.setattr(quantize, "PRECISIONS", precisions.PRECISIONS)
    monkeypatch.setattr(compare, "PRECISIONS", precisions.PRECISIONS)


def test_the_precision_keeps_the_regressor(tables):
    layers = {
        part: types.SimpleNamespace(name=part)
        for part in ("encoder", "regressor")
    }
    recipe = quantize.Recipe(types.SimpleNamespace(**layers), "encoder8")
    assert recipe.format_of("CONV_2D", "a/encoder/b") == "static"
    assert recipe.format_of("FULLY_CONNECTED", "a/regressor/b") == "float16"
    measured = compare.Measured(1, "", 4.1, 5.0, 5.0, {})
    assert "4 mm of encoder8" in compare.excess(measured, "encoder8")


@pytest.mark.parametrize(
    ("gain_mm", "state"),
    [(8.0, decisions.AGREES), (-8.0, decisions.CONTRADICTS)],
)
def test_the_claim_is_listed_and_decided(tables, gain_mm, state, tmp_path):
    assert "width-1  not run" in claims.listing(tmp_path)
    errors = np.linspace(100, 101, decisions.MIN_SEEDS)
    seeds = list(range(decisions.MIN_SEEDS))
    configurations = {
        name: {"seeds": seeds, "metrics": {rules.PA_MPJPE: list(values)}}
        for name, values in (("hmr", errors), ("hmr_narrow", errors + gain_mm))
    }
    claim = rules.get("width-1")
    assert rules.verdict(claim, configurations, {}).state == state
    assert claim.configurations[1] in rules.CONFIGURATIONS
