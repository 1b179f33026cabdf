"""Where a model is asked, and what was seen there: the words that generic.py and doing.py share."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.facts import ServerLook, SlotModel
from supervisor.servers.understood import Said


class Asking(Protocol):
    """One server's door. ServerError where there is no answer: not reached, too late, too large."""

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        """One question. A redirect is an answer."""

    def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        """The server-sent events of an answer, each as one; of another answer: that one alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """A model, and the door to its server. `headers`: with its key, as the kind wants it."""

    door: Asking
    model: SlotModel
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A look, and the answer that told the state."""

    look: ServerLook
    first: Said
