"""What rules write: recorded series and ALERTS, on arrival, again before they are forgotten, and ended in time."""

import pytest

from supervisor.facts import Alert, Labels, Sample, labels
from supervisor.rules import RuleSet, compile_expr, outputs, parse_rules, query
from supervisor.rules.outputs import RecordError, Written
from supervisor.rules.promql.schedule import NEVER
from supervisor.samples import Store, is_stale
from tests.support.rules import Box, reborn, rule, ruleset

A, B = labels("r", k="a"), labels("r", k="b")


def record(name: str, expr: str, **keys: str) -> str:
    lines = "".join(f"    {key}: {text}\n" for key, text in keys.items())
    return f"groups:\n- name: g\n  rules:\n  - record: {name}\n    expr: {expr!r}\n{lines}"


def shown(box: Box, expr: str) -> dict[str, float]:
    """What an expression gives now: the labels without the name, as text -> value."""
    rows = query(compile_expr(expr), box.store, max(box.now, box.store.newest / 1000))
    return {
        ",".join(f"{key}={text}" for key, text in row.labels.items() if key != "__name__"): row.value for row in rows
    }


def samples(store: Store, series: Labels) -> list[tuple[float, float | str]]:
    """Every sample of one series: (seconds, value or `stale`)."""
    found = [one for one in store.select(()) if one.labels == series]
    return [
        (time / 1000, "stale" if is_stale(value) else value)
        for one in found
        for time, value in zip(one.times, one.values, strict=True)
    ]


# ---------------------------------------------------------------- what is written


def test_a_recorded_series_has_the_rules_name_and_labels() -> None:
    (one,) = ruleset(record("r", "x", labels='{made: here, gone: ""}')).rules
    vector = [(labels("x", k="a", gone="1"), 1.0), (labels("x", k="b"), 2.0)]
    assert outputs.recorded(one, vector) == [
        (labels("r", k="a", made="here"), 1.0),
        (labels("r", k="b", made="here"), 2.0),
    ]
    with pytest.raises(RecordError, match="same labelset after applying rule labels"):
        outputs.recorded(one, [(labels("x", gone="1"), 1.0), (labels("x", gone="2"), 2.0)])


def test_alerts_are_written_as_prometheus_does() -> None:
    pending = Alert("f", "A", "pending", {"alertname": "A", "name": "oracle", "empty": ""}, {}, 3.0, 1000.9)
    resolved = Alert("f", "A", "resolved", {"alertname": "A"}, {}, 3.0, 1000.0)
    assert outputs.about([pending, resolved]) == [
        (labels("ALERTS", alertname="A", alertstate="pending", name="oracle"), 1.0),
        (labels("ALERTS_FOR_STATE", alertname="A", name="oracle"), 1000.0),
    ]


def test_only_what_changed_is_written_until_all_of_it_is_due_again() -> None:
    written = Written(15_000)
    assert (written.beat, written.update([], 0)) == (NEVER, ([], []))
    first, _ = written.update([(A, 1.0), (B, float("nan"))], 1000)
    assert [sample.labels for sample in first] == [A, B]
    assert written.beat == 16_000
    assert written.update([(A, 1.0), (B, float("nan"))], 2000) == ([], [])
    changed, gone = written.update([(A, 2.0)], 3000)
    assert ([(one.labels, one.value) for one in changed], gone) == ([(A, 2.0)], [B])
    again, _ = written.update([(A, 2.0)], 16_000)
    assert ([one.labels for one in again], written.beat) == ([A], 31_000)
    assert written.update([], 17_000) == ([], [A])
    assert written.beat == NEVER


def test_no_rule_writes_more_seldom_than_once_a_minute() -> None:
    assert Written(3_600_000).every == 60_000


# ---------------------------------------------------------------- recording rules at work


def test_a_result_is_in_the_store_the_moment_the_sample_arrives() -> None:
    box = Box(record("total", "sum by (kind) (x)"))
    box.put(x__a=1, x__b=2)
    assert shown(box, "total") == {"": 3.0}
    box.wait(5)
    box.put(x__a=5)
    assert samples(box.store, labels("total")) == [(1000.0, 3.0), (1005.0, 7.0)]


def test_it_is_repeated_each_interval_and_ended_when_it_is_given_no_more() -> None:
    box = Box(record("hot", "x > 5"))
    box.put(x=9)
    box.wait(40)
    box.put(x=1)
    assert samples(box.store, labels("hot")) == [(1000.0, 9.0), (1015.0, 9.0), (1030.0, 9.0), (1040.0, "stale")]
    assert shown(box, "hot") == {}
    box.wait(100)
    assert box.engine.due() == 1340.0  # nothing is repeated of nothing


def test_windows_over_recorded_series_work() -> None:
    box = Box(record("hot", "x > 5"), rule("max_over_time(hot[1m]) > 8"))
    box.put(x=9)
    box.wait(10)
    box.put(x=6)
    box.wait(55)
    assert box.log == [(1000.0, "A", "", "firing"), (1060.0, "A", "firing", "resolved")]


