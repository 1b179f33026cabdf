"""Who asks for what, and who goes first.

In: the alerts and playbooks of this turn. Out: candidates, each with its target, grouped and ordered. Annotations and
playbooks become the same thing here: a candidate with a ladder. What becomes of a candidate is said in `deciding`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from supervisor.facts import Alert
from supervisor.incidents import target
from supervisor.incidents.binding import bind
from supervisor.incidents.playbooks import Playbook, Rung
from supervisor.incidents.target import HOST, Aim
from supervisor.incidents.world import World
from supervisor.rules.templates import Template
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

_ORIGINS = ("owner", "shipped", "outside")
_SEVERITIES = ("critical", "warning", "info")
_COOLDOWN = 600.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alert that wants something done. `trouble`: why it cannot even be asked for."""

    alert: Alert
    by: str
    """`rule:NAME` or `playbook:NAME`"""
    origin: str
    """whose file says so: owner | shipped | outside"""
    playbook: Playbook
    aim: Aim
    subject: str
    """whose incident the alert belongs to"""
    trouble: Verdict | None = None

    @property
    def target(self) -> str:
        """The service id or `host`; '' where none was found."""
        return self.aim.id

    @property
    def scope(self) -> str:
        """What its ladder, cooldown and budget are counted for."""
        per = self.playbook.per
        if per == "service" and self.by.startswith("rule:") and self.playbook.steps:
            # an annotation may be a template: what one alert of the rule tells is no try of what another one does
            return f"{self.target} {self.playbook.steps[0].verb}"
        return self.alert.fingerprint if per == "alert" else HOST if per == "host" else self.target

    @property
    def rank(self) -> tuple[int, int, tuple[int, int, int], int, tuple[int, int], str]:
        """The order of precedence: owner first, then severity, then the order in the files; within an alert its
        annotation before a playbook."""
        return (
            _ORIGINS.index(self.origin) if self.origin in _ORIGINS else len(_ORIGINS),
            _SEVERITIES.index(self.alert.severity),
            self.alert.order,
            int(not self.by.startswith("rule:")),
            self.playbook.order,
            self.alert.fingerprint,
        )

    def harmless(self, rung: Rung) -> bool:
        """Whether this rung only tells people."""
        return disturbance(rung.verb, dict(rung.params)) is Disturbance.HARMLESS


def gather(alerts: Iterable[Alert], playbooks: Sequence[Playbook], world: World) -> tuple[Candidate, ...]:
    """All candidates of these alerts, best rank first. Alerts that are resolved meet playbooks `on: resolved` only."""
    found: list[Candidate] = []
    for alert in alerts:
        if alert.state != "resolved":
            annotated = _annotated(alert, world)
            if annotated is not None:
                found.append(annotated)
        when = "resolved" if alert.state == "resolved" else "firing"
        found += [
            _of_playbook(alert, playbook, world)
            for playbook in playbooks
            if playbook.on == when and playbook.matches(alert.labels)
        ]
    return tuple(sorted(found, key=lambda candidate: candidate.rank))


def owners(candidates: Sequence[Candidate]) -> Mapping[str, Candidate]:
    """For each service, the owner's candidate, pending or firing, that shipped ones have to wait for. One whose target
    was not found counts too, for the service its alert is about."""
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.origin == "owner" and not candidate.playbook.dry_run and candidate.alert.state != "resolved":
            for service in (candidate.target, candidate.subject):
                if service and service != HOST:
                    found.setdefault(service, candidate)
    return found


def owner_first(candidate: Candidate, first: Mapping[str, Candidate]) -> Candidate | None:
    """The owner's candidate that this one has to wait for; None if there is none. `first` comes from `owners`."""
    return first.get(candidate.target) if candidate.origin != "owner" else None


def _annotated(alert: Alert, world: World) -> Candidate | None:
    """The candidate of the annotation `action`; None where there is none, or only a hint for people."""
    text = world.action(alert)
    if not text.strip():
        return None
    bound = bind(text, _templates(alert, text))
    if isinstance(bound, Verdict):
        if bound.reason is Reason.UNKNOWN_VERB:
            return None
        aim = target.about(alert, world.find)
        playbook = Playbook(alert.name, ())
        subject = target.subject(alert, world.find)
        return Candidate(alert, f"rule:{alert.name}", alert.origin, playbook, Aim("", aim.verdict), subject, bound)
    if alert.origin == "outside" and not bound.bare:
        return None
    aim = target.aimed(bound, alert, world.find)
    rung = Rung(bound.verb, bound.params)
    cost = disturbance(bound.verb, dict(bound.params))
    cooldown = _COOLDOWN if cost is Disturbance.DISRUPTIVE else 0.0
    playbook = Playbook(alert.name, (rung,), cooldown=cooldown, origin=alert.origin)
    trouble = _trouble(aim, rung)
    subject = target.subject(alert, world.find, aim)
    return Candidate(alert, f"rule:{alert.name}", alert.origin, playbook, aim, subject, trouble)


def _of_playbook(alert: Alert, playbook: Playbook, world: World) -> Candidate:
    if playbook.target == "service":
        aim = target.about(alert, world.find)
    elif playbook.target == "gpu":
        aim = target.at_card(alert, world.find)
    else:
        aim = target.named(playbook.target, world.find)
    subject = target.subject(alert, world.find, aim)
    trouble = _trouble(aim, playbook.steps[0])
    return Candidate(alert, f"playbook:{playbook.name}", playbook.origin, playbook, aim, subject, trouble)


def _trouble(aim: Aim, rung: Rung) -> Verdict | None:
    if not aim.verdict.ok:
        return aim.verdict
    if aim.id == HOST and HOST not in VERBS[rung.verb].targets:
        text = f"The alert names no container, so {rung.verb} has no target; write the service: `{rung.verb} SERVICE`."
        return no(Reason.NO_TARGET, text)
    return None


def _templates(alert: Alert, text: str) -> Callable[[str], str]:
    """How arguments are filled in: not at all where the text was filled in as a whole already, since braces in it would
    then have come from a label's value."""
    if text == alert.annotations.get("action"):
        return lambda word: word
    labels: Mapping[str, str] = alert.labels
    return lambda word: Template.parse(word).expand(labels, alert.value)
