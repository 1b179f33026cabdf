"""Room in a simulated world: a test says what is held, and the world what is free."""

from supervisor.facts import Container, Free, Needs
from supervisor.lab.models import SimModels
from supervisor.signals.gpu import vram
from supervisor.signals.gpu.usage import usage_from
from supervisor.units import speaker


class SimRoom:
    """Implements ports.Room. `wanting`: what is said, '' for room enough. `unwatched`: what cannot be waited for."""

    def __init__(self, wanting: str = "", models: SimModels | None = None) -> None:
        """`models`: of the world. Where none was declared, or there is no world, there is plenty."""
        self._models = models
        self.wanting = wanting
        self.unwatched: tuple[str, ...] = ()
        self.asked: list[str] = []
        """container ids it was asked about"""

    async def held(self, needs: Needs, container: Container, before: str = "") -> str:
        """What a test said, else what the world is short of, as the real room says it."""
        self.asked.append(container.id)
        if self.wanting or self._models is None or not self._models.minds:
            return self.wanting
        memory, usage = self.now().memory, usage_from(self._models.cards.said())
        if memory < needs.memory:
            say = speaker((needs.memory,))
            return f"{say(memory)} of memory are free, it needs {say(needs.memory)}"
        return "" if usage.trouble else vram.short(needs.vram, usage, lambda _pid: "server")

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """What a test said."""
        return self.unwatched

    async def free(self) -> Free:
        """What the world has."""
        return self.now()

    def now(self) -> Free:
        """The same, at once."""
        models = self._models
        if models is None:
            return Free(float(1 << 50))
        models.engine.world.timers.run_due()
        cards = models.cards.said().get("gpus", ())
        on_cards = {card["uuid"]: float(card["free"]) for card in cards if not card["error"]}
        return Free(models.kernel.meminfo().get("MemAvailable", 0.0), on_cards)
