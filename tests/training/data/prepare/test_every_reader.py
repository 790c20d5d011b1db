"""What every reader of a dataset does."""

import pytest

from tests.fuzz.formats import READERS


@pytest.mark.parametrize("name", sorted(READERS))
def test_files_of_systems_beside_the_data_are_passed_over(tmp_path, name):
    root, out = tmp_path / "raw", tmp_path / "out"
    root.mkdir(), out.mkdir()
    READERS[name].write(root)
    numbers = READERS[name].read(root, out)
    for path in sorted(root.rglob("*")):
        metadata_path = path.with_name(f"._{path.name}")
        if path.is_file():
            metadata_path.write_bytes(
                b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"
            )
        (path.parent / "Thumbs.db").write_bytes(b"nothing")
    assert READERS[name].read(root, out) == numbers
    assert numbers[0]
