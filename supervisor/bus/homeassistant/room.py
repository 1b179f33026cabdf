"""Home Assistant's part of the bus, wired.

In: the settings, and snapshots. Out: documents for the pump's board, and listeners for its inbox. Used by
`bus/telling.py`. Where `mqtt.homeassistant.enable` is false nothing is told, and what an earlier life told is cleared.
"""

from collections.abc import Callable

from supervisor.bus.homeassistant.birth import Birth
from supervisor.bus.homeassistant.devices import Devices
from supervisor.bus.homeassistant.entities import PRINCIPAL, Place
from supervisor.bus.homeassistant.host import SWITCHES
from supervisor.bus.homeassistant.switch import HealingSwitch
from supervisor.bus.inbox import Listener
from supervisor.bus.state import Document, cleared
from supervisor.bus.told import Told
from supervisor.clock import Clock
from supervisor.config.settings import Settings
from supervisor.facts import Snapshot
from supervisor.journal import JournalThread

SPACE = "discovery"
"""of the journal: the topics that Home Assistant was told of"""


class HomeAssistant:
    """What Home Assistant is shown, and what it says. `node`: who we are (bus/identity.py)."""

    def __init__(
        self, settings: Settings, node: str, thread: JournalThread, clock: Clock, commands: Listener | None
    ) -> None:
        self._settings, self._node = settings.mqtt.homeassistant, node
        mine = settings.commands.principals.get(PRINCIPAL)
        self._verbs = mine.verbs if mine is not None and commands is not None else ()
        self._devices = Devices(self._settings.prefix)
        self._told = Told(thread, clock, SPACE)
        self._birth = Birth(self._settings.prefix, clock)
        self.listeners: tuple[Listener, ...] = ()
        """in this order, and before the commands"""
        if self._settings.enable:
            self.listeners = (self._birth,)
            if commands is not None and set(SWITCHES) <= set(self._verbs):
                self.listeners = (self._birth, HealingSwitch(settings.host, commands))

    def refreshes(self, refresh: Callable[[], None]) -> None:
        """`refresh` tells everything again."""
        self._birth.refresh = refresh

    def show(self, snapshot: Snapshot) -> dict[str, Document]:
        """The documents of this snapshot, by topic (pump.Show)."""
        found: dict[str, Document] = {}
        if self._settings.enable:
            place = Place(self._node, snapshot.host, snapshot.version, self._verbs)
            found = self._devices.documents(place, snapshot)
        for topic in self._told.leftovers(found, snapshot, anyway=not self._settings.enable):
            found[topic] = cleared(topic)
        return found

    async def run(self) -> None:
        """Keep the list of what was told, for as long as we live."""
        await self._told.run()
