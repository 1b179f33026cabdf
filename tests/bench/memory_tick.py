"""What one look at memory costs: processor time per sampling tick with 50 containers, from the files to the store.

python -m tests.bench.memory_tick [--containers 50] [--ticks 400]     (root: it makes control groups, and removes them)

The groups are real ones, each with a process in it, found by pid and id as a container's are. `whole` is the tick every
five seconds: every file of every group, every sample. `quick` is one in between, which come as memory gets short: what
rarely changes is left out, and groups that took nothing are read no further. Both with the core's part: the sums and
the forecast of 50 services with a plan each, the samples that are made of them, all of them in the store. Rules are
left out: they are looked at where their input changed (make bench has them on their own).
"""

import argparse
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.lanes import Lanes
from supervisor.core.standing import Loaded
from supervisor.facts import Container, EngineState, Readings, Sweep
from supervisor.journal import Journal
from supervisor.kernel.groups import ROOT
from supervisor.kernel.host import Machine
from supervisor.kernel.tree import KernelFiles
from supervisor.rules import RuleSet
from supervisor.signals.memory.watch import MemoryWatch

GOAL = 2.0
"""milliseconds"""
PARENT = f"resurgam-bench-{os.getpid()}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--containers", type=int, default=50)
    parser.add_argument("--ticks", type=int, default=400)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        containers = [stack.enter_context(container(number)) for number in range(arguments.containers)]
        lanes, tree, core = Lanes(), KernelFiles(), core_with(containers)
        watch = MemoryWatch(Machine(tree), tree, lanes.put, SystemClock(), lambda: containers)
        watch.read()
        seen = newest(lanes).host.groups  # type: ignore[union-attr]
        if len(seen) != len(containers):
            raise SystemExit(f"only {len(seen)} of {len(containers)} control groups can be read here")
        print(f"processor time per sampling tick with {len(containers)} containers, {arguments.ticks} ticks each:")
        for name, whole in (("quick", False), ("whole", True)):
            ticks = [tick(watch, lanes, core, whole=whole) for _ in range(arguments.ticks)]
            costs = sorted(read + after for read, after in ticks)
            reading, after = (sorted(parts[place] for parts in ticks)[len(ticks) // 2] for place in (0, 1))
            middle, late = costs[len(costs) // 2], costs[len(costs) * 99 // 100]
            word = "met" if middle <= GOAL else "MISSED"
            print(
                f"{name:<6} {middle:6.3f} ms ({reading:.3f} to read, {after:.3f} in the core; 99 of 100 below "
                f"{late:.3f} ms); at most {GOAL:.0f} ms wanted: {word}"
            )
        print(f"{len(core.store)} series are kept of it")


def newest(lanes: Lanes) -> Readings:
    """What waits for the core."""
    return next(fact for fact, _reply in reversed(lanes.take(1000)) if isinstance(fact, Readings))


def core_with(containers: list[Container]) -> Decider:
    """A core that knows these containers as services with a plan each, and no rule."""
    clock = SystemClock()
    entries = {box.name: {"enable": True, "memory": "1GiB"} for box in containers}
    settings = Settings.model_validate({"host": "bench", "consent": "listed", "services": entries})
    journal = Journal.open(None, clock)
    core = assemble(Loaded(settings, RuleSet(), ()), journal, clock)
    at, mono = clock.wall(), clock.mono()
    core.begin(journal.batch(), at, mono)
    core.take(EngineState(at, mono, "docker", True, "up", "bench", "20.10"), None)
    core.take(Sweep(at, mono, "docker", tuple(containers)), None)
    core.finish()
    return core


def tick(watch: MemoryWatch, lanes: Lanes, core: Decider, *, whole: bool) -> tuple[float, float]:
    """Milliseconds of processor time of one tick: to read, and in the core. `whole`: as if nothing had been read for
    long. By the core's time ticks are as far apart as they are in truth."""
    if whole:
        watch._full_at = watch._rare_at = float("-inf")
    began = time.process_time()
    watch.read()
    read = time.process_time()
    fact = newest(lanes)
    core.mono += 5.0 if whole else 0.5
    core.now += 5.0 if whole else 0.5
    fact = replace(fact, at=core.now, mono=core.mono)
    taken = time.process_time()
    core.take(fact, None)
    return (read - began) * 1e3, (time.process_time() - taken) * 1e3


@contextlib.contextmanager
def container(number: int) -> Iterator[Container]:
    """A process in control groups of its own, named as a container's."""
    name = f"{number:064x}"
    folders = [Path(base, PARENT, name) for base in _bases()]
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            for folder in folders:
                folder.mkdir(parents=True)
                (folder / "cgroup.procs").write_text(str(process.pid))
            yield Container(name, f"bench-{number}", "", "", status="running", pid=process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            for folder in folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                with contextlib.suppress(OSError):  # the last one takes the parent along
                    folder.parent.rmdir()


def _bases() -> list[str]:
    """Where control groups are made: version 2 alone, or version 1 with its unified tree beside it."""
    if Path(ROOT, "cgroup.controllers").exists():
        parent = Path(ROOT, PARENT)
        parent.mkdir(exist_ok=True)
        for folder in (parent.parent, parent):
            (folder / "cgroup.subtree_control").write_text("+memory")
        return [ROOT]
    return [
        path
        for path in (f"{ROOT}/{name}" for name in ("memory", "freezer", "cpuacct", "unified"))
        if Path(path).is_dir()
    ]


if __name__ == "__main__":
    main()
