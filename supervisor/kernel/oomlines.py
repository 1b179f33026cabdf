r"""What the kernel writes to its log when it kills for want of memory, understood. Pure.

From: kernel/log.py, one message after another, in the order of the log, as bytes. To: signals/memory/kills.py.
One kill is told in two lines: `oom-kill:…` says which control group and why, `Killed process …` that it was done. The
first one is left out where there are many (the kernel's rate limit); the second one is not.

A process calls itself what it likes (15 bytes: commas, `)`, line ends), and so does a control group (no `/`, no line
end). So nothing is searched for anywhere in a line: it is read from both ends by what only the kernel can have written.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from supervisor.units import plain

Constraint = Literal["memcg", "none", "cpuset", "policy", ""]

_CONSTRAINTS: dict[bytes, Constraint] = {
    b"CONSTRAINT_MEMCG": "memcg",
    b"CONSTRAINT_NONE": "none",
    b"CONSTRAINT_CPUSET": "cpuset",
    b"CONSTRAINT_MEMORY_POLICY": "policy",
}
_CHOSEN = re.compile(
    rb"oom-kill:constraint=([A-Z_]+),nodemask=(?:\(null\)|[0-9,-]*),cpuset=(?:/(?=,))?([^/]*)(/.*)", re.S
)
_VICTIM = re.compile(rb"(.*?),task=(.{0,15}),pid=([0-9]{1,10}),uid=[0-9]+", re.S)
_MESSAGE = rb"(Out of memory|Memory cgroup out of memory)(?: \([a-z_]+\))?: "
_KILLED = re.compile(
    _MESSAGE + rb"Killed process ([0-9]{1,10}) \((.{0,15})\)(?: total-vm:|, UID [0-9]+, total-vm:)[0-9]+kB, .*", re.S
)
_SPARED = re.compile(_MESSAGE + rb"OOM victim ([0-9]{1,10}) \(.{0,15}\) is already exiting\. .*", re.S)
_GROUP = re.compile(rb"Tasks in (/.*) are going to be killed due to memory\.oom\.group set", re.S)
_ID = re.compile(r"(?:(?:docker|cri-containerd|crio|libpod)-)?([0-9a-f]{64})(?:\.scope)?")

_TOGETHER = 5.0
"""seconds within which the two lines of a kill come: a slow console holds the second one up"""
_AT_ONCE = 1.0
"""seconds within which everything in a group is killed (memory.oom.group)"""
_MOST = 64
"""kills that are remembered"""


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that the kernel killed. `stamp`: seconds since the boot, by the log's own clock."""

    stamp: float
    pid: int
    process: str
    """its command name, made fit to be shown"""
    constraint: Constraint = ""
    group: str = ""
    """the path of its control group; '' where the kernel did not say"""
    limit_of: str = ""
    """the path of the control group whose limit was met"""

    @property
    def container_id(self) -> str:
        """The container it was in; '' where that is not said, or it was in none."""
        return container_of(self.group)


def container_of(group: str) -> str:
    """The id of the container in the path of a control group: `/docker/ID`, `…/docker-ID.scope`, `…/kubepods/…/ID`.
    The outermost counts: what is below it was named by the container itself. '' for none."""
    for part in group.split("/"):
        match = _ID.fullmatch(part.rpartition(":")[2])
        if match:
            return match[1]
    return ""


class OomLines:
    """Puts the lines of one kill together. Give it every kernel message, in order."""

    def __init__(self) -> None:
        self._chosen: dict[int, Kill] = {}
        """pid -> what the first line said, until the second one comes"""
        self._told: dict[int, float] = {}
        """pid -> stamp of kills that were told"""
        self._whole: tuple[str, float] = ("", 0.0)
        """a group of which everything is killed, and since when"""

    def feed(self, message: bytes, stamp: float) -> Kill | None:
        """One message of the kernel; the kill it completes, if any."""
        if message.startswith(b"oom-kill:"):
            chosen = _read_chosen(message, stamp)
            self._whole = ("", 0.0)
            if chosen is not None:
                self._chosen[chosen.pid] = chosen
                _shrink(self._chosen)
        elif message.startswith(b"Tasks in /"):
            match = _GROUP.fullmatch(message)
            self._whole = (_path(match[1]), stamp) if match else self._whole
        elif message.startswith((b"Memory cgroup out of memory", b"Out of memory")):
            return self._done(message, stamp)
        return None

    def lost(self) -> tuple[Kill, ...]:
        """Lines were lost: the kills that were announced, and whose second line may be among them."""
        waiting = tuple(self._chosen.values())
        self._chosen.clear()
        self._told.update((kill.pid, kill.stamp) for kill in waiting)
        return waiting

    def _done(self, message: bytes, stamp: float) -> Kill | None:
        spared = _SPARED.fullmatch(message)
        if spared:
            self._chosen.pop(int(spared[2]), None)
            return None
        killed = _KILLED.fullmatch(message)
        if killed is None:
            return None
        pid = int(killed[2])
        if 0 <= stamp - self._told.get(pid, float("-inf")) <= _AT_ONCE:
            return None  # of a group, the first victim is told of twice
        self._told[pid] = stamp
        _shrink(self._told)
        chosen = self._chosen.pop(pid, None)
        if chosen is not None and stamp - chosen.stamp <= _TOGETHER:
            return chosen
        by_limit = killed[1].startswith(b"Memory cgroup")
        whole, since = self._whole
        group = whole if stamp - since <= _AT_ONCE else ""
        return Kill(stamp, pid, _name(killed[3]), "memcg" if by_limit else "", group)


def _read_chosen(message: bytes, stamp: float) -> Kill | None:
    """`oom-kill:constraint=…,nodemask=…,cpuset=…,mems_allowed=…,global_oom|oom_memcg=/…,task_memcg=/…,task=…,pid=…`."""
    head = _CHOSEN.fullmatch(message)
    if head is None:
        return None
    constraint, before, paths = head.groups()
    # the name of a cpuset has no `/`, so the first one begins a path, and what stands right before it says which
    if before.endswith(b",global_oom,task_memcg="):
        limit, rest = b"", paths
    elif before.endswith(b",oom_memcg="):
        limit, rest = _split(paths)
    else:
        return None
    victim = _VICTIM.fullmatch(rest)
    if victim is None:
        return None
    group, name, pid = victim.groups()
    why = _CONSTRAINTS.get(constraint, "")
    return Kill(stamp, int(pid), _name(name), why, _path(group), _path(limit))


def _split(paths: bytes) -> tuple[bytes, bytes]:
    """The two paths of `LIMIT,task_memcg=VICTIM…`: the victim is in the group whose limit it met, or below it, so that
    no name in them can pretend to be the other one."""
    mark = b",task_memcg="
    at = paths.find(mark)
    while at >= 0:
        limit, rest = paths[:at], paths[at + len(mark) :]
        if rest.startswith((limit + b"/", limit + b",task=")):
            return limit, rest
        at = paths.find(mark, at + 1)
    return b"", b""


def _name(raw: bytes) -> str:
    return plain(raw.decode("utf-8", "replace"), 60)


def _path(raw: bytes) -> str:
    return plain(raw.decode("utf-8", "replace"), 4096)


def _shrink(kept: dict[int, Any]) -> None:
    """Forget the oldest."""
    while len(kept) > _MOST:
        kept.pop(next(iter(kept)))
