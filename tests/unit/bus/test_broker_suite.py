"""The simulated broker passes the suite that mosquitto passes (tests/real/test_bus_broker.py)."""

from collections.abc import Callable

import pytest

from supervisor.bus.inbox import takes
from supervisor.bus.link.connection import Connection
from supervisor.lab.broker import SimBrokerWorld
from supervisor.lab.loop import SimLoop
from tests.support.broker import SUITE, WILL


class SimRig:
    def __init__(self) -> None:
        self.world = SimBrokerWorld(will=WILL, denied=("forbidden/",), ack_limit=2.0)
        self._listeners = 0

    def make(self) -> Connection:
        return self.world()

    async def listen(self, pattern: str) -> Callable[[], list[bytes]]:
        self._listeners += 1
        found = self.world.subscribe(f"listener{self._listeners}", pattern)
        return found.payloads

    async def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.world.take(topic, payload, retain)

    async def kill(self) -> None:
        self.world.thaw()
        self.world.kill()

    async def start(self) -> None:
        self.world.start()

    async def freeze(self) -> None:
        self.world.freeze()

    async def thaw(self) -> None:
        self.world.thaw()


@pytest.mark.parametrize("behaviour", SUITE, ids=lambda function: function.__name__)
def test_the_simulated_broker_behaves_as_a_real_one(behaviour) -> None:
    SimLoop().run_until_complete(behaviour(SimRig()))


@pytest.mark.parametrize(
    ("pattern", "topic", "answer"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("a/b/c", "a/b", False),
    ],
)
def test_filters_match_as_in_mqtt(pattern: str, topic: str, answer: bool) -> None:
    assert takes(pattern, topic) is answer
