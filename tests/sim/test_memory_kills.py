"""A kill at every journal, engine and kernel step of what is done to the memory of a running container.

As in test_kill_matrix: each story is told once undisturbed, then once for each point from its command on, the next
daemon starting half a second later. The invariants hold, and the box comes to rest as it does without the kill: done
once, recorded, and nothing stands frozen or slowed down beyond its time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.lab.kernel.load import SimLoad
from tests.sim.memory import MemoryWatcher, held
from tests.sim.stage import Stage, play, read

GIB = 2.0**30
EIGHTH = GIB / 8
LOADED = read(services={"box.oracle": {"memory": "4GiB"}}, proof="10s")
LIMIT = 12 * GIB


async def prepared(stage: Stage) -> MemoryWatcher:
    """A service that uses 6 GiB of its 4, on a machine with swap."""
    watcher = MemoryWatcher(stage.world)
    stage.world.kernel.declare("box.oracle", SimLoad(anon=6 * GIB, file=GIB))
    stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
    await stage.up()
    stage.world.kernel.group(stage.box().id).limit = LIMIT  # type: ignore[union-attr]
    await stage.begin()
    await stage.until(lambda: stage.space("proved") and not stage.space("plan"), 400, "proof", step=5)
    await stage.world.run(5)
    return watcher


async def ask(stage: Stage, verb: str, **params: str) -> None:
    """A person asks until it is done: a daemon that is killed gives no answer, and a fresh one first reads what the
    service uses."""
    for _attempt in range(30):
        question = asyncio.ensure_future(stage.life.ask(verb, "box.oracle", **params))
        await stage.world.run(2)
        question.cancel()
        if [row for row in stage.ended(verb) if row.kind != "action.ended_early"]:
            return
    raise AssertionError(f"{verb} was never done\n{stage.tail()}")


async def frozen(stage: Stage) -> None:
    """It stands still for a while and goes on."""
    await ask(stage, "freeze", **{"for": "20s"})
    await stage.world.run(30)


async def fused(stage: Stage) -> None:
    """It is slowed down for a while, and memory.high is given back."""
    await ask(stage, "fuse", **{"for": "20s"})
    await stage.world.run(30)


async def reclaimed(stage: Stage) -> None:
    """The kernel takes a little of it back, in two pieces."""
    await ask(stage, "reclaim", size="128MiB")
    await stage.world.run(30)


async def raised(stage: Stage) -> None:
    """Its limit is raised."""
    await ask(stage, "raise-limit", to="16GiB")
    await stage.world.run(30)


async def frozen_and_stopped(stage: Stage) -> None:
    """It stands still, and is stopped as it stands."""
    await ask(stage, "freeze", **{"for": "10m"})
    await ask(stage, "stop")
    await stage.world.run(30)


STORIES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "frozen": frozen,
    "fused": fused,
    "reclaimed": reclaimed,
    "raised": raised,
    "frozen and stopped": frozen_and_stopped,
}
GROUPS = {"frozen and stopped": 1}
"""version 1's freezer holds even SIGKILL; all others on version 2"""


@dataclass(frozen=True)
class Rest:
    """How it came to rest."""

    status: str
    policy: str
    still: bool
    high: float
    limit: float
    charge: float
    """GiB, in eighths: what is taken in two goes may be a tenth short"""
    wanted: str
    holds: int
    plans: int
    ends: frozenset[tuple[str, str]]
    """(verb, how it ended) of what was not ended early"""


@dataclass(frozen=True)
class Told:
    """A story that was told: how it came to rest, its first and last point, what was found wrong."""

    end: Rest
    first: int
    points: int
    found: str


def rest(stage: Stage) -> Rest:
    box = stage.box()
    assert box is not None
    group = stage.world.kernel.machine.find(box.id)
    ends = [row for row in stage.rows("action.verified", "action.failed", "action.degraded") if row.public]
    return Rest(
        box.status,
        box.restart_policy,
        bool(group and group.freezers),
        group.high if group else 0.0,
        group.limit if group else 0.0,
        round(group.charge / EIGHTH) / 8 if group else 0.0,
        stage.service().wanted.state,
        len(stage.space("hold")),
        len(stage.space("plan")),
        frozenset((row.body["verb"], row.kind) for row in ends),
    )


def tell(name: str, kills: tuple[int, ...] = ()) -> Told:
    """Tell a story with kills at these points."""
    tale: list[Told] = []

    async def story(stage: Stage) -> None:
        watcher = await prepared(stage)
        first = stage.world.points
        stage.world.kill_at = frozenset(first + kill for kill in kills)
        await STORIES[name](stage)
        last = stage.world.points
        if stage.life.fence.closed:
            await stage.world.run(30)
        found = [*watcher.found, *held(stage.world)]
        try:
            stage.holds()
        except AssertionError as err:
            found.append(str(err))
        tale.append(Told(rest(stage), first, last, "\n".join(found)))

    play(story, LOADED, groups=GROUPS.get(name, 2))  # type: ignore[arg-type]
    return tale[0]


@cache
def undisturbed(name: str) -> Told:
    """The story without a kill."""
    calm = tell(name)
    assert not calm.found, calm.found
    return calm


def trouble(name: str, kills: tuple[int, ...]) -> list[str]:
    """What is wrong with one telling; [] for nothing."""
    calm = undisturbed(name).end
    try:
        told = tell(name, kills)
    except Exception as err:
        return [f"{name} {kills}\n{type(err).__name__}: {err}"]
    found = told.found
    if told.end != calm:
        found += f"\ncomes to rest as {told.end}\ninstead of {calm}"
    return [f"{name} {kills}\n{found}"] if found else []


def test_the_stories_end_as_they_should() -> None:
    calm = {name: undisturbed(name).end for name in STORIES}
    assert all((end.still, end.holds, end.plans) == (False, 0, 0) for end in calm.values())
    assert calm["frozen"].ends >= {("freeze", "action.verified"), ("thaw", "action.verified")}
    assert calm["fused"].high == float("inf")
    assert calm["reclaimed"].ends >= {("reclaim", "action.verified")}
    assert calm["reclaimed"].charge == 6.875
    assert calm["raised"].limit == 16 * GIB
    assert (calm["frozen and stopped"].status, calm["frozen and stopped"].wanted) == ("exited", "stopped")


@pytest.mark.parametrize("name", STORIES)
def test_one_kill_anywhere_changes_nothing_about_the_end(name: str) -> None:
    told = undisturbed(name)
    points = range(1, told.points - told.first + 1)
    found = [text for point in points for text in trouble(name, (point,))]
    assert not found, f"{len(found)} of {len(points)} points:\n" + "\n\n".join(found[:3])


@pytest.mark.parametrize("name", ["frozen", "fused"])
def test_two_kills_change_nothing_about_the_end(name: str) -> None:
    points = undisturbed(name).points - undisturbed(name).first
    pairs = [(first, first + (2, 7)[first % 2]) for first in range(1, points, 4)]
    found = [text for kills in pairs for text in trouble(name, kills)]
    assert not found, f"{len(found)} of {len(pairs)} pairs:\n" + "\n\n".join(found[:3])
