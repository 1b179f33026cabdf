"""One simulated daemon's hands on model servers and model files: ports.ModelServer and ports.Weights.

From: maneuvers and watches of one life. To: lab/models.py, which outlives it. Behind the fence of that life, with a
numbered point at which it may be killed before and after each verb, and before each answer.
"""

import asyncio
from collections.abc import Callable

from supervisor.errors import ServerError
from supervisor.facts import Completion, ServerLook, SlotModel, WeightsLook
from supervisor.lab.models import LATENCY, SimModels
from supervisor.ports import ModelAt


class SimServer:
    """Implements ports.ModelServer for one life of the daemon."""

    def __init__(self, world: SimModels, check: Callable[[], None], point: Callable[[], None]) -> None:
        """`check`: raises in a life that is over; `point`: a numbered place at which the daemon may be killed."""
        self._world, self._check, self._point = world, check, point

    def cannot(self, verb: str, model: SlotModel) -> str:
        """By what is declared alone."""
        if verb in ("load", "unload") and not model.inside:
            return f"{model.name} is loaded by its container's start; say inside: true where its server can load it"
        if verb in ("sleep", "wake") and not model.sleep:
            return f"{model.name} has no sleep: 1 or 2 in resurgam.yaml"
        return ""

    async def look(self, at: ModelAt, within: float = 5.0) -> ServerLook:
        self._check()
        await asyncio.sleep(LATENCY)
        self._check()
        return self._world.look(at)

    async def load(self, at: ModelAt, within: float) -> str:
        return await self._do("load", at, within)

    async def unload(self, at: ModelAt, within: float) -> str:
        return await self._do("unload", at, within)

    async def sleep(self, at: ModelAt, within: float) -> str:
        return await self._do("sleep", at, within)

    async def wake(self, at: ModelAt, within: float) -> str:
        return await self._do("wake", at, within)

    async def complete(
        self, at: ModelAt, prompt: str, tokens: int, within: float, *, exact: bool = False
    ) -> Completion:
        self._check()
        self._point()
        try:
            return await self._world.complete(at, prompt, tokens, within)
        finally:
            self._check()

    async def close(self) -> None:
        return

    async def _do(self, verb: str, at: ModelAt, within: float) -> str:
        self._check()
        why = self.cannot(verb, at.model)
        if why:
            raise ServerError(why)
        self._point()
        try:
            said = await self._world.verb(verb, at, within)
        finally:
            self._check()
        self._point()
        return said


class SimWeights:
    """Implements ports.Weights: what a test says of the files of a model, else files that are whole."""

    def __init__(self) -> None:
        self.files: dict[str, WeightsLook] = {}
        """by the model's name"""
        self.asked: list[str] = []

    async def look(self, model: SlotModel, within: float = 30.0) -> WeightsLook:
        """Its files."""
        self.asked.append(model.name)
        if model.name in self.files:
            return self.files[model.name]
        if not model.files and not model.source:
            return WeightsLook()
        return WeightsLook("gguf", "llama", max(1, len(model.files)), model.memory)
