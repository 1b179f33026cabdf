"""The grouping machine by itself: any order of alerts, telling and failing keeps its promises."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.bus.notify import groups as rooms
from supervisor.bus.notify.groups import Groups, Terms
from supervisor.bus.notify.message import Item, group_labels, group_name
from supervisor.journal import Row


def item(name: str, firing: bool = True, seq: int = 1, **labels: str) -> Item:
    alert = {"labels": {"alertname": name, **labels}, "fingerprint": name}
    return Item.of(Row(seq, 0.0, "alert.firing" if firing else "alert.resolved", "x", {"alert": alert}, True, ""))


def loud(_: Item) -> bool:
    return False


def test_the_labels_of_a_group() -> None:
    labels = {"b": "2", "a": '1"'}
    assert group_labels(labels, ("b", "missing")) == {"b": "2"}
    assert group_labels(labels, ("...",)) == labels
    assert group_labels(labels, ()) == {}
    assert group_name(labels) == '{a="1\\"", b="2"}'


def test_a_clock_that_was_put_back_makes_nothing_wait_longer_than_asked_for() -> None:
    groups = Groups(Terms((), 10, 300, 0))
    groups.feed(item("A"), 1_000_000.0)
    assert groups.next_at(500.0, loud) == 510.0
    due = groups.due(510.0, loud)
    assert due is not None
    groups.told(due, 1_000_000.0)
    groups.feed(item("B", seq=2), 600.0)
    assert groups.next_at(600.0, loud) == 900.0


def test_the_group_that_waits_longest_goes_first() -> None:
    groups = Groups(Terms(("g",), 10, 0, 0))
    groups.feed(item("A", g="late", seq=1), 3.0)
    groups.feed(item("B", g="early", seq=2), 1.0)
    groups.feed(item("C", g="also", seq=3), 3.0)
    order = []
    while (due := groups.due(50.0, loud)) is not None:
        order.append(due.labels["g"])
        groups.told(due, 50.0)
    assert order == ["early", "late", "also"]


def test_a_group_of_silenced_alerts_alone_is_not_repeated() -> None:
    groups = Groups(Terms((), 0, 0, 100))
    groups.feed(item("A"), 1.0)
    due = groups.due(1.0, loud)
    assert due is not None
    groups.told(due, 1.0)
    assert groups.next_at(2.0, loud) == 101.0
    assert groups.next_at(2.0, lambda _: True) == math.inf
    assert groups.due(500.0, lambda _: True) is None


def test_with_too_many_alerts_the_oldest_that_was_told_is_forgotten_never_one_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "REMEMBERED", 10)
    monkeypatch.setattr(rooms, "MOST", 8)
    groups = Groups(Terms(()))
    for number in range(8):
        assert not groups.full
        groups.feed(item(f"A{number}", seq=number), 1.0)
    assert groups.full
    due = groups.due(2.0, loud)
    assert due is not None
    groups.told(due, 2.0)
    assert not groups.full
    for number in range(8, 12):
        groups.feed(item(f"A{number}", seq=number), 3.0)
    assert groups.forgotten == 2
    kept = {one.item.fingerprint for one in groups.kept()[0]}
    assert kept == {f"A{number}" for number in range(2, 12)}


STEPS = st.lists(
    st.tuples(st.sampled_from(["fire", "end", "tell", "drop", "hush", "wait"]), st.sampled_from("ABCD")), max_size=60
)


@settings(max_examples=60)
@given(STEPS, st.sampled_from([None, (), ("g",), ("...",)]), st.sampled_from([0.0, 100.0]))
def test_whatever_happens_ends_follow_firings_and_silence_holds(
    steps: list[tuple[str, str]], by: tuple[str, ...] | None, repeat: float
) -> None:
    groups = Groups(Terms(by, 10.0 if by is not None else 0.0, 60.0 if by is not None else 0.0, repeat))
    now, seq, hushed = 1.0, 0, ""
    told: set[str] = set()
    fires: set[str] = set()

    def quiet(one: Item) -> bool:
        return one.fingerprint == hushed

    for what, name in steps:
        seq, now = seq + 1, now + 7.0
        labels = {"g": "1" if name in "AB" else "2"}
        if what in ("fire", "end"):
            (fires.add if what == "fire" else fires.discard)(name)
            groups.feed(item(name, what == "fire", seq, **labels), now)
        elif what == "hush":
            hushed = name if hushed != name else ""
        elif what == "wait":
            now += 100.0
        else:
            due = groups.due(now, quiet)
            assert (due is not None) == (groups.next_at(now, quiet) <= now)
            if due is None:
                continue
            assert due.items
            for one in due.items:
                assert one.firing == (one.fingerprint in fires)
                assert not (one.firing and one.fingerprint == hushed)
                assert one.firing or one.fingerprint in told
            if what == "tell":
                groups.told(due, now)
                told |= {one.fingerprint for one in due.items if one.firing}
                told -= {one.fingerprint for one in due.items if not one.firing}
            else:
                groups.dropped(due, now)
                told -= {one.fingerprint for one in due.items if not one.firing}
    hushed, now = "", now + 1000.0
    for _ in range(20):
        due = groups.due(now, quiet)
        if due is None:
            break
        groups.told(due, now)
        told |= {one.fingerprint for one in due.items if one.firing}
        told -= {one.fingerprint for one in due.items if not one.firing}
        now += 60.0 if not repeat else 1.0
    assert not told - fires, "every end is told in the end"
    if not repeat:
        assert groups.next_at(now, quiet) == math.inf


def test_one_that_fires_again_before_its_end_was_told_is_no_news() -> None:
    groups = Groups(Terms((), 0, 60, 0))
    groups.feed(item("A"), 1.0)
    due = groups.due(1.0, loud)
    assert due is not None
    groups.told(due, 1.0)
    groups.feed(item("A", False, 2), 5.0)
    groups.feed(item("A", True, 3), 10.0)
    assert groups.next_at(10.0, loud) == math.inf
    groups.feed(item("A", False, 4), 20.0)
    assert groups.next_at(20.0, loud) == 61.0


def test_a_repeat_that_is_given_up_does_not_forget_what_was_told() -> None:
    groups = Groups(Terms((), 0, 0, 100))
    groups.feed(item("A"), 1.0)
    for now in (1.0, 101.0):
        due = groups.due(now, loud)
        assert due is not None
        (groups.told if now == 1.0 else groups.dropped)(due, now)
    assert groups.next_at(101.0, loud) == 201.0
    groups.feed(item("A", False, 2), 150.0)
    assert groups.due(150.0, loud) is not None
