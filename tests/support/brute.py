"""A rule engine that knows no shortcut: every rule, in order, at every instant at which anything could differ.

The measure of the event engine. It has a store of its own, into which it writes what the rules give by the engine's
policy (what changed at once, everything each `min(interval, 1m)`); when to look it decides by brute force: one
millisecond before, at and after every sample, every sample plus every span, offset and lookback that a rule names, and
every deadline of an alert.
"""

import heapq
import os
from collections.abc import Iterable, Mapping

from supervisor.facts import AlertChange, Labels, Sample
from supervisor.rules import RuleSet, alerts
from supervisor.rules.model import AlertRule
from supervisor.rules.outputs import Written, about, recorded
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import LOOKBACK, STALE, Store, to_ms

SLACK = 20
"""ms that both may be apart: two samples of one series in one millisecond are spread over the next ones"""


def seeds(count: int) -> list[int]:
    """The seeds of a property test: fixed ones, or those of `RESURGAM_ORACLE_SEEDS=first:count`."""
    first, _, many = os.environ.get("RESURGAM_ORACLE_SEEDS", "").partition(":")
    return list(range(int(first), int(first) + int(many or 1))) if first else list(range(count))


class Brute:
    """All rules over a store of its own, from `start` (unix seconds) on."""

    def __init__(self, rules: RuleSet, start: float) -> None:
        self.rules = rules.arranged
        self.store = Store()
        self.store.keep(1e6)
        self.at = to_ms(start) - 1
        self.active: dict[str, alerts.Active] = {rule.id: {} for rule in self.rules}
        self.written = {rule.id: Written(to_ms(rule.interval)) for rule in self.rules}
        self.changes: list[AlertChange] = []
        self._instants: list[int] = []
        self._deltas = self._all_deltas()

    def _all_deltas(self) -> list[int]:
        found = {0}
        for rule in self.rules:
            for selector, span in rule.expr.selectors:
                for reach in {0, span, to_ms(LOOKBACK)}:
                    found.add(reach + selector.offset + to_ms(rule.query_offset))
        return sorted(found)

    def put(self, at: float, samples: Iterable[Sample]) -> None:
        """One transaction. Everything before it must have been looked at (`upto`)."""
        self.store.append(at, samples)
        self._soon(to_ms(at), self._deltas)

    def gone(self, at: float, match: Mapping[str, str]) -> None:
        """Series with these labels end."""
        self.store.stale(at, match)
        self._soon(to_ms(at), self._deltas)

    def upto(self, end: float, closed: bool = True) -> None:
        """Look at everything there is to see until `end`."""
        last = to_ms(end) - (0 if closed else 1)
        while self._instants and self._instants[0] <= last:
            at = heapq.heappop(self._instants)
            if at > self.at:
                self.at = at
                self._look(at)
        self.at = max(self.at, last)

    def sleep(self, end: float) -> None:
        """Nobody looks until `end`: that time counts towards nothing."""
        away = end - self.at / 1000
        for active in self.active.values():
            for key, alert in active.items():
                if alert.state == alerts.PENDING or alert.keep_since:
                    since = alert.keep_since + away if alert.keep_since else 0.0
                    later = alert.active_at + (away if alert.state == alerts.PENDING else 0.0)
                    active[key] = alerts.replace(alert, active_at=round(later, 3), keep_since=round(since, 3))
        self.at = to_ms(end) - 1

    def _soon(self, ms: int, deltas: Iterable[int]) -> None:
        for delta in deltas:
            for edge in (-1, 0, 1):
                heapq.heappush(self._instants, ms + delta + edge)

    def _look(self, ms: int) -> None:
        for rule in self.rules:
            stamp = ms - to_ms(rule.query_offset)
            value = evaluate(rule.expr.node, self.store, stamp)
            vector = value if isinstance(value, list) else [((), float(value))]
            if isinstance(rule, AlertRule):
                stepped = alerts.step(rule, self.active[rule.id], vector, ms / 1000)
                self.active[rule.id] = stepped.active
                self.changes += stepped.changes
                deadline = alerts.next_deadline(rule, stepped.active)
                if deadline is not None and to_ms(deadline) > ms:
                    self._soon(to_ms(deadline), (0,))
                vector = about(stepped.active.values())
            else:
                vector = recorded(rule, vector)
            self._write(rule.id, vector, ms, stamp)

    def _write(self, rule: str, vector: list[tuple[Labels, float]], ms: int, stamp: int) -> None:
        written = self.written[rule]
        samples, gone = written.update(vector, ms)
        samples += [Sample(labels, STALE) for labels in gone]
        if samples:
            self.store.append(stamp / 1000, samples, made=True)
            self._soon(stamp, self._deltas)
            self._soon(written.beat, (0,))

    def timelines(self) -> dict[str, list[tuple[int, str, str]]]:
        """alert -> its transitions: (ms, before, after)."""
        return timelines(self.changes)


def timelines(changes: Iterable[AlertChange]) -> dict[str, list[tuple[int, str, str]]]:
    """alert (its labels as text) -> its transitions in order: (ms, before, after)."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for change in changes:
        name = " ".join(f"{key}={text}" for key, text in sorted(change.alert.labels.items()))
        found.setdefault(name, []).append((to_ms(change.at), change.before, change.alert.state))
    return found


def differences(ours: Mapping[str, list], theirs: Mapping[str, list], slack: int = SLACK) -> list[str]:
    """Where two sets of timelines are apart, in words; transitions may be `slack` ms apart."""
    found = []
    for name in sorted({*ours, *theirs}):
        one, two = ours.get(name, []), theirs.get(name, [])
        for index in range(max(len(one), len(two))):
            here = one[index] if index < len(one) else None
            there = two[index] if index < len(two) else None
            if here is None or there is None or here[1:] != there[1:] or abs(here[0] - there[0]) > slack:
                found.append(f"{name}: {here} instead of {there}")
                break
    return found
