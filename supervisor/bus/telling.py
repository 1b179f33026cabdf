"""Everything that tells people and hears them, wired: broker, pump, commands, Home Assistant, notifiers.

In: the settings, and the effects of a turn (rows, the newest snapshot). Out: messages. `daemon.py` opens and closes it
and asks it how it is; no logic lives here.
"""

from collections.abc import Awaitable, Callable, Sequence

from supervisor.bus.broker import Choice, choose
from supervisor.bus.commands import Commands
from supervisor.bus.inbox import Listener
from supervisor.bus.notify import Notifier
from supervisor.bus.pump import Guard, Pump, Show
from supervisor.clock import Clock
from supervisor.config.settings import Settings
from supervisor.facts import BusState, Snapshot
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
    ) -> None:
        """`broker`: the one to use, where it is not to be chosen by the settings (the lab has one of its own)."""
        principals = settings.commands.principals
        self.broker = broker or choose(settings.mqtt, settings.host, settings.state_dir, clock, commanders=principals)
        self.commands = Commands(settings.commands, settings.host, ask, clock) if principals else None
        listeners: list[Listener] = [self.commands] if self.commands is not None else []
        boards: list[Show] = []
        guard: Guard | None = None
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
            )
        else:
            if self.commands is not None:
                self.commands.trouble = f"No command is heard over the bus: {self.broker.text}."
            submit(BusState(clock.wall(), clock.mono(), False, self.broker.name, self.broker.text))
        self.notifiers = [
            Notifier(number, entry, thread, clock, settings.host)
            for number, entry in enumerate(settings.notify)
            if entry.webhook is not None
        ]

    def open(self, keep: Keep) -> None:
        """Start everything that runs."""
        if self.pump is not None:
            keep("pump", self.pump.run)
        for notifier in self.notifiers:
            keep("notifier", notifier.run)

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

    def troubles(self) -> dict[str, str]:
        """What is wrong, a sentence by part; '' where nothing is."""
        found = {"commands": self.commands.trouble} if self.commands is not None else {}
        return found | {f"notify {number}": one.state.text for number, one in enumerate(self.notifiers)}

    def counts(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        found: dict[str, int] = {}
        if self.pump is not None:
            found |= {"pump_crashes": self.pump.crashes, "messages_unheard": self.pump.unheard}
            found |= {"inbox_crashes": self.pump.inbox.crashes, "inbox_dropped": self.pump.inbox.dropped}
        if self.commands is not None:
            found |= {"commands_dropped": self.commands.dropped}
        return found

    async def quiet(self) -> None:
        """Say the last words (within 2 s)."""
        for notifier in self.notifiers:
            await notifier.close()
        if self.pump is not None:
            await self.pump.close()

    async def close(self) -> None:
        """Let go of everything; after `quiet`, and when nothing of it runs any more."""
        await self.broker.close()
