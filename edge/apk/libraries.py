"""Libraries of the app, from Maven Central by way of mvn.

They lie in the folder `android` of the user's cache (TF_HMR_CACHE), and are
downloaded once.
"""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tf_hmr import landmark_files
from tf_hmr.formats import atomic

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_PATIENCE_SECONDS = 600


class Library(NamedTuple):
    """A file of Maven Central.

    Attributes:
        coordinates: group:artifact:version[:packaging[:classifier]].
        sha256: of the file.
    """

    coordinates: str
    sha256: str

    @property
    def name(self) -> str:
        """Of the file, as mvn calls it."""
        words = self.coordinates.split(":")
        suffix = words[3] if len(words) > 3 else "jar"
        return "-".join([words[1], words[2], *words[4:]]) + "." + suffix


RUNTIME = (
    Library(
        "org.tensorflow:tensorflow-lite:2.16.1:aar",
        "34b065817e294e7dd3569504e8b9454938ceae453b6a459da54d5f6e45d3c94e",
    ),
    Library(
        "org.tensorflow:tensorflow-lite-api:2.16.1:aar",
        "885b95bc9e47a4aa5cf8e71523aed9b05e397cfef1ea09773f13fea8b649fcee",
    ),
    Library(
        "org.tensorflow:tensorflow-lite-gpu:2.16.1:aar",
        "4440e44d295e0e13964d4fe9d9e8c3d2c3f870b92fcb7b945e45036acdfcd459",
    ),
    # The last that Central has: 2.16.1 was never put there.
    Library(
        "org.tensorflow:tensorflow-lite-gpu-api:2.14.0:aar",
        "3e7cece2c5eaaf05f93d0399e7d86eee83bd818b037965cbe52291223acae286",
    ),
)
"""What the app contains: classes, and natives of phones."""

PLATFORM = Library(
    "org.robolectric:android-all:14-robolectric-10818077",
    "6be2218c6a53fe3c57bc22ebdc723edcb7270a8a6f187545708aa5c0ed813977",
)
"""Android 14, which the app is compiled against. Later ones need a Java later
than Debian's."""

OLDEST_PLATFORM = Library(
    "org.robolectric:android-all:7.0.0_r1-robolectric-r1",
    "567bfa3cd3a8c9c5ca736bd86b3f90ff4d6a7ba333b9cfea6ff7d81924f90ce9",
)
"""Android 7, the oldest that the app runs on: what it calls is looked up."""

DX = Library(
    "com.jakewharton.android.repackaged:dalvik-dx:16.0.1",
    "1e4b645628e3bdb097b5331d669e177ef235a551582a8c646dbe36865e541907",
)
"""Turns classes into a phone's bytecode."""

DESKTOP = tuple(
    Library(f"org.bytedeco:{coordinates}", sha256)
    for coordinates, sha256 in (
        (
            "tensorflow-lite:2.19.0-1.5.12",
            "5c4ff7db40a94c44e111ff4245681f0f2170886b0e11000b9e4228978f4090d2",
        ),
        (
            "tensorflow-lite:2.19.0-1.5.12:jar:linux-x86_64",
            "5c02ff25114b4f69d0b79473135f3bb731f8ff4dd5cc5e1d0595e501c867071a",
        ),
        (
            "javacpp:1.5.12",
            "898f636c1fcb092c3810587ed847b033946799bb56eefec9d4c088a780bf36fe",
        ),
        (
            "javacpp:1.5.12:jar:linux-x86_64",
            "b20c8f1b5da22b0015faad73500130c53544757eab0c5945c8bcdc1fac050714",
        ),
    )
)
"""TensorFlow Lite of a desktop's JVM, for tests."""


def folder() -> Path:
    """The folder of the libraries in the user's cache; it may not exist."""
    return landmark_files.folder().parent / "android"


def fetch(library: Library) -> Path:
    """The path of a library, which is downloaded if it is not there.

    Raises:
        FileNotFoundError: there is no mvn; the message says what to install.
        OSError: mvn failed; quotes its last error.
        ValueError: the file is not the one that it was.
    """
    path = folder() / library.name
    if not path.is_file():
        with _alone():
            if not path.is_file():  # Another process may have got it.
                _download(library, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != library.sha256:
        raise ValueError(
            f"{path} is damaged or altered: its sha256 is {digest}, expected "
            f"{library.sha256}. Remove it; the next call gets it again."
        )
    return path


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Waits until no other process downloads: Maven's folders are shared."""
    folder().mkdir(parents=True, exist_ok=True)
    with open(folder().with_name("android.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(library: Library, path: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise FileNotFoundError(
            f"{path} is missing and there is no mvn to get it by. Install "
            "Maven: apt-get install maven"
        )
    print(f"Downloading {library.coordinates} by mvn ...", flush=True)
    part = path.parent / f"{path.name}.part"
    command = [maven, "--quiet", "--batch-mode", _PLUGIN]
    command += [f"-Dartifact={library.coordinates}"]
    command += [f"-DoutputDirectory={part}"]
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise OSError(
            f"mvn did not answer for {_PATIENCE_SECONDS} s about "
            f"{library.coordinates}. Is there a network?"
        ) from None
    made = part / path.name
    if result.returncode or not made.is_file():
        lines = (result.stdout + result.stderr).splitlines()
        errors = [line for line in lines if "ERROR" in line] or [""]
        raise OSError(f"mvn failed: {errors[0].strip()[:300]}")
    atomic.rename(made, path)
    shutil.rmtree(part)
