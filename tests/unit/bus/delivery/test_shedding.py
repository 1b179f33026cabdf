"""Too much waits: the oldest info goes, then warnings, never a critical one, and one row says so."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.bus.delivery.backlog import Brief
from supervisor.bus.delivery.shedding import DAY, Bounds, Choice
from supervisor.bus.delivery.sift import Sift
from supervisor.journal import Backlog
from tests.support.bus import BusHouse, events, seqs

KINDS = {"info": "container.started", "warning": "container.died", "critical": "container.oom"}
FEW = Bounds(rows=100)


def shed(house: BusHouse) -> list[int]:
    found = house.journal.delivery_of(range(1, house.journal.last_seq + 1))
    return [seq for seq, state in found.items() if state == "shed"]


async def write(house: BusHouse, *severities: str) -> None:
    for number, name in enumerate(severities):
        house.row(KINDS[name], {"service": f"s{number}"}, subject=f"s{number}")
    await asyncio.sleep(0)


def test_the_oldest_info_goes_first_and_nobody_is_told_less_than_that() -> None:
    house = BusHouse(bounds=FEW)

    async def story(house: BusHouse) -> None:
        house.world.kill()
        await write(house, *["warning", "info", "critical", "info"] * 30)
        await asyncio.sleep(25)
        gone = shed(house)
        assert gone == [seq for seq in range(1, 121) if seq % 2 == 0][:30], "30 of 120, and the oldest info alone"
        assert len(house.gathered) == 1
        house.world.start()
        got = house.world.subscribe("ha")
        await asyncio.sleep(40)
        (event,) = events(got, "daemon.shed")
        assert (event["data"]["from"], event["data"]["to"], event["data"]["count"]) == (2, 60, 30)
        assert event["data"]["kinds"] == {"container.started": 30}
        assert event["data"]["severities"] == {"info": 30}
        assert event["severity"] == "critical"
        assert "more than 100 messages wait" in event["data"]["text"]
        assert "ask for a replay" in event["data"]["text"]
        assert sorted(set(seqs(got)) | set(gone)) == list(range(1, 122))
        assert house.states()["shed"] == 30
        assert house.facts[-1].shed == 30

    house.play(story)


def test_warnings_go_when_no_info_is_left_and_critical_ones_never() -> None:
    house = BusHouse(bounds=FEW)

    async def story(house: BusHouse) -> None:
        house.world.kill()
        await write(house, *["info"] * 5, *["critical"] * 95, *["warning"] * 50)
        await asyncio.sleep(25)
        assert shed(house) == [*range(1, 6), *range(101, 151)]
        await write(house, *["critical"] * 200)
        await asyncio.sleep(700)
        assert not set(shed(house)) & set(range(152, 352)), "150 too many wait, and all of them are critical"
        assert len(house.gathered) < 3
        assert house.states()["waiting"] > 290

    house.play(story)


def test_bytes_and_days_are_bounds_as_well() -> None:
    house = BusHouse(bounds=Bounds(size=100_000))

    async def story(house: BusHouse) -> None:
        house.world.kill()
        for number in range(60):
            house.row("container.started", {"log": "x" * 2000}, subject=f"s{number}")
        await asyncio.sleep(60)
        backlog = house.journal.backlog()
        assert 50_000 < backlog.size <= 100_000
        assert shed(house) == list(range(1, len(shed(house)) + 1))

    house.play(story)
    house = BusHouse()
    house.write(3, kind="container.died", at=house.clock.wall() - 7 * DAY - 1)
    house.write(1, kind="container.oom", at=house.clock.wall() - 7 * DAY - 1)
    house.write(2, kind="container.died", at=house.clock.wall() - 6 * DAY)

    async def old(house: BusHouse) -> None:
        got = house.world.subscribe("ha")
        await asyncio.sleep(1)
        assert shed(house) == [1, 2, 3]
        assert sorted(seqs(got)) == [4, 5, 6, 7]
        assert "more than 7 days" in events(got, "daemon.shed")[0]["data"]["text"]

    house.play(old)


def test_a_row_is_marked_only_once_its_shedding_is_told_and_a_kill_makes_no_secret_of_it() -> None:
    house = BusHouse(bounds=FEW)
    house.deaf = True

    async def story(house: BusHouse) -> None:
        house.world.kill()
        await write(house, *["info"] * 150)
        await asyncio.sleep(25)
        assert len(house.gathered) == 1
        assert shed(house) == []
        house.deaf = False
        await house.kill()
        await asyncio.sleep(25)
        assert len(shed(house)) == 60
        told = house.journal.rows(kinds=("daemon.shed",))
        assert [row.body["count"] for row in told] == [60]

    house.play(story)


def test_a_slow_broker_gets_nothing_that_was_given_up() -> None:
    house = BusHouse(bounds=FEW)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.latency = 5.0
        await write(house, *["info"] * 300)
        await asyncio.sleep(20)
        house.world.latency = 0.001
        await asyncio.sleep(60)
        gone = shed(house)
        assert len(gone) > 100
        assert not set(gone) & set(seqs(got))
        assert house.states()["waiting"] == 0
        assert events(got, "daemon.shed")[0]["data"]["count"] == len(gone)

    house.play(story)


def test_the_core_goes_on_while_a_long_backlog_is_read_through() -> None:
    """The pieces are small: between two of them the journal's thread is free for a turn."""
    house = BusHouse(bounds=Bounds(rows=1000))

    async def story(house: BusHouse) -> None:
        house.world.kill()
        batch = house.journal.batch()
        for number in range(1200):
            batch.row("container.started", f"s{number}", {}, house.clock.wall(), True)
        house.journal.commit(batch)
        longest = []
        undelivered = house.journal.undelivered

        def counted(limit: int, after: int = 0) -> object:
            longest.append(limit)
            return undelivered(limit, after)

        house.journal.undelivered = counted  # type: ignore[method-assign,assignment]
        await asyncio.sleep(25)
        assert len(shed(house)) == 300
        assert max(longest) <= 250

    house.play(story)


