"""An open-loop load on a model server's address: so many requests a second, whatever becomes of those before.

From: a test or a benchmark that swaps what is behind the address meanwhile. To: `Load.answers`, one row per request
(when it began, its first byte, its end, what became of it, which model answered), and `Summary` of them. A client of
its own on plain sockets, so that a cut, a reset and a refusal can be told apart. Times are `time.monotonic()`.

    load = Load("127.0.0.1", 8000); task = asyncio.create_task(load.run()); …; load.stop(); await task
    with LoadThread("127.0.0.1", 8000) as load: …            # for tests that are not asynchronous
    load.summary()
"""

import asyncio
import contextlib
import itertools
import json
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OK, BUSY, REFUSED, DNS, RESET, CUT, TIMEOUT, OTHER = "ok", "503", "refused", "dns", "reset", "cut", "timeout", "other"
CLASSES = (OK, BUSY, REFUSED, DNS, RESET, CUT, TIMEOUT, OTHER)
"""answered whole | 503 | nobody listens | the name is unknown | the connection broke before a byte | the answer ended
half-way, or with an error in the stream | no end in time | another status"""
STREAMS = (1, 4, 7)
"""which of ten requests stream: 30 %; odd and even ones are among them, so that both kinds of connections carry them"""
_POOL = 64


@dataclass(slots=True)
class Answer:
    """What became of one request. `first` and `end` are 0 where there was none."""

    number: int
    due: float
    stream: bool
    kept: bool
    """over a connection that is used again"""
    start: float = 0.0
    first: float = 0.0
    end: float = 0.0
    kind: str = TIMEOUT
    status: int = 0
    model: str = ""
    text: str = ""
    """what went wrong, in a few words"""

    @property
    def seconds(self) -> float:
        """From when it was due to its end."""
        return self.end - self.due


@dataclass(frozen=True, slots=True)
class Summary:
    """Seconds; `before`, `during` and `after` the swap are (p50, p99) of requests that were answered whole."""

    sent: int
    kinds: dict[str, int]
    models: dict[str, int]
    outage: float
    """from the last whole answer of one model to the first byte of the first whole one of the next; 0 where only one
    model answered"""
    success: float
    """from the trigger to the first whole answer that was asked for after it"""
    longest: float
    """the longest wait for a first byte, of those answered whole: the longest hold"""
    before: tuple[float, float]
    during: tuple[float, float]
    after: tuple[float, float]
    wrong: tuple[str, ...] = ()
    """a few of those that were not answered whole"""

    @property
    def failed(self) -> int:
        """Those that got no whole answer, cut ones among them."""
        return self.sent - self.kinds.get(OK, 0)

    @property
    def cut(self) -> int:
        return self.kinds.get(CUT, 0)


