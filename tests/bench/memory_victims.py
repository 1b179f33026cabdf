"""Who dies when memory runs out, and how early somebody acts: Resurgam, Debian's earlyoom, and the kernel alone.

The same two ramps for each, in a control group with a limit: a big service that keeps to its plan, and a small one that
leaks. In the first the innocent one is the largest, as a model server is; in the second the leak outgrows it. Resurgam
gets containers, the plans of both and its shipped rules; earlyoom is as Debian ships it and knows no plan.

earlyoom knows the whole machine only, and must not see it. So it runs with the ramps in a PID namespace of their own,
where nothing else can be found, let alone killed, and gets a /proc/meminfo that follows the group. Its package is
unpacked into a folder for the time, never installed: an installed one would guard this machine from the next start on.

    python -m tests.bench.memory_victims [--only resurgam|earlyoom|kernel]
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from supervisor.kernel.host import Machine
from supervisor.kernel.tree import KernelFiles
from tests.support.daemon import ROOT, Daemon, Nursery, hands, until
from tests.support.ramps import MIB, RAMP, Box, group, interpreter, make_group, remove_group

NAME = "resurgam-bench-victims"
LOOK = 0.02
"""seconds between two looks at the box"""
FEED = 0.05
"""seconds between two versions of earlyoom's /proc/meminfo"""
LONGEST = 45.0
"""seconds from the beginning of a leak until a case is given up"""
AFTER = 3.0
"""seconds that are looked at after the first action"""


@dataclass(frozen=True)
class Ramp:
    """MiB of the box, of the innocent one and its plan, of the one that leaks when it begins, per second, its plan."""

    title: str
    box: int
    model: int
    rate: int
    begins: int = 24
    plan: int = 64

    @property
    def model_plan(self) -> int:
        return self.model + 40


RAMPS = (Ramp("the innocent one is the largest", 1200, 760, 28), Ramp("the leak outgrows it", 900, 240, 28))


@dataclass
class Seen:
    """How one case went. Seconds count from the beginning of the leak; sizes are MiB."""

    killer: str
    acted: float | None = None
    left: float = 0.0
    """the lowest that was available until then"""
    lowest: float = 0.0
    victim: str = "nobody"
    innocent: bool = True
    load: float = 0.0


class Gauge:
    """What is available in a group, and the lowest it came to."""

    def __init__(self, name: str) -> None:
        self._machine = Machine(KernelFiles(), f"/{name}")
        self.lowest = float("inf")

    def look(self) -> None:
        self.lowest = min(self.lowest, self._machine.meminfo()["MemAvailable"] / MIB)

    def meminfo(self) -> bytes:
        """As the kernel would write it, always of the same length."""
        lines = [f"{name + ':':<16}{size / 1024:>12.0f} kB\n" for name, size in sorted(self._machine.meminfo().items())]
        return "".join(lines).encode()


# ------------------------------------------------------------ Resurgam


def with_resurgam(ramp: Ramp) -> Seen:
    """Two containers and a daemon for which their group is the machine."""
    seen, nursery = Seen("resurgam"), Nursery()
    services = {"model": {"memory": f"{ramp.model_plan}MiB"}, "leak": {"memory": f"{ramp.plan}MiB"}}
    with contextlib.ExitStack() as stack:
        stack.callback(nursery.close)
        person = stack.enter_context(hands("victims"))
        box = Box(person, "box", ramp.box)
        stack.callback(box.close)
        box.start("model", f"take={ramp.model}@500", most=ramp.model_plan)
        box.start("leak", f"take={ramp.begins}@100", "wait=/go/on", f"take={ramp.box}@{ramp.rate}", most=ramp.box)
        daemon = Daemon(box.settings(services), nursery)
        stack.callback(daemon.close)
        box.did("model", f"take={ramp.model}@500")
        box.did("leak", f"take={ramp.begins}@100")
        daemon.start(view=box.word)
        daemon.ready()
        for word in services:
            daemon.settled(box.service(word), 60)
        until(lambda: (daemon.service(box.service("leak")) or {}).get("budget"), 60, "its memory is read")
        lives = {word: box.life(word) for word in services}
        gauge = Gauge(box.group)
        box.let_on("on")
        began = time.monotonic()
        while _goes_on(seen, began):
            gauge.look()
            if seen.acted is None and box.frozen("leak"):
                seen.acted, seen.left, seen.victim = time.monotonic() - began, gauge.lowest, "the leak, frozen"
            time.sleep(LOOK)
        ended = [word for word in services if box.life(word) != lives[word]]
        if ended:
            seen.victim = " and ".join(_NAMES[word] for word in ended) + ", ended"
        seen.innocent, seen.lowest, seen.load = "model" not in ended, gauge.lowest, os.getloadavg()[0]
    return seen


