"""The event engine: when rules are looked at, and what must not happen at starts, reloads, gaps and glitches."""

from dataclasses import replace
from pathlib import Path

from supervisor.facts import Sample, labels
from supervisor.rules import RuleEngine, compile_expr
from supervisor.rules.files import RuleSet
from supervisor.samples import Store
from tests.support.rules import Box, rule, ruleset

LOOP = rule("streak >= 3", name="Loop")


def test_a_rule_without_for_fires_in_the_very_call_that_brings_the_sample() -> None:
    box = Box(LOOP)
    box.put(streak__oracle=2)
    assert box.log == []
    box.wait(1)
    box.put(streak__oracle=3)
    assert box.log == [(1001.0, "Loop/oracle", "", "firing")]
    assert box.engine.due() == 1301.0  # the sample's lookback, nothing sooner


def test_only_rules_that_select_the_series_are_looked_at() -> None:
    box = Box(LOOP, rule('other{name="oracle"} > 0', name="Other"), rule('{__name__=~"st.*"} > 9', name="Any"))
    box.put(streak__oracle=1, other__oracle=1)
    box.engine.evaluate(box.now)
    box.now += 1
    touched = box.store.append(box.now, [Sample(labels("other", name="letta"), 1.0)])
    box.engine.arrived("c", touched, box.now)
    assert box.engine.evaluate(box.now).evaluated == 0
    box.engine.arrived("c", box.store.append(box.now, [Sample(labels("streak", name="letta"), 1.0)]), box.now)
    assert box.engine.evaluate(box.now).evaluated == 2


def test_for_fires_at_its_very_deadline_and_lookback_resolves_at_its_very_end() -> None:
    box = Box(rule("x > 5", for_="90s"))
    box.put(x=9)
    box.wait(400)
    assert [(at, state) for at, _name, _before, state in box.log] == [
        (1000.0, "pending"),
        (1090.0, "firing"),
        (1300.0, "resolved"),
    ]


def test_windows_end_at_their_very_end() -> None:
    box = Box(rule("changes(deaths[10m]) > 0"))
    box.put(deaths=0)
    box.wait(60)
    box.put(deaths=1)
    box.wait(1000)
    # at 1600 the 0 leaves the window and the change with it: what is left never changed
    assert [(at, state) for at, _name, _before, state in box.log] == [(1060.0, "firing"), (1600.0, "resolved")]


def test_keep_firing_for_ends_on_time_with_nothing_arriving() -> None:
    box = Box(rule("x > 5", keep_firing_for="30s"))
    box.put(x=9)
    box.wait(10)
    box.put(x=0)
    box.wait(100)
    assert [(at, state) for at, _name, _before, state in box.log] == [(1000.0, "firing"), (1040.0, "resolved")]


def test_what_moves_with_time_is_looked_at_on_a_tick_even_in_silence() -> None:
    box = Box(rule("time() - seen > 60"))
    box.put(seen=1000)
    box.wait(90)
    assert box.log == [(1075.0, "A", "", "firing")]
    box = Box(rule("increase(n[2m]) > 0"))
    box.put(n=0)
    box.wait(30)
    box.put(n=3)
    assert [(at, state) for at, _n, _b, state in box.log] == [(1030.0, "firing")]
    box.wait(120)
    assert box.states() == {}


def test_readings_that_belong_together_are_never_seen_half() -> None:
    box = Box(rule("used / total > 0.9"))
    box.put("gpu", used=10, total=100)
    box.put("gpu", used=95, total=200)  # both moved in one transaction
    assert box.log == []


def test_a_rule_fed_by_two_collectors_waits_for_the_second() -> None:
    box = Box(rule("used / total > 0.9"))
    box.put("one", used=10)
    box.put("two", total=100)
    box.wait(5)
    box.put("one", used=95)
    assert box.log == []
    box.now += 0.1
    box.put("two", total=200)
    box.wait(5)
    assert box.log == []
    box.put("one", used=199)
    box.wait(0.249)
    assert box.log == []
    box.wait(0.001)
    assert box.log == [(1010.35, "A", "", "firing")]


def test_settling_is_not_put_off_by_more_arrivals() -> None:
    box = Box(rule("used / total > 0.9"))
    box.put("one", used=10)
    box.put("two", total=100)
    box.wait(5)
    for _ in range(10):
        box.put("one", used=95)
        box.wait(0.1)
    assert box.log[0][0] == 1005.25


