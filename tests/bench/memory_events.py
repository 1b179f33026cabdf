"""When each source tells that a container runs out of memory, against the kernel's own stamp of the kill.

A process in a container's memory group (limit 64 MiB) takes 100 MiB/s until it is killed. All sources watch the same
kill; the log's clock is set against ours by a marker that is written into it. Milliseconds: before the kill (-) or
after it, median and worst of the trials.

    python -m tests.bench.memory_events [--trials 8] [--rate 100] [--limit 64]
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import docker

from supervisor.clock import SystemClock
from supervisor.facts import Container, OomSeen
from supervisor.kernel.groups import Place, find
from supervisor.kernel.log import KernelLog, Line
from supervisor.kernel.oomlines import OomLines
from supervisor.kernel.tree import KernelFiles
from supervisor.kernel.watches import Ready, group_events
from supervisor.signals.memory.edges import Edges
from tests.support.images import import_busybox, remove_image

IMAGE = "resurgam-bench-memory:1"
NAME = "resurgam-bench-memory"
MIB = 1 << 20
RAMP = """
import mmap, os, sys, time
group, rate = sys.argv[1], float(sys.argv[2])
with open(group + "/cgroup.procs", "w") as out:
    out.write(str(os.getpid()))
kept, began, page = [], time.monotonic(), b"x" * (1 << 20)
while True:
    area = mmap.mmap(-1, 1 << 20)
    area.write(page)
    kept.append(area)
    late = began + len(kept) / rate - time.monotonic()
    if late > 0:
        time.sleep(late)
"""
ROWS = (
    "threshold 80 %",
    "threshold 90 %",
    "threshold 95 %",
    "edges: wake",
    "oom_control",
    "kernel log",
    "edges: kernel-log",
    "edges: events",
    "engine event",
)


class Trial:
    """One kill. `seen`: row -> our monotonic time of its first word."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.growing = False
        self.killed: float | None = None
        """by the log's clock"""

    def note(self, row: str) -> None:
        """A source told something, before the memory grew or since."""
        if self.growing:
            self.seen.setdefault(row, time.monotonic())


def offset(clock: SystemClock) -> float:
    """Our monotonic clock less the log's."""
    found: list[float] = []
    reader = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(reader, 0, os.SEEK_END)
    before = clock.mono()
    writer = os.open("/dev/kmsg", os.O_WRONLY)
    os.write(writer, f"<7>resurgam bench {os.getpid()}\n".encode())
    os.close(writer)
    between = (before + clock.mono()) / 2
    end = time.monotonic() + 10
    while not found and time.monotonic() < end:
        try:
            record = os.read(reader, 8192)
        except BlockingIOError:
            time.sleep(0.001)
            continue
        if f"resurgam bench {os.getpid()}".encode() in record:
            found.append(between - int(record.split(b",")[2]) / 1e6)
    os.close(reader)
    return found[0]


def raw_watches(place: Place, limit: int, trial: Trial) -> list[Ready]:
    """One eventfd for each threshold, and one for oom_control; none on version 2."""
    wanted = [(f"threshold {share} %", "usage_in_bytes", str(limit * share // 100)) for share in (80, 90, 95)]
    watches = []
    for row, file, argument in (*wanted, ("oom_control", "oom_control", "")) if place.version == 1 else ():
        number = group_events(place.memory, f"memory.{file}", [argument])
        assert isinstance(number, int), number
        watches.append(Ready(number, _noting(trial, row), lambda _: None, rest=0.0))
    return watches


def _noting(trial: Trial, row: str) -> Callable[[int], bool]:
    def happened(number: int) -> bool:
        os.eventfd_read(number)
        trial.note(row)
        return True

    return happened


async def one(api: docker.APIClient, limit: int, rate: float) -> Trial:
    """One container, one kill."""
    trial, clock, tree = Trial(), SystemClock(), KernelFiles()
    host = api.create_host_config(network_mode="none", mem_limit=limit, memswap_limit=limit)
    key = api.create_container(IMAGE, ["sleep", "600"], name=NAME, host_config=host)["Id"]
    api.start(key)
    stream = api.events(decode=True, filters={"container": key, "event": "oom"})
    listener = threading.Thread(target=lambda: [trial.note("engine event") for _ in stream], daemon=True)
    listener.start()
    seen = Container(key, NAME, "", "", pid=api.inspect_container(key)["State"]["Pid"])
    place = find(tree, seen.pid, key)
    assert place is not None
    over = asyncio.Event()
    lines = OomLines()

    def heard(line: Line) -> None:
        kill = lines.feed(line.raw, line.stamp)
        if kill is not None and kill.container_id == key:
            trial.note("kernel log")
            trial.killed = kill.stamp
            over.set()

    def submit(fact: Any) -> None:
        if isinstance(fact, OomSeen) and fact.container_id == key:
            trial.note(f"edges: {fact.source}")

    log = KernelLog(clock)
    log.listen(heard)
    why = log.open()
    assert why is None, why
    watches = raw_watches(place, limit, trial)
    edges = Edges(submit, clock, lambda: trial.note("edges: wake"), lambda: [seen])
    task = asyncio.create_task(edges.run())
    await asyncio.sleep(0.3)
    trial.growing = True
    ramp = subprocess.Popen([sys.executable, "-c", RAMP, place.memory, str(rate)])
    try:
        await asyncio.wait_for(over.wait(), 120)
        await asyncio.sleep(0.5)
    finally:
        ramp.kill()
        await asyncio.to_thread(ramp.wait)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for watch in watches:
            watch.close()
        log.close()
        api.remove_container(key, force=True, v=True)
        stream.close()
    return trial


async def measure(trials: int, limit: int, rate: float) -> tuple[list[Trial], float]:
    api = docker.APIClient(version="auto")
    import_busybox(IMAGE, ['CMD ["sleep","600"]'], api)
    with contextlib.suppress(docker.errors.NotFound):
        api.remove_container(NAME, force=True, v=True)
    try:
        done = [await one(api, limit, rate) for _ in range(trials)]
        return done, offset(SystemClock())
    finally:
        remove_image(IMAGE, api)
        api.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--rate", type=float, default=100.0, help="MiB per second")
    parser.add_argument("--limit", type=int, default=64, help="MiB")
    arguments = parser.parse_args()
    done, between = asyncio.run(measure(arguments.trials, arguments.limit * MIB, arguments.rate))
    print(
        f"{arguments.trials} kills in a container of {arguments.limit} MiB that takes {arguments.rate:g} MiB/s: "
        "kernel's stamp of the kill -> told, milliseconds (- is before)"
    )
    print(f"{'':20}{'told':>6}{'median':>9}{'last':>9}")
    for row in ROWS:
        found = [
            (trial.seen[row] - between - trial.killed) * 1000 for trial in done if row in trial.seen and trial.killed
        ]
        if found:
            print(f"{row:20}{len(found):>6}{statistics.median(found):>9.1f}{max(found):>9.1f}")
        else:
            print(f"{row:20}{0:>6}{'-':>9}{'-':>9}")


if __name__ == "__main__":
    main()
