"""What every kind of model server can be asked for, whether it has code of its own or is described by data.

From: hands.py, which finds out the kind. To: llama.py, ollama.py, vllm.py and generic.py, which all are Adapters. What
they share while they wait for a server stands here, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from supervisor import units
from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import ServerLook, SlotModel
from supervisor.servers.asking import CHAT, NATIVE, TEXT, Way
from supervisor.servers.places import Place
from supervisor.servers.understood import Said

LOOK = 5.0
"""seconds for one look inside a verb"""
POLL = 0.5
"""seconds between two looks while something is awaited; three times that after a while"""
PATIENT = 30.0
MOST = 1_000
"""entries of a list in an answer that are looked at"""
LOGIN = (401, 403)
BY_START = "it is loaded by its container's start; say inside: true where its server can load it"


OPENAI = tuple(Way(kind, kind) for kind in (CHAT, TEXT, NATIVE))
"""how most servers are asked for text, first to last"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How something is waited for."""

    clock: Clock
    poll: float = POLL


class Adapter(Protocol):
    """One kind of server."""

    @property
    def name(self) -> str:
        """Its word in `server:`."""

    @property
    def woken(self) -> bool:
        """Whether any question wakes a model that sleeps. Others fall over, or keep it waiting for ever."""

    def cannot(self, verb: str, model: SlotModel) -> str:
        """Why a verb cannot be done to a model of such a server, with the cure; '' if it can."""

    def headers(self, key: str) -> Mapping[str, str]:
        """The headers of a question; `key`: the line of the model's key file, '' for none."""

    async def look(self, place: Place, within: float) -> ServerLook:
        """How the model stands, by questions that disturb nothing. ServerError where it does not answer."""

    async def ways(self, place: Place, within: float) -> tuple[tuple[Way, ...], str]:
        """(how it is asked for text, first to last; the name to ask for), without loading anything. ServerError where
        it cannot be asked without that."""

    async def do(self, verb: str, place: Place, within: float) -> str:
        """Load, unload, sleep or wake it, and return once the server says that it is so: what it said."""


def asked(model: SlotModel) -> str:
    """The name to ask a server for; '' for one with a single model that nobody named."""
    return model.model or (model.name if model.inside else "")


async def called(adapter: Adapter, place: Place, within: float) -> str:
    """The name to ask for; of one with a single model what it calls that itself."""
    return asked(place.model) or (await adapter.look(place, within)).identity.model


Look = Callable[[float], Awaitable[ServerLook]]
"""one look within so many seconds"""


async def until(look: Look, aims: tuple[str, ...], ends: float, pace: Pace, failing: str) -> ServerLook:
    """Look until the model stands as it should. `failing`: the beginning of the sentence if it does not come about.
    ServerError then, or at once where it is wanted in memory and its server says that it failed."""
    began, why = pace.clock.mono(), ""
    while True:
        try:
            seen = await look(max(0.1, min(LOOK, ends - pace.clock.mono())))
        except ServerError as err:
            seen, why = None, str(err).rstrip(".")
        if seen is not None:
            if seen.state in aims:
                return seen
            why = seen.text
            if seen.state == "failed" and "loaded" in aims:
                raise ServerError(f"{failing}: {why}.")
        if not await rest(began, ends, pace):
            raise ServerError(f"{failing} in time: {why}.")


async def idle(look: Look, ends: float, pace: Pace, title: str) -> None:
    """Wait for requests in flight, as far as the server tells. ServerError where it still works on some."""
    began = pace.clock.mono()
    while True:
        busy = (await look(max(0.1, min(LOOK, ends - pace.clock.mono())))).in_flight
        if not busy:
            return
        if not await rest(began, ends, pace):
            raise ServerError(f"{title} still works on {busy} {'request' if busy == 1 else 'requests'}.")


async def rest(began: float, ends: float, pace: Pace) -> bool:
    """Rest until the next look; False where there is no time for one."""
    now = pace.clock.mono()
    if now >= ends:
        return False
    await asyncio.sleep(min(pace.poll if now - began < PATIENT else 3 * pace.poll, ends - now))
    return True


def entries(said: Said, key: str) -> list[dict[str, object]]:
    """The mappings in a list of an answer that is well; none where there is no such list."""
    found = said.document.get(key) if said.status == 200 and isinstance(said.document, dict) else None
    return [one for one in found[:MOST] if isinstance(one, dict)] if isinstance(found, list) else []


def document(said: Said) -> dict[str, object]:
    """An answer that is well and a mapping; an empty one for any other."""
    return said.document if said.status == 200 and isinstance(said.document, dict) else {}


def text(entry: Mapping[str, object], key: str) -> str:
    """A short text in an answer; '' where it is none."""
    found = entry.get(key)
    return units.plain(found, 500) if isinstance(found, str) else ""


def texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A list of short texts in an answer."""
    found = entry.get(key)
    return (
        tuple(units.plain(one, 500) for one in found[:100] if isinstance(one, str)) if isinstance(found, list) else ()
    )


def whole(entry: Mapping[str, object], key: str) -> int:
    """A number of things in an answer; 0 where it is none."""
    found = entry.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 1 << 60 else 0


def wants_key(title: str, said: Said) -> str:
    """The end of a sentence: it keeps this from strangers."""
    return f"{title} wants a key ({said.status}); put it into a file, named as key-file"
