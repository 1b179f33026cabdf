"""In which order rules run, and which of them read each other in a circle."""

import json

import pytest

from supervisor.rules import Rule, parse_rules
from supervisor.rules.order import arrange, reads_itself


def rules(*given: dict[str, object]) -> tuple[Rule, ...]:
    """Rules of one file from `record`/`alert`, `expr` and the like."""
    return parse_rules(json.dumps({"groups": [{"name": "g", "rules": list(given)}]}), "r.yaml").rules


def record(name: str, expr: str, **labels: str) -> dict[str, object]:
    return {"record": name, "expr": expr, "labels": labels}


def alert(name: str, expr: str, hold: str = "0s", **labels: str) -> dict[str, object]:
    return {"alert": name, "expr": expr, "for": hold, "labels": labels}


def names(*given: dict[str, object]) -> list[str]:
    arranged, cycles = arrange(rules(*given))
    assert not cycles, [cycle.text for cycle in cycles]
    return [rule.name for rule in arranged]


def chains(*given: dict[str, object]) -> list[str]:
    arranged, cycles = arrange(rules(*given))
    assert [rule.name for rule in arranged] == [one.get("record") or one.get("alert") for one in given]
    return [cycle.text for cycle in cycles]


def test_rules_that_have_nothing_to_do_with_each_other_stay_as_written() -> None:
    assert names(record("c", "x"), alert("b", "y > 0"), record("a", "x")) == ["c", "b", "a"]


def test_a_rule_comes_after_those_it_reads() -> None:
    given = [alert("A", "b > 0"), record("b", "sum(c)"), record("z", "x"), record("c", "x")]
    assert names(*given) == ["z", "c", "b", "A"]
    assert names(*reversed(given)) == ["c", "z", "b", "A"]


@pytest.mark.parametrize(
    ("expr", "reads"),
    [
        ("rate(made[5m])", True),
        ('{__name__="made"}', True),
        ('{__name__=~"ma.*"}', True),
        ('{__name__!="other", x="1"}', True),
        ('{x="1"}', True),
        ('made{tier="one"}', True),
        ('made{tier!="two"}', True),
        ('made{unknown="7"}', True),
        ('made{gone=""}', True),
        ("max_over_time(made[1h:1m])", True),
        ("made offset -1m", True),
        ("made @ 100", True),
        ("sum(x) / sum(made)", True),
        ('made{tier="two"}', False),
        ('made{tier!~"o.*"}', False),
        ('made{gone="x"}', False),
        ('{__name__=~"other.*"}', False),
        ("made offset 1m", False),
        ("max_over_time(made[1h:1m] offset 1m)", False),
        ("made_too", False),
    ],
)
def test_what_a_selector_reads_is_told_by_name_and_known_labels(expr: str, reads: bool) -> None:
    given = [alert("A", f"count({expr})"), record("made", "z", tier="one", gone="")]
    assert names(*given) == (["made", "A"] if reads else ["A", "made"])


@pytest.mark.parametrize(
    ("expr", "reads"),
    [
        ("ALERTS", True),
        ('ALERTS{alertname="Fire"}', True),
        ('ALERTS{alertname=~"F.*", alertstate="firing"}', True),
        ('ALERTS{severity="critical"}', True),
        ('ALERTS{about="oracle"}', True),
        ("time() - ALERTS_FOR_STATE", True),
        ('{__name__=~"ALERTS.*"}', True),
        ('ALERTS{alertstate="pending"}', False),
        ('ALERTS{alertname="Water"}', False),
        ('ALERTS{severity="info"}', False),
        ('ALERTS_FOR_STATE{alertstate="firing"}', False),
        ("ALERTS offset 5m", False),
    ],
)
def test_alerts_are_read_by_name_state_and_untemplated_labels(expr: str, reads: bool) -> None:
    given = [record("counted", expr), alert("Fire", "x", severity="critical", about="{{ $labels.name }}")]
    assert names(*given) == (["Fire", "counted"] if reads else ["counted", "Fire"])


def test_what_an_aggregation_leaves_decides_what_can_be_read() -> None:
    given = [alert("A", 'made{pod="x"}'), record("made", "sum by (job) (z)")]
    assert names(*given) == ["A", "made"]
    assert names(alert("A", 'made{job="x"}'), given[1]) == ["made", "A"]


def test_a_selector_for_any_name_orders_and_makes_no_circle() -> None:
    everything = 'count by (__name__) ({__name__=~".+"}) > 10000'
    assert names(alert("Many", everything), record("a", "x"), record("b", "a")) == ["a", "b", "Many"]
    noise = alert("Noise", 'count(ALERTS{severity!="none"}) > 9', severity="none")
    assert names(alert("Many", everything), noise) == ["Many", "Noise"]
    assert names(record("c", '{x="1"}'), record("d", '{x="2"} + e'), record("e", "c")) == ["c", "e", "d"]
    absent, count = rules(alert("Absent", 'absent({job="x"})'), alert("Count", 'count({job="x"}) > 5'))
    assert reads_itself(absent), "its own ALERTS carries the job it misses"
    assert not reads_itself(count)
    (text,) = chains(record("job:all", 'sum({__name__=~"job:.*"})'))
    assert "job:all → job:all" in text, "these names were meant"


def test_an_alert_is_pending_only_where_it_waits() -> None:
    given = [record("counted", 'ALERTS{alertstate="pending"}'), alert("Fire", "x", hold="1m")]
    assert names(*given) == ["Fire", "counted"]


def test_the_usual_inhibitor_of_info_alerts_is_no_circle() -> None:
    inhibitor = (
        'ALERTS{severity="info"} == 1 unless on (namespace) '
        'ALERTS{alertname!="InfoInhibitor", alertstate="firing", severity=~"warning|critical"} == 1'
    )
    given = [alert("InfoInhibitor", inhibitor, severity="none"), alert("Low", "x", severity="info")]
    assert names(*given) == ["Low", "InfoInhibitor"]


def test_a_rule_that_reads_itself_is_a_circle_of_one() -> None:
    (text,) = chains(record("a", "a + 1"), record("b", "x"))
    assert text.startswith("the rule reads what it writes itself (a → a); read the past only")
    (text,) = chains(alert("Many", "count(ALERTS) > 1"))
    assert "(Many → Many)" in text


def test_a_circle_names_its_chain_from_the_rule_that_closes_it() -> None:
    (text,) = chains(record("a", "b"), record("x", "y"), record("b", "c"), record("c", "a + x"))
    assert text == "these rules read each other in a circle: c → a → b → c; take one of them out of it"


def test_a_circle_through_alerts_is_found() -> None:
    given = [record("fired", 'count(ALERTS{alertstate="firing"})'), alert("Busy", "fired > 0")]
    (text,) = chains(*given)
    assert "Busy → fired → Busy" in text


def test_circles_that_share_no_rule_are_told_together() -> None:
    given = [record("a", "b"), record("b", "a"), record("c", "d"), record("d", "c"), record("e", "a + c")]
    assert ["b → a → b" in chains(*given)[0], "d → c → d" in chains(*given)[1]] == [True, True]
    assert len(chains(*given)) == 2


def test_a_long_circle_is_told_short() -> None:
    given = [record(f"r{n}", f"r{(n + 1) % 40}") for n in range(40)]
    (text,) = chains(*given)
    assert "r39 → r0 → r1 → r2 → r3 → r4 → … → r39" in text


def test_a_long_chain_is_put_in_order_without_deep_recursion() -> None:
    given = [record(f"r{n}", f"r{n + 1}") for n in range(300)]
    assert names(*given) == [f"r{n}" for n in reversed(range(300))]