class _Trouble(Exception):
    """How a request ended that got no whole answer."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


@dataclass(slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Load:
    """`rate` requests a second to `http://host:port/path`, each at its own instant."""

    def __init__(
        self,
        host: str,
        port: int,
        rate: float = 20.0,
        *,
        path: str = "/v1/completions",
        model: str = "",
        tokens: int = 8,
        prompt: str = "Say something.",
        within: float = 60.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.host, self.port, self.rate, self.path, self.within = host, port, rate, path, within
        self.model, self.tokens, self.prompt, self.headers = model, tokens, prompt, headers or {}
        self.answers: list[Answer] = []
        """in the order in which they were due"""
        self.began = 0.0
        self._end = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: list[_Line] = []

    async def run(self, seconds: float = 3600.0) -> None:
        """Ask until `stop`, or for so long; returns once every request has ended."""
        loop = asyncio.get_running_loop()
        self.began = time.monotonic()
        number = 0
        try:
            while not self._end.is_set() and number < seconds * self.rate:
                due = self.began + number / self.rate
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._end.wait(), max(0.0, due - time.monotonic()))
                    break
                answer = Answer(number, due, number % 10 in STREAMS, number % 2 == 0)
                self.answers.append(answer)
                self._tasks.append(loop.create_task(self._ask(answer)))
                number += 1
            for task in self._tasks:
                await task
        finally:
            for task in self._tasks:
                task.cancel()
            for line in self._idle:
                line.writer.close()

    def stop(self) -> None:
        """No more requests."""
        self._end.set()

    def summary(self, began: float = 0.0, ended: float = 0.0) -> Summary:
        """`began` and `ended` of the swap (`time.monotonic()`); 0: told by which model answered."""
        return summarize(self.answers, began, ended)

    # ------------------------------------------------------------ one request

    async def _ask(self, answer: Answer) -> None:
        line: _Line | None = None
        answer.start = time.monotonic()
        try:
            async with asyncio.timeout(self.within):
                line = await self._line(answer)
                whole = await self._talk(line, answer)
            answer.kind = OK
            if whole and answer.kept and len(self._idle) < _POOL:
                self._idle.append(line)
                line = None
        except _Trouble as err:
            answer.kind, answer.text = err.kind, str(err)
        except TimeoutError:
            answer.kind = TIMEOUT
        except (OSError, asyncio.IncompleteReadError) as err:
            answer.kind, answer.text = (CUT if answer.first else RESET), f"{type(err).__name__}: {err}"
        finally:
            answer.end = time.monotonic()
            if line is not None:
                line.writer.close()

    async def _line(self, answer: Answer) -> _Line:
        while answer.kept and self._idle:
            line = self._idle.pop()
            if not (line.reader.at_eof() or line.writer.is_closing()):
                return line  # as every pool does: one that was closed meanwhile is not used
            line.writer.close()
        try:
            return _Line(*await asyncio.open_connection(self.host, self.port))
        except socket.gaierror as err:
            raise _Trouble(DNS, str(err)) from None
        except ConnectionRefusedError as err:
            raise _Trouble(REFUSED, str(err)) from None

    async def _talk(self, line: _Line, answer: Answer) -> bool:
        """Ask and read; whether the connection can be used again."""
        line.writer.write(self._request(answer))
        await line.writer.drain()
        byte = await line.reader.read(1)
        if not byte:
            raise _Trouble(RESET, "closed without an answer")
        answer.first = time.monotonic()
        head = (byte + await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in head[1:])}
        answer.status = int(head[0].split(" ")[1])
        body, closes = await _body(line.reader, fields)
        if answer.status != 200:
            kind = BUSY if answer.status == 503 else OTHER
            raise _Trouble(kind, f"{answer.status} {body[:200].decode('utf-8', 'replace')}")
        self._read(answer, body)
        return not (closes or fields.get("connection", "").lower() == "close" or head[0].startswith("HTTP/1.0"))

    def _request(self, answer: Answer) -> bytes:
        asked: dict[str, Any] = {"prompt": self.prompt, "max_tokens": self.tokens, "stream": answer.stream}
        if self.model:
            asked["model"] = self.model
        if self.path.endswith("/chat/completions"):
            asked["messages"] = [{"role": "user", "content": asked.pop("prompt")}]
        body = json.dumps(asked).encode()
        headers = {
            "Host": f"{self.host}:{self.port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "keep-alive" if answer.kept else "close",
            **self.headers,
        }
        rows = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{rows}\r\n".encode() + body

    def _read(self, answer: Answer, body: bytes) -> None:
        """Whether it is all there, and who said it."""
        try:
            if not answer.stream:
                answer.model = str(json.loads(body).get("model", ""))
                return
            rows = [row[5:].strip() for row in body.split(b"\n") if row.startswith(b"data:")]
            if not rows or rows[-1] != b"[DONE]":
                raise _Trouble(CUT, f"a stream without [DONE]: {body[-200:].decode('utf-8', 'replace')}")
            told = [json.loads(row) for row in rows[:-1]]
        except ValueError:
            raise _Trouble(CUT, f"not JSON: {body[-200:].decode('utf-8', 'replace')}") from None
        if any("error" in row for row in told):
            raise _Trouble(CUT, f"an error in the stream: {body[-200:].decode('utf-8', 'replace')}")
        answer.model = str(told[0].get("model", "")) if told else ""


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> tuple[bytes, bool]:
    """The body, and whether only the end of the connection ended it."""
    pieces: list[bytes] = []
    try:
        if "chunked" in fields.get("transfer-encoding", "").lower():
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                pieces.append(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
            return b"".join(pieces), False
        if "content-length" in fields:
            return await reader.readexactly(int(fields["content-length"])), False
    except asyncio.IncompleteReadError as err:
        heard = b"".join((*pieces, err.partial))[-300:].decode("utf-8", "replace")
        raise _Trouble(CUT, f"it ended half-way: {heard}") from None
    return await reader.read(), True


# ------------------------------------------------------------ what it comes to


def summarize(answers: Sequence[Answer], began: float = 0.0, ended: float = 0.0) -> Summary:
    """`began`, `ended`: of the swap; 0: the last whole answer of the first model, the first one of the last model."""
    whole = sorted((one for one in answers if one.kind == OK), key=lambda one: one.end)
    outage, last, first = _outage(whole)
    began, ended = began or last, ended or first
    done = [one.end for one in whole if one.start >= began]
    wrong = [one for one in answers if one.kind != OK]
    return Summary(
        len(answers),
        dict(Counter(one.kind for one in answers)),
        dict(Counter(one.model for one in whole)),
        outage,
        min(done) - began if done and began else 0.0,
        max((one.first - one.start for one in whole), default=0.0),
        _spread([one for one in whole if not began or one.start < began]),
        _spread([one for one in whole if began and began <= one.start < ended]),
        _spread([one for one in whole if began and one.start >= ended]),
        tuple(f"{one.number} after {one.seconds:.2f} s: {one.kind} {one.text}" for one in wrong[:10]),
    )


def _outage(whole: Sequence[Answer]) -> tuple[float, float, float]:
    """The longest time between two models: (seconds, when the one ended, when the next one began); 0 for none."""
    best = (0.0, 0.0, 0.0)
    for before, after in itertools.pairwise(whole):
        if before.model != after.model and after.first - before.end >= best[0]:
            best = (after.first - before.end, before.end, after.first)
    return best


def _spread(answers: Sequence[Answer]) -> tuple[float, float]:
    took = sorted(one.seconds for one in answers)
    if len(took) < 2:
        return (took[0], took[0]) if took else (0.0, 0.0)
    return statistics.median(took), statistics.quantiles(took, n=100, method="inclusive")[98]


class LoadThread:
    """A Load on a thread of its own, for what is not asynchronous. `answers` grow while it runs."""

    def __init__(self, host: str, port: int, rate: float = 20.0, **more: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.load = Load(host, port, rate, **more)
        self._thread = threading.Thread(target=self._run, name="open loop", daemon=True)

    def __enter__(self) -> "LoadThread":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def answers(self) -> list[Answer]:
        return self.load.answers

    def ok(self, model: str = "") -> int:
        """How many whole answers there are so far (of that model)."""
        return len([one for one in list(self.answers) if one.kind == OK and (not model or one.model == model)])

    def stop(self) -> None:
        """No more requests; returns once all have ended."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.load.stop)
            self._thread.join(self.load.within + 30)

    def summary(self, began: float = 0.0, ended: float = 0.0) -> Summary:
        """Stops first."""
        self.stop()
        return self.load.summary(began, ended)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.load.run())
        self.loop.close()
