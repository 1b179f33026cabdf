"""The simulated kernel's files as text: /proc, and both versions of control groups, in the kernel's own words.

From: group.py. To: sim.py, which serves them under their paths. Pure. The shapes were copied from a
6.18 kernel (version 1, and the version 2 part of a hybrid host) and a 6.12 one (version 2).
"""

import math
from collections.abc import Mapping

from supervisor.lab.kernel.group import SimGroup, Stall

PAGE = 4096
NO_LIMIT = 9223372036854771712
"""what version 1 shows for none"""


def lines(pairs: Mapping[str, object]) -> str:
    """`name value` per line."""
    return "".join(f"{name} {value}\n" for name, value in pairs.items())


def number(value: float) -> int:
    """Bytes, whole pages of them: the kernel charges nothing smaller."""
    return int(value) // PAGE * PAGE


def limit(value: float, version: int) -> str:
    """A limit as its file shows it."""
    if version == 1:
        return f"{min(number(value), NO_LIMIT) if math.isfinite(value) else NO_LIMIT}\n"
    return f"{number(value)}\n" if math.isfinite(value) else "max\n"


def meminfo(fields: Mapping[str, float]) -> str:
    """/proc/meminfo."""
    return "".join(f"{name + ':':<16}{int(value) // 1024:>8} kB\n" for name, value in fields.items())


def swaps(size: float, used: float) -> str:
    """/proc/swaps, with one swap file if there is any."""
    head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    if size <= 0:
        return head
    return f"{head}/swapfile                               file\t\t{int(size) // 1024}\t{int(used) // 1024}\t\t-2\n"


def pressure(stall: Stall) -> str:
    """`memory.pressure`, of a group or of the machine."""

    def line(word: str, seconds: float, share: float) -> str:
        averages = " ".join(f"avg{window}={value * share:.2f}" for window, value in sorted(stall.averages.items()))
        return f"{word} {averages} total={round(seconds * 1e6)}\n"

    return line("some", stall.some, 1.0) + line("full", stall.full, 0.8)


def stat_v1(group: SimGroup) -> str:
    """Version 1's memory.stat: of the group alone, and once more with everything below it."""

    def part(prefix: str, of: Mapping[str, float], refaults: float) -> dict[str, int]:
        cache = of["file"] + of["locked"] + of["shmem"]
        return {
            f"{prefix}cache": number(cache),
            f"{prefix}rss": number(of["anon"]),
            f"{prefix}rss_huge": 0,
            f"{prefix}shmem": number(of["shmem"]),
            f"{prefix}mapped_file": number(of["locked"] + of["shmem"]),
            f"{prefix}dirty": 0,
            f"{prefix}writeback": 0,
            f"{prefix}workingset_refault_anon": 0,
            f"{prefix}workingset_refault_file": int(refaults),
            f"{prefix}swap": number(of["swap"]),
            f"{prefix}swapcached": 0,
            f"{prefix}pgmajfault": int(refaults),
            f"{prefix}inactive_anon": number(of["anon"] + of["shmem"]),
            f"{prefix}active_anon": 0,
            f"{prefix}inactive_file": number(of["file"]),
            f"{prefix}active_file": 0,
            f"{prefix}unevictable": number(of["locked"]),
        }

    limits = {
        "hierarchical_memory_limit": int(limit(min(one.limit for one in group.above()), 1)),
        "hierarchical_memsw_limit": int(limit(min(one.memsw for one in group.above()), 1)),
    }
    whole = {kind: group.total(kind) for kind in group.pages}
    refaults = math.fsum(one.refaults for one in group.below())
    return lines(part("", group.pages, group.refaults) | limits | part("total_", whole, refaults))


