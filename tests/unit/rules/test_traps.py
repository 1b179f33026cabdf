"""The seventeen traps of an event-driven rule engine, one test each.

What evaluating on arrival makes worse than evaluating on a grid, or what automation makes of an alert's weaknesses.
Where a trap belongs to what is done about alerts, the test shows the rule engine's part, and its docstring names the
tests of the rest.
"""

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import RuleEngine, compile_expr, query
from supervisor.rules.files import parse_rules, together
from supervisor.rules.promql.evaluate import evaluate
from supervisor.samples import Store, to_ms
from tests.support.incidents import LADDER, alert, books, oracle
from tests.support.rules import Box, reborn, rule, ruleset
from tests.unit.services.world import World


def value(box: Box, expr: str) -> list[float]:
    return [row.value for row in query(compile_expr(expr), box.store, box.now)]


def test_1_half_of_a_reading_is_never_looked_at() -> None:
    box = Box(rule("used / total > 0.95"))
    box.put("gpu", used=50, total=100)
    box.wait(10)
    box.put("gpu", used=99, total=400)  # one collector's cycle is one transaction
    assert box.log == []
    box.put("other", total=100, used=50)
    box.wait(10)
    box.put("gpu", used=99)
    box.wait(0.2)
    box.put("other", total=400)  # another collector's half comes within the settle time
    box.wait(10)
    assert box.log == []


def test_2_a_dip_between_two_readings_does_not_start_for_again_and_recreation_makes_no_new_alert() -> None:
    text = rule("down == 1", for_="1m")
    file = parse_rules(text, "r.yaml", settle={"g": 0.5})
    box = Box()
    box.engine.load(together((file,), ()), box.now)
    box.put(down__oracle=1)
    box.wait(30)
    box.gone(name="oracle")  # the container is removed; its successor has the same labels, not its id
    box.wait(0.2)
    box.put(down__oracle=1)
    box.wait(60)
    assert box.log == [(1000.5, "A/oracle", "", "pending"), (1060.5, "A/oracle", "pending", "firing")]


def test_3_absence_at_a_start_is_not_believed() -> None:
    box = Box(rule("absent(up)"))
    box.put("other", x=1)
    box.wait(5)
    box.put("scrape", up=1)
    box.wait(30)
    assert box.log == []


def test_4_what_is_told_by_events_is_repeated_and_does_not_fade() -> None:
    """The registry repeats every series each minute (tests/unit/services); rules repeat what they write."""
    world = World()
    cid = world.run()
    world.crash(cid)
    box = Box(rule("deaths > 0", name="Died"), rule('ALERTS{alertname="Died"}', name="Echo"))
    for _ in range(20):
        world.registry.samples(full=False)
        (deaths,) = {
            one.value
            for one in world.registry.samples(full=True)
            if dict(one.labels)["__name__"] == "resurgam_container_deaths_total"
        }
        box.put(deaths=deaths)
        box.wait(60)
    assert box.states() == {"Died": "firing", "Echo": "firing"}
    assert len(box.log) == 2


def test_5_the_first_increment_is_seen() -> None:
    """A counter begins with a 0 (tests/unit/services/test_series_and_finding.py)."""
    box = Box(rule("increase(restarts[5m]) > 0"))
    box.put(restarts=0)
    box.wait(10)
    box.put(restarts=1)
    assert box.log == [(1010.0, "A", "", "firing")]


def test_6_restarts_can_be_counted_exactly() -> None:
    box = Box(rule("changes(restarts[10m]) >= 3", name="Exact"), rule("increase(restarts[10m]) >= 3", name="Stretched"))
    for count in (0, 1, 2, 2, 2):
        box.put(restarts=count)
        box.wait(20)
    assert value(box, "increase(restarts[10m])") != [2.0]  # stretched to the window's edges
    assert value(box, "changes(restarts[10m])") == [2.0]
    assert "Exact" not in box.states()
    box.put(restarts=3)
    assert ("Exact", "", "firing") in [line[1:] for line in box.log]


def test_7_looking_more_often_weighs_nothing() -> None:
    once = Box(rule("avg_over_time(load[1m]) > 5"))
    often = Box(rule("avg_over_time(load[1m]) > 5"), *[rule(f"time() - load > {n}", name=f"T{n}") for n in range(9)])
    for reading in (9, 9, 1, 1, 9, 1, 1, 1, 9, 9):
        for box in (once, often):
            box.put(load=reading)
            box.wait(15)
        assert value(once, "count_over_time(load[1m])") == value(often, "count_over_time(load[1m])")
    assert once.log == [line for line in often.log if line[1] == "A"]


def test_8_a_reading_slightly_ahead_of_the_clock_is_seen_now() -> None:
    box = Box(rule("x > 5"), rule("ALERTS == 1", name="Next").replace("ALERTS", 'ALERTS{alertname="A"}'))
    touched = box.store.append(box.now + 0.05, [Sample(labels("x"), 9.0)])
    box.engine.arrived("c", touched, box.now)
    assert [(change.at, change.alert.name) for change in box.engine.evaluate(box.now).changes] == [
        (1000.05, "A"),
        (1000.05, "Next"),
    ]


@pytest.mark.parametrize("jump", [-86_400.0, -7.0, 7.0, 3600.0, 864_000.0])
def test_9_no_jump_of_the_clock_and_no_suspend_fires_or_resolves_anything(jump: float) -> None:
    texts = rule("x > 5", name="High"), rule("x > 5", name="Slow", for_="10m"), rule("absent(x)", name="Gone")
    box = Box(*texts, start=1e6)
    box.put(x=9)
    box.wait(60)
    box.now = round(box.now + jump, 3)
    box.engine.gap(jump, box.now)
    box.settle()
    box.put(x=9)
    began = box.now
    for _ in range(9):
        box.wait(59)
        box.put(x=9)
    assert box.states() == {"High": "firing", "Slow": "pending"}
    box.wait(9)
    assert box.log == [
        (1e6, "High", "", "firing"),
        (1e6, "Slow", "", "pending"),
        (began + 540, "Slow", "pending", "firing"),  # ten minutes of looking
    ]


