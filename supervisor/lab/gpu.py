"""Simulated GPUs: the cards of a machine, the driver that tells of them, and what the kernel says beside it.

From: the simulated engine's containers, and tests, which say what holds how much and what breaks. To:
signals/gpu/watch, as it would ask the real ones: `SimReader` is one daemon's reader.GpuReader, `SimCards` what outlives
it (it is also boards.Boards, and a Tree in which the processes on the cards have control groups).
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supervisor.clock import Clock
from supervisor.config.settings import GpuSettings
from supervisor.core import Core
from supervisor.engines.docker import cards as words
from supervisor.engines.docker import shape
from supervisor.facts import RECOVERIES, GpuReading
from supervisor.incidents.locks import GPU_TURN
from supervisor.kernel.tree import Tree
from supervisor.lab.boxes import SimContainer
from supervisor.lab.dockerd import SimDockerd
from supervisor.lab.kernel.dockerd import words_of
from supervisor.signals.gpu.owners import DEVICES, Owners
from supervisor.signals.gpu.reader import DEADLINE, DEPTHS
from supervisor.signals.gpu.told import NvmlEvent, reading_from
from supervisor.signals.gpu.watch import GpuWatch, Rhythm

GIB = 1 << 30
MODULE = "580.159.04"
"""the driver's version, until a test says otherwise"""
HANGS = DEADLINE
"""seconds after which it is known that it hangs"""
_FIRST_ORPHAN = 4_000_000
_CGROUP = re.compile(r"/proc/(\d+)/cgroup")
_LOST = 15
_PLAIN = {
    "DCGM_FI_DEV_GPU_TEMP": 38.0,
    "DCGM_FI_DEV_GPU_UTIL": 0.0,
    "DCGM_FI_DEV_POWER_USAGE": 76.0,
    "DCGM_FI_DEV_PSTATE": 0.0,
    "resurgam_gpu_persistence_mode": 1.0,
}


@dataclass(slots=True)
class SimCard:
    """One card. Tests change it as they like."""

    index: int
    uuid: str
    bus_id: str
    name: str = "NVIDIA H200"
    compute: str = "9.0"
    total: int = 96 * GIB
    reserved: int = 1 * GIB
    recovery: str = "none"
    error: str = ""
    code: int = 0
    listed: bool = True
    """the driver counts it"""
    present: bool = True
    """its board is on the bus"""
    hidden: int = 0
    """bytes in use of which the driver names nobody"""
    values: dict[str, float] = field(default_factory=lambda: dict(_PLAIN))

    def lose(self) -> None:
        """The driver does not reach it any more."""
        self.error, self.code = "GPU is lost", _LOST

    def heal(self) -> None:
        """As after a reset, or another boot."""
        self.error, self.code, self.recovery = "", 0, "none"
        self.listed = self.present = True
        self.hidden = 0


@dataclass(frozen=True, slots=True)
class SimVram:
    """What a container holds: card index -> bytes; it grows to that within `load` seconds of its start."""

    held: Mapping[int, int]
    load: float = 0.0


