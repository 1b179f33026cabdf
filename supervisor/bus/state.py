"""The retained documents: how things stand, for whoever subscribes late.

In: one facts.Snapshot, shown by the core after a turn. Out: a message per topic, and which of them are worth sending
now. The documents themselves come from `supervisor.views`, as the HTTP door and the command line have them. Pure, but
for `Board`, which remembers what the broker of this connection was given.
"""

from dataclasses import dataclass, field

from supervisor.bus.messages import DAY, Message, to_bytes, topic
from supervisor.facts import Gpu, Json, Snapshot
from supervisor.views import (
    alerts_document,
    card_document,
    container_document,
    daemon_document,
    host_document,
    slot_document,
)

ALERTS_SHOWN = 100
ALERTS_SIZE = 131_072
"""bytes of them: what a broker does not take would stand there as it was, for ever"""
REFRESH = 30.0
"""seconds between two messages of one topic that differ only in readings (bytes of memory, the value of an alert, which
its annotations repeat)"""
HOST_EXPIRY = 180.0
DAEMON_EXPIRY = 3 * DAY
CONTAINER_EXPIRY = DAY
GATE_KEPT = ("listening", "text", "open", "upstream")
"""of a gate: what is told at once"""
MOVED = 0.05
"""a change of this share of all memory or swap is told at once"""


@dataclass(frozen=True, slots=True)
class Document:
    """A retained message with its `key`: what, if it changes, is told at once. The rest is told every 30 s."""

    message: Message
    key: bytes


def documents(snapshot: Snapshot, status: str = "") -> dict[str, Document]:
    """Every retained document of this snapshot by topic, in the order they are sent, the daemon's first; `status`
    overrides the daemon's."""
    host = snapshot.host
    daemon = daemon_document(snapshot)
    if status:
        daemon["status"] = status
    found = [
        _document(topic(host, "state", "daemon"), daemon, _without(daemon, "counts", "outbox"), DAEMON_EXPIRY),
        _alerts(snapshot),
        _host(snapshot),
    ]
    for service in snapshot.services:
        about = container_document(service, snapshot)
        where = topic(host, "state", "container", service=service.id)
        found.append(_document(where, about, _without(about, "memory") | {"budget": _steady(about)}, CONTAINER_EXPIRY))
    found += _cards(snapshot)
    found += _slots(snapshot)
    return {document.message.topic: document for document in found}


def _cards(snapshot: Snapshot) -> list[Document]:
    """One per GPU. What is told at once: whether it is well, what its driver wants, its faults; the readings move."""
    found = []
    for card, level in gpu_levels(snapshot):
        body = card_document(card, snapshot)
        steady = _without(body, "memory", "users", "readings", "faults")
        steady["faults"] = [_without(fault, "last_at", "counts", "text") for fault in body["faults"]]
        where = topic(snapshot.host, "state", "gpu", level)
        found.append(_document(where, body, steady, CONTAINER_EXPIRY))
    return found


def _slots(snapshot: Snapshot) -> list[Document]:
    """One per slot. What is told at once: who holds it, what works on it, how its models stand; counters move."""
    found = []
    for state in snapshot.slots:
        body = slot_document(state, snapshot)
        models = [_without(one, "since", "used_at", "in_flight", "memory", "vram", "text") for one in body["models"]]
        gate = body["gate"]
        steady = body | {"models": models, "gate": {key: gate[key] for key in GATE_KEPT} if gate else None}
        where = topic(snapshot.host, "state", "slot", state.name)
        found.append(_document(where, body, steady, CONTAINER_EXPIRY))
    return found


def gpu_levels(snapshot: Snapshot) -> list[tuple[Gpu, str]]:
    """Each card with the last level of its topic: its index; of one that is gone, and whose index another one has now,
    its UUID."""
    cards = snapshot.gpus.cards if snapshot.gpus is not None else ()
    there = {card.index for card in cards if card.present}
    return [(card, card.uuid if not card.present and card.index in there else str(card.index)) for card in cards]


