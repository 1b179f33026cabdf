"""The gates as series, and when they are told."""

import asyncio
import math
import resource

import pytest

from supervisor.clock import ManualClock
from supervisor.core.made import METRICS
from supervisor.facts import Fact, Readings, Slot
from supervisor.gate import doors, series
from supervisor.gate.lobby import Lobby
from supervisor.gate.watch import GateWatch, reading
from supervisor.lab.loop import SimLoop


def lobby(clock: ManualClock | None = None) -> Lobby:
    return Lobby(Slot("oracle", (), listen="x:1"), clock or ManualClock())


def named(fact: Readings) -> dict[tuple[str, str], float]:
    told = [(dict(one.labels), one.value) for one in fact.samples]
    return {(one["__name__"], one.get("le", "")): value for one, value in told}


def test_every_series_is_declared_with_its_labels() -> None:
    one = lobby()
    for sample in reading([(one, one.state())], ManualClock()).samples:
        found = dict(sample.labels)
        metric = METRICS[found.pop("__name__")]
        assert set(found) <= set(metric.labels)
        assert found["slot"] == "oracle"


def test_a_bucket_holds_those_before_it() -> None:
    one = lobby()
    for seconds in (0.05, 0.06, 3.0, 5000.0):
        one.duration.add(seconds)
    told = named(reading([(one, one.state())], ManualClock()))
    name = f"{series.DURATION}_bucket"
    assert [told[name, le] for le in ("0.05", "0.1", "5.0", "900.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert told[f"{series.DURATION}_count", ""] == 4
    assert math.isclose(told[f"{series.DURATION}_sum", ""], 5003.11)


def test_a_door_nobody_can_come_to_is_not_open() -> None:
    one = lobby()
    one.open("http://a:1")
    assert named(reading([(one, one.state())], ManualClock()))[series.IS_OPEN, ""] == 1
    assert named(reading([(one, one.state(False, "taken"))], ManualClock()))[series.IS_OPEN, ""] == 0


def test_gates_that_are_no_more_are_told_once_so_that_their_series_end() -> None:
    async def life(clock: ManualClock) -> None:
        facts: list[Fact] = []
        found = [(lobby(clock), lobby(clock).state())]
        watch = GateWatch(lambda: found, facts.append, clock)
        watch.tell()
        watch.tell()
        found.clear()
        watch.tell()
        watch.tell()
        assert [(len(fact.gates), fact.whole) for fact in facts if isinstance(fact, Readings)] == [(1, True), (0, True)]

    clock = ManualClock()
    SimLoop(clock).run_until_complete(life(clock))


def test_without_gates_nothing_is_told_and_no_timer_runs() -> None:
    async def life(clock: ManualClock) -> None:
        facts: list[Fact] = []
        watch = GateWatch(list, facts.append, clock)

        async def rings() -> None:
            await asyncio.sleep(3600)
            watch.ring()

        task = asyncio.ensure_future(rings())
        watch.tell()
        await watch.pause()
        assert clock.mono() == 3600
        assert facts == []
        await task

    clock = ManualClock()
    SimLoop(clock).run_until_complete(life(clock))


def test_all_doors_together_leave_the_daemon_the_files_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 4096))
    assert doors._most(1) == 128
    assert doors._most(100) == doors.FEWEST
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1 << 20, 1 << 20))
    assert doors._most(2) == doors.MOST
