"""Asks every service that declares a probe, and every endpoint of `probes:`, for ever: one question at a time each.

From: the snapshot (which services there are, what runs, what a plan works on) and the configuration. To: the Prober,
and to the core as one Probed per answer. The start of a container has its grace: until it answered well once, or its
startup is over, nothing counts as a failure. While a plan works on a service nobody asks here: its probation does.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from supervisor import units
from supervisor.clock import Clock
from supervisor.config.watching import ProbeSettings
from supervisor.facts import Probed, Service, Snapshot
from supervisor.ports import Prober, ProbeResult, Submit
from supervisor.services.answers import same_run
from supervisor.signals.probes import questions
from supervisor.signals.probes.questions import EVERY, Question

AT_ONCE = 16
QUICK = 5.0
"""seconds between two questions while it starts"""
LATE = 10.0
"""seconds beyond its own deadline after which a question is given up: it hangs, not the service"""
HUNG = 30.0
"""seconds of rest after a command that did not end: the engine cannot end it, and they would pile up"""


@dataclass(slots=True)
class _Asked:
    """One that is asked now, in one run of its container."""

    question: Question
    due: float
    """mono"""
    failed: int = 0
    """answers in a row that said no, and count"""
    well: bool = False
    """it answered well in this run"""
    task: asyncio.Task[None] | None = None


class ProbeWatch:
    """The permanent probes."""

    def __init__(
        self,
        prober: Prober,
        submit: Submit,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        outside: Iterable[ProbeSettings] = (),
        every: float | None = None,
        quick: float = QUICK,
    ) -> None:
        """`every`: seconds between two questions, for all alike and at the same instants, as the lab wants it."""
        self._prober, self._submit, self._clock, self._snapshot = prober, submit, clock, snapshot
        self._outside, self._every, self._quick = questions.outside(outside), every, quick
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._seen: tuple[tuple[Service, ...], tuple[str, ...]] | None = None
        self._bell = asyncio.Event()
        self.faults = 0
        """questions that broke, or had to be given up"""

    def changed(self) -> None:
        """There is a new snapshot."""
        if not self._same(self._snapshot()):
            self._bell.set()

    async def run(self) -> None:
        """Ask, wait, ask."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._bell.clear()
                self._follow()
                due = self._ask()
                alarm = loop.call_later(max(0.0, due - self._clock.mono()), self._bell.set) if due is not None else None
                try:
                    await self._bell.wait()
                finally:
                    if alarm is not None:
                        alarm.cancel()
        finally:
            for one in self._asked.values():
                _drop(one)
            self._asked, self._seen = {}, None

    # ------------------------------------------------------------ who is asked

    def _follow(self) -> None:
        """Take over what the snapshot says."""
        snapshot = self._snapshot()
        if self._same(snapshot):
            return
        away = _away(snapshot)
        self._seen = (snapshot.services, away)
        wanted = (*questions.of_services(snapshot.services, away), *self._outside)
        asked: dict[tuple[str, str], _Asked] = {}
        for question in wanted:
            if question.idle:
                continue
            known = self._asked.get(question.key)
            if known is not None and _goes_on(known.question, question):
                known.question = question
                asked[question.key] = known
            else:
                asked[question.key] = _Asked(question, self._first(question))
        for key, one in self._asked.items():
            if asked.get(key) is not one:
                _drop(one)
        self._asked = asked

    def _same(self, snapshot: Snapshot) -> bool:
        return self._seen is not None and snapshot.services is self._seen[0] and _away(snapshot) == self._seen[1]

    # ------------------------------------------------------------ when

    def _first(self, question: Question) -> float:
        """When it is asked first: what has just been started at once, the others spread over the next while."""
        now = self._clock.mono()
        if self._every is not None or self._starts(question):
            return now
        return now + _share(question.name) * min(question.interval, EVERY)

    def _next(self, one: _Asked, began: float, result: ProbeResult) -> float:
        """When it is asked again: at its own place in time, so that not all are asked at the same instant."""
        question, now = one.question, self._clock.mono()
        took = now - began
        interval = question.interval if self._every is None else self._every
        if not one.well and not result.broken and self._starts(question):
            due = began + min(interval, self._quick)
        else:
            place = _share(question.name) * interval if self._every is None else 0.0
            due = ((began - place) // interval + 1.0) * interval + place
            due += interval if due - began < interval / 2 else 0.0
        hung = question.kind == "exec" and not result.ok and took >= question.timeout
        return max(due, now + took, now + (HUNG if hung else 0.0))

    def _starts(self, question: Question) -> bool:
        """Whether its container has been running for less than it may take to load."""
        box = question.container
        return box is not None and self._clock.wall() - box.started_at < question.startup

    # ------------------------------------------------------------ asking

    def _ask(self) -> float | None:
        """Put the questions that are due, as many as may be on their way at once. When the next one is (mono)."""
        free = AT_ONCE - len([one for one in self._asked.values() if one.task is not None])
        waiting = sorted((one for one in self._asked.values() if one.task is None), key=lambda one: one.due)
        now = self._clock.mono()
        for one in waiting:
            if one.due > now or not free:
                return one.due if free else None  # an answer rings the bell
            free -= 1
            one.task = asyncio.get_running_loop().create_task(self._put(one), name=f"probe {one.question.name}")
        return None

    async def _put(self, one: _Asked) -> None:
        began = self._clock.mono()
        result = await self._answer(one.question)
        one.task = None
        self._bell.set()
        if self._asked.get(one.question.key) is not one:
            return
        self._tell(one, result)
        one.due = self._next(one, began, result)

    async def _answer(self, question: Question) -> ProbeResult:
        try:
            async with asyncio.timeout(question.timeout + LATE):
                return await self._prober.probe(question.needs, question.container, question.timeout, gentle=True)
        except TimeoutError:
            self.faults += 1
            return ProbeResult(False, "the question itself hangs", question.timeout + LATE, broken=True)
        except Exception as err:  # noqa: BLE001 - the edge to the probes: counted, said, and held against no service
            self.faults += 1
            text = units.plain(f"the probe itself failed: {type(err).__name__}: {err}", 300)
            return ProbeResult(False, text, broken=True)

    def _tell(self, one: _Asked, result: ProbeResult) -> None:
        """Count it, and hand it to the core."""
        question = one.question
        if result.ok:
            one.well = True
        said_no = not (result.ok or result.broken or result.asleep)
        counts = one.well or not self._starts(question)
        one.failed = one.failed + counts if said_no else 0
        cid, started_at = question.run
        self._submit(
            Probed(
                self._clock.wall(),
                self._clock.mono(),
                question.name,
                result.ok,
                result.text,
                result.seconds,
                question.service,
                cid,
                started_at,
                result.broken,
                result.asleep,
                result.rate if result.ok else 0.0,
                failing=one.failed >= question.retries,
            )
        )


def _goes_on(before: Question, now: Question) -> bool:
    """Whether it is the same run that is asked the same: what was counted stays counted."""
    same = before.what == now.what
    return same and (now.container is None or same_run(now.container, *before.run))


def _away(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(state.engine for state in snapshot.engines if not state.up)


def _share(name: str) -> float:
    """Its place between two questions, 0 to 1: always the same, and others have another one."""
    return zlib.crc32(name.encode("utf-8", "replace")) / 2**32


def _drop(one: _Asked) -> None:
    if one.task is not None:
        one.task.cancel()
