"""Watches one container engine: subscribes, sweeps, then tells the core of every event at once.

From: ports.Engine (events, list, inspect, logs, images, usage). To: the core's lanes, through `submit`.
One *session* lasts from one subscription to its loss. The subscription stands before the first list, so nothing falls
between them; after every loss comes a full sweep, because an engine keeps only its last 256 events, and none over a
restart. The order within a session: EngineState, then events as they come, with looks, sweeps and stats beside them.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from supervisor.clock import Clock
from supervisor.errors import EngineError, EngineGone
from supervisor.facts import EngineEvent, EngineState, Sweep
from supervisor.ports import Engine, EngineInfo, Submit
from supervisor.signals.docker_looks import WORKERS, Looks, Refs
from supervisor.signals.docker_stats import EVERY, round_of

RETRY_FIRST, RETRY_MAX = 0.1, 15.0
"""seconds between attempts to reach the engine: doubling, with jitter"""
SWEEP_TRIES, SWEEP_PAUSE = 3, 2.0
"""a list that fails so often in a row means that the engine does not answer"""
SWEEP_GAP = 1.0
"""seconds between two sweeps at least, however often they are asked for"""


class Watch:
    """One engine's watch. `run()` never ends; `resweep()` asks for a full list soon; no stats at `stats_every` 0."""

    def __init__(
        self, engine: Engine, submit: Submit, clock: Clock, *, sweep_every: float = 300.0, stats_every: float = EVERY
    ) -> None:
        self.engine = engine
        self._submit, self._clock = submit, clock
        self._sweep_every, self._stats_every = sweep_every, stats_every
        self._looks = Looks(engine, submit, clock, self.resweep)
        self._refs = Refs(engine, submit, clock)
        self._bell = asyncio.Event()
        self._identity = ""
        self._last_ns = 0
        """engine time of the last event, or of the subscription: where the next one reaches back to"""
        self._up: bool | None = None
        self._stood = False
        self.faults = 0
        """defects of our own that ended a session; they are told as the reason, too"""

    def resweep(self) -> None:
        """Something may have been missed: list everything soon."""
        self._bell.set()

    async def run(self) -> None:
        """Watch for ever: one session after another, with a pause that doubles while the engine is not there."""
        pause = RETRY_FIRST
        while True:
            self._stood = False
            try:
                await self._session()
                text = f"The engine {self.engine.name} closed its event stream; connecting again."
            except EngineError as err:
                text = f"The engine {self.engine.name} does not answer: {err}. Trying again until it does."
            except Exception as err:  # noqa: BLE001 - the edge of the loop: counted, told, and tried again
                self.faults += 1
                text = f"Watching the engine {self.engine.name} failed ({type(err).__name__}: {err}); starting over."
            self._state(False, text)
            if self._stood:
                pause = RETRY_FIRST
            await asyncio.sleep(pause * (0.5 + self._clock.chance() / 2))
            pause = min(pause * 2, RETRY_MAX)

    # ------------------------------------------------------------ one session

    async def _session(self) -> None:
        info = await self.engine.info()
        since = self._last_ns if info.identity == self._identity else 0
        # an asynchronous generator: closing it lets go of the subscription
        stream: AsyncGenerator[EngineEvent, None] = self.engine.events(since)  # type: ignore[assignment]
        try:
            first = await anext(stream, None)
            if first is None:
                raise EngineGone("it ended the event stream before it began")
            self._begin(info, first)
            await self._until_over(stream)
        finally:
            with contextlib.suppress(RuntimeError):  # it is closing already, with the task that read it
                await stream.aclose()

    def _begin(self, info: EngineInfo, first: EngineEvent) -> None:
        if info.identity != self._identity:
            self._identity, self._last_ns = info.identity, first.time_ns
        self._stood = True
        self._state(True, f"The engine {self.engine.name} answers (version {info.version}).", info)
        self._refs.look()
        self._bell.set()

    async def _until_over(self, stream: AsyncGenerator[EngineEvent, None]) -> None:
        """Run everything that belongs to a session until the stream ends or one of its parts fails."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        parts: list[Callable[[], Awaitable[None]]] = [lambda: self._read(stream), self._sweeps, self._refs.work]
        parts += [self._looks.work] * WORKERS
        parts += [self._stats] if self._stats_every > 0 else []
        tasks = [asyncio.ensure_future(_part(part, over)) for part in parts]
        try:
            await over
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _read(self, stream: AsyncGenerator[EngineEvent, None]) -> None:
        """The reader only hands on and notes: whatever waits for an answer runs beside it."""
        async for event in stream:
            self._submit(event)
            self._last_ns = max(self._last_ns, event.time_ns)
            if event.type == "image":
                self._refs.note(event)
            elif event.kind != "kill":
                self._looks.want(event.object_id, log=event.kind == "die")

    async def _sweeps(self) -> None:
        while True:
            alarm = asyncio.get_running_loop().call_later(self._sweep_every, self._bell.set)
            try:
                await self._bell.wait()
            finally:
                alarm.cancel()
            self._bell.clear()
            await self._sweep()
            await asyncio.sleep(SWEEP_GAP)

    async def _sweep(self) -> None:
        for attempt in range(1, SWEEP_TRIES + 1):
            try:
                found = await self.engine.list()
            except EngineGone:
                raise
            except EngineError:
                if attempt == SWEEP_TRIES:
                    raise
                await asyncio.sleep(SWEEP_PAUSE)
                continue
            self._looks.saw(found)
            self._submit(Sweep(self._clock.wall(), self._clock.mono(), self.engine.name, found))
            return

    async def _stats(self) -> None:
        while True:
            await self._looks.some.wait()  # nothing runs: nothing to wake up for
            running = sorted(self._looks.running.values(), key=lambda one: one.id)
            failed = await round_of(self.engine, running, self._submit, self._clock)
            if failed:
                self.resweep()
            if not self._looks.running:
                self._looks.some.clear()
            await asyncio.sleep(self._stats_every)

    # ------------------------------------------------------------ telling

    def _state(self, up: bool, text: str, info: EngineInfo | None = None) -> None:
        """Tell the core, once per change."""
        if up == self._up:
            return
        self._up = up
        self._submit(
            EngineState(
                self._clock.wall(),
                self._clock.mono(),
                self.engine.name,
                up,
                text,
                self._identity,
                info.version if info else "",
            )
        )


async def _part(body: Callable[[], Awaitable[Any]], over: "asyncio.Future[None]") -> None:
    """Run one part of a session; when it ends, or fails, the session is over."""
    try:
        await body()
    except asyncio.CancelledError:
        raise
    except BaseException as err:  # noqa: BLE001 - handed to the session, which decides
        if not over.done():
            over.set_exception(err)
        return
    if not over.done():
        over.set_result(None)
