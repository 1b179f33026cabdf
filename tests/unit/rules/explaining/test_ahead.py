"""What comes next if no sample comes: each sub-expression's next turn, and what becomes of the alerts."""

from supervisor.facts import Json
from tests.support.rules import Box, rule

CHAIN = """
groups:
- name: g
  rules:
  - {record: "r:x", expr: "max by (name) (max_over_time(x[2m]))"}
  - {alert: A, expr: "r:x > 3", for: 1m}
  - {alert: B, expr: "ALERTS{alertname='A', alertstate='firing'}"}
"""


def part(told: Json, expr: str) -> Json:
    """One sub-expression of a rule, by its text."""
    return next(one for one in told["parts"] if one["expr"] == expr)


def turn(told: Json, expr: str, which: str = "then") -> tuple[float, list[float]] | None:
    """When it turns, and the values that it has then."""
    found = part(told, expr)[which]
    return None if found is None else (found["at"], [row["value"] for row in found["rows"]])


def ahead(told: Json) -> list[tuple[float, str, int]]:
    return [(change["at"], change["state"], change["count"]) for change in told["ahead"]]


def lived(box: Box, told: Json) -> None:
    """What was told is what then happens."""
    box.log.clear()
    box.wait(told["ahead"][-1]["at"] - box.now)
    happened = [(at, state) for at, alert, _before, state in box.log if alert.split("/")[0] == told["alert"]]
    assert happened == [(at, state) for at, state, count in ahead(told) for _ in range(count)]


def test_a_pending_alert_fires_at_its_deadline_and_resolves_when_its_sample_is_too_old() -> None:
    box = Box(rule("x > 5", for_="90s"))
    box.put(x__a=9, x__b=1)
    box.wait(40)
    (told,) = box.reasons()
    assert ahead(told) == [(1090.0, "firing", 1), (1300.0, "resolved", 1)]
    assert turn(told, "x > 5") == turn(told, "x > 5", "next") == (1300.0, [])
    (alert,) = told["alerts"]
    assert (alert["state"], alert["active_at"], alert["fires_at"], alert["kept_until"]) == ("pending", 1000, 1090, None)
    lived(box, told)


def test_windows_run_empty_sample_by_sample() -> None:
    box = Box(rule("max_over_time(x[1m]) > 3"))
    box.put(x=9)
    box.wait(20)
    box.put(x=2)
    (told,) = box.reasons()
    assert turn(told, "max_over_time(x[1m]) > 3") == (1060.0, [])
    assert turn(told, "max_over_time(x[1m])") == (1060.0, [2.0])
    assert turn(told, "x[1m]") == (1060.0, [2.0])
    assert ahead(told) == [(1060.0, "resolved", 1)]
    lived(box, told)


def test_what_could_change_but_does_not_is_told_apart_from_what_does() -> None:
    box = Box(rule("max_over_time(x[1m]) > 3"))
    for _ in range(3):
        box.put(x=9)
        box.wait(10)
    (told,) = box.reasons()
    assert turn(told, "max_over_time(x[1m]) > 3", "next") == (1060.0, [9.0])
    assert turn(told, "max_over_time(x[1m]) > 3") == (1080.0, [])
    assert part(told, "max_over_time(x[1m]) > 3")["next"]["changes"] is False


def test_what_moves_with_time_turns_at_a_tick_as_the_rule_will_see_it() -> None:
    box = Box(rule("time() - seen > 60", keep_firing_for="2m"))
    box.put(seen=1000)
    box.wait(20)
    (told,) = box.reasons()
    assert turn(told, "time() - seen > 60") == (1075.0, [75.0])
    assert turn(told, "time() - seen > 60", "next") == (1030.0, [])
    assert ahead(told) == [(1075.0, "firing", 1), (1420.0, "resolved", 1)]
    lived(box, told)


def test_a_kept_alert_ends_with_its_time() -> None:
    box = Box(rule("x > 5", keep_firing_for="3m"))
    box.put(x=9)
    box.wait(10)
    box.put(x=0)
    box.wait(5)
    (told,) = box.reasons()
    assert ahead(told) == [(1190.0, "resolved", 1)]
    assert (told["alerts"][0]["missing_since"], told["alerts"][0]["kept_until"]) == (1010.0, 1190.0)
    lived(box, told)


