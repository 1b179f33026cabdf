"""From a message to its answer: hears `cmd/<principal>/<verb>`, asks the core, replies on `reply/<principal>/<verb>`.

In: messages from the pump's connection. Out: facts for the core, through the door `bus`, and its answers. Who speaks is
known from the topic alone, so the broker's access list must let nobody else write there. What cannot be a command goes
to the core all the same, with our no (gate.py), so that it is told and answered; whether an id was used before is the
core's to know. Each principal has a queue of its own: one message after the other, and nobody waits for another one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from supervisor.bus.commands.envelope import Envelope
from supervisor.bus.commands.gate import Gate
from supervisor.bus.commands.purses import Purses
from supervisor.bus.commands.signature import Keys
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import to_bytes, topic
from supervisor.clock import Clock
from supervisor.config.telling import CommandsSettings
from supervisor.errors import BrokerError, ResurgamError
from supervisor.facts import Command, Decision, Json
from supervisor.ports import PLAIN, Ask, Properties, Received
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, no
from supervisor.views import decision_document

EdgeVerb = Callable[[Connection, str, Envelope], Awaitable[Json]]
"""`await do(broker, principal, envelope)`: does a verb that needs no decision, after the core has let it pass; gives
what the answer's `data` has besides. ValueError with a sentence where the parameters are wrong."""

REPLY_EXPIRY = 300.0
WAITING = 32
"""messages of one principal that may wait"""
REMEMBERED = 64
"""answers of edge verbs that a repeat gets again"""
_FORGOTTEN: Json = {
    "allowed": False,
    "reason": Reason.ALREADY_DONE.value,
    "text": "That was asked for before, and what came of it is not known any more; ask again with a new id.",
}
_LONGEST_LEVEL, _LONGEST_TOPIC, _LONGEST_CORRELATION = 100, 512, 1024


@dataclass(frozen=True, slots=True)
class _Mail:
    broker: Connection
    principal: str
    verb: str
    message: Received


