"""The sample store: bounded, ordered, honest about what it refuses."""

import math
import struct

from supervisor.facts import Sample, labels
from supervisor.samples import STALE, Store, is_stale
from supervisor.units import Matcher

X = labels("x", name="oracle")
Y = labels("y", name="oracle")


def matchers(*texts: str) -> tuple[Matcher, ...]:
    return tuple(Matcher.parse(text) for text in texts)


def points(store: Store, *texts: str) -> list[tuple[int, float]]:
    (series,) = store.select(matchers(*texts))
    return list(zip(series.times, series.values, strict=True))


def test_the_stale_marker_is_the_one_prometheus_uses_and_survives_storage() -> None:
    store = Store()
    store.append(1.0, [Sample(X, 1.0), Sample(Y, math.nan)])
    store.stale(2.0, {"__name__": "x"})
    (_first, (_time, marker)) = points(store, '__name__="x"')
    assert struct.pack("<d", marker) == struct.pack("<Q", 0x7FF0000000000002)
    assert is_stale(marker)
    assert not is_stale(math.nan)
    assert not is_stale(1.0)


def test_a_burst_in_one_millisecond_keeps_every_value_in_order() -> None:
    store = Store()
    for value in (1.0, 2.0, 3.0):
        assert len(store.append(5.0, [Sample(X, value)])) == 1
    store.append(5.001, [Sample(X, 4.0)])
    assert points(store, '__name__="x"') == [(5000, 1.0), (5001, 2.0), (5002, 3.0), (5003, 4.0)]


def test_what_is_older_than_the_series_is_refused_and_counted() -> None:
    store = Store()
    store.append(5.0, [Sample(X, 1.0)])
    assert store.append(4.9, [Sample(X, 2.0)]) == ()
    assert store.counts["samples_out_of_order"] == 1
    assert len(store.append(4.9, [Sample(Y, 2.0)])) == 1  # another series has its own order


def test_stale_ends_only_live_series_with_all_those_labels_even_in_the_same_millisecond() -> None:
    store = Store()
    other = labels("x", name="letta")
    store.append(5.0, [Sample(X, 1.0), Sample(Y, 1.0), Sample(other, 1.0)])
    ended = store.stale(5.0, {"name": "oracle"})
    assert [series.labels for series in ended] == [X, Y]
    assert store.stale(6.0, {"name": "oracle"}) == ()
    assert [row[0] for row in store.latest(6.0)] == [other]
    store.append(7.0, [Sample(X, 2.0)])
    assert [row[0] for row in store.latest(7.0)] == [other, X]


def test_select_knows_all_four_matchers_and_that_missing_is_empty() -> None:
    store = Store()
    one, two, three = labels("x", a="1"), labels("x", a="22", b="z"), labels("y", a="1")
    store.append(1.0, [Sample(two, 1.0), Sample(one, 1.0), Sample(three, 1.0)])

    def found(*texts: str) -> list[object]:
        return [series.labels for series in store.select(matchers(*texts))]

    assert found('__name__="x"') == [one, two]
    assert found('__name__="x"', 'a="1"') == [one]
    assert found('__name__="x"', 'a!="1"') == [two]
    assert found('__name__="x"', 'a=~"2."') == [two]
    assert found('__name__="x"', 'a=~"2"') == []  # anchored
    assert found('__name__="x"', 'b!~"z|q"') == [one]
    assert found('__name__="x"', 'b=""') == [one]
    assert found('__name__=~"x|y"', 'a="1"') == [one, three]


def test_select_sees_series_that_come_and_go_later() -> None:
    store = Store()
    store.append(1.0, [Sample(X, 1.0)])
    wanted = matchers('__name__="x"')
    assert len(store.select(wanted)) == 1
    assert store.select(wanted) is store.select(wanted)
    store.append(2.0, [Sample(labels("x", name="letta"), 1.0)])
    assert len(store.select(wanted)) == 2
    store.prune(100_000.0)
    assert store.select(wanted) == []
    assert len(store) == 0


def test_a_label_set_in_another_form_is_the_same_series() -> None:
    store = Store()
    store.append(1.0, [Sample(X, 1.0)])
    store.append(2.0, [Sample((("name", "oracle"), ("empty", ""), ("__name__", "x")), 2.0)])
    assert points(store, '__name__="x"') == [(1000, 1.0), (2000, 2.0)]


def test_series_and_label_bytes_are_bounded_and_what_is_refused_is_counted() -> None:
    store = Store(max_series=2)
    store.append(1.0, [Sample(labels("x", name="n" * 10_000), 1.0)])
    assert store.counts["samples_refused_labels"] == 1
    store.append(1.0, [Sample(labels(f"m{index}"), 1.0) for index in range(5)])
    assert len(store) == 2
    assert store.counts["samples_refused_series"] == 3
    assert len(store.append(2.0, [Sample(labels("m0"), 2.0)])) == 1  # those that are in go on


