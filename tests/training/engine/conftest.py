"""Runs of the made-up method that several files start from."""

import dataclasses
import pathlib
import shutil

import pytest

from tests.support import shared_folders, toy_method

FIRST, SECOND = toy_method.STAGES
STOPPED = dataclasses.replace(
    toy_method.EXPERIMENT,
    stages=(FIRST, dataclasses.replace(SECOND, steps=3)),
)


@pytest.fixture(scope="session")
def uninterrupted(body, tmp_path_factory) -> pathlib.Path:
    """A workdir of all twelve steps; to be read."""
    return shared_folders.made(
        tmp_path_factory, "toy", lambda folder: toy_method.run(folder, body)
    )


@pytest.fixture
def stopped(body, tmp_path_factory, tmp_path) -> pathlib.Path:
    """The test's own copy of a workdir that ends after nine steps."""
    original = shared_folders.made(
        tmp_path_factory,
        "stopped-toy",
        lambda folder: toy_method.run(folder, body, STOPPED),
    )
    return pathlib.Path(shutil.copytree(original, tmp_path / "stopped"))
