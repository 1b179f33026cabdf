"""Floods and outages become digests: few messages, none of them stale, and every row is told of by one of them."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.bus.delivery.backlog import Brief
from supervisor.bus.delivery.catchup import MANY
from supervisor.bus.delivery.piles import AGAIN, EVERY, SHOWN, Piles
from supervisor.bus.delivery.sift import Sift
from supervisor.config.telling import FloodSettings
from supervisor.errors import JournalError
from supervisor.facts import Json
from tests.support.bus import BusHouse, events, seqs

FLOOD = FloodSettings()


def covered(house: BusHouse) -> dict[int, str]:
    """What became of every row."""
    return house.journal.delivery_of(range(1, house.journal.last_seq + 1))


def told_of(house: BusHouse, got: Any) -> int:
    """How many rows were told: by themselves, or counted in a digest or as shed."""
    many = [event["data"]["count"] for event in events(got, "daemon.")]
    return len(set(seqs(got))) + sum_of(many)


def sum_of(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total += number
    return total


def test_a_flood_is_told_in_a_burst_and_a_digest_every_few_seconds() -> None:
    house = BusHouse(flood=FLOOD)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for _ in range(10):
            for _ in range(50):
                house.row("container.died", {"service": f"s{house.journal.last_seq % 40}"}, subject="x")
            await asyncio.sleep(1)
        await asyncio.sleep(2 * EVERY)
        digests = events(got, "daemon.digest")
        assert 2 <= len(digests) <= 10 / EVERY + 2
        assert len(events(got)) < 30
        assert told_of(house, got) == house.journal.last_seq
        assert house.states()["waiting"] == 0
        assert house.states()["digested"] == sum_of([one["data"]["count"] for one in digests])

    house.play(story)


def test_a_digest_says_what_how_many_how_bad_and_how_to_have_it_all_the_same() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.row("container.started", {"service": "first"})
        for number in range(30):
            house.row("container.died", {"service": f"s{number}"}, subject=f"s{number}")
        house.row("container.died", {"service": "s7"}, subject="s7")
        house.alert("firing", "gone")
        house.alert("resolved", "gone")
        house.alert("firing", "stays")
        await asyncio.sleep(EVERY + 1)
        (event,) = events(got, "daemon.digest")
        said = event["data"]
        assert (said["from"], said["to"], said["count"]) == (2, 35, 34)
        assert said["kinds"] == {"container.died": 31, "alert.firing": 2, "alert.resolved": 1}
        assert said["severities"] == {"warning": 34}
        assert said["alerts"] == {"GONE": 2, "STAYS": 1}
        assert said["services"]["s7"] == 2
        assert len(said["services"]) == SHOWN
        assert said["firing"] == ["STAYS"]
        assert said["since"] <= said["until"]
        assert "34 messages came too fast" in said["text"]
        assert "rows 2 to 35" in said["text"]
        assert "replay" in said["text"]
        assert event["severity"] == "warning"

    house.play(story)


def test_rows_are_marked_only_once_the_digest_is_durable() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))
    house.deaf = True

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.row("container.started", {})
        for number in range(10):
            house.row("container.died", {}, subject=f"s{number}")
        await asyncio.sleep(EVERY + AGAIN + 1)
        assert house.states() == {"done": 1, "waiting": 10}
        assert len(house.gathered) == 2, "it is handed in again where nothing comes of it"
        assert house.gathered[0].pile == house.gathered[1].pile
        house.tell(house.gathered[0])
        await asyncio.sleep(1)
        assert house.states() == {"digested": 10, "done": 2, "waiting": 0}
        assert seqs(got) == [1, 12]

    house.play(story)


def test_a_kill_before_the_digest_is_durable_loses_nothing() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))
    house.deaf = True

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for number in range(300):
            house.row("container.died", {}, subject=f"s{number}")
        await asyncio.sleep(EVERY + 1)
        assert house.states()["waiting"] == 299
        await house.kill()
        house.deaf = False
        await asyncio.sleep(3 * EVERY)
        assert house.states()["waiting"] == 0
        assert told_of(house, got) == house.journal.last_seq

    house.play(story)


@pytest.mark.parametrize("after", [0.0, 0.5, 4.9, 5.0, 5.001, 5.002, 5.01])
def test_a_kill_at_any_moment_of_a_flood_leaves_every_row_told(after: float) -> None:
    house = BusHouse(flood=FloodSettings(rate=5, burst=10))

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for number in range(60):
            house.alert("firing" if number % 2 == 0 else "resolved", f"a{number // 8}", "critical" * (number > 50))
        await asyncio.sleep(after)
        await house.kill()
        await asyncio.sleep(4 * EVERY)
        assert house.states()["waiting"] == 0
        assert told_of(house, got) >= house.journal.last_seq, "a repeated digest is fine, a missing row is not"
        assert believed(got) == set()
        critical = {event["seq"] for event in events(got) if event["severity"] == "critical"}
        assert critical == set(range(52, 61))

    house.play(story)


def believed(got: Any) -> set[str]:
    """Alerts that a listener holds for firing, by the last it heard of each."""
    last: dict[str, Json] = {}
    for event in sorted(events(got, "alert."), key=lambda event: event["seq"]):
        last[event["data"]["fingerprint"]] = event
    return {mark for mark, event in last.items() if event["type"].endswith("firing")}


def test_hours_without_a_broker_end_in_one_digest_and_how_things_stand() -> None:
    house = BusHouse(flood=FLOOD)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.alert("firing", "before")
        house.alert("firing", "before and after")
        await asyncio.sleep(1)
        house.world.kill()
        for number in range(70):
            house.alert("firing" if number % 2 == 0 else "resolved", f"a{number // 2 % 20}")
            house.row("container.died", {"service": "web"}, subject="web")
            await asyncio.sleep(60)
        house.alert("resolved", "before")
        house.alert("firing", "now")
        bad = house.alert("firing", "grave", "critical")
        over = house.alert("resolved", "grave", "critical")
        await asyncio.sleep(90)
        house.world.start()
        await asyncio.sleep(60)
        assert house.states()["waiting"] == 0
        assert len(events(got, "daemon.digest")) == 1
        assert len(events(got)) <= 8
        assert believed(got) == {"before and after", "now"}
        assert {bad.seq, over.seq} <= set(seqs(got))
        assert told_of(house, got) == house.journal.last_seq
        assert json.loads(house.world.retained["resurgam/box/journal"])["last"] == house.journal.last_public
        assert events(got, "daemon.digest")[0]["data"]["why"] == "outage"

    house.play(story)


def test_a_small_backlog_is_simply_delivered() -> None:
    house = BusHouse(flood=FLOOD)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.kill()
        rows = [house.row("container.died", {}, subject=f"s{n}")[0].seq for n in range(MANY)]
        await asyncio.sleep(3600)
        rows += [house.row("container.died", {}, subject=f"young{n}")[0].seq for n in range(5)]
        house.world.start()
        await asyncio.sleep(60)
        assert seqs(got) == rows, "what is young does not make it a large one"

    house.play(story)


def test_what_is_young_when_the_broker_comes_back_is_told_one_by_one() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.kill()
        for number in range(200):
            house.row("container.died", {}, subject=f"s{number}")
        await asyncio.sleep(600)
        young = [house.row("container.died", {}, subject=f"y{n}")[0].seq for n in range(20)]
        house.world.start()
        await asyncio.sleep(45)
        assert seqs(got, "container.") == young
        assert house.states() == {"digested": 200, "done": 21, "waiting": 0}

    house.play(story)


def test_a_connection_that_breaks_while_it_catches_up_forgets_nothing() -> None:
    house = BusHouse(flood=FLOOD)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.kill()
        for number in range(400):
            house.row("container.oom" if number % 8 == 0 else "container.died", {}, subject=f"s{number}")
        await asyncio.sleep(600)
        house.world.start()
        house.world.die_unacked = 12
        await asyncio.sleep(300)
        assert house.states()["waiting"] == 0
        assert told_of(house, got) == house.journal.last_seq
        assert len(events(got, "container.oom")) >= 50

    house.play(story)


def test_a_journal_that_cannot_be_written_delays_the_marks_and_repeats_nothing() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for number in range(20):
            house.row("container.died", {}, subject=f"s{number}")
        deliver = house.journal.deliver

        def full(marks: object) -> None:
            raise JournalError("disk full")

        house.journal.deliver = full  # type: ignore[method-assign]
        await asyncio.sleep(EVERY + 5)
        house.world.cut()
        await asyncio.sleep(10)
        house.journal.deliver = deliver  # type: ignore[method-assign]
        await asyncio.sleep(11)
        assert house.states() == {"digested": 19, "done": 2, "waiting": 0}
        assert seqs(got) == [1, 21]

    house.play(story)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60), st.sets(st.integers(0, 5)), st.integers(0, 60)
)
def test_after_an_outage_listeners_are_right_about_every_alert(
    steps: list[tuple[int, bool]], before: set[int], sent: int
) -> None:
    """`before` fire as the outage begins; the first `sent` rows reached listeners, or did not: nobody knows."""
    fires = {f"a{mark}" for mark in before}
    rows: list[Brief] = []
    for seq, (number, critical) in enumerate(steps, 1):
        mark = f"a{number}{'c' * critical}"
        kind = "alert.resolved" if mark in fires else "alert.firing"
        fires ^= {mark}
        rows.append(Brief(seq, float(seq), kind, mark, "critical" if critical else "info", mark))
    sift = Sift(lambda one: one.severity != "critical", lambda one: one.seq <= sent, firing=False)
    for one in rows:
        sift.add(one)
    held = set(sift.finish().seqs)
    for heard in {0, sent}:
        believed = {f"a{mark}" for mark in before}
        for one in rows:
            if one.seq <= heard or one.seq not in held:
                believed = believed - {one.alert} if one.kind == "alert.resolved" else believed | {one.alert}
        assert believed == fires
    assert not held & {one.seq for one in rows if one.severity == "critical"}


def test_what_a_pile_holds_is_held_until_it_is_marked() -> None:
    house = BusHouse()
    house.write(5)
    facts: list[Any] = []
    piles = Piles(house.thread, house.clock, facts.append, lambda: None)
    first, second = house.journal.rows()[:2]
    piles.gather(first)
    piles.gather(second)
    assert [piles.holds(seq) for seq in (1, 2, 3)] == [True, True, False]
    piles.close_open()
    assert piles.holds(1)
    house.tell(facts[0])
    piles.seen(house.journal.rows(kinds=("daemon.",)))
    house.loop.run_until_complete(piles.work())
    assert not piles.holds(1)
    assert covered(house)[1] == covered(house)[2] == "digested"
    assert piles.due() is None


def test_while_the_core_cannot_write_one_digest_grows_and_none_piles_up() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))
    house.deaf = True

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for number in range(240):
            house.row("container.died", {}, subject=f"s{number}")
            await asyncio.sleep(1)
        assert len({fact.pile for fact in house.gathered}) == 1
        assert 7 <= len(house.gathered) <= 9
        house.deaf = False
        await asyncio.sleep(AGAIN + 2 * EVERY)
        assert [one["data"]["count"] for one in events(got, "daemon.digest")][1] > 200
        assert house.states() == {"digested": 239, "done": 3, "waiting": 0}

    house.play(story)
