"""What asking the GPUs costs: processor time of a poll on both sides of the pipe, and the memory of the child process.

python -m tests.bench.gpu_poll [--cards 2] [--polls 400]

`fast` is what happens every five seconds, `slow` once a minute. On a machine with NVIDIA's driver that is asked; else a
C library with NVML's structures, loaded by the real pynvml: then the figures are our own part, without the driver's.
The yardstick, measured in the same run, is what every tool pays that starts a program per poll, as with `nvidia-smi`,
before that has done anything: to start one that does nothing.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from supervisor.signals.gpu.reader import SIGNS, GpuReader
from tests.support.nvml.driver import Card, Driver

MOST_MEMORY = 25.0
"""MB of the child"""
_TICK = 1e3 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cards", type=int, default=2)
    parser.add_argument("--polls", type=int, default=400)
    arguments = parser.parse_args()
    floor = program(200)
    with tempfile.TemporaryDirectory(prefix="resurgam-bench-") as folder:
        if any(sign.exists() for sign in SIGNS):
            print("NVIDIA's driver, as it is here:")
            asyncio.run(measure(GpuReader(), arguments.polls, floor))
            return
        print(f"a stand-in for NVIDIA's library with {arguments.cards} cards and 8 processes on each:")
        driver = Driver(Path(folder))
        users = dict.fromkeys(range(1000, 1008), 4.0)
        driver.says(*(Card(f"GPU-{number}", 96, 60, users=users) for number in range(arguments.cards)))
        asyncio.run(measure(driver.reader(), arguments.polls, floor))
        driver.close()


async def measure(reader: GpuReader, polls: int, floor: float) -> None:
    """Print the figures. `floor`: milliseconds to start a program."""
    reading = await reader.snapshot("rare")
    if reading.trouble:
        raise SystemExit(f"the GPUs cannot be asked: {reading.text}")
    for depth in ("fast", "slow"):
        ours, its, walls = time.process_time(), used(reader.pid), []
        for _ in range(polls):
            began = time.perf_counter()
            await reader.snapshot(depth)
            walls.append((time.perf_counter() - began) * 1e3)
        here, there = (time.process_time() - ours) * 1e3 / polls, (used(reader.pid) - its) / polls
        walls.sort()
        middle, late = walls[len(walls) // 2], walls[len(walls) * 99 // 100]
        print(
            f"{depth:<5} {here + there:6.3f} ms of processor ({here:.3f} here, {there:.3f} in the child), "
            f"{(here + there) / floor:.2f} times the start of a program that does nothing ({floor:.2f} ms); "
            f"answered in {middle:.2f} ms, 99 of 100 within {late:.2f} ms"
        )
    memory = resident(reader.pid)
    word = "met" if memory <= MOST_MEMORY else "MISSED"
    print(f"the child has {memory:.1f} MB in memory; at most {MOST_MEMORY:.0f} MB wanted: {word}")
    await reader.close()


def program(times: int) -> float:
    """Milliseconds of processor time, ours and its, to start a program that does nothing."""

    def spent() -> float:
        theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (time.process_time() + theirs.ru_utime + theirs.ru_stime) * 1e3

    began = spent()
    for _ in range(times):
        subprocess.run(["/bin/true"], check=True)
    return (spent() - began) / times


def used(pid: int) -> float:
    """Milliseconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def resident(pid: int) -> float:
    """Megabytes that a process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) * 1024 / 1e6


if __name__ == "__main__":
    main()
