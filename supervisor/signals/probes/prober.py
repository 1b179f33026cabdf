"""The Prober over real sockets: picks the way of asking, holds the deadline, times the answer.

From: actions (probation) and the watch of this room. To: the ways of asking, one file each; back as a ProbeResult.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace

import aiohttp

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import Container, Needs
from supervisor.ports import Engine, ProbeResult
from supervisor.signals.probes import awake, benchmark, completion, exec, grpc, http, tcp
from supervisor.signals.probes.answer import Answer, Asleep, CannotAsk, Unwell
from supervisor.signals.probes.target import target

_ENGINE_SLACK = 6.0
"""seconds that the engine may take on top for running a command: it keeps that command's own limit"""
_MEASURABLE = ("completion", "http", "https")


class ServiceProber:
    """Implements ports.Prober. One HTTP session for all questions, a fresh connection for each."""

    def __init__(self, clock: Clock, engines: Mapping[str, Engine]) -> None:
        """`engines`: by name, the live mapping; commands inside containers go through them."""
        self._clock, self._engines = clock, engines
        self._session: aiohttp.ClientSession | None = None
        self._known: awake.Known = {}

    async def probe(
        self, needs: Needs, container: Container | None, timeout: float, *, gentle: bool = False
    ) -> ProbeResult:
        """One probe, answered within `timeout` seconds (a command inside the container: a little later)."""
        slack = _ENGINE_SLACK if needs.probe_argv else 0.0
        return await self._within(timeout, slack, self._ask(needs, container, timeout, gentle))

    async def benchmark(self, needs: Needs, container: Container) -> ProbeResult:
        """One completion of `needs.benchmark.tokens` tokens; `rate` says how fast."""
        if needs.benchmark is None:
            return ProbeResult(False, "no benchmark is declared", broken=True)
        return await self._within(needs.benchmark.within, 0.0, self._measure(needs, container))

    async def _within(self, timeout: float, slack: float, question: Awaitable[Answer]) -> ProbeResult:
        began, asleep = self._clock.mono(), False
        try:
            async with asyncio.timeout(timeout + slack):
                found = await question
        except TimeoutError:
            found = Answer(False, f"no answer within {units.show_duration(timeout)}")
        except CannotAsk as err:
            found = Answer(False, str(err), broken=True)
        except Unwell as err:
            found = Answer(False, str(err))
        except Asleep as err:
            found, asleep = Answer(False, str(err)), True
        text = units.plain(found.text, 300)
        return ProbeResult(found.ok, text, self._clock.mono() - began, found.broken, found.rate, asleep)

    async def _ask(self, needs: Needs, container: Container | None, timeout: float, gentle: bool) -> Answer:
        if needs.probe_argv:
            if container is None:
                raise CannotAsk("a command can only be run inside a container")
            return await exec.ask(self._engines, container, needs.probe_argv, timeout)
        where = target(needs.probe, container, needs.probe_from_label)
        if where.scheme == "tcp":
            return await tcp.ask(where)
        if where.scheme == "grpc":
            return await grpc.ask(where, needs.probe_method, timeout)
        if where.scheme == "completion" and gentle:
            run = f"{container.id} {container.started_at}" if container is not None and where.own else ""
            return await awake.ask(self._open(), where, needs.probe_model, self._clock, run, self._known)
        if where.scheme == "completion":
            return await completion.ask(self._open(), where, needs.probe_model, self._clock)
        return await http.ask(self._open(), where)

    async def _measure(self, needs: Needs, container: Container) -> Answer:
        assert needs.benchmark is not None
        if not needs.probe.startswith(tuple(f"{scheme}://" for scheme in _MEASURABLE)):
            raise CannotAsk("a benchmark asks where the probe points: declare one like completion://:8000")
        where = target(needs.probe, container, needs.probe_from_label)
        if where.scheme != "completion":
            where = replace(where, path="")
        return await benchmark.measure(self._open(), where, needs.probe_model, needs.benchmark, self._clock)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = http.session()
        return self._session

    async def close(self) -> None:
        """Let go of the session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
