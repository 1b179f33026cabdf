"""The hands on the memory of running containers: their control groups are written to directly. Implements ports.Groups.

From: actions/memory. To: the kernel, through a Tree. Nothing is forked and the engine is not asked: both take seconds
when memory is short. What may block (taking memory back) is written in a thread of its own. A group is written to only
if its name is that of the container, and nothing else.
"""

import asyncio
import errno
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from supervisor.clock import Clock
from supervisor.errors import GroupError, NotFound
from supervisor.facts import Container, GroupMemory
from supervisor.kernel import cache, groups
from supervisor.kernel.aside import Aside
from supervisor.kernel.groups import Place
from supervisor.kernel.tree import Tree

T = TypeVar("T")
STANDS = 5.0
"""seconds in which all processes of a container have to stand still, or to go on"""
PIECE = 64 * 2.0**20
"""bytes that are asked back at once: between two such pieces the time is looked at"""
_LATE = 2.0
"""seconds beyond its budget that a blocked call is waited for"""
_LOOK = 0.01
GONE = (errno.ENOENT, errno.ENODEV, errno.ESRCH)
"""what the kernel says of a control group that is not there any more"""
_VERBS = {
    "fuse": "memory.high",
    "unfuse": "memory.high",
    "reclaim": "memory.reclaim",
    "raise-limit": "memory.max",
}
"""verb -> the file of version 2 that it writes to"""
OLD = (
    "this machine has control groups of version 1, which {}; boot it with systemd.unified_cgroup_hierarchy=1 on the "
    "kernel's command line to have version 2"
)
LACKS = {
    "fuse": "have no memory.high",
    "unfuse": "have no memory.high",
    "reclaim": "can only be emptied whole, which throws out what a living service reads",
}
UNSEEN = (
    "its control group cannot be seen from here: the engine is on another machine, or we are in a container ourselves; "
    "let Resurgam run on the engine's machine, outside of any container"
)
CLOSED = (
    "the control groups may not be written to here; let the daemon run as root with ProtectControlGroups=no (so it is "
    "in resurgam.service; the drop-in watch-only.conf takes it away)"
)
PAUSED = "it was paused through the engine, which alone can let it go on: docker unpause {}"


class _Late(GroupError):
    """A call is still blocked in the kernel when its time is over."""


