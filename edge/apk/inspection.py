"""Reads what an .apk holds: for the tests, and for whoever is in doubt."""

import os
import re
import sys
import zipfile
from pathlib import Path

from edge.apk import tools

ENJARIFY = Path("/usr/lib/python3/dist-packages")
"""Where Debian's enjarify is: its own launcher may take another Python."""

_CALL = re.compile(
    r"(?:invoke-\S+|[is](?:get|put)\S*) .*?(\S+);\.([^:\s]+):(\S+) //"
)


def to_jar(apk: Path, out: Path) -> None:
    """Turns the dex of an .apk back to classes, which a JVM runs.

    Raises:
        FileNotFoundError: enjarify is not installed; the message says how.
        OSError: it failed.
    """
    if not (ENJARIFY / "enjarify").is_dir():
        raise FileNotFoundError(
            "enjarify is missing. Install it: apt-get install enjarify"
        )
    path = os.environ.get("PYTHONPATH", "")
    tools.run(
        *("env", f"PYTHONPATH={ENJARIFY}:{path}", sys.executable, "-m"),
        *("enjarify.main", apk, "-o", out, "-f"),
    )


def references(apk: Path, work: Path) -> list[str]:
    """Methods and fields that the code of an .apk names.

    Args:
        apk: the app.
        work: folder for its dex.

    Returns:
        "class name descriptor" of each, sorted; calls of arrays are left out.
    """
    lines = set()
    for match in _CALL.finditer(_disassembled(apk, work)):
        owner, name, descriptor = match.groups()
        if owner.startswith("L"):  # Arrays have methods of their own.
            owner = owner[1:].replace("/", ".")
            lines.add(f"{owner} {name} {descriptor}")
    return sorted(lines)


def dynamic_calls(apk: Path, work: Path) -> int:
    """The number of invokedynamic calls, which phones of Android 7 lack."""
    text = _disassembled(apk, work)
    return len(re.findall(r"invoke-(?:custom|polymorphic)", text))


def _disassembled(apk: Path, work: Path) -> str:
    with zipfile.ZipFile(apk) as archive:
        dex = Path(archive.extract("classes.dex", work))
    return tools.run("dexdump", "-d", dex)
