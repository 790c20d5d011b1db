"""Debian packages unpacked into a folder: no root, nothing is installed.

apt-get works here in a folder of its own: with its own lists, its own archive
and the idea that nothing is installed, so that it fetches all that a package
needs. What was fetched stays, and is not fetched again.
"""

import os
import subprocess
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("bookworm", "bookworm-backports")
ARCHITECTURES = ("amd64", "arm64")

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "targets"
"""Where targets are made; git ignores it."""

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
    """Downloads packages and all that they need.

    Args:
        names: of packages; "name/suite" for one that is not in SUITES[0].
        architecture: as "arm64"; this machine's where it is empty.

    Returns:
        The .deb files, with those of the C library.

    Raises:
        ValueError: there is no apt-get, or it failed; says why.
    """
    words = [f"-oAPT::Architecture={architecture}"] if architecture else []
    words += ["--yes", "install", *names]
    config = _configured()
    try:
        _apt(config, "--download-only", *words)
    except ValueError:  # Perhaps there are newer ones by now: read the lists.
        (config.parent / "updated").unlink()
        _apt(_configured(), "--download-only", *words)
    # It names what is not there yet: so let there be nothing.
    nothing = "-oDir::Cache::archives=etc"
    told = _apt(config, "--print-uris", nothing, *words)
    lines = [line for line in told.splitlines() if line.startswith("'")]
    archives = config.parent / "cache" / "archives"
    return [archives / line.split()[1] for line in lines]


def unpack(package: Path, into: Path, only: str = "") -> None:
    """Puts the files of a .deb, or `only` one path of them, into a folder.

    Raises:
        ValueError: dpkg or tar failed; says why.
    """
    into.mkdir(parents=True, exist_ok=True)
    if not only:
        run(["dpkg", "-x", package, into])
        return
    listing = subprocess.Popen(
        ["dpkg", "--fsys-tarfile", package], stdout=subprocess.PIPE
    )
    run(["tar", "-x", "-C", into, only], stdin=listing.stdout)
    listing.stdout.close()
    listing.wait()


def run(command: list, **options) -> str:
    """What a command prints; its last line of errors where it fails.

    Raises:
        ValueError: the command is not there, or failed.
    """
    command = [str(word) for word in command]
    # Some systems keep these from those who are not root.
    options.setdefault("env", dict(os.environ))
    options["env"]["PATH"] += os.pathsep + "/sbin"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, **options
        )
    except OSError as error:
        raise ValueError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        lines = done.stderr.split("\n") + done.stdout.split("\n")
        why = next((x for x in reversed(lines) if x.strip()), "")
        faults = [x for x in lines if x.startswith(("E:", "ERROR:"))]
        why = " ".join(faults) or why
        raise ValueError(
            f"{' '.join(command[:3])} ... failed ({done.returncode}): {why}"
        )
    return done.stdout


def _apt(config: Path, *words: str) -> str:
    environment = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
    return run(["apt-get", *words], env=environment)


def _configured() -> Path:
    """apt-get's configuration in a folder of its own, lists up to date."""
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
    """Debian's address: DEBIAN_MIRROR, or where this system has it from."""
    named = os.environ.get("DEBIAN_MIRROR")
    if named:
        return named
    form = "$(ORIGIN) $(REPO_URI)"
    told = run(["apt-get", "indextargets", "--format", form])
    found = [line.split()[-1] for line in told.splitlines()]
    debian = [
        uri
        for uri, line in zip(found, told.splitlines(), strict=True)
        if line.split()[0] == "Debian" and "security" not in uri
    ]
    if not debian:
        raise ValueError(
            "This system's apt-get knows no mirror of Debian (it is another "
            "distribution, or wants `apt-get update`). Name one: "
            "DEBIAN_MIRROR=http://.../debian make ..."
        )
    return debian[0]
