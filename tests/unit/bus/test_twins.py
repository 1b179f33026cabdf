"""Two machines with one name at one broker: exactly one of them speaks, whoever came first and whatever is lost."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from supervisor.bus.delivery.pump import Pump
from supervisor.bus.inbox import Inbox
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import availability
from supervisor.bus.twins import AGAIN, GRACE, LOOK, STANDS_STILL, Twins
from supervisor.clock import ManualClock
from supervisor.errors import BrokerError
from supervisor.facts import BusState, Fact
from supervisor.journal import Journal, JournalThread
from supervisor.lab.broker import WILL_DELAY, SimBroker, SimBrokerWorld
from supervisor.lab.loop import SimLoop
from supervisor.ports import Received
from tests.support.bus import HOST, snapshot

BASE = f"resurgam/{HOST}"


@dataclass
class Machine:
    """One daemon's way to the broker."""

    node: str
    world: SimBrokerWorld
    clock: ManualClock
    told: list[BusState] = field(default_factory=list)
    made: list[SimBroker] = field(default_factory=list)
    running: "asyncio.Future[None] | None" = None

    def __post_init__(self) -> None:
        self.twins = Twins(HOST, self.node, self.clock)
        thread = JournalThread(Journal.open(None, self.clock))
        self.pump = Pump(
            thread,
            self._connect,
            self.clock,
            HOST,
            self._submit,
            listeners=[self.twins],
            guard=self.twins,
            machine=self.node,
        )
        self.twins.give_up, self.twins.refresh = self.pump.give_up, self.pump.refresh
        self.twins.say_online, self.twins.put_back = self.pump.say_online, self.pump.inbox.put_back

    def _connect(self) -> Connection:
        self.made.append(SimBroker(self.world))
        return self.made[-1]

    def _submit(self, fact: Fact) -> None:
        assert isinstance(fact, BusState)
        self.told.append(fact)

    def start(self, version: str = "") -> None:
        self.pump.show(snapshot(version=version or self.node))
        self.running = asyncio.ensure_future(self.pump.run())

    @property
    def speaks(self) -> bool:
        return bool(self.told) and self.told[-1].connected

    async def stop(self) -> None:
        await self.pump.close()

    def die(self) -> None:
        """SIGKILL: not a word more, and the broker says the rest."""
        assert self.running is not None
        self.running.cancel()
        for broker in self.made:
            broker.lose("killed")
        # not the world's own way: there every connection has one client id, and any of them takes the will back
        will = (f"{BASE}/availability", b"offline", True)
        asyncio.get_running_loop().call_later(WILL_DELAY, self.world.take, *will)


@dataclass
class Stage:
    world: SimBrokerWorld
    clock: ManualClock
    machines: list[Machine] = field(default_factory=list)

    def machine(self, node: str) -> Machine:
        self.machines.append(Machine(node, self.world, self.clock))
        return self.machines[-1]

    def kept(self, topic: str) -> Any:
        found = self.world.retained.get(f"{BASE}/{topic}", b"")
        return json.loads(found) if found[:1] == b"{" else found.decode()

    @property
    def owner(self) -> str:
        """Whose the documents are; they must all be of one machine."""
        owners = {self.kept("journal")["machine"], self.kept("state/daemon")["version"]}
        assert len(owners) == 1, owners
        return owners.pop()


def play(story: Callable[[Stage], Awaitable[None]], seed: int = 0) -> None:
    clock = ManualClock(seed=seed)
    loop = SimLoop(clock)

    async def told() -> None:
        stage = Stage(SimBrokerWorld(will=availability(HOST, online=False)), clock)
        try:
            await story(stage)
        finally:
            for machine in stage.machines:
                if machine.running is not None and not machine.running.done():
                    machine.running.cancel()
                    await asyncio.gather(machine.running, return_exceptions=True)

    try:
        loop.run_until_complete(told())
    finally:
        loop.close()


def test_one_alone_waits_no_longer_than_a_look_and_then_speaks() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("aaa")
        one.start()
        await asyncio.sleep(LOOK + 0.2)
        assert one.speaks
        assert (stage.owner, stage.kept("availability")) == ("aaa", "online")

    play(story)


