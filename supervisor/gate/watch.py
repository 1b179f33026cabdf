"""How the gates stand, told to the core: at once where a door was told something, every few seconds while something
happens, and every so often else.

From: the lobbies of doors.py, or of the simulated ones (lab/gate.py). To: the core, as one Readings of the collector
`gate` for all of them.
"""

import asyncio
from collections.abc import Callable, Sequence

from supervisor.clock import Clock
from supervisor.facts import GateState, Readings
from supervisor.gate import series
from supervisor.gate.lobby import Lobby
from supervisor.ports import Submit

LIVELY = 5.0
"""seconds between two readings while something happens"""

States = Callable[[], Sequence[tuple[Lobby, GateState]]]


class GateWatch:
    """Tells, waits, tells. `ring` wakes it."""

    def __init__(self, states: States, submit: Submit, clock: Clock) -> None:
        self._states, self._submit, self._clock = states, submit, clock
        self._bell = asyncio.Event()
        self._told: tuple[GateState, ...] = ()
        self._told_at = float("-inf")

    def ring(self) -> None:
        """Something is worth a look now."""
        self._bell.set()

    def tell(self) -> None:
        """A reading, where something changed or the last one is old."""
        found = self._states()
        states = tuple(state for _lobby, state in found)
        if not (states or self._told):
            return  # no slot has a gate, and none had one
        old = self._clock.mono() - self._told_at
        turned = [_where(one) for one in states] != [_where(one) for one in self._told]
        if turned or old >= series.EVERY or (old >= LIVELY and states != self._told):
            self._told, self._told_at = states, self._clock.mono()
            self._submit(reading(found, self._clock))

    async def pause(self, until: float | None = None) -> None:
        """Until it is rung, or the next look is due; `until` (mono): that one is due then at the latest. Without any
        gate only a ring ends it."""
        loop, alarm = asyncio.get_running_loop(), None
        if self._told:
            now = self._clock.mono()
            due = now + LIVELY if until is None else min(until, now + LIVELY)
            alarm = loop.call_later(max(0.05, due - now), self._bell.set)
        try:
            await self._bell.wait()
        finally:
            self._bell.clear()
            if alarm is not None:
                alarm.cancel()


def reading(found: Sequence[tuple[Lobby, GateState]], clock: Clock) -> Readings:
    """One Readings of all gates."""
    samples = []
    for lobby, state in found:
        samples += series.samples(state, lobby.duration, lobby.first_byte, lobby.held_for)
    states = tuple(state for _lobby, state in found)
    return Readings(clock.wall(), clock.mono(), series.COLLECTOR, tuple(samples), whole=True, gates=states)


def _where(state: GateState) -> tuple[str, bool, str, bool, str]:
    """What is told at once: whether it listens, and where it leads."""
    return state.slot, state.listening, state.text, state.open, state.upstream
