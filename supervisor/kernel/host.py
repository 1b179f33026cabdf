"""The memory of the machine itself: sizes, counters, pressure, swap areas, NUMA nodes.

From: /proc and /sys/devices/system/node, through a Tree. To: signals/memory (every round) and signals/room, as
ports.Host. A control group can stand for the machine (settings.memory.group): one with a memory limit, in which
everything of ours lives. Then its limit is all there is, and nothing it says exceeds what the real machine has.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.errors import UsageError
from supervisor.kernel.groups import NO_LIMIT, Place, standing
from supervisor.kernel.pressure import MACHINE
from supervisor.kernel.tree import Tree
from supervisor.kernel.words import Words, pairs

MEMINFO, VMSTAT, SWAPS = "/proc/meminfo", "/proc/vmstat", "/proc/swaps"
NODES = "/sys/devices/system/node"
HIDDEN = "Where /proc is hidden from the daemon, give it the machine's own."
COUNTERS = ("oom_kill", "pswpin", "pswpout", "pgmajfault", "workingset_refault_file")
"""what is looked for in /proc/vmstat"""
_STAT = {
    "AnonPages": ("total_rss", "anon"),
    "Shmem": ("total_shmem", "shmem"),
    "Cached": ("total_cache", "file"),
    "Mapped": ("total_mapped_file", "file_mapped"),
    "Dirty": ("total_dirty", "file_dirty"),
    "Unevictable": ("total_unevictable", "unevictable"),
    "SReclaimable": ("", "slab_reclaimable"),
    "Active(anon)": ("total_active_anon", "active_anon"),
    "Inactive(anon)": ("total_inactive_anon", "inactive_anon"),
    "Active(file)": ("total_active_file", "active_file"),
    "Inactive(file)": ("total_inactive_file", "inactive_file"),
}
"""fields of /proc/meminfo that a group tells, too: its lines of memory.stat in version 1 and 2"""


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap area; sizes in bytes."""

    name: str
    size: float
    used: float


class Machine:
    """Implements ports.Host. `group`: the path of a control group that stands for the machine, below
    /sys/fs/cgroup/memory (version 1) or /sys/fs/cgroup; '' for the machine itself."""

    def __init__(self, tree: Tree, group: str = "") -> None:
        self._tree = tree
        self._group = _Stand(tree, group) if group else None
        self._nodes: tuple[int, ...] | None = None
        self._vmstat = Words(tuple(name.encode() for name in COUNTERS))

    def meminfo(self) -> Mapping[str, float]:
        """Every field of /proc/meminfo, in bytes; of a control group, those it has. UsageError where there is none."""
        try:
            found = parse(self._tree.read(MEMINFO))
        except OSError as err:
            raise UsageError(
                f"cannot read the machine's memory from {MEMINFO} ({err.strerror}). "
                "Memory and swap are watched on Linux and macOS only; containers are watched all the same."
            ) from err
        return found if self._group is None else self._group.meminfo(found)

    def vmstat(self) -> Mapping[str, float]:
        """COUNTERS of /proc/vmstat, since boot, of the whole machine; those this kernel does not have are left out.
        UsageError where there is none."""
        try:
            found = self._vmstat.pick(self._read(VMSTAT, HIDDEN))
        except ValueError as err:
            raise UsageError(f"{VMSTAT} does not read as the kernel writes it") from err
        there = zip(COUNTERS, found, self._vmstat.there, strict=True)
        return {name: value for name, value, is_there in there if is_there}

    def pressure(self) -> tuple[float, float]:
        """Seconds since boot in which (some, all) of what wanted to run waited for memory. UsageError where the kernel
        does not count them."""
        cure = "Start the kernel with psi=1 to have it."
        path = self._group.pressure if self._group is not None and self._group.pressure else MACHINE
        totals = {line[:4]: line for line in self._read(path, cure).split(b"\n") if line}
        try:
            some, full = (float(totals[kind].rpartition(b"total=")[2]) / 1e6 for kind in (b"some", b"full"))
        except (KeyError, ValueError) as err:
            raise UsageError(f"{path} does not read as the kernel writes it") from err
        return some, full

    def swaps(self) -> tuple[Swap, ...]:
        """The swap areas in use, largest first. UsageError where they cannot be read."""
        found = []
        for line in self._read(SWAPS, HIDDEN).split(b"\n")[1:]:
            words = line.split()
            if len(words) >= 4 and words[-2].isdigit() and words[-3].isdigit():
                name = words[0].decode("utf-8", "backslashreplace").replace("\\040", " ")
                found.append(Swap(name, float(words[-3]) * 1024, float(words[-2]) * 1024))
        return tuple(sorted(found, key=lambda one: (-one.size, one.name)))

    def nodes(self) -> Mapping[int, tuple[float, float]]:
        """NUMA node -> (total, free) bytes; empty with one node only, and where a group stands for the machine."""
        if self._nodes is None:
            self._nodes = self._online() if self._group is None else ()
        found: dict[int, tuple[float, float]] = {}
        for number in self._nodes if len(self._nodes) > 1 else ():
            try:
                raw = self._tree.read(f"{NODES}/node{number}/meminfo")
            except OSError:
                continue  # it was taken offline
            fields = parse(raw.replace(b"Node %d " % number, b""))
            if "MemTotal" in fields:
                found[number] = (fields["MemTotal"], fields.get("MemFree", 0.0))
        return found

    def _online(self) -> tuple[int, ...]:
        """Nodes that have memory: `0-1,4`."""
        for name in ("has_memory", "online"):
            try:
                raw = self._tree.read(f"{NODES}/{name}").decode("ascii", "replace").strip()
            except OSError:
                continue
            return tuple(number for span in raw.split(",") for number in _span(span))
        return ()

    def _read(self, path: str, cure: str) -> bytes:
        try:
            return self._tree.read(path)
        except OSError as err:
            raise UsageError(f"cannot read {path} ({err.strerror or type(err).__name__}). {cure}") from err


