"""What a mosquitto of ours is told: its configuration and its access list, as text. Pure.

In: where its files are, which version it is, where it listens, who its users are. Out: the two files that files.py
writes. Everything here holds for mosquitto 2.0 and 2.1; from 3.0 on passwords and access list are plugins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supervisor.bus.managed.program import UNKNOWN, Version
from supervisor.bus.messages import BASE

US, READER = "resurgam", "listener"
OURS = (US, READER)
"""the users that are always there: ourselves, and one that only reads"""
OLDEST: Version = (2, 0)
"""before it there is no unix socket, and passwords are hashed in another way"""
PLUGINS_ONLY: Version = (3, 0)
"""2.1 warns of password_file and acl_file, 3.0 does without them"""
QUEUE = 10_000
"""messages kept for a subscriber that is away or slow; mosquitto's own 1000 cut off a wildcard over many documents"""
LARGEST = 1_048_576
"""bytes of a message"""
QUEUE_SIZE, MEMORY = 67_108_864, 268_435_456
"""bytes that are kept for one such subscriber, and bytes the broker takes in all, which bounds its file, too: whoever
may write anywhere must not fill the memory and the disk of the machine"""
GUESTS = 200
"""connections at the gateway, and twice as many on loopback: whoever holds sockets open there without a word must not
take the last file descriptor (a process has 1024 as a rule) and so keep ourselves out"""
READABLE = ("availability", "state/#", "event/#", "journal")
"""what everyone may read, below `resurgam/<host>/`"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, for one start of the broker."""

    folder: Path
    port: int
    """on 127.0.0.1, and on the gateway"""
    socket: Path | None
    """the unix socket; None where its path would be too long"""
    gateway: str = ""
    """the address of a container network on this machine, '' for none"""
    version: Version = UNKNOWN
    as_root: bool = False
    plugins: tuple[str, str] = ("", "")
    """the paths of the plugins for passwords and for the access list"""


def configuration(layout: Layout) -> str:
    """The text of mosquitto.conf."""
    where = layout.folder
    lines = [
        "# Written by resurgam at every start of this broker; changes are lost.",
        f"listener {layout.port} 127.0.0.1",
        f"max_connections {2 * GUESTS}",
        *([f"listener {layout.port} {layout.gateway}", f"max_connections {GUESTS}"] if layout.gateway else []),
        *([f"listener 0 {layout.socket}"] if layout.socket else []),
        # As root mosquitto becomes the user `mosquitto`, who may not read this folder.
        *(["user root"] if layout.as_root else []),
        "allow_anonymous false",
        *_doors(layout),
        "persistence true",
        f"persistence_location {where}/",
        # With these two nothing that was acknowledged more than a second ago is lost to a kill -9.
        "autosave_on_changes true",
        "autosave_interval 1",
        f"max_queued_messages {QUEUE}",
        f"max_queued_bytes {QUEUE_SIZE}",
        f"message_size_limit {LARGEST}",
        f"memory_limit {MEMORY}",
        "persistent_client_expiration 14d",
        f"pid_file {where / 'mosquitto.pid'}",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "connection_messages false",
    ]
    return "\n".join(lines) + "\n"


def _doors(layout: Layout) -> list[str]:
    passwords, access = layout.folder / "passwords", layout.folder / "access"
    if layout.version < PLUGINS_ONLY:
        return [f"password_file {passwords}", f"acl_file {access}"]
    return [
        f"global_plugin {layout.plugins[0]}",
        f"plugin_opt_password_file {passwords}",
        f"global_plugin {layout.plugins[1]}",
        f"plugin_opt_acl_file {access}",
    ]


def access(users: Sequence[str], prefix: str) -> str:
    """The access list: we do everything below `resurgam/` and Home Assistant's `prefix`; everyone else reads what we
    tell, commands under the own name and hears the answers, and says that Home Assistant is up."""
    parts = [
        f"user {US}\ntopic readwrite {BASE}/#\ntopic readwrite {prefix}/#\ntopic read $SYS/#\n",
    ]
    for user in users:
        if user == US:
            continue
        lines = [f"user {user}", *(f"topic read {BASE}/+/{what}" for what in READABLE), f"topic read {prefix}/#"]
        # a `deny` goes before the patterns below
        lines.append(f"topic deny {BASE}/+/cmd/#" if user == READER else f"topic write {prefix}/status")
        parts.append("\n".join(lines) + "\n")
    parts.append(f"pattern write {BASE}/+/cmd/%u/#\npattern read {BASE}/+/reply/%u/#\n")
    return "\n".join(parts)
