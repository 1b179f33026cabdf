"""A kill at journal, engine, server and gate steps of swaps: the box comes to rest on exactly one verified model.

As in test_kill_matrix: each story is told once undisturbed, which numbers its points; then once for many of its points
with a SIGKILL there, the next daemon starting half a second later. At no instant two models run that exclude each
other, nothing takes more than there is, no plan stays open, and whoever holds the slot has answered a real question
since it was started. A failure prints its points; `RESURGAM_KILL=pivot:57,61` tells that one alone.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import pytest

from supervisor.core.standing import Loaded
from supervisor.lab.engine import WRITES, Fault
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import SimModel
from tests.sim.slots import GOOD, A, B, Slots, loaded, told

DONE = ("action.verified", "action.rolled_back", "action.degraded", "action.failed")
LITTLE = {"memory": "10GiB", "vram": "0:10GiB", "exclusive": []}
SMALL = SimModel(load=20.0, rate=20.0, memory=10 * GIB, vram={0: 10 * GIB}, answers={"2+3": "It is 5."})


async def swap(stage: Slots, to: str = B) -> None:
    """A person asks until it is done: a daemon that is killed gives no answer, and a plan that had not touched anything
    when its daemon was killed is given up."""
    for _attempt in range(10):
        if any(row.kind in DONE for row in stage.ended("swap")):
            return
        question = asyncio.ensure_future(stage.life.ask("swap", "oracle", to=to))
        await stage.world.run(60)
        question.cancel()
        await stage.until(lambda: not stage.space("plan"), 600, "end of the plan", step=5)
    raise AssertionError(f"the swap was never done\n{stage.tail()}")


async def good(stage: Slots) -> None:
    """B holds the slot in the end."""
    await swap(stage)


async def pivot(stage: Slots) -> None:
    """B is too slow: A comes back."""
    stage.changes(B, rate=5.0)
    await swap(stage)


async def broken(stage: Slots) -> None:
    """B dies while it answers: A comes back."""
    stage.changes(B, dies_in=2)
    await swap(stage)


STORIES: dict[str, Callable[[Slots], Awaitable[None]]] = {
    "good": good,
    "pivot": pivot,
    "broken": broken,
    "beside": good,
    "beside_pivot": pivot,
    "sleep": good,
    "sleep_pivot": pivot,
}
APART = {"services": {A: LITTLE, B: LITTLE}}
SLEEPERS = {
    "slot": {"models": {name: {"service": f"box.{name}", "sleep": 2} for name in (A, B)}},
    "services": {A: {"exclusive": []}, B: {"exclusive": []}},
}
STRIDE = {"good": 13, "pivot": 17, "broken": 47, "beside": 29, "beside_pivot": 37, "sleep": 31, "sleep_pivot": 41}
"""every so many points are tried in `make test`; `make soak` tries all (RESURGAM_SOAK)"""
DOUBLES = {"good": 2, "pivot": 3}
FAULTS = (
    Fault.effect_then_timeout(),
    Fault.refuse(),
    Fault.timeout_before_effect(),
    Fault.delay(3.0),
    Fault.cut(),
    Fault.effect_then_cut(),
)
SLICES = 2
SOAK = bool(os.environ.get("RESURGAM_SOAK"))


def setting(name: str) -> Loaded:
    """What the story is told with."""
    if name.startswith("beside"):
        return loaded(**APART)  # type: ignore[arg-type]
    return loaded(**SLEEPERS) if name.startswith("sleep") else loaded()  # type: ignore[arg-type]


@dataclass(frozen=True)
class Told:
    """A story that was told: who holds the slot in the end, how plans ended, its points, what was found wrong."""

    holder: str
    ends: tuple[str, ...]
    points: int
    writes: int
    found: str


def tell(name: str, kills: tuple[int, ...] = (), write: int = 0, fault: Fault | None = None) -> Told:
    """Tell a story with kills at these points, or with a fault of the engine at its so many-th write."""
    tale: list[Told] = []
    writes = [0]

    def at_the_write(operation: str, _key: str) -> Fault | None:
        writes[0] += operation in WRITES
        return fault if operation in WRITES and writes[0] == write else None

    async def story(stage: Slots) -> None:
        if name.startswith("beside"):
            stage.exclusive = False
            await stage.prepared(a=SMALL, b=SMALL)
        else:
            stage.exclusive = not name.startswith("sleep")
            await stage.prepared(b=GOOD)
        first = stage.world.points
        stage.world.kill_at = frozenset(first + kill for kill in kills)
        stage.engine.fault = at_the_write
        await STORIES[name](stage)
        points, count = stage.world.points - first, writes[0]
        stage.world.kill_at, stage.engine.fault = frozenset(), None
        await stage.world.run(200)
        ends = tuple(row.kind for row in stage.ended("swap"))
        holder = stage.slot().holder
        found = stage.holds_it(holder) if holder else ["nobody holds the slot"]
        if ends[-1] == "action.verified" and holder != B:
            found.append("a GO, and B does not hold it")
        if ends[-1] == "action.rolled_back" and holder != A:
            found.append("a NO-GO, and A does not hold it")
        try:
            stage.holds()
        except AssertionError as err:
            found.append(str(err))
        if found:
            found.append(stage.tail())
        stage.slot_watcher.found.clear()
        tale.append(Told(holder, ends, points, count, "\n".join(found)))

    told(story, setting(name), invariants=False)
    return tale[0]


@cache
def undisturbed(name: str) -> Told:
    """The story without a kill."""
    calm = tell(name)
    assert not calm.found, calm.found
    return calm


def trouble(name: str, kills: tuple[int, ...], write: int = 0, fault: Fault | None = None) -> list[str]:
    """What is wrong with one telling; [] for nothing."""
    calm = undisturbed(name)
    try:
        tale = tell(name, kills, write, fault)
    except Exception as err:
        return [f"{name} {kills} {write} {fault}\n{type(err).__name__}: {err}"]
    found = tale.found
    if tale.holder not in (A, calm.holder) or tale.ends[-1] not in ("action.verified", "action.rolled_back"):
        found += f"\ncomes to rest on {tale.holder!r} by {tale.ends}"
    return [f"{name} {kills} {write} {fault}\n{found}"] if found else []


def singles(name: str, part: int) -> list[tuple[int, ...]]:
    """The points of one slice of a story; or the telling that RESURGAM_KILL asks for."""
    wanted = os.environ.get("RESURGAM_KILL", "")
    if wanted:
        story, _, points = wanted.partition(":")
        return [tuple(int(point) for point in points.split(","))] if (story, part) == (name, 0) else []
    stride = 1 if SOAK else STRIDE[name]
    every = range(1, undisturbed(name).points + 1, stride)
    return [(point,) for number, point in enumerate(every) if number % SLICES == part]


@pytest.mark.parametrize("name", STORIES)
def test_the_stories_end_as_they_should(name: str) -> None:
    calm = undisturbed(name)
    back = name in ("pivot", "broken") or name.endswith("_pivot")
    assert calm.holder == (A if back else B)
    assert calm.ends == (("action.rolled_back",) if back else ("action.verified",))
    assert calm.points > 40


@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("name", STORIES)
def test_a_kill_anywhere_ends_on_one_verified_model(name: str, part: int) -> None:
    tellings = singles(name, part)
    found = [text for kills in tellings for text in trouble(name, kills)]
    assert not found, f"{len(found)} of {len(tellings)} points:\n" + "\n\n".join(found[:3])


@pytest.mark.parametrize("name", DOUBLES)
def test_two_kills_end_on_one_verified_model(name: str) -> None:
    points, count = undisturbed(name).points, DOUBLES[name] * (10 if SOAK else 1)
    pairs = [
        (1 + n * points // count, 1 + n * points // count + (1, 2, 3, 5, 8, 13, 21, 34)[n % 8]) for n in range(count)
    ]
    found = [text for kills in pairs for text in trouble(name, kills)]
    assert not found, f"{len(found)} of {len(pairs)} pairs:\n" + "\n\n".join(found[:3])


@pytest.mark.parametrize("fault", FAULTS if SOAK else FAULTS[:1], ids=lambda fault: fault.kind)
@pytest.mark.parametrize("name", STORIES if SOAK else ["pivot"])
def test_a_fault_of_the_engine_anywhere_changes_nothing(name: str, fault: Fault) -> None:
    calm = undisturbed(name)
    every = range(1, calm.writes + 1, 1 if SOAK else 2)
    found = [text for write in every for text in trouble(name, (), write, fault)]
    assert not found, f"{len(found)} of {calm.writes} writes:\n" + "\n\n".join(found[:3])
    assert calm.writes >= 2


def test_a_good_candidate_is_not_lost_by_most_kills() -> None:
    """A swap that is inside goes on after a restart of ours, where the candidate is well."""
    points = [kills for part in range(SLICES) for kills in singles("good", part)]
    late = sorted(kills for kills in points if kills[0] > undisturbed("good").points // 2)
    holders = [tell("good", kills).holder for kills in late]
    assert holders.count(B) >= len(holders) * 2 // 3, holders