def test_text_that_cannot_be_written_down_is_refused_and_counted() -> None:
    store = Store()
    assert store.append(1.0, [Sample(labels("x", name="\ud800"), 1.0)]) == ()
    assert store.counts["samples_refused_labels"] == 1


def test_a_series_that_grows_too_long_loses_its_oldest_samples() -> None:
    store = Store(max_points=100)
    for second in range(150):
        store.append(float(second), [Sample(X, 1.0)])
    kept = points(store, '__name__="x"')
    assert len(kept) <= 101
    assert kept[-1][0] == 149_000
    assert store.counts["samples_truncated"] > 0


def test_retention_is_what_the_rules_need_and_prunes_by_itself() -> None:
    store = Store()
    store.keep(3600.0)
    for minute in range(200):
        store.append(minute * 60.0, [Sample(X, 1.0)])
    first = points(store, '__name__="x"')[0][0]
    assert 199 * 60_000 - first >= 3_600_000
    assert 199 * 60_000 - first <= 3_600_000 + 180_000
    store.keep(0.0)
    assert store.kept >= 300.0  # never less than the lookback


def test_pruning_keeps_the_count_of_stale_markers_right() -> None:
    store = Store()
    store.append(1.0, [Sample(X, 1.0)])
    store.stale(2.0, {"name": "oracle"})
    store.append(900.0, [Sample(X, 2.0)])
    store.prune(1000.0)
    (series,) = store.select(matchers('__name__="x"'))
    assert (list(series.values), list(series.holes)) == ([2.0], [])


def test_drain_gives_each_sample_once_and_restore_takes_them_back() -> None:
    store = Store()
    store.append(1.0, [Sample(X, 1.0), Sample(Y, 2.0)])
    store.stale(2.0, {"__name__": "y"})
    rows = store.drain()
    assert [(row[0], row[1]) for row in rows] == [(X, 1000), (Y, 1000), (Y, 2000)]
    assert store.drain() == []
    again = Store()
    assert again.restore(reversed(rows)) == 3
    assert again.drain() == []
    assert [(row[0], row[2]) for row in again.latest(2.0)] == [(X, 1.0)]
    assert again.restore(rows) == 0
    assert again.newest == 2000
    again.append(1.5, [Sample(X, 7.0)])
    assert points(again, '__name__="x"') == [(1000, 1.0), (1500, 7.0)]


def test_latest_is_open_on_the_left_of_the_lookback() -> None:
    store = Store()
    store.append(100.0, [Sample(X, 1.0)])
    assert len(list(store.latest(399.999))) == 1
    assert len(list(store.latest(400.0))) == 0


def test_a_clock_set_back_moves_everything_along() -> None:
    store = Store()
    store.append(5000.0, [Sample(X, 1.0)])
    store.shift(-3600.0)
    assert points(store, '__name__="x"') == [(1_400_000, 1.0)]
    assert store.newest == 1_400_000
    assert len(store.append(1401.0, [Sample(X, 2.0)])) == 1


def test_a_series_knows_where_it_went_down_and_where_it_changed() -> None:
    store = Store()
    for at, value in enumerate([5.0, 7.0, 2.0, 2.0, math.nan, math.nan, 1.0, 0.5]):
        store.append(float(at), [Sample(X, value)])
    (series,) = store.select(matchers('__name__="x"'))
    spent: list[int] = []
    drops, changes = series.drops(spent.append), series.changes(spent.append)
    assert (list(drops.at), list(drops.lost)) == ([2, 7], [7.0, 1.0])  # nothing is lower than NaN
    assert list(changes.at)[-5:] == [1, 2, 4, 6, 7]
    # a window counts the steps inside it: the one onto its first sample is not
    assert (drops.count(2, 8), drops.count(0, 8), list(drops.between(0, 3))) == (1, 2, [7.0])
    store.append(9.0, [Sample(X, 0.25)])
    assert series.drops(spent.append) is drops
    assert drops.count(0, 9) == 3
    assert series.drops(spent.append) is drops
    assert spent == [8, 8, 1]  # each sample was looked at once


def test_what_a_series_knows_of_itself_forgets_along_with_it() -> None:
    store = Store(max_points=10)
    store.keep(1e9)
    (series,) = store.append(0.0, [Sample(X, 9.0)])
    spent: list[int] = []
    for at in range(1, 200):
        store.append(float(at), [Sample(X, float(-at % 4))])
        if at % 50 == 0:
            (
                series.drops(spent.append),
                series.changes(spent.append),
            )  # asked for rarely: what was cut in between was never looked at
    drops = series.drops(spent.append)
    values, first = list(series.values), series.gone
    assert (len(values), first + len(values)) == (10, 200)
    inside = [first + at for at in range(1, 10) if values[at] < values[at - 1]]
    assert [at for at in drops.at if at > first] == inside
    assert len(drops.at) <= 10
    assert len(series.changes(spent.append).at) <= 10


