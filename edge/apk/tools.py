"""Programs of the JDK and of Debian that build the app."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGES = {
    "javac": "openjdk-17-jdk-headless",
    "java": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "aapt": "aapt",
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
    "dexdump": "dexdump",
    "enjarify": "enjarify",
}
"""Debian's package of each program."""

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
"""Resources of Android 10, of Debian's android-framework-res."""

JDKS = Path("/usr/lib/jvm")
"""Where Debian puts JDKs."""

_PATIENCE_SECONDS = 300


def run(*words: str | Path | Sequence[str | Path]) -> str:
    """Runs a program; returns its standard output.

    Args:
        words: the program, then its arguments; lists of them are joined.

    Raises:
        FileNotFoundError: it is not installed; the message says how.
        OSError: it failed; quotes its first error, or its last line.
    """
    command: list[str] = []
    for word in words:
        parts = [word] if isinstance(word, str | Path) else word
        command += [str(part) for part in parts]
    name = command[0]
    if shutil.which(name) is None:
        package = PACKAGES.get(name, name)
        raise FileNotFoundError(
            f"{name} is missing. Install it: apt-get install {package}"
        )
    result = _completed(command)
    if result.returncode:
        lines = [x for x in (result.stderr + result.stdout).splitlines() if x]
        errors = [line for line in lines if "error" in line.lower()]
        message = (errors or lines[-1:] or [f"status {result.returncode}"])[0]
        raise OSError(f"{name} failed: {message.strip()[:300]}")
    return result.stdout


def output(command: list[str]) -> str:
    """All that a program prints, whatever its exit status.

    Raises:
        OSError: it is missing, or does not end.
    """
    result = _completed(command)
    return result.stdout + result.stderr


def _completed(command: list[str]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise OSError(
            f"{command[0]} did not end within {_PATIENCE_SECONDS} s"
        ) from None


def jdk(least: int) -> Path:
    """Folder of a JDK of that version or a later one.

    Looked for in JAVA_HOME and where Debian puts them; the latest is taken.

    Raises:
        FileNotFoundError: there is none; the message says how to get one.
    """
    homes = [Path(home) for home in [os.environ.get("JAVA_HOME")] if home]
    homes += JDKS.glob("*")
    versions = {
        home: _java_version(home)
        for home in homes
        if (home / "bin" / "javac").is_file()
    }
    home = max(versions, key=versions.__getitem__, default=None)
    if home is None or versions[home] < least:
        raise FileNotFoundError(
            f"Java {least} or later is missing. Install a JDK of it below "
            f"{JDKS}, or name its folder in JAVA_HOME."
        )
    return home


def _java_version(home: Path) -> int:
    """Of a JDK, by the file that each has; 0 if it says none."""
    try:
        text = (home / "release").read_text("utf-8", errors="replace")
    except OSError:
        return 0
    match = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def framework() -> Path:
    """The path of Android's resources.

    Raises:
        FileNotFoundError: they are not installed; the message says how.
    """
    if not FRAMEWORK.is_file():
        raise FileNotFoundError(
            f"{FRAMEWORK} is missing. Install it: apt-get install "
            "android-framework-res"
        )
    return FRAMEWORK


def check() -> None:
    """Refuses a machine on which the app cannot be built.

    Raises:
        FileNotFoundError: names Debian's packages that are missing.
    """
    absent = missing()
    if absent:
        raise FileNotFoundError(
            f"The app needs Debian's packages {', '.join(absent)}: apt-get "
            f"install {' '.join(absent)}"
        )


def missing() -> list[str]:
    """Debian's packages that are needed and not installed."""
    absent = {
        package
        for name, package in PACKAGES.items()
        if shutil.which(name) is None
    }
    if not FRAMEWORK.is_file():
        absent.add("android-framework-res")
    if shutil.which("mvn") is None:
        absent.add("maven")
    return sorted(absent)
