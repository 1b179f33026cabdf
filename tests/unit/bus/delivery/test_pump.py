"""The pump on a virtual clock, against every fault the simulated broker knows."""

import asyncio
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.errors import BrokerError, JournalError
from supervisor.facts import Container, Service
from supervisor.lab.broker import Subscriber
from supervisor.verdicts import yes
from tests.support.bus import BusHouse, seqs, snapshot


def first_seen(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def test_what_the_core_hands_over_is_out_at_once_and_marked_later() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        before = house.clock.mono()
        rows = house.write(3)
        await asyncio.sleep(house.world.latency)
        assert seqs(got) == [row.seq for row in rows]
        assert house.clock.mono() - before <= 0.001
        assert house.states() == {"waiting": 3}
        await asyncio.sleep(0.5)
        assert house.states() == {"done": 3, "waiting": 0}

    BusHouse().play(story)


def test_no_row_is_read_from_the_journal_in_steady_state() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        house.world.subscribe("ha")
        reads = []
        house.journal.undelivered = lambda limit, after=0: reads.append(limit) or []  # type: ignore[method-assign]
        house.write(50)
        await asyncio.sleep(1)
        assert house.states()["done"] == 50
        assert reads == []

    house.play(story)


def test_rows_from_before_the_start_and_bare_knocks_are_read_in_order() -> None:
    house = BusHouse()
    house.write(40)
    house.handed = False
    got: list[Subscriber] = []

    async def story(house: BusHouse) -> None:
        got.append(house.world.subscribe("ha"))
        await asyncio.sleep(1)
        house.write(5)
        await asyncio.sleep(1)

    house.play(story)
    assert seqs(got[0]) == list(range(1, 46))
    assert house.states() == {"done": 45, "waiting": 0}


def test_documents_come_before_online_and_goodbye_says_stopped_and_offline() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        house.pump.show(snapshot())
        got = house.world.subscribe("ha")
        await asyncio.sleep(1)
        names = [delivery.topic.removeprefix("resurgam/box/") for delivery in got.got]
        assert names == ["journal", "state/daemon", "state/alerts", "state/host", "availability"]
        assert house.world.retained["resurgam/box/availability"] == b"online"
        house.write()

    house.play(story)
    assert house.world.retained["resurgam/box/availability"] == b"offline"
    assert json.loads(house.world.retained["resurgam/box/state/daemon"])["status"] == "stopped"
    assert house.states()["waiting"] == 0


def test_a_changed_document_is_sent_and_a_vanished_service_is_cleared() -> None:
    async def story(house: BusHouse) -> None:
        one = Service("p.a", "docker", Container("c" * 64, "a", "i", "i"), yes())
        house.pump.show(snapshot(services=(one,)))
        await asyncio.sleep(1)
        assert "resurgam/box/state/container/p.a" in house.world.retained
        got = house.world.subscribe("late", "resurgam/box/state/daemon")
        got.got.clear()
        for step in range(20):
            house.pump.show(snapshot(rev=step, mode="observe"))
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        assert [json.loads(body)["mode"] for body in got.payloads()] == ["observe"]
        assert "resurgam/box/state/container/p.a" not in house.world.retained

    BusHouse().play(story)


def test_a_broker_that_lost_everything_is_given_every_document_again() -> None:
    async def story(house: BusHouse) -> None:
        house.pump.show(snapshot())
        await asyncio.sleep(1)
        before = dict(house.world.retained)
        house.world.kill()
        house.world.retained.clear()
        house.world.start()
        await asyncio.sleep(10)
        assert sorted(house.world.retained) == sorted(before)
        assert len(before) == 5

    BusHouse().play(story)


def test_nobody_listening_is_marked_unheard() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        house.write(2)
        await asyncio.sleep(1)
        assert house.states() == {"unheard": 2, "waiting": 0}
        assert house.pump.unheard == 2

    BusHouse().play(story)


@pytest.mark.parametrize("code", [0x87, 0x90])
def test_a_message_the_broker_will_never_take_goes_to_the_dead_letters_once(code: int) -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.codes[b'"seq":2,'] = code
        house.write(4)
        await asyncio.sleep(60)
        assert seqs(got) == [1, 3, 4]
        assert house.states() == {"dead": 1, "done": 3, "waiting": 0}
        assert house.world.connects == 1

    BusHouse().play(story)


def test_a_spent_quota_is_waited_out() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.codes[b'"seq":1,'] = 0x97
        house.write(2)
        await asyncio.sleep(300)
        assert house.states()["waiting"] == 2 - house.states().get("done", 0)
        assert house.states().get("dead", 0) == 0
        assert house.world.connects < 60
        house.world.codes.clear()
        await asyncio.sleep(60)
        assert sorted(set(seqs(got))) == [1, 2]
        assert house.states()["waiting"] == 0

    BusHouse().play(story)


def test_one_poisonous_message_does_not_hold_up_the_rest_for_ever() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.poison = b'"seq":3,'
        house.write(6)
        await asyncio.sleep(120)
        assert first_seen(seqs(got)) == [1, 2, 4, 5, 6]
        assert house.states()["dead"] == 1
        assert house.states()["waiting"] == 0

    BusHouse().play(story)


@pytest.mark.parametrize("fault", ["die_unread", "die_unacked", "die_acked"])
def test_a_lost_connection_loses_and_reorders_nothing(fault: str) -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        setattr(house.world, fault, 1)
        rows = house.write(40)
        await asyncio.sleep(30)
        assert first_seen(seqs(got)) == [row.seq for row in rows]
        assert house.states()["waiting"] == 0
        assert house.world.connects == 2

    BusHouse().play(story)


def test_an_outage_is_told_with_what_waits_and_drains_in_order() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.kill()
        for _ in range(30):
            house.write(20)
            await asyncio.sleep(10)
        assert house.facts[-1].connected is False
        assert house.facts[-1].waiting > 500
        assert house.facts[-1].text == "nothing listens at the simulated broker"
        assert house.states()["waiting"] == 600
        house.world.start()
        await asyncio.sleep(60)
        assert seqs(got) == list(range(1, 601))

    house.play(story)
    assert (house.facts[-1].connected, house.facts[-1].waiting) == (True, 0)


def test_a_broker_that_is_away_is_asked_ever_more_rarely_and_no_knock_changes_that() -> None:
    async def story(house: BusHouse) -> None:
        tries = []
        house.world.refusal = BrokerError("does not let us in", 0x86)
        make, times = house.pump._make, tries

        def counted():
            times.append(house.clock.mono())
            return make()

        house.pump._make = counted
        for _ in range(1200):
            house.write()
            house.pump.show(snapshot())
            await asyncio.sleep(1)
        assert 40 < len(tries) < 200
        assert max(b - a for a, b in itertools.pairwise(tries)) <= 30.2
        assert len(house.facts) < 130

    BusHouse().play(story)


def test_a_frozen_broker_is_left_after_ten_seconds_and_found_again() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.world.freeze()
        house.write(20)
        await asyncio.sleep(12)
        assert house.facts[-1].connected is False
        house.world.thaw()
        await asyncio.sleep(60)
        assert first_seen(seqs(got)) == list(range(1, 21))

    BusHouse().play(story)


@pytest.mark.parametrize("hurt", ["frozen", "down", "slow"])
def test_closing_ends_within_two_seconds_whatever_the_broker_does(hurt: str) -> None:
    house, began = BusHouse(), []

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        if hurt == "frozen":
            house.world.freeze()
        house.world.latency = 60.0 if hurt == "slow" else 0.001
        if hurt == "down":
            house.world.kill()
        house.write(50)
        await asyncio.sleep(0.5)
        began.append(house.clock.mono())

    house.play(story)
    assert house.clock.mono() - began[0] <= 2.0
    if hurt == "slow":  # nobody may go on believing that we are there
        house.loop.run_until_complete(asyncio.sleep(15))
        assert house.world.retained["resurgam/box/availability"] == b"offline"


def test_a_long_queue_does_not_keep_us_from_saying_goodbye() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        house.pump.show(snapshot())
        await asyncio.sleep(1)
        house.world.latency = 0.2
        house.write(1000)

    house.play(story)
    assert house.world.retained["resurgam/box/availability"] == b"offline"
    assert json.loads(house.world.retained["resurgam/box/state/daemon"])["status"] == "stopped"
    assert house.states()["waiting"] > 0


def test_a_user_who_may_not_write_our_topics_is_told_and_no_event_is_thrown_away() -> None:
    async def story(house: BusHouse) -> None:
        house.world.denied = ("resurgam/",)
        house.write(5)
        await asyncio.sleep(30)
        assert "allow this user to write resurgam/#" in house.facts[-1].text
        assert house.states() == {"waiting": 5}
        house.world.denied = ()
        await asyncio.sleep(60)
        assert house.states()["waiting"] == 0

    BusHouse().play(story)


def test_marks_that_cannot_be_written_stay_and_nothing_is_sent_twice() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        deliver = house.journal.deliver

        def full(marks: object) -> None:
            raise JournalError("disk full")

        house.journal.deliver = full  # type: ignore[method-assign]
        house.write(5)
        await asyncio.sleep(1)
        house.world.cut()
        await asyncio.sleep(10)
        house.journal.deliver = deliver  # type: ignore[method-assign]
        house.write(1)
        await asyncio.sleep(10)
        assert seqs(got) == [1, 2, 3, 4, 5, 6]
        assert house.states() == {"done": 6, "waiting": 0}

    BusHouse().play(story)


def test_private_rows_and_kinds_without_a_topic_do_not_wait() -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.write(1, kind="decision", public=False)
        house.write(1, kind="strange.thing")
        house.write(1)
        await asyncio.sleep(1)
        assert seqs(got) == [3]
        assert house.states() == {"done": 1, "skipped": 1, "waiting": 0}

    BusHouse().play(story)


FAULTS = st.lists(
    st.tuples(st.sampled_from(["die_unread", "die_unacked", "die_acked", "cut", "kill", "freeze"]), st.integers(1, 25)),
    max_size=6,
)


@settings(max_examples=10, deadline=None)
@given(FAULTS)
def test_whatever_happens_every_row_arrives_and_first_sights_are_in_order(faults: list[tuple[str, int]]) -> None:
    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        for fault, rows in faults:
            if fault.startswith("die"):
                setattr(house.world, fault, 1)
            elif fault == "cut":
                house.world.cut()
            elif fault == "kill":
                house.world.kill()
            else:
                house.world.freeze()
            house.write(rows)
            await asyncio.sleep(3)
            house.world.start()
            house.world.thaw()
            house.write(rows)
        await asyncio.sleep(120)
        total = 2 * len([1 for _, rows in faults for _ in range(rows)])
        assert first_seen(seqs(got)) == list(range(1, total + 1))
        assert house.states()["waiting"] == 0

    BusHouse().play(story)
