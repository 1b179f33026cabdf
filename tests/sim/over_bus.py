"""What comes over the bus in the seeded worlds: commands, second words, alerts from outside, floods, a broker that
blinks; and what must hold of it.

`drawn_bus` says, from a seed of its own, what a world has beside the rest: two of five have some of it. To: worlds.py,
whose Play is made of `BusTroubles` too, and which asks `obeyed` and `bound` at the end.
"""

import asyncio
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from supervisor.facts import Outside, OutsideAlert
from supervisor.lab.house import SimWorld
from tests.sim.troubles import Service, Troubles
from tests.support.phone import CMD, key_file, signed

HOUR, GRID = 3600.0, 15.0
DOWN = "ModelDown"
"""the name of every alert from outside that asks for something"""
ASKED = ("restart", "restart", "phoenix image=local/evil:1", "stop box-s0-1", "scale replicas=0")
"""what those ask for: only the bare verb is obeyed"""
SECOND = ("phone", "phone", "panel", "nobody")
"""who says yes to what the phone asks without a signature; the phone itself may not"""
Event = tuple[float, str, tuple[Any, ...]]


@cache
def commands() -> Mapping[str, Any]:
    """Settings of these worlds: `phone` has a key, `panel` has none."""
    folder = tempfile.TemporaryDirectory(prefix="resurgam-sim-")
    _KEPT.append(folder)
    may = ["restart", "stop", "start", "phoenix", "pause", "resume", "approve"]
    return {
        "principals": {
            "phone": {"verbs": may, "secret_file": key_file(Path(folder.name))},
            "panel": {"verbs": ["approve", "deny"]},
        }
    }


_KEPT: list[Any] = []
"""the folder of the key, as long as the process lives"""


def drawn_bus(seed: int, services: Sequence[Service]) -> tuple[Event, ...]:
    """What this seed adds; () for nothing."""
    chance = random.Random(f"{seed} over the bus")
    if chance.random() > 0.4:
        return ()
    return tuple(sorted((_event(chance, services) for _ in range(chance.randint(2, 5))), key=lambda one: one[0]))


def _event(chance: random.Random, services: Sequence[Service]) -> Event:
    at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
    owned = [service.name for service in services if service.owned]
    name = chance.choice(owned or [service.name for service in services])
    verb = chance.choice(("restart", "restart", "phoenix", "stop", "start", "pause", "resume"))
    how = (chance.random() < 0.5, chance.choice(SECOND), chance.choice(("", "", "kill", "sigterm", "cut")))
    kinds: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("phone", (verb, name, *how)),
        ("phone", ("restart", name, *how)),
        (
            "outside",
            (name, chance.choice(ASKED), chance.choice(("told", "lapses")), chance.choice(("", "kill", "sigterm"))),
        ),
        ("flaps", (chance.randint(1, 4), chance.randint(4, 9), chance.uniform(0.5, 3), chance.random() < 0.4)),
        ("storm", (chance.randint(5, 30), chance.uniform(5, 200), chance.random() < 0.6)),
        ("blinks", (chance.randint(2, 6), chance.uniform(0.5, 8))),
    )
    kind, arguments = chance.choice(kinds)
    return at, kind, arguments


