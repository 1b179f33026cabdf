"""A kill at every journal and engine step of three stories, two kills at many pairs, and every fault at every write.

Each story is told once undisturbed, which numbers its points; then once for each point with a SIGKILL there, the next
daemon starting half a second later. Every invariant must hold, and the box must come to rest exactly as it does
without the kill. A failure prints its points; `RESURGAM_KILL=story:57,61` tells that one alone.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from supervisor.lab.engine import LIMIT, WRITES, Behaviour, Fault
from tests.sim.invariants import TEMP, base_name
from tests.sim.stage import OWNER_FILE, Stage, play, read

NAME = "box-oracle-1"
ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed")
EARLY = ("action.ended_early",)
SLICES = 6
DOUBLES = 40
"""pairs of points, spread evenly over all pairs, that are tried for each story"""
FAULTS = (
    Fault.refuse(),
    Fault.timeout_before_effect(),
    Fault.effect_then_timeout(),
    Fault.delay(3.0),
    Fault.cut(),
    Fault.effect_then_cut(),
)
KUBE = {"box.oracle": {"kube": {"container": "ktransformers", "deployment": "inference-engine"}}}


# ---------------------------------------------------------------- the stories


async def proved(stage: Stage) -> None:
    """A service whose image is proved, whatever is killed meanwhile."""
    stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
    await stage.up()
    await stage.begin()
    await stage.until(lambda: stage.space("proved") and not stage.space("plan"), 400, "proof", step=5)
    await stage.world.run(5)


async def healed(stage: Stage) -> None:
    """Story 1: the tag moves to an image that crashes; the service rises again from the last known good one."""
    await proved(stage)
    await stage.moved()
    await stage.world.run(200)


async def rolled_back(stage: Stage) -> None:
    """A person asks for an image that turns out bad; the old container is put back."""
    await proved(stage)
    stage.image("local/oracle:2", Behaviour(exit_after=2.0, exit_code=1))
    await ask(stage, "phoenix", image="local/oracle:2")
    await stage.world.run(200)


async def stopped(stage: Stage) -> None:
    """Story 2: the owner's rule stops a service that loops, and it stays down."""
    await proved(stage)
    await ask(stage, "pause", target="*", **{"for": "70s"})
    stage.engine.break_container(NAME, exit_after=9.0, exit_code=134)
    stage.engine.crash(NAME, 134)
    await stage.world.run(300)


async def ask(stage: Stage, verb: str, target: str = "box.oracle", **params: str) -> None:
    """A person asks until it is done: a daemon that is killed gives no answer, and a plan that had not touched
    anything when its daemon was killed is given up."""
    for _attempt in range(10):
        question = asyncio.ensure_future(stage.life.ask(verb, target, **params))
        await stage.world.run(60 if verb in ("phoenix", "rollback") else 2)
        question.cancel()
        if stage.space("pause") if verb == "pause" else [row for row in stage.ended(verb) if row.kind not in EARLY]:
            return
        if verb in ("phoenix", "rollback") and stage.space("plan"):
            await stage.until(lambda: not stage.space("plan"), 200, "end of the plan", step=5)
    raise AssertionError(f"{verb} was never done\n{stage.tail()}")


async def worded(stage: Stage) -> None:
    """The same with a service that keeps state: its old container gets the data back once a person says so."""
    await proved(stage)
    stage.image("local/oracle:2", Behaviour(exit_after=2.0, exit_code=1))
    for _attempt in range(20):
        if [row for row in stage.ended() if row.kind not in EARLY]:
            break
        asks = [key for key in stage.space("approval") if key.startswith("ap-")]
        said = ("approve", asks[0], {}) if asks else ("phoenix", "box.oracle", {"image": "local/oracle:2"})
        if asks or not stage.plans():
            question = asyncio.ensure_future(stage.life.ask(said[0], said[1], **said[2]))
            await stage.world.run(10)
            question.cancel()
        await stage.world.run(20)
    await stage.world.run(200)


async def backed_up(stage: Stage) -> None:
    """A person asks for another image; a backup is made first, and the service moves on."""
    await proved(stage)
    stage.image("local/oracle:2", Behaviour(healthy_after=1.0), Labels={"version": "2"})
    await ask(stage, "phoenix", image="local/oracle:2")
    await stage.world.run(200)


