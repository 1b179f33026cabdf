"""What was tried and failed: a model on the image of its server. Another image is another try.

The value of the journal's space `nogo`, by slot, model and image id. From: the ends of swaps. To: the guard, status.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from supervisor.errors import JournalError
from supervisor.facts import Json
from supervisor.journal.codec import dump, load

MOST = 200
"""failures that are remembered, the latest"""


@dataclass(frozen=True, slots=True)
class NoGo:
    """One failure."""

    text: str
    at: float
    plan: int = 0


class NoGos:
    """Every failure that still counts."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `nogo`."""
        self._known: dict[str, NoGo] = {}
        self._puts: dict[str, Json | None] = {}
        for key in sorted(kept):
            with suppress(JournalError):
                self._known[key] = load(NoGo, kept[key])

    def why(self, slot: str, model: str, image_id: str) -> str:
        """Why a model is not tried again on this image; '' if it may be."""
        found = self._known.get(_key(slot, model, image_id))
        return found.text if found is not None else ""

    def failed(self, slot: str, model: str, image_id: str, one: NoGo) -> None:
        """It was a NO-GO."""
        self._put(_key(slot, model, image_id), one)
        for key in sorted(self._known, key=lambda name: self._known[name].at)[: max(0, len(self._known) - MOST)]:
            self._put(key, None)

    def worked(self, slot: str, model: str, image_id: str) -> None:
        """It was a GO after all."""
        if _key(slot, model, image_id) in self._known:
            self._put(_key(slot, model, image_id), None)

    def take_puts(self) -> dict[str, Json | None]:
        """What changed since the last call, for the journal."""
        found, self._puts = self._puts, {}
        return found

    def _put(self, key: str, one: NoGo | None) -> None:
        if one is None:
            self._known.pop(key, None)
        else:
            self._known[key] = one
        self._puts[key] = dump(one) if one is not None else None


def _key(slot: str, model: str, image_id: str) -> str:
    return f"{slot}|{model}|{image_id}"
