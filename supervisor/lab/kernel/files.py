"""Which files the simulated kernel has, and what they show.

From: sim.py (a path). To: text.py, and the groups. Version 1 has a tree per controller, version 2
one, and a hybrid host version 1's and a second one without controllers, in which a group can be frozen all the same.
"""

import errno
import math
import os
from collections.abc import Callable, Mapping

from supervisor.lab.kernel import text
from supervisor.lab.kernel.group import SimGroup
from supervisor.lab.kernel.machine import SimMachine, Version

FS = "/sys/fs/cgroup"
NODES = "/sys/devices/system/node"
Show = Callable[[SimMachine, SimGroup, float], str]
"""(machine, group, monotonic now) -> text"""


def no(number: int, path: str) -> OSError:
    """The kernel's no."""
    return OSError(number, os.strerror(number), path)


def trees(version: Version) -> tuple[str, ...]:
    """Where control groups are mounted."""
    if version == 2:
        return (FS,)
    controllers = (f"{FS}/memory", f"{FS}/freezer", f"{FS}/cpuacct")
    return (*controllers, f"{FS}/unified") if version == "hybrid" else controllers


def place(machine: SimMachine, path: str) -> tuple[str, SimGroup, str] | None:
    """(the tree, the group, the file's name or '' for the folder) that a path means; None if there is none such."""
    for tree in trees(machine.version):
        if path != tree and not path.startswith(f"{tree}/"):
            continue
        inside = path.removeprefix(tree).rstrip("/")
        if inside in machine.groups:
            return tree, machine.groups[inside], ""
        above, _, name = inside.rpartition("/")
        group = machine.groups.get(above)
        if group is not None and _has(_kind(machine, tree), name) and not (group is machine.root and name in _NOT_ROOT):
            return tree, group, name
    return None


def _has(kind: str, name: str) -> bool:
    return name in _SHOWN[kind] or name in WRITE_ONLY.get(kind, ())


def files(machine: SimMachine, tree: str, group: SimGroup) -> tuple[str, ...]:
    """The names of a group's files in this tree."""
    kind = _kind(machine, tree)
    hidden = _NOT_ROOT if group is machine.root else ()
    return tuple(sorted(name for name in (*_SHOWN[kind], *WRITE_ONLY.get(kind, ())) if name not in hidden))


def read(machine: SimMachine, path: str, now: float) -> str:
    """A file's text; OSError as the kernel raises it."""
    if path.startswith(("/proc/", f"{NODES}/")):
        return _machine(machine, path)
    found = place(machine, path)
    if found is None:
        raise no(errno.ENOENT, path)
    tree, group, name = found
    if not name:
        raise no(errno.EISDIR, path)
    show = _SHOWN[_kind(machine, tree)].get(name)
    if show is None:
        raise no(errno.EINVAL, path)
    return show(machine, group, now)


def names(machine: SimMachine, path: str) -> tuple[str, ...]:
    """What is in a folder."""
    path = path.rstrip("/")
    if path == NODES:
        return tuple(sorted((*(f"node{node}" for node in range(machine.nodes)), "online", "possible")))
    if path == FS and machine.version != 2:
        return tuple(sorted(tree.rpartition("/")[2] for tree in trees(machine.version)))
    found = place(machine, path)
    if found is None:
        raise no(errno.ENOENT, path)
    tree, group, name = found
    if name:
        raise no(errno.ENOTDIR, path)
    below = (child.path.rpartition("/")[2] for child in group.children)
    return tuple(sorted((*files(machine, tree, group), *below)))


def exists(machine: SimMachine, path: str) -> bool:
    """Whether it is there."""
    if path in (FS, NODES) or place(machine, path) is not None:
        return True
    if path.startswith("/proc/") and path[6:].isdigit():
        return any(group.pid == int(path[6:]) for group in machine.groups.values())
    try:
        return path.startswith(("/proc/", f"{NODES}/")) and _machine(machine, path) is not None
    except OSError:
        return False


# ---------------------------------------------------------------- what belongs to the machine


