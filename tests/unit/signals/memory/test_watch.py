"""The rhythm of looking at memory, and what one look tells: samples, groups, sources, kills."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import pytest

from supervisor.facts import Container, EngineEvent, Fact, MemorySource, OomSeen, Readings, labels
from supervisor.kernel.groups import ROOT
from supervisor.kernel.host import MEMINFO, NODES, SWAPS, VMSTAT, Machine
from supervisor.kernel.pressure import MACHINE as PRESSURE
from supervisor.lab.loop import SimLoop
from supervisor.signals.memory import series
from supervisor.signals.memory.watch import GAP, MemoryWatch, in_memory
from tests.support.boxes import box, qdrant
from tests.support.kernel_files import RECORDED, Files

ONE, TWO = "a3b8" * 16, "77ff" * 16
MIB = 2.0**20


class Bench:
    """A watch over files that a test writes."""

    def __init__(self, every: float = 5.0) -> None:
        self.loop = SimLoop()
        self.facts: list[Fact] = []
        self.files = Files({path: (RECORDED / name).read_bytes() for path, name in RECORDINGS.items()})
        self.files.files[SWAPS] = "Filename\tType\tSize\tUsed\tPriority\n"
        self.containers: list[Container] = []
        self.watch = MemoryWatch(
            Machine(self.files), self.files, self.facts.append, self.loop.clock, lambda: self.containers, every
        )

    def add(self, key: str, pid: int, name: str = "") -> Container:
        """A container with groups of version 1."""
        self.files.files[f"/proc/{pid}/cgroup"] = f"4:memory:/docker/{key}\n6:freezer:/docker/{key}\n"
        self.files.put(f"{ROOT}/memory/docker/{key}", "v1")
        container = Container(key, name or f"box-{pid}", "", "", status="running", pid=pid)
        self.containers.append(container)
        return container

    def left(self, share: float) -> None:
        """So much of the memory of a machine of 100 GB is available."""
        self.files.files[MEMINFO] = f"MemTotal: 100000000 kB\nMemAvailable: {int(1e8 * share)} kB\nSwapTotal: 0 kB\n"

    def kills(self, machine: int, **groups: int) -> None:
        """What the counters of kills say."""
        self.files.files[VMSTAT] = f"pgfault 1\noom_kill {machine}\n"
        for key, count in groups.items():
            path = f"{ROOT}/memory/docker/{globals()[key]}/memory.oom_control"
            self.files.files[path] = f"oom_kill_disable 0\nunder_oom 0\noom_kill {count}\n"

    def read(self) -> Readings:
        """One look, five seconds after the last."""
        self.play(lambda: asyncio.sleep(5))
        self.watch.read()
        return self.readings[-1]

    def play(self, story: Callable[[], Awaitable[object]]) -> None:
        self.loop.run_until_complete(story())

    @property
    def readings(self) -> list[Readings]:
        return [fact for fact in self.facts if isinstance(fact, Readings)]

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """What was told of kills."""
        return [(one.source, one.container_id, one.kills) for one in self.facts if isinstance(one, OomSeen)]


RECORDINGS = {MEMINFO: "meminfo", VMSTAT: "vmstat", PRESSURE: "pressure"}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def values(reading: Readings) -> dict[tuple[tuple[str, str], ...], float]:
    return {sample.labels: sample.value for sample in reading.samples}


# ------------------------------------------------------------ what one look tells


def test_one_look_is_one_reading_with_everything_in_it(bench: Bench) -> None:
    container = bench.add(ONE, 7, "box-oracle-1")
    found = bench.read()
    assert (found.collector, found.at, found.mono) == ("host", bench.loop.clock.wall(), bench.loop.clock.mono())
    assert found.host is not None
    assert found.host.memory["MemTotal"] == 24684092 * 1024
    assert found.host.groups[ONE].shmem == 5 * MIB
    got = values(found)
    assert got[labels("node_memory_MemAvailable_bytes")] == found.host.memory["MemAvailable"]
    assert got[labels("node_memory_Active_anon_bytes")] > 0
    assert got[labels("node_memory_HugePages_Total")] == 0.0
    assert got[labels("node_vmstat_oom_kill")] == 26.0
    assert got[labels("node_pressure_memory_waiting_seconds_total")] > 0
    about = {"name": container.name}
    assert got[labels("container_memory_rss", **about)] == 26218496.0
    assert got[labels("container_memory_cache", **about)] == 37 * MIB
    assert got[labels("container_memory_usage_bytes", **about)] == 66052096.0
    assert got[labels("container_memory_swap", **about)] == 0.0
    assert got[labels("resurgam_memory_source_live", source="groups")] == 1.0
    known = {metric.name: metric.labels for metric in series.METRICS}
    for one in got:
        pairs = dict(one)
        assert set(known[pairs.pop("__name__")]) >= set(pairs), one


def test_a_container_goes_by_its_present_name_and_never_by_a_temporary_one(bench: Bench) -> None:
    bench.add(ONE, 7, "oracle.resurgam-parked-1f2e3d4c")
    assert labels("container_memory_rss", name="oracle") in values(bench.read())
    bench.containers[0] = replace(bench.containers[0], name="prophet\n")
    got = values(bench.read())
    assert labels("container_memory_rss", name="oracle") not in got
    assert labels("container_memory_rss", name="prophet\N{REPLACEMENT CHARACTER}") in got


def test_nodes_are_told_where_there_is_more_than_one(bench: Bench) -> None:
    bench.files.files[f"{NODES}/has_memory"] = "0-1\n"
    for node in (0, 1):
        bench.files.files[f"{NODES}/node{node}/meminfo"] = (
            f"Node {node} MemTotal: 8 kB\nNode {node} MemFree: {node} kB\n"
        )
    bench.add(ONE, 7)
    found = bench.read()
    assert found.host is not None
    assert found.host.nodes == {0: (8192.0, 0.0), 1: (8192.0, 1024.0)}
    assert values(found)[labels("node_memory_numa_MemFree", node="1")] == 1024.0
    assert found.host.groups[ONE].nodes, "and how each container is spread over them"


def test_running_and_frozen_containers_are_looked_at() -> None:
    states = ("running", "paused", "exited", "restarting")
    carried = qdrant().container
    assert carried is not None
    services = [replace(qdrant(), id=state, container=replace(carried, id=state, status=state)) for state in states]
    services.append(replace(qdrant(), id="gone", container=None))
    assert [one.id for one in in_memory(box(services=tuple(services)))] == ["running", "paused"]


# ------------------------------------------------------------ what is not there


def test_no_meminfo_is_said_in_words_and_does_no_harm(bench: Bench) -> None:
    del bench.files.files[MEMINFO]
    found = bench.read()
    assert found.host is None
    assert "on Linux and macOS only" in bench.watch.problem
    assert [one.name for one in found.sources if not one.live] == ["meminfo"]
    bench.left(0.5)
    found = bench.read()
    assert found.host is not None
    assert bench.watch.problem == ""


def test_each_source_fails_alone(bench: Bench) -> None:
    bench.add(ONE, 7)
    for path in (VMSTAT, PRESSURE, SWAPS):
        del bench.files.files[path]
    found = bench.read()
    assert {one.name: one.live for one in found.sources} == {
        "meminfo": True,
        "vmstat": False,
        "swaps": False,
        "groups": True,
    }
    assert found.host is not None
    assert ONE in found.host.groups
    assert values(found)[labels("resurgam_memory_source_live", source="vmstat")] == 0.0


def test_swap_is_named(bench: Bench) -> None:
    assert "No swap is switched on." in [one.text for one in bench.read().sources]
    bench.files.files[SWAPS] = "Filename Type Size Used Priority\n/swapfile file 67108860 0 -2\n"
    assert "Swap: /swapfile (64 GiB)." in [one.text for one in bench.read().sources]


def test_groups_that_cannot_be_seen_are_said_so_with_the_cure(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.files.files["/proc/7/cgroup"] = "0::/elsewhere\n"
    found = bench.read()
    assert found.host is not None
    assert found.host.groups == {}
    source = next(one for one in found.sources if one.name == "groups")
    assert (source.live, "--cgroupns=host" in source.cure) == (False, True)
    reads = bench.files.reads["/proc/7/cgroup"]
    bench.read()
    assert bench.files.reads["/proc/7/cgroup"] == reads, "not looked for each time"
    bench.containers[0] = replace(bench.containers[0], pid=8)
    bench.files.files["/proc/8/cgroup"] = f"4:memory:/docker/{ONE}\n"
    bench.watch.read()
    found = bench.readings[-1]
    assert found.host is not None
    assert ONE in found.host.groups, "but at once where it was started anew"


def test_a_group_that_vanishes_between_two_looks_is_forgotten(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.add(TWO, 9)
    bench.read()
    bench.files.files[f"{ROOT}/memory/docker/{ONE}/memory.usage_in_bytes"] = OSError(errno.ENODEV, "No such device")
    bench.files.forgotten.clear()
    found = bench.read()
    assert found.host is not None
    assert list(found.host.groups) == [TWO]
    assert bench.files.forgotten == [f"{ROOT}/memory/docker/{ONE}/"]
    bench.containers.pop()
    bench.files.forgotten.clear()
    bench.read()
    assert bench.files.forgotten == [f"{ROOT}/memory/docker/{TWO}/"]
    assert labels("container_memory_rss", name="box-9") not in values(bench.readings[-1])


# ------------------------------------------------------------ kills


def test_a_kill_that_a_group_counted_is_told_once_and_of_the_group(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.add(TWO, 9)
    bench.kills(5, ONE=1, TWO=0)
    bench.read()
    assert bench.told == [], "what was before is no news"
    bench.kills(7, ONE=1, TWO=2)
    bench.read()
    assert bench.told == [("events", TWO, 2)]
    bench.read()
    assert len(bench.told) == 1


def test_a_kill_between_two_whole_looks_is_told_with_the_next_one(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.kills(5, ONE=0)
    bench.read()
    bench.kills(6, ONE=1)
    bench.play(lambda: asyncio.sleep(0.1))
    bench.watch.read()
    assert bench.told == [("events", ONE, 1)], "the machine's counter says that the groups' are to be read"


def test_a_kill_that_no_group_counted_is_the_machines(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.kills(5, ONE=0)
    bench.read()
    bench.kills(8, ONE=1)
    bench.read()
    assert bench.told == [("events", ONE, 1), ("vmstat", "", 2)]


def test_one_kill_is_one_whichever_counter_is_read_first(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.kills(5, ONE=0)
    bench.read()
    bench.kills(5, ONE=1)
    bench.read()
    bench.kills(6, ONE=1)
    bench.read()
    assert bench.told == [("events", ONE, 1)]
    bench.kills(7, ONE=1)
    bench.read()
    assert bench.told[1:] == [("vmstat", "", 1)], "and nothing is owed for ever"


def test_a_group_that_counts_from_the_beginning_is_another_one(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.kills(5, ONE=4)
    bench.read()
    bench.kills(6, ONE=1)
    bench.read()
    assert bench.told == [("events", ONE, 1)]


def test_kills_are_told_where_the_machine_counts_none(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.kills(5, ONE=0)
    bench.files.files[VMSTAT] = "pgfault 1\n"
    bench.read()
    bench.files.files[f"{ROOT}/memory/docker/{ONE}/memory.oom_control"] = "oom_kill 1\n"
    bench.read()
    assert bench.told == [("events", ONE, 1)]


class FakeEdges:
    def __init__(self, *sources: MemorySource) -> None:
        self.known = sources

    def sources(self) -> tuple[MemorySource, ...]:
        return self.known


def test_what_the_kernel_tells_by_itself_is_not_told_again(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.watch.edges = FakeEdges(MemorySource("events", True, "Told."))
    bench.kills(5, ONE=0)
    bench.read()
    bench.kills(6, ONE=1)
    bench.read()
    assert bench.told == []
    bench.watch.edges = FakeEdges(MemorySource("events", False, "Not told."))
    bench.kills(7, ONE=2)
    bench.read()
    assert bench.told == [("events", ONE, 1)]


def test_a_source_that_is_read_and_watched_lives_while_both_do(bench: Bench) -> None:
    bench.watch.edges = FakeEdges(
        MemorySource("swaps", False, "Not watched.", "Do this."), MemorySource("pressure", True, "")
    )
    found = {one.name: one for one in bench.read().sources}
    assert found["swaps"] == MemorySource("swaps", False, "No swap is switched on. Not watched.", "Do this.")
    assert found["pressure"].live


# ------------------------------------------------------------ the rhythm


def test_it_looks_every_five_seconds_while_there_is_plenty(bench: Bench) -> None:
    bench.left(0.8)

    async def story() -> None:
        task = asyncio.ensure_future(bench.watch.run())
        await asyncio.sleep(11)
        task.cancel()

    bench.play(story)
    assert [fact.mono for fact in bench.readings] == [0.0, 5.0, 10.0]


def test_it_looks_more_often_as_less_is_left_and_then_tells_only_what_goes(bench: Bench) -> None:
    bench.add(ONE, 7)
    bench.left(0.02)

    async def story() -> None:
        task = asyncio.ensure_future(bench.watch.run())
        await asyncio.sleep(12)
        task.cancel()

    bench.play(story)
    gaps = [b.mono - a.mono for a, b in zip(bench.readings, bench.readings[1:], strict=False)]
    assert gaps[0] == gaps[-1] == pytest.approx(0.25)
    whole = [fact for fact in bench.readings if labels("container_memory_rss", name="box-7") in values(fact)]
    assert [round(fact.mono) for fact in whole] == [0, 5, 10]
    for fact in bench.readings:
        assert fact.host is not None
        assert ONE in fact.host.groups, "the forecast sees each container each time"
        assert labels("node_memory_MemAvailable_bytes") in values(fact)


def test_an_edge_has_it_read_at_once_but_not_more_than_twenty_times_a_second(bench: Bench) -> None:
    bench.left(0.8)

    async def story() -> None:
        task = asyncio.ensure_future(bench.watch.run())
        await asyncio.sleep(1)
        bench.watch.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [fact.mono for fact in bench.readings] == [0.0, 1.0]
        for _ in range(100):
            bench.watch.wake()
            await asyncio.sleep(0.01)
        await asyncio.sleep(GAP)
        task.cancel()

    bench.play(story)
    within = [fact.mono for fact in bench.readings if 1.0 < fact.mono <= 2.0]
    assert 15 <= len(within) <= 20
    assert all(b.mono - a.mono >= GAP - 1e-9 for a, b in zip(bench.readings, bench.readings[1:], strict=False))


def test_whoever_wakes_it_again_and_again_gets_no_more_than_a_part_of_the_time(bench: Bench) -> None:
    class Slow(Machine):
        """A machine of so many containers that one look takes 100 ms."""

        def vmstat(self) -> Mapping[str, float]:
            bench.loop.clock.advance(0.1)
            return super().vmstat()

    bench.watch._machine = Slow(bench.files)

    async def story() -> None:
        task = asyncio.ensure_future(bench.watch.run())
        for _ in range(200):
            await asyncio.sleep(0.05)
            bench.watch.wake()
        task.cancel()

    bench.play(story)
    assert len(bench.readings) * 0.1 <= 0.25 * bench.loop.clock.mono()
    assert len(bench.readings) > 10, "and it is read all the same"


def test_a_fuse_or_a_limit_near_its_end_is_looked_at_more_often(bench: Bench) -> None:
    bench.left(0.8)
    bench.add(ONE, 7)
    bench.read()
    assert bench.watch.pause == 5.0, "512 MiB are allowed and 38 are held"
    bench.files.files[f"{ROOT}/memory/docker/{ONE}/memory.limit_in_bytes"] = f"{39 << 20}\n"
    bench.read()
    assert bench.watch.pause < 5.0


def test_swap_that_is_going_is_looked_at_more_often(bench: Bench) -> None:
    for free in (900, 100):
        bench.files.files[MEMINFO] = (
            f"MemTotal: 1000 kB\nMemAvailable: 900 kB\nSwapTotal: 1000 kB\nSwapFree: {free} kB\n"
        )
        bench.read()
    assert bench.watch.pause < 1.0


def test_what_an_engine_says_of_memory_is_read_at_once(bench: Bench) -> None:
    def event(kind: str) -> EngineEvent:
        return EngineEvent(bench.loop.clock.wall(), bench.loop.clock.mono(), "docker", "container", ONE, kind, 1)

    async def story() -> None:
        heard = bench.watch.heard(bench.facts.append)
        running = asyncio.ensure_future(bench.watch.run())
        await asyncio.sleep(1)
        bench.facts.clear()
        heard(event("die"))
        await asyncio.sleep(1)
        assert bench.readings == []
        heard(event("oom"))
        await asyncio.sleep(GAP)
        assert [type(fact) for fact in bench.facts] == [EngineEvent, EngineEvent, Readings], "handed on, and first"
        running.cancel()

    bench.play(story)