def test_stale_markers_are_trimmed_off_a_window_and_counted_inside_it() -> None:
    store = Store()
    for at, value in enumerate([1.0, STALE, STALE, 4.0, STALE, 6.0, STALE]):
        store.append(float(at), [Sample(X, value)])
    (series,) = store.select(matchers('__name__="x"'))
    assert list(series.holes) == [1, 2, 4, 6]
    assert series.trim(0, 7) == (0, 6, 3)
    assert series.trim(1, 5) == (3, 4, 0)
    assert series.trim(3, 6) == (3, 6, 1)
    low, high, _inside = series.trim(1, 3)
    assert low == high
    series.cut(2)
    assert (len(series.holes), series.trim(0, 5)) == (3, (1, 4, 1))


def test_what_a_value_is_a_sample_of_is_not_what_is_computed_from_it() -> None:
    store = Store()
    (series,) = store.append(1.0, [Sample(labels("x", __type__="counter", __unit__="s", name="a"), 1.0)])
    assert series.bare == (("name", "a"),)


def test_what_rules_make_never_keeps_out_what_is_read() -> None:
    store = Store(max_series=10)
    store.append(1.0, [Sample(labels("r", n=str(n)), 1.0) for n in range(50)], made=True)
    assert len(store) == 5
    store.append(1.0, [Sample(labels(f"m{n}"), 1.0) for n in range(5)])
    assert len(store) == 10
    store.prune(1000.0)
    assert len(store.append(1000.0, [Sample(labels("r", n="new"), 1.0)], made=True)) == 1


def test_what_others_offer_has_room_of_its_own() -> None:
    store = Store(max_series=10)
    store.append(1.0, [Sample(labels("theirs", n=str(n)), 1.0) for n in range(50)], brought=True)
    assert (len(store), store.counts["samples_refused_series"]) == (5, 45)
    store.append(1.0, [Sample(labels(f"m{n}"), 1.0) for n in range(11)])
    assert len(store) == 15
    assert len(store.append(2.0, [Sample(labels("theirs", n="0"), 1.0)], brought=True)) == 1
    store.prune(1000.0)
    assert len(store.append(1000.0, [Sample(labels("new", n=str(n)), 1.0) for n in range(9)], brought=True)) == 5
    assert len(store.append(1000.0, [Sample(labels("m", n=str(n)), 1.0) for n in range(11)])) == 10


def test_what_others_offer_no_more_makes_room_before_its_time() -> None:
    store = Store(max_series=10)
    store.keep(86_400.0)

    def offered(at: float, name: str, *numbers: int, value: float = 1.0) -> int:
        return len(store.append(at, [Sample(labels(name, n=str(n)), value) for n in numbers], brought=True))

    assert offered(1.0, "theirs", *range(4)) == 4
    assert offered(2.0, "theirs", 0, 1, 2, value=STALE) == 3
    assert offered(3.0, "owners", 1) == 1
    assert offered(4.0, "owners", 2, 3) == 2, "instead of what ended"
    assert points(store, '__name__="theirs"', 'n="3"') == [(1000, 1.0)], "what goes on stays"
    assert offered(5.0, "owners", *range(9)) == 4
    assert store.counts["samples_refused_series"] == 5
    store.append(6.0, [Sample(labels("ours"), STALE)])
    offered(6.0, "more", 1)
    assert len(store.select(matchers('__name__="ours"'))) == 1, "what is made here is not theirs to push out"


def test_a_selection_follows_what_comes_and_goes() -> None:
    store = Store()
    asked = matchers('name=~"a.*"'), matchers('__name__="x"', 'name=~"a.*"')

    def now() -> list[list[str]]:
        return [[dict(series.labels)["name"] for series in store.select(each)] for each in asked]

    assert now() == [[], []]
    for name in ("a3", "b1", "a1", "a2"):
        store.append(1.0, [Sample(labels("x", name=name), 1.0)])
        store.append(1.0, [Sample(labels("w", name=name), 1.0)])
    before = store.select(asked[1])
    assert now() == [["a1", "a2", "a3", "a1", "a2", "a3"], ["a1", "a2", "a3"]]
    assert [store.unknown(each) for each in asked] == [0, 0]
    store.append(2000.0, [Sample(labels("x", name=f"a{n}"), 1.0) for n in range(20)])  # which prunes w, b1
    assert [dict(series.labels)["name"] for series in before] == ["a1", "a2", "a3"]  # what was given out stays
    assert now() == [sorted(f"a{n}" for n in range(20))] * 2
    assert store.unknown(matchers('name="new"')) == 20
