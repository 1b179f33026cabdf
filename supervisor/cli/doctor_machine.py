"""What `resurgam doctor` sees on the machine itself: control groups, rights, what can be done here, other killers.

From: /proc and /sys/fs/cgroup, through a Tree. To: findings, one line each, for `cli/doctor.py`. Needs no daemon and no
root; what may not be seen is said. Writes nothing but a pressure trigger, which ends with the open file.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from supervisor.clock import SystemClock
from supervisor.errors import UsageError
from supervisor.facts import MemorySource
from supervisor.kernel import pressure
from supervisor.kernel.groups import ROOT
from supervisor.kernel.host import MEMINFO, Machine
from supervisor.kernel.log import KernelLog
from supervisor.kernel.tree import Tree
from supervisor.kernel.watches import Cannot
from supervisor.units import speaker

WATCH_ONLY = "/etc/systemd/system/resurgam.service.d/watch-only.conf"
"""the drop-in that takes the rights away, where it is installed"""
TOLERANCE = 0.95
"""of the declared swap: what a file system keeps for itself is not missing"""
_DAC_OVERRIDE, _SYSLOG, _SYS_RESOURCE = 1, 34, 24
_KILLERS = {
    "earlyoom": (
        "kills the process with the highest oom_score when little memory is left: mostly the model, whoever leaks",
        "Spare the model: `oom_score_adj: -500` in its compose file, or `--avoid` with its process name for earlyoom.",
    ),
    "nohang": (
        "kills the process with the highest badness when little memory is left: mostly the model, whoever leaks",
        "Spare the model: `oom_score_adj: -500` in its compose file, or a @BADNESS_ADJ_RE_NAME line for it in "
        "nohang.conf.",
    ),
    "systemd-oomd": (
        "kills whole control groups where their slice asks for it (ManagedOOMSwap= or ManagedOOMMemoryPressure=kill)",
        "Look with `oomctl` whether it watches the slice of the containers; ManagedOOMPreference=avoid in the model's "
        "unit spares it.",
    ),
}
"""comm of a process -> what it does, and how the model is spared"""
_TOLD = ("--avoid", "--ignore")
"""words of earlyoom's command line that say somebody thought of it"""
_V2_BOOT = (
    "Start the machine with version 2 of control groups: systemd.unified_cgroup_hierarchy=1 on its kernel command line."
)

