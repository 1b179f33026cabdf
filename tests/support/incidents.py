"""A small box for the tests of supervisor/incidents: it does what the core does with a review, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor import verbs
from supervisor.config import Settings
from supervisor.facts import (
    Alert,
    AlertChange,
    Container,
    Decision,
    Intent,
    Json,
    MemoryBudget,
    Needs,
    Plan,
    Service,
    Step,
    Wanted,
)
from supervisor.incidents import Book, Review, Spend, World
from supervisor.incidents.locks import names
from supervisor.incidents.playbooks import Playbook, read
from supervisor.services.finding import find
from supervisor.verbs import Disturbance
from supervisor.verdicts import Reason, Verdict, no, yes

NOW = 1_760_000_000.0
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ORACLE = "demo.oracle"

LADDER = """
playbooks:
- name: restart-loop
  match: ['alertname="ContainerRestartLoop"']
  steps:
  - do: phoenix image=last-known-good
    verify: {probe: true, within: 10m}
  - do: stop
"""
"""the shape of the shipped playbook"""

OWNER = "kubectl scale deployment inference-engine --replicas=0"
"""what the owner's alert file asks for, word for word"""


def container(key: str = "c1", name: str = "oracle", **more: Any) -> Container:
    """A container in the midst of a restart loop, running the bad image."""
    given: dict[str, Any] = {
        "image_id": BAD,
        "image_ref": "local/oracle:1",
        "ref_image_id": BAD,
        "status": "restarting",
        "exit_code": 139,
        "labels": {"resurgam.enable": "true"},
    }
    return Container(id=key, name=name, **(given | more))


def service(key: str = ORACLE, **more: Any) -> Service:
    """A service that is ours, unwell, with a drifted image and a proved one to go back to."""
    given: dict[str, Any] = {
        "container": container(name=key.split(".")[-1]),
        "owned": yes(),
        "needs": Needs(),
        "proved_image": GOOD,
        "drift": "unproved",
        "deaths": 3,
        "streak": 3,
        "last_exit": 139,
        "last_death_at": NOW - 1,
    }
    return Service(id=key, engine="docker", **(given | more))


def well(one: Service) -> Service:
    """The same service, running healthy on its good image."""
    assert one.container is not None
    found = replace(one.container, image_id=GOOD, status="running", exit_code=0)
    return replace(one, container=found, healthy=True, drift="", streak=0)


def alert(name: str = "ContainerRestartLoop", **more: Any) -> Alert:
    """A firing alert about the container `oracle`, of a shipped rule unless `origin` says else."""
    labels = {"alertname": name, "severity": "critical", "name": "oracle"} | more.pop("labels", {})
    given: dict[str, Any] = {
        "fingerprint": f"fp-{name}",
        "state": "firing",
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": {},
        "value": 3.0,
        "active_at": NOW - 60,
        "fired_at": NOW,
        "origin": "shipped",
    }
    return Alert(name=name, **(given | more))


def owners(**more: Any) -> Alert:
    """The owner's BlackwellResetLoopRisk."""
    labels = {"name": "", "container": "ktransformers", "namespace": "default", "pod": "x"}
    given: dict[str, Any] = {"annotations": {"action": OWNER}, "origin": "owner", "labels": labels}
    return alert("BlackwellResetLoopRisk", **(given | more))


def plan(ident: int = 1, verb: str = "phoenix", target: str = ORACLE, /, **more: Any) -> Plan:
    """An open plan with one step in each phase."""
    given: dict[str, Any] = {
        "engine": "docker",
        "params": {"replicas": "0"} if verb == "scale" else {},
        "cause": "a test",
        "by": "uid:0",
        "created_at": NOW,
        "op": "abc123",
        "container_id": "c1",
        "name": target.split(".")[-1],
        "steps": (
            Step("look", "before"),
            Step("stop", "inside"),
            Step("tidy", "after"),
            Step("undo", "inside", back=True),
        ),
    }
    found = given | more
    found.setdefault("locks", names(target, Needs(), verb, found["params"]))
    return Plan(id=ident, verb=verb, service=target, **found)


def books(text: str = LADDER, origin: str = "shipped") -> tuple[Playbook, ...]:
    """Playbooks from text."""
    return read(text, "t.playbooks.yaml", origin)