def test_who_comes_second_says_not_a_word_and_says_why() -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.machine("bbb"), stage.machine("aaa")
        one.start()
        await asyncio.sleep(2)
        before = len(stage.world.taken)
        two.start()
        await asyncio.sleep(120)
        assert one.speaks
        assert not two.speaks
        text = two.told[-1].text
        assert "node bbb" in text
        assert "`host`" in text
        assert two.twins.trouble == text
        assert stage.owner == "bbb"
        written = [topic for topic, payload in stage.world.taken[before:] if b"aaa" in payload]
        assert not written
        # its connections ended with a goodbye: no last will spoke for the other one
        assert (f"{BASE}/availability", b"offline") not in stage.world.taken
        assert stage.kept("availability") == "online"

    play(story)


def test_the_name_is_free_when_its_owner_ends_or_dies() -> None:
    async def story(stage: Stage) -> None:
        one, two, three = stage.machine("bbb"), stage.machine("ccc"), stage.machine("ddd")
        one.start()
        await asyncio.sleep(2)
        two.start()
        await asyncio.sleep(2)
        await one.stop()
        await asyncio.sleep(31)
        assert two.speaks
        lost = [state.text for state in two.told[[state.connected for state in two.told].index(True) :]]
        assert all(text.startswith("connected") for text in lost), "it came once, and stayed"
        assert two.twins.trouble == ""
        assert stage.owner == "ccc"
        two.die()
        three.start()
        await asyncio.sleep(2)
        assert not three.speaks, "the broker does not know yet that it is gone"
        await asyncio.sleep(WILL_DELAY + 31)
        assert three.speaks
        assert stage.owner == "ddd"

    play(story)


def test_a_restart_of_our_own_is_no_twin() -> None:
    async def story(stage: Stage) -> None:
        one, again = stage.machine("bbb"), stage.machine("bbb")
        one.start()
        await asyncio.sleep(2)
        one.die()
        again.start()
        await asyncio.sleep(1)
        assert again.speaks
        assert stage.kept("availability") == "online"

    play(story)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("gap", [0.0, 0.001, 0.1, LOOK])
def test_two_that_begin_at_once_are_soon_one(seed: int, gap: float) -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.machine("bbb"), stage.machine("aaa")
        one.start()
        await asyncio.sleep(gap)
        two.start()
        await asyncio.sleep(WILL_DELAY + 10)
        assert [one.speaks, two.speaks].count(True) == 1
        assert stage.owner == ("bbb" if one.speaks else "aaa")
        assert stage.kept("availability") == "online"
        if gap == 0.0:
            assert two.speaks, "both spoke: the smaller one stays"
        await asyncio.sleep(120)
        assert [one.speaks, two.speaks].count(True) == 1

    play(story, seed)


def test_one_that_says_online_and_never_moves_is_dead() -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        world.retained[f"{BASE}/availability"] = b"online"
        world.retained[f"{BASE}/journal"] = json.dumps({"machine": "gone", "epoch": "x"}).encode()
        one = stage.machine("bbb")
        one.start()
        await asyncio.sleep(STANDS_STILL - 40)
        assert not one.speaks
        await asyncio.sleep(80)
        assert one.speaks
        assert stage.owner == "bbb"

    play(story)


@pytest.mark.parametrize("seed", range(4))
def test_after_a_broker_forgot_everything_the_owner_comes_before_the_one_that_waited(seed: int) -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.machine("bbb"), stage.machine("aaa")
        one.start()
        await asyncio.sleep(2)
        two.start()
        await asyncio.sleep(60)
        stage.world.kill()
        stage.world.retained.clear()
        await asyncio.sleep(20)
        stage.world.start()
        await asyncio.sleep(GRACE + 60)
        assert (one.speaks, two.speaks) == (True, False)
        assert stage.owner == "bbb"

    play(story, seed)


def test_who_waited_gets_the_name_when_the_owner_never_comes_back_to_an_empty_broker() -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.machine("bbb"), stage.machine("aaa")
        one.start()
        await asyncio.sleep(2)
        two.start()
        await asyncio.sleep(10)
        one.die()
        stage.world.kill()
        stage.world.retained.clear()
        stage.world.start()
        await asyncio.sleep(GRACE + 62)
        assert two.speaks

    play(story)


