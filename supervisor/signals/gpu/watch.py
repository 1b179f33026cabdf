"""The rhythm of looking at the GPUs: one reading of every card per round, with whose the processes on them are.

From: reader.py (the driver, at arm's length), boards.py (what the machine says without it), owners.py. To: the core, as
one Readings fact of the collector `gpu` per round: dcgm-exporter's samples, and the GpuReading. A machine without a
board, a driver and a service that asks for a GPU costs one look at the PCI bus a minute, and tells nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from supervisor.clock import Clock
from supervisor.config.settings import GpuSettings
from supervisor.facts import GpuCard, GpuReading, Plan, Readings, Service, Snapshot
from supervisor.ports import GpuDriver, Submit
from supervisor.signals.gpu.boards import mismatch
from supervisor.signals.gpu.owners import Owners, wants_nvidia
from supervisor.signals.gpu.series import FAST, SLOW, Series

COLLECTOR = "gpu"
RARE = 600.0
"""seconds between two readings of everything, names and limits among it"""
GROUPS = 10.0
"""seconds between two looks at what containers may open"""
TURN = 120.0
"""seconds for which the driver is not opened beside a plan that stops or starts something on the cards, at most: some
models load for half an hour"""
_RESET = "gpu-reset"
_ASLEEP = "The GPU sleeps, and to ask its driver would wake it: nothing is known of it until somebody uses it."
_MISMATCH = (
    "NVIDIA's driver in the kernel is {module}, its library on disk is {library}: what runs goes on, and no container "
    "that uses a GPU can be started. Restart the machine, or load the new driver."
)
_SWITCHED_OFF = "resurgam.yaml says `gpu: {enable: false}`, so NVIDIA's driver is not asked."
_ON_PURPOSE = "A person wants NVIDIA's driver let go of; `resurgam gpu resume` ends that."


class Machine(Protocol):
    """What the machine says of its GPUs without the driver (boards.py)."""

    def find(self) -> Mapping[str, str]: ...

    def asleep(self, boards: Sequence[str]) -> bool: ...

    def may_sleep(self, boards: Sequence[str]) -> bool: ...

    def loaded(self) -> bool: ...

    def module(self) -> str: ...

    def libraries(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between two rounds, by how much is asked in them."""

    fast: float = FAST
    slow: float = SLOW
    rare: float = RARE
    idle: float = 60.0
    """between two looks whether there is a GPU at all; a quarter of it where the driver cannot be asked"""
    rest: float = 180.0
    """while the kernel may put the boards to sleep and nobody uses them: the driver, once open, keeps them awake"""


@dataclass(frozen=True, slots=True)
class _Around:
    """What the machine said last."""

    boards: Mapping[str, str]
    loaded: bool
    module: str
    libraries: tuple[str, ...]


