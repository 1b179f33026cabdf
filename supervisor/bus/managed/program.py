"""The mosquitto program: where it is, and which version.

In: PATH, the usual places, and what `mosquitto -h` says. Out: a path, and (major, minor) for configuration.py.
"""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin", "/opt/local/sbin")
LIBRARIES = ("lib", "lib64", "lib/mosquitto", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
"""where packages put mosquitto's plugins, below the folder above the program's"""
ASK_LIMIT = 5.0
_VERSION = re.compile(r"mosquitto version (\d+)\.(\d+)")

Version = tuple[int, int]
UNKNOWN: Version = (2, 0)
"""what a program that does not tell is taken for"""


def find(path: str | None = None) -> str:
    """The mosquitto program: in PATH, else where packages put it; '' if there is none."""
    return shutil.which("mosquitto", path=path) or next(
        (found for place in PLACES if (found := shutil.which("mosquitto", path=place))), ""
    )


async def version_of(program: str) -> Version:
    """(major, minor) of the program; UNKNOWN where it does not tell within 5 s."""
    try:
        asked = await asyncio.create_subprocess_exec(
            program, "-h", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError:
        return UNKNOWN
    try:
        said, _ = await asyncio.wait_for(asked.communicate(), ASK_LIMIT)
    except TimeoutError:
        asked.kill()
        await asked.wait()
        return UNKNOWN
    return read_version(said.decode("utf-8", "replace"))


def read_version(text: str) -> Version:
    """(major, minor) in what `mosquitto -h` printed; UNKNOWN where none stands there."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else UNKNOWN


def plugin(program: str, name: str) -> str:
    """The path of one of mosquitto's own plugins, '' where it is not installed."""
    above = Path(program).resolve().parent.parent
    roots = dict.fromkeys((above, Path("/usr"), Path("/usr/local"), Path("/opt/homebrew")))
    places = (root / library / f"mosquitto_{name}.so" for root in roots for library in LIBRARIES)
    return next((str(place) for place in places if place.is_file()), "")
