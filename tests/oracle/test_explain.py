"""What `explain` says of the past and of what comes next, against looking at those instants one by one.

Expressions and series are generated; rules run on random scripts, and what was foretold must then happen. Seeds are
fixed; `RESURGAM_ORACLE_SEEDS=first:count` tries others.
"""

import random

import pytest

from supervisor.facts import Json
from supervisor.rules import compile_expr
from supervisor.rules.explaining.gives import Gives, Known, Limits, Piece, look, pieces
from supervisor.rules.explaining.past import History, Past
from supervisor.rules.promql.evaluate import Options
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import Store, to_ms
from tests.support.brute import seeds
from tests.support.expressions import Maker, make_series
from tests.support.rules import Box, filled

RULES = """
groups:
- name: plain
  rules:
  - {alert: Level, expr: x > 5, for: 22s}
  - {alert: Kept, expr: y > 5, for: 11s, keep_firing_for: 47s}
  - {alert: Window, expr: "changes(x[42s]) >= 2", for: 13s}
  - {alert: Highest, expr: "max_over_time(y[1m31s]) > 7", keep_firing_for: 6s}
  - {alert: Absent, expr: absent(y), for: 33s}
  - {alert: Joined, expr: x > on (name) y unless on (name) z == 1, for: 6s}
  - {alert: Past, expr: x > 5 and x offset 36s > 5}
  - {alert: Steps, expr: "max_over_time((x > 6)[50s:13s]) > 7", for: 9s}
  - {alert: Clock, expr: time() - timestamp(x) > 40, for: 21s}
  - {alert: Grown, expr: "increase(x[1m17s]) > 3"}
- name: chain
  interval: 20s
  rules:
  - {record: hot, expr: x > 4, labels: {kind: x}}
  - {record: hot_sum, expr: sum by (kind) (hot), labels: {made: here}}
  - {alert: Chained, expr: hot_sum > 9, for: 12s}
  - {alert: NoneHot, expr: absent(hot), for: 8s}
  - {alert: Storm, expr: 'count(ALERTS{alertstate="firing", alertname=~"Level|Chained"}) >= 2', for: 7s}
- name: late
  query_offset: 7s
  rules:
  - {alert: Late, expr: x > 6, for: 5s}
"""
SOME = 6
"""instants in between that are looked at"""


def gives(piece: Piece, store: Store, at: int) -> Gives:
    return look(piece.node, store, at, Options())[0]


@pytest.mark.parametrize("seed", seeds(6))
def test_the_past_of_generated_expressions_is_as_told(seed: int) -> None:
    rng = random.Random(seed)
    store = filled(make_series(rng))
    maker = Maker(rng, modern=True)
    told = 0
    for _ in range(12):
        at = rng.randrange(200_000, 950_000)
        history = History(store, Options(), 15_000, -1, True)
        for piece in pieces(compile_expr(maker.vector(2)).node)[0]:
            now, until = look(piece.node, store, at, Options())
            past = history.trace(Known(piece, now, until, 0), at, Limits(2_000_000, lambda: None))
            if past.since is not None:
                told += 1
                check(piece, store, at, now, past, rng)
    assert told > 5


def check(piece: Piece, store: Store, at: int, now: Gives, past: Past, rng: random.Random) -> None:
    """Hold what was told against the instants themselves."""
    assert past.since is not None
    said = f"{piece.text} at {at}: {past}"
    assert gives(piece, store, past.since).like(now, piece.valued), said
    if not past.least:
        assert not gives(piece, store, past.since - 1).like(now, piece.valued), said
    if piece.flows:
        return
    for _ in range(SOME):
        between = rng.randrange(past.since, at + 1)
        assert gives(piece, store, between).like(now, piece.valued), f"{said}: but {between}"
    unmoved = past.since if past.moved is None else past.moved.at
    assert gives(piece, store, rng.randrange(unmoved, at + 1)).like(now, True), said
    if past.moved is not None:
        assert not gives(piece, store, unmoved - 1).like(now, True), said


@pytest.mark.parametrize("seed", seeds(6))
def test_what_was_foretold_happens(seed: int) -> None:
    rng = random.Random(seed)
    box = Box(RULES)
    for _ in range(rng.randrange(8, 14)):
        box.put(
            **{f"{metric}__{name}": float(rng.randrange(11)) for metric in "xyz" for name in "ab" if rng.random() < 0.6}
        )
        box.wait(rng.choice((3, 5, 8, 13, 29)), closed=False)
    found = [told for rule in box.engine.rules() for told in box.reasons(rule.id)]
    assert any(told["ahead"] for told in found)
    start = box.now
    box.store.keep(1e6)
    box.log.clear()
    box.wait(900)
    for told in found:
        until = min(told["ahead_until"] or NEVER, box.now)
        log = [
            (at, state) for at, alert, _before, state in box.log if alert.split("/")[0] == told["alert"] and at <= until
        ]
        groups = list(dict.fromkeys(log))
        foretold = [(change["at"], change["state"], change["count"]) for change in told["ahead"]]
        assert foretold == [(*group, log.count(group)) for group in groups][: len(foretold)], told["alert"]
        assert len(foretold) in (8, len(groups)), told["alert"]
        whole = next(rule for rule in box.engine.rules() if rule.id == told["rule"])
        offset = to_ms(whole.query_offset)
        for piece, part in zip(pieces(whole.expr.node)[0], told["parts"], strict=True):
            turns(piece, part, box.store, to_ms(start), offset, rng)


def turns(piece: Piece, part: Json, store: Store, start: int, offset: int, rng: random.Random) -> None:
    """Whether a part turned when, and to what, it was told to turn."""
    then = part["then"]
    if then is None:
        return
    at = to_ms(then["at"])
    there = gives(piece, store, at - offset)
    assert [(dict(labels), value) for labels, value in there.rows] == [
        (row["labels"], row["value"]) for row in then["rows"]
    ], f"{piece.text} at {at}: {then}"
    if not piece.flows and at > start:
        now = gives(piece, store, start - offset)
        assert gives(piece, store, rng.randrange(start, at) - offset).like(now, True), f"{piece.text} before {at}"
