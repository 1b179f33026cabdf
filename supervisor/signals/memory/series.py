"""Memory as series: the machine's under node_exporter's names, the containers' under cAdvisor's.

From: signals/memory/watch.py, one reading at a time. To: the core, as the samples of a Readings fact.
While memory is looked at more often than usual only those samples are made that tell how it goes: the forecast reads
the HostReading itself, and nobody needs fifty containers' page cache four times a second.
"""

from collections.abc import Iterable, Mapping

from supervisor.facts import Container, GroupMemory, HostReading, Labels, MemorySource, Metric, Sample, labels
from supervisor.kernel.host import COUNTERS
from supervisor.services.names import SERIES_LABELS, series_labels

EVERY = 5.0
"""seconds between two looks while there is plenty"""
URGENT = ("MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree")
FIELDS = (
    *URGENT,
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "Active(anon)",
    "Inactive(anon)",
    "Active(file)",
    "Inactive(file)",
    "Unevictable",
    "Mlocked",
    "Dirty",
    "AnonPages",
    "Mapped",
    "Shmem",
    "SReclaimable",
    "CommitLimit",
    "Committed_AS",
    "HugePages_Total",
    "HugePages_Free",
    "HugePages_Rsvd",
    "Hugepagesize",
)
"""of /proc/meminfo"""
MAC_FIELDS = ("wired", "compressed", "free", "active", "inactive", "internal", "purgeable")
"""what only macOS tells (signals/memory/mac.py)"""
LEVEL = "resurgam_memory_pressure_level"
"""macOS: 1 normal, 2 warning, 4 critical"""
_COUNTED = ("HugePages_Total", "HugePages_Free", "HugePages_Rsvd")
WAITING, STALLED = "node_pressure_memory_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total"
NUMA_TOTAL, NUMA_FREE = "node_memory_numa_MemTotal", "node_memory_numa_MemFree"
USAGE, RSS = "container_memory_usage_bytes", "container_memory_rss"
CACHE, SWAP = "container_memory_cache", "container_memory_swap"
LIVE = "resurgam_memory_source_live"


def meminfo_name(field: str) -> str:
    """node_exporter's name of a meminfo field: `MemTotal` is `node_memory_MemTotal_bytes`, `Active(anon)` is
    `node_memory_Active_anon_bytes`; what is counted in pieces has no unit."""
    plain = field.replace("(", "_").replace(")", "")
    return f"node_memory_{plain}" if field in _COUNTED else f"node_memory_{plain}_bytes"


def vmstat_name(counter: str) -> str:
    """`oom_kill` is `node_vmstat_oom_kill`. node_exporter makes them without a type; here they are counters."""
    return f"node_vmstat_{counter}"


MAC = (*(meminfo_name(field) for field in MAC_FIELDS), LEVEL)
"""metrics that only macOS has"""
METRICS = (
    *(Metric(meminfo_name(field), "gauge", (), EVERY) for field in FIELDS),
    *(Metric(vmstat_name(counter), "counter", (), EVERY) for counter in COUNTERS),
    Metric(WAITING, "counter", (), EVERY),
    Metric(STALLED, "counter", (), EVERY),
    Metric(NUMA_TOTAL, "gauge", ("node",), EVERY),
    Metric(NUMA_FREE, "gauge", ("node",), EVERY),
    *(Metric(name, "gauge", SERIES_LABELS, EVERY) for name in (USAGE, RSS, CACHE, SWAP)),
    Metric(LIVE, "gauge", ("source",), EVERY),
    *(Metric(name, "gauge", (), EVERY) for name in MAC),
)
"""what is made here"""

_MEMINFO = (
    *((field, labels(meminfo_name(field))) for field in (*FIELDS, *MAC_FIELDS)),
    ("PressureLevel", labels(LEVEL)),
)
_URGENT = tuple(pair for pair in _MEMINFO if pair[0] in (*URGENT, "PressureLevel"))
_VMSTAT = tuple((counter, labels(vmstat_name(counter))) for counter in COUNTERS)
_WAITING, _STALLED = labels(WAITING), labels(STALLED)


def machine(
    reading: HostReading, counters: Mapping[str, float], stalls: tuple[float, float] | None, *, full: bool
) -> list[Sample]:
    """The machine's own samples; with `full` those that change slowly, too. `stalls`: (some, full) seconds."""
    memory = reading.memory
    found = [Sample(name, memory[field]) for field, name in (_MEMINFO if full else _URGENT) if field in memory]
    found += [Sample(name, counters[counter]) for counter, name in _VMSTAT if counter in counters]
    if stalls is not None:
        found += [Sample(_WAITING, stalls[0]), Sample(_STALLED, stalls[1])]
    if full:
        for node, (total, free) in reading.nodes.items():
            found.append(Sample(labels(NUMA_TOTAL, node=str(node)), total))
            found.append(Sample(labels(NUMA_FREE, node=str(node)), free))
    return found


Names = tuple[Labels, Labels, Labels, Labels]
"""the four series of one container"""


def names(container: Container) -> Names:
    """Under which labels one container's samples go."""
    about = series_labels(container.name, container.labels)
    return labels(USAGE, **about), labels(RSS, **about), labels(CACHE, **about), labels(SWAP, **about)


def group(under: Names, memory: GroupMemory) -> tuple[Sample, ...]:
    """One container's samples. As cAdvisor has them: rss is anonymous memory only, cache is all of the page cache,
    shared memory in it."""
    usage, rss, cache, swap = under
    return (
        Sample(usage, memory.usage),
        Sample(rss, memory.anon),
        Sample(cache, memory.file + memory.shmem + memory.locked),
        Sample(swap, memory.swap),
    )


def live(sources: Iterable[MemorySource]) -> list[Sample]:
    """1 for each source that works, 0 for each that does not."""
    return [Sample(labels(LIVE, source=one.name), float(one.live)) for one in sources]
