"""How long it takes from a line in the kernel's log to an alert that is kept and ready to be told.

Lines of a drill go the whole way through /dev/kmsg: the log, the grammar, the core's turn with its commit to
a journal on disk, the rule, the row of the alert. Beside it, in the same run: how long a bare reader takes to
have the line at all, and how long one commit of such a journal takes by itself.

    python -m tests.bench.gpu_fault [--trials 30]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from supervisor.clock import SystemClock
from supervisor.journal import Journal
from supervisor.kernel.log import KernelLog
from supervisor.kernel.xidlines import drill_line
from tests.support.faults import BUS, listening, write
from tests.support.rules import rule

RULE = rule('increase(resurgam_gpu_xid_total{class="app"}[5m]) > 0', "Fault")


def phase(number: int) -> float:
    """Seconds to wait before a line: the kernel wakes readers of its log at its tick, so every place in one counts."""
    return number * 0.00037 % 0.008


async def whole(trials: int, folder: Path) -> list[float]:
    """Seconds from the line to the row of the alert, each in a core of its own."""
    found = []
    for number in range(trials):
        async with listening(RULE, path=folder / f"{number}.db") as box:
            box.core.decider.gpu.faults.drill = box.clock.wall() + 60
            box.faults.drill(drill_line(BUS, 63), box.clock.wall() + 60)
            await box.until(lambda box=box: box.facts)
            await asyncio.sleep(phase(number))
            began = time.perf_counter()
            write(drill_line(BUS, 31, 1, "bench"))
            await box.until(lambda box=box: any(row.kind == "alert.firing" for row in box.rows))
            found.append(time.perf_counter() - began)
        await asyncio.sleep(0.6)  # the kernel takes ten lines of a process in five seconds
    return found


async def bare(trials: int) -> list[float]:
    """Seconds from the line to who merely reads the log."""
    heard = asyncio.Event()
    log = KernelLog(SystemClock())
    log.listen(lambda _: None, foreign=lambda _: heard.set())
    assert log.open() is None
    found = []
    for number in range(trials):
        for late in (0.0, phase(number)):  # a line just before, as above
            await asyncio.sleep(late)
            heard.clear()
            began = time.perf_counter()
            write("bench")
            await asyncio.wait_for(heard.wait(), 60)
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.6)
    log.close()
    return found


def commits(trials: int, folder: Path) -> list[float]:
    """Seconds of one commit of a journal on this disk."""
    clock = SystemClock()
    journal = Journal.open(folder / "bare.db", clock)
    found = []
    for _ in range(trials):
        batch = journal.batch()
        batch.row("gpu.fault", "gpu:bench", {"text": "x" * 300}, clock.wall(), True)
        began = time.perf_counter()
        journal.commit(batch)
        found.append(time.perf_counter() - began)
    journal.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="resurgam-bench-") as name:
        folder = Path(name)
        alone, disk = asyncio.run(bare(trials)), commits(trials, folder)
        all_of_it = asyncio.run(whole(trials, folder))
    floor = statistics.median(alone) + statistics.median(disk)
    print(f"a line in the kernel's log -> an alert that is kept; {trials} trials, milliseconds")
    for row, times in (("bare reader has the line", alone), ("one commit", disk), ("alert is kept", all_of_it)):
        print(f"{row:28}{1e3 * statistics.median(times):9.2f}  worst {1e3 * max(times):9.2f}")
    print(f"the alert takes {statistics.median(all_of_it) / floor:.1f} times what reading and one commit take")


if __name__ == "__main__":
    main()
