"""Docker's event stream: a thread that only reads and enqueues, and an asynchronous iterator on the other side.

From: `GET /events`, through a client of its own. To: signals/docker.py, as facts.EngineEvent.
A reader that does more than enqueue makes the engine drop events for it; docker-py ends the stream silently when the
engine goes, and so does this iterator. Whoever consumes it sweeps afterwards.
"""

import asyncio
import codecs
import json
import threading
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from supervisor.clock import Clock
from supervisor.engines.docker.link import Link
from supervisor.errors import EngineError, EngineGone, EngineTimeout
from supervisor.facts import EngineEvent, Json

LIMIT = 10_000
"""events waiting for the loop; beyond that the stream is ended, and the consumer has to sweep"""
STAND_LIMIT = 20.0
"""seconds until the subscription has to stand"""
_REACH_BACK = 0.05
"""seconds: the engine answers a moment before it subscribes us, so each subscription reaches back this far"""
_RECORD = 1 << 20
"""characters of one record at most"""
_BETWEEN = "\x1e \r\n\t"
_CONTAINER = "create start die stop kill oom pause unpause rename destroy health_status"
_IMAGE = "tag untag pull load import delete"
KINDS: Mapping[str, frozenset[str]] = {
    "container": frozenset(_CONTAINER.split()),
    "image": frozenset(_IMAGE.split()),
}


class Stream:
    """One subscription. `read()` is the iterator; `end()` closes it from outside."""

    def __init__(self, link: Link, clock: Clock, engine: str) -> None:
        self._link, self._clock, self._engine = link, clock, engine
        self._items: deque[EngineEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._error: EngineError | None = None
        self._sent = self._taken = 0
        self._response: Any = None
        self._lock = threading.Lock()

    async def read(self, since_ns: int) -> AsyncGenerator[EngineEvent, None]:
        """`subscribed` first, then events as they come. Ends when the engine goes; EngineGone if it never answered."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop, since_ns), name="docker-events", daemon=True).start()
        limit = loop.call_later(STAND_LIMIT, self._give_up)
        try:
            while True:
                if not self._items:
                    if self._over:
                        break
                    self._waiter = loop.create_future()
                    await self._waiter
                    continue
                event = self._items.popleft()
                self._taken += 1
                limit.cancel()
                yield event
            if self._error is not None:
                raise self._error
        finally:
            limit.cancel()
            self.end()

    def end(self) -> None:
        """Close it; its thread ends within milliseconds."""
        with self._lock:
            self._over = True
            response, self._response = self._response, None
        if response is not None:
            _hang_up(response)
        self._wake()

    # ------------------------------------------------------------ on the loop

    def _give_up(self) -> None:
        self._error = EngineTimeout(f"the engine did not start its event stream within {STAND_LIMIT:.0f} s")
        self.end()

    def _push(self, event: EngineEvent) -> None:
        self._items.append(event)
        self._wake()

    def _finish(self, error: EngineError | None) -> None:
        self._over, self._error = True, self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------ on the thread

    def _listen(self, loop: asyncio.AbstractEventLoop, since_ns: int) -> None:
        error: EngineError | None = None
        try:
            self._link.guard("events", lambda: self._follow(loop, since_ns), STAND_LIMIT)
        except EngineError as err:
            error = err if self._sent == 0 else None
        except Exception as err:  # noqa: BLE001 - the edge of the thread: a broken stream is a lost connection
            error = EngineGone(f"the event stream broke: {err}") if self._sent == 0 else None
        try:
            loop.call_soon_threadsafe(self._finish, error)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _follow(self, loop: asyncio.AbstractEventLoop, since_ns: int) -> None:
        client = self._link.client(STAND_LIMIT)
        try:
            since = since_ns or round((self._clock.wall() - _REACH_BACK) * 1e9)
            filters = {"type": sorted(KINDS), "event": sorted(frozenset().union(*KINDS.values()))}
            response = client._get(
                client._url("/events"),
                params={"since": f"{since // 10**9}.{since % 10**9:09d}", "filters": json.dumps(filters)},
                stream=True,
                timeout=STAND_LIMIT,
            )
            client._raise_for_status(response)
            client._disable_socket_timeout(client._get_raw_response_socket(response))
            with self._lock:
                if self._over:
                    _hang_up(response)
                    return
                self._response = response
            wall, mono = self._clock.wall(), self._clock.mono()
            self._send(loop, EngineEvent(wall, mono, self._engine, "engine", "", "subscribed", round(wall * 1e9)))
            records = Records()
            for chunk in client._stream_helper(response):
                for raw in records.feed(chunk):
                    event = self.shape(raw)
                    if event is not None and not self._send(loop, event):
                        return
        finally:
            client.close()

    def _send(self, loop: asyncio.AbstractEventLoop, event: EngineEvent) -> bool:
        if self._over or self._sent - self._taken >= LIMIT:
            return False
        self._sent += 1
        loop.call_soon_threadsafe(self._push, event)
        return True

    def shape(self, raw: Json) -> EngineEvent | None:
        """One raw event as a fact; None for kinds we do not use. Labels may shadow what the engine says, so nothing
        but the id, the kind and the time is trusted."""
        actor = raw.get("Actor") or {}
        what, action = str(raw.get("Type") or ""), str(raw.get("Action") or raw.get("status") or "")
        kind, _, detail = action.partition(":")
        if kind not in KINDS.get(what, frozenset()):
            return None
        attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
        if kind == "health_status":
            attributes["health_status"] = detail.strip()
        time_ns = int(raw.get("timeNano") or int(raw.get("time") or 0) * 10**9)
        wall = self._clock.wall()
        return EngineEvent(
            at=min(time_ns / 1e9, wall),
            mono=self._clock.mono(),
            engine=self._engine,
            type=what,
            object_id=str(actor.get("ID") or raw.get("id") or ""),
            kind=kind,
            time_ns=time_ns,
            attributes=attributes,
        )


class Records:
    """Takes a stream of JSON objects apart, however it is framed: one per line (all versions, `application/jsonl` from
    1.52 on), with a record separator before each (`json-seq`), or with nothing between them."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._json = json.JSONDecoder()
        self._text = ""

    def feed(self, chunk: bytes) -> list[Json]:
        """The objects that are whole now. A line that makes no sense is dropped; the next one may."""
        self._text += self._decode(chunk)
        found: list[Json] = []
        while text := self._text.lstrip(_BETWEEN):
            try:
                record, end = self._json.raw_decode(text)
            except ValueError:
                _line, newline, rest = text.partition("\n")
                if not newline:
                    break
                self._text = rest
                continue
            self._text = text[end:]
            if isinstance(record, dict):
                found.append(record)
        self._text = self._text.lstrip(_BETWEEN)
        if len(self._text) > _RECORD:
            raise EngineGone("the event stream brought a record without an end")
        return found


def _hang_up(response: Any) -> None:
    """Close a response that another thread reads from: shutting the socket down ends that read."""
    try:
        from docker.types.daemon import CancellableStream

        CancellableStream(iter(()), response).close()
    except Exception:  # noqa: BLE001 - it is closed already, in one of many ways
        return
