"""The page of all results, from planted ones."""

import html.parser
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import planted_results
from training.claims import rules
from training.papers import paper_tables, parity
from training.report import __main__ as report
from training.report import document, markdown, tables

VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module", autouse=True)
def parameters():
    """Building the models is tests/parity's part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "parameters", lambda *requirements: 26_800_000)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One number of HMR, a run that is not HMR, rendered people, a claim."""
    root = tmp_path_factory.mktemp("runs")
    cell = planted_results.cell(*planted_results.HMR_P1)
    right = planted_results.content(cell.requirements, 86.2)
    right["metrics"]["pa_mpjpe_mm"] = 63.1
    planted_results.write(root / "hmr", right)
    other_result = planted_results.content(
        cell.requirements, 43.21, experiment="quick"
    )
    planted_results.write(
        root / "other", other_result | {"weights": "runs/other"}
    )
    planted_results.write(root / "quick", synthetic())
    cv2.imwrite(
        str(root / "quick" / "results" / "people.png"),
        np.full((60, 80, 3), 200, np.uint8),
    )
    claims = root / "claims" / "claims"
    claims.mkdir(parents=True)
    (claims / "hkmr-1.json").write_text(json.dumps(claim()))
    return root


def synthetic() -> dict:
    return {
        "protocol": "synthetic_v1",
        "rule": {"split": "rendered people"},
        "measured": 1000,
        "complete": True,
        "synthetic": True,
        "metrics": {"mpjpe_mm": 87.97, "silhouette_iou": 0.5},
        "headline": ["mpjpe_mm"],
        "per_joint_mm": {"neck": 80.0, "left_hip": 33.0},
        "percentiles_mpjpe_mm": {"15": 60.0, "30": 70.0, "95": 200.0},
        "baselines": {"mean_pose": {"mpjpe_mm": 327.6}},
        "body": "open_body",
        "weights": "runs/quick",
        "method": "hmr",
        "experiment": "quick",
        "environment": {
            "commit": "def5678",
            "command": "clone/training/evaluate.py --weights runs/quick",
        },
        "picture": "people.png",
    }


def claim() -> dict:
    return {
        "id": "hkmr-1",
        "claim": "chains beat flat regression",
        "source": "HKMR Table 1",
        "agrees": False,
        "configurations": {
            "hmr_rotvec": {
                "seeds": [0, 1],
                "metrics": {"mpjpe_mm": [100, 102], "pa_mpjpe_mm": [90, 90]},
            },
            "hkmr": {
                "seeds": [0, 1],
                "metrics": {"mpjpe_mm": [103, 103], "pa_mpjpe_mm": [91, 91]},
            },
        },
        "text": "MPJPE (mm): 0 of 2 seeds",
        "size": "10 steps",
        "cost_s": 120,
        "plots": ["gone.png"],
    }


@pytest.fixture(scope="module")
def pages(runs, tmp_path_factory) -> tuple[str, str]:
    """RESULTS.md and results.html."""
    out = tmp_path_factory.mktemp("out")
    assert report.main(["--results", str(runs), "--out", str(out)]) == 0
    markdown, page = out / "RESULTS.md", out / "results.html"
    for link in re.findall(r"\]\(([^)]+)\)", markdown.read_text()):
        assert (out / link).is_file(), link
    return markdown.read_text(), page.read_text()


def section(text: str, start: str, end: str = r"\n#+ |<h[23]") -> str:
    """What follows a title, up to the next."""
    following_text = text.split(start, 1)[1]
    return re.split(end, following_text, maxsplit=1)[0]


def test_a_pass_by_construction_is_called_so(monkeypatch):
    """In the field and in the notes under the table."""
    monkeypatch.setattr(parity, "parameters", lambda *names: 26_220_000)
    table = next(t for t in paper_tables.tables() if t.name == "hkmr_1")
    verdicts = {c: parity.judge(c, []) for c in table.cells.values()}
    blocks = list(tables.blocks(table, verdicts))
    asides = [
        entry.aside
        for line in blocks[1].lines
        for entry in line.entries
        if entry.aside
    ]
    assert asides == ["−0.58", "+0.02 by construction"]
    notes = [note for note in blocks[2].items if "By construction" in note]
    assert len(notes) == 1 and notes[0].startswith("Pass: ")


def test_all_tables_with_every_number(pages):
    markdown, page = pages
    assert len(paper_tables.tables()) == 23
    for table in paper_tables.tables():
        title = f"{table.number}. {table.title}"
        in_page = section(page, f'id="{table.name}"')
        in_markdown = section(markdown, f"### {table.paper}, {title}")
        assert title in in_page.replace("</small>", "")
        for row in table.rows:
            for value in row.values:
                assert value.replace("*", "\\*") in in_markdown
                assert value in in_page


