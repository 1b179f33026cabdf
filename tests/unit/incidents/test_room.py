"""Memory in the guard: what does not fit is not started, and who keeps to its plan does not pay for somebody's leak."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Container, Intent, MemoryBudget, Needs, Service, ServiceMemory
from supervisor.incidents import may_run
from supervisor.incidents.guard import judge
from supervisor.incidents.permit import reason_to_end
from supervisor.verdicts import Reason, Verdict
from tests.support.incidents import BAD, GOOD, NOW, Box, container, plan, service, well
from tests.support.owners_plan import CANDIDATE, GB, ORACLE, PLAN, RUNNING, budget

RULE, PERSON = "rule:OomRisk", "uid:0"


def one(name: str, status: str = "running", **more: Any) -> Service:
    """A service of the owner's box, declared as it is planned."""
    needs = Needs(memory=PLAN.get(name, 0), **more.pop("needs", {}))
    box = container(key=f"c-{name}", name=name, status=status, exit_code=0)
    return well(service(name, container=box, needs=needs, **more)) if status == "running" else _down(name, box, needs)


def _down(name: str, box: Container, needs: Needs) -> Service:
    return service(name, container=box, needs=needs, drift="", streak=0, deaths=0)


def omni(memory: MemoryBudget | None = None, **more: Any) -> Box:
    """The owner's box on an ordinary day: the candidate stands still."""
    box = Box(memory=memory if memory is not None else budget(), **more)
    for name in RUNNING:
        box.put(one(name))
    box.put(one(CANDIDATE, "exited"))
    return box


def asks(box: Box, verb: str, target: str, by: str = PERSON, override: str = "", **params: str) -> Verdict:
    return may_run(Intent(verb, target, params, "a test", by, override=override), box.world())


# ------------------------------------------------------------ starts


@pytest.mark.parametrize("by", [RULE, PERSON])
@pytest.mark.parametrize(("verb", "params"), [("start", {}), ("scale", {"replicas": "1"}), ("restart", {})])
def test_what_does_not_fit_is_not_started_whoever_asks(verb: str, params: dict[str, str], by: str) -> None:
    found = asks(omni(), verb, CANDIDATE, by, **params)
    assert found.reason is Reason.NO_ROOM
    assert "omni.mxfp4 needs 341 GB; of 384 GB 7.7 GB are the system's and 361 GB are planned" in found.text
    assert "Stop omni.deepseek first" in found.text


def test_an_override_lifts_it() -> None:
    assert asks(omni(), "start", CANDIDATE, override="I know better").ok


def test_after_the_oracle_was_stopped_it_fits() -> None:
    """Level, not edge: the same intent, looked at again."""
    box = omni()
    refused = judge(Intent("start", CANDIDATE, {}, "", RULE), box.world())
    assert refused.again is not None
    assert refused.again > NOW
    box.memory = budget([name for name in RUNNING if name != ORACLE])
    assert asks(box, "start", CANDIDATE, RULE).ok


def test_a_stop_needs_no_room() -> None:
    box = omni(budget(foreign=100.0 * GB))
    assert asks(box, "stop", ORACLE).ok
    assert asks(box, "scale", ORACLE, replicas="0").ok


@pytest.mark.parametrize("verb", ["restart", "phoenix"])
def test_what_runs_is_started_anew_though_more_is_planned_than_there_is(verb: str) -> None:
    assert asks(omni(budget(foreign=100.0 * GB)), verb, ORACLE).ok


def test_what_grows_by_being_made_anew_must_fit() -> None:
    """Nothing is declared; the image that it would go to took 200 GB more when it was loaded last."""
    name = "omni.learned"
    part = ServiceMemory(
        name, 10.0 * GB, "learned", used=9.0 * GB, running=True, plans={GOOD: 210.0 * GB, BAD: 10.0 * GB}
    )
    known = budget()
    box = omni(replace(known, services=(*known.services, part)))
    box.put(service(name, container=container(key="c-l", name=name, status="running"), needs=Needs()))
    assert asks(box, "phoenix", name).reason is Reason.NO_ROOM
    assert asks(box, "restart", name).ok


def test_two_starts_at_once_count_together() -> None:
    box = omni(budget([]))
    box.put(one(ORACLE, "exited"))
    assert asks(box, "start", CANDIDATE).ok
    box.plans = (plan(1, "start", ORACLE),)
    assert asks(box, "start", CANDIDATE).reason is Reason.NO_ROOM


def test_without_any_reading_nothing_is_refused_for_want_of_room() -> None:
    box = omni()
    box.memory = None
    assert asks(box, "start", CANDIDATE).ok