def test_no_timer_looks_into_readings_that_still_settle() -> None:
    box = Box(rule("used / total > 0.9 or x > 5", for_="0s"))
    box.put("one", used=10, x=9)
    box.put("two", total=100)
    box.wait(299.9)
    box.log.clear()
    box.put("one", used=95)
    box.wait(0.2)  # x's lookback ends in here
    box.put("two", total=500)
    box.wait(1)
    assert all(state != "firing" for *_rest, state in box.log)


def test_absence_is_not_believed_before_the_collectors_have_spoken() -> None:
    box = Box(rule("absent(x)"))
    box.put("other", y=1)
    box.wait(10)
    assert box.log == []
    box.put("c", x=1)
    box.wait(10)
    assert box.log == []
    box = Box(rule("absent(x)"))
    box.wait(120)
    assert box.log == [(1060.0, "A", "", "firing")]  # after a minute of patience it is


def test_a_gone_series_resolves_at_once() -> None:
    box = Box(LOOP)
    box.put(streak__oracle=5)
    box.wait(1)
    box.gone(name="oracle")
    assert box.log[-1] == (1001.0, "Loop/oracle", "firing", "resolved")


def test_a_collector_slightly_ahead_of_the_clock_is_seen_now() -> None:
    box = Box(LOOP)
    touched = box.store.append(box.now + 0.05, [Sample(labels("streak"), 3.0)])
    box.engine.arrived("c", touched, box.now)
    assert [change.at for change in box.engine.evaluate(box.now).changes] == [1000.05]


def test_an_error_keeps_the_alerts_and_is_told_once_and_so_is_its_end() -> None:
    box = Box(rule("a + on (g) b > 0"))
    box.engine.arrived(
        "c", box.store.append(1000.0, [Sample(labels("a", g="1"), 1.0), Sample(labels("b", g="1"), 1.0)]), 1000.0
    )
    box.settle()
    assert box.states() == {"A": "firing"}
    twin = labels("b", g="1", i="2")
    box.now = 1001.0
    box.engine.arrived("c", box.store.append(1001.0, [Sample(twin, 1.0)]), 1001.0)
    outcome = box.engine.evaluate(1001.0)
    assert outcome.changes == ()
    (health,) = outcome.health
    assert health.text.startswith("A: found duplicate series")
    assert box.engine.health() == (health,)
    assert box.states() == {"A": "firing"}
    box.wait(30)
    assert box.engine.evaluate(box.now).health == ()
    box.engine.arrived("c", box.store.stale(box.now, dict(twin)), box.now)
    (better,) = box.engine.evaluate(box.now).health
    assert better.text == ""


def test_a_rule_that_overspends_errs_alone() -> None:
    store = Store()
    engine = RuleEngine(store, purse=100)
    engine.load(ruleset(rule("sum_over_time(x[5m]) > 0", name="Greedy"), rule("x > 0", name="Modest")), 0.0)
    for second in range(200):
        engine.arrived("c", store.append(float(second), [Sample(labels("x"), 1.0)]), float(second))
        engine.evaluate(float(second))
    assert [alert.name for alert in engine.active()] == ["Greedy", "Modest"]
    assert "shorter range" in engine.health()[0].text
    assert engine.health()[1].text == ""


def test_the_owners_reset_loop_is_seen_on_event_sourced_restarts() -> None:
    owner = (Path(__file__).parents[2] / "support" / "owner-alerts.yaml").read_text()
    box = Box(owner)
    series = labels("kube_pod_container_status_restarts_total", container="ktransformers", namespace="default", pod="o")

    def restarts(count: float) -> None:
        box.engine.arrived("services", box.store.append(box.now, [Sample(series, count)]), box.now)
        box.settle()

    for _ in range(5):
        restarts(0)
        box.wait(60)
    for count in (1, 2, 2, 2, 2):
        restarts(count)
        box.wait(60)
    # extrapolation reads two restarts as 2.1 between two samples, so it may pend; repeated samples end that in time
    assert "firing" not in {state for *_rest, state in box.log}
    restarts(2)
    assert box.states() == {}
    box.wait(1)
    third = box.now
    restarts(3)
    assert box.log[-1] == (third, "BlackwellResetLoopRisk", "", "pending")
    box.wait(30)
    restarts(3)
    box.wait(30)
    assert box.log[-1] == (third + 60, "BlackwellResetLoopRisk", "pending", "firing")
    (alert,) = box.engine.active()
    assert alert.annotations["action"] == "kubectl scale deployment inference-engine --replicas=0"


