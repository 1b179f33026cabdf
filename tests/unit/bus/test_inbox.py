"""Who hears what comes to us; and that whoever talks too much is left alone, and nobody else for it."""

import asyncio
from collections.abc import Awaitable, Callable

from supervisor.bus.inbox import AGAIN, LEFT_ALONE, LOUD, Inbox
from supervisor.bus.link.connection import Connection
from supervisor.errors import BrokerError
from supervisor.lab.broker import SimBroker, SimBrokerWorld
from supervisor.lab.loop import SimLoop
from supervisor.ports import Received

CMD = "resurgam/box/cmd"


class Ear:
    """Hears every command, and each principal's own."""

    patterns = (f"{CMD}/+/+", f"{CMD}/alice/+", f"{CMD}/bob/+")

    def __init__(self) -> None:
        self.got: list[str] = []

    def refused(self, pattern: str, why: str) -> None:
        return

    async def heard(self, broker: Connection, message: Received) -> None:
        self.got.append(message.topic.removeprefix(f"{CMD}/"))


class House:
    """An inbox at a simulated broker."""

    def __init__(self) -> None:
        self.world, self.ear = SimBrokerWorld(), Ear()
        self.inbox = Inbox([self.ear])
        self.unanswered = 0

    async def begin(self) -> "asyncio.Task[None]":
        house = self

        class Late(SimBroker):
            async def subscribe(self, pattern: str, qos: int = 1) -> None:
                if house.unanswered:
                    house.unanswered -= 1
                    raise BrokerError("no answer")
                await super().subscribe(pattern, qos)

        broker = Late(self.world)
        await broker.connect()
        assert await self.inbox.subscribe(broker)
        return asyncio.ensure_future(self.inbox.serve(broker))

    async def flood(self, who: str, count: int = 2 * LOUD) -> None:
        """So many messages in a fifth of a second."""
        for number in range(count):
            self.world.take(f"{CMD}/{who}/ack", b"{}", False)
            if number % 20 == 19:
                await asyncio.sleep(0.2 * 20 / count)

    async def hears(self, who: str) -> bool:
        """Whether one message of theirs is heard now."""
        self.ear.got.clear()
        self.world.take(f"{CMD}/{who}/ack", b"{}", False)
        await asyncio.sleep(0.1)
        return self.ear.got == [f"{who}/ack"]


def play(story: Callable[[House], Awaitable[None]]) -> None:
    async def whole() -> None:
        house = House()
        serving = await house.begin()
        try:
            await story(house)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        assert house.inbox.crashes == 0

    SimLoop().run_until_complete(whole())


def test_a_stranger_who_talks_too_much_is_left_alone_and_principals_are_heard() -> None:
    async def story(house: House) -> None:
        await house.flood("stranger")
        assert len(house.ear.got) <= LOUD
        assert "resurgam/box/cmd/+/+, so nothing is heard there for a minute" in house.inbox.trouble
        assert [await house.hears(who) for who in ("alice", "bob", "stranger")] == [True, True, False]
        await asyncio.sleep(LEFT_ALONE)
        assert house.inbox.trouble == ""
        assert [await house.hears(who) for who in ("alice", "bob", "stranger")] == [True, True, True]

    play(story)


def test_a_principal_who_talks_too_much_silences_nobody_else() -> None:
    async def story(house: House) -> None:
        await house.flood("alice", 4 * LOUD)
        assert [await house.hears(who) for who in ("alice", "bob")] == [False, True]

    play(story)


def test_a_new_connection_does_not_begin_with_the_flood() -> None:
    async def story(house: House) -> None:
        await house.flood("stranger")
        house.world.cut()
        again = await house.begin()
        assert [await house.hears(who) for who in ("alice", "stranger")] == [True, False]
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    play(story)


def test_an_answer_that_comes_too_late_is_asked_for_again() -> None:
    async def story(house: House) -> None:
        house.unanswered = 1
        await house.flood("stranger")
        await asyncio.sleep(AGAIN + 0.1)
        assert [await house.hears(who) for who in ("alice", "bob", "stranger")] == [True, True, False]

    play(story)


def test_what_people_say_in_a_hurry_is_no_flood() -> None:
    async def story(house: House) -> None:
        for _ in range(10):
            await house.flood("alice", LOUD // 2)
            await asyncio.sleep(1.0)
        assert (len(house.ear.got), house.inbox.trouble) == (5 * LOUD, "")

    play(story)
