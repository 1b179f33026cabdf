"""Which broker: an external one, a mosquitto of our own, or none. The daemon is fully useful with none.

In: `mqtt:` of the settings and the state folder. Out: a `Choice`, from which daemon.py makes the pump: `make` gives a
fresh connection each time, `text` says what was chosen and why.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from supervisor.bus import mosquitto
from supervisor.bus.address import parse
from supervisor.bus.connection import Connection
from supervisor.bus.messages import availability, encode_level, topic
from supervisor.bus.mosquitto import Managed, Mosquitto
from supervisor.bus.mqtt import Door
from supervisor.clock import Clock
from supervisor.config.settings import MqttSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen. `make` is None where there is no broker; `managed` is ours to close when the daemon ends."""

    name: str
    """how it is called in sentences: an address without secrets, or `none`"""
    text: str
    make: Callable[[], Connection] | None = None
    managed: Mosquitto | None = None

    async def close(self) -> None:
        """End the broker if it is ours; after the pump is closed."""
        if self.managed is not None:
            await self.managed.close()


def choose(
    settings: MqttSettings,
    host: str,
    state_dir: Path,
    clock: Clock,
    program: str | None = None,
    commanders: Iterable[str] = (),
) -> Choice:
    """The broker to use. `program` is the mosquitto to manage; None looks for one, '' is 'there is none'. `commanders`:
    who may command over the bus."""
    client = settings.client_id or f"resurgam-{encode_level(host)}"
    will = availability(host, online=False)
    if settings.url == "none":
        return Choice("none", "no messages: mqtt.url is none")
    if settings.url != "auto":
        address = parse(settings.url, settings.username, settings.password_file, settings.ca_file)
        return Choice(str(address), f"messages go to {address}", Door(address, client, will))
    program = mosquitto.find() if program is None else program
    if not program:
        text = "no messages: no mosquitto is installed here; install it, or set mqtt.url to a broker you have"
        return Choice("none", text)
    ours = Mosquitto(program, state_dir, clock, commanders={name: topic(host, "cmd", name) for name in commanders})
    door = Door(ours.address, client, will)

    def connection() -> Connection:
        door.address = ours.address  # its port may be another one after a restart
        return door()

    text = f"messages go to a mosquitto of our own ({program})"
    return Choice("our own mosquitto", text, lambda: Managed(ours, connection), ours)
