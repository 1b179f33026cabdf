"""Why a rule gives what it gives: every sub-expression with its value, since when, what moved it, and what comes next.

In: rules as they stood at one instant (`RuleEngine.explain`) and a copy of the samples that they see. Out: plain JSON
for `views/explain.py`; times are unix seconds, values may be NaN or infinite. `core/asked.py` runs this on its thread,
beside the turns: nothing here may touch the engine or the store of the core.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Alert, Json
from supervisor.rules.engine import RuleEngine
from supervisor.rules.explaining.ahead import Change, Future, Next, Onward, Turn
from supervisor.rules.explaining.case import Case
from supervisor.rules.explaining.gives import Gives, Known, Limits, Piece, look, pieces
from supervisor.rules.explaining.past import History, Moved, Past
from supervisor.rules.model import AlertRule, RecordRule
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.rules.promql.evaluate import PURSE
from supervisor.rules.promql.schedule import NEVER, needed
from supervisor.rules.promql.show import show
from supervisor.samples import Store, to_ms
from supervisor.units import Matcher

HISTORY = (6 * 3600.0, 900.0, 0.0)
"""Seconds of the past that are looked into besides what the expressions need, or (where that is too much) less."""
VISITS = 3_000_000
"""Sample visits for the past of one rule, and as many for what is ahead."""
MOST_ROWS = 8
MOST_ALERTS = 8
WAITS = "not looked at yet: it waits for its first readings"


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The rules to explain, and how many seconds of their past are wanted."""

    cases: tuple[Case, ...]
    history: float = HISTORY[0]

    @property
    def wanted(self) -> tuple[tuple[Matcher, ...], ...]:
        """What they select, they and the rules that feed them."""
        rules = [one.rule for case in self.cases for one in (*case.feeders, case.running)]
        return tuple(dict.fromkeys(selector.matchers for rule in rules for selector, _span in rule.expr.selectors))

    @property
    def since(self) -> int:
        """No sample at or before this instant (ms) is needed."""
        found = [case.at - to_ms(_reach(case) + self.history) for case in self.cases]
        return min(found, default=0)

    def known_from(self, since: int) -> "Inquiry":
        """The same, where older samples were found: all there were from `since` (ms) on."""
        cases = tuple(replace(case, horizon=min(case.horizon, since)) for case in self.cases)
        return replace(self, cases=cases)


def _reach(case: Case) -> float:
    """How far back (seconds) the rule and its feeders look."""
    rules = [one.rule for one in (*case.feeders, case.running)]
    return max(needed(rule.expr.selectors) + rule.query_offset for rule in rules)


def explained(
    inquiry: Inquiry, store: Store, pace: Callable[[], None] = lambda: None, notes: Sequence[str] = ()
) -> list[Json]:
    """What is to be said about each rule, with `notes` of the copy. `store` is written to: hand over a copy. `pace` is
    called again and again; it ends everything by raising, or (an EvaluationError) only what is not needed at once."""
    found = []
    for case in inquiry.cases:
        own = _own(store, Inquiry((case,))) if len(inquiry.cases) > 1 else store
        told = _Told(case, own, inquiry.since, pace).json()
        found.append(told | {"notes": [*told["notes"], *notes]})
    return found


def untold(case: Case, why: str) -> Json:
    """What is known of a rule without looking at any sample: `why` not."""
    return _outline(case) | {"notes": [why]}


def _own(store: Store, inquiry: Inquiry) -> Store:
    """The series that these rules see, as a store of its own."""
    found = Store(max_series=1 << 62, max_points=1 << 62)
    for matchers in inquiry.wanted:
        for series in store.select(matchers):
            found.hold(series.since(-(1 << 62)))
    return found


def _outline(case: Case) -> Json:
    """A rule and its alerts, in the form of the whole answer."""
    rule, alerts = case.running.rule, case.running.open()
    return {
        "kind": "alert" if isinstance(rule, AlertRule) else "record",
        "alert": rule.name,
        "rule": rule.id,
        "expr": show(rule.expr.node),
        "at": case.at / 1000,
        "for": rule.hold if isinstance(rule, AlertRule) else 0.0,
        "keep_firing_for": rule.keep if isinstance(rule, AlertRule) else 0.0,
        "error": case.running.error,
        "waits": "" if case.running.ready else WAITS,
        "looked_at": case.running.at / 1000 or None,
        "alerts": [_alert(rule, alert) for alert in alerts[:MOST_ALERTS] if isinstance(rule, AlertRule)],
        "alerts_count": len(alerts),
        "parts": [],
        "parts_left_out": 0,
        "ahead": [],
        "ahead_until": None,
        "notes": [],
    }


