"""All gates of this machine: one door per slot that declares an address.

From: the slots that are declared, and whoever says what each door does (ports.Gate). To: callers; the core (watch.py).
"""

import asyncio
import resource
from collections.abc import Iterable
from dataclasses import dataclass

from supervisor import units
from supervisor.clock import Clock
from supervisor.config.fields import listen_address
from supervisor.facts import GateState, Slot
from supervisor.gate.door import Door
from supervisor.gate.lobby import Lobby
from supervisor.gate.passing import Purse
from supervisor.gate.watch import GateWatch
from supervisor.gate.wire import Dial, dial, listen
from supervisor.ports import Submit

KEPT = 64 << 20
"""bytes of requests that wait, of all doors together"""
RETRY = 2.0
"""seconds until an address that could not be had is tried again"""
MOST, FEWEST = 2048, 32
"""connections of one door at a time"""
SPARED = 512
"""files the daemon needs for everything else"""


@dataclass(slots=True)
class _Gate:
    """One slot's door, and what is behind its address."""

    door: Door
    listen: str
    server: asyncio.Server | None = None
    text: str = "it does not listen yet"
    next: float = 0.0
    """mono: when the address is tried again"""


class Gates:
    """Implements ports.Gate. `declare` tells it the slots, `start` opens the doors, `run` is to be kept running."""

    def __init__(self, slots: Iterable[Slot], clock: Clock, submit: Submit, dialling: Dial = dial) -> None:
        self._clock, self._dial = clock, dialling
        self._purse = Purse(KEPT)
        self._gates: dict[str, _Gate] = {}
        self._closing: list[asyncio.Task[None]] = []
        self._watch = GateWatch(self._states, submit, clock)
        self.declare(slots)

    @property
    def faults(self) -> int:
        """Connections that a mistake of ours ended."""
        count = 0
        for gate in self._gates.values():
            count += gate.door.faults
        return count

    # ------------------------------------------------------------ ports.Gate

    def state(self, slot: str) -> GateState | None:
        """How it stands now; None where the slot has no gate."""
        gate = self._gates.get(slot)
        return self._state(gate) if gate is not None else None

    def hold(self, slot: str, why: str) -> None:
        """New requests wait; those in flight go on."""
        if slot in self._gates:
            self._gates[slot].door.lobby.hold(why)

    def open(self, slot: str, upstream: str) -> None:
        """Requests go to `http://host:port` from now on."""
        if slot in self._gates:
            self._gates[slot].door.lobby.open(upstream)

    def refuse(self, slot: str, why: str, after: float) -> None:
        """Nobody holds the slot: 503 with `why`."""
        if slot in self._gates:
            self._gates[slot].door.lobby.refuse(why, after)

    def cut(self, slot: str) -> int:
        """End what is in flight; how many."""
        return self._gates[slot].door.lobby.cut() if slot in self._gates else 0

    # ------------------------------------------------------------ its life

    def declare(self, slots: Iterable[Slot]) -> None:
        """These slots are declared now. A door whose address stays goes on as it stands, with its new bounds."""
        wanted = {slot.name: slot for slot in slots if slot.listen}
        for name in tuple(self._gates):
            if name not in wanted or wanted[name].listen != self._gates[name].listen:
                self._let_go(self._gates.pop(name))
        for name, slot in wanted.items():
            if name in self._gates:
                self._gates[name].door.lobby.slot = slot
            else:
                lobby = Lobby(slot, self._clock, self._watch.ring)
                self._gates[name] = _Gate(Door(lobby, self._purse, MOST, self._dial), slot.listen)
        for gate in self._gates.values():
            gate.door.most = _most(len(self._gates))
        self._watch.ring()

    async def start(self) -> None:
        """Listen. What cannot be had is tried again by `run`, and said in its state."""
        for gate in tuple(self._gates.values()):
            await self._listen(gate)

    async def run(self) -> None:
        """Tell how they stand, and try addresses again that could not be had."""
        while True:
            again: float | None = None
            for gate in tuple(self._gates.values()):
                if gate.server is None and self._clock.mono() >= gate.next:
                    await self._listen(gate)
                if gate.server is None:
                    again = gate.next if again is None else min(again, gate.next)
            self._watch.tell()
            await self._watch.pause(again)

    async def close(self) -> None:
        """End every door; callers are told."""
        for name in tuple(self._gates):
            self._let_go(self._gates.pop(name))
        await asyncio.gather(*self._closing, return_exceptions=True)

    # ------------------------------------------------------------ inner

    def _states(self) -> list[tuple[Lobby, GateState]]:
        return [(gate.door.lobby, self._state(gate)) for gate in self._gates.values()]

    def _state(self, gate: _Gate) -> GateState:
        return gate.door.lobby.state(gate.server is not None, gate.text)

    async def _listen(self, gate: _Gate) -> None:
        try:
            gate.server = await listen(*listen_address(gate.listen), gate.door.welcome)
            gate.text = ""
        except (OSError, ValueError) as err:
            why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
            gate.text = units.plain(f"cannot listen on {gate.listen}: {why}; who has it? It is tried again", 300)
            gate.next = self._clock.mono() + RETRY
        if self._gates.get(gate.door.lobby.slot.name) is not gate and gate.server is not None:
            gate.server.close()  # it was taken out meanwhile

    def _let_go(self, gate: _Gate) -> None:
        if gate.server is not None:
            gate.server.close()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nothing ran yet
        self._closing = [task for task in self._closing if not task.done()]
        self._closing.append(loop.create_task(gate.door.close()))


def _most(doors: int) -> int:
    """Connections of each door: all of them together leave the daemon the files it needs. Each request takes two."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = MOST if soft == resource.RLIM_INFINITY else (soft - SPARED) // (4 * max(1, doors))
    return max(FEWEST, min(MOST, room))
