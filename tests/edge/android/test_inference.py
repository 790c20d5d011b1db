"""Exported files on runtimes of a JVM, behind the app's own classes."""

from importlib import util
from pathlib import Path

import pytest

from edge.apk import libraries, sources, tools

pytestmark = pytest.mark.android

LITERT = "libLiteRt.so"
"""Of the Python package ai-edge-litert."""


@pytest.fixture(scope="module")
def desktop(tmp_path_factory, checks, core, platform):
    """Class path of the checks of inference."""
    out = tmp_path_factory.mktemp("desktop")
    class_path = [checks, core, platform]
    sources.compile_java([sources.DESKTOP], class_path, out)
    return [out, *class_path]


@pytest.fixture
def litert(tmp_path, desktop):
    """Class path, program and properties of LiteRT on a late JVM."""
    try:
        home = tools.jdk(sources.FOREIGN_JAVA)
    except FileNotFoundError as error:
        # Debian has none that is late enough in each of its releases.
        pytest.skip(str(error))
    sources.compile_java(
        [sources.FOREIGN],
        desktop,
        tmp_path,
        java=sources.FOREIGN_JAVA,
        javac=home / "bin" / "javac",
    )
    (package,) = util.find_spec("ai_edge_litert").submodule_search_locations
    return {
        "class_path": [tmp_path, *desktop],
        "java": [home / "bin" / "java", "--enable-native-access=ALL-UNNAMED"],
        "runtime": "org.tfhmr.core.LiteRtRuntime",
        "litert": Path(package) / LITERT,
    }


@pytest.fixture
def bytedeco(tmp_path, desktop):
    """Class path and properties of TensorFlow Lite 2.19 on any JVM."""
    fetched = [libraries.fetch(library) for library in libraries.DESKTOP]
    class_path = [*desktop, *fetched]
    # Its annotations are of a library that nobody needs.
    sources.compile_java([sources.BYTEDECO], class_path, tmp_path, strict=False)
    return {
        "class_path": [tmp_path, *class_path],
        "runtime": "org.tfhmr.core.BytedecoRuntime",
    }


@pytest.mark.parametrize("runtime", ["litert", "bytedeco"])
def test_answers_are_those_of_ai_edge_litert(
    runtime, request, run_checks, phone_vectors_of, lifter, blaze_pose
):
    measured = run_checks(
        "InferenceChecks",
        phone_vectors_of("networks"),
        **request.getfixturevalue(runtime),
        lifter=lifter,
        landmarks=blaze_pose,
        tracks=phone_vectors_of("tracks"),
    )
    assert set(measured) == {"networks", "live"}
    for precision in ("float32", "float16", "w8", "int8"):
        assert f"image_{precision} ({precision})" in measured["networks"]
    assert measured["live"].startswith("30 frames")
