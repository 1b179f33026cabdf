"""One plan's hand: what every maneuver may use to ask, look, act and report.

From: runner.py, one Hand per running plan. To: the core (permit before a step, StepEnded after it) and the engine.
The rule all maneuvers live by: look first, do only what is missing, look again. So a step may be taken twice, after a
late answer or by a later process, and is done once. Only where every call is time without the service, the engine's
plain yes is taken for a look of its own (Told). An answer that was lost, or a no, never is.

What a mark carried is durable before the next permit says yes: marks are handed over together with it, so that both
cost one turn of the core and one write to its disk. Nothing here is allowed to tidy the world when it is cancelled: a
kill would not tidy either.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from supervisor import units
from supervisor.actions.gpu.absent import NoDriver, NoHardware
from supervisor.actions.memory.absent import NoGroups
from supervisor.actions.memory.loosen import loosen
from supervisor.actions.swap.absent import NO_MODELS
from supervisor.clock import Clock
from supervisor.errors import EngineError, EngineGone, EngineTimeout, NotFound, ResurgamError
from supervisor.facts import Container, EngineEvent, Json, Plan, StepEnded
from supervisor.incidents.slots import containers
from supervisor.ports import Engine, GpuDriver, Groups, Hardware, Models, Permit, Prober, Room, Submit
from supervisor.verdicts import Reason, Verdict, no

T = TypeVar("T")
Looking = Callable[[], Awaitable[T]]

ACTIVE = ("running", "restarting", "paused")
LOST = "lost a process to the out-of-memory killer"
KILLED = 137
"""the exit code of SIGKILL, which is what that killer sends"""
TOOK = "took_"
"""how the seconds of each step are called among the data of its mark"""
_LEAVE_OPEN = (Reason.STOPPING, Reason.JOURNAL_FAILED)
_READ_TRIES = 5
_TOLD_AFTER = 2.0
"""seconds of an engine's silence before it is reported"""
_SLOWEST = 5.0
"""seconds between two looks at an engine that does not answer"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a maneuver ended; `left` are the containers it leaves on purpose, by name."""

    outcome: Verdict
    left: tuple[str, ...] = ()
    data: Json = field(default_factory=dict)


class Denied(ResurgamError):
    """The core says no to a step, or wants the plan to end."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.text)


class Cannot(Denied):
    """The world says no: this maneuver cannot be done."""


class LeftOpen(ResurgamError):
    """The process ends in the middle: the plan stays open for the next start."""


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What the engine's plain yes to an act shows: it spares the look after it."""

    seen: T


