"""Decides: a turn's facts, one after another, without a single await.

Facts come from `lanes`; what is decided goes into the turn's journal batch, into `replies` and into `effects`, which
`turn` releases once the batch is durable. Time is the turn's: no clock is read here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from supervisor.core import ourselves, shown
from supervisor.core.admission import Admission
from supervisor.core.alerts import AlertDesk
from supervisor.core.approvals import Approvals
from supervisor.core.commands import answer_command
from supervisor.core.gpu import GPU, GpuDesk
from supervisor.core.holds import Holds
from supervisor.core.lanes import Reply
from supervisor.core.mail import Mail
from supervisor.core.memory import HOST, MemoryDesk
from supervisor.core.outside import Outsiders
from supervisor.core.probing import ProbeDesk
from supervisor.core.profiles import Profiles
from supervisor.core.quiesced import Quiesced
from supervisor.core.rollouts import Rollouts
from supervisor.core.silences import Silences
from supervisor.core.slots import SlotDesk
from supervisor.core.standing import Identity, Loaded, Standing
from supervisor.core.surroundings import world_of
from supervisor.core.targets import Targets
from supervisor.facts import (
    Alert,
    BusState,
    Command,
    Decision,
    EdgeState,
    EngineEvent,
    EngineState,
    Fact,
    Gathered,
    ImageRef,
    Json,
    Labels,
    Looked,
    OomSeen,
    Outside,
    PlanEnded,
    Probed,
    Readings,
    Reloaded,
    Snapshot,
    StepAsked,
    StepEnded,
    Stopping,
    Sweep,
    XidSeen,
)
from supervisor.incidents import Book, World
from supervisor.journal import Batch
from supervisor.rules import RuleEngine
from supervisor.rules.outputs import about_alerts
from supervisor.samples import Store
from supervisor.services import Registry

if TYPE_CHECKING:
    from supervisor.core.turn import Effects

Effect = Callable[["Effects"], None]

REPEAT = 60.0
"""seconds: event-sourced series are repeated so often, well within the lookback"""
REMEMBER = 5.0
"""seconds: so often the recorder takes what was sampled"""
PRUNE = 3600.0
"""seconds: so often what is too old is let go"""
SERVICES = "services"
"""the collector of what the registry makes of events"""


class Decider:
    """All that is known, and everything that is decided from it."""

    def __init__(
        self,
        loaded: Loaded,
        identity: Identity,
        standing: Standing,
        registry: Registry,
        store: Store,
        rules: RuleEngine,
        book: Book,
        admission: Admission,
        approvals: Approvals,
        rollouts: Rollouts,
        silences: Silences,
        mail: Mail,
        outside: Outsiders,
        holds: Holds,
        memory: MemoryDesk,
        gpu: GpuDesk,
        probing: ProbeDesk,
        profiles: Profiles,
        slots: SlotDesk,
    ) -> None:
        self.loaded, self.identity, self.standing = loaded, identity, standing
        self.registry, self.store, self.rules, self.book = registry, store, rules, book
        self.admission = admission
        self.approvals, self.rollouts, self.silences = approvals, rollouts, silences
        self.mail, self.outside, self.holds, self.memory, self.gpu = mail, outside, holds, memory, gpu
        self.probing, self.profiles, self.quiesced, self.slots = probing, profiles, Quiesced(), slots
        registry.informed(lambda: memory.budget(self), memory.counters)
        self.desk = AlertDesk(rules, slots.finder(gpu.finder(registry.find)), silences, outside.active)
        self.targets = Targets()
        self.replies: list[tuple[Any, Any]] = []
        self.effects: list[Effect] = []
        self.decisions: deque[Decision] = deque(maxlen=50)
        self.stale_snapshot = True
        self.batch: Batch
        self.now = self.mono = 0.0
        self._wall_of: dict[str, float] = {}
        self.timers: dict[str, float] = {"repeat": 0.0, "remember": 0.0, "prune": 0.0}
        self._begun, self._review = False, True
        self._again: float | None = None
        self.hands: tuple[float, float] | None = None
        self._rev = 0
        self.last_seq = 0
        self.revisions: dict[str, int] = {}
        """subject -> its newest public row: what a command's `if_rev` is compared with"""

    @property
    def mode(self) -> str:
        """heal | observe: what may be done now; a journal that cannot be written or was set aside means observe."""
        standing = self.standing
        return "observe" if standing.journal_error or standing.confirm else self.loaded.settings.mode

    # ------------------------------------------------------------ a turn

    def begin(self, batch: Batch, now: float, mono: float) -> None:
        """Start a turn: the timers that are due come before any fact."""
        self.batch, self.now, self.mono = batch, now, mono
        ourselves.check_hands(self)
        if self.timers["repeat"] <= mono:
            self.timers["repeat"] = mono + REPEAT
            self._sample(full=True)
            self.probing.repeat(self)
            self.slots.repeat()
            ourselves.sample(self)
        if self.timers["remember"] <= mono:
            self.timers["remember"] = mono + REMEMBER
            self.effects.append(lambda to: to.remember())
        if self.timers["prune"] <= mono:
            self.timers["prune"] = mono + PRUNE
            self.store.prune(now)
            self.effects.append(lambda to: to.prune(now))
        self.happened(self.registry.tick(now, mono))
        ourselves.end_pauses(self)
        self.silences.tick(self)
        self.outside.tick(self)
        self.holds.tick(self)
        self.gpu.tick(self)
        self.quiesced.tick(self)
        if not self._begun:
            self._begun = True
            self._first_words()
        self._evaluate()

    def _first_words(self) -> None:
        """What came about before the first turn: alerts whose rule is no more, files that could not be read."""
        self.announce(self.desk.unsaid)
        bad = [text for health in self.rules.health() for text in health.complaints]
        for text in (*bad, *self.standing.load_problems):
            self.row("daemon.rules_bad", "daemon", {"text": f"Left out: {text}"})

    def take(self, fact: Fact, reply: Reply) -> None:
        """Decide on one fact."""
        handler = _HANDLERS[type(fact)]
        answer = handler(self, fact)
        if reply is not None:
            self.replies.append((reply, answer))
        self._evaluate()

    def finish(self) -> None:
        """End a turn: look at everything once, and write down what is true now."""
        self.approvals.tick(self)
        self.probing.look(self)
        if self._review or (self._again is not None and self._again <= self.now):
            self._look_at_everything()
        self.slots.finish(self)
        for space, entries in self.registry.changed().items():
            for key, value in entries.items():
                self.batch.put(space, key, value)
                self.stale_snapshot = True

    def due(self) -> float | None:
        """The next monotonic instant at which something must be looked at."""
        found = [*self.timers.values()]
        tick = self.registry.due()
        if tick is not None:
            found.append(tick)
        found += [*self.quiesced.due(self), *self.slots.due(self)]
        walls = [self.rules.due(), self._again, ourselves.pause_end(self), self.approvals.due(), self.silences.due()]
        walls += [self.outside.due(), self.holds.due(self), self.gpu.due()]
        found += [self.mono + max(0.0, wall - self.now) for wall in walls if wall is not None]
        return min(found)

    # ------------------------------------------------------------ what happened

    def row(self, kind: str, subject: str, body: Json, public: bool = True) -> int:
        """Write a journal row."""
        self.stale_snapshot = True
        self.last_seq = self.batch.row(kind, subject, body, self.now, public)
        if public:
            self.revisions[subject] = self.last_seq
        return self.last_seq

    def _on_event(self, fact: EngineEvent) -> None:
        self.holds.heard(self, fact)
        if self.admission.concerns(fact):
            self.effects.append(lambda to: to.notice(fact))
        self._fold(fact)

    def _fold(self, fact: EngineEvent | Looked | ImageRef | Sweep | EngineState | OomSeen) -> None:
        parked = self.registry.parked()
        self.happened(self.registry.fold(fact, self.admission.touched()))
        if self.registry.parked() != parked:
            self.stale_snapshot = True  # people are warned of those, and no service shows them

    def _on_sweep(self, fact: Sweep) -> None:
        self._fold(fact)
        if not self.standing.swept.get(fact.engine):
            self.standing.swept[fact.engine] = True
            self.memory.begin()
            text = ourselves.watched(self, len(fact.containers))
            self.row("daemon.ready", "daemon", {"text": text, "engine": fact.engine})
            self.admission.recover(self, fact.engine)
        self.rollouts.boot(self)
        self._review = self.stale_snapshot = True

    def _on_engine(self, fact: EngineState) -> None:
        before = self.standing.engines.get(fact.engine)
        self.standing.engines[fact.engine] = fact
        self._review = True
        if before is None or before.up != fact.up:
            kind = "daemon.engine_back" if fact.up else "daemon.engine_lost"
            self.row(kind, "daemon", {"text": fact.text, "engine": fact.engine})
            ourselves.sample(self)
        self._fold(fact)

    def stamp(self, source: str, at: float) -> float:
        """A fact's wall time, never before the last of its source and never after its arrival."""
        at = min(max(at, self._wall_of.get(source, 0.0)), self.now)
        self._wall_of[source] = at
        return at

    def _on_readings(self, fact: Readings) -> None:
        """One collector's readings: one transaction at one timestamp, with what follows from them."""
        at = self.stamp(fact.collector, fact.at)
        if fact.models or fact.gates:
            fact = replace(fact, samples=(*fact.samples, *self.slots.read(self, fact)))
        samples = fact.samples
        if fact.whole:
            self.rules.arrived(fact.collector, self.targets.read(self, fact, at), max(self.now, at))
            return
        if fact.collector == HOST:
            samples = (*samples, *self.memory.read(self, fact, at))
        elif fact.collector == GPU:
            samples = (*samples, *self.gpu.read(self, fact, at))
        self.rules.arrived(fact.collector, self.store.append(at, samples), max(self.now, at))

    def happened(self, happenings: Iterable[Any]) -> None:
        """Write down what became of services, and what follows from it."""
        for happening in happenings:
            body = {"service": happening.service, "at": happening.at, **happening.data}
            self.row(happening.kind, happening.service, body, happening.public)
            self._review = True
            if happening.kind == "drift.proved":
                self.admission.protect(self, happening.service, str(happening.data.get("image_id", "")))
        self._sample(full=False)

    def _sample(self, *, full: bool) -> None:
        """Let what the registry knows become samples: one transaction."""
        for match in self.registry.gone():
            self.rules.arrived(SERVICES, self.store.stale(self.now, match), self.now)
        samples = (*self.registry.samples(full=full), *self.registry.heard(full=full))
        samples = (*samples, *self.profiles.samples(self, full=full), *self.gpu.news(self, full))
        if samples:
            self.rules.arrived(SERVICES, self.store.append(self.now, samples), self.now)

    def _evaluate(self) -> None:
        due = self.rules.due()
        if due is None or due > self.now:
            return
        outcome = self.rules.evaluate(self.now)
        self.announce(outcome.changes)
        for health in outcome.health:
            text = f"{health.file} evaluates again."
            if health.text:
                text = f"{health.file}: {health.text}; its alerts stay as they are until it evaluates again."
            self.row("daemon.rules_bad", "daemon", {"text": text, "file": health.file, "ok": not health.text})
        if outcome.health:
            ourselves.sample(self)  # a rule that errs raises an alert itself, and not only with the next repetition

    def alerts(self) -> tuple[Alert, ...]:
        """Every open alert: of our own rules, and from outside."""
        return (*self.rules.active(), *self.outside.active())

    def announce(self, changes: Iterable[Any]) -> None:
        """Journal alert changes and keep them for the review at the end of the turn."""
        if self.desk.journal(tuple(changes), self.row, self.batch):
            self._review = self.stale_snapshot = True

    # ------------------------------------------------------------ what is done about it

    def world(self) -> World:
        """How everything stands, for the guard and the incident book."""
        return world_of(self)

    def _look_at_everything(self) -> None:
        self._review, self._again = False, None
        review = self.book.review(self.world(), self.desk.take_changes())
        self.apply(review)

    def apply(self, review: Any) -> None:
        """Carry a review of the incident book into the batch, the plans and the effects."""
        for kind, subject, body, public in review.rows:
            self.row(kind, subject, body, public)
        for space, key, value in review.puts:
            self.batch.put(space, key, value)
        if review.again is not None and (self._again is None or review.again < self._again):
            self._again = review.again
        for plan_id, why in review.end:
            self.admission.wish_end(self, plan_id, why)
        for decision in review.decisions:
            self.admission.decided(self, decision)

    def reviewed_later(self) -> None:
        """Something changed that the incident book must see this turn or the next."""
        self._review = self.stale_snapshot = True

    # ------------------------------------------------------------ ourselves

    def journal_failed(self, text: str) -> None:
        """The journal cannot be written: from now on only observe."""
        self.standing.journal_error = text
        self.stale_snapshot = True

    def journal_works(self) -> None:
        """It was written (again)."""
        if self.standing.journal_error:
            self.standing.journal_error = ""
            self._review = self.stale_snapshot = True

    # ------------------------------------------------------------ what is shown

    def snapshot(self, counts: Mapping[str, int]) -> Snapshot:
        """How everything stands now."""
        self._rev += 1
        self.stale_snapshot = False
        return shown.snapshot_of(self, self._rev, counts)

    def metrics(self, now: float) -> Iterable[tuple[Labels, float]]:
        """Every series with its newest value; those about alerts are left out: a Prometheus that scrapes us evaluates
        rules of its own, and writes series of these very names itself."""
        return ((labels, value) for labels, _ms, value in self.store.latest(now) if not about_alerts(labels))

    def explain(self, word: str) -> Json:
        """What is known about an alert or a service; why a rule gives what it gives is told elsewhere."""
        return shown.explain(self, word)


_HANDLERS: dict[type, Callable[[Decider, Any], Any]] = {
    EngineEvent: Decider._on_event,
    Looked: Decider._fold,
    ImageRef: Decider._fold,
    OomSeen: Decider._fold,
    XidSeen: lambda core, fact: core.gpu.heard(core, fact),
    Sweep: Decider._on_sweep,
    EngineState: Decider._on_engine,
    Readings: Decider._on_readings,
    Probed: lambda core, fact: core.probing.take(core, fact),
    Command: answer_command,
    Outside: lambda core, fact: core.outside.take(core, fact),
    StepAsked: lambda core, fact: core.admission.step_asked(core, fact),
    StepEnded: lambda core, fact: core.admission.step_ended(core, fact),
    PlanEnded: lambda core, fact: core.admission.plan_ended(core, fact),
    Reloaded: ourselves.reloaded,
    BusState: ourselves.bus,
    Gathered: ourselves.gathered,
    EdgeState: ourselves.edge,
    Stopping: ourselves.stopping,
}