# ------------------------------------------------------------ who is spared

FOR_MEMORY = [("freeze", {}), ("fuse", {}), ("reclaim", {}), ("stop", {"over_plan": "true"})]


@pytest.mark.parametrize(("verb", "params"), FOR_MEMORY)
@pytest.mark.parametrize("by", [RULE, "playbook:oom-risk"])
def test_rules_leave_alone_who_keeps_to_its_plan(verb: str, params: dict[str, str], by: str) -> None:
    found = asks(omni(budget(used={ORACLE: 330.0 * GB})), verb, ORACLE, by, **params)
    assert found.reason is Reason.WITHIN_PLAN
    assert "omni.deepseek keeps to its plan (330 GB of 341 GB)" in found.text


@pytest.mark.parametrize(("verb", "params"), FOR_MEMORY)
@pytest.mark.parametrize("by", [RULE, PERSON])
def test_who_uses_more_than_planned_is_not_spared(verb: str, params: dict[str, str], by: str) -> None:
    assert asks(omni(budget(used={"omni.agent": 30.0 * GB})), verb, "omni.agent", by, **params).ok


def test_a_person_may_freeze_what_they_like_but_over_plan_means_what_it_says() -> None:
    box = omni()
    assert asks(box, "freeze", ORACLE).ok
    assert asks(box, "reclaim", ORACLE).ok
    assert asks(box, "stop", ORACLE).ok
    assert asks(box, "stop", ORACLE, over_plan="true").reason is Reason.WITHIN_PLAN
    assert asks(box, "stop", ORACLE, over_plan="true", override="now").reason is Reason.WITHIN_PLAN


@pytest.mark.parametrize("by", [RULE, PERSON])
@pytest.mark.parametrize("verb", ["freeze", "fuse"])
def test_nobody_spoils_a_load_that_keeps_to_its_plan(verb: str, by: str) -> None:
    known = budget(used={ORACLE: 100.0 * GB})
    loading = tuple(replace(part, loading=True) if part.service == ORACLE else part for part in known.services)
    found = asks(omni(replace(known, services=loading)), verb, ORACLE, by, override="" if by == RULE else "please")
    assert found.reason is Reason.WITHIN_PLAN
    assert "loads, and keeps to its plan (100 GB of 341 GB)" in found.text


def _unplanned(**more: Any) -> tuple[Box, str]:
    name = "omni.stray"
    known = budget()
    part = ServiceMemory(name, **({"used": 3.0 * GB, "running": True} | more))
    box = omni(replace(known, services=(*known.services, part)))
    box.put(well(service(name, container=container(key="c-s", name=name, status="running"))))
    return box, name


def test_without_a_plan_it_is_left_alone_while_it_loads() -> None:
    box, name = _unplanned(loading=True)
    found = asks(box, "freeze", name, RULE)
    assert found.reason is Reason.WITHIN_PLAN
    assert "has no memory plan and still loads" in found.text
    box, name = _unplanned()
    assert asks(box, "freeze", name, RULE).ok


def test_without_a_plan_only_who_is_to_blame_is_stopped() -> None:
    box, name = _unplanned()
    assert asks(box, "stop", name, RULE, over_plan="true").reason is Reason.WITHIN_PLAN
    assert box.memory is not None
    box.memory = replace(box.memory, culprit=name)
    assert asks(box, "stop", name, RULE, over_plan="true").ok


def test_what_nobody_knows_is_not_held_against_anybody() -> None:
    box, name = _unplanned(unread=True, plan=1.0 * GB)
    assert asks(box, "freeze", name, RULE).reason is Reason.NOT_READY
    box.memory = None
    found = asks(box, "freeze", name, RULE)
    assert found.reason is Reason.NOT_READY
    assert "resurgam doctor" in found.text


def test_a_reading_that_scatters_around_the_plan_is_within_it() -> None:
    box = omni(budget(used={ORACLE: 341.0 * GB + 1}))
    assert asks(box, "freeze", ORACLE, RULE).reason is Reason.WITHIN_PLAN
    assert asks(omni(budget(used={ORACLE: 346.0 * GB})), "freeze", ORACLE, RULE).ok


def test_it_is_asked_once_more_before_anything_is_touched() -> None:
    """It let go of what it had too much while the plan waited."""
    box = omni(budget(used={"omni.agent": 30.0 * GB}))
    waiting = plan(1, "stop", "omni.agent", params={"over_plan": "true"}, by=RULE)
    assert reason_to_end(waiting, box.world()) is None
    box.memory = budget()
    found = reason_to_end(waiting, box.world())
    assert found is not None
    assert found.reason is Reason.WITHIN_PLAN