class Hand:
    """Permission, engine, reports and news for one plan. `data` is what the steps so far left, `found` included."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        prober: Prober,
        room: Room,
        permit: Permit,
        submit: Submit,
        clock: Clock,
        groups: Groups | None = None,
        models: Models | None = None,
        hardware: Hardware | None = None,
        driver: GpuDriver | None = None,
    ) -> None:
        self.plan, self.engine, self.prober, self.room, self.clock = plan, engine, prober, room, clock
        self.groups: Groups = groups or NoGroups()
        self.models = models or NO_MODELS
        self.hardware: Hardware = hardware or NoHardware()
        self.driver: GpuDriver = driver or NoDriver()
        self._permit, self.submit = permit, submit
        self._phases = {step.name: step.phase for step in plan.steps}
        self._backs = {step.name for step in plan.steps if step.back}
        self._parts = containers(plan)
        self.begun: list[str] = list(plan.begun)
        self.data: Json = {**plan.found, **plan.data()}
        self.resumed = plan.recovered > 0
        self.wish: Verdict | None = None
        self.deaf = False
        """it is on its way out already: no wish changes that"""
        self.watching = ""
        self.deaths: dict[str, tuple[float, str]] = {}
        """container id -> (engine time in unix seconds, what happened)"""
        self.asked: dict[str, dict[str, float]] = {}
        """container id -> `kill` and `stop`, and when each was heard first (monotonic), while we watched it: somebody
        else asked it to end"""
        self.cuts, self.cut_at = 0, -math.inf
        """how often the engine was gone when we looked, and when it was the last time (monotonic)"""
        self._news = asyncio.Event()
        self._unsaid: list[StepEnded] = []
        self._mark = clock.mono()
        """when the latest step was asked for or ended: where the time of the next one begins"""

    # ------------------------------------------------------------ where it stands

    @property
    def phase(self) -> str:
        """That of the last step permitted, by this process or an earlier one."""
        return self._phases.get(self.begun[-1], "before") if self.begun else "before"

    @property
    def going_back(self) -> bool:
        """Whether a way back was begun."""
        return any(name in self._backs for name in self.begun)

    def planned(self) -> Plan:
        """The plan as it stands by now, with what this process has begun and marked."""
        marks = (*self.plan.marks, ("", True, dict(self.data)))
        return replace(self.plan, begun=tuple(self.begun), marks=marks)

    def has(self, step: str) -> bool:
        """Whether the plan has such a step at all."""
        return step in self._phases

    # ------------------------------------------------------------ news

    def end(self, why: Verdict) -> None:
        """Wish it to end: obeyed at the next permit point while nothing was touched."""
        self.wish = why
        self._news.set()

    def notice(self, event: EngineEvent) -> None:
        """An engine event: the latest death of the watched container is kept; what concerns the plan wakes it."""
        ours = (self.watching, self.plan.container_id, self.data.get("new_id"), *self._parts)
        if event.object_id not in ours:
            return
        if event.object_id == self.watching and event.kind in ("kill", "stop"):
            self.asked.setdefault(event.object_id, {}).setdefault(event.kind, self.clock.mono())
        if event.object_id == self.watching and event.kind in ("die", "oom"):
            code = event.attributes.get("exitCode", "")
            at = event.time_ns / 1e9
            known = self.deaths.get(event.object_id)
            before = known is not None and known[1] == LOST and code == str(KILLED)  # the news of it came first
            what = LOST if event.kind == "oom" or before else f"ended with exit code {code}"
            if known is None or known[0] < at:
                self.deaths[event.object_id] = (at, what)
        self._news.set()

    def wake(self) -> None:
        """End the present nap: there is news."""
        self._news.set()

    async def nap(self, seconds: float) -> None:
        """Wait so long, or until there is news."""
        self.tell()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        self._news.clear()

    # ------------------------------------------------------------ asking and telling

    async def step(self, name: str, *seen: Container | None) -> None:
        """Ask whether this step may be taken. `seen`: inspects not older than this call's reason to be made."""
        await self.steps((name,), *seen)

    async def steps(self, names: Sequence[str], *seen: Container | None) -> None:
        """Ask for steps that follow each other at once: one turn of the core decides them, in order. For where every
        turn would be time without the service."""
        self.obey()
        self.tell()
        found = tuple(each for each in seen if each is not None)
        verdicts = await asyncio.gather(*(self._permit(self.plan.id, name, found) for name in names))
        self._mark = self.clock.mono()
        for name, verdict in zip(names, verdicts, strict=True):
            if not verdict.ok:
                if verdict.reason in _LEAVE_OPEN and self.phase != "before":
                    raise LeftOpen(verdict.text)
                raise Denied(verdict)
            self.begun.append(name)

    def mark(self, step: str, text: str = "", *, ok: bool = True, **data: Any) -> None:
        """Report that a step ended, with what later steps need and how long it took. `ok` False is a note about
        trouble, not the end."""
        wall, mono = self.clock.wall(), self.clock.mono()
        if ok and step in self._phases:
            took = f"{TOOK}{step}"
            data[took] = round(float(self.data.get(took) or 0.0) + mono - self._mark, 3)
            self._mark = mono
        self.data.update(data)
        clean = units.plain(text, 1000)
        self._unsaid.append(StepEnded(wall, mono, self.plan.id, step, ok, clean, dict(data)))

    def tell(self) -> None:
        """Hand over the marks now, rather than with the next step."""
        unsaid, self._unsaid = self._unsaid, []
        for fact in unsaid:
            self.submit(fact)

    def obey(self) -> None:
        """End here (Denied) where that is wished, as long as nothing was touched."""
        if self.wish is not None and not self.deaf and self.phase == "before":
            raise Denied(self.wish)

    # ------------------------------------------------------------ looking and acting

    async def inspect(self, key: str, until: float | None = None) -> Container | None:
        """One container, patiently."""
        return await self.read(lambda: self.engine.inspect(key), until)

    async def read(self, look: Looking[T], until: float | None = None) -> T:
        """Look, however long the engine is away (reported once); beyond the monotonic instant `until` its error is
        raised. Its refusals are raised after a few tries, NotFound at once."""
        pause, refused, since, told = 0.1, 0, self.clock.mono(), False
        while True:
            try:
                return await look()
            except (EngineGone, EngineTimeout) as err:
                now = self.clock.mono()
                if isinstance(err, EngineGone):
                    self.cuts, self.cut_at = self.cuts + 1, now
                if until is not None and now >= until:
                    raise
                if not told and now - since >= _TOLD_AFTER:
                    told = True
                    self.mark(self.begun[-1] if self.begun else "look", f"Waits for the engine: {err}.", ok=False)
            except NotFound:
                raise
            except EngineError:
                refused += 1
                if refused >= _READ_TRIES:
                    raise
            self.obey()
            left = until - self.clock.mono() if until is not None else pause
            await self.nap(max(0.01, min(pause, left)))
            pause = min(pause * 2, _SLOWEST)

    async def make(
        self,
        look: Looking[T],
        done: Callable[[T], bool],
        act: Callable[[T], Awaitable[object]],
        *,
        tries: int = 3,
        patience: float = 5.0,
        seen: T | None = None,
    ) -> T:
        """Bring something about: look, act where it is not so yet, look again. Returns what was seen when it was so.
        `seen`: a look of this very moment, which spares the first one; an act that returns Told spares the next.

        A late answer is never followed by a blind second try: for `patience` seconds it is looked for first. After
        `tries` the last error is raised.
        """
        trouble = EngineError("the engine agreed, but nothing changed")
        known = seen
        for attempt in range(tries):
            now = known if known is not None else await self.read(look)
            known = None
            if done(now):
                return now
            try:
                answer = await act(now)
                known = answer.seen if isinstance(answer, Told) else None
                continue
            except EngineTimeout as err:
                trouble = err
                late = await self._later(look, done, patience)
                if late is not None:
                    return late
            except EngineError as err:
                trouble = err
                await asyncio.sleep(0.25 * 2**attempt)
        now = known if known is not None else await self.read(look)
        if done(now):
            return now
        raise trouble

    async def _later(self, look: Looking[T], done: Callable[[T], bool], patience: float) -> T | None:
        end = self.clock.mono() + patience
        while True:
            seen = await self.read(look)
            if done(seen):
                return seen
            if self.clock.mono() >= end:
                return None
            await asyncio.sleep(min(0.5, patience))

    # ------------------------------------------------------------ the everyday acts

    async def stop(
        self, key: str, tries: int = 3, seen: Container | None = None, *, quick: bool = False
    ) -> Container | None:
        """See to it that it stands still; ends the engine's own retries too. Returns it as it stands then. `seen`: as
        it stands at this moment. `quick`: the engine's yes is enough, and whoever goes on from there looks: when it was
        started last, and how it ended, is not known yet."""

        async def act(seen: Container | None) -> Told[Container | None] | None:
            if seen is None:
                return None
            await loosen(self.groups, seen)
            await self.engine.stop(seen.id, self.grace(seen))
            return Told(replace(seen, status="exited", exit_code=0, finished_at=0.0)) if quick else None

        return await self.make(lambda: self.engine.inspect(key), still, act, tries=tries, patience=15.0, seen=seen)

    async def set_policy(
        self, key: str, policy: str, tries: int = 3, seen: Container | None = None
    ) -> Container | None:
        """See to it that a container that stands still has this restart policy. `seen`: as it stands at this moment."""
        return await self.make(
            lambda: self.engine.inspect(key),
            lambda now: now is None or now.restart_policy == policy,
            lambda now: self.engine.set_policy(key, policy),
            tries=tries,
            seen=seen,
        )

    async def remove(self, key: str, tries: int = 3) -> None:
        """See to it that it is gone. Only for containers this plan made, or has replaced by a spare."""
        await self.make(
            lambda: self.engine.inspect(key),
            lambda seen: seen is None,
            lambda seen: self.engine.remove(key),
            tries=tries,
        )

    async def others(self) -> Mapping[str, Container]:
        """Every container by name, in the engine's order."""
        return {each.name: each for each in await self.read(self.engine.list)}

    def grace(self, container: Container) -> float:
        """Seconds it is given to stop: what the service declares, else the container's own."""
        return self.plan.needs.stop_grace or container.stop_grace


def ended_early(err: Denied) -> Ending:
    """Nothing was touched."""
    return _ending(Reason.ENDED_EARLY, err.verdict)


def cannot(err: Cannot) -> Ending:
    """It failed because the world says no."""
    return _ending(Reason.FAILED, err.verdict)


def _ending(how: Reason, why: Verdict) -> Ending:
    return Ending(no(how, why.text), (), {"why": why.reason.value})


def still(seen: Container | None) -> bool:
    """Whether it stands still (gone counts)."""
    return seen is None or seen.status not in ACTIVE