def test_a_chain_is_one_transaction_whatever_the_order_of_the_files() -> None:
    box = Box(rule("level3 > 5"), record("level3", "level2 + 1"), record("level2", "level1 + 1"), record("level1", "x"))
    box.put(x=9)
    assert box.log == [(1000.0, "A", "", "firing")]
    box.wait(1)
    box.engine.arrived("c", box.store.append(box.now, [Sample(labels("x"), 1.0)]), box.now)
    outcome = box.engine.evaluate(box.now)
    assert (outcome.evaluated, [change.alert.state for change in outcome.changes]) == (4, ["resolved"])


def test_a_chain_fed_by_one_collector_does_not_settle_one_fed_by_two_settles_once() -> None:
    box = Box(record("part", "x / y"), rule("part > 0.9 and z == 1"))
    box.put("one", x=1, y=10, z=1)
    box.wait(5)
    box.put("one", x=10)
    assert box.log == [(1005.0, "A", "", "firing")]
    box = Box(record("part", "x / y"), rule("part > 0.9 and z == 1"))
    box.put("one", x=1, z=1)
    box.put("two", y=10)
    box.wait(5)
    box.put("one", x=10)
    box.wait(5)
    assert box.log == [(1005.25, "A", "", "firing")]


def test_a_reader_waits_for_what_belongs_to_its_own_readings_too() -> None:
    box = Box(record("used", "sum(x)"), rule("used / total > 0.9"))
    box.put("one", x=10)
    box.put("two", total=100)
    box.wait(5)
    box.put("one", x=95)
    box.wait(0.1)
    box.put("two", total=200)
    box.wait(5)
    assert box.log == []


def test_series_of_rules_that_vanish_end_at_the_reload_others_go_on() -> None:
    box = Box(record("one", "x"), record("two", "x"))
    box.put(x=9)
    box.wait(1)
    box.engine.load(ruleset(record("two", "x")), box.now)
    box.settle()
    assert (shown(box, "one"), shown(box, "two")) == ({}, {"": 9.0})
    assert samples(box.store, labels("two")) == [(1000.0, 9.0)]


def test_a_series_that_another_rule_writes_now_is_not_ended() -> None:
    texts = record("r", "x > 5"), record("r", "y > 5")
    box = Box(*texts)
    box.put(x=9, y=0)
    box.wait(1)
    box.put(x=0, y=8)
    box.wait(1)
    assert shown(box, "r") == {"": 8.0}


def test_what_a_source_takes_with_it_rules_end_themselves() -> None:
    box = Box(record("hot", "x > 5"), rule("y > 0"))
    box.put(x__oracle=9, y__oracle=1)
    box.gone(name="oracle", __name__="y")
    assert shown(box, "ALERTS") == {}
    box.put(y__oracle=1)
    box.store.stale(box.now, {"name": "oracle"})  # nobody told the engine yet
    assert shown(box, "hot") == {"name=oracle": 9.0}
    assert shown(box, "ALERTS") == {"alertname=A,alertstate=firing,name=oracle": 1.0}


def test_two_results_that_are_one_series_are_an_error_and_write_nothing() -> None:
    box = Box(record("r", "x", labels="{name: same}"))
    box.put(x__a=1, x__b=2)
    assert shown(box, "r") == {}
    assert "r: vector contains metrics with the same labelset" in box.engine.health()[0].text
    box.gone(name="b")
    assert shown(box, "r") == {"name=same": 1.0}
    assert box.engine.health()[0].text == ""


def test_more_series_than_the_limit_are_an_error_and_write_nothing() -> None:
    box = Box(record("r", "x").replace("- name: g", "- name: g\n  limit: 1"))
    box.put(x__a=1)
    box.put(x__b=1)
    assert shown(box, "r") == {"name=a": 1.0}
    assert "exceeded limit of 1 with 2 series" in box.engine.health()[0].text


# ---------------------------------------------------------------- ALERTS


def test_alerts_follow_every_change_of_state() -> None:
    box = Box(rule("x > 5", for_="20s"))
    box.put(x=9)
    assert shown(box, "ALERTS") == {"alertname=A,alertstate=pending": 1.0}
    box.wait(20)
    assert shown(box, "ALERTS") == {"alertname=A,alertstate=firing": 1.0}
    assert shown(box, "ALERTS_FOR_STATE") == {"alertname=A": 1000.0}
    box.wait(10)
    box.put(x=0)
    assert shown(box, "ALERTS") == shown(box, "ALERTS_FOR_STATE") == {}
    pending = samples(box.store, labels("ALERTS", alertname="A", alertstate="pending"))
    assert pending == [(1000.0, 1.0), (1015.0, 1.0), (1020.0, "stale")]