def _machine(machine: SimMachine, path: str) -> str:
    plain: Mapping[str, Callable[[], str]] = {
        "/proc/meminfo": lambda: text.meminfo(machine.meminfo()),
        "/proc/vmstat": lambda: text.lines(_vmstat(machine)),
        "/proc/swaps": lambda: text.swaps(machine.memory.get("SwapTotal", 0.0), _swapped(machine)),
        "/proc/pressure/memory": lambda: text.pressure(machine.root.stall),
        "/proc/self/cgroup": lambda: _cgroups(machine, "/"),
        "/proc/mounts": lambda: _mounts(machine),
        "/proc/self/mounts": lambda: _mounts(machine),
        f"{NODES}/online": lambda: f"0-{machine.nodes - 1}\n" if machine.nodes > 1 else "0\n",
        f"{NODES}/possible": lambda: f"0-{machine.nodes - 1}\n" if machine.nodes > 1 else "0\n",
    }
    if path in plain:
        return plain[path]()
    parts = path.split("/")
    if path.startswith(f"{NODES}/node") and len(parts) == 7 and parts[6] == "meminfo":
        number = parts[5].removeprefix("node")
        if number.isdigit() and int(number) < machine.nodes:
            return _node(machine, int(number))
    if len(parts) == 4 and parts[3] == "cgroup" and parts[2].isdigit():
        for group in machine.groups.values():
            if group.pid == int(parts[2]) > 0:
                return _cgroups(machine, group.path)
    raise no(errno.ENOENT, path)


