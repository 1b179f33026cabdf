"""What any broker must do for us, as one suite; the simulated broker and a real mosquitto both pass it.

Each test is an async function of a `Rig`. `tests/unit/bus/test_broker_suite.py` runs them over the simulation on a
virtual clock, `tests/real/test_bus_broker.py` over mosquitto.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from supervisor.bus.link.client import QUEUE
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import Message
from supervisor.errors import BrokerError
from supervisor.ports import LARGEST_RECEIVED

HOST = "box"
WILL = Message(f"resurgam/{HOST}/availability", b"offline", 1, retain=True)
EVENT = f"resurgam/{HOST}/event/alert"
STATE = f"resurgam/{HOST}/state/daemon"
COMMANDS = f"resurgam/{HOST}/cmd"


class Rig(Protocol):
    """A broker that can be hurt."""

    def make(self) -> Connection:
        """A fresh connection, with WILL as its last will."""

    async def listen(self, pattern: str) -> Callable[[], list[bytes]]:
        """Subscribe durably; the function returned gives what was received so far."""

    async def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish as somebody else."""

    async def kill(self) -> None:
        """SIGKILL."""

    async def start(self) -> None:
        """Let it run again, with what it had on disk."""

    async def freeze(self) -> None:
        """SIGSTOP: it keeps connections and answers nothing."""

    async def thaw(self) -> None:
        """SIGCONT."""


