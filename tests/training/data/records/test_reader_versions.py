"""Records that a faulty version of a reader made are named."""

import json

import pytest

from tests.support import record_samples
from training import doctor
from training.data.records import reader_versions, records_folder

COMMAND = "python -m training.prepare NAME --root a --out b"


def folder_of(tmp_path, dataset, **entries):
    """Records whose report says that a reader made them."""
    folder = record_samples.folder(tmp_path / "records", 2)
    report = records_folder.read_report(folder) | {"dataset": dataset}
    split = report["splits"]["train"]
    split["command"] = COMMAND.replace("NAME", dataset)
    split.update(entries)
    (folder / "report.json").write_text(json.dumps(report))
    return folder


@pytest.mark.parametrize("reader", ["coco-like", "spin-npz"])
def test_a_report_of_before_and_one_of_now(tmp_path, reader):
    folder = folder_of(tmp_path, reader)
    warning = reader_versions.warning(folder)
    assert warning.startswith(f"{folder} was made by a version of its reader")
    assert "\n" not in warning and warning.endswith(
        f"Delete the folder and make it again: {COMMAND}".replace(
            "NAME", reader
        )
    )
    folder = folder_of(
        tmp_path / "now", reader, **reader_versions.facts(reader)
    )
    assert reader_versions.warning(folder) == ""


@pytest.mark.parametrize(
    ("words", "is_faulty"),
    [
        ("hmr-tfrecords --root a/tf_records_human36m_wjoints", True),
        ("hmr-tfrecords --root human36m --upside-down keep", False),
        ("hmr-tfrecords --root a/coco", False),
        ("mpii --root a --rules spin", True),
        ("mpii --root a --split trainval --rules spin", True),
        ("mpii --root a --split valid --rules spin", False),
        ("mpii --root a --labels json --rules spin", False),
        ("mpii --root a", False),
        ("lsp --root a --split test --rules spin --parts b", True),
        ("lsp --root a", False),
    ],
)
def test_faults_of_some_inputs_are_told_by_the_command(
    tmp_path, words, is_faulty
):
    command = f"python -m training.prepare {words}"
    reader = words.partition(" ")[0]
    folder = folder_of(tmp_path, reader, command=command)
    assert (reader_versions.warning(folder) != "") == is_faulty
    folder = folder_of(
        tmp_path / "now",
        reader,
        **reader_versions.facts(reader) | {"command": command},
    )
    assert reader_versions.warning(folder) == ""


def test_one_line_for_all_splits_and_poses_of_a_folder(tmp_path):
    folder = folder_of(tmp_path, "spin-npz")
    report = json.loads((folder / "report.json").read_text())
    report["splits"]["val"] = report["splits"]["train"]
    (folder / "report.json").write_text(json.dumps(report))
    command = "python -m training.prepare poses --kind amass --root c"
    (folder / "prior.json").write_text(json.dumps({"command": command}))
    warning = reader_versions.warning(folder)
    assert "train: genders" in warning and "val: genders" in warning
    assert "prior.npz: betas of SMPL-X" in warning
    assert warning.count("training.prepare spin-npz") == 1
    assert warning.endswith(f"&& {command}") and "\n" not in warning


@pytest.mark.parametrize(
    "prior",
    [
        '{"command": "python -m training.prepare poses --kind mosh"}',
        '{"command": "prepare poses --kind amass", "reader_version": 2}',
        '{"command": 3}',
        "[1]",
        "{",
    ],
)
def test_other_poses_and_damaged_reports_give_no_warning(tmp_path, prior):
    folder = folder_of(tmp_path, "h36m")
    (folder / "prior.json").write_text(prior)
    assert reader_versions.warning(folder) == ""
    (folder / "report.json").write_text(prior)
    assert reader_versions.warning(folder) == ""
    assert reader_versions.warning(tmp_path / "nothing") == ""


def test_versions_are_one_more_than_the_last_with_a_fault():
    assert reader_versions.current("h36m") == 1
    for fault in reader_versions.FAULTS:
        assert reader_versions.current(fault.reader) > fault.last_version


def test_the_doctor_names_them_and_goes_on(tmp_path, capsys):
    folder = folder_of(tmp_path, "spin-npz")
    status = doctor.main([str(folder), "--limit", "1"])
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 0 and line == reader_versions.warning(folder)
