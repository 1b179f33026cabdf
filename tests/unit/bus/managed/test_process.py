"""What the managed broker refuses to start, and which port it takes: with programs of a few lines."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from supervisor.bus.managed import Mosquitto
from supervisor.bus.managed.alive import started_with
from supervisor.bus.managed.files import sign, take
from supervisor.clock import SystemClock
from supervisor.errors import BrokerError


def program(folder: Path, version: str) -> str:
    file = folder / "mosquitto"
    file.write_text(f'#!/bin/sh\n[ "$1" = -h ] && echo "mosquitto version {version}"\nexit 3\n')
    file.chmod(0o755)
    return str(file)


def prepared(ours: Mosquitto) -> list[str]:
    async def prepare() -> list[str]:
        ours.folder.mkdir(exist_ok=True)
        lock = take(ours.folder / "lock")
        assert lock is not None
        try:
            return await ours.prepare(lock, "daemon")
        finally:
            os.close(lock)

    return asyncio.run(prepare())


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.6.12", "is version 1.6; install mosquitto 2.0 or later"), ("3.0.1", "plugins .* are not installed")],
)
def test_a_mosquitto_that_cannot_be_configured_is_refused_in_words(version: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=words):
        prepared(Mosquitto(program(tmp_path, version), tmp_path, SystemClock(), port=0))


@pytest.mark.parametrize("version", ["2.0.11", "2.1.2"])
def test_those_of_today_are_configured(version: str, tmp_path: Path) -> None:
    ours = Mosquitto(program(tmp_path, version), tmp_path, SystemClock(), port=0)
    words = prepared(ours)
    assert words[1:] == ["-c", str(tmp_path / "bus" / "mosquitto.conf")]
    text = (tmp_path / "bus" / "mosquitto.conf").read_text()
    assert f"listener {ours.port} 127.0.0.1\n" in text
    assert "acl_file" in text
    assert ours.owner == "daemon"


def test_a_port_that_is_taken_is_left_and_the_one_before_is_kept(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ours = Mosquitto(program(tmp_path, "2.0.11"), tmp_path, SystemClock(), port=taken)
        prepared(ours)
        first = ours.port
        assert first not in (0, taken)
        again = Mosquitto(program(tmp_path, "2.0.11"), tmp_path, SystemClock(), port=taken)
        prepared(again)
        assert again.port == first
    prepared(again)
    assert again.port == taken


def test_a_process_that_is_not_ours_is_never_taken_for_the_broker(tmp_path: Path) -> None:
    ours = Mosquitto("mosquitto", tmp_path, SystemClock())
    ours.folder.mkdir()
    for pid in ("1", "0", "-1", "nonsense", "99999999", str(Path("/proc/self").resolve().name)):
        (ours.folder / "mosquitto.pid").write_text(pid)
        assert ours.pid == 0
        assert ours.hang_up() is False
    assert started_with(1, "-c") is False


def test_who_holds_the_lock_stands_in_it(tmp_path: Path) -> None:
    ours = Mosquitto("mosquitto", tmp_path, SystemClock())
    assert ours.owner == ""
    ours.folder.mkdir()
    lock = take(ours.folder / "lock")
    assert lock is not None
    sign(lock, "service")
    sign(lock, "daemon")
    os.close(lock)
    assert ours.owner == "daemon"


def test_a_broker_that_runs_already_learns_of_users_that_the_settings_name_since(tmp_path: Path) -> None:
    prepared(Mosquitto(program(tmp_path, "2.0.11"), tmp_path, SystemClock(), port=0, commanders=("desk",)))
    told = []

    class Running(Mosquitto):
        async def answers(self) -> bool:
            return True

        def hang_up(self) -> bool:
            told.append((self.folder / "passwords").read_text())
            return True

    ours = Running("mosquitto", tmp_path, SystemClock(), commanders=("phone",))
    asyncio.run(ours.ensure())
    asyncio.run(ours.ensure())
    assert [line.partition(":")[0] for line in told[0].splitlines()] == ["resurgam", "listener", "phone"]
    assert (tmp_path / "bus" / "phone.password").read_text().strip()
    assert len(told) == 1
    asyncio.run(Running("mosquitto", tmp_path, SystemClock(), commanders=("phone",)).ensure())
    assert len(told) == 1  # nothing changed: nobody is disturbed
