"""The switch `Healing paused`: what Home Assistant sends becomes an ordinary command, and nothing else does."""

import asyncio
import json
from typing import Any

import pytest

from supervisor.bus.commands import read
from supervisor.bus.homeassistant import HomeAssistant
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.homeassistant.host import device
from supervisor.bus.homeassistant.switch import HealingSwitch
from supervisor.bus.inbox import Inbox
from supervisor.bus.link.connection import Connection
from supervisor.config import Settings
from supervisor.lab.broker import SimBroker, SimBrokerWorld
from supervisor.ports import Received
from tests.support.bus import BusHouse
from tests.support.ha import rendered

BOTH = {"homeassistant": ["pause", "resume"]}
BASE = "resurgam/omni/cmd/homeassistant"


class Heard:
    """Who hears commands."""

    patterns = ("resurgam/omni/cmd/+/+",)

    def __init__(self) -> None:
        self.got: list[Received] = []

    def refused(self, pattern: str, why: str) -> None:
        return

    async def heard(self, broker: Connection, message: Received) -> None:
        self.got.append(message)


def passed(payload: bytes, retained: bool = False) -> Received:
    heard = Heard()
    switch = HealingSwitch("omni", heard)
    asyncio.run(switch.heard(SimBroker(SimBrokerWorld()), Received(f"{BASE}/healing", payload, retained)))
    assert len(heard.got) == 1, "every message is judged, so that every one is told of"
    return heard.got[0]


def moved(word: str) -> bytes:
    template = device(Place("n", "omni", "1", ("pause", "resume"))).entities["healing_paused"]["command_template"]
    return rendered(template, value=word).encode()


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_moving_the_switch_is_a_command(verb: str) -> None:
    entity: Any = device(Place("n", "omni", "1", ("pause", "resume"))).entities["healing_paused"]
    message = passed(moved(entity["payload_on" if verb == "pause" else "payload_off"]))
    assert message.topic == f"{BASE}/{verb}"
    command, wrong = read(message.payload)
    assert wrong == ""
    assert (command.target, dict(command.params)) == ("", {})
    assert command.id.startswith("ha-healing-")
    assert command.at is not None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"pause",
        b"[]",
        b'{"verb":"stop","id":"a","target":"oracle"}',
        b'{"verb":["pause"],"id":"a"}',
        b'{"verb":"pause","verb":"resume","id":"a"}',
        b'{"id":"a"}',
        b'{"verb":"pause","id":"' + b"a" * 5000 + b'"}',
        b"\xff",
        b"[" * 3000,
    ],
)
def test_anything_else_is_handed_on_as_it_came_and_is_an_unknown_command(payload: bytes) -> None:
    message = passed(payload)
    assert (message.topic, message.payload) == (f"{BASE}/healing", payload)


def test_what_the_broker_kept_stays_where_it_is_so_that_it_is_refused_and_cleared() -> None:
    message = passed(moved("resume"), retained=True)
    assert (message.topic, message.retained) == (f"{BASE}/healing", True)


def test_what_is_inside_the_command_goes_along_untouched() -> None:
    body = {"verb": "pause", "id": "a", "params": {"for": "1h"}, "sig": "x", "zzz": 1}
    command = json.loads(passed(json.dumps(body).encode()).payload)
    assert command == {"id": "a", "params": {"for": "1h"}, "sig": "x", "zzz": 1}


def test_the_broker_is_asked_for_a_message_once_though_two_want_it() -> None:
    asked: list[str] = []

    class Asked(SimBroker):
        async def subscribe(self, pattern: str, qos: int = 1) -> None:
            asked.append(pattern)

    heard = Heard()
    inbox = Inbox([HealingSwitch("omni", heard), heard])
    assert asyncio.run(inbox.subscribe(Asked(SimBrokerWorld())))
    assert asked == ["resurgam/omni/cmd/+/+"], "a broker may send it once for each subscription"


def test_it_is_there_only_for_one_who_may() -> None:
    house = BusHouse()
    for principals, there in (
        ({}, 0),
        ({"phone": ["pause", "resume"]}, 0),
        ({"homeassistant": ["pause"]}, 0),
        (BOTH, 1),
    ):
        settings = Settings(host="omni", commands={"principals": principals})
        home = HomeAssistant(settings, "n", house.thread, house.clock, Heard() if principals else None)
        assert len(home.listeners) == 1 + there
