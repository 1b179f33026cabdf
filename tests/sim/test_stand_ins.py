"""Story 10, and story 2 with a stand-in: the first choice is down and cannot be brought back, another model stands in,
and hands back by a swap, once per window, never against somebody's word."""

from dataclasses import replace
from typing import Any

from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import SimModel
from tests.sim.slots import GOOD, WELL, A, B, Slots, loaded, told
from tests.sim.test_swap_stories import nothing

C = "cpu"
SMALL = SimModel(load=5.0, rate=20.0, memory=8 * GIB, answers={"2+3": "It is 5."})
ALONE = {"memory": "8GiB", "probe": "http://:8000/health", "exclusive": [], "startup": "60s"}
STANDS_IN: dict[str, Any] = {"fallback": [B], "fallback-after": "60s", "hand-back": "20m", "probation": "0"}
BROKEN = Behaviour(exit_after=2.0, exit_code=139, memory=0)
OWNERS = """
groups:
- name: own
  rules:
  - alert: ResetLoopRisk
    expr: kube_pod_container_status_restarts_total{container="ktransformers"} > 0
    labels: {severity: critical}
    annotations:
      action: "kubectl scale deployment inference-engine --replicas=0"
"""
KUBE = {A: {"kube": {"container": "ktransformers", "deployment": "inference-engine"}}}


def swaps(stage: Slots) -> list[tuple[str, str]]:
    """(to, how it ended) of every swap, by rule or hand."""
    planned = {row.body["plan"]: row for row in stage.rows("action.planned")}
    return [
        (str(planned[row.body["plan"]].body.get("params", {}).get("to", "")), row.kind.partition(".")[2])
        for row in stage.ended("swap")
    ]


async def breaks(stage: Slots) -> None:
    """The first choice dies again and again, however it is made anew; nothing helps."""
    shelf = stage.engine.world.shelf
    ident = shelf.tags[f"local/{A}:1"]
    shelf.images[ident] = replace(shelf.images[ident], run=BROKEN)
    stage.engine.break_container(f"box-{A}-1", exit_after=2.0, exit_code=139)
    stage.engine.crash(f"box-{A}-1", 139)


def mended(stage: Slots) -> None:
    """It is well from its next start on."""
    shelf = stage.engine.world.shelf
    ident = shelf.tags[f"local/{A}:1"]
    shelf.images[ident] = replace(shelf.images[ident], run=WELL)
    stage.engine.break_container(f"box-{A}-1", **{key: getattr(WELL, key) for key in ("exit_after", "healthy_after")})


async def stood_in(stage: Slots, model: str = B, seconds: float = 3 * 3600.0) -> None:
    await stage.until(lambda: stage.slot().stand_in and not stage.plans(), seconds, "stand-in", step=15)
    assert stage.slot().holder == model, stage.tail()
    assert stage.slot().first == A
    assert stage.heard("model.stand_in")


def test_the_stand_in_serves_and_hands_back_when_the_first_choice_is_well_again() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        await breaks(stage)
        await stood_in(stage)
        tries = len(swaps(stage))
        await stage.world.run(900)
        assert len(swaps(stage)) == tries, "not before the window is over"
        mended(stage)
        await stage.until(lambda: stage.slot().holder == A and not stage.plans(), 1800, "hand-back", step=15)
        nothing(A, stage)
        assert stage.heard("model.handed_back")
        assert not stage.slot().stand_in

    told(story, loaded(STANDS_IN), invariants=False)


def test_a_first_choice_that_is_still_broken_is_tried_once_per_window_and_the_stand_in_comes_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        await breaks(stage)
        await stood_in(stage)
        before = len(swaps(stage))
        await stage.world.run(3000)
        tries = swaps(stage)[before:]
        assert 1 <= len(tries) <= 2, tries
        assert {end for _to, end in tries} == {"rolled_back"}, tries
        assert stage.slot().stand_in
        nothing(B, stage)

    told(story, loaded(STANDS_IN), invariants=False)


def test_it_is_not_handed_back_while_the_owners_rule_holds_the_first_choice_down() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        await breaks(stage)
        await stood_in(stage)
        assert stage.ended("scale")[-1].body["reason"] == "verified"
        assert stage.service(f"box.{A}").wanted.by.startswith("rule:")
        before = len(swaps(stage))
        await stage.world.run(3600)
        assert len(swaps(stage)) == before, swaps(stage)
        nothing(B, stage)
        assert (await stage.ask("swap", "oracle", to=A)).verdict.ok, "a person may"

    told(story, loaded(STANDS_IN, KUBE, {"omni.yaml": OWNERS}), invariants=False)


def test_one_that_needs_no_card_runs_beside_what_holds_it() -> None:
    async def story(stage: Slots) -> None:
        await stage.model(C, SMALL)
        await stage.prepared(callers=False)
        stage.exclusive = False
        await breaks(stage)
        await stood_in(stage, C)
        assert stage.at(C).container.running  # type: ignore[union-attr]
        assert stage.gate().open

    models = {A: {"service": f"box.{A}"}, C: {"service": f"box.{C}"}}
    settings = loaded({**STANDS_IN, "fallback": [C], "models": models}, {C: ALONE})
    told(story, settings, invariants=False)


def test_the_next_one_stands_in_where_the_first_fails() -> None:
    async def story(stage: Slots) -> None:
        await stage.model(C, SMALL)
        await stage.prepared(callers=False, b=GOOD.changed(senseless=True))
        stage.exclusive = False
        await breaks(stage)
        await stood_in(stage, C)
        assert not stage.at(B).container.running  # type: ignore[union-attr]

    models = {name: {"service": f"box.{name}"} for name in (A, B, C)}
    told(story, loaded({**STANDS_IN, "fallback": [B, C], "models": models}, {C: ALONE}), invariants=False)


def test_a_daemon_that_is_killed_remembers_that_one_stands_in() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        await breaks(stage)
        await stood_in(stage)
        await stage.kill()
        await stage.begin()
        await stage.world.run(60)
        assert stage.slot().stand_in
        nothing(B, stage)

    told(story, loaded(STANDS_IN), invariants=False)


def test_one_that_is_well_needs_no_stand_in_after_one_death() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(callers=False)
        stage.engine.crash(f"box-{A}-1", 1)
        await stage.world.run(600)
        assert not swaps(stage)
        assert not stage.slot().stand_in
        assert stage.slot().holder == A

    told(story, loaded(STANDS_IN))
