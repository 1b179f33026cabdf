"""The simulated kernel's own rules, where the suite of the hands does not reach: the machine's memory, swap, who is
killed, what is told of it, and that it does not matter how often one looks."""

import errno
import math
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import GroupMemory
from supervisor.kernel import groups
from supervisor.kernel.host import Machine
from supervisor.kernel.oomlines import Kill, OomLines
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Death, Version
from supervisor.lab.kernel.sim import SimKernel

MIB, GIB = 2.0**20, 2.0**30
A, B, C = "a" * 64, "b" * 64, "c" * 64
VERSIONS: tuple[Version, ...] = (1, 2, "hybrid")


class Box:
    """A machine of 16 GiB (2 of them the system's), whose kills are followed as an engine does it."""

    def __init__(self, version: Version = 2, swap: float = 0.0, **more: Any) -> None:
        self.clock = ManualClock()
        self.memory = {"MemTotal": 16 * GIB, "MemAvailable": 5 * GIB, "SwapTotal": swap, "SwapFree": swap}
        self.kernel = SimKernel(self.clock, self.memory, version, **more)
        self.machine = Machine(self.kernel)
        self.deaths: list[tuple[float, Death]] = []
        self.kernel.machine.on_death.append(self._died)

    def _died(self, death: Death) -> None:
        self.deaths.append((self.clock.mono(), death))
        if not death.child:
            self.kernel.remove(death.container_id)

    def wait(self, seconds: float, looks: int = 1) -> None:
        for _ in range(looks):
            self.clock.advance(seconds / looks)
            self.kernel.look()

    def group(self, container_id: str) -> GroupMemory:
        group = self.kernel.group(container_id)
        place = groups.find(self.kernel, group.pid, container_id)
        assert place is not None
        return groups.read(self.kernel, place, nodes=True)

    @property
    def killed(self) -> list[str]:
        return [death.container_id for _at, death in self.deaths]

    def word(self, path: str, name: str) -> float:
        words = self.kernel.read(path).split()
        return float(words[words.index(name.encode()) + 1])

    def stalled(self) -> float:
        return float(self.machine.pressure()[0])


def number(box: Box, path: str, text: str) -> int:
    """The errno of a write, 0 where it was taken."""
    try:
        box.kernel.write(path, text.encode())
    except OSError as err:
        return err.errno or -1
    return 0


# ---------------------------------------------------------------- the machine


def test_meminfo_is_as_declared_while_no_load_is() -> None:
    box = Box()
    box.kernel.add(A, 100)
    box.memory["MemAvailable"] = 7 * GIB
    assert box.machine.meminfo() == box.memory


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_available_follows_from_the_loads(version: Version) -> None:
    box = Box(version)
    load = SimLoad(anon=3 * GIB, shmem=GIB, file=4 * GIB, locked=GIB, kernel=0.5 * GIB, slab=0.25 * GIB)
    box.kernel.add(A, 100, load)
    seen = box.machine.meminfo()
    assert seen["MemAvailable"] == 14 * GIB - 5.5 * GIB
    assert seen["MemFree"] == 14 * GIB - 9.75 * GIB
    assert (seen["AnonPages"], seen["Shmem"], seen["Mlocked"]) == (3 * GIB, GIB, GIB)
    found = box.group(A)
    assert (found.anon, found.shmem, found.locked, found.file) == (3 * GIB, GIB, GIB, 4 * GIB)
    assert found.usage == 9.75 * GIB
    assert found.kernel == (0.5 * GIB if version == 2 else 0.0)


def test_who_grows_lives_and_the_biggest_is_killed() -> None:
    box = Box()
    box.kernel.add(A, 100, SimLoad(anon=9 * GIB))
    box.kernel.add(B, 101, SimLoad(anon=GIB).growing(GIB, after=1))
    box.wait(4.9)
    assert box.killed == []
    box.wait(0.2)
    assert box.killed == [A]
    assert box.word("/proc/vmstat", "oom_kill") == 1
    assert box.kernel.group(B).pages["anon"] == pytest.approx(5.1 * GIB)


