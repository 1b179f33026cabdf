"""The tree of reasons on the terminal: what a person must be able to read in it."""

import io

import pytest

from supervisor import views
from supervisor.cli.output import Output
from supervisor.cli.reasons import print_rule
from supervisor.facts import Sample, labels
from supervisor.samples import STALE
from tests.support.boxes import NOW, box
from tests.support.rules import Box, rule


def printed(found: Box, word: str = "A") -> list[str]:
    """The lines about the rules of that name."""
    document = views.explain_document(word, box(at=found.now), {"found": True, "rules": found.reasons(word)})
    stream = io.StringIO()
    for each in document["rules"]:
        print_rule(each, Output(stream=stream, env={}))
    return stream.getvalue().splitlines()


def clock(after: float, now: float = NOW) -> str:
    return views.when(NOW + after, now)


def test_one_glance_tells_the_value_since_when_by_what_and_what_comes() -> None:
    found = Box(rule("streak >= 3 and x > 1", for_="90s", keep_firing_for="1m"), start=NOW - 40)
    found.put(streak__oracle=2, x__oracle=5)
    found.wait(15)
    found.put(streak__oracle=3, x__oracle=5)
    found.wait(15)
    found.put(streak__oracle=4, x__oracle=5)
    found.wait(10)
    assert printed(found) == [
        "  rule rules0.yaml:g:0, for 1m30s, kept firing for 1m",
        f"    if no sample comes, it fires {clock(65)}, then it resolves {clock(350)}",
        "    streak >= 3 and x > 1",
        "      4  {name=oracle}",
        f'      since {clock(-25)}; moved {clock(-10)} by streak{{name="oracle"}} = 4; '
        f"next {clock(290)}: gives nothing",
        "      streak >= 3",
        "        4  {name=oracle}",
        f'        since {clock(-25)}; moved {clock(-10)} by streak{{name="oracle"}} = 4',
        "        streak",
        "          4  {name=oracle}",
        f'          since {clock(-40)}; moved {clock(-10)} by streak{{name="oracle"}} = 4',
        "      x > 1",
        "        5  {name=oracle}",
        f'        since {clock(-40)}; moved by x{{name="oracle"}} = 5',
        "        x",
        "          5  {name=oracle}",
        f'          since {clock(-40)}; moved by x{{name="oracle"}} = 5',
    ]


def test_what_moves_with_time_is_said_to() -> None:
    found = Box(rule("time() - seen > 60"), start=NOW)
    found.put(seen=NOW)
    found.wait(20)
    text = printed(found)
    assert (
        text[1] == f"    if no sample comes, it fires {clock(75, found.now)}, then it resolves {clock(300, found.now)}"
    )
    assert text[2:4] == [
        "    time() - seen > 60  gives nothing",
        f"      for at least 20s; moved {clock(0, found.now)} by seen = 1760000000; "
        f"next {clock(75, found.now)}: gives 75",
    ]
    assert text[text.index("        time()") + 2] == "          moves with time"


def test_samples_that_went_or_ended_are_named() -> None:
    found = Box(rule("max_over_time(x[1m]) > 5"), start=NOW)
    found.put(x=9)
    found.wait(15)
    found.put(x=2)
    found.wait(50)
    assert f"since {clock(60, found.now)}; moved as x = 9 was 1m old" in printed(found)[2]
    found = Box(rule("absent(x)"), start=NOW)
    found.put(x=9)
    found.wait(15)
    found.engine.arrived("c", found.store.append(found.now, [Sample(labels("x"), STALE)]), found.now)
    found.wait(5)
    assert f"since {clock(15, found.now)}; moved as x ended; next: only with a sample" in printed(found)[3]


def test_a_sample_seen_late_is_told_with_its_own_time() -> None:
    found = Box(rule("x offset 30s > 1"), start=NOW)
    found.put(x=9)
    found.wait(45)
    assert f"since {clock(30, found.now)}; moved by x = 9 (of {clock(0, found.now)})" in printed(found)[4]


def test_an_error_is_told_once_where_it_is() -> None:
    found = Box(rule("x + on () y > 1"), start=NOW)
    found.put(x=1, y__a=1, y__b=1)
    text = printed(found)
    assert len([line for line in text if "duplicate series" in line]) == 1
    assert text[1:3] == ["    x + on () y > 1", "      fails, as a part of it does"]


def test_a_rule_that_waits_says_for_what() -> None:
    text = printed(Box(rule("x > 1"), start=NOW))
    assert text[1] == "    not looked at yet: it waits for its first readings of x"


def test_many_rows_and_many_alerts_do_not_fill_the_screen() -> None:
    found = Box(rule("x > 5", for_="1m"), start=NOW)
    found.put(**{f"x__n{number:02}": number for number in range(30)})
    text = printed(found)
    assert text[1] == f"    if no sample comes, 24 alerts fire {clock(60)}, then 24 alerts resolve {clock(300)}"
    assert "      … and 16 more" in text
    assert len(text) < 30


def test_several_alerts_that_go_their_own_ways_are_named() -> None:
    found = Box(rule("x > 5", for_="1m", labels="{severity: critical}"), start=NOW)
    found.put(x__a=9)
    found.wait(10)
    found.put(x__b=9)
    assert printed(found)[1].startswith(
        f"    if no sample comes, {{name=a}} fires {clock(60, found.now)}, then {{name=b}} fires {clock(70, found.now)}"
    )


def test_who_records_a_series_is_said() -> None:
    text = "groups:\n- name: g\n  rules:\n  - {record: 'r:x', expr: x}\n  - {alert: A, expr: 'r:x > 1'}\n"
    found = Box(text, start=NOW)
    found.put(x=9)
    assert any(line.endswith("recorded by rules0.yaml:g:0") for line in printed(found))
    assert not any("recorded by" in line for line in printed(found, "r:x"))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.1 + 0.2, "0.3"), (12345678.25, "12345678.250"), (3.0, "3"), (-1e-9, "-1e-09")]
)
def test_values_are_short(value: float, shown: str) -> None:
    found = Box(rule("x < +Inf"), start=NOW)
    found.put(x=value)
    assert printed(found)[3] == f"      {shown}"


def test_what_labels_hold_cannot_repaint_the_terminal() -> None:
    found = Box(rule("x > 1"), start=NOW)
    found.engine.arrived("c", found.store.append(NOW, [Sample(labels("x", name="\x1b[2Jgone"), 9.0)]), NOW)
    found.settle()
    assert "\x1b" not in "".join(printed(found))
