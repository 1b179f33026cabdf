"""Silences: messages about alerts that match are kept and shown, but not sent. Actions go on; that is what `pause` is
for.

From: commands.py (silence), and alerts.py, which asks of every alert whether it is to be told. To: the journal's space
`silence` (the silences, and which firing alerts nobody was told of), the snapshot, and alerts.py again where a silence
ends and an alert that nobody was told of still fires.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.errors import JournalError
from supervisor.facts import Alert, Command, Decision, Intent, Json, Silence
from supervisor.incidents.words import until
from supervisor.journal.codec import dump, load
from supervisor.units import Matcher
from supervisor.verdicts import Reason, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider
    from supervisor.journal import Batch

LONGEST = 90 * 86400.0
"""seconds a silence may last"""
MOST, MOST_MATCHERS = 100, 20
_NUMBER, _MUTED = "#", "muted|"


class Silences:
    """The silences that hold now, and the alerts that fire unheard because of one."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `silence` as it was at the start."""
        self._last = int(kept.get(_NUMBER, {}).get("last", 0))
        self._muted = {key.removeprefix(_MUTED): str(kept[key]["by"]) for key in sorted(kept) if key.startswith(_MUTED)}
        """fingerprint of an alert that fires -> the silence because of which nobody was told"""
        self._open: dict[str, Silence] = {}
        self._matchers: dict[str, tuple[Matcher, ...]] = {}
        for key in sorted(kept, key=_order):
            if key != _NUMBER and not key.startswith(_MUTED):
                with suppress(JournalError, ValueError):  # what cannot be read any more mutes nothing
                    self._hold(load(Silence, kept[key]))

    def open(self) -> tuple[Silence, ...]:
        """Those that have not ended, oldest first."""
        return tuple(self._open.values())

    def mutes(self, labels: Mapping[str, str], now: float) -> Silence | None:
        """The first silence that matches these labels."""
        have = dict(labels)
        for one in self._open.values():
            if now < one.ends_at and all(matcher.matches(have) for matcher in self._matchers[one.id]):
                return one
        return None

    # ------------------------------------------------------------ what alerts.py asks

    def hears(self, alert: Alert, now: float, batch: "Batch") -> str:
        """'' where people are to be told of this firing or resolved alert, else the id of the silence because of which
        they are not. The end of an alert is told to those who were told that it fires, and only to them."""
        if alert.state != "firing":
            by = self._muted.pop(alert.fingerprint, "")
            if by:
                batch.put("silence", _MUTED + alert.fingerprint, None)
            return by
        found = self.mutes({"alertname": alert.name, **alert.labels}, now)
        if found is not None:
            self._muted[alert.fingerprint] = found.id
            batch.put("silence", _MUTED + alert.fingerprint, {"by": found.id})
        return found.id if found is not None else ""

    def unheard(self, active: tuple[Alert, ...], now: float, batch: "Batch") -> tuple[tuple[Alert, str], ...]:
        """Firing alerts that a silence kept from people and that none does any more, with that silence's id: now they
        are told."""
        if not self._muted:
            return ()
        firing = {alert.fingerprint: alert for alert in active if alert.state == "firing"}
        found: list[tuple[Alert, str]] = []
        for fingerprint, by in sorted(self._muted.items()):
            alert = firing.get(fingerprint)
            if alert is None or self.mutes({"alertname": alert.name, **alert.labels}, now) is None:
                if alert is not None:
                    found.append((alert, by))
                del self._muted[fingerprint]
                batch.put("silence", _MUTED + fingerprint, None)
        return tuple(found)

    # ------------------------------------------------------------ what a person says

    def answer(self, core: "Decider", fact: Command) -> Decision:
        """`silence MATCHER… --for 2h --reason TEXT`, `silence --end ID`. The matchers stand in `target`, one on a
        line or with commas between them."""
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        unknown = [name for name in fact.params if name not in ("for", "reason", "end")]
        if unknown:
            text = f"silence has no parameter {unknown[0]!r}; it knows: for, reason, end."
            return core.admission.declined(core, intent, no(Reason.BAD_PARAMETER, text))
        if fact.params.get("end"):
            return self._end_one(core, fact, intent)
        try:
            texts = written(fact.target)
            lasts = _lasts(fact.params.get("for", ""))
        except ValueError as err:
            return core.admission.declined(core, intent, no(Reason.BAD_PARAMETER, f"{err}."))
        if len(self._open) >= MOST:
            text = f"{MOST} silences hold already; end one first: `resurgam silence` lists them."
            return core.admission.declined(core, intent, no(Reason.BUSY, text))
        self._last += 1
        why = units.plain(fact.params.get("reason", ""), 200)
        one = Silence(f"si-{self._last}", texts, fact.principal, why, core.now, core.now + lasts)
        self._hold(one)
        core.batch.put("silence", _NUMBER, {"last": self._last})
        core.batch.put("silence", one.id, dump(one))
        text = f"{one.id}: no messages about {', '.join(texts)}; it ends {until(one.ends_at, core.now)}"
        core.row("daemon.silenced", "daemon", _body(one) | {"text": f"{text}, said {one.by}{_because(why)}."})
        return Decision(core.now, intent, yes(f"{text}. Actions go on: `resurgam pause` is for those."))

    def _end_one(self, core: "Decider", fact: Command, intent: Intent) -> Decision:
        one = self._open.get(fact.params["end"])
        if one is None:
            known = ", ".join(self._open) or "none"
            text = f"No silence {fact.params['end']!r} holds; there are: {known}."
            return core.admission.declined(core, intent, no(Reason.NO_TARGET, text))
        self._let_go(core, one, f"{one.id} was ended by {fact.principal}.")
        return Decision(core.now, intent, yes(f"{one.id} is ended; what fires unheard is told now."))

    # ------------------------------------------------------------ time

    def due(self) -> float | None:
        """Unix seconds at which the next one ends."""
        return min((one.ends_at for one in self._open.values()), default=None)

    def tick(self, core: "Decider") -> None:
        """End those whose time is over."""
        for one in self.open():
            if one.ends_at <= core.now:
                self._let_go(core, one, f"{one.id} is over.")
            elif one.begins_at > core.now:  # the clock was put back: it lasts as long as was asked for, and no longer
                length = one.ends_at - one.begins_at
                moved = Silence(one.id, one.matchers, one.by, one.why, core.now, core.now + length)
                self._hold(moved)
                core.batch.put("silence", one.id, dump(moved))

    def _let_go(self, core: "Decider", one: Silence, text: str) -> None:
        del self._open[one.id], self._matchers[one.id]
        core.batch.put("silence", one.id, None)
        core.row("daemon.unsilenced", "daemon", _body(one) | {"text": text})
        core.desk.tell_unheard(core.row, core.batch, core.now)

    def _hold(self, one: Silence) -> None:
        self._matchers[one.id] = tuple(Matcher.parse(text) for text in one.matchers)
        self._open[one.id] = one


