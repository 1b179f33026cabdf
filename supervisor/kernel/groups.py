"""Where a container's control groups are, and its memory as they tell it: version 1, version 2, and both at once.

From: /proc/PID/cgroup and /sys/fs/cgroup, through a Tree. To: signals/memory (every round), kernel/hands, and
engines/docker (what a container uses). What counts is what nobody else can have: never the engine's own figure, which
takes mapped weights for nothing on one kernel and for everything on the next.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor.facts import GroupMemory
from supervisor.kernel.tree import Tree
from supervisor.kernel.words import Words, pairs

ROOT = "/sys/fs/cgroup"
NO_LIMIT = 1 << 60
"""version 1 writes about 2^63 where there is no limit"""
_V1 = (
    b"total_rss",
    b"total_shmem",
    b"total_cache",
    b"total_unevictable",
    b"total_active_anon",
    b"total_inactive_anon",
    b"total_inactive_file",
    b"total_swap",
)
_V2 = (
    b"anon",
    b"shmem",
    b"file",
    b"unevictable",
    b"active_anon",
    b"inactive_anon",
    b"inactive_file",
    b"kernel",
    b"slab_reclaimable",
    b"sock",
    b"kernel_stack",
    b"pagetables",
    b"percpu",
    b"slab_unreclaimable",
)
"""lines of memory.stat, in the order in which `Group` takes them apart"""


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one container's control group. '' where there is none."""

    memory: str
    """version 1: of the memory controller; version 2: the group itself"""
    freezer: str
    """version 1's freezer; with version 2 it is `cgroup.freeze` in `unified`"""
    unified: str
    """version 2; on a machine with both, a group without controllers, but with its own pressure"""
    cpu: str
    version: int
    """of the memory controller: 1 or 2"""

    def folders(self) -> tuple[str, ...]:
        """Every folder, each with a slash: what Tree.forget takes when the container is gone."""
        return tuple(f"{one}/" for one in dict.fromkeys((self.memory, self.freezer, self.unified, self.cpu)) if one)


def find(tree: Tree, pid: int, container_id: str) -> Place | None:
    """The groups of a container's main process; None where they cannot be seen. The id has to be in the path: with an
    engine on another machine the pid means some other process here."""
    if pid <= 0 or not container_id:
        return None
    table = f"/proc/{pid}/cgroup"
    try:
        raw = tree.read(table)
    except OSError:
        return None
    tree.forget((table,))
    paths = own_paths(os.fsdecode(raw), container_id)
    base = ROOT if tree.exists(f"{ROOT}/cgroup.controllers") else f"{ROOT}/unified"
    unified = _there(tree, base, paths.get("", ""), "cgroup.events")
    if "memory" in paths:
        memory = _there(tree, f"{ROOT}/memory", paths["memory"], "memory.usage_in_bytes")
        freezer = _there(tree, f"{ROOT}/freezer", paths.get("freezer", ""), "freezer.state")
        cpu = _there(tree, f"{ROOT}/cpuacct", paths.get("cpuacct", ""), "cpuacct.usage")
        return Place(memory, freezer, unified, cpu, 1) if memory else None
    if unified and tree.exists(f"{unified}/memory.current"):
        return Place(unified, "", unified, unified, 2)
    return None


def standing(tree: Tree, group: str, root: str = ROOT) -> Place | None:
    """The folders of the control group that stands for the machine (settings.memory.group); None where there is none
    (yet). `group`: its path below `root`, in version 1 below that of the memory controller."""
    first, unified = f"{root}/memory{group}", f"{root}/unified{group}"
    if tree.exists(f"{first}/memory.usage_in_bytes"):
        return Place(first, "", unified if tree.exists(f"{unified}/memory.pressure") else "", "", 1)
    own = f"{root}{group}"
    return Place(own, "", own, own, 2) if tree.exists(f"{own}/memory.current") else None