def cleared(where: str) -> Document:
    """A topic on which nothing is to be kept any more."""
    return Document(Message(where, b"", retain=True), b"")


def _alerts(snapshot: Snapshot) -> Document:
    everything = alerts_document(snapshot)
    shown = _fitting(everything[:ALERTS_SHOWN])
    body = {"alerts": shown, "more": len(everything) - len(shown)}
    steady = {"alerts": [_without(alert, "value", "annotations") for alert in shown], "more": body["more"]}
    return _document(topic(snapshot.host, "state", "alerts"), body, steady, 0.0)


def _fitting(alerts: list[Json]) -> list[Json]:
    """The first of them, as many as there is room for."""
    left = ALERTS_SIZE
    for place, alert in enumerate(alerts):
        left -= len(to_bytes(alert))
        if left < 0:
            return alerts[:place]
    return alerts


def _host(snapshot: Snapshot) -> Document:
    body = host_document(snapshot)
    steps: Json = {}
    for store in ("memory", "swap"):
        used = (body.get(store) or {}).get("used")
        steps[store] = None if used is None else int(used / MOVED)
    budget = body["budget"] or {}
    steps |= {key: budget.get(key) for key in ("total", "reserve", "at_risk", "culprit")}
    steps["swap_there"] = {key: budget["swap"][key] for key in ("declared", "total")} if budget else {}
    return _document(topic(snapshot.host, "state", "host"), body, steps, HOST_EXPIRY, qos=0)


def _steady(about: Json) -> Json:
    """What of a service's part of the memory is told at once: its plan, whether it keeps to it, and what is done."""
    budget = about["budget"] or {}
    kept = ("plan", "source", "limit", "loading", "culprit", "frozen", "frozen_until", "fuse", "fuse_until")
    return {key: budget.get(key) for key in kept} | {"over": bool(budget.get("over"))}


def _document(where: str, body: Json, steady: Json, expiry: float, qos: int = 1) -> Document:
    return Document(Message(where, to_bytes(body), qos, retain=True, expiry=expiry), to_bytes(steady))


def _without(body: Json, *keys: str) -> Json:
    return {key: value for key, value in body.items() if key not in keys}


@dataclass(slots=True)
class _Sent:
    key: bytes
    payload: bytes
    at: float
    expiry: float


@dataclass(slots=True)
class Board:
    """What hangs on the wall: what this connection's broker has, topic by topic. Forgotten when it is lost, except
    for the topics themselves, so that what vanished meanwhile is still cleared."""

    _sent: dict[str, _Sent] = field(default_factory=dict)
    _topics: dict[str, None] = field(default_factory=dict)

    def forget(self) -> None:
        """A new connection: everything must be sent again."""
        self._sent.clear()

    def due(self, wanted: dict[str, Document], now: float) -> list[Message]:
        """What must be sent at monotonic time `now`, vanished topics (as empty retained messages) last. What is
        returned counts as sent; a caller that fails calls `missed`."""
        found = []
        for where, document in wanted.items():
            if self._is_due(document, now):
                message = document.message
                self._sent[where] = _Sent(document.key, message.payload, now, message.expiry)
                self._topics[where] = None
                found.append(message)
        for where in [where for where in self._topics if where not in wanted]:
            self._sent.pop(where, None)
            del self._topics[where]
            found.append(Message(where, b"", retain=True))
        return found

    def missed(self, message: Message) -> None:
        """The message did not get through: a clearing one must be tried again, others come with the next change."""
        if not message.payload:
            self._topics[message.topic] = None

    def _is_due(self, document: Document, now: float) -> bool:
        sent = self._sent.get(document.message.topic)
        if sent is None or sent.key != document.key:
            return True
        age = now - sent.at
        if sent.expiry and age >= sent.expiry / 2:
            return True
        return age >= REFRESH and sent.payload != document.message.payload
