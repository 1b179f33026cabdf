"""Scrapes for ever: one task per target, each at its own interval, spread over time.

From: the configuration's targets and the services of the newest snapshot. To: the core, one Readings fact per scrape
with everything that the target offers now, so that what is not in it any more has ended. A target that fails offers
nothing; one that is taken out says goodbye with an empty fact.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import structlog

from supervisor import units
from supervisor.clock import Clock
from supervisor.config.settings import ScrapeSettings
from supervisor.facts import Readings, Service, TargetState
from supervisor.kernel.aside import Aside
from supervisor.ports import Submit
from supervisor.signals.scrapes import series
from supervisor.signals.scrapes.fetch import Unread, Web
from supervisor.signals.scrapes.relabel import Dressed, dress
from supervisor.signals.scrapes.target import Target, listed, of_services
from supervisor.signals.scrapes.text import Unreadable, parse

log = structlog.get_logger()

SOON = 15.0
"""seconds in which every target is read for the first time, however long its interval"""
PAGES = 2
"""pages that are parsed at once: each is work for a processor that models want, too"""
_NAMED = 5
"""names in one sentence"""


class Pages(Protocol):
    """Where pages come from: fetch.Web."""

    async def page(self, target: Target) -> tuple[bytes, str]: ...

    async def close(self) -> None: ...


class Scrapes:
    """Reads every target for ever. `changed()` says that the services may be others now."""

    def __init__(
        self,
        settings: Iterable[ScrapeSettings],
        submit: Submit,
        clock: Clock,
        services: Callable[[], Iterable[Service]],
        ours: Callable[[str], bool],
        pages: Pages | None = None,
    ) -> None:
        """`services`: those of the newest snapshot. `ours`: tells the names of metrics that are made here. `pages`:
        where they come from; None: the network."""
        self._listed, self._submit, self._clock = listed(settings), submit, clock
        self._services, self._ours = services, ours
        self._targets: dict[str, Target] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._parsing = asyncio.Semaphore(PAGES)
        self._pool = Aside("scrape")
        self._pages: Pages = pages or Web()
        self._told: dict[str, str] = {}
        """collector -> what was said of the names that were left out"""
        self.faults = 0
        """defects of our own that spoiled a scrape"""

    async def run(self) -> None:
        """Follow the targets as they come and go."""
        try:
            while True:
                self._bell.clear()
                self._follow()
                await self._bell.wait()
        finally:
            await self.close()

    def changed(self) -> None:
        """There is a new snapshot."""
        self._bell.set()

    async def close(self) -> None:
        """End every task and let go of the session."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._targets.clear()
        await self._pages.close()

    # ------------------------------------------------------------ who is read

    def _follow(self) -> None:
        wanted = {target.collector: target for target in (*of_services(self._services()), *self._listed)}
        for collector in [name for name in self._targets if name not in wanted]:
            del self._targets[collector]
            self._tasks.pop(collector).cancel()
            self._told.pop(collector, None)
            self._submit(Readings(self._clock.wall(), self._clock.mono(), collector, (), whole=True))
        for collector, target in wanted.items():
            self._targets[collector] = target
            if collector not in self._tasks:
                self._tasks[collector] = asyncio.create_task(self._keep(collector), name=collector)

    async def _keep(self, collector: str) -> None:
        """One target's rhythm. What it is may change meanwhile; its name does not."""
        first = self._targets[collector]
        due = self._clock.mono() + zlib.crc32(collector.encode()) / 2**32 * min(first.interval, SOON)
        while True:
            await asyncio.sleep(max(0.0, due - self._clock.mono()))
            target = self._targets[collector]
            fact = await self._scrape(target)
            if collector in self._targets:
                self._submit(fact)
            due = max(due + target.interval, self._clock.mono())

    # ------------------------------------------------------------ one scrape

    async def _scrape(self, target: Target) -> Readings:
        """Read it once; whatever goes wrong, the fact says so."""
        began, found, text = self._clock.mono(), None, ""
        try:
            found = await self._read(target)
        except (Unread, Unreadable) as err:
            text = units.plain(str(err), 300)
        except Exception as err:  # noqa: BLE001 - the edge of the loop: counted, told, and tried again
            self.faults += 1
            text = f"reading it failed here ({type(err).__name__})"
        now, mono = self._clock.wall(), self._clock.mono()
        spent = mono - began
        state = TargetState(target.job, target.instance, found is not None, now, spent, service=target.service)
        if found is None:
            return self._fact(target, now, mono, replace(state, text=text), Dressed())
        said = self._left_out(target, found.left_out)
        state = replace(state, samples=len(found.samples), left_out=found.refused, text=said)
        return self._fact(target, now, mono, state, found)

    async def _read(self, target: Target) -> Dressed:
        if target.cannot:
            raise Unread(target.cannot)
        page, kind = await self._pages.page(target)
        ours = None if target.override else self._ours

        def work() -> Dressed:
            return dress(parse(page, kind, target.series), target.own, honor=target.honor, ours=ours)

        async with self._parsing:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _fact(self, target: Target, now: float, mono: float, state: TargetState, found: Dressed) -> Readings:
        own = series.scrape(target.own, state.up, state.seconds, state.samples + state.left_out)
        brought = tuple(found.samples)
        return Readings(now, mono, target.collector, own, brought=brought, whole=True, target=state)

    def _left_out(self, target: Target, left: dict[str, int]) -> str:
        """What was not taken, as a sentence, and into the log the first time."""
        if not left:
            self._told.pop(target.collector, None)
            return ""
        shown = ", ".join(units.plain(name, 100) for name in sorted(left)[:_NAMED])
        more = ", …" if len(left) > _NAMED else ""
        cure = "" if target.service else "; `override: true` takes them all the same"
        said = f"left out are names that are made here ({shown}{more}){cure}"
        if self._told.get(target.collector) != said:
            self._told[target.collector] = said
            log.warning("trouble", subject=target.service or "daemon", text=f"The scrape {target.collector}: {said}.")
        return said
