"""What a rehearsal hears and tells: given samples against our own, rows of a journal as alerts and deeds."""

from supervisor.facts import Sample
from supervisor.journal import Row
from supervisor.lab.rehearsal import GivenSample, HeardStore, score
from tests.support.rules import series


def test_given_samples_and_what_rules_write_are_heard_ours_of_that_name_are_not() -> None:
    store = HeardStore(lambda name: name == "x")
    mine, other = Sample(series('x{a="1"}'), 1.0), Sample(series("y"), 2.0)
    assert [one.labels for one in store.append(1.0, [mine, other])] == [series("y")]
    assert len(store.append(2.0, [GivenSample(series('x{a="1"}'), 3.0)])) == 1
    assert len(store.append(3.0, [Sample(series('x{a="2"}'), 4.0)], made=True)) == 1
    assert [value for _labels, _ms, value in store.latest(3.0)] == [3.0, 4.0, 2.0]


def alert(seq: int, at: float, state: str, fingerprint: str = "f") -> Row:
    body = {"alert": {"fingerprint": fingerprint, "labels": {"alertname": "A"}}, "text": "it is so"}
    return Row(seq, at, f"alert.{state}", "host", body, True, "")


def action(seq: int, at: float, kind: str, public: bool = True, **more: object) -> Row:
    body = {"verb": "restart", "service": "box.oracle", "by": "rule:A", "cause": "because", **more}
    return Row(seq, at, f"action.{kind}", "box.oracle", body, public, "")


def test_alerts_are_spans_and_those_that_ended_before_are_not_told() -> None:
    rows = [
        alert(1, 50, "firing", "over"),
        alert(2, 60, "resolved", "over"),
        alert(3, 90, "firing", "since before"),
        alert(4, 110, "firing"),
        alert(5, 120, "resolved"),
        alert(6, 130, "resolved", "since before"),
        alert(7, 140, "firing"),
        alert(8, 210, "resolved"),
        alert(9, 220, "firing", "after"),
    ]
    found = score(rows, 100.0, 200.0).fired
    assert [(one.at, one.until) for one in found] == [(-10, 30), (10, 20), (40, None)]


def test_a_deed_has_the_end_of_its_plan_even_after_the_end() -> None:
    rows = [
        action(1, 90, "planned", plan=1),
        action(2, 110, "planned", plan=2, text="planned"),
        action(3, 120, "refused", public=False, reason="cooldown", text="too soon"),
        action(4, 130, "planned", plan=3),
        action(5, 140, "planned", plan=4, verb="protect"),
        action(6, 150, "verified", plan=0, reason="verified", verb="notify"),
        action(7, 205, "rolled_back", plan=2, reason="rolled_back", text="put back"),
        action(8, 210, "planned", plan=5),
    ]
    found = score(rows, 100.0, 200.0).deeds
    assert [(one.at, one.verb, one.outcome, one.ended, one.quiet) for one in found] == [
        (10, "restart", "rolled_back", 105, False),
        (20, "restart", "refused", 0, True),
        (30, "restart", "open", 0, False),
        (50, "notify", "verified", 50, False),
    ]
    assert found[0].text == "put back"
