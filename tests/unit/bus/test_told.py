"""What an earlier life told of services that are gone is cleared, and nothing that may still be there is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from supervisor.bus.homeassistant import HomeAssistant
from supervisor.bus.homeassistant.room import SPACE
from supervisor.bus.messages import Message
from supervisor.bus.told import SETTLED, Told
from supervisor.bus.vanished import Vanished
from supervisor.config import Settings
from supervisor.errors import JournalError
from supervisor.facts import BusState, EngineState
from supervisor.journal import Journal, JournalThread
from tests.support.boxes import NOW, box, oracle, qdrant
from tests.support.bus import BusHouse
from tests.support.slots_shown import slot

NODE = "3f9c1e7a52d8"
TOPICS = [f"homeassistant/device/resurgam_{NODE}_{rest}/config" for rest in ("host", "service_qdrant")]
ORACLE = f"homeassistant/device/resurgam_{NODE}_service_stack_2Eoracle/config"
UP, DOWN = (EngineState(NOW, 1.0, "docker", up, "") for up in (True, False))


class Home:
    """Home Assistant's part on a pump; lives one after another share broker and journal."""

    def __init__(self, **homeassistant: Any) -> None:
        self.settings = Settings(host="omni", mqtt={"homeassistant": homeassistant})
        self.house = BusHouse()
        self.alive: asyncio.Task[None]

    def life(self, **homeassistant: Any) -> None:
        settings = Settings(host="omni", mqtt={"homeassistant": homeassistant}) if homeassistant else self.settings
        home = HomeAssistant(settings, NODE, self.house.thread, self.house.clock, None)
        self.house.options = {"boards": (home.show,), "listeners": home.listeners}
        self.home = home

    async def kill(self, **homeassistant: Any) -> None:
        self.alive.cancel()
        await asyncio.gather(self.alive, return_exceptions=True)
        self.life(**homeassistant)
        await self.house.kill()
        self.home._told._thread = self.house.thread
        self.alive = asyncio.ensure_future(self.home.run())

    def play(self, story: Callable[["Home"], Awaitable[None]]) -> None:
        async def whole(_house: BusHouse) -> None:
            self.alive = asyncio.ensure_future(self.home.run())
            await story(self)
            self.alive.cancel()

        self.life()
        self.house.play(whole)

    async def show(self, *services: Any, seconds: float = 5.0, **changes: Any) -> None:
        """How things stand, again and again."""
        changes = {"engines": (UP,), "bus": BusState(NOW, 1.0, True, "sim", ""), **changes}
        end = self.house.clock.mono() + seconds
        while self.house.clock.mono() < end:
            self.house.pump.show(box(services=services, **changes))
            await asyncio.sleep(5.0)

    @property
    def there(self) -> list[str]:
        return sorted(topic for topic in self.house.world.retained if topic.startswith("homeassistant/"))

    @property
    def listed(self) -> list[str]:
        return list(self.house.journal.space(SPACE))


def test_a_service_that_vanished_while_we_were_away_is_cleared() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle())
        assert home.there == home.listed == sorted([*TOPICS, ORACLE])
        await home.kill()
        await home.show(qdrant(), seconds=SETTLED / 2)
        assert ORACLE in home.there, "it may only not have been looked at yet"
        await home.show(qdrant(), seconds=SETTLED)
        assert home.there == TOPICS
        await home.show(qdrant(), seconds=2 * SETTLED)
        assert home.listed == TOPICS
        cleared = [topic for topic, payload in home.house.world.taken if not payload]
        assert cleared == [ORACLE], "Home Assistant warns of every clearing of what it does not know"

    Home().play(story)


def test_nothing_is_cleared_while_an_engine_does_not_answer() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle())
        await home.kill()
        for changes in ({"engines": (DOWN,)}, {"engines": ()}, {"status": "recovering"}):
            await home.show(seconds=3 * SETTLED, **changes)
            assert home.there == home.listed == sorted([*TOPICS, ORACLE])

    Home().play(story)


def test_a_service_that_comes_back_is_not_cleared() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle())
        await home.kill()
        await home.show(qdrant(), seconds=SETTLED / 2)
        await home.show(qdrant(), oracle(), seconds=3 * SETTLED)
        assert home.there == home.listed == sorted([*TOPICS, ORACLE])

    Home().play(story)


def test_what_vanishes_while_we_live_is_cleared_and_leaves_the_list_once_that_is_sure() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle(), seconds=2 * SETTLED)
        await home.show(qdrant(), seconds=SETTLED / 2)
        assert home.there == TOPICS
        assert ORACLE in home.listed, "a kill now, and the next life makes sure"
        await home.show(qdrant(), seconds=SETTLED)
        assert home.listed == TOPICS

    Home().play(story)