class SimCards:
    """The cards of a simulated machine; none until a test adds some."""

    def __init__(self, clock: Clock, engine: SimDockerd, tree: Tree) -> None:
        self.clock, self._engine, self._tree = clock, engine, tree
        self.cards: list[SimCard] = []
        self.trouble = ""
        """why nobody can ask the driver, one of GpuReading.trouble; `hung` takes its time"""
        self.text = ""
        self.driver = MODULE
        """of the part in the kernel; '' for none"""
        self.library = MODULE
        """of the file on disk"""
        self.asleep_now = False
        self.vram: dict[str, SimVram] = {}
        """by container id, name, compose service, or image"""
        self.default = GIB
        """what a container that asks for cards holds of each, where nothing else was said"""
        self.stripped: set[str] = set()
        """ids of containers that may not open the cards any more: what they hold is gone with their next life"""
        self.orphans: dict[int, tuple[str, int, int]] = {}
        """pid -> (container id, card index, bytes): processes that outlived their container"""
        self.asked: list[tuple[float, str]] = []
        """(monotonic, depth): every question that reached the driver"""

    # ------------------------------------------------------------ what tests say

    def add(self, **about: Any) -> SimCard:
        """One more card."""
        index = about.pop("index", len(self.cards))
        about.setdefault("uuid", f"GPU-{index:08d}-0000-4000-8000-00000000000{index % 10}")
        about.setdefault("bus_id", f"00000000:{0x17 + index:02x}:00.0")
        self.cards.append(SimCard(index, **about))
        return self.cards[-1]

    def strip(self, word: str) -> None:
        """The containers of that word lose the cards, as by `systemctl daemon-reload`, and go on without."""
        self.stripped |= {box.id for box in self._running() if word in words_of(box)}

    def leave_behind(self, container_id: str, index: int, size: int) -> int:
        """A process of this container outlives it. Its pid."""
        pid = max((_FIRST_ORPHAN, *(one + 1 for one in self.orphans)))
        self.orphans[pid] = container_id, index, size
        return pid

    def boot(self) -> None:
        """The machine was restarted: everything is as it should be."""
        self.trouble = self.text = ""
        self.library = self.driver
        self.stripped.clear()
        self.orphans.clear()
        for card in self.cards:
            card.heal()

    def openers(self, bus_id: str) -> list[int]:
        """The processes that have a card open, by pid, whether the driver still tells of them or not."""
        there = [card.index for card in self.cards if card.bus_id == bus_id]
        return [pid for pid, index, _size in self._used() if index in there]

    # ------------------------------------------------------------ what the driver says

    def said(self) -> Mapping[str, Any]:
        """The answer to a question, as child.py gives it."""
        if self.trouble:
            return {"trouble": self.trouble, "text": self.text}
        used = self._used()
        shown = [self._card(card, used) for card in self.cards if card.listed]
        if not shown:
            return {"trouble": "no_gpu", "text": "0 GPUs"}
        return {"gpus": shown, "driver": self.driver, "library": self.driver}

    def _card(self, card: SimCard, used: Sequence[tuple[int, int, int]]) -> Mapping[str, Any]:
        about = {"index": card.index, "uuid": card.uuid, "bus": card.bus_id, "name": card.name, "split": True}
        about["compute"] = card.compute
        if card.error:
            nothing = {"total": 0, "free": 0, "reserved": 0, "users": [], "values": {}}
            return {**about, **nothing, "error": card.error, "code": card.code}
        users = [[pid, size] for pid, index, size in used if index == card.index]
        taken = card.reserved + card.hidden
        for _pid, size in users:
            taken += size
        recovery = {"230": float(RECOVERIES.index(card.recovery))} if card.recovery else {}
        sizes = {"total": card.total, "free": max(0, card.total - taken), "reserved": card.reserved}
        return {**about, **sizes, "users": users, "values": {**card.values, **recovery}, "error": "", "code": 0}

    def _used(self) -> list[tuple[int, int, int]]:
        """(pid, card index, bytes), by pid."""
        found = [(pid, index, size) for pid, (_id, index, size) in self.orphans.items()]
        for box in self._running():
            if box.id in self.stripped:
                continue
            held = next((self.vram[word] for word in words_of(box) if word in self.vram), None)
            held = held or SimVram(dict.fromkeys(self._asked_of(box), self.default))
            grown = (self.clock.mono() - box.began_mono) / held.load if held.load > 0 else 1.0
            found += [(box.pid, index, int(size * min(1.0, grown))) for index, size in held.held.items() if size]
        return sorted(found)

    def _asked_of(self, box: SimContainer) -> list[int]:
        """The cards that a container asks for; some number of them is the first."""
        if not shape.wants_gpu(box.config, box.host):
            return []
        wanted = words.asked(box.config, box.host)
        named = [card.index for card in self.cards if str(card.index) in wanted or card.uuid in wanted]
        return [card.index for card in self.cards] if "all" in wanted else named or [0]

    def _running(self) -> list[SimContainer]:
        return [box for _id, box in sorted(self._engine.containers.items()) if box.alive and box.pid]

    # ------------------------------------------------------------ what the machine says (boards.Boards)

    def find(self) -> Mapping[str, str]:
        """The boards on the bus."""
        return {card.bus_id: "10de:2335, driver nvidia" for card in self.cards if card.present}

    def asleep(self, boards: Sequence[str]) -> bool:
        """Whether the kernel has put them to sleep."""
        return bool(boards) and self.asleep_now

    def may_sleep(self, boards: Sequence[str]) -> bool:
        """Whether it would."""
        return False

    def loaded(self) -> bool:
        """Whether the driver is in the kernel."""
        return bool(self.cards and self.driver)

    def module(self) -> str:
        """Its version."""
        return self.driver

    def libraries(self) -> tuple[str, ...]:
        """The library's version, as on disk."""
        return (self.library,) if self.library else ()

    # ------------------------------------------------------------ what the kernel says (kernel.tree.Tree)

    def read(self, path: str) -> bytes:
        """A file; the processes on the cards have control groups, in version 1 with a list of devices."""
        match = _CGROUP.fullmatch(path)
        if match is not None and int(match[1]) in self.orphans:
            return f"0::/docker/{self.orphans[int(match[1])][0]}\n".encode()
        if path.startswith(f"{DEVICES}/"):
            denied = path.rpartition("/")[0].rpartition("/")[2] in self.stripped
            return b"c 1:3 rwm\n" if denied else b"c 1:3 rwm\nc 195:* rwm\n"
        text = self._tree.read(path)
        if match is not None:
            for line in text.decode().splitlines():
                _number, controllers, group = line.split(":", 2)
                if controllers == "memory":
                    text += f"3:devices:{group}\n".encode()
        return text

    def write(self, path: str, data: bytes) -> None:
        self._tree.write(path, data)

    def names(self, path: str) -> tuple[str, ...]:
        return self._tree.names(path)

    def exists(self, path: str) -> bool:
        return self._tree.exists(path)

    def writable(self, path: str) -> bool:
        return self._tree.writable(path)

    def forget(self, prefixes: Iterable[str]) -> None:
        self._tree.forget(prefixes)