def own_paths(text: str, container_id: str) -> dict[str, str]:
    """Controller -> a container's own group, by the text of its main process' /proc/PID/cgroup; the controller of
    version 2 is ''. Where the id is not in a path, that group is another's."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        own = _own(path, container_id)
        if own:
            found |= dict.fromkeys(controllers.split(","), own)
    return found


def _own(path: str, container_id: str) -> str:
    """The container's own part of its main process' path, '' for none: what is below it, it made itself. A path with
    `..` is outside of what we see (our own group is another root)."""
    parts = path.split("/")
    mine = next((at for at, part in enumerate(parts) if container_id in part), 0)
    return "" if ".." in parts else "/".join(parts[: mine + 1])


def _there(tree: Tree, root: str, own: str, file: str) -> str:
    """The folder; '' where it is not. For an engine inside a container what is mounted begins further down."""
    while own:
        if tree.exists(f"{root}{own}/{file}"):
            return root + own
        _above, slash, rest = own[1:].partition("/")
        own = slash + rest
    return ""


class Group:
    """One container's group, read again and again. Files that rarely change are read when `rare` says so."""

    def __init__(self, tree: Tree, place: Place, nodes: bool = False) -> None:
        """`nodes`: the machine has more than one NUMA node, so tell how it is spread over them."""
        self._tree, self.place, self._nodes = tree, place, nodes
        second = place.version == 2
        memory = f"{place.memory}/memory."
        self._stat = Words(_V2 if second else _V1)
        self._usage_file = memory + ("current" if second else "usage_in_bytes")
        self._stat_file = memory + "stat"
        self._limit_file = memory + ("max" if second else "limit_in_bytes")
        self._kills_file = memory + ("events" if second else "oom_control")
        self._swap_file = memory + "swap.current"
        self._high_file = memory + "high" if second else ""
        self._freezer_file = f"{place.freezer}/freezer.state" if place.freezer else ""
        self._events_file = f"{place.unified}/cgroup.events" if place.unified else ""
        self._seen: dict[str, tuple[bytes, float]] = {}
        """file -> what stood in it, and what that means: it is taken apart where it has changed, which is seldom"""
        self._told: tuple[object, ...] = ()
        """all that `_last` was made of"""
        self._last = GroupMemory()
        self._slow: tuple[float, float, float, bool, Mapping[int, float]] = (0.0, 0.0, 0.0, False, {})
        self._known = False

    def read(self, rare: bool = True, swap: bool = True) -> GroupMemory:
        """Its memory now. OSError or ValueError when the group is gone. `rare`: limit, fuse, kills and whether it is
        frozen, too; `swap`: look into swap (version 2: a file of its own), for naught where the machine uses none."""
        usage = float(self._tree.read(self._usage_file))
        if rare or not self._known:
            self._slow = self._rare()
        elif usage == self._last.usage and not self._at_the_wall(usage):
            return self._last  # nothing was taken or given back
        raw, second = self._tree.read(self._stat_file), self.place.version == 2
        own = self._swapped() if second and swap else 0.0
        told = (raw, usage, own, self._slow)
        if told == self._told:
            return self._last  # word for word as before: one that idles, as most do
        anon, shmem, cache, unevictable, active, inactive, _idle, *more = self._stat.pick(raw)
        # version 1: kmem.usage_in_bytes says not how much of it could be given up
        kernel, swapped = (self._kernel(more), own) if second else (0.0, more[0])
        files = max(0.0, cache - shmem)
        hidden = max(0.0, anon + shmem - active - inactive)  # of its own pages: locked ones, not on those two lists
        locked = min(files, max(0.0, unevictable - hidden))
        limit, high, kills, still, nodes = self._slow
        self._last = GroupMemory(
            anon, shmem, locked, kernel, swapped, files - locked, usage, limit, high, kills, still, nodes
        )
        self._known, self._told = True, told
        return self._last

    def working_set(self) -> tuple[float, float]:
        """(usage without the file cache that lies idle, limit): what container_memory_working_set_bytes means, which
        is not what counts here. OSError or ValueError when the group is gone."""
        usage = float(self._tree.read(self._usage_file))
        idle = self._figures()[6]
        return max(0.0, usage - idle), _limit(self._tree.read(self._limit_file))

    def _at_the_wall(self, usage: float) -> bool:
        """At its limit usage stands still while page cache makes room for what cannot be given up."""
        limit, high = self._slow[0], self._slow[1]
        wall = min(limit or usage * 2, high or usage * 2)
        return usage > wall * 0.95

    def _figures(self) -> tuple[float, ...]:
        return self._stat.pick(self._tree.read(self._stat_file))

    def _kernel(self, figures: list[float]) -> float:
        """Version 2: the kernel memory charged to it that the kernel cannot give up. Kernels before 5.18 do not add it
        up."""
        together, reclaimable, sockets, stacks, tables, percpu, slab = figures
        if self._stat.there[_V2.index(b"kernel")]:
            return max(0.0, together - reclaimable) + sockets
        return stacks + tables + percpu + slab + sockets

    def _swapped(self) -> float:
        try:
            return float(self._tree.read(self._swap_file))
        except OSError:
            return 0.0  # swap is not accounted for on this kernel

    def _rare(self) -> tuple[float, float, float, bool, Mapping[int, float]]:
        tree, place = self._tree, self.place
        nodes = _spread(_maybe(tree, f"{place.memory}/memory.numa_stat"), place.version) if self._nodes else {}
        return (
            self._meant(self._limit_file, tree.read(self._limit_file), _limit),
            self._meant(self._high_file, _maybe(tree, self._high_file), _limit) if self._high_file else 0.0,
            self._meant(self._kills_file, _maybe(tree, self._kills_file), _kills),
            self._frozen(),
            nodes,
        )

    def _frozen(self) -> bool:
        """As `frozen` says of its place."""
        if self._freezer_file and _maybe(self._tree, self._freezer_file).startswith(b"FROZEN"):
            return True
        file = self._events_file
        return bool(file and self._meant(file, _maybe(self._tree, file), _stands))

    def _meant(self, file: str, raw: bytes, mean: Callable[[bytes], float]) -> float:
        """What the text of a file means."""
        seen = self._seen.get(file)
        if seen is None or seen[0] != raw:
            seen = self._seen[file] = raw, mean(raw)
        return seen[1]


