"""The kernel's own word on memory as a whole: each source stands or falls alone, and nothing stays open."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

from supervisor.facts import Container
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.memory.edges import Edges, Paths
from supervisor.signals.memory.kills import Events
from supervisor.signals.memory.sources import AGAIN
from tests.support.memory_news import OWN, Heard, second, soon

NOWHERE = Paths("/proc/none/memory", "/proc/none/swaps", "/proc/none/kmsg", "/proc/none")


@contextlib.asynccontextmanager
async def running(edges: Edges) -> AsyncIterator[None]:
    task = asyncio.create_task(edges.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def said(edges: Edges, name: str) -> str:
    return next(one.text for one in edges.sources() if one.name == name)


async def test_without_anything_every_source_says_why(heard: Heard) -> None:
    edges = Edges(heard.submit, heard.clock, heard.wake, tuple, paths=NOWHERE)
    assert [one.name for one in edges.sources()] == ["pressure", "thresholds", "events", "swaps", "kernel-log"]
    async with running(edges):
        live = {one.name: one.live for one in edges.sources()}
        assert live == {"pressure": False, "thresholds": False, "events": True, "swaps": False, "kernel-log": False}
        assert all(one.text.endswith(".") for one in edges.sources())
        assert heard.wakes == 1, "who is woken tells people how the sources are"
        edges.look()
        assert heard.wakes == 1, "once per change"
    assert edges.faults == 0


async def test_the_group_that_stands_for_the_machine_is_watched_once_it_is_there(heard: Heard, tmp_path: Path) -> None:
    paths = Paths("/proc/none/memory", "/proc/none/swaps", "/proc/none/kmsg", str(tmp_path))
    edges = Edges(heard.submit, heard.clock, heard.wake, tuple, group="/box", paths=paths)
    async with running(edges):
        assert edges._machine == {}
        (tmp_path / "box").mkdir()
        (tmp_path / "box" / "memory.current").write_text("5\n")
        edges.look()
        assert bool(edges._machine)
        events = next(one for one in edges._sources if isinstance(one, Events))
        assert events.watches == {}, "it counts what its containers count"
        assert "0 containers" in events.source().text


async def test_one_that_breaks_takes_no_other_down(heard: Heard) -> None:
    class Broken(KernelFiles):
        def exists(self, path: str) -> bool:
            raise RuntimeError("no such thing")

    edges = Edges(heard.submit, heard.clock, heard.wake, tuple, tree=Broken(), paths=NOWHERE)
    async with running(edges):
        found = {one.name: one for one in edges.sources()}
        assert edges.faults == 1
        assert "RuntimeError: no such thing" in found["thresholds"].text
        edges.look()
        assert edges.faults == 1, "it is tried again slowly"
        heard.clock.advance(AGAIN)
        edges.look()
        assert edges.faults == 2
        assert found["events"].live


async def test_a_container_that_came_is_armed_at_once_and_other_news_of_containers_cost_no_look(heard: Heard) -> None:
    there: list[Container] = []
    looks: list[int] = []

    class Kernel(KernelFiles):
        def read(self, path: str) -> bytes:
            looks.append(len(there))
            return super().read(path)

    edges = Edges(heard.submit, heard.clock, heard.wake, lambda: there, tree=Kernel(), paths=NOWHERE)
    async with running(edges):
        there.append(Container(OWN, "one", "", "", pid=7, status="running"))
        edges.changed()
        await soon(lambda: looks == [1])
        there[0] = replace(there[0], name="renamed")
        edges.changed()
        for _ in range(10):
            await asyncio.sleep(0)
        heard.clock.advance(AGAIN)
        there.append(Container("b2" * 32, "two", "", "", pid=8, status="running"))
        edges.changed()
        await soon(lambda: looks == [1, 2, 2])


async def test_a_container_that_came_is_read_at_once_and_many_that_come_once_a_second(heard: Heard) -> None:
    class Kernel(KernelFiles):
        """Every process is in a container's group of version 1, of which nothing can be watched."""

        def read(self, path: str) -> bytes:
            return f"4:memory:/docker/{path.split('/')[2]:0>64}\n".encode()

        def exists(self, path: str) -> bool:
            return path.endswith("memory.usage_in_bytes")

    there: list[Container] = []
    edges = Edges(heard.submit, heard.clock, heard.wake, lambda: there, tree=Kernel(), paths=NOWHERE)
    edges._sources = ()
    edges.look()
    assert heard.wakes == 0
    for pid in range(1, 101):
        there.append(Container(f"{pid:0>64}", "", "", "", pid=pid, status="running"))
        edges.look()
        assert heard.wakes > 0, "the first one at once"
        heard.clock.advance(0.1)
    assert len(edges._groups) == 100
    assert 9 <= heard.wakes <= 11, "each is read within a second"
    heard.clock.advance(5.0)
    edges.look()
    edges.look()
    assert heard.wakes <= 12


async def test_a_listener_of_the_log_that_fails_is_counted(heard: Heard) -> None:
    edges = Edges(heard.submit, heard.clock, heard.wake, tuple, paths=NOWHERE)
    edges.log.faults = 3
    assert edges.faults == 3


async def test_containers_come_and_go_and_nothing_stays_open(heard: Heard, tmp_path: Path) -> None:
    place = second(tmp_path)
    (tmp_path / "memory.current").write_text("5\n")
    (tmp_path / "cgroup.events").write_text("populated 1\n")

    class Kernel(KernelFiles):
        """A group at its place below /sys/fs/cgroup, and its process."""

        def read(self, path: str) -> bytes:
            return f"0::/docker/{OWN}\n".encode() if path == "/proc/7/cgroup" else super().read(self._real(path))

        def exists(self, path: str) -> bool:
            return path == "/sys/fs/cgroup/cgroup.controllers" or super().exists(self._real(path))

        def forget(self, prefixes: Iterable[str]) -> None:
            super().forget([self._real(one) for one in prefixes])

        @staticmethod
        def _real(path: str) -> str:
            return path.replace(f"/sys/fs/cgroup/docker/{OWN}", place.memory)

    before = len(os.listdir("/proc/self/fd"))
    there: list[Container] = []
    tree = Kernel()
    edges = Edges(heard.submit, heard.clock, heard.wake, lambda: there, tree=tree, paths=NOWHERE)
    async with running(edges):
        there.append(Container(OWN, "one", "", "", pid=7, status="running"))
        there.append(Container("b2" * 32, "stopped", "", ""))
        edges.changed()
        await soon(lambda: f"There is no /sys/fs/cgroup/docker/{OWN}/memory.events." == said(edges, "events"))
        there.clear()
        edges.changed()
        await soon(lambda: "; 0 containers." in said(edges, "events"))
        assert len(os.listdir("/proc/self/fd")) == before + 1, "only the one inotify of all"
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before
