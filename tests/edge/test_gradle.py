"""The Gradle files say what `make apk` does; no Gradle runs here."""

import re
from xml.etree import ElementTree

import pytest

from edge.apk import package, sources
from tf_hmr import __version__

ANDROID = "{http://schemas.android.com/apk/res/android}"
GRADLE = sorted(sources.ROOT.rglob("*.gradle"))


def content_of(name):
    return (sources.ROOT / name).read_text("utf-8")


def value(name, key):
    """The word after a key of app/build.gradle, without quotes."""
    (word,) = re.findall(rf"^ *{key} +(\S+)$", content_of(name), re.MULTILINE)
    return word.strip("'")


def test_versions_and_names_are_those_of_the_builder():
    build = "app/build.gradle"
    assert value(build, "minSdk") == str(sources.MIN_SDK)
    assert value(build, "namespace") == package.PACKAGE
    assert value(build, "applicationId") == package.PACKAGE
    assert value(build, "versionName") == __version__
    assert int(value(build, "compileSdk")) >= int(value(build, "targetSdk"))
    assert int(value(build, "targetSdk")) >= sources.TARGET_SDK
    assert package.ABI in content_of(build)
    assert "noCompress 'tflite'" in content_of(build)
    java = f"VERSION_1_{sources.PHONES_JAVA}"
    for name in (build, "core/build.gradle"):
        assert len(re.findall(java, content_of(name))) == 2


def test_the_modules_are_where_gradle_looks():
    included = re.findall(r"':(\w+)'", content_of("settings.gradle"))
    assert included == ["core", "app"]
    for module in included:
        assert sources.ROOT / module / "build.gradle" in GRADLE
        assert (sources.ROOT / module / "src" / "main" / "java").is_dir()
    # Nothing of tests is in the folder that Gradle compiles into the app.
    assert sources.CORE == sources.ROOT / "core/src/main/java"
    assert sources.APP == sources.ROOT / "app/src/main/java"
    assert sources.MANIFEST.is_file()


def test_the_manifest_names_classes_and_words_that_exist():
    tree = ElementTree.parse(sources.MANIFEST)
    names = [
        element.get(ANDROID + "name")
        for kind in ("activity", "provider")
        for element in tree.iter(kind)
    ]
    assert len(names) == 2
    for name in names:
        path = sources.APP / (name.replace(".", "/") + ".java")
        assert path.is_file(), name
    words = {
        element.get("name")
        for path in sources.RESOURCES.rglob("*.xml")
        for element in ElementTree.parse(path).iter("string")
    }
    used_words = set(re.findall(r"@string/(\w+)", sources.MANIFEST.read_text()))
    for path in sources.APP.rglob("*.java"):
        used_words |= set(
            re.findall(r"R\.string\.(\w+)", path.read_text("utf-8"))
        )
    assert used_words == words


@pytest.mark.parametrize("path", GRADLE, ids=lambda path: path.parent.name)
def test_brackets_and_quotes_are_closed(path):
    code = re.sub(r"//.*|'[^'\n]*'", "", path.read_text("utf-8"))
    assert "'" not in code
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)


def test_the_core_knows_nothing_of_android():
    for path in sources.CORE.rglob("*.java"):
        imports = re.findall(
            r"^import (?:static )?(\w+\.\w+)", path.read_text(), re.M
        )
        for name in imports:
            assert name.startswith("java.") or name == "org.json", path.name
