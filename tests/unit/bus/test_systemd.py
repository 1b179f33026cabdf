"""One datagram to systemd, and never any trouble from it."""

import os
import socket
from pathlib import Path

from supervisor.bus.systemd import notify
from tests.support.house import short_folder


def listen(address: str) -> socket.socket:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(address)
    heard.settimeout(1)
    return heard


def test_a_state_arrives_at_a_path_and_at_an_abstract_name() -> None:
    with short_folder() as folder, listen(str(folder / "n")) as heard:
        assert notify("READY=1\nSTATUS=watching", {"NOTIFY_SOCKET": str(folder / "n")})
        assert heard.recv(100) == b"READY=1\nSTATUS=watching"
    name = f"resurgam-test-{os.getpid()}"
    with listen("\0" + name) as heard:
        assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": "@" + name})
        assert heard.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    for address in ("", "relative", str(tmp_path / "nobody"), "/" + "x" * 300):
        assert not notify("READY=1", {"NOTIFY_SOCKET": address})
