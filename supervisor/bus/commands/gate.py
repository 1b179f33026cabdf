"""What is refused at the door, before the core hears of it: a pure judgement of one message.

From: listener.py, with the two levels of the topic and the payload. To: the same, as a Ruling: what was asked, whether
its signature is good, and our no where it cannot be a command. The order counts: who may not speak learns nothing else,
and a signature is looked at before the time, so that a forged one is told as such.
"""

import re
from dataclasses import dataclass

from supervisor.bus.commands.envelope import Envelope, read
from supervisor.bus.commands.signature import Keys
from supervisor.config.telling import BUS_VERBS, CommandsSettings
from supervisor.ports import LARGEST_RECEIVED
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, no

OLDEST = 60.0
"""seconds between a message's own `at` and its arrival, either way"""
_PARAMS = {"pause": ("for", "reason"), "resume": ("reason",), "refresh": ()}
"""what these know; the other verbs look themselves"""
_IMAGES = ("last-known-good", "current")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of one message at the door."""

    envelope: Envelope
    refused: Verdict | None = None
    signed: bool = False
    """its principal signed it, and every word of it"""


class Gate:
    """Knows who may say what, and in which form."""

    def __init__(self, settings: CommandsSettings, host: str, keys: Keys) -> None:
        self._host, self._keys = host, keys
        self._allowed = {name: one.verbs for name, one in settings.principals.items()}
        self._images = tuple(_pattern(text) for text in settings.images)
        self._listed = ", ".join(settings.images)

    def knows(self, principal: str) -> bool:
        """Whether they may say anything at all."""
        return principal in self._allowed

    def judge(self, principal: str, verb: str, payload: bytes, now: float, *, retained: bool = False) -> Ruling:
        """One message that arrived at `now` (unix seconds)."""
        envelope, wrong = read(payload) if len(payload) <= LARGEST_RECEIVED else (Envelope(), "")
        may = self._may(principal, verb)
        if may is not None:
            return Ruling(Envelope(envelope.id, envelope.transaction), may)
        if len(payload) > LARGEST_RECEIVED:
            return Ruling(envelope, no(Reason.BAD_PARAMETER, f"A command has at most {LARGEST_RECEIVED} bytes."))
        if wrong:
            return Ruling(envelope, no(Reason.BAD_PARAMETER, f"{wrong}."))
        if retained:
            text = "The broker kept this message, so nobody says it now; send commands without the retain flag."
            return Ruling(envelope, no(Reason.STALE, text))
        if envelope.aud not in (None, self._host):
            text = f"This command is for the box {plain(envelope.aud or '', 64)!r}, and this is {self._host!r}."
            return Ruling(envelope, no(Reason.BAD_PARAMETER, text))
        if envelope.sig is not None:
            forged = self._keys.check(self._host, principal, verb, envelope)
            if forged is not None:
                return Ruling(envelope, forged)
        refused = _in_time(envelope, now)
        if refused is None:
            refused = self._fits(verb, envelope)
        return Ruling(envelope, refused, envelope.sig is not None and refused is None)

    def _may(self, principal: str, verb: str) -> Verdict | None:
        allowed = self._allowed.get(principal)
        if allowed is None:
            text = f"{plain(principal, 64)!r} may not command this box; `commands.principals` says who may."
            return no(Reason.NOT_ALLOWED, text)
        if verb not in BUS_VERBS:
            text = f"There is no command {plain(verb, 64)!r} over the bus; there are: {', '.join(BUS_VERBS)}."
            return no(Reason.UNKNOWN_VERB, text)
        if verb not in allowed:
            text = f"{principal} may not {verb}; `commands.principals` says who may do what."
            return no(Reason.NOT_ALLOWED, text)
        return None

    def _fits(self, verb: str, envelope: Envelope) -> Verdict | None:
        """Parameters that the core does not look at, or knows more of than may be said over the bus."""
        known = _PARAMS.get(verb)
        unknown = [name for name in envelope.params if known is not None and name not in known]
        if known is not None and unknown:
            text = f"{verb} has no parameter {plain(unknown[0], 64)!r}; it knows: {', '.join(known) or 'none'}."
            return no(Reason.BAD_PARAMETER, text)
        image = envelope.params.get("image")
        if image is None or image in _IMAGES or any(one.fullmatch(image) for one in self._images):
            return None
        more = f" or what `commands.images` lists ({self._listed})" if self._listed else ""
        text = f"Over the bus an image may be {' or '.join(_IMAGES)}{more}, and not {plain(image, 100)!r}."
        return no(Reason.NOT_ALLOWED, text)


def _in_time(envelope: Envelope, now: float) -> Verdict | None:
    at, exp = envelope.at, envelope.exp
    if exp is not None and exp < now:
        return no(Reason.STALE, "It has expired (`exp`); say it again if it still holds, with a new id.")
    if at is not None and now - at > OLDEST:
        text = f"Its own `at` is more than {OLDEST:.0f} s ago; send it again, or mend a clock."
        return no(Reason.STALE, text)
    if at is not None and at - now > OLDEST:
        text = f"Its own `at` is more than {OLDEST:.0f} s in the future; mend a clock."
        return no(Reason.STALE, text)
    return None


def _pattern(text: str) -> re.Pattern[str]:
    """An image of `commands.images`: `*` stands for anything but `/`."""
    return re.compile("[^/\\s]*".join(re.escape(part) for part in text.split("*")))