class GpuWatch:
    """Reads the cards for ever, once there is something to read."""

    def __init__(
        self,
        driver: GpuDriver,
        machine: Machine,
        owners: Owners,
        submit: Submit,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        settings: GpuSettings,
        *,
        host: str = "",
        turn: str = "",
        rhythm: Rhythm = Rhythm(),
    ) -> None:
        """`snapshot`: how everything stands; `host`: the machine's name, on the series; `turn`: the lock that a plan
        holds while it lets go of GPUs or takes them."""
        self._driver, self._machine, self._owners = driver, machine, owners
        self._submit, self._clock, self._snapshot = submit, clock, snapshot
        self._settings, self._turn, self._rhythm = settings, turn, rhythm
        if not settings.enable:
            driver.hold(_SWITCHED_OFF)
        self._series = Series(host, rhythm.fast)
        self._bell = asyncio.Event()
        self._around: _Around | None = None
        self._slow: dict[str, Mapping[str, float]] = {}
        """UUID -> the values of the last reading of everything"""
        self._denied: tuple[str, ...] = ()
        self._at: dict[str, float] = {}
        """what was looked at last when (monotonic)"""
        self._obeyed = ""
        """why the core wants the driver left alone; '' if it does not"""
        self._told = self._seen = False
        """the core was told of a reading; and a card was seen"""
        self._resting = False
        self._services: Sequence[Service] = ()
        """those that were looked through for one that asks for a GPU"""
        self._turn_since: float | None = None
        """since when the driver is not opened because of a plan's turn"""

    async def run(self) -> None:
        """Look, wait, look."""
        if not self._settings.enable:
            return
        loop = asyncio.get_running_loop()
        while True:
            pause = await self.look()
            alarm = loop.call_later(pause, self._bell.set)
            try:
                await self._bell.wait()
            finally:
                alarm.cancel()
            self._bell.clear()

    def changed(self) -> None:
        """Things stand differently. What the core wants of the driver is obeyed at once; the first service that asks
        for a GPU is not left waiting for the next look at an idle machine."""
        if not self._settings.enable:
            return
        snapshot = self._snapshot()
        if self._wish() != self._obeyed and not self._reset():
            self._obey()
            self._bell.set()
        elif (self._resting or not self._told) and snapshot.services is not self._services:
            self._services = snapshot.services
            if self._owners.asking() if self._told else _asked_for(snapshot.services):
                self._bell.set()

    async def look(self) -> float:
        """One round. Seconds until the next one is due."""
        self._obey()
        self._resting = False
        around = self._look_around()
        if not self._concerned(around):
            self._tell_nothing()
            return self._rhythm.idle
        if self._driver.held:
            found = GpuReading(trouble="stopped", text=self._driver.held)
        elif not self._driver.running and self._machine.asleep(tuple(around.boards)):
            found = GpuReading(trouble="asleep", text=_ASLEEP)
        elif not self._driver.running and self._in_turn():
            return self._rhythm.fast  # somebody opens or closes the cards now, and two at once have hung drivers
        else:
            found = await self._driver.snapshot(self._depth())
        if found.trouble:
            self._at.pop("slow", None)  # what was to be asked was not: with the next question, then
            self._at.pop("rare", None)
        self._tell(found, around)
        self._resting = self._may_rest(found, around)
        if self._resting:
            return self._rhythm.rest
        return self._rhythm.fast if found.cards or found.trouble in ("hung", "error") else self._rhythm.idle / 4

    def _concerned(self, around: _Around) -> bool:
        """Whether anybody wants to know of cards here: there are some, there are to be some, or a service wants one."""
        snapshot = self._snapshot()
        if around.boards or around.loaded or self._seen or self._settings.expected:
            return True
        return (snapshot.gpus is not None and snapshot.gpus.expected > 0) or _asked_for(snapshot.services)

    def _may_rest(self, found: GpuReading, around: _Around) -> bool:
        used = any(card.users or card.error for card in found.cards) or not found.cards
        return not used and not self._owners.asking() and self._machine.may_sleep(tuple(around.boards))

    # ------------------------------------------------------------ hands off

    def _obey(self) -> None:
        """Leave the driver alone while the core wants that, and no longer. Who else held it, lets it go himself: so
        does the plan that resets a card, in the middle of which an open driver does harm."""
        wanted = self._wish()
        if self._reset():
            return
        if wanted and not self._driver.held:
            self._driver.hold(wanted)
        elif not wanted and self._obeyed and self._driver.held:
            self._driver.resume()
            self._at.clear()
        self._obeyed = wanted

    def _reset(self) -> bool:
        """Whether a plan that resets a card holds the driver."""
        return bool(self._driver.held) and any(plan.verb == _RESET for plan in self._snapshot().plans)

    def _wish(self) -> str:
        """Why the core wants the driver left alone; '' if it does not."""
        state = self._snapshot().gpus
        if state is None:
            return ""
        return state.quiet or (_ON_PURPOSE if state.released > self._clock.wall() else "")

    def _in_turn(self) -> bool:
        """Whether a plan opens or closes the cards just now."""
        if not (self._turn and any(_takes(plan, self._turn) for plan in self._snapshot().plans)):
            self._turn_since = None
            return False
        now = self._clock.mono()
        if self._turn_since is None:
            self._turn_since = now
        return now - self._turn_since < TURN

    # ------------------------------------------------------------ one round

    def _due(self, what: str, every: float) -> bool:
        """Whether it is time for this again; then it counts as done."""
        now = self._clock.mono()
        due = now - self._at.get(what, float("-inf")) >= every - self._rhythm.fast / 2
        if due:
            self._at[what] = now
        return due

    def _depth(self) -> str:
        if self._due("rare", self._rhythm.rare):
            self._at["slow"] = self._clock.mono()
            return "rare"
        return "slow" if self._due("slow", self._rhythm.slow) else "fast"

    def _look_around(self) -> _Around:
        if self._around is None or self._due("around", self._rhythm.idle):
            self._at["around"] = self._clock.mono()
            boards, loaded = self._machine.find(), self._machine.loaded()
            module = self._machine.module() if loaded else ""
            libraries = self._machine.libraries() if module else ()
            self._around = _Around(boards, loaded, module, libraries)
        return self._around

    def _tell(self, found: GpuReading, around: _Around) -> None:
        if self._due("groups", GROUPS):
            self._denied = self._owners.denied()
        told = {card.uuid: frozenset(card.values) for card in found.cards}
        cards = self._owners.name(self._merged(found))
        found = replace(
            found,
            cards=cards,
            boards=around.boards,
            driver=found.driver or around.module,
            library=found.library or (around.libraries[0] if around.libraries else ""),
            denied=self._denied,
        )
        found = _doubted(found, around)
        samples = self._series.samples(found, told, self._clock.mono())
        self._told, self._seen = True, self._seen or bool(cards)
        at, mono = self._clock.wall(), self._clock.mono()
        self._submit(Readings(at, mono, COLLECTOR, samples, gpu=found))

    def _tell_nothing(self) -> None:
        """Nothing here has to do with GPUs any more."""
        if self._told:
            self._told = False
            self._submit(Readings(self._clock.wall(), self._clock.mono(), COLLECTOR, ()))

    def _merged(self, found: GpuReading) -> tuple[GpuCard, ...]:
        """The cards with what is asked less often as it was when it was asked."""
        if found.full:
            self._slow = {card.uuid: card.values for card in found.cards if not card.error}
            return found.cards
        return tuple(
            card if card.error else replace(card, values={**self._slow.get(card.uuid, {}), **card.values})
            for card in found.cards
        )


# ------------------------------------------------------------ decisions


def _doubted(found: GpuReading, around: _Around) -> GpuReading:
    """A driver that was upgraded on disk answers us as before, through the library that we have loaded; whoever starts
    now gets the new one, and fails."""
    if found.trouble not in ("", "mismatch") or not mismatch(around.module, around.libraries):
        return found
    library = around.libraries[0]
    text = _MISMATCH.format(module=around.module, library=library)
    return replace(found, trouble="mismatch", text=text, driver=around.module, library=library)


def _asked_for(services: Sequence[Service]) -> bool:
    """Whether any service is to use a card of NVIDIA's."""
    return any(
        service.needs.vram or (service.container is not None and wants_nvidia(service.container))
        for service in services
    )


def _takes(plan: Plan, turn: str) -> bool:
    return plan.phase == "inside" and turn in plan.locks
