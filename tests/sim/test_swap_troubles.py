"""What happens to a swap while other things happen: other plans, emergencies, people's hands, the engine, the clock."""

from collections.abc import Callable

import pytest

from supervisor.lab.engine import Behaviour
from tests.sim.slots import A, B, Slots, loaded, told
from tests.sim.test_swap_stories import nothing

PHASES = ("drain", "freed", "ready", "bench")
"""the last step that was begun when something happens"""
FULL = """
groups:
- name: own
  rules:
  - alert: MemoryFull
    expr: node_memory_MemAvailable_bytes < 200e9
    labels: {severity: critical}
    annotations:
      action: "stop box.mxfp4"
"""


async def upto(stage: Slots, step: str, to: str = B) -> int:
    """A person swaps; returns once that step was begun. The plan's id."""
    decision = await stage.ask("swap", "oracle", to=to)
    assert decision.verdict.ok, decision.verdict.text
    await stage.until(lambda: step in begun(stage), 300, f"step {step}", step=0.05)
    return decision.plan


def begun(stage: Slots) -> list[str]:
    """The steps of the swap that is open."""
    return [name for plan in stage.space("plan").values() if plan["verb"] == "swap" for name in plan["begun"]]


async def rest(stage: Slots) -> None:
    """Everything that follows."""
    await stage.until(lambda: not stage.space("plan"), 1800, "end of every plan", step=5)
    await stage.world.run(120)
    await stage.until(lambda: not stage.space("plan"), 1800, "end of every plan", step=5)


def settled(stage: Slots) -> None:
    """One model at most, shown as it is, callers sent to it; nothing open, and people were told."""
    running = [one for one in stage.boxes if (box := stage.at(one).container) is not None and box.running]
    assert len(running) <= 1, f"{running} run\n{stage.tail()}"
    holder = running[0] if running else ""
    assert (stage.slot().holder if running else "") == holder, f"{stage.slot()}\n{stage.tail()}"
    assert (stage.slot().phase, stage.slot().plan, stage.plans()) == ("", 0, [])
    gate, box = stage.gate(), stage.at(holder).container if holder else None
    if box is not None:
        assert gate.open, gate
        assert box.address in gate.upstream, gate
    else:
        assert stage.slot().problem, "nobody holds it, and nobody says why"
    assert stage.ended("swap"), stage.tail()
    assert stage.ended("swap")[-1].public


# ---------------------------------------------------------------- other plans


def test_a_swap_waits_for_a_plan_of_its_service_or_is_refused_with_its_number() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        other = await stage.ask("restart", f"box.{A}")
        assert other.verdict.ok, other.verdict.text
        decision = await stage.ask("swap", "oracle", to=B)
        if not decision.verdict.ok:
            assert decision.verdict.reason == "locked"
            assert str(other.plan) in decision.verdict.text
            await rest(stage)
            await stage.swap()
        await rest(stage)
        assert stage.ended("restart")[-1].kind == "action.verified"
        assert stage.ended("swap")[-1].kind == "action.verified"
        nothing(B, stage)

    told(story)


@pytest.mark.parametrize("name", [A, B])
def test_nothing_else_is_begun_with_either_model_while_a_swap_is_open(name: str) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        plan = await upto(stage, "ready")
        decision = await stage.ask("restart", f"box.{name}")
        if decision.verdict.ok:  # it waits
            await stage.world.run(5)
            assert [one.verb for one in stage.plans() if one.begun] == ["swap"]
        else:
            assert decision.verdict.reason in ("locked", "busy")
            assert str(plan) in decision.verdict.text
        await stage.until(lambda: stage.ended("swap"), 600, "end", step=1)
        assert stage.ended("swap")[-1].kind == "action.verified"
        await rest(stage)
        assert stage.slot().holder == B
        assert not stage.slot_watcher.found

    told(story)


def test_an_emergency_inside_takes_the_exit_that_needs_less_memory() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        await upto(stage, "ready")
        stage.world.kernel.grow(f"box.{B}", 20e9, upto=330e9)
        await stage.until(lambda: stage.alert("MemoryFull"), 120, "alert", step=1)
        await rest(stage)
        assert stage.ended("swap")[0].kind != "action.verified"
        box = stage.at(B).container
        assert box is not None
        assert not box.running
        settled(stage)

    told(story, loaded(files={"own.yaml": FULL}), invariants=False)


