"""When Home Assistant starts, everything is told again, after a moment that differs from host to host."""

import asyncio

import pytest

from supervisor.bus.homeassistant import HomeAssistant
from supervisor.bus.homeassistant.birth import LATEST, PAUSE, SOONEST, STATUS
from supervisor.config import Settings
from tests.support.bus import BusHouse, snapshot

CONFIG = "homeassistant/device/resurgam_n_host/config"
DAEMON = "resurgam/box/state/daemon"


class Watched:
    """A pump with Home Assistant's listener."""

    def __init__(self, prefix: str = "homeassistant") -> None:
        self.house = BusHouse()
        settings = Settings(host="box", mqtt={"homeassistant": {"prefix": prefix}})
        self.home = HomeAssistant(settings, "n", self.house.thread, self.house.clock, None)
        self.house.options = {"boards": (self.home.show,), "listeners": self.home.listeners}

    async def begin(self) -> None:
        self.home.refreshes(self.house.pump.refresh)
        self.house.pump.show(snapshot())
        await asyncio.sleep(1.0)
        self.house.world.taken.clear()

    def times(self, topic: str) -> int:
        return len([where for where, _payload in self.house.world.taken if where == topic])


@pytest.mark.parametrize("retain", [True, False])
def test_everything_is_told_again(retain: bool) -> None:
    watched = Watched()

    async def story(house: BusHouse) -> None:
        await watched.begin()
        house.world.retained.clear()  # the broker was restarted without its memory
        house.world.take(STATUS, b"online", retain)
        house.world.taken.clear()
        await asyncio.sleep(SOONEST - 0.1)
        assert watched.times(CONFIG) == 0, "many hosts on one broker do not all speak at once"
        await asyncio.sleep(LATEST)
        assert (watched.times(CONFIG), watched.times(DAEMON)) == (1, 1)
        assert CONFIG in house.world.retained

    watched.house.play(story)


def test_what_the_broker_kept_of_it_counts_too() -> None:
    watched = Watched()
    watched.house.world.retained[STATUS] = b"online"

    async def story(house: BusHouse) -> None:
        await watched.begin()
        await asyncio.sleep(LATEST)
        assert watched.times(CONFIG) == 1

    watched.house.play(story)


def test_however_often_it_is_said_it_is_told_once() -> None:
    watched = Watched()

    async def story(house: BusHouse) -> None:
        await watched.begin()
        for _ in range(50):
            house.world.take(STATUS, b"online", False)
        await asyncio.sleep(2 * LATEST)
        assert watched.times(CONFIG) == 1

    watched.house.play(story)


def test_who_says_it_all_the_time_makes_no_storm() -> None:
    watched = Watched()

    async def story(house: BusHouse) -> None:
        await watched.begin()
        for _ in range(180):
            house.world.take(STATUS, b"online", False)
            await asyncio.sleep(1.0)
        assert 3 <= watched.times(CONFIG) <= 4

    watched.house.play(story)


@pytest.mark.parametrize("payload", [b"offline", b"", b"ONLINE", b"\xff", b"x" * 5000])
def test_anything_else_changes_nothing(payload: bytes) -> None:
    watched = Watched()

    async def story(house: BusHouse) -> None:
        await watched.begin()
        house.world.take(STATUS, payload, False)
        await asyncio.sleep(2 * LATEST)
        assert watched.times(CONFIG) == 0
        assert house.pump.inbox.crashes == 0

    watched.house.play(story)


def test_with_another_prefix_both_topics_are_heard() -> None:
    watched = Watched("lab")

    async def story(house: BusHouse) -> None:
        await watched.begin()
        for where in (STATUS, "lab/status"):
            house.world.taken.clear()
            house.world.take(where, b"online", False)
            await asyncio.sleep(2 * LATEST)
            assert watched.times("lab/device/resurgam_n_host/config") == 1
            await asyncio.sleep(PAUSE)

    watched.house.play(story)


def test_a_broker_that_does_not_let_us_read_it_is_no_trouble() -> None:
    watched = Watched()
    watched.house.world.denied = ("homeassistant/",)

    async def story(house: BusHouse) -> None:
        await watched.begin()
        assert "resurgam/box/availability" in house.world.retained
        assert house.world.connects == 1

    watched.house.play(story)


def test_it_started_while_we_were_cut_off() -> None:
    watched = Watched()

    async def story(house: BusHouse) -> None:
        await watched.begin()
        house.world.take(STATUS, b"online", False)
        await asyncio.sleep(0.5)
        house.world.cut()
        await asyncio.sleep(3 * LATEST)
        assert watched.times(CONFIG) >= 1
        assert house.pump.crashes == 0

    watched.house.play(story)
