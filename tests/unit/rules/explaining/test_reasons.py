"""Why a rule gives what it gives: the whole answer, its bounds, and what it says where there is nothing to say."""

import json
import math

import pytest

from supervisor.facts import Sample, labels
from supervisor.rules.explaining import case, reasons
from supervisor.rules.explaining.gives import MOST_PARTS
from supervisor.rules.explaining.reasons import MOST_ROWS, VISITS, Inquiry, explained, untold
from supervisor.rules.promql.evaluate import EvaluationError
from supervisor.samples import Store
from tests.support.rules import Box, rule, ruleset


def test_every_part_is_told_the_whole_one_first_and_plain_numbers_left_out() -> None:
    box = Box(rule("streak >= 3 and x{name=~'o.+'} > 1", for_="2m", keep_firing_for="1m", name="Loop"))
    box.put(streak__oracle=4, x__oracle=0)
    box.wait(30)
    (told,) = box.reasons("Loop")
    assert (told["kind"], told["alert"], told["rule"]) == ("alert", "Loop", "rules0.yaml:g:0")
    assert (told["for"], told["keep_firing_for"], told["at"]) == (120.0, 60.0, 1030.0)
    parts = [(part["depth"], part["expr"], [row["value"] for row in part["rows"]]) for part in told["parts"]]
    assert parts == [
        (0, 'streak >= 3 and x{name=~"o.+"} > 1', []),
        (1, "streak >= 3", [4.0]),
        (2, "streak", [4.0]),
        (1, 'x{name=~"o.+"} > 1', []),
        (2, 'x{name=~"o.+"}', [0.0]),
    ]
    assert told["parts"][2]["rows"] == [{"labels": {"__name__": "streak", "name": "oracle"}, "value": 4.0}]
    assert told["parts"][2]["kind"] == "instant vector"
    assert (told["parts_left_out"], told["notes"], told["error"], told["waits"]) == (0, [], "", "")
    json.dumps(told)


def test_a_range_shows_the_newest_sample_of_each_series_and_a_text_is_no_part() -> None:
    box = Box(rule('label_replace(max_over_time(x[1m]), "a", "$1", "name", "(.*)") > 0'))
    box.put(x__oracle=4)
    box.wait(10)
    box.put(x__oracle=3)
    (told,) = box.reasons()
    found = {part["expr"]: [row["value"] for row in part["rows"]] for part in told["parts"]}
    assert found["x[1m]"] == [3.0]
    assert found["max_over_time(x[1m])"] == [4.0]
    assert len(found) == 4


def test_many_rows_and_many_parts_are_counted_not_listed() -> None:
    box = Box(rule("x > 2"), rule(" + ".join(["x"] * 40), name="Long"))
    box.put(**{f"x__n{number:02}": number for number in range(23)})
    (told,) = box.reasons()
    assert [row["labels"]["name"] for row in told["parts"][0]["rows"]] == [f"n{n:02}" for n in range(3, 3 + MOST_ROWS)]
    assert told["parts"][0]["count"] == 20
    (long,) = box.reasons("Long")
    assert (len(long["parts"]), long["parts_left_out"]) == (MOST_PARTS, 79 - MOST_PARTS)


def test_a_part_that_fails_says_so_and_its_own_parts_are_told() -> None:
    box = Box(rule("x + on () y > 1"))
    box.put(x=1, y__a=1, y__b=2)
    (told,) = box.reasons()
    errors = {part["expr"]: part["error"] for part in told["parts"]}
    assert "duplicate series" in errors["x + on () y > 1"]
    assert "duplicate series" in errors["x + on () y"]
    assert errors["x"] == errors["y"] == ""
    assert "duplicate series" in told["error"]


def test_a_rule_that_waits_names_the_metrics_that_never_came() -> None:
    box = Box(rule("x > 1 and y > 1"))
    box.put(x=9)
    (told,) = box.reasons()
    assert told["waits"] == "not looked at yet: it waits for its first readings of y"
    assert told["looked_at"] is None
    box.put(y=9)
    assert box.reasons()[0]["waits"] == ""


def test_two_rules_of_one_name_are_told_apart_and_do_not_disturb_each_other() -> None:
    box = Box(rule("x > 5", for_="1m"), rule("x > 7", for_="3m"))
    box.put(x=9)
    both = box.reasons()
    alone = [box.reasons(told["rule"])[0] for told in both]
    assert both == alone
    assert [told["rule"] for told in both] == ["rules0.yaml:g:0", "rules1.yaml:g:0"]


