"""The discovery documents: one device for the machine, one for every service we watch, every GPU and every model slot.

In: a snapshot. Out: retained messages for the pump's board, by topic (`<prefix>/device/<id>/config`).
"""

import functools
from collections.abc import Callable

from supervisor.bus.homeassistant import gpu, host, service, slot
from supervisor.bus.homeassistant.entities import Device, Place, payload
from supervisor.bus.homeassistant.names import config_topic
from supervisor.bus.messages import DAY, Message, to_bytes
from supervisor.bus.state import Document, gpu_levels
from supervisor.facts import Snapshot

EXPIRY = 7 * DAY
"""seconds; the board refreshes in half of it. What a dead host leaves at the broker goes by itself"""


class Devices:
    """Makes them, and makes only what changed anew: a snapshot comes many times a second, a device hardly ever."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made: dict[str, tuple[object, Document]] = {}
        """service ('' for the machine, `gpu UUID` for a card, `slot NAME` for a slot) -> what its document was made
        from, and the document"""

    def documents(self, place: Place, snapshot: Snapshot) -> dict[str, Document]:
        """Every device of this snapshot by topic, the machine first: the others name it."""

        def machine() -> tuple[Device, Device]:
            return (found := host.device(place)), found

        made = {"": self._one("", place, place, machine)}
        for one in snapshot.services:
            install = service.install(place, one, snapshot)
            make = functools.partial(service.device, place, one.id, install)
            made[one.id] = self._one(one.id, place, (place, install), make)
        for card, level in gpu_levels(snapshot):
            known = (place, card.uuid, card.index, card.name, level)
            make = functools.partial(gpu.device, place, card, level)
            made[f"gpu {card.uuid}"] = self._one(f"gpu {card.uuid}", place, known, make)
        for state in snapshot.slots:
            shape = (place, state.name, tuple(model.name for model in state.models), state.gate is not None)
            make = functools.partial(slot.device, place, state)
            made[f"slot {state.name}"] = self._one(f"slot {state.name}", place, shape, make)
        self._made = made
        return {document.message.topic: document for _known, document in made.values()}

    def _one(
        self, name: str, place: Place, known: object, make: Callable[[], tuple[Device, Device]]
    ) -> tuple[object, Document]:
        """The document that was made from the same `known` before, else a new one."""
        before = self._made.get(name)
        if before is not None and before[0] == known:
            return before
        whole, steady = make()
        body = to_bytes(payload(place, whole))
        key = body if whole == steady else to_bytes(payload(place, steady))
        return known, Document(Message(config_topic(self._prefix, whole.id), body, retain=True, expiry=EXPIRY), key)