# ---------------------------------------------------------------- reload


def test_a_reload_keeps_states_and_drops_those_of_rules_that_vanished() -> None:
    other = rule("x > 0", name="Gone", labels="{severity: info}")
    box = Box(rule("x > 5", for_="1m"), other)
    box.put(x=9)
    box.wait(30)
    box.note(box.engine.load(ruleset(rule("x > 4", for_="1m")), box.now))
    assert box.log[-1] == (1030.0, "Gone", "firing", "dropped")
    box.wait(40)
    assert box.log[-1] == (1060.0, "A", "pending", "firing")
    changed = rule("x > 4", for_="1m", labels="{severity: critical}")
    box.note(box.engine.load(ruleset(changed), box.now))
    assert box.log[-1][3] == "dropped"  # other labels: another rule
    assert box.states() == {}


def test_equal_rules_keep_their_own_states_the_nth_to_the_nth() -> None:
    twins = "  - alert: A\n    expr: x > 5\n  - alert: A\n    expr: y > 5\n"
    box = Box("groups:\n- name: g\n  rules:\n" + twins)
    box.put(x=9, y=0)
    assert [alert.rule for alert in box.engine.active()] == ["rules0.yaml:g:0"]
    box.note(box.engine.load(ruleset(rule("z > 5", name="New") + twins), box.now))
    box.settle()
    assert [(alert.rule, alert.order) for alert in box.engine.active()] == [("rules0.yaml:g:1", (0, 0, 1))]
    assert len(box.log) == 1


def test_two_rules_with_one_label_set_have_two_fingerprints() -> None:
    box = Box(rule("x > 5") + "  - alert: A\n    expr: y > 5\n")
    box.put(x=9, y=9)
    one, two = box.engine.active()
    assert one.labels == two.labels
    assert one.fingerprint != two.fingerprint
    assert [change.alert.fingerprint for change in box.changes] == [one.fingerprint, two.fingerprint]


def test_loading_nothing_is_fine() -> None:
    engine = RuleEngine(Store())
    assert engine.load(RuleSet(), 0.0) == ()
    assert engine.due() is None
    assert engine.evaluate(0.0).changes == ()


# ---------------------------------------------------------------- restart and gaps


def reborn(box: Box, *texts: str, away: float) -> Box:
    """A fresh process with the alerts and samples of the old one, `away` seconds later."""
    after = Box(*texts, start=box.now + away)
    after.store.restore(box.store.drain())
    after.note(after.engine.restore(box.engine.active(), after.now, away))
    return after


def test_a_restart_restores_before_anything_is_looked_at_and_holds_until_fresh() -> None:
    texts = (LOOP, rule("x > 5", name="Slow", for_="10m"))
    box = Box(*texts)
    box.put(streak__oracle=3, streak__letta=3, x=9)
    box.wait(120)
    box.put(x=9)
    after = reborn(box, *texts, away=1000)
    assert after.states() == {"Loop/oracle": "firing", "Loop/letta": "firing", "Slow": "pending"}
    assert all(alert.held for alert in after.engine.active())
    after.wait(10)
    assert after.log == []  # every sample is older than the lookback, and still nothing is resolved
    after.put(streak__oracle=3)
    assert [(alert.labels.get("name"), alert.held) for alert in after.engine.active()] == [
        ("letta", True),
        ("oracle", False),
        (None, True),
    ]
    assert after.log == []
    after.put(streak__letta=0)
    assert after.log == [(2130.0, "Loop/letta", "firing", "resolved")]
    fired_at = next(alert.fired_at for alert in after.engine.active() if alert.name == "Loop")
    assert fired_at == 1000.0


def test_time_in_which_nobody_looked_counts_towards_no_for() -> None:
    text = rule("x > 5", for_="10m")
    box = Box(text)
    box.put(x=9)
    box.wait(120)
    after = reborn(box, text, away=5000)
    after.wait(30)
    after.put(x=9)
    for _ in range(10):
        after.wait(60)
        after.put(x=9)
    # 120 s before the stop, none while away or before the first reading, 480 s after it
    assert after.log == [(after.now - 600 + 480, "A", "pending", "firing")]


