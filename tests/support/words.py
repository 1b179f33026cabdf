"""A box whose alerts a test turns on and off, for tests of a person's word: approve, deny, silence, ack."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from supervisor.config import Settings
from supervisor.config.yaml import Document, validate
from supervisor.core.standing import Loaded
from supervisor.facts import Approval
from supervisor.incidents.playbooks import read
from supervisor.journal import Row
from supervisor.lab.boxes import SimImage
from supervisor.lab.house import Life, SimWorld
from supervisor.lab.loop import SimLoop
from tests.support.rules import ruleset

T = TypeVar("T")

RULES = """
groups:
- name: g
  rules:
  - alert: Tight
    expr: node_memory_MemAvailable_bytes < 50e9
    labels: {severity: critical, name: oracle}
    annotations: {summary: too little memory}
"""
ASKS = """
playbooks:
- name: tight
  match: ['alertname="Tight"']
  steps:
  - do: restart
  - do: stop
  approval: always
"""
READING = 16.0
"""seconds until the host was read again"""


class Words:
    """One life after another on one box with the container `oracle`, which is ours."""

    def __init__(self, world: SimWorld, life: Life) -> None:
        self.world, self.life, self.clock = world, life, world.clock

    async def run(self, seconds: float) -> None:
        """Time goes by."""
        await self.world.run(seconds)
        assert self.world.life is not None
        self.life = self.world.life

    async def fire(self) -> None:
        """The alert `Tight` begins to fire."""
        self.world.host.memory["MemAvailable"] = 10e9
        await self.run(READING)

    async def calm(self) -> None:
        """It ends."""
        self.world.host.memory["MemAvailable"] = 100e9
        await self.run(READING)

    async def restart(self) -> None:
        """SIGTERM, and the next life half a second later."""
        await self.world.finish()
        await asyncio.sleep(0.5)
        self.life = await self.world.begin()
        await self.run(2.0)

    async def says(self, verb: str, target: str = "", **params: str) -> tuple[bool, str, str]:
        """(allowed, reason, text) of what is answered to a person."""
        verdict = (await self.life.ask(verb, target, **params)).verdict
        return verdict.ok, verdict.reason.value, verdict.text

    @property
    def open(self) -> tuple[Approval, ...]:
        """The open questions."""
        return self.life.core.snapshot.approvals

    def rows(self, *kinds: str, public: bool | None = True) -> list[Row]:
        """Rows of these kinds in the journal, oldest first."""
        return self.world.disk.rows(kinds=kinds, public=public)

    def kinds(self, *kinds: str, public: bool | None = True) -> list[str]:
        """Their kinds."""
        return [row.kind for row in self.rows(*kinds, public=public)]


def told(story: Callable[[Words], Awaitable[T]], playbooks: str = ASKS, rules: str = RULES, **settings: Any) -> T:
    """What a story gives."""
    loop = SimLoop()
    said = {"host": "sim", "consent": "listed", "services": {"oracle": {"enable": True}}, **settings}
    made = validate(Settings, Document("resurgam.yaml", said))
    loaded = Loaded(made, ruleset(rules), read(playbooks, "t.playbooks.yaml", "owner") if playbooks else ())

    async def play() -> T:
        world = SimWorld(loop, loaded)
        world.every = READING - 1
        world.engine.add_image(SimImage(tags=("local/oracle:1",)).full())
        world.engine.human_run("oracle", "local/oracle:1")
        life = await world.begin()
        await world.run(2.0)
        words = Words(world, life)
        try:
            return await story(words)
        finally:
            trouble = words.life.trouble
            await world.finish()
            assert trouble == []

    return loop.run_until_complete(play())