def test_what_vanished_while_the_broker_was_away_stays_on_the_list() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle(), seconds=2 * SETTLED)
        home.house.world.kill()
        await home.show(qdrant(), seconds=3 * SETTLED, bus=BusState(NOW, 1.0, False, "sim", "gone"))
        assert ORACLE in home.listed
        home.house.world.start()
        await home.show(qdrant(), seconds=3 * SETTLED)
        assert home.there == home.listed == TOPICS

    Home().play(story)


def test_switched_off_nothing_is_told_and_what_was_is_cleared() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle())
        await home.kill(enable=False)
        assert home.home.listeners == ()
        await home.show(qdrant(), oracle())
        assert home.there == []
        await home.show(qdrant(), oracle(), seconds=3 * SETTLED, engines=(DOWN,))
        assert home.listed == []

    Home().play(story)


def test_switched_off_from_the_start_there_is_nothing_to_do() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), seconds=2 * SETTLED)
        assert home.there == home.listed == []
        assert not [topic for topic, _payload in home.house.world.taken if topic.startswith("homeassistant/")]

    Home(enable=False).play(story)


def test_another_prefix_moves_everything() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant())
        await home.kill(prefix="ha-lab")
        await home.show(qdrant(), seconds=2 * SETTLED)
        assert home.there == []
        assert sorted(topic for topic in home.house.world.retained if topic.startswith("ha-lab/")) == [
            topic.replace("homeassistant/", "ha-lab/") for topic in TOPICS
        ]

    Home().play(story)


def test_a_journal_that_cannot_be_read_is_tried_again() -> None:
    class Broken(Journal):
        troubles = 2

        def space(self, name: str) -> dict[str, Any]:
            if name == SPACE and self.troubles:
                self.troubles -= 1
                raise JournalError("it cannot be read")
            return super().space(name)

    house = BusHouse()
    journal = Broken.open(None, house.clock)

    async def story() -> None:
        told = Told(JournalThread(journal), house.clock, SPACE)
        running = asyncio.ensure_future(told.run())
        for _ in range(200):
            assert told.leftovers(["a"], box()) == ()
            await asyncio.sleep(1.0)
        assert list(journal.space(SPACE)) == ["a"]
        running.cancel()

    house.loop.run_until_complete(story())


def test_a_clearing_is_a_retained_message_without_a_payload() -> None:
    async def story(home: Home) -> None:
        await home.show(qdrant(), oracle())
        await home.kill()
        await home.show(qdrant(), seconds=2 * SETTLED)
        found = home.home.show(box(services=(qdrant(),), engines=(UP,)))[ORACLE]
        assert found.message == Message(ORACLE, b"", retain=True)

    Home().play(story)


def test_only_services_of_the_name_we_have_are_cleared() -> None:
    """Another machine may have the name that we had."""
    house = BusHouse()

    async def story(house: BusHouse) -> None:
        found: dict[str, Any] = {}
        for host, services in (("old", (qdrant(), oracle())), ("new", (qdrant(), oracle())), ("new", (qdrant(),))):
            vanished = Vanished(host, house.thread, house.clock)
            running = asyncio.ensure_future(vanished.run())
            for _ in range(13):
                found = vanished.show(box(services=services, engines=(UP,), bus=BusState(NOW, 1.0, True, "sim", "")))
                await asyncio.sleep(10.0)
            running.cancel()
        assert list(found) == ["resurgam/new/state/container/stack.oracle"]
        assert found["resurgam/new/state/container/stack.oracle"].message.payload == b""

    house.play(story)


def test_a_slot_that_is_declared_no_more_is_cleared_by_the_next_life() -> None:
    """An earlier life told of it; the broker would keep it for a day."""
    house = BusHouse()

    async def story(_house: BusHouse) -> None:
        found: dict[str, Any] = {}
        for slots in ((slot(), slot(name="executor")), (slot(),)):
            vanished = Vanished("omni", house.thread, house.clock)
            running = asyncio.ensure_future(vanished.run())
            for _ in range(13):
                found = vanished.show(
                    box(services=(), slots=slots, engines=(UP,), bus=BusState(NOW, 1.0, True, "sim", ""))
                )
                await asyncio.sleep(10.0)
            running.cancel()
        assert list(found) == ["resurgam/omni/state/slot/executor"]
        assert found["resurgam/omni/state/slot/executor"].message.payload == b""

    house.play(story)
