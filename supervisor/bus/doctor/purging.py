"""Messages that the broker keeps for a box though nothing stands behind them any more.

In: what is kept, and what there is. Out: the topics to clear, always below our own `resurgam/<host>/`, or a
device of this very machine in Home Assistant; and their clearing. Topics of other hosts are never touched.
"""

from collections.abc import Sequence

from supervisor.bus.doctor.looking import CONNECT_LIMIT, Seen
from supervisor.bus.homeassistant.names import config_topic, host_device, service_device
from supervisor.bus.link.address import Address
from supervisor.bus.link.mqtt import Door
from supervisor.bus.messages import topic
from supervisor.clock import Clock


def leftovers(seen: Seen) -> tuple[str, ...]:
    """Topics of services that are no more, and commands, replies and events that somebody had kept: none of those is
    ever to be kept. Where no daemon answers nobody knows which services there are."""
    house = seen.house
    base = topic(house.host)
    lost = [where for where in seen.kept if where.startswith((f"{base}/cmd/", f"{base}/reply/", f"{base}/event/"))]
    if house.services is not None:
        there = {topic(house.host, "state", "container", service=name) for name in house.services}
        lost += [where for where in seen.kept if where.startswith(f"{base}/state/container/") and where not in there]
        devices = {config_topic(house.prefix, service_device(house.node, name)) for name in house.services}
        lost += [where for where in _discovered(seen, service_device(house.node, "")) if where not in devices]
    return tuple(sorted(lost))


def everything(seen: Seen) -> tuple[str, ...]:
    """Every topic of this box, and its devices in Home Assistant, for one that is given away."""
    base = topic(seen.house.host)
    mine = [where for where in seen.kept if where.startswith(f"{base}/")]
    return tuple(sorted([*mine, *_discovered(seen, host_device(seen.house.node).removesuffix("host"))]))


def _discovered(seen: Seen, beginning: str) -> list[str]:
    """Topics of devices of this very machine whose ids begin so. Without knowing who we are, none."""
    if not seen.house.node:
        return []
    parts = config_topic(seen.house.prefix, beginning).removesuffix("/config")
    return [where for where in seen.discovery if where.startswith(parts) and where.endswith("/config")]


async def clear(address: Address, topics: Sequence[str], clock: Clock) -> None:
    """Clear them. BrokerError where one cannot be."""
    door = Door(address, f"resurgam-purge-{clock.token(4)}", None, ack_limit=CONNECT_LIMIT, connect_limit=CONNECT_LIMIT)
    broker = door()
    await broker.connect()
    try:
        for where in topics:
            await broker.publish(where, b"", 1, True, 0.0)
    finally:
        await broker.close()