def test_locked_and_shared_memory_make_it_big_and_a_score_spares_it() -> None:
    for score, victim in ((0, A), (-900, B)):
        box = Box()
        box.kernel.add(A, 100, SimLoad(anon=2 * GIB, locked=4 * GIB, shmem=2 * GIB), score=score)
        box.kernel.add(B, 101, SimLoad(anon=3 * GIB).growing(GIB))
        box.wait(3.5)
        assert box.killed == [victim], score


def test_with_swap_it_goes_there_first() -> None:
    box = Box(swap=2 * GIB)
    box.kernel.add(A, 100, SimLoad(anon=9 * GIB))
    box.kernel.add(B, 101, SimLoad(anon=4 * GIB).growing(GIB))
    box.wait(2.0)
    seen = box.machine.meminfo()
    assert box.killed == []
    assert seen["SwapFree"] == pytest.approx(GIB, rel=0.01)
    assert seen["MemAvailable"] == 0
    (area,) = box.machine.swaps()
    assert (area.size, area.used) == (2 * GIB, pytest.approx(GIB, rel=0.01))
    assert box.word("/proc/vmstat", "pswpout") == pytest.approx(GIB / 4096, rel=0.01)
    assert box.stalled() > 0
    box.wait(1.5)
    assert box.killed == [A]


def test_page_cache_goes_before_anything_else_and_hot_weights_come_back_as_refaults() -> None:
    box = Box(swap=GIB)
    box.kernel.add(A, 100, SimLoad(anon=GIB, file=8 * GIB, hot=8 * GIB))
    box.kernel.add(B, 101, SimLoad(anon=5 * GIB).growing(GIB, upto=7 * GIB))
    box.wait(10)
    found = box.group(A)
    assert found.file == pytest.approx(6 * GIB, rel=0.01)
    assert found.anon == GIB
    assert box.word("/proc/vmstat", "workingset_refault_file") > 0
    assert box.killed == []


@pytest.mark.parametrize("version", VERSIONS)
def test_it_does_not_matter_how_often_one_looks(version: Version) -> None:
    def run(looks: int) -> tuple[list[str], float, float, float]:
        box = Box(version, swap=GIB)
        box.kernel.add(A, 100, SimLoad(anon=7 * GIB, file=2 * GIB))
        box.kernel.add(B, 101, SimLoad.loading(3 * GIB, 30))
        box.kernel.add(C, 102, SimLoad(anon=MIB).growing(200 * MIB, after=10), limit=9 * GIB)
        box.wait(60, looks)
        seen = box.machine.meminfo()
        left = box.kernel.machine.find(C)
        return box.killed, seen["MemAvailable"], seen["SwapFree"], left.pages["anon"] if left else 0.0

    often, rarely = run(60), run(1)
    assert often[0] == rarely[0] == [A]
    assert often[1:] == pytest.approx(rarely[1:], rel=1e-3, abs=16 * MIB)


def test_what_may_not_be_killed_leaves_the_machine_full() -> None:
    box = Box()
    box.kernel.add(A, 100, SimLoad(anon=13 * GIB).growing(GIB), score=-1000)
    box.wait(3600)
    assert box.killed == []
    assert box.machine.meminfo()["MemAvailable"] == 0


# ---------------------------------------------------------------- loads


def test_a_load_has_its_time_and_its_size() -> None:
    box = Box()
    box.kernel.add(A, 100, SimLoad(anon=GIB).growing(100 * MIB, after=10, upto=3 * GIB).growing(MIB, of="shmem"))
    for seconds, anon in ((10.0, 1024.0), (5.0, 1524.0), (60.0, 3072.0)):
        box.wait(seconds)
        assert box.group(A).anon == pytest.approx(anon * MIB)
    assert box.group(A).shmem == pytest.approx(75 * MIB, abs=MIB)


def test_a_load_can_give_back() -> None:
    box = Box()
    box.kernel.add(A, 100, SimLoad(anon=2 * GIB).growing(-100 * MIB, upto=GIB))
    box.wait(5)
    assert box.group(A).anon == pytest.approx(2 * GIB - 500 * MIB)
    box.wait(60)
    assert box.group(A).anon == GIB


def test_a_running_container_can_be_told_to_grow() -> None:
    box = Box()
    box.kernel.declare("oracle", SimLoad(anon=GIB))
    box.kernel.add(A, 100, words=("oracle",))
    box.wait(100)
    box.kernel.grow("oracle", 10 * MIB)
    box.wait(10)
    assert box.group(A).anon == pytest.approx(GIB + 100 * MIB)
    box.kernel.declare("oracle", SimLoad(anon=3 * GIB))
    assert box.group(A).anon == 3 * GIB


