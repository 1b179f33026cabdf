"""Kills for want of memory, told by the kernel: what the groups of containers count, and the kernel's log.

From: kernel/watches (version 2: inotify on memory.events; version 1: an eventfd of memory.oom_control) and kernel/log.
To: the core, as OomSeen, and as a call to read the memory now. Each source may tell of a kill once: services/ takes its
second word for a second kill. So while `events` is live the memory watch, which reads the same counters, leaves that to
us, and a container whose group cannot be watched is read once a second instead.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping

from supervisor.clock import Clock
from supervisor.facts import OomSeen
from supervisor.kernel.groups import NO_LIMIT, Place
from supervisor.kernel.log import KernelLog, Line
from supervisor.kernel.oomlines import Kill, OomLines, container_of
from supervisor.kernel.tree import Tree
from supervisor.kernel.watches import IN_IGNORED, IN_Q_OVERFLOW, Cannot, Inotify, Ready, group_events, refused
from supervisor.kernel.words import pairs
from supervisor.ports import Submit
from supervisor.signals.memory.sources import Groups, Key, PerGroup, Source
from supervisor.units import plain

LOOKS = (0.002, 0.01, 0.05, 0.25, 1.0, 2.0)
"""seconds after a version 1 group met its limit: when it is looked whether something was killed"""
_SCARCE = ("high", "max", "oom")
"""counters of memory.events that say: memory gets scarce in it"""
CALM = 0.5
"""seconds in which one container that stands at its limit or fuse, maybe for hours, wakes nobody twice"""

Counts = Mapping[str, int]


class Events(PerGroup):
    """What the groups of containers count. One inotify for all of version 2; version 1 has an eventfd for each, which
    tells a moment before the kill, so that the counter is read again until it was one."""

    name = "events"

    def __init__(self, clock: Clock, submit: Submit, wake: Callable[[], None], tree: Tree) -> None:
        super().__init__(clock)
        self._submit, self._wake, self._tree = submit, wake, tree
        self._files: dict[Key, str] = {}
        self._counts: dict[Key, Counts] = {}
        self._inotify: tuple[Inotify, Ready] | None = None
        self._names: dict[int, Key] = {}
        self._looks: dict[Key, asyncio.TimerHandle] = {}
        self._woke: dict[Key, float] = {}

    def step(self, now: float, groups: Groups) -> None:
        # the machine's own group is left out: it counts what its containers count
        groups = {key: place for key, place in groups.items() if key.container_id}
        super().step(now, groups)
        for key in [key for key in self._counts if key not in groups]:
            del self._counts[key], self._files[key]
            self._woke.pop(key, None)
        for key in [key for key in self._counts if groups[key].version == 1 or key in self._failed]:
            with contextlib.suppress(OSError):  # it is gone: its own watch says so
                if self._read(key, met=key in self._looks):
                    self._no_more_looks(key)

    def arm(self, key: Key, place: Place) -> Ready | Cannot | None:
        first = place.version == 1
        file = f"{place.memory}/memory.{'oom_control' if first else 'events'}"
        try:
            if key not in self._counts:
                self._counts[key], self._files[key] = counts(self._tree.read(file)), file
            return self._first(key, place) if first else self._second(key, file)
        except OSError as err:
            return refused(err, file)

    def close(self) -> None:
        super().close()
        self._counts.clear()
        self._files.clear()
        if self._inotify is not None:
            self._inotify[1].close()
            self._inotify = None

    def dropped(self, key: Key) -> None:
        self._no_more_looks(key)
        for name in [name for name, owner in self._names.items() if owner == key]:
            del self._names[name]
            if self._inotify is not None:
                self._inotify[0].remove(name)

    def gives(self) -> str:
        return f"Tells when a container meets its limit and when something in it was killed; {self.counted()}."

    # ------------------------------------------------------------ version 1

    def _first(self, key: Key, place: Place) -> Ready | Cannot:
        made = group_events(place.memory, "memory.oom_control", [""])
        if isinstance(made, Cannot):
            return made

        def happened(number: int) -> bool:
            os.eventfd_read(number)
            if not self._read(key, met=True):
                self._look_again(key, 0)
            self._scarce(key)
            return True

        return Ready(made, happened, self.lost(key))

    def _look_again(self, key: Key, number: int) -> None:
        """It met its limit, and nothing is counted yet. (Where it is gone before that, others tell: to say that nothing
        was killed would be a guess.)"""
        self._no_more_looks(key)

        def look() -> None:
            self._looks.pop(key, None)
            with contextlib.suppress(OSError):  # it is gone
                if self._read(key, met=True):
                    return
                if number + 1 < len(LOOKS):
                    self._look_again(key, number + 1)
                elif self._counts[key].get("under_oom") and self._counts[key].get("oom_kill_disable"):
                    self._tell(key, 0, "memcg")

        before = LOOKS[number - 1] if number else 0.0
        self._looks[key] = asyncio.get_running_loop().call_later(LOOKS[number] - before, look)

    def _no_more_looks(self, key: Key) -> None:
        look = self._looks.pop(key, None)
        if look is not None:
            look.cancel()

    # ------------------------------------------------------------ version 2

    def _second(self, key: Key, file: str) -> Ready | Cannot | None:
        """All share one watch, so there is none for each."""
        if self._inotify is None:
            inotify = Inotify()
            self._inotify = inotify, Ready(inotify.number, self._told, self._all_gone)
        self._names[self._inotify[0].add(file)] = key
        return None

    def _told(self, _number: int) -> bool:
        assert self._inotify is not None
        news = self._inotify[0].take()
        keys = [key for name, mask in news if mask & IN_Q_OVERFLOW or name in self._names for key in self._named(name)]
        for name, mask in news:
            if mask & IN_IGNORED:
                self._names.pop(name, None)
        new = False
        for key in dict.fromkeys(keys):
            before = self._counts.get(key, {})
            with contextlib.suppress(OSError):  # it is gone
                self._read(key)
            now = self._counts.get(key, {})
            new = new or now != before
            if any(now.get(word, 0) > before.get(word, 0) for word in _SCARCE):
                self._scarce(key)
        return new

    def _scarce(self, key: Key) -> None:
        now = self._clock.mono()
        if now - self._woke.get(key, float("-inf")) > CALM:
            self._woke[key] = now
            self._wake()

    def _named(self, name: int) -> list[Key]:
        """The container of a watch; all of them where the kernel lost count (-1)."""
        return [self._names[name]] if name in self._names else list(self._names.values())

    def _all_gone(self, why: Cannot) -> None:
        self._inotify = None
        self._names.clear()
        self.off(why, self._clock.mono())

    # ------------------------------------------------------------ both

    def counted(self) -> str:
        count = len(self.watches)
        said = f"{count} container{'' if count == 1 else 's'}"
        return f"{said}; {len(self._failed)} can only be looked at once a second" if self._failed else said

    def _read(self, key: Key, met: bool = False) -> bool:
        """Read what it counts; whether something was killed since the last look. OSError when it is gone. `met`: it is
        known that a limit was met."""
        before, now = self._counts[key], counts(self._tree.read(self._files[key]))
        self._counts[key] = now
        kills = now.get("oom_kill", 0) - before.get("oom_kill", 0)
        if kills > 0:
            self._wake()
            # version 2 counts `oom` where its own limit was met; a kill without one was the machine's, or a parent's
            own = (met and self._limited(key)) or now.get("oom", 0) > before.get("oom", 0)
            self._tell(key, kills, "memcg" if own else "")
        return kills > 0

    def _limited(self, key: Key) -> bool:
        """Whether it has a limit of its own (version 1): what was met may be that of a group around it."""
        with contextlib.suppress(OSError, ValueError):  # it is gone
            return int(self._tree.read(f"{self._files[key].rpartition('/')[0]}/memory.limit_in_bytes")) < NO_LIMIT
        return False

    def _tell(self, key: Key, kills: int, constraint: str) -> None:
        if self._cannot is not None:
            return  # not live: the memory watch tells of these counters
        at, mono = self._clock.wall(), self._clock.mono()
        self._submit(OomSeen(at, mono, "events", key.container_id, constraint=constraint, kills=kills))


class Log(Source):
    """The kernel's log: who was killed, where, and why."""

    name = "kernel-log"

    def __init__(self, clock: Clock, submit: Submit, wake: Callable[[], None], tree: Tree, log: KernelLog) -> None:
        super().__init__()
        self._clock, self._submit, self._wake, self._tree, self._log = clock, submit, wake, tree, log
        self._lines = OomLines()
        self._stamp = 0.0
        log.listen(self._heard, self._missed)

    def step(self, now: float, groups: Groups) -> None:
        if self._log.live:
            return
        why = self._log.gone if self._cannot is None else self._log.open()
        if why is not None:
            self.off(why, now)
        else:
            self._cannot = None

    def close(self) -> None:
        self._log.close()

    def gives(self) -> str:
        lost = self._log.overruns
        more = f" It was written faster than it could be read {lost} times." if lost else ""
        return f"Tells which process was killed, in which control group, and by which limit.{more}"

    def _heard(self, line: Line) -> None:
        kill = self._lines.feed(line.raw, line.stamp)
        if kill is not None:
            self._tell(kill, line.at, line.mono)

    def _missed(self) -> None:
        for kill in self._lines.lost():
            self._tell(kill, self._clock.wall(), self._clock.mono())

    def _tell(self, kill: Kill, at: float, mono: float) -> None:
        container = kill.container_id or ("" if kill.group else self._where(kill))
        self._submit(OomSeen(at, mono, "kernel-log", container, kill.pid, kill.process, kill.constraint, kill.limit_of))
        self._wake()

    def _where(self, kill: Kill) -> str:
        """The container of a victim whose group the kernel did not name (it kills more than it tells of): looked up
        while the process is still there, if it is the same one by its name."""
        base = f"/proc/{kill.pid}"
        try:
            name = self._tree.read(f"{base}/comm").removesuffix(b"\n").decode("utf-8", "replace")
            if plain(name, 60) != kill.process:
                return ""
            lines = self._tree.read(f"{base}/cgroup").decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        finally:
            self._tree.forget((f"{base}/",))
        return next(filter(None, (container_of(line.split(":", 2)[-1]) for line in lines)), "")


def counts(raw: bytes) -> Counts:
    """The counters of memory.events and memory.oom_control, by name."""
    return {name.decode("ascii", "replace"): int(value) for name, value in pairs(raw).items() if value.isdigit()}
