"""A journal in memory and notifiers on a virtual clock, with receivers that keep what they got."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from supervisor.bus.notify import Notifier
from supervisor.bus.notify.message import Message
from supervisor.bus.notify.sending import SendFailed, SendRefused
from supervisor.clock import ManualClock
from supervisor.config.settings import NotifySettings, WebhookSettings
from supervisor.facts import Alert, Incident, Silence, Snapshot
from supervisor.journal import Journal, JournalThread
from supervisor.lab.loop import SimLoop
from tests.support.bus import snapshot

URL = "http://receiver.lan/hook?key=secret"
CRITICAL = {"severity": "critical"}


class Receiver:
    """A sender that keeps what it was given. `down`: it fails; `refuses`: for good; `hangs`: it never answers."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.got: list[tuple[float, Message]] = []
        self.tries: list[Message] = []
        self.down = self.refuses = self.hangs = False

    async def send(self, message: Message) -> str:
        self.tries.append(message)
        await asyncio.sleep(3600.0 * 24 * 365 if self.hangs else 0.01)
        if self.down:
            raise SendFailed("receiver.lan answers 503; it is tried again")
        if self.refuses:
            raise SendRefused("receiver.lan refuses our messages with 401")
        self.got.append((self._clock.wall(), message))
        return ""

    async def close(self) -> None: ...

    @property
    def told(self) -> list[str]:
        """Each message in words: `firing A B, resolved C`, or the kind of an action."""
        return [words(message) for _, message in self.got]


def words(message: Message) -> str:
    if message.action is not None:
        return message.action.kind
    parts = []
    for status in ("firing", "resolved"):
        found = [item.labels["alertname"] for item in message.items if item.firing == (status == "firing")]
        parts += [f"{status} {' '.join(found)}"] if found else []
    return ", ".join(parts)


class NotifyBox:
    """Notifiers over one journal; `play` runs stories one after another, each in a life of its own."""

    def __init__(self, *entries: Mapping[str, Any], bus: bool = True) -> None:
        self.clock = ManualClock()
        self.journal = Journal.open(None, self.clock)
        self.thread = JournalThread(self.journal)
        self.bus = bus
        webhook = WebhookSettings(url=URL)
        self.settings = [NotifySettings(webhook=webhook, **entry) for entry in entries or ({},)]
        self.receivers = [Receiver(self.clock) for _ in self.settings]
        self.notifiers: list[Notifier] = []
        self.now: Snapshot = snapshot()
        self.begun = self.clock.wall()

    @property
    def receiver(self) -> Receiver:
        return self.receivers[0]

    @property
    def notifier(self) -> Notifier:
        return self.notifiers[0]

    def at(self, index: int = 0, which: int = 0) -> float:
        """Seconds from the beginning to the message `index`."""
        return round(self.receivers[which].got[index][0] - self.begun, 1)

    def write(
        self, kind: str, name: str = "A", labels: Mapping[str, str] | None = None, public: bool = True, **body: Any
    ) -> int:
        """Commit a row and knock; `fire` and `end` do it for alerts."""
        batch = self.journal.batch()
        if kind.startswith("alert"):
            found = {"alertname": name, "severity": "warning", **(labels or {})}
            alert = {"labels": found, "annotations": {"summary": f"{name} is bad"}, "fingerprint": f"fp-{name}"}
            body = {"alert": alert | {"status": kind.partition(".")[2]}, "text": f"{name} is bad", **body}
        seq = batch.row(kind, "oracle", body, self.clock.wall(), public)
        self.journal.commit(batch)
        for notifier in self.notifiers:
            notifier.knock()
        return seq

    def fire(self, name: str = "A", **labels: str) -> int:
        """An alert fires: its row, and the snapshot that shows it with an incident of its own."""
        seq = self.write("alert.firing", name, labels)
        full = {"alertname": name, "severity": "warning", **labels}
        alert = Alert(f"fp-{name}", name, "firing", full, {}, 1.0, self.clock.wall(), self.clock.wall())
        incident = Incident(f"in-{name}", "oracle", self.clock.wall(), alerts=(alert.fingerprint,), cause=f"of {name}")
        alerts = (*(one for one in self.now.alerts if one.name != name), alert)
        self.show(alerts=alerts, incidents=(*self.now.incidents, incident))
        return seq

    def end(self, name: str = "A", **labels: str) -> None:
        """It has ended."""
        self.write("alert.resolved", name, labels)
        alerts = tuple(one for one in self.now.alerts if one.name != name)
        self.show(alerts=alerts, incidents=tuple(one for one in self.now.incidents if one.id != f"in-{name}"))

    def ack(self, name: str) -> None:
        """Somebody takes its incident on."""
        found = []
        for one in self.now.incidents:
            acked = "Ann at noon" if one.id == f"in-{name}" else one.acked
            found.append(Incident(one.id, one.subject, one.opened_at, alerts=one.alerts, acked=acked))
        self.show(incidents=tuple(found))

    def silence(self, *matchers: str) -> None:
        """From now on a silence with these matchers holds; without any, none does."""
        held = (Silence("si-1", matchers, "Ann", "", 0.0, 9e9),) if matchers else ()
        self.show(silences=held)

    def show(self, **changes: Any) -> None:
        self.now = snapshot(**{**{name: getattr(self.now, name) for name in _KEPT}, **changes})
        for notifier in self.notifiers:
            notifier.show(self.now)

    def heard(self, seq: int, state: str) -> None:
        """What became of a row over MQTT."""
        self.journal.deliver([(seq, state, 1, "")])

    async def _life(self, story: Callable[["NotifyBox"], Awaitable[None]]) -> None:
        self.notifiers = []
        for number, (entry, receiver) in enumerate(zip(self.settings, self.receivers, strict=True)):
            before = tuple(self.notifiers)
            made = Notifier(number, entry, self.thread, self.clock, receiver, before, bus=self.bus)
            self.notifiers.append(made)
            made.show(self.now)
        running = [asyncio.ensure_future(one.run()) for one in self.notifiers]
        await asyncio.sleep(0.1)
        await story(self)
        for one in self.notifiers:
            await one.close()
        assert all(task.done() for task in running)

    def play(self, *stories: Callable[["NotifyBox"], Awaitable[None]]) -> None:
        loop = SimLoop(self.clock)
        for story in stories:
            loop.run_until_complete(self._life(story))


_KEPT = ("alerts", "incidents", "silences")
