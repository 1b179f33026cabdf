"""Stands in for model servers, gates and model files where there are none: every verb says so."""

from supervisor.errors import ServerError
from supervisor.facts import Completion, GateState, ServerLook, SlotModel, WeightsLook
from supervisor.facts.slots import UNKNOWN
from supervisor.ports import ModelAt, Models

_NONE = "no slot is declared, so no model server is known; declare it under slots: in resurgam.yaml"


class NoServer:
    """Implements ports.ModelServer."""

    def cannot(self, verb: str, model: SlotModel) -> str:
        return _NONE

    async def look(self, at: ModelAt, within: float = 5.0) -> ServerLook:
        return ServerLook(UNKNOWN, _NONE)

    async def load(self, at: ModelAt, within: float) -> str:
        raise ServerError(_NONE)

    async def unload(self, at: ModelAt, within: float) -> str:
        raise ServerError(_NONE)

    async def sleep(self, at: ModelAt, within: float) -> str:
        raise ServerError(_NONE)

    async def wake(self, at: ModelAt, within: float) -> str:
        raise ServerError(_NONE)

    async def complete(
        self, at: ModelAt, prompt: str, tokens: int, within: float, *, exact: bool = False
    ) -> Completion:
        raise ServerError(_NONE)

    async def close(self) -> None:
        return


class NoGate:
    """Implements ports.Gate."""

    def state(self, slot: str) -> GateState | None:
        return None

    def hold(self, slot: str, why: str) -> None:
        return

    def open(self, slot: str, upstream: str) -> None:
        return

    def refuse(self, slot: str, why: str, after: float) -> None:
        return

    def cut(self, slot: str) -> int:
        return 0


class NoWeights:
    """Implements ports.Weights."""

    async def look(self, model: SlotModel, within: float = 30.0) -> WeightsLook:
        return WeightsLook()


NO_MODELS = Models(NoServer(), NoGate(), NoWeights())