def test_a_result_with_difference_commit_and_command(pages):
    markdown, page = pages
    row = section(markdown, "### HMR, Table 2. Human3.6M, protocol 1")
    assert "| *ours* |  | 86.20 (−1.77) pass | 63.10 (+5.00) fail |" in row
    assert "commit abc1234, 109,764 examples, body neutral" in row
    assert "training.evaluate --protocol h36m_p1_hmr" in row
    html_section = section(page, 'id="hmr_2"')
    assert '<td class="pass">86.20<small>−1.77</small></td>' in html_section
    assert '<td class="fail">63.10<small>+5.00</small></td>' in html_section
    assert "commit abc1234" in html_section


def test_missing_is_shown_as_missing(pages):
    markdown, page = pages
    row = section(markdown, "### HMR, Table 2. Human3.6M, protocol 1")
    assert "| *ours* | *no result yet* |  |  |" in row
    assert (
        "python -m training.fit hmr_unpaired --workdir runs/hmr_unpaired\n"
        "python -m training.evaluate --weights runs/hmr_unpaired "
        "--protocol h36m_p1_hmr\n"
    ) in row
    held_out = section(markdown, "### HUND, Table 2")
    assert "*not reproducible*" in held_out
    assert "only the dataset's server can measure" in held_out
    assert 'class="no-result-yet"' in section(page, 'id="hmr_2"')


def test_states_are_counted(pages):
    markdown, _ = pages
    counts = [int(n) for n in re.findall(r"\*\*(\d+)\*\* ", markdown)[:5]]
    assert sum(counts) == len(paper_tables.cells())
    # Two of HMR's P1; 26.8 M parameters hold for HMR and not for HKMR.
    assert counts[:2] == [2, 2]
    assert counts[4] == 22


def test_synthetic_results_have_tables_of_their_own(pages):
    for text in pages:
        assert "def5678" not in text.split("Synthetic results")[-2]
    markdown, _ = pages
    table = section(markdown, "### SYNTHETIC synthetic_v1")
    assert "SYNTHETIC: rendered people" in markdown
    assert "SYNTHETIC h36m" not in markdown
    assert "| **88.0** | **0.500** |" in table
    assert "<sub>327.6</sub>" in table
    assert "`python -m training.evaluate --weights runs/quick`" in table
    assert "![SYNTHETIC synthetic_v1" in table


def test_results_of_no_table_are_shown_apart(pages):
    markdown, _ = pages
    rest = markdown.split("## Other results")[1].split("\n## ")[0]
    assert "| quick |" in rest
    assert "**43.2**" in rest
    assert "hmr_55_epochs" not in rest
    assert "43.2" not in markdown.split("## Other results")[0]


def test_claims(pages):
    markdown, _ = pages
    claims = markdown.split("## Claims")[1]
    for name in rules.CLAIMS:
        state = "not decided" if name == "hkmr-1" else "not run"
        line = next(
            line
            for line in claims.splitlines()
            if f"{name}<" in line or f"**{name}**" in line
        )
        assert state in line
    assert "| **hmr_rotvec** | **2** | **90.0** | **101.0 ± 1.4** |" in claims
    assert "| **hkmr** | **2** | **91.0** | **103.0** |" in claims
    line = next(s for s in claims.splitlines() if "always the mean pose" in s)
    assert "144.9" in line
    assert "does not beat the constant mean pose" in claims
    assert "MPJPE (mm): 0 of 2 seeds" not in claims
    assert "10 steps; 2 minutes of training" in claims


