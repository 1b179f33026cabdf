"""What a container uses, read from its control group: as true as the engine's own stats, and a hundred times cheaper.

From: /proc and /sys/fs/cgroup, version 1 and 2. To: engines/docker/engine.py. (Docker 20.10 answers even its one-shot
stats only once a second per container; twenty containers would take twenty seconds.)
Works where we see the container's processes; elsewhere the engine is asked.
"""

from dataclasses import dataclass
from pathlib import Path

from supervisor.ports import Usage

PROC, ROOT = "/proc", "/sys/fs/cgroup"
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one container's control group."""

    usage: Path
    stat: Path
    limit: Path
    cpu: Path
    unified: bool

    def read(self) -> Usage:
        """What it uses now; OSError or ValueError when the group is gone. The working set leaves out the file cache
        that the kernel can drop; a limit of 0 means there is none."""
        stat = _pairs(self.stat)
        cache = stat.get("inactive_file", 0) if self.unified else stat.get("total_inactive_file", 0)
        limit = self.limit.read_text(encoding="ascii").strip()
        if self.unified:
            cpu = _pairs(self.cpu)["usage_usec"] / 1e6
        else:
            cpu = int(self.cpu.read_text(encoding="ascii")) / 1e9
        return Usage(
            memory=float(max(0, int(self.usage.read_text(encoding="ascii")) - cache)),
            memory_limit=0.0 if limit == "max" or int(limit) >= _NO_LIMIT else float(limit),
            cpu_seconds=cpu,
        )


def find(pid: int, container_id: str, proc: str = PROC, root: str = ROOT) -> Group | None:
    """The group of a container's main process; None where it cannot be seen. The id has to be in the path: with an
    engine on another machine the pid means some other process here."""
    try:
        lines = Path(proc, str(pid), "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    paths: dict[str, str] = {}
    for line in lines:
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if container_id in path:
            paths |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    if "memory" in paths:
        memory, cpu = Path(root, "memory", paths["memory"]), Path(root, "cpuacct", paths.get("cpuacct", ""))
        group = Group(
            memory / "memory.usage_in_bytes",
            memory / "memory.stat",
            memory / "memory.limit_in_bytes",
            cpu / "cpuacct.usage",
            False,
        )
    elif "" in paths:
        base = Path(root, paths[""])
        group = Group(base / "memory.current", base / "memory.stat", base / "memory.max", base / "cpu.stat", True)
    else:
        return None
    return group if group.usage.exists() and group.cpu.exists() else None


def _pairs(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found
