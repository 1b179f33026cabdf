"""A program that holds memory as it is told, step by step: what runs in the containers of tests/support/ramps.py.

    python3 -I -S ramp.py MOST LIFE STEP …

MOST: MiB that it never exceeds; LIFE: seconds after which it ends by itself. Each STEP is `take=MIB@RATE` (at so many
MiB per second, its own pages, all written to), `wait=FILE` (until there is such a file), `drop` (gives all back). It
says each step that it has done, and goes on living. Only the standard library: the host's own Python runs it.
"""

import mmap
import os
import signal
import sys
import time

TICK = 0.05
"""seconds between two bites"""
MIB = 1 << 20
PAGE = 4096


def main() -> None:
    """Do the steps, then live on."""
    most, life = float(sys.argv[1]), float(sys.argv[2])
    end = time.monotonic() + life
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the first process of a container it has no default
    kept: list[mmap.mmap] = []
    held = 0.0
    for step in sys.argv[3:]:
        word, _, rest = step.partition("=")
        if word == "take":
            size, _, rate = rest.partition("@")
            held += _take(kept, min(float(size), most - held), float(rate), end)
        elif word == "wait":
            while not os.path.exists(rest) and time.monotonic() < end:
                time.sleep(TICK)
        elif word == "drop":
            for area in kept:
                area.close()
            kept, held = [], 0.0
        print("done", step, flush=True)
    while time.monotonic() < end:
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))


def _take(kept: list[mmap.mmap], wanted: float, rate: float, end: float) -> float:
    """Take so many MiB. One that stood still meanwhile does not make up for it."""
    taken, last = 0.0, time.monotonic()
    while taken < wanted and last < end:
        time.sleep(TICK)
        now = time.monotonic()
        size = int(min(wanted - taken, rate * min(now - last, 4 * TICK)) * MIB) // PAGE * PAGE
        last = now
        if size:
            area = mmap.mmap(-1, size)
            for place in range(0, size, PAGE):
                area[place] = 1
            kept.append(area)
            taken += size / MIB
        elif wanted - taken < PAGE / MIB:
            break
    return taken


if __name__ == "__main__":
    main()
