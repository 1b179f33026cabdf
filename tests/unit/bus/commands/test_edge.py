"""Verbs that are done at the edge (refresh, replay), and the desks: nobody waits for another one's command."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from supervisor.bus.commands import Commands, Envelope
from supervisor.bus.commands.listener import WAITING
from supervisor.bus.link.connection import Connection
from supervisor.config.telling import CommandsSettings, PrincipalSettings
from supervisor.errors import BrokerError
from supervisor.facts import Command, Decision, Intent, Json
from supervisor.lab.loop import SimLoop
from supervisor.ports import PLAIN, Ack, Properties, Received
from supervisor.verdicts import yes

CMD, REPLY = "resurgam/box/cmd", "resurgam/box/reply"
PRINCIPALS = {name: PrincipalSettings(verbs=("replay", "refresh", "ack")) for name in ("phone", "panel")}


@dataclass
class Ear:
    """A connection that only remembers what was said on it."""

    said: list[tuple[str, Json]] = field(default_factory=list)
    lost: bool = False

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Properties = PLAIN
    ) -> Ack:
        if self.lost:
            raise BrokerError("gone")
        assert (qos, retain, expiry) == (1, False, 300.0)
        self.said.append((topic, json.loads(payload)))
        return Ack()


@dataclass
class Core:
    """Says yes, a second later; remembers ids as core/mail.py does."""

    asked: list[Command] = field(default_factory=list)

    async def __call__(self, fact: Any) -> Decision:
        known = any((one.principal, one.id) == (fact.principal, fact.id) for one in self.asked)
        self.asked.append(fact)
        await asyncio.sleep(1.0)
        verdict = yes(f"{fact.verb} is done.") if fact.refused is None else fact.refused
        return Decision(fact.at, Intent(fact.verb, "", {}, "", fact.principal), verdict, repeat=known)


def told(story: Callable[[Commands, Ear, Core], Awaitable[None]], **handlers: Any) -> None:
    loop = SimLoop()

    async def play() -> None:
        ear, core = Ear(), Core()
        commands = Commands(CommandsSettings(principals=PRINCIPALS), "box", core, loop.clock, handlers)
        await story(commands, ear, core)
        await commands.close()
        assert len(asyncio.all_tasks()) == 1

    loop.run_until_complete(play())


async def says(commands: Commands, ear: Any, where: str, **body: Any) -> None:
    await commands.heard(ear, Received(f"{CMD}/{where}", json.dumps(body).encode()))


def test_a_verb_of_the_edge_is_done_once_and_its_answer_has_what_it_gives() -> None:
    seen: list[tuple[str, str]] = []

    async def replay(_broker: Connection, principal: str, command: Envelope) -> Json:
        seen.append((principal, command.params["after"]))
        await asyncio.sleep(30)
        return {"sent": 7}

    async def story(commands: Commands, ear: Ear, core: Core) -> None:
        await says(commands, ear, "phone/replay", id="1", params={"after": "5"})
        await asyncio.sleep(2)
        await says(commands, ear, "phone/ack", id="2")
        await asyncio.sleep(2)
        assert [topic for topic, _ in ear.said] == [f"{REPLY}/phone/ack"], "a long replay holds up nothing"
        await says(commands, ear, "phone/replay", id="3")
        await asyncio.sleep(2)
        assert ear.said[-1][1]["data"]["reason"] == "busy"
        assert core.asked[-1].refused is not None, "that is told by the core"
        await says(commands, ear, "phone/replay", id="1", params={"after": "5"})
        await asyncio.sleep(2)
        assert len(ear.said) == 2, "its own answer is still to come"
        await asyncio.sleep(40)
        topic, body = ear.said[-1]
        assert (topic, body["status"], body["data"]["sent"]) == (f"{REPLY}/phone/replay", "ok", 7)
        await says(commands, ear, "phone/replay", id="1", params={"after": "5"})
        await asyncio.sleep(2)
        assert (ear.said[-1][1]["id"], ear.said[-1][1]["data"]["sent"]) == ("1", 7)
        commands._done.clear()  # as a restart does
        await says(commands, ear, "phone/replay", id="1", params={"after": "5"})
        await asyncio.sleep(2)
        assert (ear.said[-1][1]["status"], ear.said[-1][1]["data"]["reason"]) == ("error", "already_done")
        assert seen == [("phone", "5")]

    told(story, replay=replay)


def test_what_a_verb_of_the_edge_cannot_do_is_said() -> None:
    async def replay(_broker: Connection, _principal: str, command: Envelope) -> Json:
        if command.id == "1":
            raise ValueError("`after` must be a number")
        if command.id == "2":
            raise BrokerError("the connection was lost")
        raise RuntimeError("never seen")

    async def story(commands: Commands, ear: Ear, _core: Core) -> None:
        for number in ("1", "2", "3", "1"):
            await says(commands, ear, "phone/replay", id=number)
            await asyncio.sleep(2)
        found = [(body["status"], body["data"]["reason"], body["data"]["allowed"]) for _, body in ear.said]
        assert found == [
            ("error", "bad_parameter", False),
            ("error", "failed", False),
            ("error", "failed", False),
            ("error", "bad_parameter", False),
        ]
        assert ear.said[0][1]["error"] == "`after` must be a number."
        assert commands.crashes == 1

    told(story, replay=replay)


def test_each_has_a_desk_of_its_own() -> None:
    async def story(commands: Commands, ear: Ear, core: Core) -> None:
        for number in range(100):
            await says(commands, ear, "phone/ack", id=f"p{number}")
            await says(commands, ear, f"nobody{number}/ack", id="1")
        await says(commands, ear, "panel/ack", id="mine")
        await asyncio.sleep(1.5)
        assert f"{REPLY}/panel/ack" in [topic for topic, _ in ear.said], "answered with the first of the others"
        await asyncio.sleep(WAITING)
        assert len([one for one in core.asked if one.principal == "bus:phone"]) == 20
        assert commands.dropped == 160

    told(story)


def test_a_connection_that_is_gone_costs_an_answer_and_nothing_else() -> None:
    async def story(commands: Commands, ear: Ear, core: Core) -> None:
        await says(commands, Ear(lost=True), "phone/ack", id="1")
        await asyncio.sleep(2)
        await says(commands, ear, "phone/ack", id="1")
        await asyncio.sleep(2)
        assert [body["id"] for _, body in ear.said] == ["1"]
        assert len(core.asked) == 2

    told(story)


def test_a_core_that_trips_is_counted_and_the_next_command_is_served() -> None:
    async def story(commands: Commands, ear: Ear, core: Core) -> None:
        answers = core.__call__

        async def trips(fact: Any) -> Decision:
            if fact.id == "1":
                raise RuntimeError("never seen")
            return await answers(fact)

        commands._ask = trips
        await says(commands, ear, "phone/ack", id="1")
        await says(commands, ear, "phone/ack", id="2")
        await asyncio.sleep(3)
        assert [body["id"] for _, body in ear.said] == ["2"]
        assert commands.crashes == 1

    told(story)
