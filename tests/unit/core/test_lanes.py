"""The queue into the core: order, bounds, and what is said about what was lost."""

from supervisor.core.lanes import MOST_ANSWERS, MOST_EVENTS, Lanes
from supervisor.facts import Command, EngineEvent, EngineState, OomSeen, Readings, StepEnded, Sweep, XidSeen


def event(number: int) -> EngineEvent:
    return EngineEvent(0.0, 0.0, "docker", "container", f"c{number}", "die", number)


def command(number: int = 0) -> Command:
    return Command(0.0, 0.0, "stop", f"s{number}", {}, "uid:0", "socket")


def test_lanes_are_taken_in_order_and_first_in_first_out() -> None:
    lanes = Lanes()
    reading, sweep, events, answer = (
        Readings(0, 0, "host", ()),
        Sweep(0, 0, "docker", ()),
        [event(1), OomSeen(0, 0, "kernel-log"), event(2)],
        command(),
    )
    for fact in (reading, sweep, *events, answer):
        lanes.put(fact)
    assert [fact for fact, _reply in lanes.take(256)] == [answer, *events, sweep, reading]
    assert len(lanes) == 0


def test_a_turn_takes_no_more_than_it_was_told_and_loses_nothing() -> None:
    lanes = Lanes()
    for number in range(300):
        lanes.put(event(number))
    taken = [fact for _ in range(2) for fact, _reply in lanes.take(256)]
    assert taken == [event(number) for number in range(300)]


def test_the_newest_sweep_and_reading_of_each_source_win_and_the_overtaken_are_counted() -> None:
    lanes = Lanes()
    for at in (1.0, 2.0):
        lanes.put(Readings(at, at, "host", ()))
        lanes.put(Readings(at, at, "docker", ()))
        lanes.put(Sweep(at, at, "docker", ()))
    assert [(type(fact).__name__, fact.at) for fact, _reply in lanes.take(9)] == [
        ("Sweep", 2.0),
        ("Readings", 2.0),
        ("Readings", 2.0),
    ]
    assert lanes.counts == {"readings_overtaken": 2, "sweeps_overtaken": 1}


def test_too_many_commands_are_refused_but_the_news_of_running_steps_never() -> None:
    lanes = Lanes()
    assert all(lanes.put(command(number)) for number in range(MOST_ANSWERS))
    assert not lanes.put(command())
    assert lanes.put(StepEnded(0, 0, 1, "start", True, ""))


def test_a_flood_of_events_empties_the_lane_and_asks_for_a_sweep_but_keeps_news_of_the_engine() -> None:
    lanes = Lanes()
    gone = EngineState(0, 0, "docker", False, "gone")
    lanes.put(gone)
    for number in range(MOST_EVENTS):
        lanes.put(event(number))
    assert lanes.resweep == ["docker"]
    assert lanes.counts["events_dropped"] == MOST_EVENTS - 1
    assert [fact for fact, _reply in lanes.take(5)] == [gone, event(MOST_EVENTS - 1)]


def verdict(sequence: int, recovery: str) -> XidSeen:
    return XidSeen(0, 0, "kernel-log", 154, bus_id="00000000:17:00.0", recovery=recovery, sequence=sequence)


def test_a_flood_of_faults_loses_repeats_and_neither_a_kind_of_fault_nor_the_last_verdict() -> None:
    lanes = Lanes()
    lost = XidSeen(0, 0, "kernel-log", 79, bus_id="00000000:17:00.0", sequence=1)
    told = [verdict(2, "reset"), verdict(3, "none"), verdict(4, "reset")]
    for fact in (lost, *told):
        lanes.put(fact)
    for number in range(2 * MOST_EVENTS):
        lanes.put(XidSeen(0, 0, "kernel-log", 13, sequence=5 + number))
    kept = [fact for fact, _reply in lanes.take(3 * MOST_EVENTS)]
    assert kept[:3] == [lost, told[1], told[2]]
    assert len(kept) < MOST_EVENTS
    assert lanes.counts["events_dropped"] == 2 * MOST_EVENTS + 4 - len(kept)


def test_a_flood_of_faults_that_all_differ_empties_the_lane_all_the_same() -> None:
    lanes = Lanes()
    for number in range(3 * MOST_EVENTS):
        lanes.put(XidSeen(0, 0, "kernel-log", number, sequence=number))
    assert len(lanes) <= MOST_EVENTS
