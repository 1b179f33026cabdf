"""Differences that a person can read, times, and JUnit XML."""

from xml.etree import ElementTree

from supervisor.errors import Mistake
from supervisor.lab.junit import xml
from supervisor.lab.outcomes import CaseRun, Failure, FileRun, Thing, after, differences, roughly


def thing(name: str, **parts: str) -> Thing:
    return Thing(name, tuple((key.replace("_", " "), text) for key, text in parts.items()))


def test_the_same_things_in_any_order_do_not_differ() -> None:
    a, b = thing("a", label_x="1"), thing("b", label_x="2")
    assert differences([a, b], [b, a]) == []
    assert differences([], []) == []


def test_a_thing_counts_as_often_as_it_is_there() -> None:
    a = thing("a", label_x="1")
    assert differences([a, a], [a]) == ["missing: a"]
    assert differences([a], [a, a]) == ["not expected: a"]


def test_the_likest_ones_are_compared_part_by_part() -> None:
    expected = [thing("e", label_x="1", label_y="1", value="3")]
    got = [thing("other", label_x="2", label_y="2", value="3"), thing("near", label_x="1", label_y="1", value="4")]
    assert differences(expected, got) == [
        "differs: near",
        "    value",
        "        expected: 3",
        "        got:      4",
        "not expected: other",
        "    value: 3",
    ]


def test_a_part_that_one_side_lacks_is_said() -> None:
    lines = differences([thing("a", label_x="1", label_y="2")], [thing("a", label_x="1", label_z="3")])
    assert lines[1:] == [
        "    label y",
        "        expected: 2",
        "        got:      nothing",
        "    label z",
        "        expected: nothing",
        "        got:      3",
    ]


def test_times_since_the_start() -> None:
    assert [after(seconds) for seconds in (0, 0.09, 60, 179.999, 5400, 90061.5)] == [
        "0s",
        "90ms",
        "1m",
        "2m59s999ms",
        "1h30m",
        "1d1h1m1s500ms",
    ]
    assert [roughly(seconds) for seconds in (0.04, 60.7, 90.0004, 3600, 3661.25, -2.5)] == [
        "0s",
        "1m0.7s",
        "1m30s",
        "1h",
        "1h1m1.2s",
        "-2.5s",
    ]


def test_junit_counts_tests_failures_and_files_that_cannot_be_used() -> None:
    failed = CaseRun('a "test"', 2, (Failure(3, 5, "alert <A> at 5m", ("missing: \x1b[31m{a}",)),))
    runs = [
        FileRun("good & bad.yaml", (failed, CaseRun("fine", 1))),
        FileRun("worse.yaml", mistakes=(Mistake("worse.yaml", 1, 2, "unknown key"),)),
    ]
    suites = ElementTree.fromstring(xml(runs, "2026-01-01T00:00:00Z"))
    first, second = suites
    assert (first.get("name"), first.get("tests"), first.get("failures")) == ("good & bad.yaml", "2", "1")
    assert [case.get("name") for case in first] == ['a "test"', "fine"]
    failure = first[0][0]
    assert failure.get("message") == "alert <A> at 5m"
    assert failure.text == "good & bad.yaml:3:5: alert <A> at 5m\nmissing: \N{REPLACEMENT CHARACTER}[31m{a}"
    assert second.get("errors") == "1"
    assert second[0][0].text == "worse.yaml:1:2: unknown key"
