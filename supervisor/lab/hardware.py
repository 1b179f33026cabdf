"""The simulated machine beyond its containers: a card's reset, a restart of the machine, and who has a card open.

From: tests, which say what is refused and how long it takes. To: lab/gpu.py (a reset heals the card), the engine and
the daemon (a restart ends both, and both come up again). `SimMachineHands` outlives the daemon; `SimHardware` is one
daemon's ports.Hardware, behind its fence, with a numbered point before and after each effect.
"""

import asyncio
from collections.abc import Callable

from supervisor.clock import Clock
from supervisor.errors import HardwareError
from supervisor.lab.gpu import SimCards, SimReader

RESET_TAKES, GOES_DOWN, IS_DOWN = 8.0, 5.0, 20.0
"""seconds a reset takes; between the wish for a restart and the machine's end; until it is up again"""


class SimMachineHands:
    """What was done to the machine, and what it does about it."""

    def __init__(
        self, clock: Clock, cards: SimCards, point: Callable[[], None], restart: Callable[[float], None]
    ) -> None:
        """`restart(seconds)`: everything ends now, and comes up after so long."""
        self.clock, self.cards, self.point, self._restart = clock, cards, point, restart
        self.boots = 1
        self.resets: list[tuple[float, str]] = []
        """(monotonic, bus id) of every reset that was begun"""
        self.reboots: list[float] = []
        """(monotonic) of every wish for a restart"""
        self.missing = ""
        """why nothing of it can be done on this machine"""
        self.refuses = ""
        """what nvidia-smi says instead of resetting"""
        self.heals = True
        """a reset helps"""
        self.goes_down = True
        """a wish for a restart is obeyed"""
        self.mends = True
        """a restart helps"""
        self.watching: list[Callable[[str, str], None]] = []
        """called with (verb, bus id) as a reset, or a restart, is begun"""
        self.strangers: dict[str, tuple[str, ...]] = {}
        """bus id -> processes of the host that have the card open"""

    def users(self, bus_id: str) -> tuple[str, ...]:
        """Who has the card open, the daemon's own reader apart."""
        inside = [f"server (pid {pid})" for pid in self.cards.openers(bus_id)]
        return (*inside, *self.strangers.get(bus_id, ()))

    async def reset(self, bus_id: str) -> str:
        """nvidia-smi: it runs to its end, whatever becomes of the daemon."""
        self._seen("gpu-reset", bus_id)
        self.resets.append((self.clock.mono(), bus_id))
        if self.refuses:
            raise HardwareError(f"`nvidia-smi --gpu-reset -i {bus_id}` failed (exit 3): {self.refuses}")
        if self.heals:
            asyncio.get_running_loop().call_later(RESET_TAKES / 2, self._healed, bus_id)
        await asyncio.sleep(RESET_TAKES)
        return f"GPU {bus_id} was successfully reset. All done."

    def _healed(self, bus_id: str) -> None:
        for card in self.cards.cards:
            if card.bus_id == bus_id:
                card.heal()

    def reboot(self) -> None:
        """systemctl: the machine goes down in a moment."""
        self._seen("reboot", "")
        self.reboots.append(self.clock.mono())
        if self.goes_down:
            asyncio.get_running_loop().call_later(GOES_DOWN, self._down)

    def _seen(self, verb: str, bus_id: str) -> None:
        for watcher in self.watching:
            watcher(verb, bus_id)

    def _down(self) -> None:
        self.boots += 1
        if self.mends:
            self.cards.boot()
        self._restart(IS_DOWN)


class SimHardware:
    """Implements ports.Hardware for one life of the daemon."""

    def __init__(self, hands: SimMachineHands, reader: SimReader, check: Callable[[], None]) -> None:
        """`check`: raises in a life that is over."""
        self._hands, self._reader, self._check = hands, reader, check

    def boot(self) -> str:
        """Which boot of the machine this is."""
        return f"boot-{self._hands.boots}"

    def cannot(self, verb: str, bus_id: str) -> str:
        """What a test said."""
        return self._hands.missing

    async def users(self, bus_id: str) -> tuple[str, ...]:
        """Who has it open."""
        self._check()
        return self._hands.users(bus_id)

    async def reset_gpu(self, bus_id: str, within: float) -> str:
        """Reset it, unless somebody has it open, us included."""
        self._check()
        self._hands.point()
        if self._hands.missing:
            raise HardwareError(self._hands.missing)
        users = (*self._hands.users(bus_id), *(("our own process",) if self._reader.open else ()))
        if users:
            raise HardwareError(f"it is used by {', '.join(users)}")
        said = await self._hands.reset(bus_id)
        self._check()
        self._hands.point()
        return said

    async def reboot(self) -> None:
        """Ask for it."""
        self._check()
        self._hands.point()
        if self._hands.missing:
            raise HardwareError(self._hands.missing)
        self._hands.reboot()
        self._hands.point()
