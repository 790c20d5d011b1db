"""Exported files on TensorFlow Lite of a JVM, behind the app's own classes."""

import pytest

from edge.apk import libraries, sources

pytestmark = pytest.mark.android


@pytest.fixture(scope="module")
def class_path(tmp_path_factory, checks, core, platform):
    desktop = [libraries.fetch(library) for library in libraries.DESKTOP]
    used = [checks, core, platform, *desktop]
    out = tmp_path_factory.mktemp("desktop")
    # Its annotations are of a library that nobody needs.
    sources.compile_java([sources.DESKTOP], used, out, strict=False)
    return [out, *used]


def test_answers_are_those_of_ai_edge_litert(
    class_path, run_checks, phone_vectors_of, lifter, blaze_pose
):
    measured = run_checks(
        "InferenceChecks",
        phone_vectors_of("networks"),
        class_path,
        lifter=lifter,
        landmarks=blaze_pose,
        tracks=phone_vectors_of("tracks"),
    )
    assert set(measured) == {"networks", "live"}
    for precision in ("float32", "float16", "w8", "int8"):
        assert f"image_{precision} ({precision})" in measured["networks"]
    assert measured["live"].startswith("30 frames")