class _Told:
    """One rule being explained."""

    def __init__(self, case: Case, store: Store, since: int, pace: Callable[[], None]) -> None:
        self._case, self._store, self._pace = case, store, pace
        self._rule = case.running.rule
        self._offset = to_ms(self._rule.query_offset)
        stamps = [series.times[0] for each in Inquiry((case,)).wanted for series in store.select(each) if series.times]
        oldest = min(stamps, default=NEVER)
        self._horizon = max(case.horizon, since)
        # all that ever came is there; else what an earlier life left may begin anywhere
        self._whole = self._horizon < case.started <= oldest
        if self._whole:
            self._horizon = case.started - 1
        elif oldest < case.started:
            self._horizon = max(self._horizon, oldest - 1)

    def json(self) -> Json:
        case = self._case
        told, count = pieces(self._rule.expr.node)
        now = self._present(told)
        past = self._past(now)
        future = self._future(now)
        onward = dict(zip(now, future.pieces, strict=True))
        parts = [
            self._part(piece, now[piece.text].gives, past[piece.text], onward[piece.text])
            for piece in told
            if piece.text in now
        ]
        return _outline(case) | {
            "waits": self._waits(),
            "parts": parts,
            "parts_left_out": count - len(parts),
            "ahead": [_change(change) for change in future.changes],
            "ahead_until": None if future.until >= NEVER else future.until / 1000,
            "notes": [case.blind] if case.blind else [],
        }

    # ------------------------------------------------------------ looking

    def _present(self, told: Sequence[Piece]) -> dict[str, Known]:
        """What each piece gives, by its text."""
        limits = Limits(4 * PURSE, self._pace)
        found: dict[str, Known] = {}
        for piece in told:
            if piece.text in found:
                continue
            if found and not limits.more():
                break
            before = limits.visits
            gives, until = look(piece.node, self._store, self._case.at - self._offset, self._case.options, limits)
            found[piece.text] = Known(piece, gives, until, before - limits.visits)
        return found

    def _past(self, now: Mapping[str, Known]) -> dict[str, Past]:
        case, limits = self._case, Limits(VISITS, self._pace)
        history = History(self._store, case.options, case.running.interval, self._horizon, self._whole)
        found: dict[str, Past] = {}
        for count, (text, known) in enumerate(now.items()):
            share = limits.share(len(now) - count)
            before = share.visits
            found[text] = history.trace(known, case.at - self._offset, share)
            limits.settle(share, before)
        return found

    def _future(self, now: Mapping[str, Known]) -> Future:
        case = self._case
        if case.blind:
            return Future(tuple(Next() for _ in now), (), case.at)
        made = [one.rule.name for one in case.feeders if isinstance(one.rule, RecordRule)]
        made += [ALERTS, ALERTS_FOR_STATE]
        self._store.keep(1e12)  # it goes on for long, and forgets nothing
        engine = RuleEngine.onward(case, self._store)
        whole = next(iter(now.values()))
        onward = Onward(engine, self._store, self._rule, case.options, made, whole.cost)
        return onward.run(now.values(), case.at, Limits(VISITS, self._pace))

    def _waits(self) -> str:
        """What it waits for since the start, '' if it was looked at."""
        if self._case.running.ready:
            return ""
        names = [name for name in self._case.running.names if name]
        absent = [name for name in names if not self._store.select((Matcher("__name__", "=", name),))]
        return WAITS + (f" of {', '.join(absent)}" if absent else "")

    # ------------------------------------------------------------ as JSON

    def _part(self, piece: Piece, gives: Gives, past: Past, onward: Next) -> Json:
        makers = [
            one.rule.id
            for one in self._case.feeders
            if isinstance(one.rule, RecordRule) and one.rule.name in piece.metrics
        ]
        return {
            "expr": piece.text,
            "depth": piece.depth,
            "kind": piece.node.kind.value,
            **_gives(gives),
            "flows": piece.flows,
            "since": self._seconds(past.since),
            "at_least": past.least,
            "moved": None if past.moved is None else self._moved(past.moved),
            "next": None if onward.next is None else _turn(onward.next),
            "then": None if onward.then is None else _turn(onward.then),
            "only_samples": onward.never,
            "recorded_by": makers,
        }

    def _seconds(self, ms: int | None) -> float | None:
        """An instant of the expression's time, in the rule's."""
        return None if ms is None else (ms + self._offset) / 1000

    def _moved(self, moved: Moved) -> Json:
        return {
            "at": self._seconds(moved.at),
            "by": moved.by,
            "series": dict(moved.series),
            "value": None if moved.ended or moved.by == "time" else moved.value,
            "ended": moved.ended,
            "stamp": moved.stamp / 1000 if moved.by != "time" else None,
        }


def _gives(gives: Gives) -> Json:
    """The first rows, and how many there are in all."""
    rows = [{"labels": dict(labels), "value": value} for labels, value in gives.rows[:MOST_ROWS]]
    return {"rows": rows, "count": len(gives.rows), "error": gives.error}


def _turn(turn: Turn) -> Json:
    return {"at": turn.at / 1000, "changes": turn.new, **_gives(turn.gives)}


def _alert(rule: AlertRule, alert: Alert) -> Json:
    """One open alert, and when time alone moves it on."""
    pending = alert.state == "pending" and not alert.held
    return {
        "labels": dict(alert.labels),
        "state": alert.state,
        "value": alert.value,
        "active_at": alert.active_at,
        "fired_at": alert.fired_at or None,
        "fires_at": alert.active_at + rule.hold if pending else None,
        "missing_since": alert.keep_since or None,
        "kept_until": alert.keep_since + rule.keep if alert.keep_since and not alert.held else None,
        "held": alert.held,
    }


def _change(change: Change) -> Json:
    return {"at": change.at, "state": change.state, "labels": dict(change.labels), "count": change.count}