def test_what_happens_next_is_told_so_that_nobody_has_to_look() -> None:
    box = Box()
    due: list[float] = []
    box.kernel.on_due = due.append
    box.kernel.add(A, 100, SimLoad(anon=GIB))
    assert due[-1] == math.inf
    box.kernel.add(B, 101, SimLoad(anon=GIB).growing(GIB, after=3))
    assert due[-1] == pytest.approx(3)
    box.wait(3)
    assert due[-1] == pytest.approx(12)


def test_nodes_show_who_is_where() -> None:
    box = Box(nodes=4)
    box.kernel.add(A, 100, SimLoad(anon=4 * GIB))
    box.kernel.add(B, 101, SimLoad(anon=2 * GIB, nodes={3: 1.0}))
    free = {node: left for node, (_total, left) in box.machine.nodes().items()}
    assert free == {0: 2.5 * GIB, 1: 2.5 * GIB, 2: 2.5 * GIB, 3: 0.5 * GIB}
    assert box.group(A).nodes == dict.fromkeys(range(4), GIB)
    assert box.group(B).nodes == {0: 0.0, 1: 0.0, 2: 0.0, 3: 2 * GIB}


# ---------------------------------------------------------------- limits


def test_a_fuse_leaves_a_mebibyte_per_second_and_is_felt() -> None:
    box = Box()
    group = box.kernel.add(A, 100, SimLoad(anon=100 * MIB).growing(60 * MIB), limit=GIB)
    file = f"/sys/fs/cgroup{group.path}/memory"
    box.kernel.write(f"{file}.high", b"400M")
    box.wait(5)
    assert box.group(A).anon == pytest.approx(400 * MIB, abs=2 * MIB)
    box.wait(60)
    assert box.group(A).anon == pytest.approx(460 * MIB, abs=2 * MIB)
    assert box.word(f"{file}.events", "high") > 0
    assert float(box.kernel.read(f"{file}.pressure").split()[1].partition(b"=")[2]) == pytest.approx(90, abs=1)
    box.kernel.write(f"{file}.high", b"max")
    box.wait(5)
    assert box.group(A).anon == pytest.approx(760 * MIB, abs=3 * MIB)
    assert box.killed == []


def test_a_limit_above_kills_only_below_it() -> None:
    for version in VERSIONS:
        box = Box(version)
        box.kernel.machine.parent("/box.slice").limit = 4 * GIB
        box.kernel.add(A, 100, SimLoad(anon=2 * GIB), parent="/box.slice")
        box.kernel.add(B, 101, SimLoad(anon=GIB).growing(0.5 * GIB), parent="/box.slice")
        box.kernel.add(C, 102, SimLoad(anon=6 * GIB))
        box.wait(3)
        (death,) = [death for _at, death in box.deaths]
        assert (death.container_id, death.limit_of) == (B, "/box.slice")
        assert box.machine.meminfo()["MemAvailable"] == 6 * GIB


def test_swap_has_limits_of_its_own() -> None:
    """Version 1 counts it together with memory, version 2 apart."""
    for version in VERSIONS:
        box = Box(version, swap=8 * GIB)
        box.kernel.add(A, 100, SimLoad(anon=GIB).growing(GIB), limit=2 * GIB, memsw=3 * GIB)
        box.wait(1.5)
        found = box.group(A)
        assert (found.anon + found.swap) == pytest.approx(2.5 * GIB)
        assert found.swap == pytest.approx(0.5 * GIB)
        box.wait(1)
        assert box.killed == [A], version


def test_a_killed_child_leaves_its_parent() -> None:
    box = Box(1)
    box.kernel.add(A, 100, SimLoad(anon=GIB, child=True).growing(GIB), limit=2 * GIB)
    box.wait(100)
    assert [death.child for _at, death in box.deaths] == [True]
    found = box.group(A)
    assert (found.oom_kills, found.anon) == (1, 5 * MIB)


