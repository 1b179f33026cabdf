"""What a probe says of a service: its own check goes first, an answer counts for the run that gave it, and no other."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.facts import Probed
from tests.unit.services.world import OPT_IN, World, plan

STARTUP = 300.0
SAID = "connection refused"


def world(**entry: Any) -> World:
    """One service called oracle, that is asked for ever."""
    said = {"enable": True, "probe": "http://:8000/health", **entry}
    made = World(Settings.model_validate({"services": {"oracle": said}, "proof": "60s"}))
    made.registry.asked()
    return made


def answer(box: World, cid: str, ok: bool = True, **more: Any) -> None:
    """Its probe answers."""
    known = {"text": "200 OK" if ok else SAID, "service": "oracle", "container_id": cid}
    known |= {"started_at": box.there[cid].started_at}
    box.told += box.registry.answered(Probed(box.now, box.mono, "oracle", ok, **(known | more)))


@pytest.fixture
def box() -> World:
    return world()


def test_what_has_just_begun_is_not_well_before_its_probe_says_so(box: World) -> None:
    cid = box.run()
    assert not box.service().healthy
    assert box.series()["resurgam_service_healthy"] == 0
    box.wait(20)
    answer(box, cid, ok=False)
    assert not box.service().healthy
    answer(box, cid)
    assert box.service().healthy
    assert box.kinds("container.healthy", "container.unhealthy") == ["container.healthy"]


def test_nobody_asks_so_it_plainly_runs() -> None:
    box = World(Settings.model_validate({"services": {"oracle": {"enable": True, "probe": "tcp://:1"}}}))
    box.run()
    assert box.service().healthy


def test_without_a_probe_it_plainly_runs() -> None:
    box = world(probe=None)
    box.run()
    assert box.service().healthy


def test_one_that_ran_for_long_before_we_came_is_well_until_its_probe_says_no(box: World) -> None:
    cid = box.create()
    box.there[cid] = replace(box.there[cid], status="running", started_at=box.now - STARTUP - 1)
    box.look(cid)
    assert box.service().healthy
    answer(box, cid, ok=False)
    assert box.service().healthy, "once is never, here as well"
    answer(box, cid, ok=False, failing=True)
    assert not box.service().healthy


def test_a_single_failure_changes_nothing_and_many_in_a_row_do(box: World) -> None:
    cid = box.run()
    answer(box, cid)
    answer(box, cid, ok=False)
    assert box.service().healthy
    answer(box, cid, ok=False, failing=True)
    assert not box.service().healthy
    answer(box, cid, ok=False, failing=True)
    told = [one for one in box.told if one.kind == "container.unhealthy"]
    assert [one.data["text"] for one in told] == [f"oracle does not answer its probe: {SAID}."]
    answer(box, cid)
    assert box.service().healthy
    assert box.kinds("container.healthy", "container.unhealthy") == [
        "container.healthy",
        "container.unhealthy",
        "container.healthy",
    ]


def test_its_own_check_goes_before_its_probe(box: World) -> None:
    cid = box.run(health="starting")
    answer(box, cid)
    assert not box.service().healthy
    box.health(cid, "healthy")
    answer(box, cid, ok=False, failing=True)
    assert box.service().healthy
    assert box.kinds("container.healthy", "container.unhealthy") == ["container.healthy"]


def test_a_check_that_cannot_run_leaves_the_word_to_the_probe(box: World) -> None:
    cid = box.run(health="starting", health_output="/bin/sh: 1: curl: not found")
    box.health(cid, "unhealthy")
    assert not box.service().healthy
    answer(box, cid)
    assert box.service().healthy
    answer(box, cid, ok=False, failing=True)
    assert not box.service().healthy


@pytest.mark.parametrize("silent", [{"broken": True}, {"asleep": True}])
def test_a_probe_that_tells_nothing_leaves_what_plainly_runs(box: World, silent: dict[str, bool]) -> None:
    cid = box.run()
    answer(box, cid, ok=False, text="its model sleeps", **silent)
    assert box.service().healthy
    assert [one.data["text"] for one in box.told if one.kind == "container.healthy"] == [
        "oracle runs, and its probe tells nothing: its model sleeps."
    ]


def test_an_answer_of_a_run_that_is_over_says_nothing_of_the_next(box: World) -> None:
    cid = box.run()
    answer(box, cid)
    before = box.there[cid].started_at
    box.wait(30)
    box.end(cid)
    assert not box.service().healthy
    box.wait(1)
    box.start(cid, by_hand=False)
    assert not box.service().healthy
    answer(box, cid, ok=False, failing=True, started_at=before)
    answer(box, cid)
    answer(box, cid, ok=False, failing=True, started_at=before)
    assert box.service().healthy


def test_a_plans_probation_tells_of_the_container_that_is_to_be_the_service(box: World) -> None:
    old = box.run()
    answer(box, old)
    box.plans = {"oracle": plan("oracle")}
    box.end(old, 0, restarts=False)
    box.rename(old, "oracle.resurgam-parked-abcd")
    new = box.create("oracle")
    box.start(new)
    assert not box.service().healthy
    answer(box, new)
    assert box.service().healthy
    box.plans = {}
    assert box.service().healthy


def test_an_image_is_proved_by_the_time_its_probe_says_well(box: World) -> None:
    cid = box.run()
    box.wait(70)
    assert not box.service().proved_image
    answer(box, cid)
    box.wait(50)
    answer(box, cid, ok=False, failing=True)
    answer(box, cid)
    box.wait(50)
    assert not box.service().proved_image, "the time counts anew"
    box.wait(15)
    assert box.service().proved_image


def test_a_declared_load_does_not_delay_the_proof_of_what_answers() -> None:
    box = world(startup="20m")
    cid = box.run()
    answer(box, cid)
    box.wait(65)
    assert box.service().proved_image


def test_a_load_that_the_probe_saw_is_learned(box: World) -> None:
    cid = box.run()
    box.wait(5)
    answer(box, cid, ok=False)
    box.wait(95)
    answer(box, cid)
    assert [round(seconds) for seconds in box.service().loads] == [100]
    answer(box, cid, ok=False, failing=True)
    box.wait(5)
    answer(box, cid)
    assert len(box.service().loads) == 1, "it was no start"


def test_deaths_during_a_long_load_are_one_streak() -> None:
    box = world(startup="10m")
    cid = box.run()
    for _ in range(3):
        box.wait(30)
        answer(box, cid, ok=False)
        box.crash(cid, ran=400.0)
    assert box.service().streak == 3


def test_an_answer_of_a_stranger_changes_nothing(box: World) -> None:
    cid = box.run()
    answer(box, cid, service="nobody")
    answer(box, cid, container_id="f" * 64)
    assert not box.service().healthy


def test_one_that_is_only_watched_is_asked_all_the_same() -> None:
    box = World(Settings.model_validate({"proof": "60s"}))
    box.registry.asked()
    cid = box.run(labels={**OPT_IN, "resurgam.probe": "http://:8000/health"})
    assert not box.service().healthy
    answer(box, cid)
    assert box.service().healthy
