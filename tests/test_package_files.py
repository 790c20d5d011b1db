"""What ships with the package, and what is said about it."""

import configparser
import hashlib
import re
from pathlib import Path

import pytest

from tf_hmr import body_files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tf_hmr"
ASSETS = ("open_body.npz", "LICENSE", "PROVENANCE.md")


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_package_data_covers_the_assets(config):
    patterns = config["options.package_data"]["tf_hmr"].split()
    found = {path for glob in patterns for path in PACKAGE.glob(glob)}
    assert found == {body_files.OPEN_BODY.parent / name for name in ASSETS}


def test_licence_names_code_and_body(config):
    metadata = config["metadata"]
    assert metadata["license"] == "Apache-2.0 AND CC0-1.0"
    for name in metadata["license_files"].split():
        assert (ROOT / name).is_file()
    assert "Statement of Purpose" in (
        body_files.OPEN_BODY.with_name("LICENSE").read_text()
    ), "the whole legal code"


def test_provenance_is_of_the_body_that_ships():
    said = body_files.OPEN_BODY.with_name("PROVENANCE.md").read_text()
    found = hashlib.sha256(body_files.OPEN_BODY.read_bytes()).hexdigest()
    assert re.findall(r"\b[0-9a-f]{64}\b", said) == [found]