async def eventually(check: Callable[[], bool], limit: float = 30.0) -> None:
    """Wait until it holds; fails after `limit` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + limit
    while not check():
        assert loop.time() < until, f"not within {limit}s"
        await asyncio.sleep(0.01)


async def an_event_reaches_a_subscriber(rig: Rig) -> None:
    got = await rig.listen(EVENT)
    broker = rig.make()
    await broker.connect()
    ack = await broker.publish(EVENT, b"one", 1, False, 60.0)
    assert ack.heard
    await eventually(lambda: got() == [b"one"])
    await broker.close()


async def nobody_listens_is_told(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    assert not (await broker.publish(EVENT + "/nobody", b"one", 1, False, 60.0)).heard
    await broker.close()


async def a_retained_document_stays_and_can_be_cleared(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.publish(STATE, b"{}", 1, True, 60.0)
    early = await rig.listen(STATE)
    await eventually(lambda: early() == [b"{}"])
    await broker.publish(STATE, b"", 1, True, 0.0)
    late = await rig.listen(STATE)
    await eventually(lambda: early() == [b"{}", b""])
    assert late() == []
    await broker.close()


async def many_at_once_keep_their_order(rig: Rig) -> None:
    got = await rig.listen(EVENT)
    broker = rig.make()
    await broker.connect()
    bodies = [b"%d" % number for number in range(100)]
    acks = await asyncio.gather(*(broker.publish(EVENT, body, 1, False, 0.0) for body in bodies))
    assert len(acks) == 100
    await eventually(lambda: len(got()) == 100)
    assert got() == bodies
    await broker.close()


async def what_may_not_be_written_is_refused_and_the_rest_goes_on(rig: Rig) -> None:
    got = await rig.listen(EVENT)
    broker = rig.make()
    await broker.connect()
    with pytest.raises(BrokerError) as caught:
        await broker.publish("forbidden/topic", b"one", 1, False, 0.0)
    assert caught.value.code == 0x87
    await broker.publish(EVENT, b"two", 1, False, 0.0)
    await eventually(lambda: got() == [b"two"])
    await broker.close()


async def a_dead_broker_is_noticed_at_once_and_comes_back_with_what_it_had(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.publish(STATE, b"kept", 1, True, 600.0)
    await asyncio.sleep(1.3)  # mosquitto saves its changes once a second
    await rig.kill()
    await asyncio.wait_for(broker.closed(), 1.0)
    with pytest.raises(BrokerError):
        await broker.publish(EVENT, b"one", 1, False, 0.0)
    await broker.close()
    with pytest.raises(BrokerError):
        await rig.make().connect()
    await rig.start()
    again = rig.make()
    await again.connect()
    got = await rig.listen(STATE)
    await eventually(lambda: got() == [b"kept"])
    await again.close()


async def a_publish_in_flight_fails_when_the_broker_dies(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await rig.freeze()
    waiting = [asyncio.ensure_future(broker.publish(EVENT, b"%d" % n, 1, False, 0.0)) for n in range(30)]
    await asyncio.sleep(0.05)
    assert not any(publish.done() for publish in waiting)
    await rig.kill()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1.0)
    assert [type(result) for result in results] == [BrokerError] * 30
    await broker.close()


async def a_frozen_broker_fails_a_publish_in_time(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await rig.freeze()
    with pytest.raises(BrokerError):
        await asyncio.wait_for(broker.publish(EVENT, b"one", 1, False, 0.0), 5.0)
    await asyncio.wait_for(broker.close(), 1.0)
    await rig.thaw()


async def a_goodbye_sends_no_last_will(rig: Rig) -> None:
    got = await rig.listen(WILL.topic)
    broker = rig.make()
    await broker.connect()
    await broker.publish(WILL.topic, b"online", 1, True, 0.0)
    await broker.close()
    await asyncio.wait_for(broker.closed(), 1.0)
    again = rig.make()
    await again.connect()
    await again.publish(WILL.topic, b"last", 1, True, 0.0)
    await eventually(lambda: b"last" in got())
    assert got() == [b"online", b"last"]
    await again.close()


async def letting_go_ends_the_connection_at_once(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await rig.freeze()
    waiting = asyncio.ensure_future(broker.publish(EVENT, b"one", 1, False, 0.0))
    await asyncio.sleep(0.05)
    await broker.abort()
    await asyncio.wait_for(broker.closed(), 1.0)
    with pytest.raises(BrokerError):
        await asyncio.wait_for(waiting, 1.0)
    await rig.thaw()


async def what_is_said_to_us_arrives_in_order(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/+/+")
    await rig.say(f"{COMMANDS}/phone/ack", b"one")
    await rig.say(EVENT, b"not for us")
    await rig.say(f"{COMMANDS}/phone/deny", b"two")
    got = [await asyncio.wait_for(broker.received(), 5.0) for _ in range(2)]
    assert [(one.topic, one.payload, one.retained) for one in got] == [
        (f"{COMMANDS}/phone/ack", b"one", False),
        (f"{COMMANDS}/phone/deny", b"two", False),
    ]
    await broker.close()


async def what_is_asked_for_no_more_comes_no_more(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/phone/+")
    await broker.subscribe(f"{COMMANDS}/panel/+")
    await broker.unsubscribe(f"{COMMANDS}/phone/+")
    await broker.subscribe(f"{COMMANDS}/panel/+")  # once this is answered, the other was, too
    await rig.say(f"{COMMANDS}/phone/ack", b"not any more")
    await rig.say(f"{COMMANDS}/panel/ack", b"still")
    assert (await asyncio.wait_for(broker.received(), 5.0)).payload == b"still"
    await broker.close()


async def what_the_broker_kept_says_so(rig: Rig) -> None:
    await rig.say(f"{COMMANDS}/phone/ack", b"kept", retain=True)
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/+/+")
    assert (await asyncio.wait_for(broker.received(), 5.0)).retained
    await rig.say(f"{COMMANDS}/phone/deny", b"live, and to be kept", retain=True)
    assert (await asyncio.wait_for(broker.received(), 5.0)).retained
    await broker.publish(f"{COMMANDS}/phone/ack", b"", 1, True, 0.0)
    assert (await asyncio.wait_for(broker.received(), 5.0)).payload == b""
    await broker.close()


async def a_long_message_is_cut(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/+/+")
    await rig.say(f"{COMMANDS}/phone/ack", b"x" * 10_000)
    assert len((await asyncio.wait_for(broker.received(), 5.0)).payload) == LARGEST_RECEIVED + 1
    await broker.close()


async def a_flood_is_bounded(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/+/+")
    for number in range(200):
        await rig.say(f"{COMMANDS}/phone/ack", b"%d" % number)
    await asyncio.sleep(0.2)
    got = []
    with contextlib.suppress(TimeoutError):
        while True:
            got.append((await asyncio.wait_for(broker.received(), 0.2)).payload)
    assert got == [b"%d" % number for number in range(QUEUE)]
    await broker.close()


async def who_waits_for_a_message_is_told_that_the_connection_is_gone(rig: Rig) -> None:
    broker = rig.make()
    await broker.connect()
    await broker.subscribe(f"{COMMANDS}/+/+")
    waiting = asyncio.ensure_future(broker.received())
    await asyncio.sleep(0.01)
    await rig.kill()
    with pytest.raises(BrokerError):
        await asyncio.wait_for(waiting, 2.0)
    with pytest.raises(BrokerError):
        await broker.subscribe(f"{COMMANDS}/+/+")
    await broker.close()


SUITE: tuple[Callable[[Rig], Awaitable[None]], ...] = (
    an_event_reaches_a_subscriber,
    nobody_listens_is_told,
    a_retained_document_stays_and_can_be_cleared,
    many_at_once_keep_their_order,
    what_may_not_be_written_is_refused_and_the_rest_goes_on,
    a_dead_broker_is_noticed_at_once_and_comes_back_with_what_it_had,
    a_publish_in_flight_fails_when_the_broker_dies,
    a_frozen_broker_fails_a_publish_in_time,
    a_goodbye_sends_no_last_will,
    letting_go_ends_the_connection_at_once,
    what_is_said_to_us_arrives_in_order,
    what_the_broker_kept_says_so,
    a_long_message_is_cut,
    a_flood_is_bounded,
    what_is_asked_for_no_more_comes_no_more,
    who_waits_for_a_message_is_told_that_the_connection_is_gone,
)
