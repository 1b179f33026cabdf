"""Copies of series, as asked questions take them: what was copied stays as it was."""

from supervisor.facts import Sample, labels
from supervisor.samples import STALE, Series, Store, is_stale
from supervisor.units import Matcher

X = labels("x", n="a")


def kept() -> tuple[Store, Series]:
    store = Store()
    for at, value in ((10.0, 1.0), (20.0, STALE), (30.0, 3.0), (40.0, 2.0)):
        store.append(at, [Sample(X, value)])
    return store, store.select((Matcher("__name__", "=", "x"),))[0]


def test_a_copy_has_the_later_samples_and_knows_its_own_holes() -> None:
    _store, series = kept()
    copy = series.since(10_000)
    assert (list(copy.times), copy.labels) == ([20_000, 30_000, 40_000], X)
    assert list(copy.holes) == [0]
    assert is_stale(copy.values[0])
    assert list(series.since(25_000).holes) == []
    assert list(series.since(40_000).times) == []
    assert list(series.since(-(1 << 62)).times) == list(series.times)


def test_a_copy_stays_as_it_was() -> None:
    store, series = kept()
    series.cut(1)
    copy = series.since(0)
    assert list(copy.holes) == [0]
    store.append(50.0, [Sample(X, 9.0)])
    series.cut(2)
    assert list(copy.times) == [20_000, 30_000, 40_000]
    assert copy.drops(lambda visits: None).count(0, 3) == 1


def test_a_store_holds_a_series_made_elsewhere() -> None:
    _store, series = kept()
    other = Store()
    matchers = (Matcher("__name__", "=", "x"),)
    assert other.select(matchers) == []
    other.hold(series.since(0))
    assert [one.labels for one in other.select(matchers)] == [X]
    assert other.newest == 40_000
    assert len(other) == 1


def test_the_pool_of_a_name_is_all_that_can_match() -> None:
    store, series = kept()
    store.append(40.0, [Sample(labels("y"), 1.0)])
    assert store.pool((Matcher("__name__", "=", "x"), Matcher("n", "=", "zzz"))) == [series]
    assert len(store.pool((Matcher("__name__", "=~", "x"),))) == 2
    assert store.pool((Matcher("__name__", "=", "nope"),)) == []
