"""Stand-ins for tests of the memory sources: who is told, and control groups in a folder."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Fact, OomSeen
from supervisor.kernel import watches
from supervisor.kernel.groups import Place
from supervisor.signals.memory.sources import Key

OWN = "a1" * 32
KEY = Key(OWN, 7)


class Heard:
    """What a source told."""

    def __init__(self) -> None:
        self.clock = ManualClock(mono=1000.0)
        self.facts: list[Fact] = []
        self.wakes = 0
        self._bell = asyncio.Event()

    def submit(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._bell.set()

    def wake(self) -> None:
        self.wakes += 1
        self._bell.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not true():
                self._bell.clear()
                await self._bell.wait()

        await asyncio.wait_for(wait(), 60)

    @property
    def ooms(self) -> list[tuple[str, str, int, str]]:
        """(source, container, kills, constraint) of each."""
        found = [one for one in self.facts if isinstance(one, OomSeen)]
        return [(one.source, one.container_id, one.kills, one.constraint) for one in found]


async def soon(true: Callable[[], bool]) -> None:
    """Let the loop work until it is so."""

    async def wait() -> None:
        while not true():
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), 60)


class First:
    """A version 1 group in a folder. What the kernel would do with an eventfd, the test does by hand."""

    def __init__(self, folder: Path, limit: int = 1000) -> None:
        self.folder = folder
        self.place = Place(str(folder), "", "", "", 1)
        self.says(limit=limit, usage=0)
        self.counts()
        os.mkfifo(folder / "cgroup.event_control")
        self._ear = os.open(folder / "cgroup.event_control", os.O_RDONLY | os.O_NONBLOCK)

    def says(self, **values: int) -> None:
        for name, value in values.items():
            (self.folder / f"memory.{name}_in_bytes").write_text(f"{value}\n")

    def counts(self, disable: int = 0, under: int = 0, kills: int = 0) -> None:
        text = f"oom_kill_disable {disable}\nunder_oom {under}\noom_kill {kills}\n"
        (self.folder / "memory.oom_control").write_text(text)

    def asked(self) -> list[list[int]]:
        """[eventfd, file, argument …] of each registration since the last call."""
        try:
            raw = os.read(self._ear, 4096)
        except BlockingIOError:
            return []
        return [[int(word) for word in line.split()] for line in raw.decode().splitlines()]

    def gone(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()

    def close(self) -> None:
        os.close(self._ear)


def first_group(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[First]:
    """A version 1 group whose `cgroup.event_control` is a pipe."""

    def write(path: str, data: bytes) -> None:
        """A pipe keeps no bounds between writes."""
        number = os.open(path, os.O_WRONLY)
        os.write(number, data + b"\n")
        os.close(number)

    monkeypatch.setattr(watches, "_write", write)
    made = First(folder)
    yield made
    made.close()


def second(folder: Path, **values: int) -> Place:
    """A version 2 group that counts this."""
    words = {"low": 0, "high": 0, "max": 0, "oom": 0, "oom_kill": 0} | values
    (folder / "memory.events").write_text("".join(f"{name} {value}\n" for name, value in words.items()))
    return Place(str(folder), "", str(folder), str(folder), 2)
