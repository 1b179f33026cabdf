"""What the kernel tells of memory by itself, from the real kernel about real containers: limits of 64 MiB and less.

A container grows only as far as a test lets it, so what comes first is a matter of cause and effect, never of time.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from supervisor.clock import SystemClock
from supervisor.facts import Container, Fact, MemorySource, OomSeen
from supervisor.kernel import pressure
from supervisor.kernel.groups import find
from supervisor.kernel.log import KernelLog
from supervisor.kernel.tree import KernelFiles
from supervisor.kernel.watches import IN_IGNORED, IN_MODIFY, Cannot, Inotify, Ready, Urgent, group_events
from supervisor.signals.memory.edges import Edges
from supervisor.signals.memory.kills import Events
from supervisor.signals.memory.levels import Pressure, Thresholds
from tests.support.images import import_busybox, remove_image

pytestmark = pytest.mark.real

PREFIX = f"rsgmem{os.getpid()}"
IMAGE = f"{PREFIX}/busybox:1"
MIB = 1 << 20
LIMIT = 64 * MIB
FIRST = Path("/sys/fs/cgroup/memory/memory.usage_in_bytes").exists()
"""the memory controller is version 1 here"""
GROW = """
BEGIN {
  while ((getline line < "/go/begin") <= 0) { close("/go/begin"); system("sleep 0.05") }
  for (i = 0; i < 56; i++) a[i] = sprintf("%1048000s", "x")
  while ((getline line < "/go/on") <= 0) { close("/go/on"); system("sleep 0.05") }
  for (;; i++) a[i] = sprintf("%1048000s", "x")
}
"""
"""once it may begin it takes 56 of 64 MiB, waits until it is let on, and then takes what there is"""
CHILD = ["sh", "-c", 'awk "$GROW"; echo ended; sleep 600']
THRASH = ["sh", "-c", "dd if=/dev/zero of=/tmp/f bs=1M count=48; while :; do cat /tmp/f > /dev/null; done"]


class Box:
    """Containers of this file, side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = docker.APIClient(version="auto")
        import_busybox(IMAGE, ['CMD ["sleep", "600"]'], self.api)

    def start(self, word: str, command: list[str], limit: int = LIMIT, **options: Any) -> str:
        (self.folder / word).mkdir()
        host = self.api.create_host_config(
            network_mode="none", mem_limit=limit, memswap_limit=limit, binds=[f"{self.folder / word}:/go"], **options
        )
        made = self.api.create_container(
            IMAGE, command, name=f"{PREFIX}-{word}", host_config=host, environment={"GROW": GROW}
        )
        self.api.start(made["Id"])
        return str(made["Id"])

    def tell(self, word: str, what: str) -> None:
        """begin | on"""
        draft = self.folder / word / "draft"
        draft.write_text("yes\n")
        draft.rename(self.folder / word / what)

    def container(self, container_id: str) -> Container:
        seen = self.api.inspect_container(container_id)
        pid = seen["State"]["Pid"]
        return Container(container_id, seen["Name"], "", "", status=seen["State"]["Status"], pid=pid)

    def remove(self, container_id: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.api.remove_container(container_id, force=True, v=True)

    def close(self) -> None:
        for row in self.api.containers(all=True, filters={"name": f"{PREFIX}-"}):
            self.remove(row["Id"])
        remove_image(IMAGE, self.api)
        self.api.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made = Box(tmp_path_factory.mktemp("go"))
    yield made
    made.close()


class Watched:
    """Edges that watch some containers, what they told, and how often they wanted the memory read."""

    def __init__(self, *containers: Container) -> None:
        self.containers = list(containers)
        self.facts: list[Fact] = []
        self.wakes = 0
        self.bell = asyncio.Event()
        self.edges = Edges(self.submit, SystemClock(), self.wake, lambda: self.containers)

    def submit(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.bell.set()

    def wake(self) -> None:
        self.wakes += 1
        self.bell.set()

    async def until(self, said: str, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not true():
                self.bell.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.bell.wait(), 0.05)

        try:
            await asyncio.wait_for(wait(), 90)
        except TimeoutError:
            raise AssertionError(f"{said}: {self.edges.sources()} {self.facts}") from None

    def source(self, name: str) -> MemorySource:
        return next(one for one in self.edges.sources() if one.name == name)

    def told(self, container_id: str, source: str) -> list[OomSeen]:
        return [
            fact
            for fact in self.facts
            if isinstance(fact, OomSeen) and fact.container_id == container_id and fact.source == source
        ]

    def watches(self) -> list[Ready]:
        """Every watch of a container."""
        kinds = [one for one in self.edges._sources if isinstance(one, Pressure | Thresholds | Events)]
        return [watch for kind in kinds for watch in kind.watches.values() if watch is not None]


def opened() -> list[str]:
    """The kernel's files that are open in this process."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    kernel = ("/proc/", "/sys/", "/dev/kmsg", "anon_inode:")
    return sorted(one for one in found if one.startswith(kernel) and one != f"/proc/{os.getpid()}/fd")


@contextlib.asynccontextmanager
async def watching(*containers: Container) -> AsyncIterator[Watched]:
    made = Watched(*containers)
    task = asyncio.create_task(made.edges.run())
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_child_that_is_killed_is_foreseen_and_named(box: Box) -> None:
    key = await asyncio.to_thread(box.start, "child", CHILD)
    seen = box.container(key)
    async with watching(seen) as watched:
        for name in ("pressure", "events", "swaps", "kernel-log", *(["thresholds"] if FIRST else [])):
            assert watched.source(name).live, watched.source(name)
        before = watched.wakes
        box.tell("child", "begin")
        if FIRST:
            await watched.until("no threshold was told of", lambda: watched.wakes > before)
        assert watched.told(key, "events") == []
        box.tell("child", "on")
        await watched.until("the kernel's log told of nothing", lambda: bool(watched.told(key, "kernel-log")))
        await watched.until("the group told of nothing", lambda: bool(watched.told(key, "events")))
        (line,) = watched.told(key, "kernel-log")
        (count,) = watched.told(key, "events")
    assert (line.constraint, line.kills, count.constraint, count.kills) == ("memcg", 1, "memcg", 1)
    assert key in line.limit_of
    assert line.process in ("awk", "busybox")
    assert line.pid != seen.pid
    assert abs(line.at - count.at) < 60
    assert box.container(key).running, "only a child of it was killed"


async def test_a_group_that_stands_at_its_limit_unkilled_is_told_of(box: Box) -> None:
    if not FIRST:
        return  # version 2 has no such switch
    key = await asyncio.to_thread(box.start, "still", CHILD, oom_kill_disable=True)
    async with watching(box.container(key)) as watched:
        box.tell("still", "begin")
        box.tell("still", "on")
        await watched.until("nothing was told", lambda: bool(watched.told(key, "events")))
        assert [(one.kills, one.constraint) for one in watched.told(key, "events")] == [(0, "memcg")]
        assert watched.told(key, "kernel-log") == []
    await asyncio.to_thread(box.remove, key)


async def test_a_container_that_thrashes_is_felt_though_version_1_counts_its_memory(box: Box) -> None:
    """Also on a machine with both versions: its empty group of version 2 measures pressure."""
    key = await asyncio.to_thread(box.start, "thrash", THRASH, 16 * MIB)
    place = find(KernelFiles(), box.container(key).pid, key)
    assert place is not None
    assert place.unified
    felt = asyncio.Event()
    armed = pressure.arm(f"{place.unified}/memory.pressure")
    assert not isinstance(armed, Cannot), armed

    def happened(number: int) -> bool:
        felt.set()
        return pressure.stalled(number) > 0

    lost: list[Cannot] = []
    watch = Urgent(armed.number, happened, lost.append)
    await asyncio.wait_for(felt.wait(), 90)
    calls = watch.calls
    await asyncio.to_thread(box.remove, key)
    watch.close()
    assert calls < 100, "it tells once per window"


async def test_the_group_of_a_container_that_ends_causes_no_storm(box: Box) -> None:
    before = opened()
    key = await asyncio.to_thread(box.start, "short", ["sleep", "600"])
    async with watching(box.container(key)) as watched:
        watches = watched.watches()
        assert len(watches) >= (3 if FIRST else 1)
        await asyncio.to_thread(box.remove, key)  # nobody tells us: the container is still in the list
        await watched.until("dead watches stay", lambda: not watched.watches())
        assert all(watch.calls <= 3 for watch in watches), [watch.calls for watch in watches]
        assert watched.told(key, "events") == []
        watched.containers.clear()
        watched.edges.changed()
    assert opened() == before, "what was opened is closed"


async def test_bare_groups_tell_once_when_they_are_removed() -> None:
    folders = [Path("/sys/fs/cgroup/memory", PREFIX), Path("/sys/fs/cgroup/unified", PREFIX)]
    if not FIRST:
        folders = [Path("/sys/fs/cgroup", PREFIX)]
    for folder in folders:
        folder.mkdir()
    lost: list[Cannot] = []
    bell = asyncio.Event()

    def gone(why: Cannot) -> None:
        lost.append(why)
        bell.set()

    def happened(number: int) -> bool:
        os.eventfd_read(number)
        os.stat(folders[0])
        return True

    armed = pressure.arm(f"{folders[-1]}/memory.pressure")
    assert not isinstance(armed, Cannot)
    watches: list[Ready] = [Urgent(armed.number, lambda number: pressure.stalled(number) >= 0, gone)]
    for file, levels in (("usage_in_bytes", ["1048576", "2097152"]), ("oom_control", [""])) if FIRST else ():
        made = group_events(str(folders[0]), f"memory.{file}", levels)
        assert isinstance(made, int), made
        watches.append(Ready(made, happened, gone))
    for folder in folders:
        folder.rmdir()
    while len(lost) < len(watches):
        bell.clear()
        await asyncio.wait_for(bell.wait(), 60)
    await asyncio.sleep(0.05)
    assert [watch.calls for watch in watches] == [1] * len(watches)


async def test_inotify_hears_what_a_group_of_version_2_counts() -> None:
    """By `cgroup.events`, which a group has without a memory controller, too; `memory.events` tells in the same way."""
    folder = Path("/sys/fs/cgroup/unified" if FIRST else "/sys/fs/cgroup", f"{PREFIX}-inotify")
    folder.mkdir()
    inotify, bell = Inotify(), asyncio.Event()
    heard: list[tuple[int, int]] = []

    def happened(_: int) -> bool:
        heard.extend(inotify.take())
        bell.set()
        return True

    watch = Ready(inotify.number, happened, lambda _: None)
    try:
        name = inotify.add(f"{folder}/cgroup.events")
        process = await asyncio.create_subprocess_exec("sleep", "600")
        (folder / "cgroup.procs").write_text(str(process.pid))
        await asyncio.wait_for(bell.wait(), 60)
        assert (name, IN_MODIFY) in heard
        process.kill()
        await process.wait()
    finally:
        while (folder / "cgroup.procs").read_text():
            await asyncio.sleep(0.01)
        folder.rmdir()
    inotify.remove(name)  # the kernel itself may say nothing about a group that is gone
    while (name, IN_IGNORED) not in heard:
        bell.clear()
        await asyncio.wait_for(bell.wait(), 60)
    watch.close()


async def test_the_trigger_that_we_may_set_is_set() -> None:
    granted = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    allowed = bool(int(granted.split()[1], 16) >> 24 & 1)  # CAP_SYS_RESOURCE
    armed = pressure.arm(pressure.MACHINE)
    assert not isinstance(armed, Cannot)
    assert armed.spec == pressure.LADDER[0 if allowed else -1]
    calls: list[int] = []
    watch = Urgent(armed.number, lambda number: bool(calls.append(number)), lambda _: None)
    await asyncio.sleep(0.2)
    assert watch.calls <= 2, "it is no busy loop"
    watch.close()


async def test_what_a_process_writes_into_the_log_is_not_believed() -> None:
    clock = SystemClock()
    found: list[bytes] = []
    log = KernelLog(clock)
    log.listen(lambda line: found.append(line.raw))
    assert log.open() is None
    victim = "f" * 64
    for text in (
        f"<4>oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/docker/{victim},"
        f"task_memcg=/docker/{victim},task={PREFIX[:15]},pid=1,uid=0",
        f"<3>Memory cgroup out of memory: Killed process 1 ({PREFIX[:15]}) total-vm:1kB, anon-rss:1kB",
    ):
        number = os.open("/dev/kmsg", os.O_WRONLY)
        os.write(number, f"{text}\n".encode())  # a line without an end is not shown yet
        os.close(number)
    for _ in range(6000):
        if log.foreign >= 2:
            break
        await asyncio.sleep(0.01)
    log.close()
    assert log.foreign >= 2
    assert not [one for one in found if PREFIX[:15].encode() in one]


async def test_swap_that_comes_and_goes_is_seen_at_once(tmp_path: Path) -> None:
    file = tmp_path / "swap"
    with file.open("wb") as out:
        for _ in range(64):
            out.write(bytes(MIB))
    file.chmod(0o600)
    subprocess.run(["mkswap", str(file)], check=True, capture_output=True)
    async with watching() as watched:
        assert watched.source("swaps").live
        before = watched.wakes
        on = subprocess.run(["swapon", str(file)], capture_output=True, text=True)
        if on.returncode:  # not on this file system, or we may not
            assert watched.source("swaps").live
            assert watched.wakes == before
            return
        try:
            await watched.until("swap came, and nobody said so", lambda: watched.wakes > before)
            before = watched.wakes
        finally:
            subprocess.run(["swapoff", str(file)], check=True)
        await watched.until("swap went, and nobody said so", lambda: watched.wakes > before)
