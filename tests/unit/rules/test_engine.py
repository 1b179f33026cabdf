"""The event engine: when rules are looked at, and what must not happen at starts, reloads, gaps and glitches."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules import RuleEngine, RuleSet, compile_expr, parse_rules, running
from supervisor.rules.files import together
from supervisor.rules.model import TICK
from supervisor.rules.running import Running
from supervisor.rules.templates import Around, Template
from supervisor.samples import Store
from tests.support.rules import Box, reborn, rule, ruleset

LOOP = rule("streak >= 3", name="Loop")


def test_a_rule_without_for_fires_in_the_very_call_that_brings_the_sample() -> None:
    box = Box(LOOP)
    box.put(streak__oracle=2)
    assert box.log == []
    box.wait(1)
    box.put(streak__oracle=3)
    assert box.log == [(1001.0, "Loop/oracle", "", "firing")]
    assert box.engine.due() == 1016.0  # ALERTS is written again; no sooner, and else not before the lookback's end


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


@pytest.mark.parametrize(
    ("expr", "again"),
    [
        ("streak > 3", 0),
        ("streak + other > 9", 0),
        ("absent(gone) and streak > 3", 0),
        ("changes(streak[1m]) > 3", 1),
        ("count_over_time(streak[1m]) > 3", 1),
        ("timestamp(streak) > 5000", 1),
        ("streak offset 1m > 3", 1),
        ("max_over_time(streak[1m:15s]) > 3", 1),
        ("streak < 3", 1),  # one with an alert is looked at each time: annotations may ask for more
    ],
)
def test_a_sample_with_the_value_of_the_one_before_is_news_only_where_more_than_that_counts(
    expr: str, again: int
) -> None:
    box = Box(rule(expr))
    box.put(streak=1, other=1)
    box.wait(70)
    box.put(streak=1)
    box.now += 4
    box.engine.arrived("c", box.store.append(box.now, [Sample(labels("streak"), 1.0)]), box.now)
    assert box.engine.evaluate(box.now).evaluated == again


def test_samples_without_news_keep_an_alert_from_being_missed_and_its_end_from_coming_late() -> None:
    box = Box(rule("x unless y > 5", for_="0s"))
    box.put(x=9, y=9)
    for _ in range(100):  # y goes on telling the same, so it never expires
        box.wait(5)
        box.put(x=9, y=9)
    assert box.log == []
    for _ in range(100):
        box.wait(5)
        box.put(x=9)
    assert [(at, state) for at, _name, _before, state in box.log] == [(1800.0, "firing")]


def test_of_a_burst_the_first_may_be_the_news_and_after_a_gap_the_same_value_is() -> None:
    box = Box(rule("x > 5"))
    box.put(x=1)
    box.wait(5)
    box.engine.arrived("c", box.store.append(box.now, [Sample(labels("x"), 9.0)] * 2), box.now)
    assert [change.alert.state for change in box.engine.evaluate(box.now).changes] == ["firing"]
    box = Box(rule("absent(x)"))
    box.put(x=1)
    box.wait(400)
    box.put(x=1)
    assert [(at, state) for at, _name, _before, state in box.log] == [(1300.0, "firing"), (1400.0, "resolved")]
    for hold, states in (("0s", ["firing", "resolved", "firing"]), ("10m", ["pending", "dropped", "pending"])):
        box = Box(rule("x > 5", for_=hold))
        box.put(x=9)
        box.wait(330)  # expired, and not forgotten yet
        box.put(x=9)
        assert [state for _at, _name, _before, state in box.log] == states


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


def test_a_rule_with_nothing_in_sight_is_not_ticked_until_something_comes() -> None:
    box = Box(rule("rate(other[1m]) > 1"))
    box.put(x=1)
    box.wait(70)  # it has waited for its first readings, and was looked at without them
    assert box.engine.due() is None
    for value in (0, 600):
        box.put(other=value)
        box.wait(10)
    assert [(at, state) for at, _name, _before, state in box.log] == [(1080.0, "firing")]
    box.wait(60)
    assert box.states() == {}
    assert box.engine.due() is None


@pytest.mark.parametrize("expr", ["vector(time()) > 1040", "predict_linear(x[1m] @ 1010, 0) > 5"])
def test_what_the_clock_alone_moves_is_ticked_with_nothing_in_sight(expr: str) -> None:
    box = Box(rule(expr))
    box.put(x=1)
    box.wait(10)
    box.put(x=2)  # the last sample ever; the line through both is above 5 after 1040
    box.wait(100)
    (fired,) = box.log
    assert 1040 < fired[0] <= 1040 + TICK
    assert fired[3] == "firing"


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


# ---------------------------------------------------------------- groups


def test_a_query_offset_looks_at_the_past_and_writes_into_it() -> None:
    late = rule("x > 5", for_="10s").replace("- name: g", "- name: g\n  query_offset: 30s")
    box = Box(late, rule("ALERTS == 1", name="Echo").replace("ALERTS", 'ALERTS{alertname="A"}'))
    box.put(x=9)
    box.wait(20)
    box.put(x=1)
    box.wait(60)
    # x was high from 1000 to 1020, which the rule sees from 1030 to 1050
    assert [line for line in box.log if line[1] == "A"] == [
        (1030.0, "A", "", "pending"),
        (1040.0, "A", "pending", "firing"),
        (1050.0, "A", "firing", "resolved"),
    ]
    (series,) = box.store.select(compile_expr('ALERTS{alertname="A", alertstate="firing"}').selectors[0][0].matchers)
    assert [time / 1000 for time in series.times] == [1010.0, 1015.0, 1020.0]  # repeated at 1045, ended at 1050
    assert next(line[0] for line in box.log if line[1] == "Echo") == 1030.0


def test_an_offset_rule_of_two_collectors_settles_in_the_time_it_looks_at() -> None:
    box = Box(rule("used / total > 0.9").replace("- name: g", "- name: g\n  query_offset: 30s"))
    box.put("one", used=10)
    box.put("two", total=100)
    box.wait(60)
    box.put("one", used=95)
    box.wait(0.1)
    box.put("two", total=200)
    box.wait(60)
    assert box.log == []


def test_a_groups_own_settle_time_counts_for_one_collector_too() -> None:
    file = parse_rules(rule("x > 5"), "r.yaml", settle={"g": 2.0})
    box = Box()
    box.engine.load(together((file,), ()), box.now)
    box.put(x=1)
    box.wait(10)
    box.put(x=9)
    box.wait(1)
    box.put(x=1)
    box.wait(10)
    assert box.log == []
    box.put(x=9)
    box.wait(10)
    assert box.log == [(1023.0, "A", "", "firing")]


def test_the_order_of_alerts_is_that_of_the_files_whatever_order_they_are_looked_at_in() -> None:
    box = Box(rule("hot > 5", name="First"), rule("x > 5", name="Second"), RECORD)
    box.put(x=9)
    assert [line[1] for line in box.log] == ["Second", "First"]
    assert [alert.name for alert in box.engine.active()] == ["First", "Second"]
    assert [(one.rule.name, [alert.state for alert in one.alerts], one.looked_at) for one in box.engine.states()] == [
        ("First", ["firing"], 1000.0),
        ("Second", ["firing"], 1000.0),
        ("hot", [], 1000.0),
    ]


RECORD = "groups:\n- {name: r, rules: [{record: hot, expr: x > 0}]}\n"


# ---------------------------------------------------------------- templates


def test_templates_may_ask_the_store_and_know_where_they_are() -> None:
    text = (
        """{{ with query "count(x)" }}{{ . | first | value }}{{ end }} of {{ $externalLabels.box }} {{ externalURL }}"""
    )
    box = Box()
    box.engine.load(ruleset(rule("x > 5", annotations=f"{{summary: {text!r}}}")), box.now, {"box": "b1"}, "http://b1/")
    box.put(x__a=9, x__b=1)
    assert box.engine.active()[0].annotations["summary"] == "2 of b1 http://b1/"
    box.wait(1)
    box.put(x__c=0, x__a=9)
    assert box.engine.active()[0].annotations["summary"] == "3 of b1 http://b1/"
    asks_nonsense = rule("x > 5", annotations="""{summary: '{{ query "count(" }}'}""")
    box.engine.load(ruleset(asks_nonsense), box.now)
    box.settle()
    assert "error expanding template" in box.engine.active()[0].annotations["summary"]


def test_all_questions_of_one_evaluation_have_one_purse() -> None:
    ask = '{{ range $n := query "x" }}{{ with query "sum(sum_over_time(x[5m]))" }}a{{ end }}{{ end }}'
    store = Store()
    engine = RuleEngine(store, purse=1000)
    engine.load(ruleset(rule("max(x) > 0", annotations=f"{{summary: '{ask}'}}")), 0.0)
    for second in range(30):
        given = [Sample(labels("x", name=str(name)), 1.0) for name in range(10)]
        engine.arrived("c", store.append(float(second), given), float(second))
        engine.evaluate(float(second))
        if not second:
            assert engine.active()[0].annotations["summary"] == "a" * 10
    assert "error expanding template" in engine.active()[0].annotations["summary"]
    assert engine.health()[0].text == ""


def test_texts_are_made_anew_only_where_they_can_read_differently() -> None:
    counted: list[float] = []

    class Counting(Template):
        def expand(self, labels: Mapping[str, str], value: float, around: Around = Around()) -> str:
            counted.append(value)
            return super().expand(labels, value, around)

    rules = ruleset(rule("x > 5", annotations='{summary: "{{ $value }}"}'))
    (one,) = rules.rules
    counting = Counting.parse("{{ $value }}")
    one = replace(one, annotation_templates=(("summary", counting),))
    box = Box()
    box.engine.load(replace(rules, files=(replace(rules.files[0], rules=(one,)),), arranged=(one,)), box.now)
    for reading in (9, 9, 9, 8, 8):
        box.put(x__a=reading, x__b=7)
        box.wait(5)
    assert counted == [9.0, 7.0, 8.0]
    assert [alert.annotations["summary"] for alert in box.engine.active()] == ["8", "7"]


# ---------------------------------------------------------------- cost


def test_rules_that_a_sample_does_not_concern_cost_nothing() -> None:
    """Not even the question when they are due."""
    texts = [
        "groups:\n- name: g\n  rules:\n" + "".join(f"  - {{alert: A{n}, expr: m{n}_{m} > 5}}\n" for n in range(10))
        for m in range(50)
    ]
    box = Box(*texts)
    box.put(**{f"m{n}_{m}": 1.0 for m in range(50) for n in range(10)})
    box.wait(1)
    asked: list[str] = []
    when = Running.when
    Running.when = lambda self: (asked.append(self.rule.name), when(self))[1]  # type: ignore[method-assign]
    try:
        for _ in range(20):
            box.wait(1)
            box.put(m3_7=2.0)
    finally:
        Running.when = when  # type: ignore[method-assign]
    assert len(set(asked)) <= 2  # itself, and the one whose timer is the next
    assert len(asked) < 20 * 12


def test_the_timers_do_not_grow_with_what_happened() -> None:
    box = Box(rule("changes(x[1d]) > 1e9"), rule("used / total > 0.9", name="Two", for_="1h"))
    box.put("one", used=1, x=0)
    box.put("two", total=100)
    for _ in range(2000):
        box.wait(0.5)
        box.put("one", x=1, used=99)
    assert len(box.engine._timers) < 600


# ---------------------------------------------------------------- questions


def test_holds_joins_on_the_alerts_service() -> None:
    box = Box(LOOP)
    box.put(healthy__oracle=1, healthy__letta=0, host=1)
    asking, oracle, letta = box.engine.asking(box.now), {"name": "oracle"}, {"name": "letta"}
    assert asking.holds(compile_expr("healthy == 1"), oracle) is True
    assert asking.holds(compile_expr("healthy == 1"), letta) is False
    assert asking.holds(compile_expr("host == 1"), letta) is True
    assert asking.holds(compile_expr("count(healthy) > 1"), letta) is True
    assert asking.holds(compile_expr("1"), letta) is True
    assert asking.holds(compile_expr("0"), letta) is False
    assert asking.holds(compile_expr("healthy + on () healthy"), oracle) is None  # an error is no answer


def test_what_explains_a_rule_is_found_by_name_id_and_fingerprint_and_shares_nothing() -> None:
    box = Box(rule("streak >= 3 and x > 1", name="Loop"), LOOP)
    box.put(streak__oracle=4, x__oracle=0)
    (alert,) = box.engine.active()
    assert len(box.engine.explain("Loop", box.now)) == 2
    for word in (alert.rule, alert.fingerprint):
        (case,) = box.engine.explain(word, box.now)
        assert case.running.rule.id == alert.rule
    assert box.engine.explain("Nobody", box.now) == ()
    box.put(streak__oracle=0)
    assert box.engine.active() == ()
    assert [one.state for one in case.running.open()] == ["firing"], "it stays as it was"
    case.running.active.clear()
    case.running.written.values.clear()
    assert box.engine.explain(alert.rule, box.now)[0].running.active, "and nobody hears of what is done to it"


def test_the_action_is_the_text_of_the_rule_file() -> None:
    box = Box(rule("x > 0", annotations='{action: "restart {{ $labels.name }}"}'))
    box.put(x__oracle=1)
    (alert,) = box.engine.active()
    assert alert.annotations["action"] == "restart oracle"
    assert box.engine.action(alert) == "restart {{ $labels.name }}"
    assert box.engine.action(replace(alert, rule="elsewhere")) == "restart oracle"


def test_a_rule_that_makes_more_series_than_there_is_room_for_says_so_and_crowds_nobody_out() -> None:
    store = Store(max_series=40)
    engine = RuleEngine(store)
    engine.load(ruleset("groups:\n- name: g\n  rules:\n  - {record: r, expr: 'count_values(\"v\", x)'}\n"), 1000.0)

    def look(now: float, first: int) -> str:
        given = [Sample(labels("x", i=str(n)), float(first + n)) for n in range(15)]
        engine.arrived("c", store.append(now, given), now)
        engine.evaluate(now)
        return engine.health()[0].text

    assert look(1000.0, 0) == ""
    assert look(1001.0, 100).startswith("r: 10 of the series it gives are not kept: all rules together may have 20")
    assert look(1002.0, 100).startswith("r: 10 of")  # and as long as it is so
    assert len(store.append(1003.0, [Sample(labels(f"read{n}"), 1.0) for n in range(5)])) == 5
    for minute in range(1, 9):  # what it gave before is forgotten, and then there is room
        said = look(1002.0 + 60 * minute, 100)
    assert said == ""
    assert len(store.select(compile_expr("r").selectors[0][0].matchers)) == 15


def test_an_alert_of_a_rule_without_samples_waits_for_none_after_a_restart_or_a_gap() -> None:
    texts = [rule("vector(1) > 0", for_="60s"), rule("hour() == 5", name="AtFive")]  # ends at 06:00
    box = Box(*texts, start=6 * 3600 - 20.0)
    box.settle()
    box.wait(10)
    after = reborn(box, *texts, away=100)
    after.wait(0)
    assert [entry[1:] for entry in after.log] == [("AtFive", "firing", "resolved")]
    assert [alert.held for alert in after.engine.active()] == [False]
    after.wait(60)
    assert after.log[1:] == [(box.now + 100 + 50, "A", "pending", "firing")]  # 10 s of the 60 were over before


def test_a_rule_whose_labels_change_at_each_look_is_stopped_before_it_fills_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "RESTLESS", 100)
    box = Box(rule("x > 0", labels="{value: '{{ $value }}'}"))
    for second in range(1, 60):
        box.put(x__a=second, x__b=second, x__c=second, x__d=second)
        box.wait(1)
    assert 100 <= len([change for change in box.changes if not change.before]) < 116  # and not 236
    (health,) = box.engine.health()
    assert "take what changes (a value, a time) out of `labels`" in health.text
    assert [alert.state for alert in box.engine.active()] == ["firing"] * 4  # kept, not resolved
    box.put(x__a=0, x__b=0, x__c=0, x__d=0)
    assert box.engine.active() == ()  # what really ends is no such change
    assert box.engine.health()[0].text == ""


def test_many_alerts_that_are_replaced_once_in_a_while_are_no_such_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RESTLESS", 100)
    box = Box(rule("x > 0"))
    for first in (0, 1000, 2000):
        box.engine.arrived("c", box.store.stale(box.now, {"__name__": "x"}), box.now)
        given = [Sample(labels("x", name=str(first + n)), 1.0) for n in range(110)]
        box.engine.arrived("c", box.store.append(box.now, given), box.now)
        box.settle()
        assert len(box.engine.active()) == 110
        box.wait(3600)


def test_an_error_that_counts_differently_at_each_look_is_told_once() -> None:
    box = Box("groups:\n- name: g\n  limit: 1\n  rules:\n  - {alert: A, expr: x > 0}\n")
    told = []
    for count in range(2, 12):
        given = [Sample(labels("x", name=str(n)), 1.0) for n in range(count)]
        box.engine.arrived("c", box.store.append(box.now, given), box.now)
        told += [health.text for health in box.engine.evaluate(box.now).health]
        box.now += 1
    assert told == ["A: exceeded limit of 1 with 2 alerts"]
    assert box.engine.health()[0].text == "A: exceeded limit of 1 with 11 alerts"  # whoever asks sees the newest
