"""Alerts that are not told at once: those that must first have fired for a while with nobody taking them on
(`escalate`), and those that are told only if nobody heard them over MQTT (`when: unheard`). Pure.

In: alerts as they fire and end, and how things stand (the snapshot; what became of the rows as MQTT messages, and at
the notifiers before this one). Out: those to be told now. notifier.py asks, place.py keeps it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from supervisor.bus.notify.message import Item
from supervisor.facts import Incident, Snapshot

PATIENCE = 30.0
"""seconds in which a message must have been heard over MQTT, or be delivered by a notifier that comes before"""
HEARD = ("done", "digested")
"""states of a row as an MQTT message in which somebody had it"""
OVER = 86_400.0
"""seconds: what happened so long ago is not told any more"""

ENDING = 300.0
"""seconds in which the row that tells of an alert's end must have come"""

Fate = Literal["", "waits", "delivered", "given_up"]
"""what became of an alert at a notifier; '' where it was none of its business"""


@dataclass(frozen=True, slots=True)
class Watched:
    """An alert that fires, and since when it is watched (unix seconds)."""

    item: Item
    since: float


class Watch:
    """The alerts that wait for a verdict, by fingerprint, oldest first."""

    def __init__(self) -> None:
        self._open: dict[str, Watched] = {}

    def feed(self, item: Item) -> None:
        """It fires: it is watched from then on. It has ended: no more."""
        if item.firing:
            known = self._open.get(item.fingerprint)
            self._open[item.fingerprint] = Watched(item, known.since if known is not None else item.row.at)
        else:
            self._open.pop(item.fingerprint, None)

    def restore(self, item: Item, since: float) -> None:
        """One as it was kept."""
        self._open[item.fingerprint] = Watched(item, since)

    def leave(self, items: Iterable[Item]) -> None:
        """The verdict about these is spoken."""
        for item in items:
            self._open.pop(item.fingerprint, None)

    def open(self, now: float) -> list[Watched]:
        """Everything that is watched. A clock that was put back makes nothing wait longer than asked for."""
        for fingerprint, one in self._open.items():
            if one.since > now:
                self._open[fingerprint] = Watched(one.item, now)
        return list(self._open.values())

    def waits(self, fingerprint: str) -> bool:
        """It is watched."""
        return fingerprint in self._open

    def __len__(self) -> int:
        return len(self._open)


def escalate(
    watched: Iterable[Watched], after: float, now: float, snapshot: Snapshot, quiet: Callable[[Item], bool]
) -> tuple[list[Item], list[Item]]:
    """(those to tell, those that are out): an alert that fires for `after` seconds, while nobody took its incident
    on, is told; one that somebody took on, or that ended long ago, is out. One that is silenced, or just ending,
    waits."""
    tell, out = [], []
    sure = snapshot.status != "recovering"
    firing = {alert.fingerprint for alert in snapshot.alerts if alert.state == "firing"}
    for one in watched:
        age, fires = now - one.since, one.item.fingerprint in firing
        longest = after + (ENDING if sure and not fires else OVER)
        if taken_on(one.item.fingerprint, snapshot) or age > longest:
            out.append(one.item)
        elif age >= after and fires and not quiet(one.item):
            tell.append(replace(one.item, escalated=one.since))
    return tell, out


def incident_of(fingerprint: str, snapshot: Snapshot) -> Incident | None:
    """The incident that an alert belongs to."""
    return next((incident for incident in snapshot.incidents if fingerprint in incident.alerts), None)


def taken_on(fingerprint: str, snapshot: Snapshot) -> bool:
    """Somebody said `ack` to its incident."""
    incident = incident_of(fingerprint, snapshot)
    return incident is not None and bool(incident.acked)


def unheard(
    watched: Iterable[Watched],
    states: Mapping[int, str],
    fates: Callable[[Item], list[Fate]],
    now: float,
    patience: float,
    bus: bool,
) -> tuple[list[Item], list[Item]]:
    """(those to tell, those that are out).

    `states`: what became of the rows as MQTT messages; `bus`: there is a broker at all; `fates`: what became of an
    alert at each notifier before this one. Told is what nobody heard over MQTT and no notifier before could deliver,
    each within `patience` seconds; and what all notifiers before have given up on, whatever MQTT says."""
    tell, out = [], []
    for one in watched:
        age = now - one.since
        late = age >= patience
        concerned = [fate for fate in fates(one.item) if fate]
        state = states.get(one.item.row.seq, "")
        heard = state in HEARD
        waits = bus and state == "waiting" and age < PATIENCE
        if not state or age > OVER:
            out.append(one.item)
        elif concerned and all(fate == "given_up" for fate in concerned):
            tell.append(one.item)
        elif "delivered" in concerned:
            out.append(one.item)
        elif "waits" in concerned and not late:
            continue
        elif heard:
            # Somebody has it; as long as a notifier before still tries, it may yet turn out that all gave up.
            if "waits" not in concerned:
                out.append(one.item)
        elif not waits:
            tell.append(one.item)
    return tell, out
