"""What maneuvers need for models: their servers, the gates in front of slots, the files. As Protocols.

Each has a simulated twin that passes the same suite. As with every port, a call may be late, fail, or have its effect
and then fail.
"""

from dataclasses import dataclass, field
from typing import Protocol

from supervisor.facts import Completion, Container, GateState, Needs, ServerLook, SlotModel, WeightsLook


@dataclass(frozen=True, slots=True)
class ModelAt:
    """One model, where its server answers. `container` None: a server that is no container of ours."""

    model: SlotModel
    needs: Needs = field(default_factory=Needs)
    """of its service"""
    container: Container | None = None


class ModelServer(Protocol):
    """The hands on model servers (real: servers/, simulated: lab/models). Raises errors.ServerError, a sentence with
    the cure. A look never wakes, loads or disturbs anything. Every verb may be repeated: what is so stays so."""

    def cannot(self, verb: str, model: SlotModel) -> str:
        """Why `load`, `unload`, `sleep` or `wake` cannot be done to it, with the cure; '' if it can, or nobody knows
        before it is asked. Cheap, and asks nobody."""

    async def look(self, at: ModelAt, within: float = 5.0) -> ServerLook:
        """How the model stands with its server. Never raises: what cannot be asked is `unknown`, with why."""

    async def load(self, at: ModelAt, within: float) -> str:
        """Load it, and return once the server says that it is loaded; what it said."""

    async def unload(self, at: ModelAt, within: float) -> str:
        """Let the server give its memory back; what it said. What works on requests is waited for where it can be."""

    async def sleep(self, at: ModelAt, within: float) -> str:
        """Let it sleep at its level, once its requests have ended; what it said. Verified by the server's own word."""

    async def wake(self, at: ModelAt, within: float) -> str:
        """Wake it, with its weights in place again; what it said."""

    async def complete(
        self, at: ModelAt, prompt: str, tokens: int, within: float, *, exact: bool = False
    ) -> Completion:
        """One answer, streamed. `exact`: temperature 0. ServerError also where it stops half-way or says nothing."""

    async def close(self) -> None:
        """Let go of every connection."""


class Gate(Protocol):
    """The front doors of slots (real: gate/, simulated: lab/gate). Never raises; a slot without a gate has none of it.
    A door that was never told anything holds: until the journal says who holds the slot, nobody is sent away."""

    def state(self, slot: str) -> GateState | None:
        """How it stands now; None where the slot has no gate."""

    def hold(self, slot: str, why: str) -> None:
        """New requests wait; those in flight go on."""

    def open(self, slot: str, upstream: str) -> None:
        """Requests, those that wait first, go to `http://host:port` from now on; those in flight stay."""

    def refuse(self, slot: str, why: str, after: float) -> None:
        """Nobody holds the slot: 503 with `why`, to be tried again after so many seconds."""

    def cut(self, slot: str) -> int:
        """End what is in flight, each told so in the API's own shape where that is still possible; how many."""


class Weights(Protocol):
    """Reads the headers of model files (real: weights/, simulated: lab/models). Never raises: what is wrong is in
    `troubles`. Nothing is loaded."""

    async def look(self, model: SlotModel, within: float = 30.0) -> WeightsLook:
        """The files of a model; of `source` where it has no files here."""


@dataclass(frozen=True, slots=True)
class Models:
    """What maneuvers need for models: their servers, the gates in front of slots, the files."""

    server: ModelServer
    gate: Gate
    weights: Weights
