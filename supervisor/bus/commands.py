"""Commands over the message bus: `resurgam/<host>/cmd/<principal>/<verb>`, for those that `commands:` names.

In: messages from the pump's connection. Out: facts for the core, through the door `bus`, and its answer on
`resurgam/<host>/reply/<principal>/<verb>`. Who speaks is known from the topic alone, so the broker's access list must
let nobody else write there; what is in the payload is believed to nobody. What cannot be a command (kept by the broker,
too old, too large, not allowed) goes to the core all the same, with our no, so that it is told and answered; whether an
id was used before is the core's to know. One message after the other, never faster than the core decides.
"""

import json
from typing import Any

from supervisor.bus.connection import Connection
from supervisor.bus.messages import to_bytes, topic
from supervisor.clock import Clock
from supervisor.config.telling import BUS_VERBS, CommandsSettings
from supervisor.errors import BrokerError
from supervisor.facts import Command, Decision, Json
from supervisor.ports import LARGEST_RECEIVED, Ask, Received
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, no
from supervisor.views import decision_document

OLDEST = 60.0
"""seconds between a message's own `at` and its arrival, either way"""
REPLY_EXPIRY = 300.0
BURST, REFILL = 20.0, 2.0
"""messages of one principal taken at once, and for each second that goes by; what is beyond is dropped and counted"""
STRANGERS = 1 / 30
"""the same for all together who may not command at all: one line in the journal tells enough"""
_LONGEST_ID, _LONGEST_TARGET, _LONGEST_LEVEL = 128, 512, 100


class Commands:
    """Serves one connection after another (an inbox.Listener)."""

    def __init__(self, settings: CommandsSettings, host: str, ask: Ask, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._allowed = {name: one.verbs for name, one in settings.principals.items()}
        self._from, self._to = topic(host, "cmd"), topic(host, "reply")
        self._purses: dict[str, tuple[float, float]] = {}
        """what each may still say at an instant: nobody can talk another one down; all who may say nothing share one"""
        self.trouble = ""
        """what is wrong with it, for a person; '' if nothing is"""
        self.dropped = 0
        """messages that came too fast"""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Every command to this box."""
        return (f"{self._from}/+/+",)

    def refused(self, pattern: str, why: str) -> None:
        """The broker does not let us read commands ('': it does)."""
        self.trouble = f"No command is heard over the bus: {why}; allow our user to read {self._from}/#." if why else ""

    async def heard(self, broker: Connection, message: Received) -> None:
        """Obey one message, or say why not."""
        levels = message.topic.removeprefix(f"{self._from}/").split("/")
        if not message.payload or len(levels) != 2:
            return  # a topic that was cleared, by us or by others
        principal, verb = levels
        if not self._room(principal if principal in self._allowed else ""):
            self.dropped += 1
            return
        found, refused = self._read(principal, verb, message)
        command = Command(
            at=self._clock.wall(),
            mono=self._clock.mono(),
            verb=plain(verb, _LONGEST_LEVEL),
            target=found.get("target", ""),
            params=found.get("params", {}),
            principal=f"bus:{plain(principal, _LONGEST_LEVEL)}",
            door="bus",
            id=found.get("id", ""),
            refused=refused,
        )
        decision: Decision = await self._ask(command)
        if max(len(principal), len(verb)) <= _LONGEST_LEVEL:
            await self._reply(broker, f"{self._to}/{principal}/{verb}", _answer(command.id, decision))
        if message.retained:
            await self._reply(broker, message.topic, b"", retain=True)

    def _room(self, who: str) -> bool:
        now = self._clock.mono()
        left, at = self._purses.get(who, (BURST, now))
        left = min(BURST, left + (now - at) * (REFILL if who else STRANGERS))
        self._purses[who] = (left - 1.0 if left >= 1.0 else left, now)
        return left >= 1.0

    def _read(self, principal: str, verb: str, message: Received) -> tuple[Json, Verdict | None]:
        """What the message asks for, and our no where it cannot be a command."""
        allowed = self._allowed.get(principal)
        if allowed is None:
            text = f"{plain(principal, 64)!r} may not command this box; `commands.principals` says who may."
            return {}, no(Reason.NOT_ALLOWED, text)
        if verb not in BUS_VERBS:
            text = f"There is no command {plain(verb, 64)!r} over the bus; there are: {', '.join(BUS_VERBS)}."
            return {}, no(Reason.UNKNOWN_VERB, text)
        if verb not in allowed:
            text = f"{principal} may not {verb}; `commands.principals` says who may do what."
            return {}, no(Reason.NOT_ALLOWED, text)
        if len(message.payload) > LARGEST_RECEIVED:
            return {}, no(Reason.BAD_PARAMETER, f"A command has at most {LARGEST_RECEIVED} bytes.")
        try:
            found = _payload(message.payload)
        except ValueError as err:
            return {}, no(Reason.BAD_PARAMETER, f"{err}.")
        if message.retained:
            text = "The broker kept this message, so nobody says it now; send commands without the retain flag."
            return found, no(Reason.STALE, text)
        at = found.get("at")
        if at is not None and not abs(self._clock.wall() - at) <= OLDEST:
            text = f"Its own `at` is more than {OLDEST:.0f} s away from now; send it again, or mend a clock."
            return found, no(Reason.STALE, text)
        return found, None

    async def _reply(self, broker: Connection, where: str, payload: bytes, *, retain: bool = False) -> None:
        """Best effort: who hears nothing asks again with the same id, and gets the same answer."""
        try:
            await broker.publish(where, payload, 1, retain, 0.0 if retain else REPLY_EXPIRY)
        except BrokerError:
            return


def _payload(payload: bytes) -> Json:
    """`{"id", "target", "params"?, "at"?}`; ValueError with a sentence where it is anything else."""
    shape = 'a command is JSON like {"id": "a1", "target": "ap-3"}'
    try:
        body: Any = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"This is not JSON; {shape}") from None
    if not isinstance(body, dict):
        raise ValueError(f"This is not an object; {shape}")
    unknown = [key for key in body if key not in ("id", "target", "params", "at")]
    if unknown:
        raise ValueError(f"There is no key {plain(unknown[0], 64)!r} in a command; there are: id, target, params, at")
    ident, target, params = body.get("id"), body.get("target", ""), body.get("params") or {}
    if not isinstance(ident, str) or not 0 < len(ident) <= _LONGEST_ID or not ident.isprintable():
        raise ValueError(f"`id` must be a text of 1 to {_LONGEST_ID} characters, a new one for each command")
    if not isinstance(target, str) or len(target) > _LONGEST_TARGET:
        raise ValueError(f"`target` must be a text of at most {_LONGEST_TARGET} characters")
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise ValueError("`params` must be an object of texts")
    at = body.get("at")
    if at is not None and (isinstance(at, bool) or not isinstance(at, int | float)):
        raise ValueError("`at` must be a number: unix seconds at which the command was given")
    return {"id": ident, "target": target, "params": params} | ({"at": at} if at is not None else {})


def _answer(ident: str, decision: Decision) -> bytes:
    """`{"id", "status": "ok"|"error", "data": the decision, "error"}`."""
    verdict = decision.verdict
    body: Json = {"id": ident, "status": "ok" if verdict.ok else "error", "data": decision_document(decision)}
    return to_bytes(body if verdict.ok else body | {"error": verdict.text})
