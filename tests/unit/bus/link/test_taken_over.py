"""A broker that ends our connection because another client has our client id: the reason is told, not the bare code."""

import asyncio

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from supervisor.bus.link.address import Address
from supervisor.bus.link.client import TAKEN_OVER, Client
from supervisor.bus.messages import availability


@pytest.mark.parametrize(
    ("code", "text"),
    [(TAKEN_OVER, "a cloned machine needs a state folder of its own"), (0x8B, "the connection to the broker was lost")],
)
async def test_the_reason_of_a_lost_connection_is_told(code: int, text: str) -> None:
    client = Client(
        Address("tcp", "127.0.0.1", 1),
        "same",
        availability("box", online=False),
        five=True,
        secret=None,
        tls=None,
        limit=1.0,
        told=lambda _mid, _code: None,
        heard=lambda _message: None,
    )
    lost: list[str] = []
    client.on_lost(lost.append)
    reason = ReasonCode(PacketTypes.DISCONNECT, identifier=code)
    client._disconnected.set_exception(aiomqtt.MqttCodeError(reason, "Unexpected disconnection"))
    with pytest.raises(aiomqtt.MqttCodeError):
        await client._disconnected
    await asyncio.sleep(0)
    assert text in lost[0]
