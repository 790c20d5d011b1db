"""Compiles the sources of edge/android to classes, and those to dex."""

import zipfile
from pathlib import Path

from edge.apk import libraries, tools

ROOT = Path(__file__).parents[1] / "android"
"""Folder of the sources."""

CORE = ROOT / "core" / "src" / "main" / "java"
CHECKS = ROOT / "core" / "src" / "test" / "java"
DESKTOP = ROOT / "core" / "src" / "desktop" / "java"
BYTEDECO = ROOT / "core" / "src" / "bytedeco" / "java"
FOREIGN = ROOT / "core" / "src" / "foreign" / "java"
APP = ROOT / "app" / "src" / "main" / "java"
RESOURCES = ROOT / "app" / "src" / "main" / "res"
MANIFEST = ROOT / "app" / "src" / "main" / "AndroidManifest.xml"
SHADERS = Path(__file__).parents[1] / "shaders"

MIN_SDK = 24
TARGET_SDK = 34

PHONES_JAVA = 8
FOREIGN_JAVA = 22
"""The first with java.lang.foreign."""

# Warnings are errors, but for those about the class files of libraries, which
# are of a later Java than phones know.
_STRICT = ("-Werror", "-Xlint:all,-options,-classfile")
_LENIENT = ("-Xlint:-options",)


def compile_java(
    folders: list[Path],
    class_path: list[Path],
    out: Path,
    strict: bool = True,
    java: int = PHONES_JAVA,
    javac: str | Path = "javac",
) -> None:
    """Compiles all sources of folders to classes.

    Args:
        folders: of sources.
        class_path: folders and jars of what they use.
        out: folder of the classes.
        strict: a warning is an error.
        java: the version whose language and classes they are of.
        javac: the compiler.

    Raises:
        FileNotFoundError, OSError: there is no javac, or it refuses them.
    """
    files = sorted(
        path for folder in folders for path in folder.rglob("*.java")
    )
    out.mkdir(parents=True, exist_ok=True)
    joined = ":".join(map(str, class_path))
    warnings = _STRICT if strict else _LENIENT
    tools.run(
        *(javac, "--release", str(java), "-encoding", "UTF-8"),
        *(warnings, "-cp", joined, "-d", out, files),
    )


def classes_of(library: Path, out: Path) -> Path:
    """The path of the classes.jar of an .aar, which is written to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{library.stem}.jar"
    with zipfile.ZipFile(library) as archive:
        path.write_bytes(archive.read("classes.jar"))
    return path


def to_dex(classes: list[Path], out: Path) -> None:
    """Turns folders and jars of classes into one dex.

    Args:
        classes: folders and jars.
        out: the file to write.

    Raises:
        FileNotFoundError, OSError: dx is missing or refuses a class.
    """
    dx = libraries.fetch(libraries.DX)
    main = "com.android.dx.command.Main"
    tools.run(
        *("java", "-Xmx1g", "-cp", dx, main, "--dex"),
        *(f"--min-sdk-version={MIN_SDK}", f"--output={out}"),
        classes,
    )