def written(text: str) -> tuple[str, ...]:
    """The matchers of a text like `{name="oracle", severity="info"}`, braces optional, one on a line or with commas
    between them; ValueError where one is wrong, or where together they would match every alert."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    parts, quoted, escaped, begun = [], False, False, 0
    for place, char in enumerate(inner):
        if char == '"' and not escaped:
            quoted = not quoted
        elif char == "\n" or (char == "," and not quoted):
            parts.append(inner[begun:place])
            begun, quoted = place + 1, False
        escaped = char == "\\" and not escaped
    found = tuple(part.strip() for part in (*parts, inner[begun:]) if part.strip())
    if not found:
        raise ValueError('say what to silence, like name="oracle" or severity="info"')
    if len(found) > MOST_MATCHERS:
        raise ValueError(f"{len(found)} matchers are too many; at most {MOST_MATCHERS} make sense")
    if all(Matcher.parse(part).matches({}) for part in found):
        raise ValueError(f'{", ".join(found)} would mute every message; name what to silence, like severity="info"')
    return found


def _lasts(text: str) -> float:
    if not text:
        raise ValueError("say for how long, like --for 2h (over the bus: for)")
    seconds = units.duration(text)
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text} is not a time to be silent; it may be up to {units.show_duration(LONGEST)}")
    return seconds


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _body(one: Silence) -> Json:
    return {"silence": one.id, "matchers": list(one.matchers), "by": one.by, "reason": one.why}


def _order(key: str) -> tuple[int, str]:
    word = key.removeprefix("si-")
    return (int(word) if word.isascii() and word.isdigit() else 0, key)
