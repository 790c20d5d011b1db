"""The app's classes, the app itself, and runs of its checks on a JVM."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import export
from edge.apk import libraries, package, sources, tools
from edge.tasks import export as task
from tests.support import shared_folders
from tf_hmr import landmark_files, landmark_fitting


def _or_skip(get: Callable):
    """What `get` returns; where a program or a file is missing, a skip.

    All of it is served by Debian, PyPI or Maven Central: in continuous
    integration its absence is a fault.
    """
    try:
        return get()
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(" ".join(str(error).split()))


@pytest.fixture(scope="session")
def jdk() -> None:
    """Skips where there is no JDK, or another program that the app needs."""
    _or_skip(tools.check)


@pytest.fixture(scope="session")
def platform(jdk) -> Path:
    """Android's classes."""
    return _or_skip(lambda: libraries.fetch(libraries.PLATFORM))


@pytest.fixture(scope="session")
def core(tmp_path_factory, platform) -> Path:
    """Folder of the core's classes."""
    return shared_folders.made(
        tmp_path_factory,
        "core",
        lambda out: sources.compile_java([sources.CORE], [platform], out),
    )


@pytest.fixture(scope="session")
def checks(tmp_path_factory, platform, core) -> Path:
    """Folder of the checks' classes."""
    return shared_folders.made(
        tmp_path_factory,
        "checks",
        lambda out: sources.compile_java(
            [sources.CHECKS], [core, platform], out
        ),
    )


@pytest.fixture(scope="session")
def lifter(tmp_path_factory) -> Path:
    """The shipped lifter, exported in float32."""

    def make(folder):
        path = folder / "lifter.tflite"
        task.export(export.Args(landmark_fitting.LIFTER, path, crops=3))

    shared_folder = shared_folders.made(tmp_path_factory, "lifter", make)
    return shared_folder / "lifter.tflite"


@pytest.fixture(scope="session")
def blaze_pose() -> Path:
    """The network of landmarks."""
    _or_skip(lambda: landmark_files.read(landmark_files.LANDMARKS))
    return landmark_files.folder() / landmark_files.LANDMARKS.name


@pytest.fixture(scope="session")
def apk(tmp_path_factory, jdk, lifter) -> Path:
    """The signed app, with the lifter."""
    shared_folder = shared_folders.made(
        tmp_path_factory,
        "apk",
        lambda out: _or_skip(lambda: package.build(lifter, out / "app.apk")),
    )
    return shared_folder / "app.apk"


@pytest.fixture(scope="session")
def run_checks() -> Callable[..., dict[str, str]]:
    """A function that runs a class of checks on a JVM.

    Its arguments: the class, a folder of vectors, the class path, properties
    by name, and the program with its options. It returns what each check
    measured, by name, and fails where one fails.
    """

    def run(name, folder, class_path, java=("java",), **properties):
        command = [*map(str, java), "-cp", ":".join(map(str, class_path))]
        command += [f"-D{key}={value}" for key, value in properties.items()]
        command += ["org.tfhmr.core.Checks", name, str(folder)]
        result = tools.output(command)
        verdicts = ("ok ", "FAILED ")
        lines = [x for x in result.splitlines() if x.startswith(verdicts)]
        failed = [line for line in lines if line.startswith("FAILED")]
        assert not failed and lines, "\n".join(failed) or result
        print("\n".join(lines))
        return dict(line.removeprefix("ok ").split(": ", 1) for line in lines)

    return run
