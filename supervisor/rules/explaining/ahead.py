"""Onwards from now as if no sample came: when each sub-expression gives something else, and what becomes of the alerts.

Used by `reasons.py`. An engine of its own (`RuleEngine.onward`) goes from due instant to due instant over a copy of the
samples; so recording rules go on writing, `for` and `keep_firing_for` run out and alerts resolve as they would.
Instants are ms in the rule's time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.rules.engine import RuleEngine
from supervisor.rules.explaining.gives import Gives, Known, Limits, Piece, look
from supervisor.rules.model import Rule
from supervisor.rules.promql.evaluate import Options
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import Store, to_ms

MOST_INSTANTS = 2000
MOST_CHANGES = 8
"""Changes of alerts that are told; those of one instant to one state are one."""


@dataclass(frozen=True, slots=True)
class Change:
    """Alerts that go to one state at one instant: the labels of the first of them, and how many there are."""

    at: float
    state: str
    labels: Mapping[str, str]
    count: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What a sub-expression gives at `at`. `new`: it is not what it gives now."""

    at: int
    gives: Gives
    new: bool


@dataclass(frozen=True, slots=True)
class Next:
    """`next`: the first instant at which it could give something else; `then`: the first at which it does. For what
    moves with time alone `then` is about which series it gives. None: not as far as was looked, or `never`: only a
    sample can change it."""

    next: Turn | None = None
    then: Turn | None = None
    never: bool = False


@dataclass(frozen=True, slots=True)
class Future:
    """What each piece has ahead, in their order; the first changes of the rule's alerts. Nothing is known of what is
    after `until`; NEVER: nothing changes any more."""

    pieces: tuple[Next, ...]
    changes: tuple[Change, ...]
    until: int


@dataclass(slots=True)
class _Waiting:
    piece: Piece
    now: Gives
    until: int
    """when (in the expression's time) it can change again"""
    derived: bool
    next: Turn | None = None
    then: Turn | None = None

    def found(self) -> Next:
        moves = self.piece.flows or self.derived or bool(self.now.error)
        return Next(self.next, self.then, self.until >= NEVER and not moves and self.then is None)


@dataclass(slots=True)
class Onward:
    """One rule's way ahead. `made`: the metrics that rules write; `cost`: of one evaluation of the rule, in visits."""

    engine: RuleEngine
    store: Store
    rule: Rule
    options: Options
    made: Sequence[str]
    cost: int
    _changes: dict[tuple[float, str], Change] = field(default_factory=dict)

    def run(self, pieces: Iterable[Known], at: int, limits: Limits) -> Future:
        """Go on from `at`."""
        offset = to_ms(self.rule.query_offset)
        waiting = [_Waiting(one.piece, one.gives, one.until, self._derived(one.piece)) for one in pieces]
        open_ones = list(waiting)
        reached = at
        for _ in range(MOST_INSTANTS):
            due = self.engine.due()
            due_ms = NEVER if due is None else to_ms(due)
            following = min([due_ms, *[one.until + offset for one in open_ones]])
            if following >= NEVER:
                reached = NEVER
                break
            if not limits.more() or (not open_ones and not self._may_change()):
                break
            reached = max(following, reached)
            ticked = due_ms <= reached and self._evaluate(reached, limits)
            for one in open_ones:
                timed = one.until + offset <= reached or (ticked and one.piece.flows)
                if timed or (ticked and (one.derived or one.now.error)):
                    self._look(one, reached, timed, limits)
            open_ones = [one for one in open_ones if one.then is None]
        return Future(tuple(one.found() for one in waiting), tuple(self._changes.values())[:MOST_CHANGES], reached)

    def _derived(self, piece: Piece) -> bool:
        return any(name in self.made for name in piece.metrics)

    def _may_change(self) -> bool:
        """Whether the rule has alerts that can still change."""
        found = next(state for state in self.engine.states() if state.rule.id == self.rule.id)
        return bool(found.alerts) and len(self._changes) < MOST_CHANGES

    def _evaluate(self, at: int, limits: Limits) -> bool:
        outcome = self.engine.evaluate(at / 1000)
        limits.visits -= outcome.evaluated * self.cost
        for change in outcome.changes:
            if change.alert.rule == self.rule.id:
                key = (change.at, change.alert.state)
                known = self._changes.get(key) or Change(*key, change.alert.labels, 0)
                self._changes[key] = replace(known, count=known.count + 1)
        return bool(outcome.evaluated)

    def _look(self, one: _Waiting, at: int, timed: bool, limits: Limits) -> None:
        seen = at - to_ms(self.rule.query_offset)
        gives, one.until = look(one.piece.node, self.store, seen, self.options, limits)
        values = one.piece.valued or not one.piece.flows
        turn = Turn(at, gives, not gives.like(one.now, values))
        if turn.new:
            one.then = turn
        if timed or turn.new:
            one.next = one.next or turn
