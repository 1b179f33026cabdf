"""Runs inside the virtual machine, as its only program: the control groups' suite on a real version 2 kernel.

From: tests/support/guest.py, which packs it. To: the serial port, a line of JSON per case. A `container` here is a
control group with the name that Docker would give it, and a shell in it; there is no engine.
"""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

sys.modules.setdefault("re2", re)  # the guest has no package but ours; what units.py does with it, `re` does as well
from supervisor.clock import SystemClock  # noqa: E402
from supervisor.facts import Container, Fact, OomSeen  # noqa: E402
from supervisor.kernel.hands import ControlGroups  # noqa: E402
from supervisor.kernel.tree import KernelFiles  # noqa: E402
from supervisor.signals.memory.edges import Edges  # noqa: E402
from tests.support import groups_suite  # noqa: E402
from tests.support.groups_programs import program  # noqa: E402
from tests.support.groups_suite import CHECKS, MIB  # noqa: E402

ROOT = Path("/sys/fs/cgroup")
SLICE = ROOT / "system.slice"
READ = "exec 3</dev/nullb0; dd if=/dev/nullb0 of=/dev/null bs=1M skip={skip} count={{}}"
"""page cache of a disk lives as long as somebody has the disk open"""
LIMIT = 300.0
"""seconds for one case, in an emulated machine"""


class GuestLab:
    """Control groups by hand."""

    made = 0

    def __init__(self) -> None:
        self.tree = KernelFiles()
        self.hands = ControlGroups(KernelFiles(), SystemClock())
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    async def start(self, kind: str, amount: int = 0, limit: int = 0) -> Container:
        GuestLab.made += 1
        made = hashlib.sha256(str(GuestLab.made).encode()).hexdigest()
        folder = SLICE / f"docker-{made}.scope"
        folder.mkdir(parents=True)
        if limit:
            (folder / "memory.max").write_text(str(limit * MIB))
        script = program(kind, amount, READ.format(skip=64 * GuestLab.made))  # pages belong to whoever read them first
        inside = (
            f"echo 0 > {folder}/cgroup.procs; exec sh -c '{script.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'"
        )
        process = subprocess.Popen(["/bin/busybox", "sh", "-c", inside], start_new_session=True)
        self._running[made] = (process, folder)
        box = Container(made, f"{kind}-{GuestLab.made}", "", "", status="running", pid=process.pid)
        await groups_suite.until(lambda: self._settled(box, kind, amount), f"the load of a {kind}")
        return box

    async def _settled(self, box: Container, kind: str, amount: int) -> bool:
        if box.id.encode() not in self.tree.read(f"/proc/{box.pid}/cgroup"):
            return False
        return await groups_suite.settled(self, box, kind, amount)

    async def signal(self, container: Container, number: int) -> None:
        os.kill(container.pid, number)

    async def state(self, container: Container) -> str:
        process, folder = self._running[container.id]
        code = process.poll()
        if code is None:
            return "running"
        await self._remove(folder)
        return str(128 - code if code < 0 else code)

    async def close(self) -> None:
        """Everything ends."""
        for process, folder in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            await self._remove(folder)
        self.hands.close()
        self.tree.close()

    async def _remove(self, folder: Path) -> None:
        """What an engine does with the group of a container that ended."""
        while folder.exists():
            with suppress(OSError):
                (folder / "cgroup.kill").write_text("1")
                folder.rmdir()
            await asyncio.sleep(0.02)


class Ears:
    """What the kernel tells by itself, of one container that stands frozen until it is watched."""

    def __init__(self, lab: GuestLab) -> None:
        self.lab = lab
        self.facts: list[Fact] = []
        self.woken = 0
        self.boxes: list[Container] = []
        self.edges = Edges(self.facts.append, SystemClock(), self._wake, lambda: self.boxes)

    def _wake(self) -> None:
        self.woken += 1

    async def watch(self, kind: str, amount: int) -> tuple[Container, Path]:
        """(a container that is watched and stands frozen, its group)."""
        box = await self.lab.start(kind, amount)
        await self.lab.hands.freeze(box, True)
        self.boxes.append(box)
        self.edges.look()
        self.woken = 0
        return box, Path(groups_suite.place(self.lab, box).memory)

    def heard(self, source: str, box: Container) -> OomSeen | None:
        """What a source told of it."""
        seen = [fact for fact in self.facts if isinstance(fact, OomSeen) and fact.source == source]
        return next((fact for fact in seen if fact.container_id == box.id), None)


async def all_sources_of_a_second_version_are_live(lab: GuestLab) -> None:
    """Thresholds are version 1's alone. Here nothing takes the right to a short window of pressure away."""
    ears = Ears(lab)
    await ears.watch("grow", 48)
    live = {source.name: (source.live, source.text) for source in ears.edges.sources()}
    assert [name for name, (is_live, _text) in sorted(live.items()) if not is_live] == ["thresholds"], live


async def the_kernel_tells_of_a_killed_child_by_itself(lab: GuestLab) -> None:
    ears = Ears(lab)
    box, folder = await ears.watch("parent", 60)
    (folder / "memory.max").write_text(str(24 * MIB))
    await lab.hands.freeze(box, False)

    async def told() -> bool:
        return ears.heard("events", box) is not None and ears.heard("kernel-log", box) is not None

    await groups_suite.until(told, "what the kernel tells of the kill")
    line = ears.heard("kernel-log", box)
    assert line is not None
    assert (line.constraint, line.process) == ("memcg", "awk")
    assert ears.woken > 0


async def a_fuse_that_acts_wakes_at_once(lab: GuestLab) -> None:
    ears = Ears(lab)
    box, _folder = await ears.watch("grow", 48)
    await lab.hands.fuse(box, 12.0 * MIB)
    await lab.hands.freeze(box, False)

    async def woken() -> bool:
        return ears.woken > 0

    await groups_suite.until(woken, "a call when the fuse acts")
    assert await lab.state(box) == "running"


OWN = [
    all_sources_of_a_second_version_are_live,
    the_kernel_tells_of_a_killed_child_by_itself,
    a_fuse_that_acts_wakes_at_once,
]
"""what only a real version 2 can show"""


async def run(case: Callable[[GuestLab], Awaitable[None]]) -> str:
    """'' where the case holds, else what went wrong."""
    lab = GuestLab()
    try:
        await asyncio.wait_for(case(lab), LIMIT)
    except Exception:  # the edge of the loop over all cases: it is told, and the next one begins
        return traceback.format_exc()
    finally:
        await lab.close()
    return ""


def main() -> None:
    """All cases, one after the other."""
    for folder in (ROOT, SLICE):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").write_text("+memory")
    for case in (*CHECKS, *OWN):
        trouble = asyncio.run(run(case))
        print(f"GUEST {json.dumps({'case': case.__name__, 'trouble': trouble})}", flush=True)
    print(f"GUEST {json.dumps({'kernel': os.uname().release, 'cases': len(CHECKS) + len(OWN)})}", flush=True)


if __name__ == "__main__":
    main()
    sys.exit(0)