async def gone_back(stage: Stage) -> None:
    """A second image proved, too; a person goes back to the first one, and the tag goes along."""
    await proved(stage)
    await stage.moved(run=Behaviour(healthy_after=1.5))
    await stage.until(lambda: len(_proofs(stage)) == 2, 400, "second proof", step=5)
    await stage.world.run(10)
    await ask(stage, "rollback", retag="true")
    await stage.world.run(200)


def _proofs(stage: Stage) -> list[object]:
    return list(stage.space("proved").get("box.oracle", {}).get("images", ()))


STORIES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "healed": healed,
    "rolled_back": rolled_back,
    "stopped": stopped,
}
MORE = {"worded": worded, "backed_up": backed_up, "gone_back": gone_back}
"""stories that are told with single kills only"""
ALL = STORIES | MORE
SERVICES = {
    "worded": {"box.oracle": {"stateful": True}},
    "backed_up": {"box.oracle": {"before": {"exec": ["dump"], "within": "1m"}}},
}
RULES = {name: {"services": said} for name, said in SERVICES.items()} | {
    "stopped": {"files": {"omni.yaml": OWNER_FILE.read_text("utf-8")}, "services": KUBE}
}


# ---------------------------------------------------------------- telling them with kills


@dataclass(frozen=True)
class Rest:
    """How the box came to rest."""

    containers: tuple[tuple[str, str, str, str], ...]
    """(name without the op, status, image, restart policy)"""
    held_down: bool
    bad: tuple[str, ...]
    proved: str
    open_plans: int
    outcomes: tuple[str, ...]
    """what people were told of plans, in order, repeats left out"""


@dataclass(frozen=True)
class Told:
    """A story that was told: how it came to rest, its points and write calls, what was found wrong ('' for nothing)."""

    end: Rest
    points: int
    writes: int
    found: str


def rest(stage: Stage) -> Rest:
    """How it stands now."""
    service = stage.service()
    boxes = []
    for box in stage.engine.containers():
        match = TEMP.match(box.name)
        shown = f"{base_name(box.name)} ({match['role']})" if match else box.name
        boxes.append((shown, box.status, box.image_id, box.restart_policy))
    ends = [row.kind for row in stage.rows("action.") if row.public and row.kind in ENDS]
    return Rest(
        tuple(sorted(boxes)),
        service.wanted.state == "stopped",
        service.quarantined,
        service.proved_image,
        len(stage.space("plan")),
        tuple(dict.fromkeys(ends)),
    )


def tell(name: str, kills: tuple[int, ...] = (), write: int = 0, fault: Fault | None = None) -> Told:
    """Tell a story with kills at these points, or with a fault at its so many-th write call."""
    tale: list[Told] = []
    writes = [0]

    def at_the_write(operation: str, _key: str) -> Fault | None:
        writes[0] += operation in WRITES
        if writes[0] != write or operation not in WRITES or fault is None:
            return None
        return late(operation, fault.seconds) if fault.kind == "delay" else fault

    async def story(stage: Stage) -> None:
        stage.world.kill_at = frozenset(kills)
        stage.engine.fault = at_the_write if fault is not None else None
        await ALL[name](stage)
        points = stage.world.points
        if stage.life.fence.closed:
            await stage.world.run(30)
        found = ""
        try:
            stage.holds()
        except AssertionError as err:
            found = str(err)
        tale.append(Told(rest(stage), points, len(stage.engine.writes), found))

    play(story, read(**RULES.get(name, {})))  # type: ignore[arg-type]
    return tale[0]


def late(operation: str, seconds: float) -> Fault:
    """The call has its effect so long after its caller has given up waiting."""
    grace = 10.0 if operation == "stop" else 0.0
    return Fault.delay(LIMIT.get(operation, 30.0) + grace + seconds)


@cache
def undisturbed(name: str) -> Told:
    """The story as it goes without a kill or a fault."""
    calm = tell(name)
    assert not calm.found, calm.found
    return calm


def trouble(name: str, kills: tuple[int, ...] = ()) -> list[str]:
    """What is wrong with one telling; [] for nothing."""
    calm = undisturbed(name).end
    how = f"RESURGAM_KILL={name}:{','.join(map(str, kills))} pytest tests/sim/test_kill_matrix.py"
    try:
        told = tell(name, kills)
    except Exception as err:
        return [f"{how}\n{type(err).__name__}: {err}"]
    found = told.found
    if told.end != calm:
        found += f"\ncomes to rest as {told.end}\ninstead of {calm}"
    return [f"{how}\n{found}"] if found else []


