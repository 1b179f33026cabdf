"""Everything that tells people and hears them, wired: broker, pump, commands, Home Assistant, notifiers.

In: the settings, and the effects of a turn (rows, the newest snapshot). Out: messages. `daemon.py` opens and closes it
and asks it how it is; no logic lives here.
"""

from collections.abc import Awaitable, Callable, Sequence

from supervisor.bus import notify
from supervisor.bus.broker import Choice, choose
from supervisor.bus.commands import Commands, EdgeVerb, Envelope
from supervisor.bus.commands.replay import Replay
from supervisor.bus.delivery.pump import Guard, Pump, Show
from supervisor.bus.homeassistant import HomeAssistant
from supervisor.bus.identity import node_of
from supervisor.bus.inbox import Listener
from supervisor.bus.link.connection import Connection
from supervisor.bus.managed.gateway import Look
from supervisor.bus.twins import Twins
from supervisor.bus.vanished import Vanished
from supervisor.clock import Clock
from supervisor.config.settings import Settings
from supervisor.facts import BusState, Json, Snapshot
from supervisor.facts.words import ALIAS
from supervisor.journal import JournalThread, Row
from supervisor.ports import Ask, Submit

Keep = Callable[[str, Callable[[], Awaitable[None]]], None]
"""`keep(name, body)`: runs a part of an edge for as long as we live"""


class Telling:
    """The edge to people."""

    def __init__(
        self,
        settings: Settings,
        thread: JournalThread,
        clock: Clock,
        submit: Submit,
        ask: Ask,
        broker: Choice | None = None,
        node: str = "",
        look: Look | None = None,
    ) -> None:
        """`broker` and `node`: those to use, where they are not to be found by the settings (the lab has its own).
        `look` finds the gateway of a container network."""
        self.node = node or node_of(settings.state_dir, clock)
        self.broker = broker or choose(settings, clock, look=look)
        self.twins = Twins(settings.host, self.node, clock)
        named = settings.commands.principals
        handlers: dict[str, EdgeVerb] = {"refresh": self._refresh, "replay": Replay(thread, settings.host)}
        self.commands = Commands(settings.commands, settings.host, ask, clock, handlers) if named else None
        self.home = HomeAssistant(settings, self.node, thread, clock, self.commands)
        listeners: list[Listener] = [self.twins, *self.home.listeners]
        listeners += [self.commands] if self.commands is not None else []
        self.vanished = Vanished(settings.host, thread, clock)
        boards: list[Show] = [self.home.show, self.vanished.show]
        guard: Guard = self.twins
        self.pump: Pump | None = None
        if self.broker.make is not None:
            self.pump = Pump(
                thread,
                self.broker.make,
                clock,
                settings.host,
                submit,
                broker=self.broker.name,
                listeners=listeners,
                boards=boards,
                guard=guard,
                flood=settings.mqtt.flood,
                machine=self.node,
            )
            self.twins.give_up, self.twins.refresh = self.pump.give_up, self.pump.refresh
            self.twins.say_online, self.twins.put_back = self.pump.say_online, self.pump.inbox.put_back
            self.twins.found = self.pump.found
            self.home.refreshes(self.pump.refresh)
        else:
            if self.commands is not None:
                self.commands.trouble = f"No command is heard over the bus: {self.broker.text}."
            submit(BusState(clock.wall(), clock.mono(), False, self.broker.name, self.broker.text))
        self.notifiers = notify.make(settings, thread, clock, bus=self.pump is not None)

    def open(self, keep: Keep) -> None:
        """Start everything that runs."""
        if self.pump is not None:
            keep("pump", self.pump.run)
            keep("homeassistant", self.home.run)
            keep("vanished", self.vanished.run)
        for name, notifier in notify.names(self.notifiers).items():
            keep(f"notifier {name}", notifier.run)

    def publish(self, rows: Sequence[Row]) -> None:
        """Rows were committed."""
        if self.pump is not None:
            self.pump.knock(rows)
        for notifier in self.notifiers:
            notifier.knock()

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now."""
        if self.pump is not None:
            self.pump.show(snapshot)
        for notifier in self.notifiers:
            notifier.show(snapshot)

    def troubles(self) -> dict[str, str]:
        """What is wrong, a sentence by part; '' where nothing is."""
        found: dict[str, str] = {}
        if self.commands is not None:
            found |= {"commands": self.commands.trouble, "command keys": self.commands.keys.trouble}
        found[ALIAS] = self.twins.trouble
        found["broker"] = self.broker.trouble
        found["inbox"] = self.pump.inbox.trouble if self.pump is not None else ""
        for name, notifier in notify.names(self.notifiers).items():
            text = notifier.state.text
            found[name] = f"{name}: {text}" if text else ""
        return found

    def counts(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        found: dict[str, int] = {}
        if self.pump is not None:
            found |= {"pump_crashes": self.pump.crashes, "messages_unheard": self.pump.unheard}
            found |= {"inbox_crashes": self.pump.inbox.crashes, "inbox_dropped": self.pump.inbox.dropped}
        if self.commands is not None:
            found |= {"commands_dropped": self.commands.dropped, "commands_crashes": self.commands.crashes}
        for name, notifier in notify.names(self.notifiers).items():
            found[f"{name.replace(' ', '_', 1)}_given_up"] = notifier.state.given_up
        return found

    async def _refresh(self, _broker: Connection, _principal: str, _command: Envelope) -> Json:
        """The verb `refresh`: every retained document is told again."""
        if self.pump is not None:
            self.pump.refresh()
        return {}

    async def quiet(self) -> None:
        """Say the last words (within 2 s)."""
        for notifier in self.notifiers:
            await notifier.close()
        if self.pump is not None:
            await self.pump.close()
        if self.commands is not None:
            await self.commands.close()

    async def close(self) -> None:
        """Let go of everything; after `quiet`, and when nothing of it runs any more."""
        await self.broker.close()