class _Stand:
    """The control group that stands for the machine."""

    def __init__(self, tree: Tree, group: str) -> None:
        self._tree, self._name = tree, group
        self._place: Place | None = None

    @property
    def pressure(self) -> str:
        """Its own pressure file; '' where it has none."""
        place = self._look()
        own = f"{place.unified}/memory.pressure" if place is not None and place.unified else ""
        return own if own and self._tree.exists(own) else ""

    def _look(self) -> Place | None:
        """Find it, once: it may be made after we began."""
        self._place = self._place or standing(self._tree, self._name)
        return self._place

    def meminfo(self, host: Mapping[str, float]) -> dict[str, float]:
        """What /proc/meminfo would say if the group were the machine. UsageError where it cannot be read."""
        try:
            place = self._look()
            if place is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            first = place.version == 1
            limit = self._number(place, "limit_in_bytes" if first else "max")
            usage = self._number(place, "usage_in_bytes" if first else "current")
            stat = {
                name.decode("ascii", "replace"): float(value)
                for name, value in pairs(self._tree.read(f"{place.memory}/memory.stat")).items()
                if value.isdigit()
            }
            swap_total, swap_free = self._swap(place, host, limit, usage)
        except (OSError, ValueError) as err:
            raise UsageError(
                f"memory.group {self._name} cannot be read ({getattr(err, 'strerror', None) or err}). Name a control "
                "group that exists and has a memory limit, as a path below /sys/fs/cgroup (version 1: below "
                "/sys/fs/cgroup/memory), or leave memory.group out."
            ) from err
        which = 0 if first else 1
        own = {field: stat[names[which]] for field, names in _STAT.items() if names[which] in stat}
        for kind in ("Active", "Inactive"):
            own[kind] = own.get(f"{kind}(anon)", 0.0) + own.get(f"{kind}(file)", 0.0)
        total = min(limit, host.get("MemTotal", limit))
        cache = own.get("Active(file)", 0.0) + own.get("Inactive(file)", 0.0) + own.get("SReclaimable", 0.0)
        held = max(0.0, usage - cache)
        return own | {
            "MemTotal": total,
            "MemFree": _between(total - usage, host.get("MemFree", total)),
            "MemAvailable": _between(total - held, host.get("MemAvailable", total)),
            "SwapTotal": swap_total,
            "SwapFree": swap_free,
        }

    def _swap(self, place: Place, host: Mapping[str, float], limit: float, usage: float) -> tuple[float, float]:
        """(total, free) swap. Version 1 limits memory and swap together."""
        total, free = host.get("SwapTotal", 0.0), host.get("SwapFree", 0.0)
        try:
            if place.version == 1:
                both = self._number(place, "memsw.limit_in_bytes")
                used = self._number(place, "memsw.usage_in_bytes") - usage
                allowed = both - limit if both < NO_LIMIT else both
            else:
                allowed, used = self._number(place, "swap.max"), self._number(place, "swap.current")
        except FileNotFoundError:
            return total, free  # swap is not accounted for on this kernel
        if allowed >= NO_LIMIT:
            return total, free
        total = _between(allowed, total)
        return total, _between(total - max(0.0, used), free)

    def _number(self, place: Place, file: str) -> float:
        raw = self._tree.read(f"{place.memory}/memory.{file}").strip()
        return float(NO_LIMIT) if raw == b"max" else float(raw)


def parse(raw: bytes) -> dict[str, float]:
    """Fields of /proc/meminfo in bytes. Lines that are none are left out."""
    found: dict[str, float] = {}
    for line in raw.decode("ascii", "replace").split("\n"):
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = float(words[0]) * (1024.0 if words[1:] == ["kB"] else 1.0)
    return found


def _between(value: float, most: float) -> float:
    return max(0.0, min(value, most))


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdigit() or not (last or first).isdigit():
        return range(0)
    return range(int(first), int(last or first) + 1)