def stat_v2(group: SimGroup) -> str:
    """Version 2's memory.stat; always with everything below it."""
    of = {kind: group.total(kind) for kind in group.pages}
    refaults = int(math.fsum(one.refaults for one in group.below()))
    shown = {
        "anon": number(of["anon"]),
        "file": number(of["file"] + of["locked"] + of["shmem"]),
        "kernel": number(of["kernel"] + of["slab"]),
        "kernel_stack": 0,
        "pagetables": 0,
        "sec_pagetables": 0,
        "percpu": 0,
        "sock": 0,
        "vmalloc": 0,
        "shmem": number(of["shmem"]),
        "zswap": 0,
        "zswapped": 0,
        "file_mapped": number(of["locked"] + of["shmem"]),
        "file_dirty": 0,
        "file_writeback": 0,
        "swapcached": 0,
        "inactive_anon": number(of["anon"] + of["shmem"]),
        "active_anon": 0,
        "inactive_file": number(of["file"]),
        "active_file": 0,
        "unevictable": number(of["locked"]),
        "slab_reclaimable": number(of["slab"]),
        "slab_unreclaimable": number(of["kernel"]),
        "slab": number(of["kernel"] + of["slab"]),
        "workingset_refault_anon": 0,
        "workingset_refault_file": refaults,
        "pgfault": refaults,
        "pgmajfault": refaults,
    }
    return lines(shown)


def events_v2(group: SimGroup, *, local: bool = False) -> str:
    """memory.events; `local`: memory.events.local."""
    groups = [group] if local else list(group.below())
    return lines({name: math.trunc(math.fsum(one.events[name] for one in groups)) for name in group.events})


def spread(group: SimGroup, nodes: int) -> dict[int, float]:
    """NUMA node -> its part of a group's memory."""
    return {node: group.load.nodes.get(node, 0.0) if group.load.nodes else 1 / nodes for node in range(nodes)}


def numa_v1(group: SimGroup, nodes: int) -> str:
    """Version 1's memory.numa_stat: pages."""
    rows = []
    for prefix, groups in (("", [group]), ("hierarchical_", list(group.below()))):
        for word, kinds in (("total", _ALL), ("file", _FILE), ("anon", ("anon",)), ("unevictable", ("locked",))):
            on = dict.fromkeys(range(nodes), 0)
            for one in groups:
                for node, share in spread(one, nodes).items():
                    on[node] += int(math.fsum(one.pages[kind] for kind in kinds) * share) // PAGE
            whole = math.trunc(math.fsum(on.values()))
            rows.append(f"{prefix}{word}={whole} " + " ".join(f"N{node}={value}" for node, value in on.items()))
    return "\n".join(rows) + "\n"


def numa_v2(group: SimGroup, nodes: int) -> str:
    """Version 2's memory.numa_stat: bytes."""
    rows = []
    kinds = {"anon": ("anon",), "file": _FILE, "shmem": ("shmem",), "unevictable": ("locked",)}
    for word, of in kinds.items():
        on = dict.fromkeys(range(nodes), 0.0)
        for one in group.below():
            for node, share in spread(one, nodes).items():
                on[node] += math.fsum(one.pages[kind] for kind in of) * share
        rows.append(f"{word} " + " ".join(f"N{node}={number(value)}" for node, value in on.items()))
    return "\n".join(rows) + "\n"


_FILE = ("file", "locked", "shmem")
_ALL = (*_FILE, "anon")


def oom_log(group: SimGroup, limit_of: SimGroup, pid: int, task: str) -> list[str]:
    """What the kernel log says of a kill (without the record's own head)."""
    path = group.path or "/"
    if limit_of.parent is None:
        scope, head = "constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom", "Out of memory"
    else:
        scope = f"constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={limit_of.path}"
        head = "Memory cgroup out of memory"
    amounts = f"total-vm:{int(group.own) // 1024}kB, anon-rss:{int(group.pages['anon']) // 1024}kB"
    rest = f"file-rss:{int(group.pages['file']) // 1024}kB, shmem-rss:{int(group.pages['shmem']) // 1024}kB"
    return [
        f"oom-kill:{scope},task_memcg={path},task={task},pid={pid},uid=0",
        f"{head}: Killed process {pid} ({task}) {amounts}, {rest}, UID:0 pgtables:0kB oom_score_adj:{group.score}",
    ]