def faulty(name: str, write: int, fault: Fault) -> list[str]:
    """What is wrong with a telling in which the engine fails once; [] for nothing. How plans end may differ."""
    calm = undisturbed(name).end
    how = f"{name}, write {write}: {fault.kind}"
    try:
        told = tell(name, write=write, fault=fault)
    except Exception as err:
        return [f"{how}\n{type(err).__name__}: {err}"]
    found = told.found
    if serving(told.end) != serving(calm):
        found += f"\ncomes to rest as {serving(told.end)}\ninstead of {serving(calm)}"
    return [f"{how}\n{found}"] if found else []


def serving(end: Rest) -> tuple[object, ...]:
    """What of a rest a person cares for most: what runs, or is held down, and that nothing is left open."""
    return ([box for box in end.containers if box[0] == NAME], end.held_down, end.open_plans)


def singles(name: str, part: int) -> list[tuple[int, ...]]:
    """Every point of one slice of a story; or the telling that RESURGAM_KILL asks for."""
    wanted = os.environ.get("RESURGAM_KILL", "")
    if wanted:
        story, _, points = wanted.partition(":")
        return [tuple(int(point) for point in points.split(","))] if (story, part) == (name, 0) else []
    return [(point,) for point in range(1 + part, undisturbed(name).points + 1, SLICES)]


def pairs(points: int, count: int) -> Iterator[tuple[int, int]]:
    """Pairs (first, later) of points: the neighbours matter most, then further and further apart."""
    for number in range(count):
        first = 1 + number * points // count
        yield first, first + (1, 2, 3, 5, 8, 13, 21, 34)[number % 8]


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize("name", STORIES)
def test_the_story_without_a_kill_ends_as_it_should(name: str) -> None:
    told = undisturbed(name)
    calm = told.end
    assert calm.open_plans == 0
    assert told.points > 80
    assert told.writes >= (3 if name == "stopped" else 9)
    serving = [box for box in calm.containers if box[0] == NAME]
    assert [box[1:2] + box[3:] for box in serving] == (
        [("exited", "no")] if name == "stopped" else [("running", "always")]
    )
    assert (serving[0][2] == calm.proved) is True
    assert bool(calm.bad) is (name != "stopped")
    assert calm.held_down is (name == "stopped")


@pytest.mark.parametrize("name", MORE)
def test_the_further_stories_end_as_they_should(name: str) -> None:
    calm = undisturbed(name).end
    assert (calm.open_plans, calm.held_down) == (0, False)
    (serving,) = [box for box in calm.containers if box[0] == NAME]
    assert (serving[1], serving[3]) == ("running", "always")
    assert calm.outcomes[-1] == ("action.rolled_back" if name == "worded" else "action.verified")
    assert bool(calm.bad) is (name == "worded")


@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("name", ALL)
def test_one_kill_anywhere_changes_nothing_about_the_end(name: str, part: int) -> None:
    tellings = singles(name, part)
    found = [text for kills in tellings for text in trouble(name, kills)]
    assert not found, f"{len(found)} of {len(tellings)} points:\n" + "\n\n".join(found[:3])


@pytest.mark.parametrize("name", STORIES)
def test_two_kills_change_nothing_about_the_end(name: str) -> None:
    found = [text for kills in pairs(undisturbed(name).points, DOUBLES) for text in trouble(name, kills)]
    assert not found, f"{len(found)} of {DOUBLES} pairs:\n" + "\n\n".join(found[:3])


def test_any_number_of_our_own_deaths_is_not_the_ladders_fault() -> None:
    """Plans that a kill ended before anything was touched are tried again, at once and as often as it takes."""
    found = [text for first in range(30, 60, 6) for text in trouble("healed", tuple(range(first, first + 90, 18)))]
    assert not found, "\n\n".join(found[:3])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
@pytest.mark.parametrize("name", STORIES)
def test_one_fault_of_the_engine_anywhere_changes_nothing_about_what_serves(name: str, fault: Fault) -> None:
    writes = range(1, undisturbed(name).writes + 1)
    found = [text for write in writes for text in faulty(name, write, fault)]
    assert not found, f"{len(found)} of {len(writes)} writes:\n" + "\n\n".join(found[:3])