def _vmstat(machine: SimMachine) -> Mapping[str, int]:
    refaults = math.fsum(group.refaults for group in machine.root.below())
    free = machine.meminfo().get("MemFree", 0.0)
    counted = {name: int(value) for name, value in machine.vmstat.items()}
    counted["pgmajfault"] += int(refaults)
    return {"nr_free_pages": int(free) // text.PAGE, **counted, "workingset_refault_file": int(refaults)}


def _swapped(machine: SimMachine) -> float:
    found = machine.meminfo()
    return found.get("SwapTotal", 0.0) - found.get("SwapFree", 0.0)


def _cgroups(machine: SimMachine, path: str) -> str:
    if machine.version == 2:
        return f"0::{path}\n"
    rows = ["9:name=systemd", "6:freezer", "4:memory", "2:cpuacct", "1:cpu"]
    rows += ["0:"] if machine.version == "hybrid" else []
    return "".join(f"{row}:{path}\n" for row in rows)


def _mounts(machine: SimMachine) -> str:
    rows = []
    for tree in trees(machine.version):
        kind = "cgroup2" if _kind(machine, tree) in ("v2", "unified") else "cgroup"
        word = "" if kind == "cgroup2" else f",{tree.rpartition('/')[2]}"
        rows.append(f"{kind} {tree} {kind} rw,nosuid,nodev,noexec,relatime{word} 0 0\n")
    return "proc /proc proc rw 0 0\n" + "".join(rows)


def _node(machine: SimMachine, node: int) -> str:
    total = machine.memory.get("MemTotal", 0.0) / machine.nodes
    if machine.declared:
        there = machine.system / machine.nodes + math.fsum(
            group.own * text.spread(group, machine.nodes)[node] for group in machine.root.below()
        )
        free = max(0.0, total - there)
    else:
        free = machine.memory.get("MemFree", machine.memory.get("MemAvailable", 0.0)) / machine.nodes
    fields = {"MemTotal": total, "MemFree": free, "MemUsed": total - free}
    return "".join(f"Node {node} {name + ':':<15}{int(value) // 1024:>9} kB\n" for name, value in fields.items())


# ---------------------------------------------------------------- what a group shows


def _kind(machine: SimMachine, tree: str) -> str:
    return "v2" if machine.version == 2 else tree.rpartition("/")[2]


def _oom_control(_machine: SimMachine, group: SimGroup, _now: float) -> str:
    return text.lines({"oom_kill_disable": 0, "under_oom": 0, "oom_kill": group.events["oom_kill"]})


def _freezer_state(_machine: SimMachine, group: SimGroup, now: float) -> str:
    if not any("v1" in one.freezers for one in group.above()):
        return "THAWED\n"
    return "FROZEN\n" if group.still("v1", now) else "FREEZING\n"


def _parent_freezing(_machine: SimMachine, group: SimGroup, _now: float) -> str:
    return f"{int(any('v1' in one.freezers for one in group.above() if one is not group))}\n"


def _events(_machine: SimMachine, group: SimGroup, now: float) -> str:
    populated = any(one.pid for one in group.below())
    return text.lines({"populated": int(populated), "frozen": int(group.still("v2", now))})


def _procs(_machine: SimMachine, group: SimGroup, _now: float) -> str:
    return f"{group.pid}\n" if group.pid else ""


_ANY: dict[str, Show] = {"cgroup.procs": _procs}
_FREEZE: dict[str, Show] = {
    "cgroup.freeze": lambda _machine, group, _now: f"{int('v2' in group.freezers)}\n",
    "cgroup.events": _events,
}
_PRESSURE: dict[str, Show] = {"memory.pressure": lambda _machine, group, _now: text.pressure(group.stall)}
_MEMORY_V1: dict[str, Show] = {
    "memory.usage_in_bytes": lambda _m, group, _now: f"{text.number(group.charge)}\n",
    "memory.memsw.usage_in_bytes": lambda _m, group, _now: f"{text.number(group.charge + group.total('swap'))}\n",
    "memory.kmem.usage_in_bytes": lambda _m, g, _now: f"{text.number(g.total('kernel') + g.total('slab'))}\n",
    "memory.limit_in_bytes": lambda _m, group, _now: text.limit(group.limit, 1),
    "memory.memsw.limit_in_bytes": lambda _m, group, _now: text.limit(group.memsw, 1),
    "memory.max_usage_in_bytes": lambda _m, group, _now: f"{text.number(group.peak)}\n",
    "memory.failcnt": lambda _m, group, _now: f"{group.failures}\n",
    "memory.stat": lambda _m, group, _now: text.stat_v1(group),
    "memory.numa_stat": lambda machine, group, _now: text.numa_v1(group, machine.nodes),
    "memory.oom_control": _oom_control,
}
_MEMORY_V2: dict[str, Show] = {
    "memory.current": lambda _m, group, _now: f"{text.number(group.charge)}\n",
    "memory.peak": lambda _m, group, _now: f"{text.number(group.peak)}\n",
    "memory.max": lambda _m, group, _now: text.limit(group.limit, 2),
    "memory.high": lambda _m, group, _now: text.limit(group.high, 2),
    "memory.swap.current": lambda _m, group, _now: f"{text.number(group.total('swap'))}\n",
    "memory.swap.max": lambda _m, group, _now: text.limit(group.swap_limit, 2),
    "memory.events": lambda _m, group, _now: text.events_v2(group),
    "memory.events.local": lambda _m, group, _now: text.events_v2(group, local=True),
    "memory.stat": lambda _m, group, _now: text.stat_v2(group),
    "memory.numa_stat": lambda machine, group, _now: text.numa_v2(group, machine.nodes),
    "cpu.stat": lambda _m, group, _now: f"usage_usec {round(group.age * group.cpu * 1e6)}\n",
}
_CONTROLLERS: dict[str, Show] = {
    "cgroup.controllers": lambda machine, _g, _now: "cpu io memory pids\n" if machine.version == 2 else "\n"
}
_SHOWN: dict[str, dict[str, Show]] = {
    "memory": _ANY | _MEMORY_V1,
    "freezer": _ANY | {"freezer.state": _freezer_state, "freezer.parent_freezing": _parent_freezing},
    "cpuacct": _ANY | {"cpuacct.usage": lambda _m, group, _now: f"{round(group.age * group.cpu * 1e9)}\n"},
    "unified": _ANY | _CONTROLLERS | _FREEZE | _PRESSURE,
    "v2": _ANY | _CONTROLLERS | _FREEZE | _PRESSURE | _MEMORY_V2,
}
WRITE_ONLY: dict[str, tuple[str, ...]] = {
    "memory": ("memory.force_empty", "cgroup.event_control"),
    "unified": ("cgroup.kill",),
    "v2": ("cgroup.kill", "memory.reclaim"),
}
_NOT_ROOT = (
    *_FREEZE,
    *(name for name in _MEMORY_V2 if name not in ("memory.stat", "memory.numa_stat", "cpu.stat")),
    "freezer.state",
    "freezer.parent_freezing",
    "cgroup.kill",
)
