"""A kill in what else is done to slots: a swap inside a server, room for a load, models put away, put to sleep and
woken, the way back from probation, a stand-in and the hand-back.

As in test_swap_kills: each story is told once undisturbed, then with a SIGKILL at some of its points, and comes to rest
as it would have, verified. `make soak` tries all points (RESURGAM_SOAK).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import pytest

from supervisor.core.standing import Loaded
from supervisor.facts.slots import ASLEEP, LOADED, UNLOADED
from tests.sim import slot_kinds as kinds
from tests.sim.slot_kinds import INSIDE, LONE, SLEEPERS
from tests.sim.slots import A, B, Slots, told
from tests.sim.test_stand_ins import breaks, mended

SOAK = bool(os.environ.get("RESURGAM_SOAK"))
Tell = Callable[[Slots], Awaitable[None]]
AFTER = {"probation": "20m", "probation-every": "2m"}
STANDS_IN = {"fallback": [B], "fallback-after": "60s", "hand-back": "10m", "probation": "0"}


@dataclass(frozen=True)
class Told:
    """One maneuver. `first`: what comes before the kills; `act`: what is killed in; `ends`: how models stand then."""

    kind: str
    act: Tell
    ends: dict[str, str]
    holder: str
    first: Tell | None = None
    slot: tuple[tuple[str, object], ...] = ()
    stride: int = 37


async def done(stage: Slots, verb: str, holds: Callable[[], bool], **params: str) -> None:
    """A person asks until it is so."""
    for _attempt in range(6):
        if holds():
            return
        question = asyncio.ensure_future(stage.life.ask(verb, "oracle", "a test of endurance", **params))
        await stage.world.run(30)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
        await stage.until(lambda: not stage.space("plan"), 600, "end of the plan", step=5)
        await stage.world.run(30)
    raise AssertionError(f"{verb} was never done\n{stage.tail()}")


def state(stage: Slots, name: str) -> str:
    """How a model really stands."""
    return stage.world.models.state(stage.at(name))


def swapped(to: str) -> Tell:
    return lambda stage: done(stage, "swap", lambda: stage.slot().holder == to, to=to)


def made(verb: str, name: str, wanted: str) -> Tell:
    return lambda stage: done(stage, verb, lambda: state(stage, name) == wanted, model=name)


async def too_slow(stage: Slots) -> None:
    """In its probation it gets slow: it goes back."""
    stage.changes(B, rate=5.0)
    await stage.until(lambda: stage.slot().holder == A and not stage.plans(), 1200, "the way back", step=5)


async def stands_in(stage: Slots) -> None:
    """The first choice breaks: the other one stands in."""
    await breaks(stage)
    await stage.until(lambda: stage.slot().stand_in and not stage.plans(), 3 * 3600.0, "stand-in", step=15)


async def handed_back(stage: Slots) -> None:
    """It is well again: it gets its slot back."""
    mended(stage)
    await stage.until(lambda: stage.slot().holder == A and not stage.plans(), 3600.0, "hand-back", step=15)


STORIES = {
    "inside": Told(INSIDE, swapped(B), {A: UNLOADED, B: LOADED}, B),
    "room": Told(
        INSIDE,
        made("load", "cpu", LOADED),
        {B: UNLOADED, "cpu": LOADED},
        A,
        made("load", B, LOADED),
        (("together", 2),),
    ),
    "put away": Told(INSIDE, made("unload", A, UNLOADED), {A: UNLOADED}, ""),
    "asleep": Told(SLEEPERS, made("sleep", A, ASLEEP), {A: ASLEEP}, ""),
    "woken": Told(SLEEPERS, made("wake", A, LOADED), {A: LOADED}, A, made("sleep", A, ASLEEP)),
    "probation": Told(LONE, too_slow, {A: LOADED, B: UNLOADED}, A, swapped(B), tuple(AFTER.items()), 83),
    "handed back": Told(LONE, handed_back, {A: LOADED, B: UNLOADED}, A, stands_in, tuple(STANDS_IN.items()), 97),
}


def setting(name: str) -> Loaded:
    """What the story is told with."""
    one = STORIES[name]
    return kinds.settings(one.kind, {"residency": "1s", "probation": "0", **dict(one.slot)})


def tell(name: str, kill: int = 0) -> tuple[int, str]:
    """Tell a story with a kill at this point: (its points, what was found wrong)."""
    one, tale = STORIES[name], [(0, "")]

    async def story(stage: Slots) -> None:
        await kinds.built(one.kind, stage)
        await stage.begin()
        await stage.until(lambda: stage.space("proved") and not stage.space("plan"), 200, "proof", step=5)
        if one.kind == INSIDE:
            await made("load", A, LOADED)(stage)
        await stage.until(lambda: stage.slot().holder == A and stage.gate().open, 200, "holder", step=5)
        if one.first is not None:
            await one.first(stage)
        first = stage.world.points
        stage.world.kill_at = frozenset((first + kill,) if kill else ())
        await one.act(stage)
        points, stage.world.kill_at = stage.world.points - first, frozenset()
        await stage.world.run(120)
        tale[0] = points, "\n".join(_wrong(stage, one))

    told(story, setting(name), invariants=False)
    return tale[0]


def _wrong(stage: Slots, one: Told) -> list[str]:
    shown, gate = stage.slot(), stage.gate()
    found = [f"{name} is {state(stage, name)}" for name, wanted in one.ends.items() if state(stage, name) != wanted]
    if (shown.holder, shown.phase, shown.plan) != (one.holder, "", 0):
        found.append(f"shown: {shown.holder!r} holds it, phase {shown.phase!r}, plan {shown.plan}")
    found += [f"{name} was never asked a question" for name in (one.holder,) if name and not _proved(stage, name)]
    if gate.open is not bool(one.holder) or gate.held:
        found.append(f"the gate is {gate}")
    if stage.space("plan"):
        found.append(f"open plans: {stage.space('plan')}")
    try:
        stage.holds()
    except AssertionError as err:
        found.append(str(err))
    return [*found, stage.tail()] if found else []


def _proved(stage: Slots, name: str) -> bool:
    return stage.world.models.proved(stage.at(name)) > 0


@cache
def points(name: str) -> int:
    """How many points a story has; it ends as it should."""
    count, found = tell(name)
    assert not found, found
    return count


@pytest.mark.parametrize("name", STORIES)
def test_a_kill_anywhere_ends_where_it_would_have_ended(name: str) -> None:
    stride = 1 if SOAK else STORIES[name].stride
    every = range(min(points(name), 1 + stride // 3), points(name) + 1, stride)
    assert every
    found = [f"kill at {kill}: {text}" for kill in every if (text := tell(name, kill)[1])]
    assert not found, f"{len(found)} of {len(every)} points:\n" + "\n\n".join(found[:3])