def read(tree: Tree, place: Place, nodes: bool = False) -> GroupMemory:
    """Everything about one group, once. OSError or ValueError when it is gone. `nodes`: as in Group."""
    return Group(tree, place, nodes).read()


def frozen(tree: Tree, place: Place) -> bool:
    """Whether all its processes stand still, whoever let them. False where the kernel does not tell."""
    if place.freezer and _maybe(tree, f"{place.freezer}/freezer.state").startswith(b"FROZEN"):
        return True
    return _stands(_maybe(tree, f"{place.unified}/cgroup.events")) if place.unified else False


def cpu_seconds(tree: Tree, place: Place) -> float:
    """CPU time it took since it began. OSError, KeyError or ValueError when it is gone."""
    if place.version == 2:
        return float(pairs(tree.read(f"{place.cpu}/cpu.stat"))[b"usage_usec"]) / 1e6
    return float(tree.read(f"{place.cpu}/cpuacct.usage")) / 1e9


def _limit(raw: bytes) -> float:
    """A limit in bytes; 0 for none."""
    text = raw.strip()
    if not text or text == b"max":
        return 0.0
    found = float(text)
    return 0.0 if found >= NO_LIMIT else found


def _kills(raw: bytes) -> float:
    return float(pairs(raw).get(b"oom_kill", 0))


def _stands(raw: bytes) -> bool:
    """Whether cgroup.events says that everything in the group stands still."""
    return pairs(raw).get(b"frozen") == b"1"


def _maybe(tree: Tree, path: str) -> bytes:
    """A file that not every kernel has; empty where it is not."""
    try:
        return tree.read(path)
    except OSError:
        return b""


def _spread(raw: bytes, version: int) -> dict[int, float]:
    """memory.numa_stat: NUMA node -> bytes. Version 1 counts pages, and adds up; version 2 has bytes by kind."""
    wanted = (b"anon", b"file") if version == 2 else (b"hierarchical_total",)
    size = 1.0 if version == 2 else float(os.sysconf("SC_PAGE_SIZE"))
    found: dict[int, float] = {}
    for line in raw.split(b"\n"):
        name, *words = line.split() or [b""]
        if name.partition(b"=")[0] in wanted:
            for word in words:
                node, _, value = word.partition(b"=")
                if node[:1] == b"N" and node[1:].isdigit() and value.isdigit():
                    found[int(node[1:])] = found.get(int(node[1:]), 0.0) + float(value) * size
    return found
