"""Learned loads: what is kept, which starts teach something, and what deadline follows."""

from dataclasses import replace

import pytest

from supervisor.actions.plans import build
from supervisor.actions.plans import limit as limit_of
from supervisor.facts import Intent, Needs, Plan
from supervisor.services.loads import KEPT, learned, limit, with_one_more
from tests.unit.services.world import GOOD, OPT_IN, World, plan


@pytest.fixture
def world() -> World:
    made = World()
    made.engine(True)
    made.sweep()
    return made


def load(world: World, cid: str, seconds: float) -> None:
    """A start whose check says healthy after so long."""
    world.start(cid)
    world.wait(seconds)
    world.health(cid, "healthy")


# ------------------------------------------------------------ what is learned


def test_an_ordinary_start_that_the_engine_sees_become_healthy_is_learned(world: World) -> None:
    cid = world.create(health="starting")
    load(world, cid, 42.0)
    assert world.service().loads == (pytest.approx(42.0),)
    (kept,) = world.keep()["load"]["oracle"]["loads"]
    assert (kept["image"], kept["at"]) == (GOOD, world.now)


def test_a_health_that_comes_and_goes_is_one_load(world: World) -> None:
    cid = world.create(health="starting")
    load(world, cid, 10.0)
    for _ in range(3):
        world.wait(100)
        world.health(cid, "unhealthy")
        world.wait(100)
        world.health(cid, "healthy")
    assert len(world.service().loads) == 1


def test_one_that_was_called_unhealthy_while_it_loaded_loaded_until_it_was_healthy(world: World) -> None:
    cid = world.create(health="starting")
    world.start(cid)
    world.wait(90)
    world.health(cid, "unhealthy")
    world.wait(510)
    world.health(cid, "healthy")
    assert world.service().loads == (pytest.approx(600.0),)


def test_each_start_is_one_load_whoever_started_it(world: World) -> None:
    cid = world.create(health="starting")
    load(world, cid, 10.0)
    world.end(cid, 139)
    world.wait(1)
    world.start(cid, by_hand=False)
    world.wait(20)
    world.health(cid, "healthy")
    assert world.service().loads == (pytest.approx(10.0), pytest.approx(20.0))


def test_what_was_healthy_when_we_came_teaches_nothing(world: World) -> None:
    cid = world.create(health="starting")
    world.start(cid)
    world.there[cid] = replace(world.there[cid], health="unhealthy")
    fresh = world.again()
    fresh.engine(True)
    fresh.sweep()
    fresh.wait(100)
    fresh.health(cid, "healthy")
    assert fresh.service().loads == ()


def test_an_inspect_that_finds_it_healthy_does_not_say_since_when(world: World) -> None:
    cid = world.create(health="starting")
    world.start(cid)
    world.wait(500)
    world.there[cid] = replace(world.there[cid], health="healthy")
    world.sweep()
    world.wait(10)
    world.health(cid, "unhealthy")
    world.health(cid, "healthy")
    assert world.service().loads == ()


def test_a_start_by_a_plan_is_told_by_the_plan(world: World) -> None:
    cid = world.create(health="starting", labels=OPT_IN)
    world.plans = {"oracle": plan()}
    load(world, cid, 10.0)
    assert world.service().loads == ()
    world.registry.loaded("oracle", 8.5, GOOD)
    assert world.service().loads == (8.5,)


def test_loads_outlive_a_restart_of_ours_and_go_with_the_service(world: World) -> None:
    cid = world.create(health="starting")
    load(world, cid, 42.0)
    fresh = world.again()
    fresh.engine(True)
    fresh.sweep()
    assert fresh.service().loads == (pytest.approx(42.0),)
    fresh.remove(cid)
    fresh.wait(1000)
    assert "oracle" not in fresh.keep().get("load", {}), "nothing is kept of a service that was only watched"


def test_what_cannot_be_read_begins_anew_and_is_said(world: World) -> None:
    cid = world.create(health="starting")
    load(world, cid, 42.0)
    kept = {**world.keep(), "load": {"oracle": {"loads": [{"seconds": "nonsense"}]}}}
    fresh = World(kept=kept)
    assert fresh.registry.get("oracle").loads == ()
    assert any("begins anew" in text for text in fresh.registry.problems())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 86_401.0])
def test_what_cannot_be_a_load_is_not_kept(seconds: float) -> None:
    assert with_one_more((), seconds, GOOD, 0.0) == ()


def test_the_latest_twenty_are_kept() -> None:
    loads = ()
    for number in range(1, KEPT + 6):
        loads = with_one_more(loads, float(number), GOOD, 0.0)
    assert [one.seconds for one in loads] == [float(number) for number in range(6, KEPT + 6)]


# ------------------------------------------------------------ what follows


@pytest.mark.parametrize(
    ("needs", "loads", "within", "seconds", "why"),
    [
        (Needs(), (), "", 300.0, "0 of its loads are known, 3 are needed"),
        (Needs(), (400.0, 420.0), "", 300.0, "2 of its loads are known"),
        (Needs(), (400.0, 420.0, 410.0), "", 840.0, "twice the 7m that its last 3 loads took"),
        (Needs(), (1.0, 2.0, 1.5), "", 60.0, "at least 1m"),
        (Needs(), (5000.0,) * 3, "", 7200.0, "at most 2h"),
        (Needs(startup=900.0, startup_declared=True), (10.0,) * 9, "", 900.0, "its declared startup"),
        (Needs(startup=900.0, startup_declared=True), (10.0,) * 9, "2m", 120.0, "as it was asked for"),
    ],
)
def test_the_deadline_and_why(needs: Needs, loads: tuple[float, ...], within: str, seconds: float, why: str) -> None:
    found = limit(needs, loads, within)
    assert found.seconds == seconds
    assert why in found.why


def test_one_odd_load_of_twenty_does_not_count() -> None:
    assert learned([100.0] * 19 + [5000.0]) == 100.0
    assert learned([100.0] * 18 + [5000.0] * 2) == 5000.0


def test_the_plan_carries_the_deadline_so_that_a_later_process_uses_the_same(world: World) -> None:
    cid = world.create(health="starting", labels=OPT_IN)
    for _ in range(3):
        load(world, cid, 100.0)
        world.wait(5)
        world.end(cid, 1, restarts=False)
    made = build(Intent("restart", "oracle", {}, "x", "uid:0"), world.service(), plan_id=1, op="aa", now=world.now)
    assert isinstance(made, Plan)
    assert limit_of(made) == 200.0
    assert made.found["limit_why"].startswith("It may take 3m20s to become healthy: twice the 1m40s")
    asked = Intent("restart", "oracle", {"within": "5s"}, "x", "uid:0")
    short = build(asked, world.service(), plan_id=1, op="aa", now=world.now)
    assert isinstance(short, Plan)
    assert limit_of(short) == 5.0
    assert limit_of(replace(made, found={})) == 300.0, "a plan of an earlier version"