def test_a_pause_ends_a_swap_that_has_touched_nothing_and_lets_one_go_on_that_has() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        stage.world.models.busy[A] = 1
        await upto(stage, "drain")
        await stage.ask("pause", "*", **{"for": "10m"})
        await rest(stage)
        assert stage.ended("swap")[-1].kind == "action.ended_early"
        nothing(A, stage)
        stage.world.models.busy.clear()
        await stage.ask("resume", "*")
        await upto(stage, "start")
        await stage.ask("pause", "*", **{"for": "10m"})
        await rest(stage)
        assert stage.ended("swap")[-1].kind == "action.verified"
        nothing(B, stage)

    told(story)


def test_a_person_who_stops_the_holder_is_obeyed_and_starts_no_stand_in() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        stage.engine.human_stop(f"box-{A}-1")
        await stage.world.run(600)
        assert stage.slot().problem
        assert not [plan for plan in stage.rows("action.planned") if plan.body["verb"] == "swap"]
        assert not any(box.running for box in stage.engine.containers())

    told(story, loaded({"fallback": [B]}))


# ---------------------------------------------------------------- people's hands


def _start_a(stage: Slots) -> None:
    ident = stage.at(A).container
    assert ident is not None
    stage.slot_watcher.by_hand.add(ident.id)
    stage.engine.human_start(ident.id)


HANDS: dict[str, Callable[[Slots], None]] = {
    "stops the candidate": lambda stage: stage.engine.human_stop(f"box-{B}-1"),
    "removes the candidate": lambda stage: stage.engine.human_remove(f"box-{B}-1", force=True),
    "starts the old one": _start_a,
    "removes the old one": lambda stage: stage.engine.human_remove(f"box-{A}-1", force=True),
    "renames the candidate": lambda stage: stage.engine.human_rename(f"box-{B}-1", "mine"),
    "kills the candidate": lambda stage: stage.engine.human_stop(f"box-{B}-1", 0.0),
}


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("step", PHASES)
def test_a_hand_in_the_middle_is_seen_and_it_ends_in_a_safe_state(step: str, hand: str) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        if step == "drain":
            stage.world.models.busy[A] = 1
        await upto(stage, step)
        await stage.world.run(0.3)
        HANDS[hand](stage)
        stage.world.models.busy.clear()
        await rest(stage)
        settled(stage)
        if hand != "removes the old one" and step in ("start", "ready", "bench") and "candidate" in hand:
            assert stage.slot().holder in ((A, B) if hand == "renames the candidate" else (A,)), stage.tail()

    told(story, invariants=False)


# ---------------------------------------------------------------- the engine, the machine, the clock


@pytest.mark.parametrize("step", PHASES)
def test_an_engine_that_restarts_in_the_middle_ends_on_one_verified_model(step: str) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        await upto(stage, step)
        stage.engine.restart_engine(2.0, orderly=step in ("freed", "bench"))
        await rest(stage)
        holder = stage.slot().holder
        assert holder
        if step != "drain":
            nothing(holder, stage)
        settled(stage)

    told(story, invariants=False)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_changes_nothing(jump: float) -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        await upto(stage, "ready")
        stage.clock.jump(jump)
        await rest(stage)
        assert stage.ended("swap")[-1].kind == "action.verified", stage.tail()
        nothing(B, stage)

    told(story, invariants=False)


def test_sigterm_in_the_middle_leaves_it_to_the_next_start() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        await upto(stage, "ready")
        await stage.stop()
        await stage.begin()
        await rest(stage)
        assert stage.ended("swap")[-1].kind in ("action.verified", "action.rolled_back")
        nothing(stage.slot().holder, stage)

    told(story)


def test_a_candidate_that_loops_at_its_start_is_stopped_at_its_first_death() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(run=Behaviour(exit_after=5.0, exit_code=1, memory=0))
        await stage.swap()
        starts = [key for key, _at in stage.starts() if key in (f"box-{B}-1", stage.at(B).container.id)]  # type: ignore[union-attr]
        assert len(starts) == 1
        assert stage.at(B).container.restart_count <= 1  # type: ignore[union-attr]
        nothing(A, stage)

    told(story)