class ControlGroups:
    """ports.Groups on Linux. `tree` is its own: its files are closed after each call."""

    def __init__(
        self,
        tree: Tree,
        clock: Clock,
        drop: Callable[[tuple[str, ...], Callable[[], bool]], float] = cache.drop,
    ) -> None:
        self._tree, self._clock, self._drop = tree, clock, drop
        self._pool = Aside("groups")
        self._blocked: set[str] = set()
        """container ids (and 'cache') of which a call is still under way"""

    def close(self) -> None:
        """Begin nothing more; a call that is blocked in the kernel ends by itself."""
        self._pool.shutdown()

    # ------------------------------------------------------------ looking

    def cannot(self, verb: str, container: Container) -> str:
        """Why this verb cannot be done to it here, with the cure; '' if it can."""
        if verb not in ("freeze", "thaw", *_VERBS):
            return ""
        try:
            place = self._place(container)
        except (GroupError, NotFound) as err:
            return str(err)
        try:
            return self._cannot(verb, container, place)
        finally:
            self._tree.forget(place.folders())

    async def read(self, container: Container) -> GroupMemory:
        """Its memory now. NotFound where it does not run, GroupError where its group cannot be seen."""
        place = self._place(container)
        try:
            return groups.read(self._tree, place)
        except OSError as err:
            raise _refused(err, "its memory cannot be read") from err
        except ValueError as err:
            raise GroupError(f"the kernel's files about its memory do not read as expected: {err}") from err
        finally:
            self._tree.forget(place.folders())

    # ------------------------------------------------------------ freeze, thaw

    async def freeze(self, container: Container, frozen: bool) -> None:
        """Let all its processes stand still, or go on. If they do not all stand still in time they are let go again:
        half of them is worse than none."""
        place = self._ready("freeze" if frozen else "thaw", container)
        try:
            self._tell(place, frozen)
            if await self._becomes(place, frozen):
                return
            if frozen:
                self._tell(place, False)
                raise GroupError(
                    f"not all its processes stood still within {STANDS:.0f} s (one waits for a disk or a driver), so "
                    "it was let go again"
                )
            raise GroupError("it stands still all the same: a control group above it is frozen")
        except OSError as err:
            raise _refused(err, "it could not be frozen" if frozen else "it could not be let go") from err
        finally:
            self._tree.forget(place.folders())

    def _tell(self, place: Place, frozen: bool) -> None:
        if _second(self._tree, place):
            self._tree.write(f"{place.unified}/cgroup.freeze", b"1" if frozen else b"0")
        else:
            self._tree.write(f"{place.freezer}/freezer.state", b"FROZEN" if frozen else b"THAWED")

    async def _becomes(self, place: Place, frozen: bool) -> bool:
        deadline = self._clock.mono() + STANDS
        while True:
            try:
                if self._stands(place) == frozen:
                    return True
            except (FileNotFoundError, OSError) as err:
                if frozen or err.errno not in GONE:
                    raise
                return True  # what it was told before, it does now that it goes on: it ended
            if self._clock.mono() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
            if frozen and not _second(self._tree, place):
                self._tell(place, True)  # version 1 tries once per write: a process that just forked was missed

    def _stands(self, place: Place) -> bool:
        if _second(self._tree, place):
            return b"frozen 1" in self._tree.read(f"{place.unified}/cgroup.events").splitlines()
        state = self._tree.read(f"{place.freezer}/freezer.state").strip()
        return state == b"FROZEN"

    # ------------------------------------------------------------ fuse, reclaim, limit

    async def fuse(self, container: Container, high: float) -> str:
        """Set memory.high, 0 for none. In a thread: below what it uses now the kernel first takes what it can."""
        place = self._ready("fuse", container)
        file = f"{place.memory}/memory.high"
        value = str(int(high)) if high > 0 else "max"
        try:
            before = self._tree.read(file).decode("ascii", "replace").strip()
            with suppress(_Late):  # it is set before the kernel begins to take memory back
                await self._blocking(container.id, STANDS, lambda: self._tree.write(file, value.encode()))
            return before
        except OSError as err:
            raise _refused(err, "the fuse could not be set") from err
        finally:
            self._tree.forget(place.folders())

    async def reclaim(self, container: Container, wanted: float, within: float) -> float:
        """Let the kernel take memory back, piece by piece; the bytes it gave. A partial success is none to complain
        about."""
        place = self._ready("reclaim", container)
        end = self._clock.mono() + within
        usage, file = f"{place.memory}/memory.current", f"{place.memory}/memory.reclaim"
        got, idle = 0.0, 0
        try:
            while wanted - got >= 1 and self._clock.mono() < end and idle < 2:
                piece = min(PIECE, wanted - got)
                before = float(self._tree.read(usage))
                try:
                    text = str(int(piece)).encode()
                    left = end - self._clock.mono()
                    await self._blocking(container.id, left, lambda text=text: self._tree.write(file, text))  # type: ignore[misc]
                    given = piece
                except _Late:
                    return got + max(0.0, before - float(self._tree.read(usage)))
                except OSError as err:
                    if err.errno not in (errno.EAGAIN, errno.EINTR):
                        raise
                    given = min(piece, max(0.0, before - float(self._tree.read(usage))))
                got += given
                idle = idle + 1 if given < piece / 2 else 0
            return got
        except OSError as err:
            raise _refused(err, "no memory could be taken back") from err
        finally:
            self._tree.forget(place.folders())

    async def raise_limit(self, container: Container, limit: float) -> str:
        """Set its memory limit; what stood there before."""
        place = self._ready("raise-limit", container)
        first = place.version == 1
        file = f"{place.memory}/memory.{'limit_in_bytes' if first else 'max'}"
        try:
            found = groups.read(self._tree, place)
            before = self._tree.read(file).decode("ascii", "replace").strip()
            if not found.limit:
                raise GroupError("it has no limit that could be raised")
            if limit < max(found.limit, found.usage):
                raise GroupError(
                    f"a limit is never lowered: it has {found.limit:.0f} bytes and uses {found.usage:.0f}, "
                    f"and {limit:.0f} were wanted"
                )
            if first:
                self._raise_both(place, limit)
            self._tree.write(file, str(int(limit)).encode())
            return before
        except OSError as err:
            raise _refused(err, "its limit could not be raised") from err
        except ValueError as err:
            raise GroupError(f"the kernel's files about its memory do not read as expected: {err}") from err
        finally:
            self._tree.forget(place.folders())

    def _raise_both(self, place: Place, limit: float) -> None:
        """Version 1: the limit of memory and swap together may not be below that of memory alone."""
        file = f"{place.memory}/memory.memsw.limit_in_bytes"
        if self._tree.exists(file) and float(self._tree.read(file)) < limit:
            self._tree.write(file, str(int(limit)).encode())

    # ------------------------------------------------------------ page cache

    async def drop_cache(self, paths: tuple[str, ...], within: float) -> float:
        """Let the kernel forget the page cache of these files; the bytes that were gone through."""
        end = self._clock.mono() + within
        try:
            return await self._blocking("cache", within, lambda: self._drop(paths, lambda: self._clock.mono() >= end))
        except _Late:
            raise GroupError(
                f"the files were not gone through within {within:.0f} s; is what they lie on still there?"
            ) from None

    # ------------------------------------------------------------ inside

    def _place(self, container: Container) -> Place:
        """Where its groups are. NotFound where it does not run, GroupError where they cannot be seen, or are not
        plainly its own."""
        if container.pid <= 0 or not container.alive:
            raise NotFound(f"{container.name or container.id[:12]} does not run", 404)
        if not self._tree.exists(f"/proc/{container.pid}"):
            raise NotFound(f"{container.name or container.id[:12]} has ended, or its engine is on another machine", 404)
        place = groups.find(self._tree, container.pid, container.id)
        if place is None or not all(owned(folder, container.id) for folder in place.folders()):
            raise GroupError(UNSEEN)
        return place

    def _ready(self, verb: str, container: Container) -> Place:
        place = self._place(container)
        why = self._cannot(verb, container, place)
        if why:
            raise GroupError(why)
        return place

    def _cannot(self, verb: str, container: Container, place: Place) -> str:
        if place.version == 1 and verb in LACKS:
            return OLD.format(LACKS[verb])
        if verb in ("freeze", "thaw"):
            if container.status == "paused":
                return PAUSED.format(container.name)
            if not (place.unified or place.freezer):
                return "the kernel has no freezer for it"
            second = _second(self._tree, place)
            file = f"{place.unified}/cgroup.freeze" if second else f"{place.freezer}/freezer.state"
        elif place.version == 1:
            file = f"{place.memory}/memory.limit_in_bytes"
        else:
            file = f"{place.memory}/{_VERBS[verb]}"
        if not self._tree.exists(file):
            return f"this kernel is too old for it: it has no {file.rpartition('/')[2]}"
        return "" if self._tree.writable(file) else CLOSED

    async def _blocking(self, key: str, within: float, call: Callable[[], T]) -> T:
        """Run what may block in a thread. _Late where it takes longer: it goes on, and until it ended nothing more is
        begun for the same `key`."""
        if key in self._blocked:
            raise GroupError("the kernel is still busy with the call before; try again in a moment")
        self._blocked.add(key)

        def run() -> T:
            try:
                return call()
            finally:
                self._blocked.discard(key)

        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, run)
        except RuntimeError as err:
            self._blocked.discard(key)
            raise GroupError(f"no thread could be started for it ({err}); it can be tried again") from err
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # of one that nobody waits for
        try:
            return await asyncio.wait_for(asyncio.shield(future), max(0.0, within) + _LATE)
        except TimeoutError as err:
            if future.done():  # the kernel's own ETIMEDOUT
                raise
            raise _Late("the kernel is still busy with it") from err


def owned(folder: str, container_id: str) -> bool:
    """Whether a control group is this container's own: its name is the id, perhaps as systemd writes it."""
    name = folder.rstrip("/").rpartition("/")[2]
    whole = re.fullmatch(r"[0-9a-f]{64}", container_id) is not None
    return whole and re.fullmatch(rf"([a-z-]+-)?{container_id}(\.scope)?", name) is not None


def _second(tree: Tree, place: Place) -> bool:
    """Whether version 2's freezer is there for it. It is the better one: what it holds can still be killed."""
    return bool(place.unified) and tree.exists(f"{place.unified}/cgroup.freeze")


def _refused(err: OSError, what: str) -> GroupError | NotFound:
    """The kernel's no, as one sentence."""
    if err.errno in GONE:
        return NotFound(f"{what}: it has ended meanwhile", 404)
    if err.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return GroupError(f"{what}: {CLOSED}")
    if err.errno == errno.EBUSY:
        return GroupError(f"{what}: it uses more than that, and the kernel can take nothing back")
    return GroupError(f"{what}: the kernel says {err.strerror or err}")