def test_the_engine_and_its_store_are_left_alone() -> None:
    box = Box(rule("x > 5", for_="1m"), rule("ALERTS{alertname='A'} == 1", name="B"))
    box.put(x=9)
    before = [(one.labels, list(one.times), list(one.values)) for one in box.store.select(())]
    due, active = box.engine.due(), box.engine.active()
    box.reasons("A")
    box.reasons("B")
    assert [(one.labels, list(one.times), list(one.values)) for one in box.store.select(())] == before
    assert (box.engine.due(), box.engine.active()) == (due, active)
    other = Box(rule("x > 5", for_="1m"), rule("ALERTS{alertname='A'} == 1", name="B"))
    other.put(x=9)
    for each in (box, other):
        each.wait(400)
    assert box.log == other.log


def test_values_that_json_does_not_know_are_left_to_the_views() -> None:
    box = Box(rule("x / 0 > 1"))
    box.put(x=1)
    assert math.isinf(box.reasons()[0]["parts"][0]["rows"][0]["value"])


def crowd(series: int, samples: int) -> Store:
    store = Store()
    store.keep(1e6)
    sets = [labels("x", name=f"n{number}") for number in range(series)]
    for second in range(samples):
        store.append(1000.0 + second, [Sample(one, float(second)) for one in sets])
    return store


@pytest.mark.parametrize("expr", ["x > 0", "max_over_time(x[1m]) > 0", "sum(rate(x[1m])) > 3 or time() - x > 9"])
def test_what_it_looks_at_is_bounded(expr: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "VISITS", 20_000)
    store = crowd(40, 120)
    box = Box(rule(expr), start=1119.0)
    box.engine.arrived("c", [], box.now)
    whole = box.engine.explain("A", box.now)[0]
    looks = 0

    def pace() -> None:
        nonlocal looks
        looks += 1

    (told,) = explained(Inquiry((whole,)), store, pace)
    assert looks < 1000
    assert told["parts"][0]["at_least"]
    assert VISITS > 20_000


def test_being_late_leaves_out_the_past_and_what_comes_but_not_the_present() -> None:
    box = Box(rule("x > 5 and y > 5"))
    box.put(x=9, y=9)
    box.wait(60)

    def late() -> None:
        raise EvaluationError("too late")

    whole = box.engine.explain("A", box.now)[0]
    (told,) = explained(Inquiry((whole,)), box.store, late)
    assert [row["value"] for row in told["parts"][0]["rows"]] == [9.0]
    assert (told["parts"][0]["since"], told["parts"][0]["then"], told["ahead"]) == (1060.0, None, [])
    assert told["parts"][0]["at_least"]


def test_what_ends_it_all_ends_it() -> None:
    box = Box(rule("x > 5 and y > 5"))
    box.put(x=9, y=9)

    def gone() -> None:
        raise KeyError("nobody waits")

    with pytest.raises(KeyError):
        explained(Inquiry(box.engine.explain("A", box.now)), box.store, gone)


def test_without_any_samples_at_hand_the_rule_and_its_alerts_are_told() -> None:
    box = Box(rule("x > 5", for_="1m"))
    box.put(x=9)
    told = untold(box.engine.explain("A", box.now)[0], "too many wait")
    assert (told["notes"], told["parts"], told["expr"]) == (["too many wait"], [], "x > 5")
    assert told["alerts"][0]["fires_at"] == 1060.0
    assert set(told) == set(box.reasons()[0])


def test_how_far_back_samples_are_wanted() -> None:
    box = Box(rule("rate(x[10m] offset 5m) > 0"))
    cases = box.engine.explain("A", 10_000.0)
    assert Inquiry(cases, 3600.0).since == 10_000_000 - (600 + 300 + 3600) * 1000
    assert len(Inquiry(cases).wanted) == 1
    assert (Inquiry(()).since, Inquiry(()).wanted) == (0, ())


def test_a_rule_that_too_many_feed_is_told_without_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "MOST_FEEDERS", 2)
    box = Box(rule("x > 1"), rule("x > 2", name="B"), rule("count(ALERTS{alertname=~'A|B'}) > 1", name="C"))
    box.put(x=9)
    (told,) = box.reasons("C")
    assert "more rules feed it" in told["notes"][0]
    assert told["parts"][0]["then"] is None
    assert box.reasons("A")[0]["notes"] == []


def test_labels_from_outside_are_those_of_the_alerts_and_labels_that_ask_are_not_guessed() -> None:
    box = Box(start=1000.0)
    text = rule("x > 5", for_="1m", labels="{at: '{{ $externalLabels.site }}', url: '{{ externalURL }}'}")
    box.engine.load(ruleset(text), box.now, {"site": "home"}, "http://box")
    box.put(x=9)
    (told,) = box.reasons()
    assert [(change["state"], change["labels"]["at"]) for change in told["ahead"]] == [
        ("firing", "home"),
        ("resolved", "home"),
    ]
    asking = Box(rule("x > 5", for_="1m", labels="{of: '{{ query `y` | len }}'}"))
    asking.put(x=9)
    (told,) = asking.reasons()
    assert "its labels come from templates" in told["notes"][0]
    assert (told["ahead"], told["parts"][0]["then"], told["parts"][0]["since"]) == ([], None, 1000.0)