# ------------------------------------------------------------ the others


def beside(ramp: Ramp, killer: str, program: str = "") -> Seen:
    """The same ramps as plain processes, in a PID namespace that holds nothing else. `program`: earlyoom's."""
    wanted = json.dumps({"ramp": asdict(ramp), "killer": killer, "program": program})
    inside = [sys.executable, "-m", "tests.bench.memory_victims", "--inside", wanted]
    command = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", *inside]
    make_group(NAME, ramp.box, swap=False)
    try:
        for word in _NAMES:
            (group(NAME) / word).mkdir(exist_ok=True)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST + 60, check=False)
        if done.returncode:
            raise SystemExit(f"{killer}: {done.stderr[-1500:]}")
        return Seen(**json.loads(done.stdout.splitlines()[-1]))
    finally:
        remove_group(NAME)


_KILLS = "to process"
"""what earlyoom says: `sending SIGTERM to process 12 …`"""
_NAMES = {"model": "the innocent one", "leak": "the leak"}


def inside(wanted: str) -> None:
    """The first process of the namespace: starts the ramps, and the killer, and looks on."""
    given = json.loads(wanted)
    ramp = Ramp(**given["ramp"])
    seen, gauge = Seen(given["killer"]), Gauge(NAME)
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder, "on")
        model = _ramp("model", ramp.model_plan, f"take={ramp.model}@500")
        leak = _ramp("leak", ramp.box, f"take={ramp.begins}@100", f"wait={go}", f"take={ramp.box}@{ramp.rate}")
        said: list[str] = []
        if given["program"]:
            _earlyoom(given["program"], Path(folder, "meminfo"), gauge, said)
        go.touch()
        began = time.monotonic()
        while _goes_on(seen, began):
            gauge.look()
            ended = [word for word, one in (("model", model), ("leak", leak)) if one.poll() is not None]
            if seen.acted is None and (ended or any(_KILLS in line for line in said)):
                seen.acted, seen.left = time.monotonic() - began, gauge.lowest
            time.sleep(LOOK)
        ended = [word for word, one in (("model", model), ("leak", leak)) if one.poll() is not None]
        seen.victim = f"{' and '.join(_NAMES[word] for word in ended)}, killed" if ended else "nobody"
        seen.innocent, seen.lowest, seen.load = "model" not in ended, gauge.lowest, os.getloadavg()[0]
    print(json.dumps(asdict(seen)), flush=True)


def _goes_on(seen: Seen, began: float) -> bool:
    now = time.monotonic() - began
    return now < LONGEST if seen.acted is None else now < seen.acted + AFTER


