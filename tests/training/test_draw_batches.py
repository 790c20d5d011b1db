"""Crops beside crops with other backgrounds and objects."""

import cv2
import numpy as np

from tests.support import record_samples
from training import draw_batches


def test_a_sheet_shows_both(tmp_path, capsys):
    records = record_samples.folder(tmp_path / "records", 4)
    out = tmp_path / "sheet.png"
    words = [str(records), f"--out={out}", "--count=4", "--image-size=64"]
    assert draw_batches.main(words) == 0
    assert "4 people" in capsys.readouterr().out
    sheet = cv2.imread(str(out)).astype(int)
    # The left crop of the first pair and the right one, below the caption.
    left, right = sheet[30:80, 2:60], sheet[30:80, 70:128]
    assert np.abs(left - right).mean() > 5


def test_records_without_masks_are_one_line(tmp_path, capsys):
    records = record_samples.spoilt(
        tmp_path / "bare", 4, dict.fromkeys(range(4), {"parts": b""})
    )
    words = [str(records), f"--out={tmp_path / 'sheet.png'}"]
    assert draw_batches.main([*words, "--background=1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "data.augment.background" in line and "do not have" in line


def test_a_folder_without_pictures_is_one_line(tmp_path, capsys):
    records = record_samples.folder(tmp_path / "records", 4)
    words = [str(records), f"--out={tmp_path / 'sheet.png'}"]
    words += [f"--backgrounds={tmp_path / 'none'}"]
    assert draw_batches.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "data.augment.backgrounds" in line and "is no folder" in line
