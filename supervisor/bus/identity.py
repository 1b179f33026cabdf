"""Who we are among many machines on one broker: a short word that no other daemon has.

In: the machine's own id (/etc/machine-id, on macOS the hardware's) and a word that was made once in the state folder,
so that two daemons on one box, and a cloned machine with a fresh state folder, differ. Out: 12 hex digits, the `node`.
It is in Home Assistant's ids and in the watermark on `resurgam/<host>/journal`, for everyone to read. The MQTT client
id is made of the same two, and not of the node: whoever connects under it throws us off the broker, without a last
will. The machine's id itself is never told: only hashes over both leave this file.
"""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from supervisor.clock import Clock

MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
INSTALL = "install-id"
"""the file in the state folder"""
LENGTH = 12
"""hex digits: `resurgam-` and these are the 21 bytes that an MQTT 3.1.1 broker must take as a client id"""
_IOREG = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
_UUID = re.compile(r'"IOPlatformUUID"\s*=\s*"([0-9A-Fa-f-]{16,64})"')


def node_of(state_dir: Path, clock: Clock) -> str:
    """The node id of the daemon with this state folder: the same over restarts, reboots and upgrades. Where neither
    the machine nor the folder can be asked, a new one each time."""
    machine, install = machine_id(), install_id(state_dir, clock)
    return node_from(machine, install) if machine or install else clock.token(LENGTH // 2)


def node_from(machine: str, install: str) -> str:
    """The node id of a machine's id and an installation's."""
    return _digits("node", machine, install)


def client_id(state_dir: Path, clock: Clock) -> str:
    """What we are called at the broker, where `mqtt.client_id` says nothing: as lasting as the node, and nothing that
    others read tells it."""
    machine, install = machine_id(), install_id(state_dir, clock)
    return f"resurgam-{_digits('client', machine, install) if machine or install else clock.token(LENGTH // 2)}"


def _digits(what: str, machine: str, install: str) -> str:
    return hashlib.sha256(f"resurgam {what}\0{machine}\0{install}".encode()).hexdigest()[:LENGTH]


def machine_id(files: tuple[Path, ...] = MACHINE_ID, platform: str = sys.platform) -> str:
    """The machine's own id, never to be told; '' where it has none. Never raises."""
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            found = file.read_text("ascii").strip()[:64]
            if found and found != "uninitialized":
                return found
    return _of_the_mac() if platform == "darwin" else ""


def _of_the_mac() -> str:
    try:
        said = subprocess.run(_IOREG, capture_output=True, timeout=5.0, check=False).stdout  # noqa: S603 - fixed argv
    except (OSError, subprocess.SubprocessError):
        return ""
    match = _UUID.search(said.decode("utf-8", "replace"))
    return match[1] if match else ""


def install_id(state_dir: Path, clock: Clock) -> str:
    """The word of this installation, made where there is none; '' where the folder cannot be written to. Two that
    make it at the same time agree."""
    file = state_dir / INSTALL
    with contextlib.suppress(OSError):
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: a link to a finished file either takes the name or finds it taken.
        mine = state_dir / f".{INSTALL}.{clock.token(4)}"
        if not _read(file):
            with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(clock.token(16) + "\n")
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(mine, file)
                if not _read(file):  # what stands there says nothing
                    os.replace(mine, file)
            finally:
                mine.unlink(missing_ok=True)
    return _read(file)


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()[:64]
    except (OSError, ValueError):
        return ""
