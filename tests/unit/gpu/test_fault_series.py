"""The series of faults: a 0 before the first 1, labels that are known, an end for every episode."""

from typing import Any

from supervisor.facts import Sample, XidEpisode
from supervisor.gpu.fault_series import EPISODE, FAULTS, METRICS, MOST, XIDS, FaultSeries
from supervisor.gpu.xids import shipped

CARD = {"UUID": "GPU-1", "gpu": "0"}
ABOUT = {"name": "oracle"}
TABLE = shipped()


def told(samples: tuple[Sample, ...]) -> list[tuple[dict[str, str], float]]:
    return [(dict(sample.labels), sample.value) for sample in samples]


def fault(series: FaultSeries, xid: int, kind: str = "", *, old: bool = False, drill: bool = False) -> None:
    series.fault(xid, kind, TABLE.of(xid, kind), CARD, ABOUT, drill=drill, old=old)


def episode(**more: Any) -> XidEpisode:
    values: dict[str, Any] = {"id": "gpu-1", "uuid": "GPU-1", "bus_id": "", "first_at": 1.0, "last_at": 1.0}
    return XidEpisode(**values | {"root": 79, "kind": "bus", "remedy": "reboot"} | more)


def test_a_counter_gets_its_zero_before_its_first_one() -> None:
    series = FaultSeries()
    fault(series, 31)
    fault(series, 31)
    under = {"__name__": XIDS, **CARD, **ABOUT, "xid": "31", "class": "app", "remedy": "restart"}
    assert told(series.take()) == [(under, 0.0), (under, 1.0), (under, 2.0)]
    assert series.take() == ()
    assert told(series.all()) == [(under, 2.0)]


def test_what_was_over_before_we_looked_is_no_increase() -> None:
    series = FaultSeries()
    fault(series, 79, old=True)
    assert [value for _, value in told(series.take())] == [1.0]


def test_a_message_without_a_number_has_a_counter_of_its_own() -> None:
    series = FaultSeries()
    fault(series, 0, "heartbeat")
    (under, _), _ = told(series.take())
    assert (under["__name__"], under["kind"], "xid" in under) == (FAULTS, "heartbeat", False)


def test_a_drill_is_marked_and_counted_apart() -> None:
    series = FaultSeries()
    fault(series, 79)
    fault(series, 79, drill=True)
    found = told(series.all())
    assert [under.get("drill", "") for under, _ in found] == ["", "true"]


def test_an_episode_is_one_while_it_is_open_and_zero_once_afterwards() -> None:
    series = FaultSeries()
    series.episode(episode(), CARD)
    series.episode(episode(), CARD)
    (under, value), *more = told(series.take())
    assert (under["__name__"], under["xid"], under["remedy"], value, more) == (EPISODE, "79", "reboot", 1.0, [])
    assert told(series.all()) == [(under, 1.0)]
    series.episode(episode(over=True), CARD)
    assert told(series.take()) == [(under, 0.0)]
    assert series.all() == ()


def test_an_episode_that_is_understood_otherwise_ends_its_old_series() -> None:
    series = FaultSeries()
    series.episode(episode(root=45, kind="app", remedy="none"), CARD)
    series.take()
    series.episode(episode(), CARD)
    assert [(under["xid"], value) for under, value in told(series.take())] == [("45", 0.0), ("79", 1.0)]


def test_two_episodes_that_look_the_same_end_with_the_last() -> None:
    series = FaultSeries()
    series.episode(episode(), {})
    series.episode(episode(id="gpu-2"), {})
    series.episode(episode(over=True), {})
    assert [value for _, value in told(series.take())] == [1.0, 1.0]
    series.episode(episode(id="gpu-2", over=True), {})
    assert [value for _, value in told(series.take())] == [0.0]


def test_an_episode_that_was_never_told_ends_without_a_word() -> None:
    series = FaultSeries()
    series.episode(episode(over=True), CARD)
    assert series.take() == ()


def test_an_episode_that_is_over_is_counted_for_its_service() -> None:
    series = FaultSeries()
    series.ended(episode(over=True, service="oracle"), CARD, ABOUT)
    series.ended(episode(id="gpu-2", over=True, service="oracle"), CARD, ABOUT)
    found = told(series.take())
    assert [value for _, value in found] == [0.0, 1.0, 2.0]
    assert {(under["__name__"], under["name"], under["xid"], under["class"]) for under, _ in found} == {
        ("resurgam_gpu_episodes_total", "oracle", "79", "bus")
    }


def test_counters_are_bounded() -> None:
    series = FaultSeries()
    for number in range(MOST + 50):
        series.fault(79, "", TABLE.of(79), {"UUID": str(number)}, {}, drill=False, old=False)
    assert len(series.all()) == MOST


def test_every_label_is_promised() -> None:
    series = FaultSeries()
    fault(series, 31, drill=True)
    fault(series, 0, "lost", drill=True)
    series.episode(episode(drill=True), CARD)
    series.episode(episode(id="b", root=0, fault="lost"), CARD)
    series.ended(episode(id="b", root=0, fault="lost", drill=True), CARD, ABOUT)
    known = {metric.name: set(metric.labels) for metric in METRICS}
    for under, _ in told(series.all()):
        assert set(under) - {"__name__"} <= known[under["__name__"]]
