"""Alerts that others hand in: a Prometheus or an Alertmanager that is there already drives our actions with its rules.

From: web/inlet.py, as facts; from the journal's space `outside` after a restart. To: alerts.py, so that they become
messages, silences and incidents as our own do. An alert from outside binds through playbooks or a bare verb: arguments
in its annotations are shown, not obeyed. It ends when it is told resolved, when its own end is reached, or when nobody
told of it for too long.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor.errors import JournalError
from supervisor.facts import Alert, AlertChange, Json, Outside, OutsideAlert
from supervisor.journal.codec import dump, load
from supervisor.rules.alerts import fingerprint
from supervisor.units import plain

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

MOST = 1000
"""alerts at a time; a flood of them must not push our own out of sight"""
REFILL = 1.0
"""alerts that may begin in every second beyond the first MOST: one that ends and fires again and again must not fill
the journal"""
PLACE = (1 << 30, 0, 0)
"""where they stand in the order of the files: last"""
_ORIGIN = "outside"


@dataclass(frozen=True, slots=True)
class _Held:
    alert: Alert
    until: float
    """unix seconds at which it ends by itself"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a delivery: how many alerts were taken, how many were too many."""

    taken: int
    refused: int


class Outsiders:
    """The alerts from outside that fire now."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `outside` as it was at the start."""
        self._held: dict[str, _Held] = {}
        self._purse, self._filled = float(MOST), 0.0
        """how many may begin now, as of a monotonic instant"""
        for key in sorted(kept):
            with suppress(JournalError):  # what cannot be read any more is told again by its source
                self._held[key] = load(_Held, kept[key])

    def active(self) -> tuple[Alert, ...]:
        """Those that fire, in the order in which they came."""
        return tuple(held.alert for held in self._held.values())

    def take(self, core: "Decider", fact: Outside) -> Taken:
        """One delivery. What fires is held (again), what is over ends."""
        changes: list[AlertChange] = []
        refused = 0
        self._purse = min(float(MOST), self._purse + max(0.0, fact.mono - self._filled) * REFILL)
        self._filled = fact.mono
        for told in fact.alerts:
            key = fingerprint(tuple(sorted(told.labels.items())), f"{_ORIGIN} ")
            held = self._held.get(key)
            if told.ends_at and told.ends_at <= core.now:
                if held is not None:
                    changes.append(self._end(core, key, held, told.ends_at))
            elif held is None and (len(self._held) >= MOST or self._purse < 1.0):
                refused += 1
            else:
                self._purse -= 1.0 if held is None else 0.0
                until = told.ends_at or core.now + told.lasts
                self._held[key] = _Held(_alert(key, told, fact.source, core.now, held), until)
                core.batch.put(_ORIGIN, key, dump(self._held[key]))
                if held is None:
                    changes.append(AlertChange(self._held[key].alert, "", core.now))
        core.announce(changes)
        core.reviewed_later()
        return Taken(len(fact.alerts) - refused, refused)

    def due(self) -> float | None:
        """Unix seconds at which the next one ends by itself."""
        return min((held.until for held in self._held.values()), default=None)

    def tick(self, core: "Decider") -> None:
        """End those of whom nobody told in time."""
        over = [(key, held) for key, held in self._held.items() if held.until <= core.now]
        if over:
            core.announce([self._end(core, key, held, core.now) for key, held in over])

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped, or we slept: time in which nobody could tell us does not count."""
        for key, held in self._held.items():
            self._held[key] = replace(held, until=held.until + seconds)
            core.batch.put(_ORIGIN, key, dump(self._held[key]))

    def _end(self, core: "Decider", key: str, held: _Held, at: float) -> AlertChange:
        del self._held[key]
        core.batch.put(_ORIGIN, key, None)
        return AlertChange(replace(held.alert, state="resolved", resolved_at=at), "firing", core.now)


def _alert(key: str, told: OutsideAlert, source: str, now: float, held: _Held | None) -> Alert:
    """The alert as our own look. Its first instant stays; a source whose clock is ahead is not believed."""
    since = held.alert.fired_at if held is not None else min(told.starts_at or now, now)
    return Alert(
        fingerprint=key,
        name=told.labels.get("alertname", ""),
        state="firing",
        labels=dict(told.labels),
        annotations=dict(told.annotations),
        value=1.0,
        active_at=since,
        fired_at=since,
        rule=f"{_ORIGIN}:{plain(source, 100)}",
        origin=_ORIGIN,
        order=PLACE,
    )
