"""A box on a virtual clock that a test plays by hand: good and bad images, what happened, what is said, what is kept.

`play` runs a story from its first second to its end in one virtual loop; `Stage` is what the story is told with. The
daemon in it is lab.house's, the world outside is simulated; the rules are the shipped ones unless a test says so.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from supervisor.clock import ManualClock
from supervisor.config import Settings
from supervisor.config.yaml import Document, validate
from supervisor.core.reading import read_rules
from supervisor.core.standing import Loaded
from supervisor.facts import Alert, Container, Decision, Json, Plan, Service, Snapshot
from supervisor.journal import Row
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.lab.house import Life, SimWorld
from supervisor.lab.kernel.machine import Version
from supervisor.lab.loop import SimLoop
from supervisor.services import is_temp
from tests.sim.invariants import Watcher, at_rest, budget
from tests.support.contract import breaches, ours

GOOD = Behaviour()
CRASHES = Behaviour(exit_after=0.2, exit_code=139, log=("Illegal instruction",))
OWNED: Mapping[str, str] = {"resurgam.enable": "true"}
OWNER_FILE = Path(__file__).parent.parent / "support" / "owner-alerts.yaml"
PROOF = 60.0
"""seconds: how long an image must be healthy to be proved, in these stories"""
ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed", "action.ended_early")
_READ: dict[str, Loaded] = {}

Told = Callable[["Stage"], Awaitable[None]]


def compose(project: str, service: str) -> dict[str, str]:
    """The labels `docker compose up -d` puts on a container."""
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
    }


def read(files: Mapping[str, str] | None = None, **settings: Any) -> Loaded:
    """Settings (as resurgam.yaml would say them) and rules: `files` are the owner's own, by name; then the shipped."""
    key = repr((sorted((files or {}).items()), sorted(settings.items())))
    if key not in _READ:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (files or {}).items():
                Path(folder, name).write_text(text, "utf-8")
            said = {"proof": f"{PROOF:.0f}s", "host": "sim", "rules": [folder, "shipped"], **settings}
            made = validate(Settings, Document("resurgam.yaml", said))
            _READ[key] = read_rules(made, None)
    return _READ[key]


