"""Which broker: an external one, a mosquitto of our own, or none. The daemon is fully useful with none.

In: the settings. Out: a `Choice`, from which telling.py makes the pump: `make` gives a
fresh connection each time, `text` says what was chosen and why.
"""

from collections.abc import Callable
from dataclasses import dataclass

from supervisor.bus.identity import client_id
from supervisor.bus.link.address import Address, parse
from supervisor.bus.link.connection import Connection
from supervisor.bus.link.mqtt import Door
from supervisor.bus.managed import Managed, Mosquitto, Patience, find
from supervisor.bus.managed.gateway import Look
from supervisor.bus.messages import availability
from supervisor.clock import Clock
from supervisor.config.settings import MqttSettings, Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen. `make` is None where there is no broker; `managed` is ours to close when the daemon ends."""

    name: str
    """how it is called in sentences: an address without secrets, or `none`"""
    text: str
    make: Callable[[], Connection] | None = None
    managed: Mosquitto | None = None

    @property
    def trouble(self) -> str:
        """What is wrong with a broker of ours though it runs, for a person; '' if nothing is."""
        return self.managed.trouble if self.managed is not None else ""

    async def close(self) -> None:
        """End the broker if it is ours; after the pump is closed."""
        if self.managed is not None:
            await self.managed.close()


def choose(settings: Settings, clock: Clock, program: str | None = None, look: Look | None = None) -> Choice:
    """The broker to use. `program` is the mosquitto to manage; None looks for one, '' is 'there is none'. `look`: finds
    the gateway of a container network."""
    client = settings.mqtt.client_id or client_id(settings.state_dir, clock)
    will = availability(settings.host, online=False)
    if settings.mqtt.url == "none":
        return Choice("none", "no messages: mqtt.url is none")
    if settings.mqtt.url != "auto":
        address = address_of(settings.mqtt)
        return Choice(str(address), f"messages go to {address}", Door(address, client, will))
    program = find() if program is None else program
    if not program:
        text = "no messages: no mosquitto is installed here; install it, or set mqtt.url to a broker you have"
        return Choice("none", text)
    ours = own(settings, clock, program, look)
    door = Door(ours.address, client, will)

    def connection() -> Connection:
        door.address = ours.address  # its port may be another one after a restart
        return door()

    text = f"messages go to a mosquitto of our own ({program})"
    patience = Patience()
    return Choice("our own mosquitto", text, lambda: Managed(ours, connection, patience), ours)


def own(settings: Settings, clock: Clock, program: str, look: Look | None = None) -> Mosquitto:
    """The managed broker that these settings describe."""
    return Mosquitto(
        program,
        settings.state_dir,
        clock,
        commanders=settings.commands.principals,
        prefix=settings.mqtt.homeassistant.prefix,
        network=settings.mqtt.gateway,
        look=look,
    )


def address_of(settings: MqttSettings) -> Address:
    """The broker that the settings name by its URL."""
    mine = settings.username, settings.password_file
    return parse(settings.url, *mine, settings.ca_file, settings.cert_file, settings.key_file)