def test_the_end_of_an_alert_that_may_have_been_told_is_not_given_up() -> None:
    """Its beginning reached listeners; the acknowledgement did not reach us, and then the broker was away for long."""
    house = BusHouse(bounds=FEW)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.latency = 1.0
        house.alert("firing", "gone")
        await asyncio.sleep(0.5)
        assert seqs(got) == [1]
        house.world.kill()
        house.alert("resolved", "gone")
        await write(house, *["warning"] * 150)
        await asyncio.sleep(25)
        assert shed(house)
        house.world.latency = 0.001
        house.world.start()
        await asyncio.sleep(60)
        assert events(got, "alert.")[-1]["type"] == "resurgam.alert.resolved", "nobody is left with it"

    house.play(story)


ROWS = st.lists(
    st.tuples(st.sampled_from(["info", "warning", "critical"]), st.integers(0, 4), st.booleans()), max_size=80
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sets(st.integers(0, 4)), st.integers(1, 60), st.integers(0, 80))
def test_what_is_given_up_is_oldest_least_and_no_end_that_people_wait_for(
    steps: list[tuple[str, int, bool]], before: set[int], most: int, sent: int
) -> None:
    """The first `sent` rows reached listeners, or did not: nobody knows."""
    fires, rows = {f"info{n}" for n in before}, []
    first = set(fires)
    for seq, (severity, number, alert) in enumerate(steps, 1):
        mark = f"{severity}{number}" if alert else ""
        kind = "container.x" if not mark else "alert.resolved" if mark in fires else "alert.firing"
        fires ^= {mark} if mark else set()
        rows.append(Brief(seq, float(seq), kind, mark or "x", severity, mark))
    choice = Choice(Bounds(rows=most), Backlog(len(rows), 0, 1, 1.0), 100.0)
    for one in rows:
        choice.add(one)
    upto = choice.upto()
    sift = Sift(lambda one: one.seq <= upto.get(one.severity, 0), lambda one: one.seq <= sent, firing=True)
    for one in rows:
        sift.add(one)
    gone = set(sift.finish().seqs)
    by_seq = {one.seq: one for one in rows}
    assert "critical" not in {by_seq[seq].severity for seq in gone}
    if len(rows) <= most:
        assert not gone
    if any(by_seq[seq].severity == "warning" for seq in gone):
        assert all(one.seq <= upto["info"] for one in rows if one.severity == "info")
    for heard in (0, sent):
        believed = set(first)
        for one in rows:
            if one.alert and (one.seq <= heard or one.seq not in gone):
                believed = believed - {one.alert} if one.kind == "alert.resolved" else believed | {one.alert}
        assert believed <= fires, "nobody is left with an alert that is over"


@pytest.mark.parametrize(
    ("backlog", "word"),
    [
        (Backlog(100, 10, 1, 99.0), ""),
        (Backlog(101, 10, 1, 99.0), "more than 100 messages"),
        (Backlog(5, 70 * 2**20, 1, 99.0), "more than 64 MB"),
        (Backlog(5, 10, 1, -8 * DAY), "more than 7 days"),
        (Backlog(), ""),
    ],
)
def test_which_bound_is_broken_is_said_in_words(backlog: Backlog, word: str) -> None:
    assert word in FEW.broken(backlog, 100.0)
    assert bool(word) == bool(FEW.broken(backlog, 100.0))
