"""Replay: events told again to one who missed some, `cmd/<principal>/replay`, straight from the journal.

In: params `from` and `to` (or `after`, which is `from` less one): a span of `seq`. Out: on `reply/<principal>/replay`,
in order, the very bytes that went out (or would have gone out) as events; then, by `bus/commands`, the answer that says
how far that was and where to go on. What became of a row as an event does not matter here: what was shed, told in a
digest, refused or too old comes like the rest. Beside the pump, and never faster than the broker takes it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.bus.commands.envelope import Envelope
from supervisor.bus.commands.listener import REPLY_EXPIRY
from supervisor.bus.link.connack import BAD_PAYLOAD, TOO_LARGE
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import cloud_event, to_bytes, topic
from supervisor.errors import BrokerError
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread
from supervisor.units import plain

ROWS = 500
"""events in one answer: less than a broker keeps for one slow subscriber (mosquitto: 1000)"""
SIZE = 1024 * 1024
"""bytes in one answer, but always one event"""
PIECE = 50
"""rows read at once: a turn that commits meanwhile waits a few milliseconds"""
WINDOW = 16
"""messages in flight; beside the pump's own that is more than brokers allow, so an event waits for a few of them"""
AT_ONCE = 1
"""replays that are under way; who comes then waits"""
LARGEST = 2**62
_KNOWN = ("from", "to", "after")


@dataclass(frozen=True, slots=True)
class _Event:
    seq: int
    payload: bytes
    short: bytes
    """in its place where the broker does not take it: nobody would ask for it for ever"""


class Replay:
    """The verb `replay` (a commands.EdgeVerb)."""

    def __init__(self, thread: JournalThread, host: str) -> None:
        self._thread, self._host = thread, host
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, broker: Connection, principal: str, envelope: Envelope) -> Json:
        """Tell one span, and say what was told: `from`, `to` (how far that was), `sent`, `next` (where to go on, None
        at the end), `oldest` and `last` (what the journal has), `epoch`. ValueError where the span is none, BrokerError
        where the connection is lost, JournalError where the journal cannot be read."""
        first, upto = asked(envelope.params)
        async with self._turn:
            return await self._tell(broker, topic(self._host, "reply", principal, "replay"), first, upto)

    async def _tell(self, broker: Connection, where: str, first: int, upto: int) -> Json:
        journal = self._thread.journal
        oldest, last = await self._thread.run(journal.span)
        place, upto, sent, size = first - 1, max(first - 1, min(upto, last)), 0, 0
        full = False
        while place < upto and not full:
            found = await self._thread.run(_piece, journal, self._host, place, upto)
            fits: list[_Event] = []
            for event in found:
                full = sent + len(fits) >= ROWS or (sent + len(fits) > 0 and size + len(event.payload) > SIZE)
                if full:
                    break
                fits.append(event)
                size += len(event.payload)
            await self._publish(broker, where, fits)
            sent += len(fits)
            if not full and len(found) < PIECE:
                place = upto  # there is nothing more in this span
            elif fits:
                place = fits[-1].seq
        following = place + 1 if full else None
        span = {"from": first, "to": place, "sent": sent, "next": following}
        return span | {"oldest": oldest, "last": last, "epoch": journal.epoch}

    async def _publish(self, broker: Connection, where: str, events: Sequence[_Event]) -> None:
        """Send them in order, a window in flight. BrokerError: the rest does not go out."""
        flying: deque[asyncio.Task[None]] = deque()
        try:
            for event in events:
                if len(flying) >= WINDOW:
                    await flying.popleft()
                flying.append(asyncio.get_running_loop().create_task(_send(broker, where, event)))
            while flying:
                await flying.popleft()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)


async def _send(broker: Connection, where: str, event: _Event) -> None:
    try:
        await broker.publish(where, event.payload, 1, False, REPLY_EXPIRY)
    except BrokerError as err:
        if err.code not in (TOO_LARGE, BAD_PAYLOAD):
            raise
        await broker.publish(where, event.short, 1, False, REPLY_EXPIRY)


def asked(params: Mapping[str, str]) -> tuple[int, int]:
    """(first, last) `seq` of a span; ValueError with a sentence where there is none to be read."""
    unknown = [name for name in params if name not in _KNOWN]
    if unknown:
        raise ValueError(f"replay has no parameter {plain(unknown[0], 64)!r}; it knows: {', '.join(_KNOWN)}")
    if "from" in params and "after" in params:
        raise ValueError("`from` and `after` say the same in two ways; take one of them out")
    first = _number(params, "after", 0) + 1 if "after" in params else max(1, _number(params, "from", 1))
    upto = _number(params, "to", LARGEST)
    if upto < first:
        raise ValueError(f"`to` ({upto}) lies before the first that is wanted ({first}), so there is nothing to tell")
    return first, upto


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"`{name}` must be the `seq` of an event, in digits, and {plain(text, 64)!r} is none")
    return int(text)


def _piece(journal: Journal, host: str, after: int, upto: int) -> list[_Event]:
    """The next events above `after`. On the journal's thread."""
    found = []
    for row in journal.rows(after=after, before=upto + 1, public=True, limit=PIECE):
        event = cloud_event(row, host, journal.epoch)
        note = {"trimmed": f"the broker does not take all of this; `resurgam show {row.seq}` has it"}
        found.append(_Event(row.seq, to_bytes(event), to_bytes({**event, "data": note})))
    return found
