"""Unpacks Debian packages into a folder, without root or installing them.

apt-get works in a folder of its own: with its own lists, its own archive and an
empty list of installed packages, so that it fetches all dependencies of a
package. Downloads are kept and not repeated.
"""

import os
import subprocess
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("bookworm", "bookworm-backports")
ARCHITECTURES = ("amd64", "arm64")

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "targets"
"""Folder that targets are built in; git ignores it."""

_CONFIG = """\
Dir "{folder}";
Dir::State "state";
Dir::State::status "{folder}/state/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::sourceparts "-";
APT::Architectures {{ {architectures} }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def fetch(names: list[str], architecture: str = "") -> list[Path]:
    """Downloads packages and their dependencies.

    Args:
        names: names of packages; "name/suite" if not in SUITES[0].
        architecture: such as "arm64"; "" for this machine's.

    Returns:
        The .deb files, including the C library's.

    Raises:
        ValueError: apt-get is missing, or failed; quotes its errors.
    """
    arguments = [f"-oAPT::Architecture={architecture}"] if architecture else []
    arguments += ["--yes", "install", *names]
    config = _configured()
    try:
        _apt(config, "--download-only", *arguments)
    except ValueError:  # The lists may be outdated: read them again.
        (config.parent / "updated").unlink()
        _apt(_configured(), "--download-only", *arguments)
    # apt-get names only missing files: an empty archive makes it name all.
    empty_archive = "-oDir::Cache::archives=etc"
    listing = _apt(config, "--print-uris", empty_archive, *arguments)
    lines = [line for line in listing.splitlines() if line.startswith("'")]
    archives = config.parent / "cache" / "archives"
    return [archives / line.split()[1] for line in lines]


def unpack(package: Path, folder: Path, member: str = "") -> None:
    """Extracts a .deb, or only its path `member`, into a folder.

    Raises:
        ValueError: dpkg or tar failed; quotes its errors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not member:
        run(["dpkg", "-x", package, folder])
        return
    listing = subprocess.Popen(
        ["dpkg", "--fsys-tarfile", package], stdout=subprocess.PIPE
    )
    run(["tar", "-x", "-C", folder, member], stdin=listing.stdout)
    listing.stdout.close()
    listing.wait()


def run(command: list, **options) -> str:
    """Runs a command; returns its standard output.

    Raises:
        ValueError: the command is missing, or failed; quotes its errors or its
            last line.
    """
    command = [str(word) for word in command]
    # On some systems PATH has /sbin only for root.
    options.setdefault("env", dict(os.environ))
    options["env"]["PATH"] += os.pathsep + "/sbin"
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, **options
        )
    except OSError as error:
        raise ValueError(f"{command[0]} cannot be run: {error}") from error
    if process.returncode:
        lines = process.stderr.split("\n") + process.stdout.split("\n")
        last_line = next((line for line in reversed(lines) if line.strip()), "")
        errors = [x for x in lines if x.startswith(("E:", "ERROR:"))]
        error_message = " ".join(errors) or last_line
        raise ValueError(
            f"{' '.join(command[:3])} ... failed ({process.returncode}): "
            f"{error_message}"
        )
    return process.stdout


def _apt(config: Path, *words: str) -> str:
    environment = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
    return run(["apt-get", *words], env=environment)


def _configured() -> Path:
    """Path of apt-get's configuration; reads the package lists if needed."""
    folder = BUILD / "apt"
    config = folder / "apt.conf"
    if (folder / "updated").is_file():
        return config
    mirror = _mirror()
    if not KEYS.is_file():
        raise ValueError(
            f"{KEYS} is missing: install the package debian-archive-keyring."
        )
    for path in ("state/lists/partial", "cache/archives/partial", "etc"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").touch()
    quoted = " ".join(f'"{name}";' for name in ARCHITECTURES)
    config.write_text(_CONFIG.format(folder=folder, architectures=quoted))
    (folder / "etc" / "sources.list").write_text(
        "".join(f"deb [signed-by={KEYS}] {mirror} {s} main\n" for s in SUITES)
    )
    print(f"Reading Debian's lists of packages from {mirror}", flush=True)
    _apt(config, "update", "--error-on=any")
    (folder / "updated").touch()
    return config


def _mirror() -> str:
    """Address of a Debian mirror: DEBIAN_MIRROR, or this system's."""
    named = os.environ.get("DEBIAN_MIRROR")
    if named:
        return named
    form = "$(ORIGIN) $(REPO_URI)"
    listing = run(["apt-get", "indextargets", "--format", form])
    uris = [line.split()[-1] for line in listing.splitlines()]
    debian = [
        uri
        for uri, line in zip(uris, listing.splitlines(), strict=True)
        if line.split()[0] == "Debian" and "security" not in uri
    ]
    if not debian:
        raise ValueError(
            "This system's apt-get knows no mirror of Debian (it is another "
            "distribution, or wants `apt-get update`). Name one: "
            "DEBIAN_MIRROR=http://.../debian make ..."
        )
    return debian[0]
