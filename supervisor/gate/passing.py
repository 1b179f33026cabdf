"""One request on its way to the model server, and its answer on its way back: the bytes pass as they came.

From: door.py, with a connection to the caller and one to the model server. To: both. A request goes over a connection
of its own: none is kept for the next one, because one that was kept may be dead by then, and a request of which a byte
was sent is never sent again. The caller's own connection is kept as HTTP has it. What breaks off is told: before the
answer as an error, in a stream of events as its last event, else by an end that no reader can take for the end.
"""

import asyncio

from supervisor.gate import heads, shapes
from supervisor.gate.framing import Broken, Framing
from supervisor.gate.heads import Answer, Request
from supervisor.gate.lobby import AGAIN
from supervisor.gate.visit import Gone, Visit
from supervisor.gate.wire import Wire

PIECE = 65_536
STUCK = 120.0
"""seconds in which a caller takes, or sends, at least one byte"""
MOST_INTERIM = 16
"""answers of 1xx before the real one"""
GONE, CUT, IDLE, STUCK_CALLER, BAD, SLOW = "gone", "cut", "idle", "stuck", "bad", "slow"
_SENTENCES = {
    "": (502, "The model server broke off{how}. The request may have been worked on; it was not sent again."),
    CUT: (503, "The request was ended because another model takes over here. Ask again."),
    IDLE: (504, "The model server was silent for too long, so the request was ended."),
    BAD: (400, "The request's body cannot be read{how}."),
    SLOW: (408, "The rest of the request's body did not come."),
}
"""why it broke off -> what its caller is told"""


class Purse:
    """Bytes that may be kept for all requests that wait."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        """Whether there is room for so many; they are taken."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def give(self, count: int) -> None:
        """So many are free again."""
        self.left += count


class Body:
    """The body of a request, as far as it came."""

    def __init__(self, caller: Wire, framing: Framing, purse: Purse) -> None:
        self._ear, self._framing, self._purse = caller.ear, framing, purse
        self._kept = bytearray()
        self.trouble = ""
        """why it cannot be read"""

    @property
    def done(self) -> bool:
        """It was read to its end."""
        return self._framing.done

    async def piece(self) -> bytes:
        """Its next bytes; none of what comes after it. Broken, or Gone where the caller went away."""
        reach = self._framing.reach
        try:
            data = await (self._ear.read(min(reach, PIECE)) if reach else self._ear.readuntil(b"\n"))
        except asyncio.LimitOverrunError:
            raise Broken("a line between two chunks is too long") from None
        except asyncio.IncompleteReadError:
            raise Gone from None
        if not data:
            raise Gone
        self._framing.take(data)
        return data

    async def at_hand(self) -> bytes:
        """What was kept, and what is here already of a body that has a size: mostly all of it. Waits for nothing. It is
        the caller's from now on."""
        pieces = [bytes(self._kept)]
        self.drop()
        while self._framing.reach and self._ear.ready:
            pieces.append(await self.piece())
        return b"".join(pieces)

    async def ahead(self, visit: Visit) -> None:
        """Read on while the request waits, as far as there is room: a caller that hangs up is noticed only behind its
        last byte. What there is no room for stays with the caller."""
        try:
            while not self.done:
                room = min(self._framing.reach or heads.LONGEST_HEAD, PIECE)
                if not self._purse.take(room):
                    return
                data = b""
                try:
                    data = await self.piece()
                finally:
                    self._purse.give(room - len(data))
                self._kept += data  # in one piece: many small ones would take far more memory than their bytes
        except Broken as err:
            self.trouble = str(err)
            visit.drop()
        except Gone:
            visit.drop()

    def drop(self) -> None:
        """Nothing is kept any more."""
        self._purse.give(len(self._kept))
        self._kept = bytearray()


