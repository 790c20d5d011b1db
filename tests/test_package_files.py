"""What ships with the package, and what is said about it."""

import configparser
import hashlib
import re

import pytest

from edge import site
from tests.support.paths import ROOT
from tf_hmr import landmark_fitting, method
from tf_hmr.body import files as body_files
from tf_hmr.smplify import priors

PACKAGE = ROOT / "tf_hmr"
ASSETS = (
    *("open_body/open_body.npz", "open_body/LICENSE"),
    *("open_body/PROVENANCE.md", "pose_gmm/PROVENANCE.md"),
    *("pose_gmm/pose_gmm.npz", "viewer/viewer.html"),
    *("lifter/config.json", "lifter/model.weights.h5"),
    *("lifter/landmarks.json", "lifter/PROVENANCE.md"),
)


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_package_data_covers_the_assets(config):
    patterns = config["options.package_data"]["tf_hmr"].split()
    paths = {path for glob in patterns for path in PACKAGE.glob(glob)}
    assert paths == {PACKAGE / "assets" / name for name in ASSETS}


def test_package_data_covers_the_page(config):
    """All that edge.site copies, and what npm reads; no package of npm."""
    patterns = config["options.package_data"]["edge"].split()
    edge = ROOT / "edge"
    paths = {path for glob in patterns for path in edge.glob(glob)}
    page = {p for pattern in site.PAGE for p in site.WEB.glob(pattern)}
    page |= {site.WEB / n for n in ("package.json", "package-lock.json")}
    files = {path for path in paths if path.is_file()}
    assert page | set(site.SHADERS.iterdir()) == files
    assert len(page) > 20


def test_licence_names_code_and_body(config):
    metadata = config["metadata"]
    assert metadata["license"] == "Apache-2.0 AND CC0-1.0"
    for name in metadata["license_files"].split():
        assert (ROOT / name).is_file()
    assert "Statement of Purpose" in (
        body_files.OPEN_BODY.with_name("LICENSE").read_text()
    ), "the whole legal code"


@pytest.mark.parametrize(
    "path",
    [
        body_files.OPEN_BODY,
        PACKAGE / priors.OPEN_BODY_MIXTURE,
        landmark_fitting.LIFTER / method.WEIGHTS_FILE,
    ],
    ids=lambda p: p.stem,
)
def test_provenance_is_of_the_file_that_ships(path):
    provenance = path.with_name("PROVENANCE.md").read_text()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert re.findall(r"\b[0-9a-f]{64}\b", provenance) == [digest]