def test_a_rule_about_another_alert_fires_in_the_same_call() -> None:
    texts = rule('count(ALERTS{alertstate="firing", alertname="Low"}) > 0', name="Storm"), rule("x > 5", name="Low")
    box = Box(*texts)
    box.put(x=9)
    assert [line[1:] for line in box.log] == [("Low", "", "firing"), ("Storm", "", "firing")]
    box.wait(400)
    assert [line[:2] for line in box.log[2:]] == [(1300.0, "Low"), (1300.0, "Storm")]


def test_an_erring_rule_keeps_its_alerts_there_too() -> None:
    box = Box(rule("a + on (g) b > 0"))
    given = [labels("a", g="1"), labels("b", g="1")]
    for at, series in ((1000.0, given), (1001.0, [labels("b", g="1", i="2")])):
        box.now = at
        box.engine.arrived("c", box.store.append(at, [Sample(one, 1.0) for one in series]), at)
        box.settle()
    assert box.engine.health()[0].text
    for _ in range(40):
        box.wait(10)
        box.engine.arrived("c", box.store.append(box.now, [Sample(one, 1.0) for one in given]), box.now)
        box.settle()
    assert shown(box, "ALERTS") == {"alertname=A,alertstate=firing,g=1": 1.0}


def test_a_rule_over_its_limit_has_no_alerts_and_says_none() -> None:
    box = Box(rule("x > 0").replace("- name: g", "- name: g\n  limit: 1"))
    box.put(x__a=1)
    assert len(shown(box, "ALERTS")) == 1
    box.put(x__b=1)
    assert shown(box, "ALERTS") == {}


# ---------------------------------------------------------------- a restart


def test_after_a_restart_series_that_are_given_no_more_end() -> None:
    texts = record("hot", "x > 5"), rule("x > 5", name="Low"), rule("absent(hot)", name="Cool")
    box = Box(*texts)
    box.put(x=9)
    after = reborn(box, *texts, away=10)
    assert shown(after, "hot") == {"": 9.0}
    after.put(x=1)
    assert shown(after, "hot") == shown(after, "ALERTS{alertname='Low'}") == {}
    assert after.states() == {"Cool": "firing"}


def test_after_a_restart_alerts_that_are_no_more_are_not_written_about() -> None:
    box = Box(rule("x > 5", name="Low"))
    box.put(x=9)
    after = reborn(box, rule("y > 5", name="Other"), away=10)
    assert shown(after, "ALERTS") == {}


def test_a_series_that_two_rules_could_have_written_is_left_to_the_lookback() -> None:
    texts = record("r", "x > 5"), record("r", "y > 5")
    box = Box(*texts)
    box.put(x=9, y=0)
    after = reborn(box, *texts, away=10)
    after.put(y=0)  # the second rule is looked at first, and must not end what is the first one's
    assert shown(after, "r") == {"": 9.0}


def test_readers_of_rules_are_looked_at_as_soon_as_those_were() -> None:
    texts = (
        record("hot", "x > 5"),
        rule("absent(hot)", name="Cool"),
        rule('absent(ALERTS{alertname="Cool"})', name="Ok"),
    )
    box = Box(*texts)
    box.wait(5)
    assert box.log == []  # the absence is not believed before the rule was looked at
    box.put(x=1)
    assert [line[1:] for line in box.log] == [("Cool", "", "firing")]


# ---------------------------------------------------------------- circles


@pytest.mark.parametrize(
    "texts",
    [
        (record("r", "r + 1 or x"),),
        (record("a", "b or x"), record("b", "a + 1")),
        (rule('count(ALERTS{alertstate="firing"}) > 0 or x > 5'),),
    ],
)
def test_whatever_the_rules_are_nothing_loops_for_ever(texts: tuple[str, ...]) -> None:
    """A circle is refused at load; should one get through, each rule sees its own past an interval later."""
    assert any("circle" in health.text or "itself" in health.text for health in ruleset(*texts).health)
    files = [parse_rules(text, f"rules{number}.yaml", "owner", number) for number, text in enumerate(texts)]
    circular = RuleSet(tuple(files), arranged=tuple(rule for file in files for rule in file.rules))
    box = Box()
    box.engine.load(circular, box.now)
    count = 0
    box.engine.arrived("c", box.store.append(box.now, [Sample(labels("x"), 9.0)]), box.now)
    while (due := box.engine.due()) is not None and due <= box.now + 120:
        count += box.engine.evaluate(due).evaluated
    assert count <= 4 * 120 / 15 + 4


def test_a_rule_that_looks_at_its_own_past_is_fine() -> None:
    box = Box(record("seen", "x > 5 or seen offset 20s"))
    box.put(x=9)
    box.wait(1)
    box.put(x=1)
    box.wait(42)
    echo = [(1000.0, 9.0), (1001.0, "stale"), (1020.0, 9.0), (1021.0, "stale"), (1040.0, 9.0), (1041.0, "stale")]
    assert samples(box.store, labels("seen")) == echo