def _ramp(word: str, most: int, *steps: str) -> subprocess.Popen[str]:
    """One ramp in a group of its own, once it has done its first step."""
    shell = f'echo 0 > "{group(NAME) / word}/cgroup.procs" && exec "$@"'
    argv = [interpreter(), "-I", "-S", str(RAMP), str(most), str(LONGEST + 30), *steps]
    made = subprocess.Popen(["sh", "-c", shell, "sh", *argv], stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline() == f"done {steps[0]}\n"
    return made


def _earlyoom(program: str, file: Path, gauge: Gauge, said: list[str]) -> None:
    """Start earlyoom in front of a /proc/meminfo that follows the group; what it says goes into `said`."""
    others = [name for name in os.listdir("/proc") if name.isdigit() and name not in ("1", "self")]
    assert os.getpid() == 1, "not in a namespace of our own"
    assert len(others) == len(_NAMES), f"processes that are none of ours: {others}"
    file.write_bytes(gauge.meminfo())
    number = os.open(file, os.O_WRONLY)

    def feed() -> None:
        while True:
            os.pwrite(number, gauge.meminfo(), 0)
            time.sleep(FEED)

    threading.Thread(target=feed, daemon=True).start()
    shell = 'mount --bind "$1" /proc/meminfo && exec "$2" -r 1'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shell, "sh", str(file), program]
    made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def listen(stream: IO[str]) -> None:
        said.extend(stream)

    assert made.stdout is not None
    threading.Thread(target=listen, args=(made.stdout,), daemon=True).start()
    until(lambda: any(line.startswith("mem avail") for line in said), 20, lambda: f"earlyoom runs: {said}")


@contextlib.contextmanager
def earlyoom() -> Iterator[str]:
    """Its program; '' where there is none and none can be had."""
    found = shutil.which("earlyoom")
    if found:
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="resurgam-earlyoom-") as folder:
        program = Path(folder, "usr/bin/earlyoom")
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["apt-get", "download", "earlyoom"], cwd=folder, check=True, capture_output=True, timeout=60)
            (package,) = Path(folder).glob("earlyoom_*.deb")
            subprocess.run(["dpkg", "-x", str(package), folder], check=True, capture_output=True, timeout=60)
        yield str(program) if program.exists() else ""


# ------------------------------------------------------------ the table


def show(ramp: Ramp, rows: Sequence[Seen]) -> None:
    """One table per ramp."""
    print(
        f"\n{ramp.title}: {ramp.box} MiB in all, {ramp.model} taken by plan, {ramp.rate} MiB/s leaked over a plan of "
        f"{ramp.plan}"
    )
    print(
        f"{'':12}{'acted after':>12}{'left then':>11}{'ahead by':>10}{'lowest':>9}{'innocent':>10}{'load':>6}  victim"
    )
    for seen in rows:
        if seen.acted is None:
            acted, left, ahead = "never", "-", "-"
        else:
            acted, left, ahead = f"{seen.acted:.1f} s", f"{seen.left:.0f} MiB", f"{seen.left / ramp.rate:.1f} s"
        lives = "lives" if seen.innocent else "DEAD"
        print(
            f"{seen.killer:12}{acted:>12}{left:>11}{ahead:>10}{seen.lowest:>9.0f}{lives:>10}{seen.load:>6.1f}  "
            f"{seen.victim}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["resurgam", "earlyoom", "kernel"])
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments.inside)
        return
    wanted = [arguments.only] if arguments.only else ["resurgam", "earlyoom", "kernel"]
    print("memory runs out: who acts how long before it is gone (at the rate of the leak), and who is the victim")
    with earlyoom() as program:
        if program:
            said = subprocess.run(
                [program, "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            print(f"beside {said.stdout.strip()}, as it is shipped")
        for ramp in RAMPS:
            rows = []
            if "resurgam" in wanted:
                rows.append(with_resurgam(ramp))
            if "earlyoom" in wanted and program:
                rows.append(beside(ramp, "earlyoom", program))
            if "kernel" in wanted:
                rows.append(beside(ramp, "kernel"))
            show(ramp, rows)
        if not program:
            print("\nearlyoom is missing, and apt-get could not fetch it: nothing was compared with it")
    print("\nsystemd-oomd is left out: it looks at the units of the machine it runs on, and cannot be kept to this box")


if __name__ == "__main__":
    main()