def test_absent_comes_true_when_the_last_sample_is_too_old() -> None:
    box = Box(rule("absent(x)", for_="1m"))
    box.put(x=1)
    box.wait(10)
    (told,) = box.reasons()
    assert turn(told, "absent(x)") == (1300.0, [1.0])
    assert turn(told, "x") == (1300.0, [])
    assert ahead(told) == [(1300.0, "pending", 1), (1360.0, "firing", 1)]
    assert told["ahead_until"] is not None, "it fires for ever after, and nobody looks for ever"
    lived(box, told)


def test_subqueries_turn_at_their_steps() -> None:
    box = Box(rule("max_over_time((x > 5)[1m:30s]) > 6"), start=1020.0)
    box.put(x=7)
    box.wait(5)
    box.put(x=1)
    (told,) = box.reasons()
    assert turn(told, "max_over_time((x > 5)[1m:30s]) > 6") == (1080.0, [])
    assert ahead(told) == [(1080.0, "resolved", 1)]
    lived(box, told)


def test_recording_rules_go_on_writing_until_their_own_samples_are_gone() -> None:
    box = Box(CHAIN)
    box.put(x__a=9)
    box.wait(20)
    (told,) = box.reasons("A")
    assert part(told, "r:x")["recorded_by"] == ["rules0.yaml:g:0"]
    assert turn(told, "r:x > 3") == (1120.0, []), "not five minutes after the record was written last"
    assert ahead(told) == [(1060.0, "firing", 1), (1120.0, "resolved", 1)]
    (other,) = box.reasons("B")
    assert ahead(other) == [(1060.0, "firing", 1), (1120.0, "resolved", 1)]
    lived(box, told)


def test_recording_rules_are_told_by_their_own_name() -> None:
    box = Box(CHAIN)
    box.put(x__a=9)
    box.wait(20)
    (told,) = box.reasons("r:x")
    assert (told["kind"], told["ahead"], told["alerts"]) == ("record", [], [])
    assert turn(told, "max by (name) (max_over_time(x[2m]))") == (1120.0, [])


def test_a_query_offset_is_part_of_every_instant() -> None:
    text = rule("max_over_time(x[1m]) > 3").replace("- name: g", "- name: g\n  query_offset: 30s")
    box = Box(text)
    box.put(x=9)
    box.wait(40)
    (told,) = box.reasons()
    assert part(told, "x[1m]")["since"] == 1030.0
    assert part(told, "x[1m]")["moved"] == {
        "at": 1030.0,
        "by": "sample",
        "series": {"__name__": "x"},
        "value": 9.0,
        "ended": False,
        "stamp": 1000.0,
    }
    assert turn(told, "x[1m]") == (1090.0, [])
    lived(box, told)


def test_alerts_that_turn_together_are_one_line() -> None:
    box = Box(rule("x > 5", for_="1m"))
    box.put(**{f"x__n{number}": number for number in range(20)})
    (told,) = box.reasons()
    assert ahead(told) == [(1060.0, "firing", 14), (1300.0, "resolved", 14)]
    assert (len(told["alerts"]), told["alerts_count"]) == (8, 14)
    lived(box, told)


def test_a_held_alert_is_let_go_when_waiting_ends() -> None:
    box = Box(rule("x > 5"))
    box.put(x=9)
    box.engine.gap(3600, box.now + 3600)
    box.now += 3600
    (told,) = box.reasons()
    (alert,) = told["alerts"]
    assert alert["held"]
    assert (alert["fires_at"], alert["kept_until"]) == (None, None)
    assert ahead(told) == [(4660.0, "resolved", 1)]
    lived(box, told)


def test_an_error_that_time_mends_is_foreseen() -> None:
    box = Box(rule("x + on () y > 1", for_="1m"))
    box.put(x=1, y__a=1)
    box.wait(100)
    box.put(x=1, y__b=1)
    box.wait(10)
    (told,) = box.reasons()
    assert "duplicate series" in told["error"]
    assert turn(told, "x + on () y > 1") == (1300.0, [2.0])
    lived(box, told)