class Stage:
    """What a story is told with."""

    def __init__(self, world: SimWorld) -> None:
        self.world, self.engine, self.clock = world, world.engine, world.clock
        self.watcher = Watcher(world)
        world.broker.subscribe("everybody")

    # ------------------------------------------------------------ people and their containers

    def image(self, tag: str, run: Behaviour = GOOD, **config: Any) -> str:
        """An image arrives and takes the tag; its id."""
        made = SimImage(tags=(tag,), config={"Env": [f"RUN={run!r}"], **config}, run=run).full()
        self.engine.add_image(made)
        return made.id

    async def up(self, service: str = "oracle", labels: Mapping[str, str] = OWNED, policy: str = "always") -> str:
        """`compose up -d` of `service` in project `box`, from `local/<service>:1`: stopped and recreated if it is
        there. The id of its container."""
        name = f"box-{service}-1"
        there = self.engine.container(name)
        if there is not None:
            if there.status in ("running", "restarting"):
                self.engine.human_stop(name)
                await asyncio.sleep(0.1)
            self.engine.human_remove(name)
        said = {**compose("box", service), **labels}
        return self.engine.human_run(name, f"local/{service}:1", said, policy, networks=("box",))

    async def proved(self, service: str = "oracle", labels: Mapping[str, str] = OWNED) -> str:
        """A service that runs from `local/<service>:1` until that image is proved; the image's id."""
        good = self.image(f"local/{service}:1")
        await self.up(service, labels)
        if self.world.life is None:
            await self.world.begin()
        await self.world.run(PROOF + 20)
        assert self.service(f"box.{service}").proved_image == good
        return good

    async def moved(self, service: str = "oracle", run: Behaviour = CRASHES, labels: Mapping[str, str] = OWNED) -> str:
        """The tag moves to another image and compose recreates the container from it; the bad image's id."""
        bad = self.image(f"local/{service}:1", run)
        await self.up(service, labels)
        return bad

    def box(self, name: str = "box-oracle-1") -> Container | None:
        """The container of that name now."""
        return self.engine.container(name)

    def names(self) -> list[str]:
        """The names of all containers."""
        return sorted(box.name for box in self.engine.containers())

    def starts(self) -> list[tuple[str, float]]:
        """(key, unix time) of every start the daemon had carried out."""
        return [(key, at) for operation, key, at in self.engine.writes if operation == "start"]

    # ------------------------------------------------------------ the daemon

    @property
    def life(self) -> Life:
        """The daemon that runs now."""
        assert self.world.life is not None, "no daemon runs"
        return self.world.life

    @property
    def snapshot(self) -> Snapshot:
        """What it shows."""
        return self.life.core.snapshot

    def service(self, ident: str = "box.oracle") -> Service:
        """One service as it is shown."""
        found = [service for service in self.snapshot.services if service.id == ident]
        assert found, f"there is no service {ident}: {[service.id for service in self.snapshot.services]}"
        return found[0]

    def alert(self, name: str) -> Alert | None:
        """An active alert by name."""
        return next((alert for alert in self.snapshot.alerts if alert.name == name), None)

    def plans(self) -> list[Plan]:
        """Open plans of verbs that people know."""
        return [plan for plan in self.snapshot.plans if plan.verb != "protect"]

    async def ask(self, verb: str, target: str = "box.oracle", override: str = "", **params: str) -> Decision:
        """What a person types; the answer, once it is durable."""
        question = asyncio.ensure_future(self.life.ask(verb, target, override, **params))
        await self.until(question.done, 20, f"an answer to {verb}")
        return question.result()

    async def stop(self) -> None:
        """SIGTERM."""
        await self.world.finish()

    async def kill(self) -> None:
        """SIGKILL, here and now."""
        self.life.fence.closed = True
        await self.world.bury()

    async def begin(self) -> None:
        """The daemon is started."""
        await self.world.begin()

    async def until(self, holds: Callable[[], Any], seconds: float, what: str, step: float = 0.25) -> float:
        """Let time go by until it holds; the seconds that took."""
        began = self.clock.mono()
        while not holds():
            assert self.clock.mono() - began < seconds, f"no {what} within {seconds:.0f} s\n{self.tail()}"
            await self.world.run(step)
        return self.clock.mono() - began

    # ------------------------------------------------------------ what is kept and told

    def rows(self, *kinds: str) -> list[Row]:
        """Journal rows, of these kinds if any are named."""
        return self.world.disk.rows(kinds=kinds, limit=1_000_000)

    def space(self, name: str) -> dict[str, Json]:
        """What the journal keeps as true now."""
        return self.world.disk.space(name)

    def refusals(self, reason: str) -> list[Row]:
        """Decisions that said no for this reason."""
        return [row for row in self.rows("action.refused") if row.body["reason"] == reason]

    def ended(self, verb: str = "phoenix") -> list[Row]:
        """How the plans of this verb ended, in order."""
        return [row for row in self.rows(*ENDS) if row.body["verb"] == verb]

    def outcome(self, verb: str = "phoenix") -> Row:
        """How the last plan of this verb ended."""
        found = self.ended(verb)
        assert found, f"no {verb} has ended\n{self.tail()}"
        return found[-1]

    def heard(self, kind: str) -> list[Json]:
        """The bodies of CloudEvents of this type that a subscriber got."""
        got = self.world.broker.subscribers["everybody"].payloads("resurgam/sim/event/")
        return [event for event in map(json.loads, got) if event["type"] == f"resurgam.{kind}"]

    def tail(self, count: int = 40) -> str:
        """The last journal rows, for a failure's text."""
        rows = self.world.disk.rows(limit=count, newest_first=True)
        lines = [
            f"{row.seq:4} {row.at - 1_760_000_000:9.3f} {row.kind} {row.subject} {row.body.get('text', '')}"[:220]
            for row in reversed(rows)
        ]
        return "\n".join(lines)

    def holds(self, healthy: Mapping[str, str] | None = None) -> None:
        """Every invariant held so far, and holds at rest. `healthy`: name -> container id that was well before."""
        found = [*self.watcher.found, *budget(self.world), *at_rest(self.world, dict(healthy or {}))]
        got = self.world.broker.subscribers["everybody"].got
        found += [*self._told_in_turn(), *self._safe_with_compose()]
        found += breaches(ours((one.topic, one.payload) for one in got))
        assert not found, "\n".join([*found, self.tail()])

    def _told_in_turn(self) -> list[str]:
        """I8, in the journal: an alert fires once, ends, and only then fires again."""
        firing: set[str] = set()
        found = []
        for row in self.rows("alert.firing", "alert.resolved"):
            fingerprint = row.body["alert"]["fingerprint"]
            if (row.kind == "alert.firing") is (fingerprint in firing):
                found.append(f"I8 no alert invented: {row.kind} of {fingerprint} in row {row.seq} is a repeat")
            firing ^= {fingerprint}
        return found

    def _safe_with_compose(self) -> list[str]:
        """I6: the next `compose up` must take nothing that we left behind for the service, unless people are warned."""
        warned = self.snapshot.problems if self.world.life is not None else ()
        left = [box for box in self.engine.containers() if is_temp(box.name)]
        return [
            f"I6 clean exit: {box.name} carries compose's labels, so the next `compose up` would start it"
            for box in left
            if "com.docker.compose.service" in box.labels and not any(text.startswith(box.name) for text in warned)
        ]


def play(story: Told, loaded: Loaded | None = None, seed: int = 0, groups: Version = 2) -> Stage:
    """Tell a story on a fresh box; the stage as it stands at the end. `groups`: the version of its control groups."""
    loop = SimLoop(ManualClock(seed=seed))
    asyncio.set_event_loop(loop)
    made: list[Stage] = []

    async def told() -> None:
        stage = Stage(SimWorld(loop, loaded or read(), groups=groups))
        made.append(stage)
        try:
            await story(stage)
            if stage.world.life is not None:
                assert not stage.life.trouble, f"an edge broke: {stage.life.trouble[0]!r}"
        finally:
            if stage.world.life is not None:
                await stage.kill()

    try:
        loop.run_until_complete(told())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return made[0]