class BusTroubles(Troubles):
    """What people, systems and brokers do over the bus."""

    said: int
    """commands given so far"""
    phoned: set[str]
    """what the phone spoke of: it may be obeyed later than it was said"""

    async def _phone(self, verb: str, name: str, sign: bool, second: str, then: str) -> None:
        """A command, said again as a person does who hears nothing; something may happen in between."""
        self.said += 1
        self.phoned.add(name)
        body: dict[str, Any] = {"id": f"p{self.said}", "target": self._id_of(name)}
        body |= {"params": {"for": "40s"}} if verb == "pause" else {}
        body |= {"params": {"image": "current"}} if verb == "phoenix" else {}
        if sign:
            body = signed("phone", verb, body, self.world.clock.wall())
        self._says(f"phone/{verb}", body)
        await self.world.run(self.chance.uniform(0.01, 4))
        await self._happens(then)
        self._says(f"phone/{verb}", body)
        await self.world.run(1.0)
        life = self.world.life
        for one in life.core.snapshot.approvals if life is not None and second != "nobody" else ():
            if one.intent.by == "bus:phone":
                self.said += 1
                self._says(f"{second}/approve", {"id": f"p{self.said}", "target": one.id})
        await self.world.run(self.chance.uniform(1, 20))
        self._says(f"phone/{verb}", body)
        await self.world.run(1.0)

    def _says(self, where: str, body: dict[str, Any]) -> None:
        broker = self.world.broker
        if broker.up and not broker.frozen:
            broker.take(f"{CMD}/{where}", json.dumps(body).encode(), False)

    def _id_of(self, name: str) -> str:
        return name.removesuffix("-1").replace("-", ".", 1)

    async def _happens(self, what: str) -> None:
        if what == "kill" and self.world.life is not None:
            self.world.life.fence.closed = True
            self.world.killed.set()
            await self.world.run(2.0)
        elif what == "sigterm":
            await self._sigterm(self.chance.uniform(0.5, 5))
            await self.world.run(1.0)
        elif what == "cut":
            self.world.broker.cut()
            await self.world.run(2.0)

    async def _hand_in(self, *alerts: OutsideAlert) -> None:
        life, clock = self.world.life, self.world.clock
        if life is None:
            return
        question = asyncio.ensure_future(life.core.ask(Outside(clock.wall(), clock.mono(), "http", alerts)))
        await self.world.run(0.5)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)

    async def _outside(self, name: str, action: str, ends: str, then: str) -> None:
        """Another system says that a service is down, again and again, until it is well, or the system is gone."""
        labels = {"alertname": DOWN, "severity": "critical", "name": name}
        alert = OutsideAlert(labels, {"action": action, "summary": f"{name} does not answer"}, lasts=90.0)
        self.phoned.add(name)
        for number in range(3):
            await self._hand_in(alert)
            await self._happens(then if number == 1 else "")
            await self.world.run(30.0)
        if ends == "told":
            await self._hand_in(OutsideAlert(labels, {}, ends_at=self.world.clock.wall()))

    async def _flaps(self, count: int, times: int, every: float, away: bool) -> None:
        """A few alerts that fire and end again and again: more than is told one by one."""
        all_labels = [self._labels("Flap", number) for number in range(count)]
        if away:
            self.world.broker.kill()
        for _ in range(times):
            await self._hand_in(*(OutsideAlert(labels, {}) for labels in all_labels))
            await self.world.run(every)
            over = self.world.clock.wall()
            await self._hand_in(*(OutsideAlert(labels, {}, ends_at=over) for labels in all_labels))
        self.world.broker.start()

    async def _storm(self, count: int, seconds: float, away: bool) -> None:
        """Much fires at once, while the broker is away perhaps; half of it is told to be over, the rest lapses."""
        if away:
            self.world.broker.kill()
        alerts = [OutsideAlert(self._labels("Storm", number), {}, lasts=60.0 + number) for number in range(count)]
        await self._hand_in(*alerts)
        await self.world.run(seconds)
        over = self.world.clock.wall()
        await self._hand_in(*(OutsideAlert(one.labels, {}, ends_at=over) for one in alerts[::2]))
        self.world.broker.start()

    def _labels(self, name: str, number: int) -> dict[str, str]:
        grave = ("info", "warning", "warning", "critical")[number % 4]
        return {"alertname": name, "severity": grave, "number": str(number)}

    async def _blinks(self, times: int, seconds: float) -> None:
        """The broker dies and comes back, again and again."""
        for _ in range(times):
            self.world.broker.kill()
            await self.world.run(self.chance.uniform(0.1, seconds))
            self.world.broker.start()
            await self.world.run(self.chance.uniform(0.1, seconds))


# ---------------------------------------------------------------- what must hold


def obeyed(world: SimWorld) -> list[str]:
    """Each command of the bus is done at most once; one that disturbs has a signature, or another one's yes."""
    rows = world.disk.rows(kinds=("daemon.command", "action.planned", "action.approved"), limit=1_000_000)
    found: list[str] = []
    done: dict[tuple[str, str], set[tuple[int, str]]] = {}
    signed_plans: set[int] = set()
    yes: dict[tuple[str, str, str], int] = {}
    """(who asked, verb, service) -> how often somebody else said yes to it, and no plan has come of it yet"""
    for row in rows:
        body = row.body
        if row.kind == "daemon.command":
            signed_plans |= {body["plan"]} if body["signed"] and body["plan"] else set()
            if not body["repeat"] and (body["plan"] or body["approval"]) and body["verb"] not in ("approve", "deny"):
                done.setdefault((body["principal"], body["id"]), set()).add((body["plan"], body["approval"]))
    begun: set[int] = set()
    """rollouts of which a plan was begun: whoever shares its namespaces follows"""
    for row in rows:
        body = row.body
        asked = body.get("by", ""), body.get("verb", ""), row.subject
        if row.kind == "action.approved" and body["answered_by"] not in ("", body["by"]):
            yes[asked] = yes.get(asked, 0) + 1
        elif row.kind == "action.planned" and body["by"].startswith("bus:"):
            rollout = body.get("rollout", 0)
            if body["plan"] not in signed_plans and rollout not in begun:
                if not yes.get(asked):
                    who = f"plan {body['plan']} ({body['verb']}) of {body['by']}"
                    found.append(f"bus: {who} has no signature and no second word")
                yes[asked] = yes.get(asked, 0) - 1
            begun |= {rollout} if rollout else set()
    found += [f"bus: command {key[1]} of {key[0]} led to {sorted(all_)}" for key, all_ in done.items() if len(all_) > 1]
    return found[:3]


def bound(world: SimWorld) -> list[str]:
    """An alert from outside gets its bare verb done to what it is about, and never more; and whatever ended is told."""
    found = [
        f"outside: {row.body['verb']} of {row.subject} was planned, so its arguments were obeyed"
        for row in world.disk.rows(kinds=("action.planned",), limit=1_000_000)
        if row.body["by"] == f"rule:{DOWN}" and row.body["verb"] != "restart"
    ]
    life = world.life
    if life is None:
        return found
    firing: dict[str, None] = {}
    for row in world.disk.rows(kinds=("alert.firing", "alert.resolved"), limit=1_000_000):
        mark = row.body["alert"]["fingerprint"]
        firing.pop(mark, None)
        if row.kind == "alert.firing":
            firing[mark] = None
    there = {alert.fingerprint for alert in life.core.snapshot.alerts if alert.state == "firing"}
    return [*found, *(f"I7: {mark} is over and nobody was told" for mark in firing if mark not in there)]
