"""The ledger of images: which proved good for a service, and which failed.

Made from the journal's spaces `proved` and `quarantine` (one JSON value per service); every change returns the puts
that make it durable. Pure: no clock, no journal. Used by the services, for "last known good".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor import units
from supervisor.facts import Json

KEEP = 5
"""proved images remembered per service"""
KEEP_BAD = 50
"""quarantined images remembered per service"""

Put = tuple[str, str, Json | None]
"""(space, key, value): what must go into the journal"""


@dataclass(frozen=True, slots=True)
class Proof:
    """An image that was healthy for the whole proof time, at unix seconds, under the reference it then had."""

    image: str
    ref: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Bad:
    """An image that failed for this service, why, and when."""

    image: str
    why: str = ""
    at: float = 0.0


class Ledger:
    """What is known of images, by service. Values that cannot be read count as absent: fewer proofs, never a wrong
    one."""

    def __init__(self, proved: Mapping[str, Json] | None = None, quarantine: Mapping[str, Json] | None = None) -> None:
        self._proved = {name: _proofs(value) for name, value in (proved or {}).items()}
        self._bad = {name: _bads(value) for name, value in (quarantine or {}).items()}

    def proofs(self, service: str) -> tuple[Proof, ...]:
        """Proved images, newest first, at most 5."""
        return self._proved.get(service, ())

    def bad(self, service: str) -> tuple[Bad, ...]:
        """Quarantined images, newest first."""
        return self._bad.get(service, ())

    def why_bad(self, service: str, image: str) -> str:
        """Why an image is quarantined for a service; '' if it is not."""
        return next((one.why or "it failed" for one in self.bad(service) if one.image == image), "")

    def last_known_good(self, service: str) -> str:
        """The id of the newest proved image that is not quarantined; '' if there is none."""
        return next((one.image for one in self.proofs(service) if not self.why_bad(service, one.image)), "")

    def prove(self, service: str, image: str, ref: str, at: float) -> tuple[Put, ...]:
        """An image proved good: it is the newest now, and out of quarantine if it was there."""
        if not image:
            return ()
        proof = Proof(image, units.plain(ref, 512), at)
        kept = (proof, *(one for one in self.proofs(service) if one.image != image))[:KEEP]
        self._proved[service] = kept
        puts: list[Put] = [("proved", service, _json(kept))]
        if self.why_bad(service, image):
            puts += self._set_bad(service, tuple(one for one in self.bad(service) if one.image != image))
        return tuple(puts)

    def quarantine(self, service: str, image: str, why: str, at: float) -> tuple[Put, ...]:
        """An image failed: it is not gone back to. A proof it may have stays, and counts again if it is proved anew."""
        if not image:
            return ()
        fresh = Bad(image, units.plain(why, 512), at)
        return self._set_bad(service, (fresh, *(one for one in self.bad(service) if one.image != image))[:KEEP_BAD])

    def forget(self, service: str, image: str) -> tuple[Put, ...]:
        """A person's word: the image is not quarantined any more."""
        if not self.why_bad(service, image):
            return ()
        return self._set_bad(service, tuple(one for one in self.bad(service) if one.image != image))

    def _set_bad(self, service: str, kept: tuple[Bad, ...]) -> tuple[Put, ...]:
        if kept:
            self._bad[service] = kept
        else:
            self._bad.pop(service, None)
        return (("quarantine", service, _json(kept) if kept else None),)


def _json(kept: tuple[Proof, ...] | tuple[Bad, ...]) -> Json:
    word = "ref" if kept and isinstance(kept[0], Proof) else "why"
    return {"images": [{"image": one.image, word: getattr(one, word), "at": one.at} for one in kept]}


def _entries(value: Any, word: str) -> list[tuple[str, str, float]]:
    found = value.get("images") if isinstance(value, dict) else None
    entries = []
    for one in found if isinstance(found, list) else ():
        image = one.get("image") if isinstance(one, dict) else None
        at = one.get("at", 0.0) if isinstance(one, dict) else 0.0
        if isinstance(image, str) and image:
            entries.append((image, str(one.get(word, "")), float(at) if isinstance(at, int | float) else 0.0))
    return entries


def _proofs(value: Any) -> tuple[Proof, ...]:
    return tuple(Proof(*entry) for entry in _entries(value, "ref"))[:KEEP]


def _bads(value: Any) -> tuple[Bad, ...]:
    return tuple(Bad(*entry) for entry in _entries(value, "why"))[:KEEP_BAD]
