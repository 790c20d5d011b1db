"""Messages of other libraries in one line."""

import pytest
import tensorflow as tf

from tf_hmr.formats import wording

NODE = "{{function_node __wrapped__SaveV2_device_/job:x/task:0/CPU:0}} "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n  not a file \nmore", "not a file"),
        (f"{NODE}ckpt-5; No space left [Op:SaveV2]", "ckpt-5; No space left"),
        ("brackets [a] {b}", "brackets [a] {b}"),
        ("", "ValueError"),
        (" \n", "ValueError"),
    ],
)
def test_an_error_says_its_first_line_without_nodes(text, expected):
    assert wording.first_line(ValueError(text)) == expected


def test_an_error_of_tensorflow_names_no_node(tmp_path):
    with pytest.raises(tf.errors.OpError) as caught:
        tf.io.read_file(str(tmp_path / "none"))
    assert "{{" in str(caught.value) and "[Op:" in str(caught.value)
    line = wording.first_line(caught.value)
    assert str(tmp_path / "none") in line
    assert "{{" not in line and "[Op:" not in line
