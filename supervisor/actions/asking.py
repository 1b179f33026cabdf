"""Asks a container that is being watched whether it is well, one question at a time, and keeps count of the answers.

From: the probation, at every look. To: the Prober, in a task beside the watch, so that a death is seen while a question
waits for its answer; the answer wakes the watch. Meanwhile the permanent probes leave the service alone, so the core is
told from here when the answers turn.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from supervisor import units
from supervisor.actions.hand import Hand
from supervisor.facts import Container, Json, Probed
from supervisor.ports import ProbeResult
from supervisor.signals.probes.questions import kind_of, timeout_of

QUICK, SLOW, QUICK_FOR = 0.5, 2.0, 15.0
"""seconds between two questions: at first, and later"""
_HUNG = 30.0
"""seconds of rest after a command that did not end: the engine cannot end it, and they would pile up"""
ENOUGH = 3
"""answers in a row that must say well; a completion is proof enough by itself"""
_NOT_YET = ProbeResult(False, "it has not answered yet")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a probe said during one watch."""

    kind: str = ""
    """http | https | tcp | grpc | completion | exec; '' where no probe is declared"""
    ok: int = 0
    failed: int = 0
    row: int = 0
    """answers that said well since the last that did not"""
    first_ok: float = -1.0
    """seconds from the beginning of the watch to the first answer that said well; -1 for none"""
    text: str = ""
    """the last answer"""
    broken: str = ""
    """why it cannot be asked, by the last try; '' if it can"""

    def counting(self, result: ProbeResult, at: float) -> "Asked":
        """With one answer more, that came `at` seconds after the beginning."""
        if result.broken:
            return replace(self, row=0, broken=result.text)
        said = replace(self, text=result.text, broken="")
        if not result.ok:
            return replace(said, failed=self.failed + 1, row=0)
        first = at if self.first_ok < 0 else self.first_ok
        return replace(said, ok=self.ok + 1, row=self.row + 1, first_ok=round(first, 3))

    def document(self) -> Json:
        """For the proof of a maneuver; empty where there is no probe."""
        if not self.kind:
            return {}
        asked = {"kind": self.kind, "ok": self.ok, "failed": self.failed, "last": self.text, "broken": self.broken}
        return asked | ({"first_ok_after": self.first_ok} if self.ok else {})


class Asker:
    """The questions of one watch. Close it at the end."""

    def __init__(self, hand: Hand) -> None:
        self._hand, self._needs = hand, hand.plan.needs
        self._began = self._due = hand.clock.mono()
        self._task: asyncio.Task[None] | None = None
        kind = kind_of(self._needs)
        self.last: ProbeResult | None = _NOT_YET if kind else None
        """the latest answer; None where no probe is declared"""
        self.asked = Asked(kind)
        self.speed: ProbeResult | None = None
        """what the benchmark said"""

    @property
    def waiting(self) -> bool:
        """Whether a question waits for its answer."""
        return self._task is not None

    @property
    def sure(self) -> bool:
        """Whether the last answers are enough, and none is on its way that may say otherwise."""
        if self.last is None:
            return True
        enough = 1 if self.asked.kind == "completion" else ENOUGH
        return not self.waiting and (self.last.broken or self.asked.row >= enough)

    def ask(self, seen: Container) -> None:
        """Put the next question, if it is time for it."""
        if self.last is None or self.waiting or not seen.running or self._hand.clock.mono() < self._due:
            return
        timeout = timeout_of(self._needs)
        self._put(self._answered(self._hand.prober.probe(self._needs, seen, timeout), timeout, seen))

    def measure(self, seen: Container) -> None:
        """Let the benchmark run, once."""
        self._put(self._measured(self._hand.prober.benchmark(self._needs, seen)))

    def next(self) -> float:
        """Seconds until the next question is due; the step where none will be put, or its answer is waited for."""
        now = self._hand.clock.mono()
        step = QUICK if now - self._began < QUICK_FOR else SLOW
        idle = self.last is None or self.waiting or self._due <= now
        return step if idle else min(step, self._due - now)

    def close(self) -> None:
        """Ask nothing more."""
        if self._task is not None:
            self._task.cancel()

    def _put(self, question: Awaitable[None]) -> None:
        async def wait() -> None:
            try:
                await question
            finally:
                self._task = None
                self._hand.wake()

        self._task = asyncio.get_running_loop().create_task(wait(), name="probe")

    async def _answered(self, question: Awaitable[ProbeResult], timeout: float, seen: Container) -> None:
        clock = self._hand.clock
        began = clock.mono()
        result = await _safely(question)
        now = clock.mono()
        self._tell(seen, self.last, result)
        self.last, self.asked = result, self.asked.counting(result, now - self._began)
        step = QUICK if now - self._began < QUICK_FOR else SLOW
        hung = self.asked.kind == "exec" and not result.ok and now - began >= timeout
        self._due = max(began + step, now + (now - began), now + (_HUNG if hung else 0.0))

    def _tell(self, seen: Container, before: ProbeResult | None, result: ProbeResult) -> None:
        """Tell the core of the first answer, and of each that says something else than the one before."""
        if before is not _NOT_YET and before is not None and (before.ok, before.broken) == (result.ok, result.broken):
            return
        clock, service = self._hand.clock, self._hand.plan.service
        self._hand.submit(
            Probed(
                clock.wall(), clock.mono(), service, result.ok, result.text, result.seconds, service, seen.id,
                seen.started_at, result.broken, result.asleep, result.rate if result.ok else 0.0,
            )
        )  # fmt: skip

    async def _measured(self, question: Awaitable[ProbeResult]) -> None:
        self.speed = await _safely(question)


async def _safely(question: Awaitable[ProbeResult]) -> ProbeResult:
    try:
        return await question
    except Exception as err:  # noqa: BLE001 - the edge to the probes: said in the proof, and held against no service
        return ProbeResult(
            False, units.plain(f"the probe itself failed: {type(err).__name__}: {err}", 300), broken=True
        )
