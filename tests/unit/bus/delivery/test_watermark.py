"""The watermark tells how far the journal is, and every event which one was before it: nobody misses a row unseen."""

import asyncio
import json

from supervisor.bus.twins import Twins
from supervisor.config.telling import FloodSettings
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread
from tests.support.bus import HOST, BusHouse, events

TOPIC = "resurgam/box/journal"


def mark(house: BusHouse) -> Json:
    found: Json = json.loads(house.world.retained[TOPIC])
    return found


def test_it_is_told_at_birth_then_when_the_journal_has_grown_and_once_a_second_at_most() -> None:
    house = BusHouse(machine="abc123")
    house.write(2)

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(0.5)
        got = house.world.subscribe("ha", TOPIC)
        first = mark(house)
        assert (first["epoch"], first["oldest"], first["last"]) == (house.journal.epoch, 1, 2)
        assert first["machine"] == "abc123"
        for _ in range(50):
            house.write()
            house.write(kind="decision", public=False)
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        told = [json.loads(body)["last"] for body in got.payloads()]
        assert 4 <= len(told) <= 8
        assert told == sorted(set(told))
        assert mark(house)["last"] == house.journal.last_public == 101
        before = len(got.got)
        await asyncio.sleep(600)
        assert len(got.got) == before, "nothing new, nothing told"
        house.world.cut()
        await asyncio.sleep(10)
        assert len(got.got) == before + 1, "a new connection is told again"

    house.play(story)


def test_it_counts_what_was_digested_and_is_right_when_we_have_gone() -> None:
    house = BusHouse(flood=FloodSettings(rate=0.001, burst=1))

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        house.row("container.started", {})
        house.row("container.died", {})
        await asyncio.sleep(10)
        house.write(3, kind="container.oom")

    house.play(story)
    assert mark(house)["last"] == house.journal.last_public == 6


def test_every_event_names_the_one_before_it_over_restarts_outages_and_prunes() -> None:
    """Whoever gets everything can walk back by `prior` without a gap; a row left out shows as one."""
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.write(3)
        house.write(2, kind="decision", public=False)
        house.write(2)
        await asyncio.sleep(1)
        house.world.kill()
        house.write(2)
        await house.kill()
        house.write(1, kind="decision", public=False)
        house.write(2)
        house.world.start()
        await asyncio.sleep(40)
        house.journal._max_age = 0.0
        house.journal.prune(house.clock.wall())
        house.write(2)
        await asyncio.sleep(1)
        chain = {event["seq"]: event["prior"] for event in events(got)}
        assert list(chain) == [1, 2, 3, 6, 7, 8, 9, 11, 12, 13, 14]
        assert list(chain.values()) == [0, 1, 2, 3, 6, 7, 8, 9, 11, 12, 13]

    house.play(story)


def test_what_is_replayed_after_a_prune_names_the_same_row_before_it() -> None:
    house = BusHouse()
    house.write(3)
    house.write(1, kind="decision", public=False)
    house.write(2)
    assert [row.prior for row in house.journal.rows(public=True)] == [0, 1, 2, 3, 5]
    house.journal.deliver([(seq, "done", 1, "") for seq in (1, 2)])
    house.journal._max_age = -10.0
    house.journal.prune(house.clock.wall())
    assert [(row.seq, row.prior) for row in house.journal.rows(public=True)] == [(3, 0), (5, 3), (6, 5)]


def test_an_event_carries_what_it_is_about_beside_it() -> None:
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        got = house.world.subscribe("ha")
        house.alert("firing", "a", "critical")
        await asyncio.sleep(1)
        event = events(got)[0]
        beside = dict(next(one for one in got.got if "/event/" in one.topic).properties.user)
        assert beside == {name: str(event[name]) for name in ("type", "id", "seq", "severity")}
        assert (beside["type"], beside["severity"]) == ("resurgam.alert.firing", "critical")

    house.play(story)


def test_what_became_of_messages_is_told_to_the_core() -> None:
    house = BusHouse(flood=FloodSettings(rate=1000, burst=1000))

    async def story(house: BusHouse) -> None:
        await asyncio.sleep(1)
        house.alert("firing", "a", "critical")
        house.alert("firing", "b", "warning")
        house.world.codes[b'"seq":4,'] = 0x87
        house.row("container.died", {})
        house.row("container.died", {})
        await asyncio.sleep(25)
        last = house.facts[-1]
        assert (last.unheard, last.critical_unheard, last.dead, last.waiting) == (3, 1, 1, 0)
        assert house.journal.delivery_of([1, 4, 99]) == {1: "unheard", 4: "dead"}
        told = len(house.facts)
        await asyncio.sleep(600)
        assert len(house.facts) == told, "what has not changed is not told again"
        house.world.kill()
        since = house.clock.wall()
        house.row("container.died", {})
        await asyncio.sleep(60)
        assert house.facts[-1].oldest_at == since
        assert house.facts[-1].waiting == 1

    house.play(story)


class Guarded(BusHouse):
    """A pump that looks at what the broker keeps before it speaks, as it does in a daemon."""

    def begin(self) -> "asyncio.Task[None]":
        twins = Twins(HOST, "n0", self.clock)
        self.options = {"guard": twins, "listeners": (twins,), "machine": "n0"}
        running = super().begin()
        twins.found = self.pump.found
        return running

    async def put_back(self, image: bytes) -> None:
        """The next process begins with an older copy of the journal."""
        self.running[0].cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.journal.close()
        self.journal = Journal.open(None, self.clock, image=image)
        self.thread = JournalThread(self.journal)
        self.world.cut()
        self.begin()
        self.row("daemon.started", {}, subject="daemon")  # before we are connected
        self.row("daemon.ready", {}, subject="daemon")


def test_an_older_copy_of_the_journal_begins_a_new_epoch_so_that_nothing_new_is_taken_for_a_repeat() -> None:
    async def story(house: BusHouse) -> None:
        assert isinstance(house, Guarded)
        got = house.world.subscribe("consumer")
        house.write(5)
        await asyncio.sleep(2)
        copy, before = house.journal.image(), house.journal.epoch
        house.write(1)
        await asyncio.sleep(2)
        await house.put_back(copy)
        await asyncio.sleep(2)
        house.write(1, "alert.resolved")
        await asyncio.sleep(2)
        after = house.journal.epoch
        assert before != after == mark(house)["epoch"] == house.facts[-1].epoch
        ids = [event["id"] for event in events(got)]
        assert ids == [*(f"{before}-{seq}" for seq in range(1, 7)), *(f"{after}-{seq}" for seq in range(6, 9))]
        assert Journal.open(None, house.clock, image=house.journal.image()).epoch == after

    Guarded().play(story)


def test_an_epoch_lasts_over_kills_broken_connections_and_whatever_stands_there() -> None:
    async def story(house: BusHouse) -> None:
        epoch = house.journal.epoch
        house.write(5)
        await asyncio.sleep(2)
        for strange in (None, b"", b"[]", b"{", b'{"machine": "n0", "epoch": 1, "last": "x"}'):
            if strange is not None:
                house.world.retained[TOPIC] = strange
            await house.kill()
            house.write(1)
            await asyncio.sleep(2)
            house.world.cut()
            await asyncio.sleep(2)
        foreign = mark(house) | {"epoch": "another", "last": 10**6}
        house.world.retained[TOPIC] = json.dumps(foreign).encode()
        await house.kill()
        await asyncio.sleep(2)
        assert house.journal.epoch == epoch == mark(house)["epoch"]

    Guarded().play(story)