class Commands:
    """Serves one connection after another (an inbox.Listener)."""

    def __init__(
        self,
        settings: CommandsSettings,
        host: str,
        ask: Ask,
        clock: Clock,
        handlers: Mapping[str, EdgeVerb],
    ) -> None:
        """`handlers`: the verbs that are done at this edge (refresh, replay), and who does them."""
        self._ask, self._clock, self._handlers = ask, clock, handlers
        self.keys = Keys({name: one.secret_file for name, one in settings.principals.items()})
        self._gate, self._purses = Gate(settings, host, self.keys), Purses(clock)
        self._principals = tuple(settings.principals)
        self._from, self._to = topic(host, "cmd"), topic(host, "reply")
        self._desks: dict[str, deque[_Mail]] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        """(principal, '' for its desk or a verb that is being done) -> the task; strangers share one desk"""
        self._under_way: dict[tuple[str, str], str] = {}
        """(principal, verb of the edge) -> the id of the command that is being done"""
        self._done: dict[tuple[str, str], Json] = {}
        self.trouble = ""
        """what is wrong with it, for a person; '' if nothing is"""
        self.dropped = 0
        """messages that came too fast"""
        self.crashes = 0
        """errors that no one had foreseen, at the edge of a desk"""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Every command to this box; and those of each principal, for when too much comes from others."""
        return (f"{self._from}/+/+", *(f"{self._from}/{name}/+" for name in self._principals))

    def refused(self, pattern: str, why: str) -> None:
        """The broker does not let us read commands ('': it does)."""
        self.trouble = f"No command is heard over the bus: {why}; allow our user to read {self._from}/#." if why else ""

    async def heard(self, broker: Connection, message: Received) -> None:
        """Take one message up, or drop it: never waits, so that who talks much holds up nobody else."""
        levels = message.topic.removeprefix(f"{self._from}/").split("/")
        if not message.payload or len(levels) != 2:
            return  # a topic that was cleared, by us or by others
        principal, verb = levels
        who = principal if self._gate.knows(principal) else ""
        desk = self._desks.setdefault(who, deque())
        if not self._purses.take(who) or len(desk) >= WAITING:
            self.dropped += 1
            return
        desk.append(_Mail(broker, principal, verb, replace(message, properties=_bounded(message.properties))))
        if (who, "") not in self._tasks:
            self._tasks[who, ""] = asyncio.get_running_loop().create_task(self._work(who))

    def abandon(self) -> None:
        """Drop everything that is being done."""
        for task in self._tasks.values():
            task.cancel()

    async def close(self) -> None:
        """End what is being done; what was decided is in the journal, and asking again gives the answer."""
        tasks = list(self._tasks.values())
        self.abandon()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ one message

    async def _work(self, who: str) -> None:
        desk = self._desks[who]
        try:
            while desk:
                try:
                    await self._obey(desk.popleft())
                except Exception:  # noqa: BLE001 - the edge of this loop: counted, and the next one is served
                    self.crashes += 1
        finally:
            del self._tasks[who, ""]

    async def _obey(self, mail: _Mail) -> None:
        """Obey one message, or say why not."""
        principal, verb, message = mail.principal, mail.verb, mail.message
        now = self._clock.wall()
        ruling = self._gate.judge(principal, verb, message.payload, now, retained=message.retained)
        refused, key = ruling.refused, (principal, verb)
        if refused is None and self._under_way.get(key) == ruling.envelope.id:
            return  # a repeat: its answer comes when it is done
        if refused is None and key in self._under_way:
            refused = no(Reason.BUSY, f"The {verb} that you asked for before is not done yet; ask again then.")
        command = Command(
            at=now,
            mono=self._clock.mono(),
            verb=plain(verb, _LONGEST_LEVEL),
            target=ruling.envelope.target,
            params=ruling.envelope.params,
            principal=f"bus:{plain(principal, _LONGEST_LEVEL)}",
            door="bus",
            id=ruling.envelope.id,
            refused=refused,
            signed=ruling.signed,
            if_rev=ruling.envelope.if_rev,
        )
        decision: Decision = await self._ask(command)
        if message.retained:
            await _say(mail.broker, message.topic, b"", retain=True)
        data = _data(decision)
        if decision.verdict.ok and verb in self._handlers:
            if not decision.repeat:
                self._under_way[key] = command.id
                self._tasks[key] = asyncio.get_running_loop().create_task(self._edge(mail, ruling.envelope, data))
                return
            data |= self._done.get((principal, command.id), _FORGOTTEN)
        await self._reply(mail, ruling.envelope, decision.verdict, data)

    async def _edge(self, mail: _Mail, envelope: Envelope, data: Json) -> None:
        """Do a verb of the edge, and answer."""
        verdict: Verdict = Verdict(True, Reason.ALLOWED, "")
        found: Json = {}
        try:
            found = await self._handlers[mail.verb](mail.broker, mail.principal, envelope)
        except ValueError as err:
            verdict = no(Reason.BAD_PARAMETER, f"{err}.")
        except ResurgamError as err:
            verdict = no(Reason.FAILED, f"{mail.verb} was not done: {err}.")
        except Exception:  # noqa: BLE001 - the edge of this task: counted, and told to whoever asked
            self.crashes += 1
            verdict = no(Reason.FAILED, f"{mail.verb} was not done, because of a mistake in Resurgam.")
        finally:
            del self._tasks[mail.principal, mail.verb], self._under_way[mail.principal, mail.verb]
        if not verdict.ok:
            found = {"allowed": False, "reason": verdict.reason.value, "text": verdict.text}
        while len(self._done) >= REMEMBERED:
            del self._done[next(iter(self._done))]
        self._done[mail.principal, envelope.id] = found
        await self._reply(mail, envelope, verdict, data | found)

    # ------------------------------------------------------------ answers

    async def _reply(self, mail: _Mail, envelope: Envelope, verdict: Verdict, data: Json) -> None:
        """`{"id", "transaction"?, "status": "ok"|"error", "data", "error"?}` to where it is awaited."""
        if max(len(mail.principal), len(mail.verb)) > _LONGEST_LEVEL:
            return
        body: Json = {"id": envelope.id}
        if envelope.transaction is not None:
            body["transaction"] = envelope.transaction
        ok = bool(data.get("allowed", verdict.ok))
        body |= {"status": "ok" if ok else "error", "data": data}
        if not ok:
            body["error"] = str(data.get("text", verdict.text))
        asked = mail.message.properties
        inside = f"{self._to}/{mail.principal}/"
        where = asked.response if _is_inside(asked.response, inside) else f"{inside}{mail.verb}"
        await _say(mail.broker, where, to_bytes(body), properties=Properties(correlation=asked.correlation))


def _data(decision: Decision) -> Json:
    """What was decided, with the revision it was compared with and the question that was opened, where there is one."""
    found: dict[str, Any] = decision_document(decision)
    if decision.rev is not None:
        found["rev"] = decision.rev
    if decision.asked:
        found["approval"] = decision.asked
    return found


def _bounded(properties: Properties) -> Properties:
    """What an answer needs of them."""
    known = properties.correlation if len(properties.correlation) <= _LONGEST_CORRELATION else b""
    response = properties.response if len(properties.response) <= _LONGEST_TOPIC else ""
    return Properties(response=response, correlation=known) if known or response else PLAIN


def _is_inside(wanted: str, folder: str) -> bool:
    """Whether a response topic is one that only this principal reads."""
    rest = wanted.removeprefix(folder)
    return wanted.startswith(folder) and bool(rest) and rest.isprintable() and not any(char in rest for char in "+#")


async def _say(
    broker: Connection, where: str, payload: bytes, *, retain: bool = False, properties: Properties = PLAIN
) -> None:
    """Best effort: who hears nothing asks again with the same id, and gets the same answer."""
    try:
        await broker.publish(where, payload, 1, retain, 0.0 if retain else REPLY_EXPIRY, properties)
    except BrokerError:
        return