class Tags(html.parser.HTMLParser):
    """Open tags, and what is fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.links = [], [], set()
        self.ids = set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.fetched += [attrs[k] for k in ("src",) if k in attrs]
        self.links.add(attrs.get("href", ""))
        self.ids.add(attrs.get("id", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_other_file(pages):
    tags = Tags()
    tags.feed(pages[1])
    assert tags.open == []
    assert tags.fetched
    assert all(url.startswith("data:image/") for url in tags.fetched)
    assert {link.removeprefix("#") for link in tags.links} <= tags.ids
    assert "url(" not in pages[1].split("</style>")[0]


def test_texts_are_escaped(runs, tmp_path):
    nasty = synthetic() | {"experiment": "<script>|x"}
    planted_results.write(tmp_path / "run", nasty | {"picture": ""})
    out = tmp_path / "out"
    flags = ["--results", str(tmp_path / "run"), "--out", str(out)]
    assert report.main(flags) == 0
    assert "&lt;script&gt;|x" in (out / "results.html").read_text()
    assert "&lt;script&gt;\\|x" in (out / "RESULTS.md").read_text()


TEXTS = {
    "experiment": "quick",
    "body": "open_body",
    "weights": "runs/x",
    "rule": {"split": "people"},
    "deviations": ["few people"],
    "environment": {"commit": "abc", "command": "evaluate.py"},
}


@pytest.mark.parametrize("key", TEXTS)
def test_no_text_of_a_result_becomes_markup(tmp_path, key):
    nasty = "<img src=x>[a](javascript:b)\n# title `c` <i>"

    def spoil(value):
        if isinstance(value, dict):
            return {name: spoil(entry) for name, entry in value.items()}
        return [nasty] if isinstance(value, list) else nasty

    content = synthetic() | {key: spoil(TEXTS[key]), "picture": ""}
    planted_results.write(tmp_path / "run", content)
    out = tmp_path / "out"
    flags = ["--results", str(tmp_path / "run"), "--out", str(out)]
    assert report.main(flags) == 0
    page, text = ((out / n).read_text() for n in ("results.html", "RESULTS.md"))
    for markup in ("<img src=x>", "<i>"):
        assert markup not in page.split("</style>")[1].replace("`", "")
        assert markup not in re.sub("`[^`]*`", "", text)
    assert "[a](" not in re.sub("`[^`]*`", "", text)
    assert "\n# title" not in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("`<b>`", "`<b>`"),
        ("``a ` <b>``", "``a ` <b>``"),
        ("`<b>``", "`&lt;b&gt;``"),
        ("``<b>`", "``&lt;b&gt;`"),
        ("``` `<b>` [a]", "``` `<b>` \\[a\\]"),
    ],
)
def test_code_ends_with_as_many_backticks_as_it_begins(text, written):
    lines = markdown.block(document.Text(text), Path())
    assert "".join(lines) == written


@pytest.mark.parametrize("name", ["../../outside", "/etc/x", "..", "a/b"])
def test_no_file_is_written_elsewhere(tmp_path, name):
    path = planted_results.write(tmp_path / "run", synthetic())
    content = synthetic() | {"protocol": name, "picture": ""}
    path.write_text(json.dumps(content))
    out = tmp_path / "a" / "b" / "out"
    before = set(tmp_path.rglob("*"))
    flags = ["--results", str(tmp_path / "run"), "--out", str(out)]
    assert report.main(flags) == 0
    written = set(tmp_path.rglob("*")) - before - {out, *out.parents}
    assert all(path.is_relative_to(out) for path in written)
    assert len(list((out / "pictures").iterdir())) == 2


@pytest.mark.parametrize("inside", ["../../secret.png", "secret/link.png"])
def test_a_picture_elsewhere_is_not_shown(tmp_path, inside):
    secret = tmp_path / "secret.png"
    cv2.imwrite(str(secret), np.full((60, 80, 3), 99, np.uint8))
    planted_results.write(tmp_path / "run", synthetic() | {"picture": inside})
    links = tmp_path / "run" / "results" / "secret"
    links.mkdir()
    (links / "link.png").symlink_to(secret)
    flags = ["--results", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    assert report.main(flags) == 0
    text = (tmp_path / "out" / "RESULTS.md").read_text()
    assert "people from good to bad" not in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metrics", "many"),
        ("metrics", {"mpjpe_mm": "88"}),
        ("measured", "all"),
        ("measured", -3),
        ("expected", True),
        ("baselines", {"mean_pose": [1]}),
        ("percentiles_mpjpe_mm", {"a": 1.0}),
        ("per_joint_mm", [1.0]),
        ("headline", [3]),
        ("deviations", "none"),
        ("truth", ["records"]),
        ("topology", 3),
        ("training_records", ["data/coco"]),
        ("training_records", [{"dataset": "coco"}]),
        ("protocol", ""),
        ("environment", "here"),
    ],
)
def test_entries_of_another_kind_are_named(tmp_path, capsys, key, value):
    path = planted_results.write(tmp_path / "run", synthetic())
    path.write_text(json.dumps(synthetic() | {key: value}))
    flags = ["--results", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    assert report.main(flags) == 1
    error = capsys.readouterr().err
    assert f".json: {key} is {value!r}, expected" in error


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("results/x.json", "{", "measure again with `python -m training.ev"),
        ("claims/x.json", "{}", "x.json is not a measured claim"),
    ],
)
def test_damaged_files_are_named(tmp_path, capsys, name, text, message):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text)
    flags = ["--results", str(tmp_path), "--out", str(tmp_path / "out")]
    assert report.main(flags) == 1
    error = capsys.readouterr().err
    assert error.startswith("training.report: ") and message in error


def test_a_missing_folder_and_a_damaged_picture(tmp_path, capsys):
    missing_folder = str(tmp_path / "gone")
    assert (
        report.main(["--results", missing_folder, "--out", str(tmp_path)]) == 1
    )
    assert "no such folder" in capsys.readouterr().err
    planted_results.write(tmp_path / "run", synthetic())
    (tmp_path / "run" / "results" / "people.png").write_bytes(b"none")
    flags = ["--results", str(tmp_path / "run"), "--out", str(tmp_path)]
    assert report.main(flags) == 1
    assert "people.png is not a picture" in capsys.readouterr().err
