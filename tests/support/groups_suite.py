"""One suite for every kernel: the simulated one (version 1, 2 and hybrid), the real one here, and a real version 2 in
a virtual machine. What the lab's worlds build on must hold on all of them.

A check is `async def check(lab: Lab)`. Nothing but the standard library and supervisor/ is needed, so that it runs
from a bare initramfs, too. Time is measured by what another container did meanwhile, never by a clock.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from supervisor.errors import GroupError, NotFound
from supervisor.facts import Container
from supervisor.kernel import groups
from supervisor.kernel.groups import Place
from supervisor.kernel.hands import ControlGroups
from supervisor.kernel.tree import Tree

MIB = 2**20
SIGTERM, SIGKILL = 15, 9
LIMIT = 120.0
"""seconds after which something hangs"""


class Lab(Protocol):
    """A kernel to be checked."""

    hands: ControlGroups
    tree: Tree

    async def start(self, kind: str, amount: int = 0, limit: int = 0) -> Container:
        """Start a container of a kind: hold (has `amount` MiB of its own), grow (takes MiB after MiB, up to `amount`),
        parent (its child does so), shared (`amount` MiB of shared memory), cache (`amount` MiB of page cache that can
        be dropped). `limit` in MiB, of memory and of memory with swap; 0 for none. It has what it is to have when this
        returns; one that grows has begun."""

    async def signal(self, container: Container, number: int) -> None:
        """Send its main process a signal."""

    async def state(self, container: Container) -> str:
        """`running`, or its exit code."""


Check = Callable[[Lab], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Make it part of the suite."""
    CHECKS.append(function)
    return function


def place(lab: Lab, box: Container) -> Place:
    """Where its groups are."""
    found = groups.find(lab.tree, box.pid, box.id)
    assert found is not None, "its control group is not seen"
    return found


