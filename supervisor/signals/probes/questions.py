"""Who is asked for ever, how, and how often. Pure.

From: the services in a snapshot, and `probes:` of the configuration. To: the watch, which asks, and core/probing.py,
which shows what came of it. What is asked now (a container that runs, no plan at work on it) is the watch's to say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from supervisor.config.watching import ProbeSettings
from supervisor.facts import Container, Needs, Service
from supervisor.services import loads

EVERY, SELDOM = 15.0, 60.0
"""seconds between two questions; for what costs more, a completion or a command inside"""
TIMEOUT = 5.0
"""seconds for an answer"""
_TIMEOUTS = {"completion": 30.0, "exec": 10.0}
_COSTLY = ("completion", "exec")


@dataclass(frozen=True, slots=True)
class Question:
    """One probe. `container`: None for an endpoint outside, and for a service that has none now."""

    name: str
    """the service's id, or the name of an entry of `probes:`"""
    service: str
    """the service's id; '' for an endpoint outside"""
    needs: Needs
    kind: str
    interval: float
    timeout: float
    retries: int
    startup: float = 0.0
    """seconds from the start of its container in which it may still be loading"""
    container: Container | None = field(default=None, compare=False)
    idle: bool = False
    """it is not to be asked now"""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other."""
        return self.service, self.name

    @property
    def address(self) -> str:
        """What is asked, as its owner wrote it."""
        return " ".join(self.needs.probe_argv) if self.kind == "exec" else self.needs.probe

    @property
    def what(self) -> tuple[object, ...]:
        """What is asked: with another one, what was answered before counts no more."""
        needs = self.needs
        return self.address, needs.probe_method, needs.probe_model, needs.probe_from_label

    @property
    def run(self) -> tuple[str, float]:
        """Which run of which container is asked."""
        box = self.container
        return (box.id, box.started_at) if box is not None else ("", 0.0)


def kind_of(needs: Needs) -> str:
    """How a service is asked: the scheme of its probe, `exec`, or '' where nothing is declared."""
    return "exec" if needs.probe_argv else needs.probe.partition(":")[0]


def timeout_of(needs: Needs) -> float:
    """Seconds for an answer: as declared, else what suits its kind."""
    return needs.probe_timeout or _TIMEOUTS.get(kind_of(needs), TIMEOUT)


def of_services(services: Sequence[Service], away: Iterable[str] = ()) -> tuple[Question, ...]:
    """Every service that declares a probe, in their order. `away`: engines that do not answer."""
    lost = tuple(away)
    return tuple(_of_service(one, one.engine in lost) for one in services if kind_of(one.needs))


def outside(entries: Iterable[ProbeSettings]) -> tuple[Question, ...]:
    """The endpoints outside, by name."""
    found = []
    for entry in sorted(entries, key=lambda entry: entry.name):
        method, model, timeout = entry.method, entry.model, entry.timeout or 0.0
        needs = Needs(
            probe=entry.probe, probe_method=method, probe_model=model, probe_timeout=timeout, startup=0.0
        )  # fmt: skip
        kind = kind_of(needs)
        interval = _interval(kind, entry.interval or 0.0)
        found.append(Question(entry.name, "", needs, kind, interval, timeout_of(needs), entry.retries))
    return tuple(found)


def _of_service(service: Service, lost: bool) -> Question:
    needs, box = service.needs, service.container
    kind = kind_of(needs)
    interval, timeout = _interval(kind, needs.probe_interval), timeout_of(needs)
    idle = box is None or not box.running or bool(service.plan) or lost
    startup = max(needs.startup, loads.limit(needs, service.loads).seconds)
    return Question(service.id, service.id, needs, kind, interval, timeout, needs.probe_retries, startup, box, idle)


def _interval(kind: str, declared: float) -> float:
    """Seconds between two questions."""
    return max(1.0, declared or (SELDOM if kind in _COSTLY else EVERY))
