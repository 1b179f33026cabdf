"""A critical alert that nobody heard over MQTT says so, until somebody hears of it or it ends."""

import asyncio

from supervisor.bus.delivery.hearing import MOST
from tests.support.bus import BusHouse

LOOK = 21.0
"""seconds until the core was told"""


async def unheard(house: BusHouse) -> tuple[str, ...]:
    await asyncio.sleep(LOOK)
    return house.facts[-1].unheard_alerts


def test_it_is_marked_while_it_fires_and_nobody_heard_of_it() -> None:
    async def story(house: BusHouse) -> None:
        house.alert("firing", "a", "critical")
        house.alert("firing", "b", "critical")
        house.alert("firing", "c", "warning")
        assert await unheard(house) == ("a", "b"), "of lesser ones nobody is told in another way"
        house.world.subscribe("phone")
        assert await unheard(house) == ("a", "b"), "who comes later has not heard it"
        house.alert("firing", "b", "critical")  # a silence is over: it is told again
        assert await unheard(house) == ("a",)
        house.alert("resolved", "a", "critical")
        assert await unheard(house) == ()

    BusHouse().play(story)


def test_the_end_of_one_takes_the_mark_away_though_nobody_hears_that_either() -> None:
    async def story(house: BusHouse) -> None:
        house.alert("firing", "a", "critical")
        house.alert("resolved", "a", "critical")
        assert await unheard(house) == ()

    BusHouse().play(story)


def test_a_restart_forgets_no_mark_and_makes_none() -> None:
    async def story(house: BusHouse) -> None:
        for mark in ("unheard", "heard", "over", "again"):
            house.alert("firing", mark, "critical")
        house.alert("resolved", "over", "critical")
        await asyncio.sleep(1)
        house.world.subscribe("phone")
        house.alert("firing", "heard", "critical")
        await asyncio.sleep(1)
        await house.kill()
        assert await unheard(house) == ("unheard", "again")

    BusHouse().play(story)


def test_what_is_kept_of_them_is_bounded() -> None:
    async def story(house: BusHouse) -> None:
        for number in range(MOST + 20):
            house.alert("firing", f"f{number}", "critical")
        found = await unheard(house)
        assert len(found) == MOST
        assert "f0" not in found, "the newest are kept"
        assert f"f{MOST + 19}" in found

    BusHouse().play(story)