class Passage:
    """One request that has somebody who answers it."""

    def __init__(self, caller: Wire, server: Wire, request: Request, body: Body, visit: Visit) -> None:
        self._caller, self._server, self._request, self._body, self._visit = caller, server, request, body, visit
        self._why = ""
        """why it was ended; '' where the model server broke off"""
        self._answer: Answer | None = None
        self._tail = b""
        self._beat = 0.0
        """when the latest byte came from the model server, or went to it"""
        self._draining = False
        self._alarm: asyncio.TimerHandle | None = None

    async def run(self) -> bool:
        """Pass it; whether the caller's connection can be used again."""
        self._caller.ear.on_end = lambda: self.stop(GONE)
        self._visit.on_cut = lambda: self.stop(CUT)
        if self._caller.ear.ended:
            self.stop(GONE)
        self._touch()
        if self._visit.lobby.slot.timeout:
            self._look()
        self._server.send(self._request.head + await self._body.at_hand())
        sending = None if self._body.done else asyncio.get_running_loop().create_task(self._send())
        try:
            answer = await self._receive()
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as err:
            self._failed(f": {err}" if isinstance(err, Broken) else "")
            return False
        else:
            self._caller.lingers = not self._body.done
            return answer.keeps and self._request.keeps and self._body.done
        finally:
            self._caller.ear.on_end = self._visit.on_cut = None
            if self._alarm is not None:
                self._alarm.cancel()
            self._server.abort()  # what it was not sent yet, it would not read
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def stop(self, why: str) -> None:
        """End it. The first reason counts."""
        self._why = self._why or why
        self._server.abort()

    # ------------------------------------------------------------ both ways

    async def _send(self) -> None:
        """The rest of the request's body."""
        try:
            while not self._body.done:
                async with asyncio.timeout(STUCK):
                    data = await self._body.piece()
                self._server.send(data)
                self._touch()
                if self._server.full:
                    await self._server.writer.drain()
        except Broken as err:
            self._body.trouble = str(err)
            self.stop(BAD)
        except TimeoutError:
            self.stop(SLOW)
        except (Gone, OSError):
            pass  # whoever receives the answer sees both: the caller's end, and the model server's

    async def _receive(self) -> Answer:
        """The answer, head and body. Broken where it is not whole."""
        answer = await self._head()
        self._answer = answer
        if answer.status >= 500:
            self._visit.lobby.counts.errors += 1
        framing, ear = answer.framing, self._server.ear
        while not framing.done:
            data = await ear.read(PIECE)
            if not data:
                if self._why or ear.trouble is not None or not framing.end():
                    raise Broken("the connection ended within the answer")
                break
            data = data[: framing.take(data)]
            self._touch()
            self._tail = (self._tail + data)[-shapes.TAIL :] if len(data) < shapes.TAIL else data[-shapes.TAIL :]
            self._caller.send(data)
            if self._caller.full:
                await self._drain()
        return answer

    async def _head(self) -> Answer:
        for _ in range(MOST_INTERIM):
            head = await self._server.ear.readuntil(b"\r\n\r\n")
            self._touch()
            answer = heads.answer(head, self._request.method)
            if answer.status == 101:
                raise Broken("it wants to speak another protocol, which nobody asked for")
            if answer.status >= 200:
                self._visit.first()
            self._caller.send(head)
            if self._caller.full:
                await self._drain()
            if answer.status >= 200:
                return answer
        raise Broken("it never came to its answer")

    async def _drain(self) -> None:
        """Wait for a caller that takes its time."""
        self._draining = True
        try:
            async with asyncio.timeout(STUCK):
                await self._caller.writer.drain()
        except TimeoutError:
            self.stop(STUCK_CALLER)
            raise Broken("the caller takes nothing") from None
        finally:
            self._draining = False
            self._touch()

    # ------------------------------------------------------------ when it breaks off

    def _failed(self, how: str) -> None:
        """Tell the caller, if there is one and it can be told."""
        if self._why in (GONE, STUCK_CALLER) or self._caller.ear.ended:
            self._caller.abort()
            return
        counts, answer = self._visit.lobby.counts, self._answer
        if self._why == CUT:
            counts.cut += 1
        elif self._why in ("", IDLE):
            counts.errors += 1
            counts.cut += answer is not None
        status, text = _SENTENCES[self._why]
        text = text.format(how=f": {self._body.trouble}" if self._why == BAD else how)
        if answer is None:
            after = AGAIN if status == 503 else 0.0
            bare = self._request.method == "HEAD"
            self._caller.send(shapes.refusal(self._request.path, status, text, after=after, bare=bare))
            self._caller.lingers = True
            return
        words = shapes.last_words(self._request.path, answer, answer.framing, self._tail, text)
        self._caller.send(words)
        if not words and shapes.silent(answer.framing):
            self._caller.abort(reset=True)
        else:
            self._caller.close()

    # ------------------------------------------------------------ silence

    def _touch(self) -> None:
        self._beat = asyncio.get_running_loop().time()

    def _look(self) -> None:
        """Whether the model server was silent for too long."""
        loop = asyncio.get_running_loop()
        limit = self._visit.lobby.slot.timeout
        left = limit if self._draining else self._beat + limit - loop.time()
        if left <= 0:
            self.stop(IDLE)
        else:
            self._alarm = loop.call_later(left, self._look)
