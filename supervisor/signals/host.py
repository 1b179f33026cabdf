"""Memory and swap of the machine itself, under the names node_exporter taught people.

From: /proc/meminfo, through a file that stays open (opening may fail when memory is short, reading does not).
To: the core, as one Readings fact per round.
"""

import asyncio
from collections.abc import Mapping
from typing import BinaryIO

from supervisor.clock import Clock
from supervisor.errors import UsageError
from supervisor.facts import Metric, Readings, Sample, labels
from supervisor.ports import Host, Submit

MEMINFO = "/proc/meminfo"
EVERY = 5.0
"""seconds between two looks"""
FIELDS = (
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "SwapTotal",
    "SwapFree",
    "Dirty",
    "AnonPages",
    "Shmem",
    "SReclaimable",
    "CommitLimit",
    "Committed_AS",
)


class ProcHost:
    """The machine, as Linux shows it in /proc."""

    def __init__(self, path: str = MEMINFO) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def meminfo(self) -> Mapping[str, float]:
        """Every field of /proc/meminfo, in bytes. UsageError where there is none (not Linux)."""
        try:
            if self._file is None:
                self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115 - kept open on purpose
            self._file.seek(0)
            return parse(self._file.read(65_536))
        except OSError as err:
            self.close()
            raise UsageError(
                f"cannot read the machine's memory from {self._path} ({err.strerror}). "
                "Memory and swap are watched on Linux only; containers are watched all the same."
            ) from err

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class HostWatch:
    """Reads the host every `every` seconds. `problem` says what could not be read, '' while all is well."""

    def __init__(self, host: Host, submit: Submit, clock: Clock, every: float = EVERY) -> None:
        self._host, self._submit, self._clock, self._every = host, submit, clock, every
        self.problem = ""

    async def run(self) -> None:
        """Read for ever."""
        while True:
            self.read()
            await asyncio.sleep(self._every)

    def read(self) -> None:
        """Read once and tell the core."""
        try:
            memory = self._host.meminfo()
        except (UsageError, OSError) as err:
            self.problem = str(err)
            return
        self.problem = ""
        found = tuple(Sample(labels(series(name)), memory[name]) for name in FIELDS if name in memory)
        if found:
            self._submit(Readings(self._clock.wall(), self._clock.mono(), "host", found))


def series(field: str) -> str:
    """node_exporter's name of a meminfo field: `MemTotal` is `node_memory_MemTotal_bytes`."""
    return f"node_memory_{field.replace('(', '_').replace(')', '')}_bytes"


METRICS = tuple(Metric(series(field), "gauge", (), EVERY) for field in FIELDS)
"""what is made here"""


def parse(raw: bytes) -> dict[str, float]:
    """Fields of /proc/meminfo in bytes. Lines that are none are left out."""
    found: dict[str, float] = {}
    for line in raw.decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = float(words[0]) * (1024.0 if words[1:] == ["kB"] else 1.0)
    return found