def test_cgroup_kill_ends_everything_in_it() -> None:
    box = Box()
    group = box.kernel.add(A, 100, SimLoad(anon=GIB))
    box.kernel.write(f"/sys/fs/cgroup{group.path}/cgroup.kill", b"1")
    assert [death.how for _at, death in box.deaths] == ["kill"]
    assert box.word("/proc/vmstat", "oom_kill") == 0


# ---------------------------------------------------------------- what is told


def told(box: Box) -> list[Kill]:
    """The kills as the real reader of the log understands them."""
    lines = OomLines()
    found = [lines.feed(line.encode(), 1.0) for line in box.kernel.machine.log]
    return [kill for kill in found if kill is not None]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_log_reads_as_a_real_one(version: Version) -> None:
    box = Box(version)
    box.kernel.add(A, 100, SimLoad(anon=GIB, child=True).growing(GIB), limit=2 * GIB)
    box.kernel.add(B, 201, SimLoad(anon=GIB).growing(GIB, after=5))
    box.wait(30)
    first, second = told(box)
    assert (first.container_id, first.constraint, first.pid) == (A, "memcg", 101)
    assert first.limit_of.endswith(f"{A}.scope" if version == 2 else A)
    assert (second.container_id, second.constraint, second.pid) == (B, "none", 201)


def test_a_kill_for_the_machine_counts_as_a_kill_but_not_as_a_limit_met() -> None:
    box = Box()
    group = box.kernel.add(A, 100, SimLoad(anon=GIB, child=True).growing(GIB))
    box.wait(30)
    file = f"/sys/fs/cgroup{group.path}/memory.events"
    assert (box.word(file, "oom"), box.word(file, "oom_kill")) == (0, 1)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("version", VERSIONS)
def test_the_kernels_own_refusals(version: Version) -> None:
    box = Box(version)
    group = box.kernel.add(A, 100, SimLoad(anon=GIB))
    base = f"/sys/fs/cgroup{'' if version == 2 else '/memory'}{group.path}"
    limit = "memory.max" if version == 2 else "memory.limit_in_bytes"
    usage = "memory.current" if version == 2 else "memory.usage_in_bytes"
    assert number(box, f"{base}/{limit}", "a lot") == errno.EINVAL
    assert number(box, f"{base}/{usage}", "1") == errno.EINVAL
    assert number(box, f"{base}/memory.none", "1") == errno.ENOENT
    assert not box.kernel.exists(f"{base}/memory.none")
    box.kernel.fault = lambda operation, path: errno.EROFS if operation == "write" and path.startswith("/sys") else 0
    assert number(box, f"{base}/{limit}", str(2 * GIB)) == errno.EROFS
    assert not box.kernel.writable(f"{base}/{limit}")
    assert box.kernel.writes == []
    box.kernel.remove(A)
    with pytest.raises(FileNotFoundError):
        box.kernel.read(f"{base}/{usage}")
    with pytest.raises(FileNotFoundError):
        box.kernel.read("/proc/100/cgroup")


def test_folders_show_what_is_there() -> None:
    for version, root in ((1, "/sys/fs/cgroup/memory"), (2, "/sys/fs/cgroup"), ("hybrid", "/sys/fs/cgroup/unified")):
        box = Box(version)  # type: ignore[arg-type]
        group = box.kernel.add(A, 100)
        above, _, name = group.path.rpartition("/")
        assert name in box.kernel.names(f"{root}{above}")
        shown = box.kernel.names(f"{root}{group.path}")
        assert "cgroup.procs" in shown
        assert ("memory.stat" in shown) == (version != "hybrid")
        assert ("cgroup.freeze" in shown) == (version != 1)
        assert all(box.kernel.exists(f"{root}{group.path}/{one}") for one in shown)


def test_version_1_freezes_what_does_not_stand_still_at_once() -> None:
    box = Box(1)
    group = box.kernel.add(A, 100, SimLoad(anon=GIB, stubborn=3.0).growing(MIB))
    file = f"/sys/fs/cgroup/freezer{group.path}/freezer.state"
    box.kernel.write(file, b"FROZEN")
    assert box.kernel.read(file) == b"FREEZING\n"
    box.wait(3)
    assert box.kernel.read(file) == b"FROZEN\n"
    box.kernel.write(file, b"THAWED")
    assert box.kernel.read(file) == b"THAWED\n"