def test_10_alerts_cannot_feed_themselves() -> None:
    """prometheus: `count(ALERTS{alertstate="firing"})` keeps itself firing for ever."""
    text = rule('count(ALERTS{alertstate="firing"}) > 0 or x > 5')
    (health,) = ruleset(text).health
    assert "reads what it writes itself" in health.text
    storm = rule('count(ALERTS{alertstate="firing", alertname!="Storm"}) > 0', name="Storm")
    box = Box(storm, rule("x > 5"))
    box.put(x=9)
    assert box.states() == {"A": "firing", "Storm": "firing"}
    box.wait(1)
    box.put(x=1)
    assert box.states() == {}


def test_11_a_label_that_carries_the_value_is_another_alert_as_in_prometheus() -> None:
    """`resurgam check` warns of it (tests/unit/rules/test_lint.py)."""
    labels_ = '{level: "{{ if gt $value 8.0 }}high{{ else }}low{{ end }}"}'
    box = Box(rule("x > 5", labels=labels_, keep_firing_for="1m", for_="10s"))
    box.put(x=6)
    box.wait(20)
    box.put(x=9)
    found = {(one.labels["level"], one.state) for one in box.engine.active()}
    assert found == {("low", "firing"), ("high", "pending")}


def test_12_an_error_resolves_nothing_and_is_told() -> None:
    box = Box(rule("x > 5 and on (name) (y / ignoring (twin) y)"), rule('ALERTS{alertname="A"} == 1', name="Echo"))
    box.put(x__oracle=9, y__oracle=1)
    assert box.states() == {"A/oracle": "firing", "Echo/oracle": "firing"}
    twin = [Sample(labels("y", name="oracle", twin="1"), 1.0)]
    box.engine.arrived("c", box.store.append(box.now, twin), box.now)
    (health,) = box.engine.evaluate(box.now).health
    assert health.text.startswith("A: ")
    for _ in range(10):
        box.wait(60)
        box.put(x__oracle=0, y__oracle=1)
        box.engine.arrived("c", box.store.append(box.now, twin), box.now)
        box.settle()
    assert box.states() == {"A/oracle": "firing", "Echo/oracle": "firing"}
    box.gone(twin="1")
    assert box.states() == {}


def test_13_what_we_do_ourselves_starts_nothing() -> None:
    """More in tests/unit/incidents/test_book.py and tests/sim."""
    box = oracle(playbooks=books(LADDER))
    box.turn()
    box.begin(1)
    box.now += 5
    box.alerts = (alert("Sick", active_at=box.now, fired_at=box.now, annotations={"action": "stop"}), alert())
    box.turn()
    assert ("rule:Sick", "own_action") in box.said()


def test_14_a_slow_loop_is_still_one_streak() -> None:
    """What is spent is counted over days and survives restarts (tests/unit/incidents, tests/sim)."""
    world = World()
    cid = world.run()
    for _ in range(3):
        world.crash(cid, ran=150)
    assert world.service().streak == 3


def test_15_an_alert_keeps_the_name_under_which_it_was_acted_on() -> None:
    """A rung is keyed (fingerprint, fired_at, rung); kills at every step are in tests/sim."""
    box = Box(rule("x > 5"))
    box.put(x__oracle=9)
    before = box.engine.active()[0]
    box.wait(30)
    after = reborn(box, rule("x > 5"), away=500)
    after.put(x__oracle=9)
    (now,) = after.engine.active()
    assert (now.fingerprint, now.fired_at, now.active_at) == (before.fingerprint, before.fired_at, before.active_at)
    assert after.log == []


def test_16_sums_kept_from_sample_to_sample_are_those_made_anew() -> None:
    """All of it: tests/unit/rules/promql/test_windows.py."""
    exprs = ("increase(c[90s])", "rate(c[90s])", "resets(c[90s])", "changes(c[90s])")
    store = Store()
    engine = RuleEngine(store)
    engine.load(ruleset(*[rule(f"{expr} > 1", name=f"R{n}") for n, expr in enumerate(exprs)]), 0.0)
    total = 0.0
    for step in range(400):
        total = 0.1 if step % 37 == 36 else total + (step % 7) * 0.1
        engine.arrived("c", store.append(step * 5.0, [Sample(labels("c"), total)]), step * 5.0)
        engine.evaluate(step * 5.0)
        fresh = Store()
        (series,) = store.select(compile_expr("c").selectors[0][0].matchers)
        fresh.restore([(series.labels, time, one) for time, one in zip(series.times, series.values, strict=True)])
        if step % 20 == 0:
            for expr in exprs:
                node = compile_expr(expr).node
                assert evaluate(node, store, to_ms(step * 5.0)) == evaluate(node, fresh, to_ms(step * 5.0))


def test_17_a_level_fires_not_a_crossing() -> None:
    box = Box(rule("temperature > 80"))
    box.put(temperature=90)  # never seen below: hot is hot
    assert box.log == [(1000.0, "A", "", "firing")]
    box.wait(10)
    box.gone(__name__="temperature")
    assert box.log[-1][3] == "resolved"  # unknown is not below, and not above either
    box.wait(10)
    box.put(temperature=95)
    box.wait(10)
    box.put(temperature=99)
    assert [line[3] for line in box.log] == ["firing", "resolved", "firing"]