@dataclass
class Box:
    """The world of a test, and the book that looks at it."""

    services: dict[str, Service] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    playbooks: tuple[Playbook, ...] = ()
    plans: tuple[Plan, ...] = ()
    spent: tuple[Spend, ...] = ()
    pauses: dict[str, tuple[str, float]] = field(default_factory=dict)
    mode: str = "heal"
    ready: bool = True
    stopping: bool = False
    absent: tuple[str, ...] = ()
    now: float = NOW
    true: set[str] = field(default_factory=set)
    erring: set[str] = field(default_factory=set)
    """expressions that hold"""
    settings: Settings = field(default_factory=Settings)
    spaces: dict[str, dict[str, Json]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    last: Review = field(default_factory=Review)
    memory: MemoryBudget | None = None
    raw: Mapping[str, str] = field(default_factory=dict)
    """alert name -> its annotation `action` before templates were filled in"""

    def __post_init__(self) -> None:
        self.book = Book(self.playbooks, self.spaces)

    def world(self) -> World:
        known = [(one, self._labels(one)) for _key, one in sorted(self.services.items())]
        return World(
            now=self.now,
            mode=self.mode,
            ready=self.ready,
            stopping=self.stopping,
            pauses=self.pauses,
            services=self.services,
            alerts=self.alerts,
            plans=self.plans,
            spent=self.spent,
            settings=self.settings,
            find=lambda word: find(known, word),
            holds=lambda expr, _alert: None if expr.text in self.erring else expr.text in self.true,
            action=lambda one: self.raw.get(one.name, one.annotations.get("action", "")),
            absent=self.absent,
            maneuvers=self.book.maneuvers(),
            memory=self.memory,
        )

    @staticmethod
    def _labels(one: Service) -> dict[str, str]:
        project, _dot, name = one.id.partition(".")
        found = {"name": one.container.name if one.container else name}
        prefix = "container_label_com_docker_compose_"
        return found | {f"{prefix}project": project, f"{prefix}service": name} if name else found

    def put(self, one: Service) -> None:
        self.services[one.id] = one

    def turn(self, *changes: AlertChange, admit: bool = True) -> tuple[Decision, ...]:
        """One review; its puts are kept, and what it allows becomes an open plan that has not begun."""
        self.last = self.book.review(self.world(), changes)
        self._keep(self.last)
        self.decisions += self.last.decisions
        for plan_id, why in self.last.end:
            found = next((one for one in self.plans if one.id == plan_id), None)
            if found is not None and not found.begun:
                self.end(found, no(Reason.ENDED_EARLY, why.text))
        for decision in self.last.decisions:
            if decision.verdict.ok and decision.intent.verb != "notify" and admit:
                self._admit(decision.intent)
        return self.last.decisions

    def _admit(self, intent: Intent) -> None:
        params = dict(intent.params)
        key = max([0, *(one.id for one in self.plans), *(one.plan for one in self.spent)]) + 1
        cost = verbs.disturbance(intent.verb, params)
        spend = Spend(self.now, intent.target, intent.verb, cost is Disturbance.DISRUPTIVE, key)
        made = plan(
            key,
            intent.verb,
            intent.target,
            params=params,
            by=intent.by,
            key=intent.key,
            incident=intent.incident,
            created_at=self.now,
        )
        self.plans, self.spent = (*self.plans, made), (*self.spent, spend)
        stops = intent.verb == "stop" or params.get("replicas") == "0"
        if stops or intent.verb in ("start", "scale"):
            state = "stopped" if stops else "running"
            one = self.services[intent.target]
            self.put(replace(one, wanted=Wanted(state, intent.by, self.now, intent.cause)))

    def begin(self, key: int, step: str = "stop") -> None:
        """A plan takes a step."""
        self.plans = tuple(replace(one, begun=(*one.begun, step)) if one.id == key else one for one in self.plans)

    def end(self, which: Plan | int, outcome: Verdict) -> None:
        """A plan ends."""
        key = which if isinstance(which, int) else which.id
        found = next(one for one in self.plans if one.id == key)
        self.plans = tuple(one for one in self.plans if one.id != key)
        self._keep(self.book.ended(found, outcome, self.now))

    def run(self, outcome: Verdict, seconds: float = 5.0) -> None:
        """The newest plan begins, works for a while and ends."""
        key = self.plans[-1].id
        self.begin(key)
        self.now += seconds
        self.end(key, outcome)

    def resolve(self, *names_: str) -> tuple[AlertChange, ...]:
        """These alerts stop firing now."""
        gone = tuple(one for one in self.alerts if one.name in names_ and one.state == "firing")
        self.alerts = tuple(one for one in self.alerts if one not in gone)
        return tuple(
            AlertChange(replace(one, state="resolved", resolved_at=self.now), "firing", self.now) for one in gone
        )

    def restart(self) -> None:
        """A fresh process: only what the journal kept is known."""
        self.book = Book(self.playbooks, self.spaces)

    def said(self) -> list[tuple[str, str]]:
        """(by, reason) of the decisions of the last review."""
        return [(one.intent.by, one.verdict.reason.value) for one in self.last.decisions]

    def _keep(self, review: Review) -> None:
        for space, key, value in review.puts:
            entries = self.spaces.setdefault(space, {})
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value


def oracle(**more: Any) -> Box:
    """A box with the oracle in its restart loop, the shipped ladder, and nothing decided yet."""
    given: dict[str, Any] = {"alerts": (alert(),), "playbooks": books()}
    box = Box(**(given | more))
    if not box.services:
        box.put(service())
    return box


VERIFIED = yes("healthy again", Reason.VERIFIED)
ROLLED_BACK = no(Reason.ROLLED_BACK, "it was put back")
DEGRADED = no(Reason.DEGRADED, "the way back failed too")
EARLY = no(Reason.ENDED_EARLY, "nothing was touched")