def test_what_stays_silent_after_a_restart_is_let_go_after_a_minute() -> None:
    box = Box(LOOP)
    box.put(streak__oracle=3)
    after = reborn(box, LOOP, away=1000)
    after.wait(120)
    assert after.log == [(2060.0, "Loop/oracle", "firing", "resolved")]


def test_alerts_of_rules_that_are_no_more_are_dropped_at_restore() -> None:
    box = Box(LOOP)
    box.put(streak__oracle=3)
    after = reborn(box, rule("y > 0"), away=1)
    assert after.log == [(1001.0, "Loop/oracle", "firing", "dropped")]
    assert after.states() == {}


def test_a_suspend_resolves_nothing_and_fires_nothing() -> None:
    box = Box(LOOP, rule("x > 5", name="Slow", for_="10m"), rule("absent(x)", name="Missing"))
    box.put(streak__oracle=3, x=9)
    box.wait(60)
    box.log.clear()
    box.now += 3600
    box.engine.gap(3600.0, box.now)
    box.settle()
    box.wait(5)
    assert box.log == []
    box.put(streak__oracle=3, x=9)
    assert box.log == []
    box.wait(290)
    box.put(x=9)
    box.wait(249)
    assert "Slow" not in {name for _at, name, _b, state in box.log if state == "firing"}
    box.wait(1)  # 60 s before and 540 s after: ten minutes of looking
    assert ("Slow", "pending", "firing") in {(name, before, state) for _at, name, before, state in box.log}


def test_a_clock_set_back_delays_no_for_and_loses_no_sample() -> None:
    box = Box(rule("x > 5", for_="2m"), LOOP, start=100_000.0)
    box.put(x=9, streak=3)
    box.wait(60)
    box.put(x=9, streak=3)
    box.log.clear()
    fired_at = box.engine.active()[1].fired_at
    box.now -= 3600
    box.engine.gap(-3600.0, box.now)
    box.settle()
    assert box.log == []
    assert box.engine.active()[1].fired_at == fired_at  # what was acted on keeps its name
    box.wait(30)
    box.put(x=9)
    box.wait(31)
    assert [(name, before, state) for _at, name, before, state in box.log] == [("A", "pending", "firing")]
    assert box.store.counts["samples_out_of_order"] == 0


# ---------------------------------------------------------------- questions


def test_holds_joins_on_the_alerts_service() -> None:
    box = Box(LOOP)
    box.put(healthy__oracle=1, healthy__letta=0, host=1)
    engine, oracle, letta = box.engine, {"name": "oracle"}, {"name": "letta"}
    assert engine.holds(compile_expr("healthy == 1"), oracle, box.now)
    assert not engine.holds(compile_expr("healthy == 1"), letta, box.now)
    assert engine.holds(compile_expr("host == 1"), letta, box.now)
    assert engine.holds(compile_expr("count(healthy) > 1"), letta, box.now)
    assert engine.holds(compile_expr("1"), letta, box.now)
    assert not engine.holds(compile_expr("0"), letta, box.now)
    assert not engine.holds(compile_expr("healthy + on () healthy"), oracle, box.now)  # an error does not hold


def test_explain_gives_every_part_with_its_rows_as_plain_data() -> None:
    box = Box(rule("streak >= 3 and x > 1", name="Loop"))
    box.put(streak__oracle=4, x__oracle=0)
    (told,) = box.engine.explain("Loop", box.now)
    assert told["expr"] == "(streak >= 3) and (x > 1)"
    assert [(part["expr"], [row["value"] for row in part["rows"]]) for part in told["parts"]] == [
        ("(streak >= 3) and (x > 1)", []),
        ("streak >= 3", [4.0]),
        ("streak", [4.0]),
        ("x > 1", []),
        ("x", [0.0]),
    ]
    assert box.engine.explain("Nobody", box.now) == ()


def test_the_action_is_the_text_of_the_rule_file() -> None:
    box = Box(rule("x > 0", annotations='{action: "restart {{ $labels.name }}"}'))
    box.put(x__oracle=1)
    (alert,) = box.engine.active()
    assert alert.annotations["action"] == "restart oracle"
    assert box.engine.action(alert) == "restart {{ $labels.name }}"
    assert box.engine.action(replace(alert, rule="elsewhere")) == "restart oracle"
