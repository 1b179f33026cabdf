"""Which broker: an external one, a mosquitto of our own, or none. The daemon is fully useful with none.

In: `mqtt:` of the settings and the state folder. Out: a `Choice`, from which daemon.py makes the pump: `make` gives a
fresh connection each time, `text` says what was chosen and why.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from supervisor.bus.address import Address, parse
from supervisor.bus.connection import Connection
from supervisor.bus.identity import client_id
from supervisor.bus.managed import Managed, Mosquitto, Patience, find
from supervisor.bus.managed.gateway import Look
from supervisor.bus.messages import availability, encode_level
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

    @property
    def trouble(self) -> str:
        """What is wrong with a broker of ours though it runs, for a person; '' if nothing is."""
        return self.managed.trouble if self.managed is not None else ""

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
    node: str = "",
    look: Look | None = None,
) -> Choice:
    """The broker to use. `program` is the mosquitto to manage; None looks for one, '' is 'there is none'. `commanders`:
    who may command over the bus. `node`: who we are (identity.py), for the client id. `look`: finds the gateway of a
    container network."""
    client = settings.client_id or client_id(node or encode_level(host))
    will = availability(host, online=False)
    if settings.url == "none":
        return Choice("none", "no messages: mqtt.url is none")
    if settings.url != "auto":
        address = address_of(settings)
        return Choice(str(address), f"messages go to {address}", Door(address, client, will))
    program = find() if program is None else program
    if not program:
        text = "no messages: no mosquitto is installed here; install it, or set mqtt.url to a broker you have"
        return Choice("none", text)
    ours = Mosquitto(
        program,
        state_dir,
        clock,
        commanders=commanders,
        prefix=settings.homeassistant.prefix,
        network=settings.gateway,
        look=look,
    )
    door = Door(ours.address, client, will)

    def connection() -> Connection:
        door.address = ours.address  # its port may be another one after a restart
        return door()

    text = f"messages go to a mosquitto of our own ({program})"
    patience = Patience()
    return Choice("our own mosquitto", text, lambda: Managed(ours, connection, patience), ours)


def address_of(settings: MqttSettings) -> Address:
    """The broker that the settings name by its URL."""
    mine = settings.username, settings.password_file
    return parse(settings.url, *mine, settings.ca_file, settings.cert_file, settings.key_file)
