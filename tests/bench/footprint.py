"""What the daemon costs: memory, processor and time to ready with 20 running containers.

python -m tests.bench.footprint [--services 20] [--seconds 60]
"""

import argparse
import os
import time
from pathlib import Path

from tests.bench.box import Box


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    box = Box("bench-footprint")
    try:
        box.start([f"resurgam-bench-{number}" for number in range(arguments.services)])
        assert box.process is not None
        time.sleep(5)
        before, began = cpu(box.process.pid), time.monotonic()
        time.sleep(arguments.seconds)
        used, seconds = cpu(box.process.pid) - before, time.monotonic() - began
        print(f"{arguments.services} running containers, {seconds:.0f} s at rest, the daemon's own process:")
        peak = rss(box.process.pid, "VmHWM") / 2**20
        print(f"resident memory   {rss(box.process.pid) / 2**20:.1f} MiB (peak {peak:.1f})")
        print(f"processor         {used / seconds * 100:.2f} % of one core")
        print(f"start to ready    {box.ready_after:.2f} s")
    finally:
        box.clear()


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid: int, key: str = "VmRSS") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024.0
    return 0.0


if __name__ == "__main__":
    main()