async def until(wanted: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something; AssertionError says what never came."""
    for _ in range(int(LIMIT / 0.02)):
        if await wanted():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never came: {what}")


async def grown(lab: Lab, box: Container, mib: float) -> None:
    """Wait until it has so many MiB."""

    async def has() -> bool:
        return (await lab.hands.read(box)).anon >= mib * MIB

    await until(has, f"{box.name} with {mib} MiB; it has {(await lab.hands.read(box)).anon / MIB:.1f}")


async def ended(lab: Lab, box: Container, code: str) -> None:
    """Wait until it ended so."""

    async def over() -> bool:
        return await lab.state(box) == code

    await until(over, f"the end of {box.name} with {code}; it is {await lab.state(box)}")


async def settled(lab: Lab, box: Container, kind: str, amount: int) -> bool:
    """Whether a container of this kind has what it is to have, or has begun to grow."""
    try:
        found = await lab.hands.read(box)
    except NotFound:
        return True  # it grew so fast that it has ended
    has = {"hold": found.anon, "shared": found.shmem, "cache": found.file}
    return has.get(kind, found.anon - MIB) >= (amount if kind in has else 1) * MIB


async def refused(doing: Awaitable[object]) -> str:
    """The sentence with which it is refused."""
    try:
        await doing
    except GroupError as err:
        return str(err)
    raise AssertionError("it was not refused")


def number(doing: Callable[[], object]) -> int:
    """The kernel's errno; 0 where it did it."""
    try:
        doing()
    except OSError as err:
        return err.errno or -1
    return 0


# ---------------------------------------------------------------- reading


@check
async def its_own_memory_is_anon(lab: Lab) -> None:
    box = await lab.start("hold", 24)
    found = await lab.hands.read(box)
    assert 24 * MIB <= found.anon < 36 * MIB
    assert found.anon <= found.used <= found.usage + MIB
    assert (found.limit, found.high, found.frozen, found.oom_kills) == (0, 0, False, 0)


@check
async def shared_memory_counts_and_page_cache_does_not(lab: Lab) -> None:
    shared, cached = await lab.start("shared", 16), await lab.start("cache", 16)
    one, other = await lab.hands.read(shared), await lab.hands.read(cached)
    assert 16 * MIB <= one.shmem < 20 * MIB
    assert one.used >= 16 * MIB
    assert one.file < 4 * MIB
    assert 15 * MIB <= other.file < 24 * MIB
    assert other.used < 8 * MIB
    assert other.usage >= 15 * MIB


@check
async def a_limit_is_read(lab: Lab) -> None:
    box = await lab.start("hold", 8, limit=40)
    assert (await lab.hands.read(box)).limit == 40 * MIB


# ---------------------------------------------------------------- freeze and thaw


@check
async def what_is_frozen_does_not_grow_and_goes_on_afterwards(lab: Lab) -> None:
    box, beside = await lab.start("grow", 48), await lab.start("grow", 48)
    await grown(lab, box, 4)
    await lab.hands.freeze(box, True)
    held = await lab.hands.read(box)
    assert held.frozen
    await grown(lab, beside, (await lab.hands.read(beside)).anon / MIB + 8)
    assert (await lab.hands.read(box)).anon == held.anon
    assert not (await lab.hands.read(beside)).frozen
    await lab.hands.freeze(box, False)
    assert not (await lab.hands.read(box)).frozen
    await grown(lab, box, held.anon / MIB + 4)


@check
async def freezing_and_thawing_may_be_repeated(lab: Lab) -> None:
    box = await lab.start("hold", 4)
    await lab.hands.freeze(box, False)
    for _ in range(2):
        await lab.hands.freeze(box, True)
        assert (await lab.hands.read(box)).frozen
    for _ in range(2):
        await lab.hands.freeze(box, False)
        assert not (await lab.hands.read(box)).frozen
    assert await lab.state(box) == "running"


@check
async def a_frozen_container_does_not_obey_until_it_is_let_go(lab: Lab) -> None:
    box, beside = await lab.start("hold", 4), await lab.start("hold", 4)
    await lab.hands.freeze(box, True)
    await lab.signal(box, SIGTERM)
    await lab.signal(beside, SIGTERM)
    await ended(lab, beside, "143")
    assert await lab.state(box) == "running"
    await lab.hands.freeze(box, False)
    await ended(lab, box, "143")


@check
async def only_the_second_freezer_lets_a_kill_through(lab: Lab) -> None:
    box, beside = await lab.start("hold", 4), await lab.start("hold", 4)
    where = place(lab, box)
    if where.unified:
        await lab.hands.freeze(box, True)
        await lab.signal(box, SIGKILL)
        await ended(lab, box, "137")
    if where.freezer:
        mine = place(lab, beside)
        lab.tree.write(f"{mine.freezer}/freezer.state", b"FROZEN")

        async def frozen() -> bool:
            return lab.tree.read(f"{mine.freezer}/freezer.state") == b"FROZEN\n"

        await until(frozen, "version 1's freezer at work")
        third = await lab.start("hold", 4)
        await lab.signal(beside, SIGKILL)
        await lab.signal(third, SIGKILL)
        await ended(lab, third, "137")
        assert await lab.state(beside) == "running"
        lab.tree.write(f"{mine.freezer}/freezer.state", b"THAWED")
        await ended(lab, beside, "137")


@check
async def a_freezer_takes_only_its_own_words(lab: Lab) -> None:
    box = await lab.start("hold", 4)
    where = place(lab, box)
    if where.unified:
        assert number(lambda: lab.tree.write(f"{where.unified}/cgroup.freeze", b"FROZEN")) == errno.EINVAL
        assert number(lambda: lab.tree.write(f"{where.unified}/cgroup.freeze", b"2")) == errno.ERANGE
        assert number(lambda: lab.tree.write(f"{where.unified}/cgroup.events", b"1")) == errno.EINVAL
    if where.freezer:
        assert number(lambda: lab.tree.write(f"{where.freezer}/freezer.state", b"1")) == errno.EINVAL
    assert not (await lab.hands.read(box)).frozen


# ---------------------------------------------------------------- limits and kills


@check
async def the_limit_kills_whoever_grows_into_it(lab: Lab) -> None:
    box = await lab.start("grow", 60, limit=24)
    await ended(lab, box, "137")
    try:
        await lab.hands.read(box)
    except NotFound:
        return
    raise AssertionError("a container that ended still has memory")


@check
async def a_killed_child_is_counted_and_its_parent_lives(lab: Lab) -> None:
    box = await lab.start("parent", 60, limit=24)

    async def killed() -> bool:
        return (await lab.hands.read(box)).oom_kills == 1

    async def freed() -> bool:
        return (await lab.hands.read(box)).anon < 12 * MIB

    await until(killed, "the kill of the child")
    await until(freed, "its memory, which the kernel takes apart after it counted the kill")
    assert await lab.state(box) == "running"


@check
async def lowering_a_limit_below_what_is_used(lab: Lab) -> None:
    """Version 1 refuses, version 2 kills: nobody here ever does it."""
    box = await lab.start("hold", 24, limit=60)
    where = place(lab, box)
    if where.version == 1:
        assert number(lambda: lab.tree.write(f"{where.memory}/memory.limit_in_bytes", b"8M")) == errno.EBUSY
        assert (await lab.hands.read(box)).limit == 60 * MIB
        assert await lab.state(box) == "running"
    else:
        assert number(lambda: lab.tree.write(f"{where.memory}/memory.max", b"8M")) == 0
        await ended(lab, box, "137")


@check
async def page_cache_makes_room_before_anything_is_killed(lab: Lab) -> None:
    box = await lab.start("cache", 24, limit=60)
    where = place(lab, box)
    name = "limit_in_bytes" if where.version == 1 else "max"
    assert number(lambda: lab.tree.write(f"{where.memory}/memory.{name}", b"12M")) == 0
    found = await lab.hands.read(box)
    assert found.usage <= 12 * MIB
    assert found.limit == 12 * MIB
    assert await lab.state(box) == "running"


@check
async def a_raised_limit_saves_whoever_grows(lab: Lab) -> None:
    box = await lab.start("grow", 40, limit=32)
    before = await lab.hands.raise_limit(box, 60 * MIB)
    assert before == str(32 * MIB)
    assert (await lab.hands.read(box)).limit == 60 * MIB
    await grown(lab, box, 40)
    assert await lab.state(box) == "running"
    assert (await lab.hands.read(box)).oom_kills == 0
    assert await lab.hands.raise_limit(box, 60 * MIB) == str(60 * MIB)


@check
async def a_limit_is_never_lowered_and_none_is_not_raised(lab: Lab) -> None:
    box, free = await lab.start("hold", 8, limit=40), await lab.start("hold", 8)
    assert "never lowered" in await refused(lab.hands.raise_limit(box, 24 * MIB))
    assert (await lab.hands.read(box)).limit == 40 * MIB
    assert "no limit" in await refused(lab.hands.raise_limit(free, 60 * MIB))
    assert (await lab.hands.read(free)).limit == 0


@check
async def both_limits_of_version_1_are_in_order(lab: Lab) -> None:
    """Memory alone may not have more than memory with swap: the kernel says no to the wrong order."""
    box = await lab.start("hold", 4, limit=24)
    where = place(lab, box)
    if where.version != 1 or not lab.tree.exists(f"{where.memory}/memory.memsw.limit_in_bytes"):
        return
    assert number(lambda: lab.tree.write(f"{where.memory}/memory.limit_in_bytes", b"48M")) == errno.EINVAL
    assert number(lambda: lab.tree.write(f"{where.memory}/memory.memsw.limit_in_bytes", b"12M")) == errno.EINVAL
    await lab.hands.raise_limit(box, 48 * MIB)
    assert int(lab.tree.read(f"{where.memory}/memory.memsw.limit_in_bytes")) == 48 * MIB


# ---------------------------------------------------------------- fuse and reclaim


@check
async def a_fuse_slows_down_and_kills_nobody(lab: Lab) -> None:
    box, beside = await lab.start("grow", 60), await lab.start("grow", 60)
    if place(lab, box).version == 1:
        for verb in ("fuse", "unfuse"):
            assert "systemd.unified_cgroup_hierarchy=1" in lab.hands.cannot(verb, box)
        assert "no memory.high" in await refused(lab.hands.fuse(box, 16.0 * MIB))
        return
    assert lab.hands.cannot("fuse", box) == ""
    assert await lab.hands.fuse(box, 16.0 * MIB) == "max"
    assert (await lab.hands.read(box)).high == 16 * MIB
    await grown(lab, beside, 56)
    slow = (await lab.hands.read(box)).anon
    assert slow < 40 * MIB
    assert await lab.state(box) == "running"
    assert await lab.hands.fuse(box, 0.0) == str(16 * MIB)
    assert (await lab.hands.read(box)).high == 0
    await grown(lab, box, 56)
    assert (await lab.hands.read(box)).oom_kills == 0


@check
async def a_fuse_below_what_is_used_kills_nobody(lab: Lab) -> None:
    box, cached = await lab.start("hold", 24), await lab.start("cache", 24)
    if place(lab, box).version == 1:
        return
    for one in (box, cached):
        await lab.hands.fuse(one, 12.0 * MIB)
        assert await lab.state(one) == "running"
    assert (await lab.hands.read(box)).anon >= 24 * MIB  # there is no swap
    assert (await lab.hands.read(cached)).usage <= 13 * MIB


@check
async def page_cache_is_taken_back_and_more_than_there_is_is_no_error(lab: Lab) -> None:
    box = await lab.start("cache", 24)
    where = place(lab, box)
    if where.version == 1:
        assert "systemd.unified_cgroup_hierarchy=1" in lab.hands.cannot("reclaim", box)
        assert "emptied whole" in await refused(lab.hands.reclaim(box, 8.0 * MIB, 5.0))
        return
    was = await lab.hands.read(box)
    got = await lab.hands.reclaim(box, 8.0 * MIB, 60.0)
    now = await lab.hands.read(box)
    assert 8 * MIB <= got <= 9 * MIB
    assert now.usage <= was.usage - 7 * MIB
    assert now.file >= 4 * MIB
    assert 4 * MIB <= await lab.hands.reclaim(box, 512.0 * MIB, 60.0) < 24 * MIB
    assert await lab.state(box) == "running"
    assert number(lambda: lab.tree.write(f"{where.memory}/memory.reclaim", b"512M")) == errno.EAGAIN
    assert number(lambda: lab.tree.write(f"{where.memory}/memory.reclaim", b"a lot")) == errno.EINVAL


# ---------------------------------------------------------------- whose group it is


@check
async def every_verb_that_works_here_is_not_refused_beforehand(lab: Lab) -> None:
    box = await lab.start("hold", 4, limit=24)
    assert [lab.hands.cannot(verb, box) for verb in ("freeze", "thaw", "raise-limit")] == ["", "", ""]
    assert lab.hands.cannot("unload", box) == lab.hands.cannot("drop-cache", box) == ""


@check
async def nothing_is_done_to_the_group_of_another(lab: Lab) -> None:
    box, other = await lab.start("hold", 4, limit=24), await lab.start("hold", 4, limit=24)
    for wrong in (replace(box, pid=other.pid), replace(box, id="0" * 64), replace(box, id=box.id[:12])):
        assert "cannot be seen" in lab.hands.cannot("freeze", wrong)
        assert "cannot be seen" in await refused(lab.hands.freeze(wrong, True))
        assert "cannot be seen" in await refused(lab.hands.raise_limit(wrong, 60 * MIB))
    for one in (box, other):
        found = await lab.hands.read(one)
        assert (found.frozen, found.limit) == (False, 24 * MIB)


@check
async def what_does_not_run_is_not_found(lab: Lab) -> None:
    box = await lab.start("hold", 4)
    await lab.signal(box, SIGKILL)
    await ended(lab, box, "137")
    doings: list[Awaitable[object]] = [
        lab.hands.read(box),
        lab.hands.freeze(box, True),
        lab.hands.freeze(replace(box, status="exited", pid=0), False),
        lab.hands.raise_limit(box, 60 * MIB),
    ]
    for doing in doings:
        try:
            await doing
        except NotFound:
            continue
        raise AssertionError("something was done to what is gone")
    assert "ended" in lab.hands.cannot("freeze", box)
    assert number(lambda: lab.tree.read(f"/proc/{box.pid}/cgroup")) in (errno.ENOENT, errno.ESRCH)