Level = Literal["ok", "note", "finding", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `note`: it is so, and nothing is wrong; `unknown`: it could not be seen. `cure`: what to do, or ''."""

    check: str
    level: Level
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Rights:
    """Who a process is and what it may: of the daemon where one runs, else of ourselves."""

    uid: int
    capabilities: int
    whose: str
    """the daemon | this command"""

    def has(self, capability: int) -> bool:
        """Whether it has this capability, by its number."""
        return bool(self.capabilities >> capability & 1)

    @property
    def writes_groups(self) -> bool:
        """Whether it may write the files of control groups, which are root's."""
        return self.uid == 0 or self.has(_DAC_OVERRIDE)


def rights_of(tree: Tree, pid: int, whose: str) -> Rights | None:
    """The rights of a process; None where they cannot be seen."""
    path = f"/proc/{pid or 'self'}/status"
    try:
        lines = tree.read(path).decode("ascii", "replace").split("\n")
        tree.forget((path,))
        fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
        return Rights(int(fields["Uid"][1]), int(fields["CapEff"][0], 16), whose)
    except (OSError, KeyError, ValueError, IndexError):
        return None


def groups(tree: Tree) -> tuple[int, Finding]:
    """(the version of the memory controller: 2, 1 or 0 for none, what is said of it)"""
    controllers = _text(tree, f"{ROOT}/cgroup.controllers").split()
    if "memory" in controllers:
        return 2, Finding("control groups", "ok", "version 2")
    if tree.exists(f"{ROOT}/memory/memory.usage_in_bytes"):
        both = tree.exists(f"{ROOT}/unified/cgroup.controllers")
        beside = ", with an empty version 2 beside it, which tells the pressure of each container" if both else ""
        return 1, Finding("control groups", "note", f"version 1{beside}", _V2_BOOT)
    return 0, Finding("control groups", "unknown", "none with a memory controller are seen here")


def rights(found: Rights | None, watch_only: bool) -> Finding:
    """Whether the daemon may hear and do what it is made for. `watch_only`: the drop-in is installed."""
    if found is None:
        return Finding("rights", "unknown", "the rights of the daemon could not be seen")
    lacks = [] if found.has(_SYSLOG) else ["CAP_SYSLOG (the kernel's log)"]
    lacks += [] if found.has(_SYS_RESOURCE) else ["CAP_SYS_RESOURCE (pressure within half a second)"]
    lacks += [] if found.writes_groups else ["CAP_DAC_OVERRIDE (writing control groups)"]
    if not lacks:
        return Finding("rights", "ok", f"{found.whose} has every right that memory needs")
    text = f"{found.whose} has no {', no '.join(lacks)}"
    if watch_only:
        return Finding("rights", "note", f"{text}: {WATCH_ONLY} wants it so", f"Take {WATCH_ONLY} away to have them.")
    if found.whose == "the daemon" and found.has(_SYSLOG) and found.writes_groups:
        return Finding("rights", "note", f"{text}: two seconds it is", "In a container: --cap-add SYS_RESOURCE.")
    if found.whose != "the daemon":
        more = "" if found.uid == 0 else "Run this as root, or beside a running daemon, to see more."
        return Finding("rights", "note", text, more)
    cure = "Take AmbientCapabilities= and CapabilityBoundingSet= from the shipped systemd/resurgam.service."
    return Finding("rights", "finding", text, cure)


def verbs(version: int, found: Rights | None, weights: bool) -> tuple[Finding, ...]:
    """Which verbs about memory can work here. `weights`: some service names the files of its model."""
    writes = found is None or found.writes_groups
    said = []
    for name, least in (("freeze, thaw", 1), ("raise-limit", 1), ("fuse, unfuse", 2), ("reclaim", 2)):
        if version < least:
            what = "version 2 of control groups" if version else "control groups with a memory controller"
            said.append(Finding(name, "note", f"cannot work here: that needs {what}"))
        elif not writes:
            said.append(Finding(name, "note", "cannot work: control groups may not be written (see rights)"))
        else:
            said.append(Finding(name, "ok", "can work"))
    if weights:
        said.append(Finding("drop-cache", "ok", "can work for the services with `weights:`"))
    else:
        text = "does nothing: no service names the files of its model"
        said.append(
            Finding(
                "drop-cache", "note", text, "Say `weights: [/path/of/its/model]` for a model server, under services:."
            )
        )
    return tuple(said)


def killers(tree: Tree) -> tuple[Finding, ...]:
    """The other programs here that kill for want of memory, by the name of their process."""
    found = []
    try:
        numbers = sorted(int(name) for name in tree.names("/proc") if name.isdigit())
    except OSError:
        return ()
    for pid in numbers:
        name = _text(tree, f"/proc/{pid}/comm").strip()
        if name not in _KILLERS:
            continue
        does, cure = _KILLERS[name]
        words = _text(tree, f"/proc/{pid}/cmdline").split("\0")
        told = name == "earlyoom" and any(word.startswith(_TOLD) for word in words)
        level: Level = "note" if told or name == "systemd-oomd" else "finding"
        text = f"{name} runs (pid {pid}) and {does}" + ("; it was told what to avoid" if told else "")
        found.append(Finding("another killer", level, text, "" if told else cure))
    return tuple(found) or (Finding("another killer", "ok", "no earlyoom, nohang or systemd-oomd runs here"),)


def swap(declared: float, total: float) -> Finding:
    """Whether the swap is there that was declared. Bytes."""
    say = speaker((declared,))
    there = f"there are {say(total)} of swap" if total else "there is no swap"
    if not declared:
        return Finding("swap", "ok", f"{there}, and none is declared")
    said = f"{there}, and {say(declared)} are declared"
    if total >= declared * TOLERANCE:
        return Finding("swap", "ok", said)
    cure = "See /proc/swaps and /etc/fstab, and turn it on with `swapon -a`; or change `memory: swap:`."
    return Finding("swap", "finding", said, cure)


def of_sources(sources: Sequence[MemorySource]) -> tuple[Finding, ...]:
    """What each way to hear about memory says. One that nobody can do anything about is no finding."""
    found = []
    for one in sources:
        level: Level = "ok" if one.live else ("finding" if one.cure else "note")
        found.append(Finding(f"source {one.name}", level, one.text, one.cure))
    return tuple(found)


def sources(
    tree: Tree,
    machine: Machine,
    arm: Callable[[str], pressure.Armed | Cannot] = pressure.arm,
    log: Callable[[], Cannot | None] | None = None,
) -> tuple[MemorySource, ...]:
    """How it would hear about memory, tried by ourselves, with our own rights: for where no daemon answers. `log`: why
    the kernel's log cannot be read, None if it can."""
    if not tree.exists(MEMINFO):
        return (MemorySource("machine", False, "This is no Linux; what this system tells, only the daemon reads."),)
    found = []
    for name, read in (("meminfo", machine.meminfo), ("vmstat", machine.vmstat), ("swaps", machine.swaps)):
        try:
            read()
            found.append(MemorySource(name, True, "It can be read."))
        except (UsageError, OSError) as err:
            found.append(MemorySource(name, False, str(err)))
    armed = arm(pressure.MACHINE)
    if isinstance(armed, Cannot):
        found.append(MemorySource("pressure", False, armed.text, armed.cure))
    else:
        os.close(armed.number)
        found.append(MemorySource("pressure", True, f"It tells within {armed.spec.window / 1e6:g} s."))
    why = (log or _try_log)()
    if why is None:
        found.append(MemorySource("kernel-log", True, "It can be read."))
    else:
        found.append(MemorySource("kernel-log", False, why.text, why.cure))
    return tuple(found)


def _try_log() -> Cannot | None:
    async def tried() -> Cannot | None:
        log = KernelLog(SystemClock())
        why = log.open()
        log.close()
        return why

    return asyncio.run(tried())


def watches_only(drop_in: str = WATCH_ONLY) -> bool:
    """Whether the drop-in that takes the rights away is installed."""
    return Path(drop_in).exists()


def _text(tree: Tree, path: str) -> str:
    """A small file, '' where it is not to be read; let go of at once."""
    try:
        raw = tree.read(path)
    except OSError:
        return ""
    tree.forget((path,))
    return raw.decode("utf-8", "replace")
