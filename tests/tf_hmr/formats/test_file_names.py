"""Texts of data as names of files."""

from pathlib import Path

import pytest

from tf_hmr.formats import file_names


@pytest.mark.parametrize(
    "text", ["p0", "000000000139", "photo.v2", "Zoë 1", "a-b_c", "人"]
)
def test_safe_texts_stay(text):
    assert file_names.path_component(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../x", "_.._x"),
        ("/etc/passwd", "_etc_passwd"),
        ("a\\b:c*?", "a_b_c__"),
        ("\x1b[31mred\x07", "_[31mred_"),
        ("a\u202egpj", "a_gpj"),
        ("a\nb", "a_b"),
        ("\ud800x", "_x"),
        (".hidden", "hidden"),
        ("dot. ", "dot"),
        ("", "unnamed"),
        ("..", "unnamed"),
        (" ", "unnamed"),
        ("nul.txt", "_nul.txt"),
        (7, "7"),
    ],
)
def test_others_become_one_component(tmp_path, text, name):
    component = file_names.path_component(text)
    assert component == name
    assert Path(component).name == component
    (tmp_path / component).write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [component]


def test_long_names_are_cut_and_stay_apart():
    names = [file_names.path_component("é" * 300 + end) for end in "ab"]
    assert names[0] != names[1]
    for name in names:
        assert name.startswith("é" * 50)
        assert len(name.encode()) <= 150
