"""The core's hand on probes: takes each answer, and says how everyone who is asked answered last.

From: Probed, of the permanent probes (signals/probes/watch) and of a plan's probation. To: the registry, where it may
change whether a service is healthy; samples, one collector per probe; Snapshot.probes. Series end with what they are
about: with the run of the container that was asked, with the probe itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.config.watching import ProbeSettings
from supervisor.facts import Probed, ProbeState, Sample, Service
from supervisor.services import series_labels
from supervisor.services.answers import same_run
from supervisor.signals.probes import questions, series
from supervisor.signals.probes.questions import Question

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

Key = tuple[str, str]


class ProbeDesk:
    """How the probes stand. One for the life of a process."""

    def __init__(self, entries: Iterable[ProbeSettings]) -> None:
        """`entries`: the endpoints outside; what is changed there counts from the next start, as the watch has it."""
        self._outside = questions.outside(entries)
        self._questions: dict[Key, Question] = {one.key: one for one in self._outside}
        self._seen: Sequence[Service] | None = None
        self._states: dict[Key, ProbeState] = {}
        self._runs: dict[Key, tuple[str, float]] = {}
        self._sent: dict[Key, dict[str, Sample]] = {}
        self._shown: tuple[ProbeState, ...] | None = None

    def take(self, core: "Decider", fact: Probed) -> None:
        """One answer."""
        if fact.service:
            core.happened(core.registry.answered(fact))
        self.look(core)
        question = self._questions.get((fact.service, fact.name))
        if question is None or (fact.service and not _carries(question, (fact.container_id, fact.started_at))):
            return  # nobody asks that any more, or a plan asks what is not the service yet
        at = core.stamp(f"probe {fact.service} {fact.name}", fact.at)
        key, before = question.key, self._states.get(question.key)
        state = ProbeState(
            fact.name, fact.service, question.address, at, fact.ok, fact.failing, fact.broken, fact.asleep,
            fact.seconds, fact.rate, fact.text,
        )  # fmt: skip
        self._states[key], self._runs[key], self._shown = state, (fact.container_id, fact.started_at), None
        if before is None or _word(before) != _word(state):
            core.stale_snapshot = True
        self._tell(core, question, state, at)

    def look(self, core: "Decider") -> None:
        """Services may have changed: what is about a run that is over, or a probe that is no more, ends."""
        services = core.registry.services()
        if services is self._seen:
            return
        self._seen, self._shown, before = services, None, self._questions
        self._questions = {one.key: one for one in (*questions.of_services(services), *self._outside)}
        for key in list(self._states):
            now, then = self._questions.get(key), before.get(key)
            same = now is not None and then is not None and now.what == then.what
            if now is None or not same or (key[0] and not _carries(now, self._runs[key])):
                self._end(core, key)

    def repeat(self, core: "Decider") -> None:
        """Tell again what is asked so seldom that its series would end between two answers."""
        for key, state in list(self._states.items()):
            question = self._questions[key]
            if question.interval > series.EVERY and state.at <= core.now - series.EVERY / 2:
                self._tell(core, question, state, core.now)

    def shown(self, core: "Decider") -> tuple[ProbeState, ...]:
        """How everyone answered last: services first, then endpoints outside."""
        self.look(core)
        if self._shown is None:
            self._shown = tuple(
                self._states.get(key) or ProbeState(key[1], key[0], one.address) for key, one in self._questions.items()
            )
        return self._shown

    # ------------------------------------------------------------ inside

    def _tell(self, core: "Decider", question: Question, state: ProbeState, at: float) -> None:
        """Its samples, in one transaction; what an answer does not tell ends."""
        box, sent = question.container, self._sent.get(question.key, {})
        service = series_labels(box.name, box.labels) if question.service and box is not None else {}
        made = series.samples(state, series.about(question.name, question.kind, service))
        self._stale(
            core,
            question.name,
            [one for name, one in sent.items() if name not in made or made[name].labels != one.labels],
        )
        self._sent[question.key] = made
        touched = core.store.append(at, made.values())
        core.rules.arrived(f"probe:{question.name}", touched, max(core.now, at))

    def _end(self, core: "Decider", key: Key) -> None:
        self._stale(core, key[1], self._sent.pop(key, {}).values())
        del self._states[key], self._runs[key]
        core.stale_snapshot = True

    def _stale(self, core: "Decider", name: str, ended: Iterable[Sample]) -> None:
        for one in ended:
            core.rules.arrived(f"probe:{name}", core.store.stale(core.now, dict(one.labels)), core.now)


def _carries(question: Question, run: tuple[str, float]) -> bool:
    """Whether that run of that container carries the service now."""
    box = question.container
    return box is not None and box.running and same_run(box, *run)


def _word(state: ProbeState) -> ProbeState:
    """A state without what is another one with each answer."""
    return replace(state, at=0.0, seconds=0.0, rate=0.0)
