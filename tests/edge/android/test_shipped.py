"""What is in the signed app: its parts, and its bytecode run on a JVM."""

import re
import zipfile
from pathlib import Path

import pytest

from edge.apk import inspection, libraries, package, sources, tools
from tests.support import shared_folders

pytestmark = pytest.mark.android

GUARDED = (
    "android.hardware.DataSpace.getRange",
    "android.media.Image.getDataSpace",
)
"""Of Android 13, called only there (CameraSource.isFullRange)."""


@pytest.fixture(scope="session")
def shipped(tmp_path_factory, apk) -> Path:
    """The app's bytecode as a jar."""
    folder = shared_folders.made(
        tmp_path_factory,
        "shipped",
        lambda out: inspection.to_jar(apk, out / "shipped.jar"),
    )
    return folder / "shipped.jar"


@pytest.fixture(scope="session")
def own_classes(tmp_path_factory, checks, shipped) -> list[Path]:
    """The classes of the checks, of the runtime and of the app.

    Those of the runtime are from their source: enjarify writes classes of a
    Java whose interfaces have no methods, and a JVM refuses theirs.
    """
    out = tmp_path_factory.mktemp("runtime")
    fetched = [libraries.fetch(library) for library in libraries.RUNTIME]
    return [checks, *(sources.classes_of(f, out) for f in fetched), shipped]


@pytest.mark.parametrize(
    "name, part",
    [
        ("CropChecks", "crops"),
        ("TrackChecks", "tracks"),
        ("FinderChecks", "finder"),
        ("FileChecks", "networks"),
        ("GateChecks", "crops"),
    ],
)
def test_the_bytecode_that_ships_gives_these_numbers(
    name, part, run_checks, phone_vectors_of, checks, shipped, platform
):
    folder = phone_vectors_of(part)
    assert run_checks(name, folder, [checks, shipped, platform])


@pytest.mark.parametrize("name", ["SessionChecks", "SharedFilesChecks"])
def test_the_bytecode_that_ships_says_and_shares_the_same(
    name, tmp_path, run_checks, checks, shipped, platform
):
    assert run_checks(name, tmp_path, [checks, shipped, platform])


def test_the_signature_is_one_of_the_whole_file(apk):
    text = tools.run(
        *("apksigner", "verify", "--verbose", "--min-sdk-version"),
        *(str(sources.MIN_SDK), apk),
    )
    assert re.search(r"v2 scheme .*: true", text)


def test_an_altered_app_is_no_longer_signed(apk, tmp_path):
    content = bytearray(apk.read_bytes())
    content[len(content) // 2] ^= 1
    altered = tmp_path / "altered.apk"
    altered.write_bytes(content)
    with pytest.raises(OSError, match="apksigner"):
        tools.run("apksigner", "verify", altered)


def test_files_lie_where_a_phone_maps_them(apk):
    tools.run("zipalign", "-c", "-p", "4", apk)


def test_the_badge_says_who_may_install_it(apk):
    badge = tools.run("aapt", "dump", "badging", apk)
    assert f"package: name='{package.PACKAGE}'" in badge
    assert f"sdkVersion:'{sources.MIN_SDK}'" in badge
    assert f"targetSdkVersion:'{sources.TARGET_SDK}'" in badge
    assert "uses-feature-not-required: name='android.hardware.camera'" in badge
    assert "uses-feature: name='android.hardware.camera'" not in badge
    assert f"native-code: '{package.ABI}'" in badge
    assert "launchable-activity: name='org.tfhmr.app.MainActivity'" in badge
    tree = tools.run("aapt", "dump", "xmltree", apk, "AndroidManifest.xml")
    assert "uses-native-library" in tree and "libOpenCL.so" in tree


def test_networks_are_stored_as_they_are(apk, lifter):
    with zipfile.ZipFile(apk) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        assert archive.read("assets/model.tflite") == lifter.read_bytes()
    networks = [name for name in entries if name.endswith(".tflite")]
    assert len(networks) == 4
    for name in networks:
        assert entries[name].compress_type == zipfile.ZIP_STORED
    shaders = {path.name for path in sources.SHADERS.iterdir()}
    assert {f"assets/shaders/{name}" for name in shaders} <= set(entries)
    natives = {f"lib/{package.ABI}/libtensorflowlite_jni.so"}
    natives.add(f"lib/{package.ABI}/libtensorflowlite_gpu_jni.so")
    assert {name for name in entries if name.startswith("lib/")} == natives


@pytest.mark.parametrize(
    "platform_library, guarded",
    [(libraries.PLATFORM, ()), (libraries.OLDEST_PLATFORM, GUARDED)],
    ids=["android 14", "android 7"],
)
def test_all_that_the_app_calls_exists(
    platform_library, guarded, apk, own_classes, run_checks, tmp_path
):
    references = inspection.references(apk, tmp_path)
    (tmp_path / "references.txt").write_text("\n".join(references))
    path = libraries.fetch(platform_library)
    run_checks(
        "ReferenceChecks",
        tmp_path,
        [*own_classes, path],
        guarded=",".join(guarded),
    )


def test_a_call_of_nothing_is_seen(apk, own_classes, platform, tmp_path):
    references = inspection.references(apk, tmp_path)
    references.append("android.app.Activity flyAway (I)V")
    (tmp_path / "references.txt").write_text("\n".join(references))
    class_path = ":".join(map(str, [*own_classes, platform]))
    text = tools.output(
        [
            *("java", "-cp", class_path, "org.tfhmr.core.Checks"),
            *("ReferenceChecks", str(tmp_path)),
        ]
    )
    assert "FAILED references" in text and "flyAway" in text


def test_nothing_is_called_that_android_7_cannot_link(apk, tmp_path):
    assert inspection.dynamic_calls(apk, tmp_path) == 0
