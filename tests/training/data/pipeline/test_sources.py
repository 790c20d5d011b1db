"""Where an experiment's records are read from: --records."""

import dataclasses
import json
import logging

import pytest
import tyro

from tests.support import record_samples
from training import config
from training.data.pipeline import sources
from training.data.prepare import poses
from training.data.records import reader_versions


@pytest.fixture
def paper():
    """A mix as the papers': four datasets, two without 3D labels."""
    return config.Data(
        sources=(
            config.Source("h36m", share=0.4),
            config.Source("mpi-inf-3dhp", share=0.1),
            config.Source("coco", share=0.3, labels="2d"),
            config.Source("lsp", share=0.2, labels="2d"),
        ),
        prior="poses",
    )


def make(folder, with_prior=True):
    record_samples.folder(folder, 2)
    if not with_prior:
        (folder / "prior.npz").unlink()


def test_names_lie_below_the_root(tmp_path, paper):
    for name in ("h36m", "mpi-inf-3dhp", "coco", "lsp", "poses"):
        make(tmp_path / name)
    resolved = sources.resolve(paper, (str(tmp_path),))
    assert [source.records for source in resolved.sources] == [
        str(tmp_path / source.records) for source in paper.sources
    ]
    assert resolved.prior == str(tmp_path / "poses")
    assert [s.share for s in resolved.sources] == [0.4, 0.1, 0.3, 0.2]


def test_records_of_a_faulty_reader_are_named_once(tmp_path, caplog):
    folder = tmp_path / "poses"
    make(folder)
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(
        json.dumps(report | {"dataset": "spin-npz"})
    )
    data = config.Data(sources=(config.Source("poses"),), prior="poses")
    with caplog.at_level(logging.WARNING):
        sources.resolve(data, (str(tmp_path),))
    (line,) = caplog.messages
    assert line == reader_versions.warning(folder) != ""


def state(folder, command, **options):
    """Stores who made the records, as a reader of a dataset does."""
    (folder / "train.options.json").write_text(json.dumps(options))
    report = json.loads((folder / "report.json").read_text())
    report["splits"]["train"]["command"] = command
    (folder / "report.json").write_text(json.dumps(report))


def test_records_of_other_rules_are_named_first_with_their_command(
    tmp_path, caplog
):
    names = ("h36m", "coco", "lsp", "mpii", "lsp-ext")
    for name in names:
        make(tmp_path / name)
    start, out = "python -m training.prepare", f"--out {tmp_path}"
    state(tmp_path / "h36m", f"{start} spin-npz ...", dataset="spin-npz")
    state(
        tmp_path / "coco",
        f"{start} coco --root 'my data' {out}/coco",
        dataset="coco",
        rules="hmr",
    )
    state(
        tmp_path / "lsp",
        f"{start} lsp --root lsp {out}/lsp --rules hmr --workers 2",
        dataset="lsp",
        rules="hmr",
    )
    # mpii does not say who made it; the last has one set of rules alone.
    state(tmp_path / "lsp-ext", f"{start} lsp-ext ...", dataset="lsp-ext")
    data = config.Data(
        sources=tuple(config.Source(name, rules="spin") for name in names),
        prior="",
    )
    with caplog.at_level(logging.INFO):
        sources.resolve(data, (str(tmp_path),))
    assert [record.levelname for record in caplog.records[:4]] == [
        *["WARNING"] * 3,
        "INFO",
    ]
    coco, lsp, mpii = caplog.messages[:3]
    for line, name in ((coco, "coco"), (lsp, "lsp"), (mpii, "mpii")):
        assert line.startswith(f"{tmp_path / name} ") and "'spin'" in line
    assert "by the rules of 'hmr'" in coco and "does not say" in mpii
    assert coco.endswith(
        f"{start} coco --root 'my data' {out}/coco --rules spin"
    )
    assert lsp.endswith(
        f"{start} lsp --root lsp {out}/lsp --workers 2 --rules spin"
    )
    assert mpii.endswith(f"{start} mpii --root DIR {out}/mpii --rules spin")


@pytest.mark.parametrize(
    ("rules", "reader"), [("hmr", "lsp-ext"), ("spin", "hr-lspet")]
)
def test_spins_version_of_lsp_extended_has_its_own_reader(
    rules, reader, tmp_path, caplog
):
    make(tmp_path / "lsp-ext")
    data = config.Data(
        sources=(config.Source("lsp-ext", rules=rules),), prior=""
    )
    with caplog.at_level(logging.WARNING):
        sources.resolve(data, (str(tmp_path),))
    (line,) = caplog.messages
    command = f"training.prepare {reader} --root DIR --out {tmp_path}/lsp-ext"
    assert line.endswith(command)


def test_records_in_the_place_of_the_papers_have_any_rules(tmp_path, caplog):
    make(tmp_path / "mine")
    state(tmp_path / "mine", "", dataset="coco", rules="hmr")
    data = config.Data(sources=(config.Source("h36m", rules="spin"),), prior="")
    with caplog.at_level(logging.WARNING):
        sources.resolve(data, (str(tmp_path / "mine"),))
    assert not caplog.messages