def test_whatever_a_passing_twin_writes_over_ours_is_put_right_each_time() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("bbb")
        one.start()
        await asyncio.sleep(2)
        for number in range(5):
            for topic, payload in (("journal", b'{"machine": "ccc"}'), ("state/daemon", b'{"version": "ccc"}')):
                stage.world.take(f"{BASE}/{topic}", payload, True)
            await asyncio.sleep(0.3 * number)
        await asyncio.sleep(4)
        assert one.speaks
        assert stage.owner == "bbb"

    play(story)


def test_one_that_writes_over_ours_all_the_time_does_not_make_us_as_loud() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("bbb")
        one.start()
        await asyncio.sleep(2)
        stage.world.taken.clear()
        for _ in range(200):
            stage.world.take(f"{BASE}/journal", b'{"machine": "ccc"}', True)
            await asyncio.sleep(0.1)
        said = [payload for topic, payload in stage.world.taken if topic == f"{BASE}/journal" and b"bbb" in payload]
        assert 20 / AGAIN - 2 <= len(said) <= 20 / AGAIN + 2

    play(story)


def test_another_ones_last_will_is_answered() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("bbb")
        one.start()
        await asyncio.sleep(2)
        stage.world.take(f"{BASE}/availability", b"offline", True)
        await asyncio.sleep(0.5)
        assert stage.kept("availability") == "online"
        await one.stop()
        assert stage.kept("availability") == "offline", "our own last word stands"

    play(story)


def test_who_may_not_read_there_speaks_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("bbb")
        broker = Deaf(stage.world)
        await broker.connect()
        assert await one.twins(broker) == ""

    play(story)


class Deaf(SimBroker):
    """Lets nobody read."""

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        raise BrokerError("no", 0x87)


def test_commands_that_a_session_kept_for_us_are_not_lost_to_the_look() -> None:
    class Ear:
        patterns = (f"{BASE}/cmd/+/+",)

        def __init__(self) -> None:
            self.got: list[bytes] = []

        def refused(self, pattern: str, why: str) -> None:
            return

        async def heard(self, broker: Connection, message: Received) -> None:
            self.got.append(message.payload)

    async def story(stage: Stage) -> None:
        one, ear = stage.machine("bbb"), Ear()
        inbox = Inbox([ear])
        one.twins.put_back = inbox.put_back
        broker = SimBroker(stage.world)
        await broker.connect()
        await broker.subscribe(f"{BASE}/cmd/+/+")  # as the session of an earlier connection
        stage.world.take(f"{BASE}/cmd/phone/ack", b"one", False)
        assert await one.twins(broker) == ""
        stage.world.take(f"{BASE}/cmd/phone/ack", b"two", False)
        assert await inbox.subscribe(broker)
        serving = asyncio.ensure_future(inbox.serve(broker))
        await asyncio.sleep(0.1)
        assert ear.got == [b"one", b"two"]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    play(story)


@pytest.mark.parametrize("payload", [b"", b"[]", b"3", b"null", b"{", b'{"machine": 3}', b"\xff", b"[" * 5000])
def test_a_watermark_that_says_nothing_stands_in_nobodys_way(payload: bytes) -> None:
    async def story(stage: Stage) -> None:
        stage.world.retained[f"{BASE}/journal"] = payload
        stage.world.retained[f"{BASE}/availability"] = b"online"
        one = stage.machine("bbb")
        one.start()
        await asyncio.sleep(1)
        assert one.speaks
        stage.world.take(f"{BASE}/journal", payload, False)
        await asyncio.sleep(1)
        assert one.speaks

    play(story)


def test_a_connection_that_is_lost_right_away_again_and_again_names_the_client_id() -> None:
    async def story(stage: Stage) -> None:
        one = stage.machine("bbb")
        one.start()
        for _ in range(40):
            await asyncio.sleep(1.5)
            if one.speaks:
                stage.world.cut()
        assert any("another client may use our client id" in state.text for state in one.told if not state.connected)

    play(story)