class SimReader:
    """What reader.GpuReader is to the real driver."""

    def __init__(self, world: SimCards) -> None:
        self._world = world
        self._held = ""
        self.open = False
        """this daemon has the driver open: it is a user of every card"""
        self.heard: list[Callable[[NvmlEvent], None]] = []
        """who listens to what the driver tells by itself"""

    @property
    def held(self) -> str:
        return self._held

    @property
    def running(self) -> bool:
        return self.open

    async def snapshot(self, depth: str) -> GpuReading:
        """What there is to know of the cards, as the child's answer is read."""
        assert depth in DEPTHS, depth
        full = depth != "fast"
        if self._held:
            return reading_from({"trouble": "stopped", "text": self._held}, full=full)
        self._world.asked.append((self._world.clock.mono(), depth))
        if self._world.trouble == "hung":
            await asyncio.sleep(HANGS)
        found = self._world.said()
        self.open = "trouble" not in found
        return reading_from(found, full=full)

    def listen(self, heard: Callable[[NvmlEvent], None]) -> None:
        self.heard.append(heard)

    async def events(self, on: bool) -> str:
        return ""

    def hold(self, why: str) -> None:
        self._held, self.open = why or "held", False

    def resume(self) -> None:
        self._held = ""

    async def release(self, why: str) -> bool:
        self.hold(why)
        return self._world.trouble != "hung"

    async def close(self) -> None:
        self.open = False


def watching(
    world: SimCards, reader: SimReader, owners: Owners, core: Core, settings: GpuSettings, rhythm: float
) -> GpuWatch | None:
    """What a simulated daemon looks at its cards with, every `rhythm` seconds; None in a world that has none (yet)."""
    if not world.cards and not world.trouble:
        return None
    paces = Rhythm(rhythm, max(60.0, rhythm))
    about = (core.submit, world.clock, lambda: core.snapshot, settings)
    return GpuWatch(reader, world, owners, *about, host="sim", turn=GPU_TURN, rhythm=paces)