def test_some_of_its_datasets_keep_their_proportions(tmp_path, paper, caplog):
    """What a user without MPI-INF-3DHP types: half still has 3D labels."""
    for name in ("h36m", "coco", "lsp", "poses"):
        make(tmp_path / name, with_prior=name == "poses")
    words = [str(tmp_path / name) for name in ("lsp", "h36m", "coco")]
    with caplog.at_level(logging.INFO):
        resolved = sources.resolve(paper, words)
    expected = [("h36m", 0.5, "all"), ("coco", 0.3, "2d"), ("lsp", 0.2, "2d")]
    for source, (name, share, labels) in zip(
        resolved.sources, expected, strict=True
    ):
        assert source.records == str(tmp_path / name)
        assert source.share == pytest.approx(share)
        assert (source.labels, source.shards) == (labels, (0, 1))
    assert resolved.prior == str(tmp_path / "poses")
    assert f" 30.0 % of the pictures: {words[2]}, keyp" in caplog.text
    mine = dataclasses.replace(paper, prior="elsewhere/poses")
    with pytest.raises(FileNotFoundError, match="^elsewhere/poses has"):
        sources.resolve(mine, words)


def test_two_folders_of_one_name_are_both_read(tmp_path, paper):
    words = [str(tmp_path / name / "h36m") for name in ("a", "b")]
    for word in words:
        make(tmp_path / word)
    resolved = sources.resolve(paper, words)
    assert {source.records for source in resolved.sources} == set(words)


def test_what_is_there_can_be_trained_on_without_the_rest(tmp_path, paper):
    make(tmp_path / "coco")
    make(tmp_path / "h36m")
    with pytest.raises(FileNotFoundError) as caught:
        sources.resolve(paper, (str(tmp_path),))
    _, _, words = str(caught.value).partition(" there: --records ")
    words = words.partition(";")[0].split()
    assert words == [str(tmp_path / name) for name in ("h36m", "coco")]
    assert len(sources.resolve(paper, words).sources) == 2


def test_synthetic_takes_the_place_of_every_dataset(
    tmp_path, paper, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data" / "synthetic")
    resolved = sources.resolve(paper, ("synthetic",))
    assert {s.records for s in resolved.sources} == {"data/synthetic"}
    shares = {s.labels: s.share for s in resolved.sources}
    assert shares == pytest.approx({"all": 0.5, "2d": 0.5})
    # No picture is seen with its 3D labels and without them.
    assert [s.shards for s in resolved.sources] == [(0, 2), (1, 2)]
    assert resolved.prior == "data/synthetic"


def test_missing_unpaired_poses_are_told_with_their_command(tmp_path, paper):
    for source in paper.sources:
        make(tmp_path / source.records, with_prior=False)
    with pytest.raises(FileNotFoundError) as caught:
        sources.resolve(paper, (str(tmp_path),))
    message, folder = str(caught.value), tmp_path / paper.prior
    assert f"{folder} has no unpaired poses" in message
    command = "training.prepare poses --root DIR --kind amass"
    assert f"{command} --out {folder}" in message
    assert "--records synthetic" in message
    words = command.replace("training.prepare poses ", "").split()
    options = tyro.cli(poses.Options, args=[*words, f"--out={folder}"])
    assert options.out == folder


def test_own_folders_share_what_the_datasets_had(tmp_path, paper):
    make(tmp_path / "mine", with_prior=False)
    make(tmp_path / "yours")
    words = (str(tmp_path / "mine"), str(tmp_path / "yours"))
    resolved = sources.resolve(paper, words)
    assert sum(s.share for s in resolved.sources) == pytest.approx(1)
    assert {s.records for s in resolved.sources} == set(words)
    assert resolved.prior == words[1]
    unpaired = config.Data(sources=(config.Source("coco", labels="2d"),))
    (only,) = sources.resolve(unpaired, words[1:]).sources
    assert (only.labels, only.shards) == ("2d", (0, 1))


@pytest.mark.parametrize("words", [("root",), ("synthetic",), ("a", "b")])
def test_what_is_missing_is_named_with_its_command(
    words, tmp_path, paper, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        sources.resolve(paper, words)
    message = str(caught.value)
    first = {"root": "root/h36m", "synthetic": "data/synthetic", "a": "a"}
    first = first[words[0]]
    assert f" --out {first}" in message and "training.prepare" in message
    assert ("--records synthetic" in message) == (words[0] != "synthetic")


@pytest.mark.parametrize(
    ("name", "has_reader"),
    [
        ("3dpw", True),
        ("mpi-inf-3dhp", True),
        ("mpi_inf_3dhp", True),
        ("no-such-set", False),
        ("coco.x", False),
    ],
)
def test_a_set_that_has_a_reader_is_not_said_to_lack_it(
    tmp_path, name, has_reader
):
    data = config.Data(sources=(config.Source(name),), prior="")
    with pytest.raises(FileNotFoundError) as caught:
        sources.resolve(data, (str(tmp_path),))
    assert ("no reader" in str(caught.value)) != has_reader


def test_no_folder_at_all_is_refused(paper):
    with pytest.raises(ValueError, match="--records is empty"):
        sources.resolve(paper, ())
